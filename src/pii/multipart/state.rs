//! Where a form in parts is, and what becomes of the open part.

use super::head::{Content, Head};
use crate::pii::fields::{Decision, Fields};
use crate::pii::form::decode_segment;
use crate::pii::{Files, Stop, Treat, Watch};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Before the first boundary.
    Start,
    /// Behind a boundary: a line end, or two hyphens.
    Boundary,
    Head,
    /// Right behind a head, where a boundary would be read in two ways.
    Begin(Fate),
    Body(Fate),
    /// Behind the last boundary.
    End,
}

/// What becomes of a part's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Pass,
    File,
    Skip,
    Json,
    Held {
        rule: Option<usize>,
        subject: bool,
    },
    /// Redacted whole.
    Whole(usize),
}

impl Fate {
    /// Decides by the part's name, plain or encoded, and by what it holds.
    pub(super) fn of(
        head: &Head,
        fields: &Fields,
        treat: &dyn Treat,
        files: Files,
        watch: &mut dyn Watch,
    ) -> Result<Self, Stop> {
        let mut decoded = Vec::new();
        let plain = decode_segment(head.name.as_bytes(), &mut decoded).unwrap_or(&head.name);
        let decision = match fields.decide(&head.name) {
            Decision::Pass => fields.decide(plain),
            Decision::Treat(rule) if fields.is_rest(rule) => fields.decide(plain),
            decided @ (Decision::Treat(_) | Decision::Drop) => decided,
        };
        let decision = match (decision, head.content) {
            // JSON is looked into, and a file that may pass is not looked at.
            (Decision::Treat(rule), Content::Json | Content::File) if fields.is_rest(rule) => Decision::Pass,
            (decision, _) => decision,
        };
        Ok(match (decision, head.content) {
            (Decision::Drop, _) => Self::Skip,
            (Decision::Treat(rule), _) if treat.drops(rule) => {
                watch.treated(rule);
                Self::Skip
            }
            (Decision::Treat(rule), Content::Text) => {
                Self::Held { rule: Some(rule), subject: fields.is_subject(plain) }
            }
            (Decision::Treat(rule), Content::Json | Content::File) => Self::Whole(rule),
            (Decision::Pass, Content::Json) => Self::Json,
            (Decision::Pass, Content::Text) if fields.is_subject(plain) => Self::Held { rule: None, subject: true },
            (Decision::Pass, Content::Text) => Self::Pass,
            (Decision::Pass, Content::File) if files == Files::Pass => Self::File,
            (Decision::Pass, Content::File) => return Err(Stop::Opaque { what: "a file in a form" }),
        })
    }
}

//! Where in a multipart form the next byte is, and what is done with the open part.

use super::header::{PartContent, PartHeader};
use crate::pii::fields::{FieldDecision, FieldRules};
use crate::pii::form::decode_segment;
use crate::pii::{FileHandling, RewriteError, RewriteObserver, RewriteResult, Transform};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MultipartState {
    /// Before the first boundary.
    Start,
    /// After a boundary, where a line end or two hyphens must follow.
    Boundary,
    /// In the header of a part.
    Header,
    /// At the start of a part's body, where parsers differ on whether a delimiter may begin.
    Begin,
    /// In the body of a part.
    Body,
    /// After the last boundary.
    End,
}

/// What is done with a part's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PartAction {
    Pass,
    File,
    Drop,
    Json,
    Held {
        rule: Option<usize>,
        subject: bool,
    },
    /// Replaced as a whole.
    Redact(usize),
}

impl PartAction {
    /// Decides by the part's name, as it is and percent-decoded, and by what the part holds.
    pub(super) fn of(
        header: &PartHeader,
        fields: &FieldRules,
        transform: &dyn Transform,
        files: FileHandling,
        observer: &mut dyn RewriteObserver,
    ) -> RewriteResult<Self> {
        let mut decoded = Vec::new();
        let plain = decode_segment(header.name.as_bytes(), &mut decoded).unwrap_or(&header.name);
        let decision = match fields.decide(&header.name) {
            FieldDecision::Pass => fields.decide(plain),
            FieldDecision::Treat(rule) if fields.is_fallback(rule) => fields.decide(plain),
            decided @ (FieldDecision::Treat(_) | FieldDecision::Drop) => decided,
        };
        let decision = match (decision, header.content) {
            // The detectors' rule does not treat JSON, whose values are treated one by one, and does not read a
            // file that may pass.
            (FieldDecision::Treat(rule), PartContent::Json | PartContent::File) if fields.is_fallback(rule) => {
                FieldDecision::Pass
            }
            (decision, _) => decision,
        };
        Ok(match (decision, header.content) {
            (FieldDecision::Drop, _) => Self::Drop,
            (FieldDecision::Treat(rule), _) if transform.drops_member(rule) => {
                observer.on_treated(rule);
                Self::Drop
            }
            (FieldDecision::Treat(rule), PartContent::Text) => {
                Self::Held { rule: Some(rule), subject: fields.is_subject(plain) }
            }
            (FieldDecision::Treat(rule), PartContent::Json | PartContent::File) => Self::Redact(rule),
            (FieldDecision::Pass, PartContent::Json) => Self::Json,
            (FieldDecision::Pass, PartContent::Text) if fields.is_subject(plain) => {
                Self::Held { rule: None, subject: true }
            }
            (FieldDecision::Pass, PartContent::Text) => Self::Pass,
            (FieldDecision::Pass, PartContent::File) if files == FileHandling::Pass => Self::File,
            (FieldDecision::Pass, PartContent::File) => return Err(RewriteError::Opaque { what: "a file in a form" }),
        })
    }
}

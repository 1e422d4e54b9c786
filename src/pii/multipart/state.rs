//! Where a form in parts is, and what becomes of the open part.

use super::header::{PartContent, PartHeader};
use crate::pii::fields::{FieldDecision, FieldRules};
use crate::pii::form::decode_segment;
use crate::pii::{FileHandling, RewriteError, RewriteObserver, Transform};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MultipartState {
    /// Before the first boundary.
    Start,
    /// Behind a boundary: a line end, or two hyphens.
    Boundary,
    Head,
    /// Right behind a head, where a boundary would be read in two ways.
    Begin(PartAction),
    Body(PartAction),
    /// Behind the last boundary.
    End,
}

/// What becomes of a part's body.
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
    /// Redacted whole.
    Redact(usize),
}

impl PartAction {
    /// Decides by the part's name, plain or encoded, and by what it holds.
    pub(super) fn of(
        head: &PartHeader,
        fields: &FieldRules,
        treat: &dyn Transform,
        files: FileHandling,
        observer: &mut dyn RewriteObserver,
    ) -> Result<Self, RewriteError> {
        let mut decoded = Vec::new();
        let plain = decode_segment(head.name.as_bytes(), &mut decoded).unwrap_or(&head.name);
        let decision = match fields.decide(&head.name) {
            FieldDecision::Pass => fields.decide(plain),
            FieldDecision::Treat(rule) if fields.is_fallback(rule) => fields.decide(plain),
            decided @ (FieldDecision::Treat(_) | FieldDecision::Drop) => decided,
        };
        let decision = match (decision, head.content) {
            // JSON is looked into, and a file that may pass is not looked at.
            (FieldDecision::Treat(rule), PartContent::Json | PartContent::File) if fields.is_fallback(rule) => {
                FieldDecision::Pass
            }
            (decision, _) => decision,
        };
        Ok(match (decision, head.content) {
            (FieldDecision::Drop, _) => Self::Drop,
            (FieldDecision::Treat(rule), _) if treat.drops_member(rule) => {
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

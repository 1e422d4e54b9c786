//! A denial: the value by which a rule refuses a request.

use std::borrow::Cow;

use super::Reason;

/// A refusal with its reason: a value that a rule returns, not an error.
///
/// `detail` is for the log and the audit trail; the caller reads only the reason's own text, or `public_text`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// The stable reason.
    pub reason: Reason,
    /// What exactly was wrong, for operators. Never a secret or a personal value.
    pub detail: Cow<'static, str>,
    /// What the caller reads in the place of the reason's own text: a sentence about its own request, and nothing
    /// internal.
    pub public_text: Option<&'static str>,
    /// When trying again makes sense, in whole seconds, for reasons that pass by themselves.
    pub retry_after_secs: Option<u32>,
}

impl Denial {
    /// A denial with a detail for the log.
    pub fn new(reason: Reason, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { reason, detail: detail.into(), public_text: None, retry_after_secs: None }
    }

    /// A denial with one sentence for both the caller and the log.
    pub const fn with_public_text(reason: Reason, sentence: &'static str) -> Self {
        Self { reason, detail: Cow::Borrowed(sentence), public_text: Some(sentence), retry_after_secs: None }
    }

    /// Sets when to try again, rounded up to a second.
    #[must_use]
    pub fn retry_after(mut self, wait: std::time::Duration) -> Self {
        let secs = wait.as_millis().div_ceil(1000).clamp(1, u128::from(u32::MAX));
        self.retry_after_secs = Some(secs as u32);
        self
    }
}

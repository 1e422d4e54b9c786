//! One token back to its value: the order and its answer.
//!
//! The answer is the only one that holds a raw personal value. It goes to whoever asked, and never into a log or the
//! audit trail.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::orders::{OrderError, check_reason};

/// An order to turn a token back into its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RevealOrder {
    /// The token, whole.
    pub token: String,
    /// Why, in words for the audit trail.
    pub reason: String,
}

impl RevealOrder {
    /// Checks what JSON cannot say.
    ///
    /// # Errors
    /// [`OrderError`] when there is no reason or no token.
    pub fn check(&self) -> Result<(), OrderError> {
        check_reason(&self.reason)?;
        if self.token.is_empty() { Err(OrderError::Empty("token")) } else { Ok(()) }
    }
}

/// The answer: whose token it was, and its value.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RevealReport {
    /// The vendor for whom the token was made.
    pub vendor: String,
    /// The value.
    pub value: String,
}

impl fmt::Debug for RevealReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RevealReport").field("vendor", &self.vendor).finish_non_exhaustive()
    }
}

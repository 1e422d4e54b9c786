//! What operators may see of a credential: its kind, its state and its age, and nothing of its value.

use crate::model::UnixTime;

/// How often something was fetched, by how it ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RefreshCounts {
    /// It was fetched.
    pub succeeded: u64,
    /// The question got no usable answer.
    pub failed: u64,
    /// The server has refused what it was shown.
    pub refused: u64,
}

impl RefreshCounts {
    /// The counts with their names in metrics and `status`.
    pub const fn named(self) -> [(&'static str, u64); 3] {
        [("success", self.succeeded), ("failed", self.failed), ("refused", self.refused)]
    }
}

/// The state of a vendor's credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialStatus {
    /// Its kind: the word in the contract.
    pub kind: &'static str,
    /// What is done to requests, in words.
    pub does: String,
    /// Whether a request would be given it now.
    pub is_ready: bool,
    /// How fetching went; `None` where nothing is fetched.
    pub fetches: Option<RefreshCounts>,
    /// Why the last question failed, if it did.
    pub last_error: Option<String>,
    /// The secrets that it is made of.
    pub secrets: Vec<SecretStatus>,
}

/// The state of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretStatus {
    /// What it is, such as `client secret`.
    pub purpose: &'static str,
    /// Where it comes from: the word in the contract.
    pub source: &'static str,
    /// Since when its content is in use; `None` where it could not be read yet.
    pub since: Option<UnixTime>,
    /// When its `max_age` has passed.
    pub expires: Option<UnixTime>,
    /// Whether it is in a file that is read again when it changes.
    pub is_file: bool,
    /// Why it cannot be read as it is now. What was read before stays in force.
    pub error: Option<String>,
}

impl CredentialStatus {
    /// When the oldest secret came into use.
    pub fn oldest_secret(&self) -> Option<UnixTime> {
        self.secrets.iter().filter_map(|secret| secret.since).min()
    }

    /// When the first `max_age` has passed.
    pub fn first_expiry(&self) -> Option<UnixTime> {
        self.secrets.iter().filter_map(|secret| secret.expires).min()
    }
}

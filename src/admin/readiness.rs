//! What `/readyz` answers: what was looked at, and whether it is well.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whether the gateway can do its work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Readiness {
    /// Each thing that was looked at.
    pub checks: Vec<ReadinessCheck>,
}

impl Readiness {
    /// Whether all that is needed is well.
    pub fn is_ready(&self) -> bool {
        self.checks.iter().all(|check| check.well || !check.needed)
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReadinessCheck {
    /// Its name: `config`, `state`, `keys/acme`, `files/acme`, `fleet`.
    pub name: String,
    /// Whether it is well.
    pub well: bool,
    /// Whether the gateway is unready without it.
    pub needed: bool,
    /// What is wrong, for anyone who can reach the listener: never a secret.
    pub detail: String,
}

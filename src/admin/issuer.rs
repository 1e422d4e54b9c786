//! A vendor's issuer and files in its status.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Rfc3339Time;

/// How asking a vendor's issuer goes: for its keys, or about each token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IssuerStatus {
    /// Signing keys in use; absent where the issuer is asked about each token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keys: Option<usize>,
    /// Keys of the last good answer that are malformed, weak or private, or share a `kid`, and so are not used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unfit_keys: Option<usize>,
    /// When the keys in use were last confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmed_at: Option<Rfc3339Time>,
    /// Why the last question failed, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// How often each outcome came since the start: replaced, unchanged, failed or broken for keys; active, inactive,
    /// failed, kept or shed for tokens.
    pub outcomes: BTreeMap<String, u64>,
}

/// A file of a vendor that cannot be used as it is; what it held before stays in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileFault {
    /// What it is for: `authorities`, `webhook_secrets`, `verify_token`, `introspection_secret` or `jwks`.
    pub file: String,
    /// Why it cannot be used: names the path, and holds nothing of the content.
    pub error: String,
}

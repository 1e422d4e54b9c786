//! What a gateway says of itself once a second.
//!
//! A member that is not known is left out when it is read, so that a newer gateway never breaks an older one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The report of one gateway.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NodeReport {
    /// The version of this form. A reader takes what it knows of a newer one.
    pub v: u32,
    /// The gateway's own version.
    #[serde(default)]
    pub build: String,
    /// What its parts say, by their names.
    #[serde(default)]
    pub parts: BTreeMap<String, Value>,
}

impl NodeReport {
    /// The version of this form that is written.
    pub const VERSION: u32 = 1;
}

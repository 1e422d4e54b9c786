//! A limit of a vendor, as `GET /v1/vendors/{v}` and `vendorgate status` show it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::Direction;

/// A limit in force.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VendorLimit {
    /// The traffic that it is about; left out where both directions share one budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// Its key in the contract, such as `records`.
    pub limit: String,
    /// How much passes, such as `50000 in 10s, over: sever`.
    pub value: String,
    /// `contract` where the contract says so, `default` where it is the product's.
    pub source: String,
    /// The part of it that is left, from 0 to 1; left out where nothing is used up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remaining: Option<f64>,
}

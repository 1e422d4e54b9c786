//! How a vendor's rules and its traffic fit: rules that have matched nothing, bodies of a shape that no rule was written
//! for. Names of the config and numbers, never a value.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::Direction;

/// A rule that has matched nothing since the process started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnmatchedRule {
    /// Which way the route's requests go.
    pub direction: Direction,
    /// The route, as the contract writes it.
    pub route: String,
    /// `request` or `response`.
    pub side: String,
    /// Where the rule looks.
    pub rule: String,
    /// What it does: the contract's word.
    pub treatment: String,
    /// Exchanges of the route that ended.
    pub requests: u64,
}

/// Bodies of a route that were not of the shape that its `records` describe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnexpectedShape {
    /// Which way the route's requests go.
    pub direction: Direction,
    /// The route, as the contract writes it.
    pub route: String,
    /// How many, refused or let by.
    pub bodies: u64,
}

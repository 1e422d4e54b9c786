//! `records:` of a route as it is written in YAML.

use schemars::JsonSchema;
use serde::Deserialize;

/// What counts as a record.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(in crate::config) enum RecordsConfig {
    /// The elements of the body that this path selects.
    Elements(String),
    /// Each message of a call that consists of messages.
    Messages(RecordMessagesConfig),
}

/// Which messages are records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RecordMessagesConfig {
    /// Each message of a gRPC call is one record. The messages are not read and pass as they are, so no rule of the
    /// route may read the body that leaves.
    #[schemars(required)]
    pub(in crate::config) messages: Option<RecordMessageKind>,
}

/// The protocol of the messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum RecordMessageKind {
    /// gRPC over HTTP/2.
    Grpc,
}

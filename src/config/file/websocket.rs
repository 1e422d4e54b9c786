//! `websocket:` of a route as it is written in YAML.

use schemars::JsonSchema;
use serde::Deserialize;

/// Whether a request may become a WebSocket, and how its messages are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(in crate::config) enum WebSocketConfig {
    /// Whether it may. Its messages are not read, so no rule may read a body.
    Allowed(bool),
    /// It may, and its messages are under the rules of the route.
    UnderRules(WebSocketMessagesConfig),
}

/// How the messages of a WebSocket are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct WebSocketMessagesConfig {
    /// Each text message is one body under the rules of its side, JSON unless these say otherwise. Binary messages are
    /// refused where a rule reads bodies.
    #[schemars(required)]
    pub(in crate::config) messages: Option<WebSocketMessageKind>,
}

/// Which messages of a WebSocket may be sent under rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum WebSocketMessageKind {
    /// Text messages alone.
    Text,
}

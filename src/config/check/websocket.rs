//! Checks `websocket:` of a route against its rules and its upstream.

use crate::config::file::websocket::{WebSocketConfig, WebSocketMessageKind, WebSocketMessagesConfig};
use crate::config::source::Cursor;
use crate::pii::Rules;
use crate::upstream::{HttpProtocol, UpstreamSettings};

/// Whether a request of the route may become a WebSocket.
pub(super) fn judged(
    at: &Cursor<'_>,
    written: Option<WebSocketConfig>,
    rules: [&Rules; 2],
    upstream: Option<&UpstreamSettings>,
) -> bool {
    let reads_body = rules.into_iter().any(Rules::reads_body);
    let allowed = match written {
        None | Some(WebSocketConfig::Allowed(false)) => return false,
        Some(WebSocketConfig::Allowed(true)) => {
            if reads_body {
                let wrong = "cannot be used with rules that read a body: messages of a WebSocket are not read";
                at.fault(wrong, "write websocket: { messages: text }, or give the WebSocket a route of its own");
            }
            true
        }
        Some(WebSocketConfig::UnderRules(WebSocketMessagesConfig { messages })) => {
            if messages == Some(WebSocketMessageKind::Text) && !reads_body {
                let wrong = "has no effect: no rule of the route reads a body";
                at.fault(wrong, "write websocket: true, or rules under request or response");
            }
            true
        }
    };
    if upstream.is_some_and(|upstream| upstream.protocol == HttpProtocol::Http2) {
        let wrong = "cannot be reached: its upstream is spoken to in HTTP/2 alone";
        at.fault(wrong, "write protocol: auto or http1 for the upstream");
    }
    allowed
}

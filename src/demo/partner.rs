//! The sample vendor's own API: takes events and keeps every byte that reached it.

use std::sync::Mutex;

use http::{Request, StatusCode};
use hyper::body::Incoming;

use super::services::{SampleResponse, json, read_body};
use crate::model::Lock as _;

/// Largest body that is taken.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// The sample vendor's API.
#[derive(Debug, Default)]
pub(super) struct Partner {
    received: Mutex<Vec<ReceivedRequest>>,
}

/// A request as it reached the vendor.
#[derive(Debug, Clone, Default)]
pub(super) struct ReceivedRequest {
    /// Request line and header fields, a line each.
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Partner {
    /// Every request that has reached the vendor.
    pub(super) fn received(&self) -> Vec<ReceivedRequest> {
        self.received.locked().clone()
    }

    /// Answers one request, and keeps it. `/received` shows the last one, to whoever tries the demo.
    pub(super) async fn answer(&self, request: Request<Incoming>) -> SampleResponse {
        let (head, body) = request.into_parts();
        if head.uri.path() == "/received" {
            let last = self.received().pop().unwrap_or_default();
            return json(StatusCode::OK, format!("{}\n\n{}\n", last.head, String::from_utf8_lossy(&last.body)));
        }
        let mut text = format!("{} {}", head.method, head.uri);
        for (name, value) in &head.headers {
            text += &format!("\n{name}: {}", String::from_utf8_lossy(value.as_bytes()));
        }
        let Some(body) = read_body(body, BODY_BYTES_MAX).await else { return json(StatusCode::BAD_REQUEST, "{}") };
        self.received.locked().push(ReceivedRequest { head: text, body: body.into() });
        json(StatusCode::ACCEPTED, r#"{"accepted":true}"#)
    }
}

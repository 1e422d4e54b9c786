//! The sample vendor's own API: takes events and keeps every byte that reached it.

use std::sync::Mutex;

use http::{Request, StatusCode};
use hyper::body::Incoming;

use super::site::{Site, SiteResponse, SiteResponseFuture, json, read_body};
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

    async fn record_request(&self, request: Request<Incoming>) -> SiteResponse {
        let (head, body) = request.into_parts();
        let fields =
            head.headers.iter().map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())));
        let head =
            std::iter::once(format!("{} {}", head.method, head.uri)).chain(fields).collect::<Vec<_>>().join("\n");
        let Some(body) = read_body(body, BODY_BYTES_MAX).await else { return json(StatusCode::BAD_REQUEST, "{}") };
        let received = ReceivedRequest { head, body: body.into() };
        self.received.locked().push(received);
        json(StatusCode::ACCEPTED, r#"{"accepted":true}"#)
    }
}

impl Site for Partner {
    fn answer(&self, request: Request<Incoming>) -> SiteResponseFuture<'_> {
        Box::pin(self.record_request(request))
    }
}

//! The client that plays the vendor, our own services, the operators and Prometheus: one connection for each call.
//!
//! Keeps what has arrived of an answer that breaks off.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, Method, Request, StatusCode, Version, request};

use crate::http::{ClientError, ClientOptions, Destination, HttpClient, ResponseStream};
use crate::model::Clock;

/// Time for the head of an answer, and for each piece of its body; nothing in the story takes as long.
const DEADLINE: Duration = Duration::from_secs(10);
/// Reads no answer as a whole, so the bound on one is never used.
static CLIENT: HttpClient = HttpClient::plain(ClientOptions::new(DEADLINE, 0));

/// One call.
#[derive(Debug)]
pub(super) struct DemoRequest {
    /// Method and target, as the story shows them.
    pub(super) label: String,
    to: Destination,
    head: request::Builder,
    body: Bytes,
}

/// An answer that has ended, well or not.
#[derive(Debug)]
pub(super) struct DemoReply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    /// Whether the body came to its end.
    pub(super) whole: bool,
    pub(super) took_micros: u64,
}

impl DemoRequest {
    /// A call without a body.
    pub(super) fn new(method: Method, to: SocketAddr, target: &str) -> Self {
        let label = format!("{method} {target}");
        let head = Request::builder().method(method).uri(target);
        Self { label, to: Destination::Url(to.into()), head, body: Bytes::new() }
    }

    pub(super) fn get(to: SocketAddr, target: &str) -> Self {
        Self::new(Method::GET, to, target)
    }

    pub(super) fn post(to: SocketAddr, target: &str, content_type: &str, body: impl Into<Bytes>) -> Self {
        let call = Self::new(Method::POST, to, target);
        Self { head: call.head.header(CONTENT_TYPE, content_type), body: body.into(), ..call }
    }

    pub(super) fn post_json(to: SocketAddr, target: &str, body: &serde_json::Value) -> Self {
        Self::post(to, target, "application/json", body.to_string())
    }

    pub(super) fn bearer(self, token: &str) -> Self {
        Self { head: self.head.header(AUTHORIZATION, format!("Bearer {token}")), ..self }
    }

    /// Speaks HTTP/2 with prior knowledge.
    pub(super) fn over_http2(self) -> Self {
        Self { head: self.head.version(Version::HTTP_2), ..self }
    }

    /// Sends the call and waits for the head of the answer.
    pub(super) async fn open(self) -> Result<ResponseStream, ClientError> {
        CLIENT.open(&self.to, self.head.body(self.body)?).await
    }

    /// Sends the call and waits for the end of the answer.
    pub(super) async fn finish(self, clock: &Clock) -> Result<DemoReply, ClientError> {
        let since = clock.now().monotonic_ns;
        let mut answer = self.open().await?;
        let mut body = Vec::new();
        let whole = loop {
            match next_piece(&mut answer).await {
                Some(Ok(piece)) => body.extend_from_slice(&piece),
                Some(Err(_)) => break false,
                None => break true,
            }
        };
        let took_micros = clock.now().monotonic_ns.saturating_sub(since) / 1000;
        Ok(DemoReply { status: answer.status, headers: answer.headers, body, whole, took_micros })
    }
}

/// The next piece of a body; an error when the body breaks off, or when nothing comes in time.
pub(super) async fn next_piece(answer: &mut ResponseStream) -> Option<Result<Bytes, ClientError>> {
    let piece = tokio::time::timeout(DEADLINE, answer.next()).await;
    piece.unwrap_or(Some(Err(ClientError::Deadline(DEADLINE))))
}

impl DemoReply {
    /// The body as JSON, null where it is none.
    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The status, and the stable reason of a refusal: `403 vendor_killed`.
    pub(super) fn outcome(&self) -> String {
        format!("{} {}", self.status.as_u16(), self.json()["reason"].as_str().unwrap_or_default())
    }

    /// A header field, empty where it is missing.
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

//! The hand that plays vendor, service, operator and looker-on: a plain HTTP client, a connection for each call.
//!
//! Says what came back to the byte, also of an answer that breaks off.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use crate::model::Clock;

/// Time for one call; nothing in the story takes as long.
const DEADLINE: Duration = Duration::from_secs(10);

/// One call.
#[derive(Debug, Clone)]
pub(super) struct DemoRequest<'a> {
    to: SocketAddr,
    method: Method,
    target: &'a str,
    bearer: Option<&'a str>,
    body: Option<(&'static str, Vec<u8>)>,
    http2: bool,
}

/// Why a call got no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum DemoRequestError {
    /// No connection.
    #[error("cannot connect to {0}")]
    Connect(SocketAddr, #[source] std::io::Error),
    /// The call cannot be written.
    #[error("the call cannot be written")]
    Write(#[from] http::Error),
    /// No head of an answer.
    #[error("no answer")]
    Http(#[from] hyper::Error),
    /// Nothing came in time.
    #[error("no answer in time")]
    Deadline,
}

/// An answer whose body is still coming.
#[derive(Debug)]
pub(super) struct StreamingReply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    body: Incoming,
}

/// An answer that has ended, well or not.
#[derive(Debug)]
pub(super) struct DemoReply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    /// Whether it ended as an answer should.
    pub(super) whole: bool,
    pub(super) took: Duration,
}

impl<'a> DemoRequest<'a> {
    pub(super) const fn get(to: SocketAddr, target: &'a str) -> Self {
        Self { to, method: Method::GET, target, bearer: None, body: None, http2: false }
    }

    pub(super) fn delete(to: SocketAddr, target: &'a str) -> Self {
        Self { method: Method::DELETE, ..Self::get(to, target) }
    }

    pub(super) fn post(to: SocketAddr, target: &'a str, kind: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self { method: Method::POST, body: Some((kind, body.into())), ..Self::get(to, target) }
    }

    pub(super) fn bearer(self, token: &'a str) -> Self {
        Self { bearer: Some(token), ..self }
    }

    /// Speaks HTTP/2 with prior knowledge.
    pub(super) fn over_http2(self) -> Self {
        Self { http2: true, ..self }
    }

    /// Sends it, and waits for the head of the answer.
    pub(super) async fn open(self) -> Result<StreamingReply, DemoRequestError> {
        let opened = tokio::time::timeout(DEADLINE, self.send()).await;
        let (head, body) = opened.map_err(|_| DemoRequestError::Deadline)??.into_parts();
        Ok(StreamingReply { status: head.status, headers: head.headers, body })
    }

    /// Sends it, and waits for all of the answer.
    pub(super) async fn finish(self, clock: &Clock) -> Result<DemoReply, DemoRequestError> {
        let since = clock.now();
        let mut opened = self.open().await?;
        let mut body = Vec::new();
        let whole = loop {
            match opened.next().await {
                Some(Ok(piece)) => body.extend_from_slice(&piece),
                Some(Err(_)) => break false,
                None => break true,
            }
        };
        let took = Duration::from_nanos(clock.now().monotonic_ns.saturating_sub(since.monotonic_ns));
        Ok(DemoReply { status: opened.status, headers: opened.headers, body, whole, took })
    }

    async fn send(self) -> Result<http::Response<Incoming>, DemoRequestError> {
        let stream = TcpStream::connect(self.to).await.map_err(|error| DemoRequestError::Connect(self.to, error))?;
        let io = TokioIo::new(stream);
        let request = self.request()?;
        if self.http2 {
            let (mut sender, connection) = http2::handshake(TokioExecutor::new(), io).await?;
            tokio::spawn(connection);
            Ok(sender.send_request(request).await?)
        } else {
            let (mut sender, connection) = http1::handshake(io).await?;
            tokio::spawn(connection);
            Ok(sender.send_request(request).await?)
        }
    }

    fn request(&self) -> Result<Request<Full<Bytes>>, http::Error> {
        let mut request = Request::builder().method(&self.method);
        if self.http2 {
            let uri = Uri::builder().scheme("http").authority(self.to.to_string()).path_and_query(self.target);
            request = request.uri(uri.build()?);
        } else {
            request = request.uri(self.target).header(HOST, self.to.to_string());
        }
        if let Some(token) = self.bearer {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let (kind, body) = self.body.clone().unwrap_or_default();
        if !kind.is_empty() {
            request = request.header(CONTENT_TYPE, kind);
        }
        request.body(Full::new(body.into()))
    }
}

impl StreamingReply {
    /// The next piece of the body; an error when it breaks off, or when nothing comes in time.
    pub(super) async fn next(&mut self) -> Option<Result<Bytes, DemoRequestError>> {
        loop {
            match tokio::time::timeout(DEADLINE, self.body.frame()).await {
                Err(_) => return Some(Err(DemoRequestError::Deadline)),
                Ok(None) => return None,
                Ok(Some(Err(error))) => return Some(Err(error.into())),
                Ok(Some(Ok(frame))) => {
                    if let Ok(piece) = frame.into_data() {
                        return Some(Ok(piece));
                    }
                }
            }
        }
    }
}

impl DemoReply {
    /// The body as JSON, null where it is none.
    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The stable reason of a refusal; empty where it is none.
    pub(super) fn reason(&self) -> String {
        self.json()["reason"].as_str().unwrap_or_default().to_owned()
    }

    /// A header field, empty where it is missing.
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

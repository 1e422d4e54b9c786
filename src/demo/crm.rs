//! The sample internal API: a CRM full of personal data, of the kind that was never meant to face a vendor.
//!
//! A list is streamed record by record, so that fifty thousand customers take no more memory than one. The API does not
//! authenticate its callers: that is the gateway's work.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body::{Body, Frame};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::Sleep;

use super::people::{CUSTOMERS, customer, number};
use super::services::{SampleResponse, field, json, json_stream};

/// How many records a list has where the caller names no number.
const LIMIT_DEFAULT: u64 = 100;
/// Pause between two records of the slow export.
const TRICKLE: Duration = Duration::from_millis(20);

/// The sample CRM.
#[derive(Debug, Default)]
pub(super) struct Crm {
    requests: AtomicU64,
}

impl Crm {
    /// How many requests have arrived.
    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Answers one request.
    pub(super) fn answer(&self, request: &Request<Incoming>) -> SampleResponse {
        self.requests.fetch_add(1, Ordering::Relaxed);
        if request.method() != Method::GET {
            return not_found();
        }
        let query = request.uri().query().unwrap_or_default();
        match request.uri().path() {
            "/v1/customers" => {
                let after = field(query, "after").and_then(|id| number(&id)).unwrap_or_default();
                let limit = field(query, "limit").and_then(|limit| limit.parse().ok()).unwrap_or(LIMIT_DEFAULT);
                json_stream(StatusCode::OK, CustomerList::new(after, limit, None).boxed())
            }
            "/v1/exports/customers" => {
                json_stream(StatusCode::OK, CustomerList::new(0, CUSTOMERS, Some(TRICKLE)).boxed())
            }
            path => match path.strip_prefix("/v1/customers/").and_then(number) {
                Some(number) => json(StatusCode::OK, record(number)),
                None => not_found(),
            },
        }
    }
}

fn not_found() -> SampleResponse {
    json(StatusCode::NOT_FOUND, r#"{"error":"no such thing"}"#)
}

fn record(number: u64) -> Vec<u8> {
    customer(number).to_string().into_bytes()
}

/// A list of customers as a body: one record in each chunk.
struct CustomerList {
    pieces: Box<dyn Iterator<Item = Vec<u8>> + Send + Sync>,
    pace: Option<Duration>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl CustomerList {
    fn new(after: u64, limit: u64, pace: Option<Duration>) -> Self {
        let (first, last) = (after.saturating_add(1), after.saturating_add(limit).min(CUSTOMERS));
        let records = (first..=last).map(move |number| {
            let mut piece = record(number);
            piece.extend(Some(b',').filter(|_| number < last));
            piece
        });
        let head = std::iter::once(br#"{"customers":["#.to_vec());
        let pieces = Box::new(head.chain(records).chain(std::iter::once(b"]}".to_vec())));
        Self { pieces, pace, pause: None }
    }
}

impl Body for CustomerList {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(pace) = self.pace {
            let pause = self.pause.get_or_insert_with(|| Box::pin(tokio::time::sleep(pace)));
            ready!(pause.as_mut().poll(cx));
            self.pause = None;
        }
        Poll::Ready(self.pieces.next().map(|piece| Ok(Frame::data(piece.into()))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(list: CustomerList) -> serde_json::Value {
        let pieces: Vec<u8> = list.pieces.flatten().collect();
        serde_json::from_slice(&pieces).expect("JSON")
    }

    #[test]
    fn a_list_is_json_for_every_start_and_limit() {
        for (after, limit, first, count) in
            [(0, 3, "cus_000001", 3), (10, 1, "cus_000011", 1), (CUSTOMERS - 2, 9, "cus_049999", 2)]
        {
            let list = whole(CustomerList::new(after, limit, None));
            let customers = list["customers"].as_array().expect("a list");
            assert_eq!((customers.len(), customers[0]["id"].as_str()), (count, Some(first)));
        }
        assert_eq!(whole(CustomerList::new(0, 0, None)).to_string(), r#"{"customers":[]}"#);
        assert_eq!(whole(CustomerList::new(CUSTOMERS, u64::MAX, None)).to_string(), r#"{"customers":[]}"#);
    }
}

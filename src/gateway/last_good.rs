//! The last good answers of vendors, in memory, treated as they came in.
//!
//! An answer is given again to the same request only: the key is a digest of the contract, the route, the target and
//! every header field that could change the answer. A request that proves somebody (`Authorization`, `Cookie`) has no
//! key, and an answer that is marked as private, or sets a cookie, is not kept. The process holds a bounded number of
//! bytes; what was not used for the longest time goes first.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ::http::header::{
    AGE, AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, COOKIE, HeaderMap, HeaderName, PROXY_AUTHORIZATION,
    SET_COOKIE, TRANSFER_ENCODING, USER_AGENT, VARY, VIA,
};
use ::http::{Method, StatusCode, request};
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::bounds::{LAST_GOOD_BYTES_MAX, LAST_GOOD_ENTRIES_MAX, LAST_GOOD_TOTAL_BYTES_MAX};
use crate::config::StaticAnswer;
use crate::http::BodyError;
use crate::model::Moment;

/// Request fields that say who calls: an answer to such a request may be about that person.
const PERSONAL: [HeaderName; 3] = [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION];

/// Request fields that change no answer, unless it says so in `Vary`.
const NEUTRAL: [HeaderName; 8] = [
    USER_AGENT,
    CONNECTION,
    CONTENT_LENGTH,
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("baggage"),
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("x-correlation-id"),
];

/// Response fields that belong to the one exchange.
const OF_THE_EXCHANGE: [HeaderName; 8] = [
    AGE,
    CONNECTION,
    CONTENT_LENGTH,
    TRANSFER_ENCODING,
    VIA,
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("ratelimit"),
    HeaderName::from_static("ratelimit-policy"),
];

/// The last good answers of all vendors.
#[derive(Debug)]
pub struct LastGoodStore(Cache<LastGoodKey, KeptAnswer, AnswerWeight>);

/// The digest of a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct LastGoodKey([u8; 32]);

#[derive(Debug, Clone)]
struct KeptAnswer {
    answer: Arc<StaticAnswer>,
    /// How old it was when it came.
    age: Duration,
    at_ns: u64,
}

#[derive(Debug, Clone)]
struct AnswerWeight;

impl Weighter<LastGoodKey, KeptAnswer> for AnswerWeight {
    fn weight(&self, _: &LastGoodKey, kept: &KeptAnswer) -> u64 {
        let fields: usize =
            kept.answer.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 64).sum();
        (kept.answer.body.len() + fields + 256) as u64
    }
}

impl Default for LastGoodStore {
    fn default() -> Self {
        Self(Cache::with_weighter(LAST_GOOD_ENTRIES_MAX, LAST_GOOD_TOTAL_BYTES_MAX, AnswerWeight))
    }
}

impl LastGoodStore {
    /// The answer to the same request, and its age, where it is at most this old.
    pub(super) fn fresh(
        &self,
        key: &LastGoodKey,
        most: Duration,
        now: Moment,
    ) -> Option<(Arc<StaticAnswer>, Duration)> {
        let kept = self.0.get(key)?;
        let since = Duration::from_nanos(now.monotonic_ns.saturating_sub(kept.at_ns));
        (since <= most).then(|| (kept.answer, kept.age.saturating_add(since)))
    }
}

impl LastGoodKey {
    /// The key of a request; `None` where its answer is never kept.
    pub(super) fn of(contract: u64, place: &[&str], head: &request::Parts) -> Option<Self> {
        let is_personal = PERSONAL.iter().any(|name| head.headers.contains_key(name));
        if head.method != Method::GET || is_personal || has_directive(&head.headers, &["no-store"]) {
            return None;
        }
        let mut digest = blake3::Hasher::new();
        let mut part = |text: &[u8]| {
            digest.update(&(text.len() as u64).to_le_bytes()).update(text);
        };
        part(&contract.to_le_bytes());
        place.iter().for_each(|text| part(text.as_bytes()));
        part(head.uri.to_string().as_bytes());
        let mut fields: Vec<_> = head.headers.iter().filter(|(name, _)| !NEUTRAL.contains(name)).collect();
        // Stable, so that fields of one name keep their order.
        fields.sort_by_key(|(name, _)| name.as_str());
        for (name, value) in fields {
            part(name.as_str().as_bytes());
            part(value.as_bytes());
        }
        Some(Self(*digest.finalize().as_bytes()))
    }
}

/// Whether `Cache-Control` has one of these directives.
fn has_directive(headers: &HeaderMap, directives: &[&str]) -> bool {
    let values = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|said| {
        let name = said.split('=').next().unwrap_or_default().trim();
        directives.iter().any(|directive| name.eq_ignore_ascii_case(directive))
    })
}

/// Whether an answer depends on a field that is not part of the key.
fn varies_beyond_the_key(headers: &HeaderMap) -> bool {
    headers.get_all(VARY).iter().any(|value| {
        let Ok(names) = value.to_str() else { return true };
        names.split(',').map(str::trim).any(|name| {
            name == "*" || NEUTRAL.iter().chain(&PERSONAL).any(|known| known.as_str().eq_ignore_ascii_case(name))
        })
    })
}

/// An answer that is kept once it has passed whole.
#[derive(Debug)]
pub(super) struct AnswerToKeep {
    store: Arc<LastGoodStore>,
    key: LastGoodKey,
    headers: HeaderMap,
    body: BytesMut,
    age: Duration,
    at: Moment,
}

impl AnswerToKeep {
    /// An answer that may be kept; `None` for one that may not. `headers` are those that the caller gets.
    pub(super) fn of(
        store: &Arc<LastGoodStore>,
        key: LastGoodKey,
        status: StatusCode,
        headers: &HeaderMap,
        at: Moment,
    ) -> Option<Self> {
        let is_private = headers.contains_key(SET_COOKIE) || has_directive(headers, &["no-store", "private"]);
        if status != StatusCode::OK || is_private || varies_beyond_the_key(headers) {
            return None;
        }
        // RFC 9111 section 1.2.2: a number of seconds has 31 bits.
        let age = headers.get(AGE).and_then(|age| age.to_str().ok()?.parse::<u64>().ok()).unwrap_or(0).min(1 << 31);
        let mut headers = headers.clone();
        for name in OF_THE_EXCHANGE {
            headers.remove(name);
        }
        let (store, age) = (Arc::clone(store), Duration::from_secs(age));
        Some(Self { store, key, headers, body: BytesMut::new(), age, at })
    }

    /// A body that passes, and is kept when it has passed whole.
    pub(super) fn with_body<B: Body<Data = Bytes, Error = BodyError> + Unpin>(self, body: B) -> KeepingBody<B> {
        let mut keeping = KeepingBody { body, kept: Some(self) };
        if keeping.body.is_end_stream() {
            keeping.keep();
        }
        keeping
    }

    fn store(self) {
        let answer = StaticAnswer { status: StatusCode::OK, headers: self.headers, body: self.body.freeze() };
        let kept = KeptAnswer { answer: Arc::new(answer), age: self.age, at_ns: self.at.monotonic_ns };
        self.store.0.insert(self.key, kept);
    }
}

/// A body that is kept as it passes.
#[derive(Debug)]
pub(super) struct KeepingBody<B> {
    body: B,
    /// `None` once it was kept, or cannot be.
    kept: Option<AnswerToKeep>,
}

impl<B: Body<Data = Bytes, Error = BodyError> + Unpin> KeepingBody<B> {
    /// Takes in what passes.
    fn pass(&mut self, frame: Option<&Result<Frame<Bytes>, BodyError>>) {
        let Some(kept) = &mut self.kept else { return };
        match frame {
            Some(Ok(frame)) => match frame.data_ref() {
                Some(data) if kept.body.len() + data.len() <= LAST_GOOD_BYTES_MAX => kept.body.extend_from_slice(data),
                // A body with trailers is not whole without them.
                Some(_) | None => self.kept = None,
            },
            Some(Err(_)) => self.kept = None,
            None => self.keep(),
        }
        // hyper does not poll a body to its end that says it is at its end.
        if self.body.is_end_stream() {
            self.keep();
        }
    }

    fn keep(&mut self) {
        if let Some(kept) = self.kept.take() {
            kept.store();
        }
    }
}

impl<B: Body<Data = Bytes, Error = BodyError> + Unpin> Body for KeepingBody<B> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        self.pass(frame.as_ref());
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use ::http::Request;

    use super::*;

    fn key(text: &[(&str, &str)]) -> Option<LastGoodKey> {
        let mut request = Request::get("/v1/a?b=1");
        for (name, value) in text {
            request = request.header(*name, *value);
        }
        let (head, ()) = request.body(()).expect("a request").into_parts();
        LastGoodKey::of(7, &["acme", "GET /v1/a"], &head)
    }

    #[test]
    fn a_key_is_of_all_that_could_change_the_answer() {
        let plain = key(&[]);
        assert!(plain.is_some());
        for neutral in [("user-agent", "a"), ("traceparent", "00-a"), ("x-request-id", "1")] {
            assert_eq!(key(&[neutral]), plain, "{neutral:?}");
        }
        for other in
            [("accept", "text/csv"), ("accept-language", "de"), ("x-api-key", "k"), ("x-tenant", "7"), ("host", "b")]
        {
            assert!(key(&[other]).is_some_and(|key| Some(key) != plain), "{other:?}");
        }
        assert_ne!(key(&[("a", "bc")]), key(&[("ab", "c")]));
        for personal in [("authorization", "Bearer a"), ("cookie", "a=b"), ("cache-control", "max-age=0, No-Store")] {
            assert_eq!(key(&[personal]), None, "{personal:?}");
        }
        let (head, ()) = Request::post("/v1/a").body(()).expect("a request").into_parts();
        assert_eq!(LastGoodKey::of(7, &["acme"], &head), None);
    }

    #[test]
    fn only_an_answer_that_anybody_may_have_is_kept() {
        let store = Arc::new(LastGoodStore::default());
        let now = crate::model::Clock::manual(crate::model::UnixTime::default()).now();
        let may_keep = |status: u16, fields: &[(&'static str, &str)]| {
            let headers = fields.iter().map(|(name, value)| {
                (HeaderName::from_static(name), ::http::HeaderValue::try_from(*value).expect("a value"))
            });
            let status = StatusCode::from_u16(status).expect("a status");
            AnswerToKeep::of(&store, key(&[]).expect("a key"), status, &headers.collect(), now).is_some()
        };
        assert!(may_keep(200, &[]) && may_keep(200, &[("vary", "accept-encoding"), ("cache-control", "max-age=1")]));
        for fields in [
            ("set-cookie", "a=b"),
            ("cache-control", "private"),
            ("cache-control", "max-age=1, no-store"),
            ("vary", "*"),
            ("vary", "accept, Cookie"),
            ("vary", "user-agent"),
        ] {
            assert!(!may_keep(200, &[fields]), "{fields:?}");
        }
        assert!(![201, 206, 204, 404, 500].into_iter().any(|status| may_keep(status, &[])));
    }
}

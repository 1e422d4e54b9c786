//! Keeps a request for another attempt: its head, and its body while that is small.
//!
//! Each attempt has a body of its own over one source. It gives what was read before, and then reads on, so that a body
//! of which the last attempt has sent nothing, a part or all can be sent again from its first byte. Only the newest
//! attempt reads: the source has treated, charged and counted a byte when it gave it, and gives no byte twice. So
//! budgets, records and the exposure have an exchange once, however often it is sent: the same bytes tell the same
//! vendor nothing new.
//!
//! Armed only where a route may need it. Never waits, and never holds more than [`bounds::REPLAY_BODY_BYTES_MAX`].

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use ::http::{HeaderMap, Method, Request, Uri};
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};

use crate::bounds;
use crate::http::{BodyError, GatewayBody};
use crate::model::Lock as _;

/// A request that can be sent again while its body is kept. Dropping it frees what is kept.
#[derive(Debug)]
pub(super) struct Replay {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    /// `None` for a request without a body.
    body: Option<Arc<Mutex<ReplayedBody>>>,
}

/// The one source of the bodies of all attempts.
#[derive(Debug)]
struct ReplayedBody {
    /// `None` once it has ended or failed.
    source: Option<GatewayBody>,
    kept: BytesMut,
    /// Whether `kept` holds all that the source has given.
    is_whole: bool,
    /// The number of the newest attempt.
    attempt: u32,
}

/// The body of one attempt.
struct AttemptBody {
    shared: Arc<Mutex<ReplayedBody>>,
    attempt: u32,
    /// How much of what is kept was given.
    given: usize,
}

impl Replay {
    /// Keeps a request, and returns its first attempt.
    pub(super) fn arm(request: Request<GatewayBody>) -> (Self, Request<GatewayBody>) {
        let (head, body) = request.into_parts();
        let body = (!body.is_end_stream()).then(|| {
            let kept = BytesMut::new();
            Arc::new(Mutex::new(ReplayedBody { source: Some(body), kept, is_whole: true, attempt: 0 }))
        });
        let first = body.as_ref().map_or_else(|| GatewayBody::full(""), |shared| AttemptBody::stream(shared, 0));
        let replay = Self { method: head.method.clone(), uri: head.uri.clone(), headers: head.headers.clone(), body };
        (replay, Request::from_parts(head, first))
    }

    /// The next attempt, with the head as it was kept. The body of the attempt before gives nothing more. `None` where
    /// the body is larger than what is kept, has broken off, or had trailers.
    pub(super) fn again(&self) -> Option<Request<GatewayBody>> {
        let body = match &self.body {
            None => GatewayBody::full(""),
            Some(shared) => {
                let mut state = shared.locked();
                if !state.is_whole {
                    return None;
                }
                state.attempt += 1;
                let attempt = state.attempt;
                drop(state);
                AttemptBody::stream(shared, attempt)
            }
        };
        let mut request = Request::new(body);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        Some(request)
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        if let Some(shared) = &self.body {
            shared.locked().keep_no_more();
        }
    }
}

impl ReplayedBody {
    /// No attempt follows: what the last one has been given already is freed.
    fn keep_no_more(&mut self) {
        self.is_whole = false;
    }

    /// Reads on. Only the newest attempt calls this, when it was given all that is kept.
    fn poll_source(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some(source) = &mut self.source else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(&mut *source).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => match frame.data_ref() {
                Some(data) if self.is_whole && self.kept.len() + data.len() <= bounds::REPLAY_BODY_BYTES_MAX => {
                    self.kept.extend_from_slice(data);
                }
                Some(_) | None => self.is_whole = false,
            },
            Some(Err(_)) => self.is_whole = false,
            None => {}
        }
        // Dropped at its end at once, so that the exchange learns of the end whatever happens to the attempt.
        if !matches!(&frame, Some(Ok(_))) || source.is_end_stream() {
            self.source = None;
        }
        Poll::Ready(frame)
    }
}

impl AttemptBody {
    fn stream(shared: &Arc<Mutex<ReplayedBody>>, attempt: u32) -> GatewayBody {
        GatewayBody::stream(Self { shared: Arc::clone(shared), attempt, given: 0 })
    }
}

impl Body for AttemptBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let mut shared = this.shared.locked();
        if shared.attempt != this.attempt {
            return Poll::Ready(Some(Err(BodyError::Aborted)));
        }
        let rest = shared.kept.get(this.given..).filter(|rest| !rest.is_empty()).map(Bytes::copy_from_slice);
        if let Some(rest) = rest {
            this.given += rest.len();
            return Poll::Ready(Some(Ok(Frame::data(rest))));
        }
        let frame = ready!(shared.poll_source(cx));
        if !shared.is_whole {
            shared.kept = BytesMut::new();
        }
        this.given = shared.kept.len();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        let shared = self.shared.locked();
        shared.attempt == self.attempt && shared.source.is_none() && self.given >= shared.kept.len()
    }

    fn size_hint(&self) -> SizeHint {
        let shared = self.shared.locked();
        let kept = shared.kept.len().saturating_sub(self.given) as u64;
        let rest = shared.source.as_ref().map_or(SizeHint::with_exact(0), Body::size_hint);
        let mut hint = SizeHint::new();
        hint.set_lower(kept.saturating_add(rest.lower()));
        if let Some(upper) = rest.upper() {
            hint.set_upper(kept.saturating_add(upper));
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// A source that gives these frames: `None` says that it has nothing yet.
    struct Frames(VecDeque<Option<Result<Frame<Bytes>, BodyError>>>);

    impl Body for Frames {
        type Data = Bytes;
        type Error = BodyError;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
            match self.0.pop_front() {
                Some(None) => Poll::Pending,
                Some(Some(frame)) => Poll::Ready(Some(frame)),
                None => Poll::Ready(None),
            }
        }
    }

    fn request(frames: Vec<Option<Result<Frame<Bytes>, BodyError>>>) -> Request<GatewayBody> {
        let request = Request::post("/v1/charges?a=1").header("x-one", "1");
        request.body(GatewayBody::stream(Frames(frames.into()))).expect("a request")
    }

    fn data(text: &str) -> Option<Result<Frame<Bytes>, BodyError>> {
        Some(Ok(Frame::data(Bytes::copy_from_slice(text.as_bytes()))))
    }

    /// What a body gives until it waits, ends or fails, and which of them it was.
    fn read(body: &mut GatewayBody) -> (String, &'static str) {
        let (mut text, mut cx) = (String::new(), Context::from_waker(std::task::Waker::noop()));
        loop {
            match Pin::new(&mut *body).poll_frame(&mut cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    text.push_str(&String::from_utf8_lossy(&frame.into_data().unwrap_or_default()));
                }
                Poll::Ready(Some(Err(_))) => return (text, "failed"),
                Poll::Ready(None) => return (text, "ended"),
                Poll::Pending => return (text, "waits"),
            }
        }
    }

    #[test]
    fn a_request_without_a_body_can_be_sent_again_and_again() {
        let (replay, first) = Replay::arm(Request::get("/v1").body(GatewayBody::full("")).expect("a request"));
        assert!(first.body().is_end_stream());
        for _ in 0..3 {
            let again = replay.again().expect("another");
            assert!(again.body().is_end_stream() && again.uri() == "/v1" && again.method() == Method::GET);
        }
    }

    #[test]
    fn a_small_body_is_sent_again_whole_wherever_the_attempt_before_has_stopped() {
        for stop in 0..3 {
            let (replay, mut first) = Replay::arm(request(vec![data("ab"), None, data("c"), None, data("de")]));
            let mut sent = String::new();
            (0..stop).for_each(|_| sent.push_str(&read(first.body_mut()).0));
            let mut again = replay.again().expect("another");
            assert_eq!(read(first.body_mut()), (String::new(), "failed"), "only the newest attempt reads");
            let mut all = String::new();
            let end = loop {
                let (text, end) = read(again.body_mut());
                all.push_str(&text);
                if end != "waits" {
                    break end;
                }
            };
            assert_eq!((all.as_str(), end), ("abcde", "ended"), "after {sent:?}");
            assert_eq!(
                (again.uri().to_string().as_str(), &again.headers()["x-one"]),
                ("/v1/charges?a=1", &"1".parse().unwrap())
            );
            let mut third = replay.again().expect("another");
            assert_eq!(third.body().size_hint().exact(), Some(5));
            assert_eq!(read(third.body_mut()), ("abcde".to_owned(), "ended"));
        }
    }

    #[test]
    fn a_large_body_passes_and_cannot_be_sent_again() {
        let (piece, most) = ("x".repeat(1024), bounds::REPLAY_BODY_BYTES_MAX / 1024);
        for (pieces, fits) in [(most, true), (most + 1, false)] {
            let (replay, mut first) = Replay::arm(request((0..pieces).map(|_| data(&piece)).collect()));
            assert_eq!(read(first.body_mut()), (piece.repeat(pieces), "ended"));
            assert_eq!(replay.again().is_some(), fits, "{pieces} KiB");
        }
    }

    #[test]
    fn a_body_that_broke_off_or_had_trailers_cannot_be_sent_again() {
        let mut fields = HeaderMap::new();
        fields.insert("server-timing", "a".parse().unwrap());
        for last in [Ok(Frame::trailers(fields)), Err(BodyError::BudgetSpent)] {
            let (replay, mut first) = Replay::arm(request(vec![data("ab"), Some(last)]));
            assert_eq!(read(first.body_mut()).0, "ab");
            assert!(replay.again().is_none());
        }
    }

    #[test]
    fn the_last_attempt_keeps_nothing_and_loses_nothing() {
        let (replay, mut first) = Replay::arm(request(vec![data("ab"), None, data("cd"), None, data("ef")]));
        assert_eq!(read(first.body_mut()), ("ab".to_owned(), "waits"));
        let mut again = replay.again().expect("another");
        let shared = Arc::clone(replay.body.as_ref().expect("a body"));
        drop(replay);
        assert_eq!(read(again.body_mut()), ("abcd".to_owned(), "waits"), "what it was not given yet is still there");
        assert_eq!(shared.locked().kept.capacity(), 0);
        assert_eq!(read(again.body_mut()), ("ef".to_owned(), "ended"));
    }
}

//! The bytes of HTTP/1.1 messages: the screen before the parser must come to one verdict however they are cut, and
//! agree with the parser on where messages begin.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use vendorgate::internals::http::{
    ExpectedResponse, FrameError, FramePart, FrameReader, FramingError, PendingResponse, RequestSequence,
    ScreenedStream, WebSocketSide,
};

/// A caller's requests: cut, and read by hyper behind the screen.
pub fn requests(data: &[u8]) {
    let whole = through_requests(data, usize::MAX);
    for piece in [data.len() / 2, data.len() / 3, 1] {
        assert_eq!(through_requests(data, piece), whole, "cut into pieces of {piece}");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(served(data));
}

/// The frames of a WebSocket: what is read of whole messages is the same however they are cut.
pub fn websocket(data: &[u8]) {
    for side in [WebSocketSide::Client, WebSocketSide::Server] {
        let whole = through_frames(side, data, usize::MAX);
        for piece in [data.len() / 2, data.len() / 3, 1] {
            assert_eq!(through_frames(side, data, piece), whole, "cut into pieces of {piece}");
        }
    }
}

/// The whole messages and control frames, in words, and the error.
fn through_frames(side: WebSocketSide, data: &[u8], piece: usize) -> (Vec<String>, Option<FrameError>) {
    let (mut reader, mut read, mut open) = (FrameReader::new(side), Vec::new(), Vec::new());
    for mut piece in data.chunks(piece.max(1)) {
        loop {
            match reader.read(&mut piece) {
                Ok(None) => break,
                Ok(Some(FramePart::Control(frame))) => read.push(format!("{frame:?}")),
                Ok(Some(FramePart::Data { bytes, is_last, .. })) => {
                    open.extend_from_slice(bytes);
                    if is_last {
                        read.push(format!("{:?}", std::mem::take(&mut open)));
                    }
                }
                Err(error) => return (read, Some(error)),
            }
        }
    }
    (read, None)
}

/// An upstream's answers, to a request of the kind that the first byte chooses.
pub fn answers(data: &[u8]) {
    let (kind, data) = data.split_first().unwrap_or((&0, data));
    let kinds = [
        ExpectedResponse::Response,
        ExpectedResponse::HeadResponse,
        ExpectedResponse::Upgrade,
        ExpectedResponse::Nothing,
    ];
    let expected = kinds[usize::from(*kind) % kinds.len()];
    let whole = through_answers(expected, data, usize::MAX);
    for piece in [data.len() / 2, data.len() / 3, 1] {
        assert_eq!(through_answers(expected, data, piece), whole, "cut into pieces of {piece}");
    }
}

fn through_requests(data: &[u8], piece: usize) -> (Vec<u8>, Option<FramingError>, bool) {
    let turns = Arc::new(RequestSequence::default());
    (0..data.len()).for_each(|_| turns.response_sent(false));
    let (out, failed) = drain(ScreenedStream::requests(Pieces::of(data, piece), Arc::clone(&turns)));
    (out, (0..=data.len()).find_map(|_| turns.next_request()), failed)
}

fn through_answers(expected: ExpectedResponse, data: &[u8], piece: usize) -> (Vec<u8>, Option<FramingError>, bool) {
    let asked = Arc::new(PendingResponse::default());
    asked.expect(expected);
    let (out, failed) = drain(ScreenedStream::answers(Pieces::of(data, piece), Arc::clone(&asked)));
    (out, asked.error(), failed)
}

fn drain(mut screened: impl AsyncRead + Unpin) -> (Vec<u8>, bool) {
    let (mut out, mut cx) = (Vec::new(), Context::from_waker(std::task::Waker::noop()));
    loop {
        let mut bytes = [0; 512];
        let mut buf = ReadBuf::new(&mut bytes);
        match Pin::new(&mut screened).poll_read(&mut cx, &mut buf) {
            Poll::Ready(Ok(())) if buf.filled().is_empty() => return (out, false),
            Poll::Ready(Ok(())) => out.extend_from_slice(buf.filled()),
            Poll::Ready(Err(_)) => return (out, true),
            Poll::Pending => return (out, false),
        }
    }
}

/// Bytes that come a piece at a time.
struct Pieces(Vec<Vec<u8>>);

impl Pieces {
    fn of(data: &[u8], piece: usize) -> Self {
        Self(data.chunks(piece.max(1)).map(<[u8]>::to_vec).rev().collect())
    }
}

impl AsyncRead for Pieces {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Some(mut piece) = self.0.pop() {
            let rest = piece.split_off(piece.len().min(buf.remaining()));
            buf.put_slice(&piece);
            self.0.extend(Some(rest).filter(|rest| !rest.is_empty()));
        }
        Poll::Ready(Ok(()))
    }
}

/// What stands for a refused request is read by hyper as the very request that the screen has refused: were the two at
/// odds about where a message begins, it would be another's.
async fn served(data: &[u8]) {
    let (mut ours, theirs) = tokio::io::duplex(1 << 20);
    let turns = Arc::new(RequestSequence::default());
    let screened = ScreenedStream::requests(theirs, Arc::clone(&turns));
    let service = service_fn(move |request: Request<Incoming>| {
        let turns = Arc::clone(&turns);
        async move {
            let flaw = turns.next_request();
            let stands_for_one =
                request.method() == "-" && request.headers().get("host").is_some_and(|it| it == "refused");
            assert!(stands_for_one || flaw.is_none(), "{flaw:?} of another request: {request:?}");
            let mut body = request.into_body();
            while let Some(Ok(_)) = body.frame().await {}
            turns.response_sent(false);
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        }
    });
    let connection = http1::Builder::new().half_close(true).serve_connection(TokioIo::new(screened), service);
    talk(&mut ours, data, connection).await;
}

async fn talk(ours: &mut (impl AsyncRead + AsyncWrite + Unpin), data: &[u8], connection: impl Future) {
    let mut answers = Vec::new();
    ours.write_all(data).await.expect("it fits");
    ours.shutdown().await.expect("it closes");
    // Both end: the connection by the end of what it reads or by a refusal.
    let _ = tokio::join!(connection, ours.read_to_end(&mut answers));
}

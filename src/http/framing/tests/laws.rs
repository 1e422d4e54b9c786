//! Any split of the bytes gives one verdict, the plain reader agrees with it, and hyper reads the same from what
//! passes.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};

use super::reference::{self, Message, Reading};
use super::*;

/// Bytes of requests as they could arrive: most requests are good, and some are cut.
fn traffic() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "GET /a HTTP/1.1\r\n",
        "POST /b?c HTTP/1.1\r\n",
        "GET /a HTTP/1.0\r\n",
        "GET /a HTTP/1.1\n",
        "Host: a\r\n",
        "Content-Length: 5\r\n",
        "content-length:5\r\n",
        "Content-Length: 05\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Upgrade: websocket\r\n",
        "X: y\r\n",
        "X : y\r\n",
        " y\r\n",
        ":\r\n",
        "\r\n",
        "\n",
        "\r",
        "\0",
        "hello",
        "5\r\nhello\r\n",
        "5;x\r\nhello\r\n",
        "5 \r\n",
        "0\r\n",
        "0\r\n\r\n",
        "\u{e9}",
    ]);
    let good = prop::sample::select(vec![
        "GET /a HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\nGET /a HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n",
        "POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe\n\0\r",
        "POST /c HTTP/1.1\r\nContent-Length: 0\r\nHost: a\r\n\r\n",
        "POST /d HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0A;x=\"y\"\r\n0123456789\r\n0\r\n\r\n",
        "POST /e HTTP/1.1\r\nHost: a\r\ntransfer-encoding:\tCHUNKED\r\n\r\n000\r\nX: y\r\n\r\n",
        "GET /f HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n",
    ]);
    let bytes = |text: &str| text.as_bytes().to_vec();
    let one = prop_oneof![6 => good.prop_map(bytes), 2 => piece.prop_map(bytes), 1 => prop::collection::vec(any::<u8>(), 1..4)];
    prop::collection::vec(one, 0..8).prop_map(|pieces| pieces.concat())
}

/// Reads through the screened stream, from pieces of one size into buffers of another.
fn screened(input: &[u8], piece: usize, buffer: usize) -> (Vec<u8>, Option<FramingError>, bool) {
    let turns = Arc::new(RequestSequence::default());
    // Each request is answered at once, and none is upgraded.
    (0..1000).for_each(|_| turns.response_sent(false));
    let source = Pieces { left: input.chunks(piece).map(<[u8]>::to_vec).rev().collect() };
    let mut screened = ScreenedStream::requests(source, Arc::clone(&turns));
    let (mut out, mut failed) = (Vec::new(), false);
    let mut cx = Context::from_waker(std::task::Waker::noop());
    loop {
        let mut bytes = vec![0; buffer];
        let mut buf = ReadBuf::new(&mut bytes);
        match Pin::new(&mut screened).poll_read(&mut cx, &mut buf) {
            Poll::Ready(Ok(())) if buf.filled().is_empty() => break,
            Poll::Ready(Ok(())) => out.extend_from_slice(buf.filled()),
            Poll::Ready(Err(_)) => {
                failed = true;
                break;
            }
            // Nothing is read after a refusal.
            Poll::Pending => break,
        }
    }
    let refused = (0..1000).find_map(|_| turns.next_request());
    (out, refused, failed)
}

struct Pieces {
    left: Vec<Vec<u8>>,
}

impl AsyncRead for Pieces {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Some(mut piece) = self.left.pop() {
            let rest = piece.split_off(piece.len().min(buf.remaining()));
            buf.put_slice(&piece);
            if !rest.is_empty() {
                self.left.push(rest);
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// What hyper reads from bytes that were not screened.
async fn read_by_hyper(input: &[u8]) -> Vec<Message> {
    let (mut ours, theirs) = tokio::io::duplex(1 << 20);
    let read = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&read);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let seen = Arc::clone(&seen);
        async move {
            let line = format!("{} {} {:?}", request.method(), request.uri(), request.version());
            let upgrade = request.headers().contains_key("upgrade");
            let (mut incoming, mut body) = (request.into_body(), Vec::new());
            while let Some(frame) = incoming.frame().await {
                let Ok(frame) = frame else { return Ok::<_, Infallible>(hyper::Response::new(Full::default())) };
                body.extend_from_slice(&frame.into_data().unwrap_or_default());
            }
            seen.lock().expect("no panic").push(Message { line, body, upgrade });
            Ok(hyper::Response::new(Full::<Bytes>::default()))
        }
    });
    ours.write_all(input).await.expect("it fits");
    ours.shutdown().await.expect("it closes");
    let connection = http1::Builder::new().half_close(true).serve_connection(TokioIo::new(theirs), service);
    let mut answers = Vec::new();
    let _ = tokio::join!(connection, ours.read_to_end(&mut answers));
    let read = read.lock().expect("no panic");
    read.clone()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_split_comes_to_one_verdict_and_the_plain_reading_agrees(
        input in traffic(), piece in 1..40_usize, buffer in 1..40_usize
    ) {
        let whole = screened(&input, usize::MAX, 1 << 16);
        prop_assert_eq!(&screened(&input, piece, buffer), &whole);
        prop_assert_eq!(&screened(&input, 1, 1 << 16), &whole);
        let Reading { messages, error } = reference::read(&input);
        let (out, refused, failed) = whole;
        // An error in a head is answered by its name; an error in a body breaks the body off.
        prop_assert_eq!(refused.is_some() || failed, error.is_some(), "{:?}", error);
        if refused.is_some() {
            prop_assert_eq!(refused, error);
        }
        // The output holds the same requests, and after them the placeholder of a refused one.
        let after = reference::read(&out);
        prop_assert_eq!(after.error, None);
        prop_assert_eq!(&after.messages[..messages.len()], &messages[..]);
        prop_assert_eq!(after.messages.len() - messages.len(), usize::from(refused.is_some()));
    }

    #[test]
    fn hyper_reads_alike_what_passes(input in traffic()) {
        let Reading { messages, error } = reference::read(&input);
        prop_assume!(error.is_none());
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let read = runtime.block_on(read_by_hyper(&input));
        let last = messages.iter().position(|message| message.line.ends_with("1.0")).map_or(messages.len(), |at| at + 1);
        prop_assert_eq!(read, messages[..last].iter().map(|message| {
            let has_upgrade = message.upgrade;
            Message { upgrade: has_upgrade, ..message.clone() }
        }).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn bytes_after_an_upgrade_request_wait_for_the_response() {
    for switched in [true, false] {
        let turns = Arc::new(RequestSequence::default());
        let (mut ours, theirs) = tokio::io::duplex(1 << 16);
        let mut screened = ScreenedStream::requests(theirs, Arc::clone(&turns));
        let upgrade = b"GET /a HTTP/1.1\r\nUpgrade: websocket\r\n\r\n";
        ours.write_all(&[&upgrade[..], b"early\n"].concat()).await.expect("it fits");
        let mut bytes = [0; 1024];
        assert_eq!(screened.read(&mut bytes).await.expect("a head"), upgrade.len());
        assert_eq!(turns.next_request(), None);
        let next = tokio::spawn(async move {
            let read = screened.read(&mut bytes).await.expect("what follows");
            bytes[..read].to_vec()
        });
        tokio::task::yield_now().await;
        assert!(!next.is_finished());
        turns.response_sent(switched);
        let next = next.await.expect("no panic");
        if switched {
            assert_eq!(next, b"early\n");
        } else {
            assert!(next.starts_with(b"- / HTTP/1.1\r\n"), "{next:?}");
            assert_eq!(turns.next_request(), Some(FramingError::BareLf));
        }
    }
}

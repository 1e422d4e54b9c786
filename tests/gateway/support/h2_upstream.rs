//! Upstreams that speak HTTP/2: one by h2's server, and one that writes any frames by hand.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{RecvStream, server};
use http::{Request, Response};

use super::PATIENCE;
use super::h2_frames::{DATA, END_HEADERS, END_STREAM, HEADERS, PING, PREFACE, SETTINGS, frame};

type ScriptFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// An upstream by h2's server. It lives as long as the process.
#[derive(Clone)]
pub(crate) struct Http2Upstream {
    pub(crate) address: SocketAddr,
    shared: Arc<Http2State>,
}

#[derive(Default)]
struct Http2State {
    seen: Mutex<Vec<Request<()>>>,
    bodies: Mutex<Vec<ReceivedBody>>,
    connections: AtomicUsize,
}

/// The body of a request as it arrived.
#[derive(Debug, Clone, Default)]
pub(crate) struct ReceivedBody {
    pub(crate) bytes: Vec<u8>,
    pub(crate) trailers: Option<http::HeaderMap>,
    /// The error that the body broke off with.
    pub(crate) broken: Option<String>,
}

impl Http2Upstream {
    /// Runs a script for each request.
    pub(crate) fn start<F: Future<Output = ()> + Send + 'static>(
        script: impl Fn(Http2Call) -> F + Send + Sync + 'static,
    ) -> Self {
        Self::with(server::Builder::new(), script)
    }

    /// As [`Self::start`], with other settings.
    pub(crate) fn with<F: Future<Output = ()> + Send + 'static>(
        settings: server::Builder,
        script: impl Fn(Http2Call) -> F + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("a mode");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Http2State::default());
        let theirs = Arc::clone(&shared);
        let script = move |call| Box::pin(script(call)) as ScriptFuture;
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(serve(listener, &settings, &theirs, Arc::new(script)));
        });
        Self { address, shared }
    }

    /// The heads of all requests so far.
    pub(crate) fn seen(&self) -> Vec<Request<()>> {
        self.shared.seen.lock().expect("no panic").clone()
    }

    /// The bodies that scripts have read so far.
    pub(crate) fn bodies(&self) -> Vec<ReceivedBody> {
        self.shared.bodies.lock().expect("no panic").clone()
    }

    /// How many connections were made.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }
}

/// One request, and what it is answered with.
pub(crate) struct Http2Call {
    pub(crate) head: Request<()>,
    pub(crate) body: RecvStream,
    pub(crate) answer: SendResponse<Bytes>,
    shared: Arc<Http2State>,
}

impl Http2Call {
    /// Reads the request's body to its end, and keeps it.
    pub(crate) async fn read(&mut self) -> ReceivedBody {
        let mut received = ReceivedBody::default();
        while let Some(piece) = self.body.data().await {
            match piece {
                Ok(piece) => {
                    let _ = self.body.flow_control().release_capacity(piece.len());
                    received.bytes.extend_from_slice(&piece);
                }
                Err(error) => {
                    received.broken = Some(error.to_string());
                    break;
                }
            }
        }
        if received.broken.is_none() {
            received.trailers = self.body.trailers().await.ok().flatten();
        }
        self.shared.bodies.lock().expect("no panic").push(received.clone());
        received
    }

    /// Answers with these fields and this body.
    pub(crate) fn respond(&mut self, fields: &[(&str, &str)], body: impl Into<Bytes>) {
        let body = body.into();
        let mut stream = self.answer.send_response(head(fields), false).expect("it may answer");
        let _ = stream.send_data(body, true);
    }
}

/// The head of a success.
pub(crate) fn head(fields: &[(&str, &str)]) -> Response<()> {
    let mut builder = Response::builder().status(200);
    for (name, value) in fields {
        builder = builder.header(*name, *value);
    }
    builder.body(()).expect("a head")
}

async fn serve(
    listener: TcpListener,
    settings: &server::Builder,
    shared: &Arc<Http2State>,
    script: Arc<impl Fn(Http2Call) -> ScriptFuture + Send + Sync + 'static>,
) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
    while let Ok((stream, _)) = listener.accept().await {
        shared.connections.fetch_add(1, Ordering::SeqCst);
        let (shared, script, settings) = (Arc::clone(shared), Arc::clone(&script), settings.clone());
        tokio::spawn(async move {
            let Ok(mut connection) = settings.handshake::<_, Bytes>(stream).await else { return };
            while let Some(Ok((request, answer))) = connection.accept().await {
                let (head, body) = request.into_parts();
                let head = Request::from_parts(head, ());
                shared.seen.lock().expect("no panic").push(head.clone());
                tokio::spawn(script(Http2Call { head, body, answer, shared: Arc::clone(&shared) }));
            }
        });
    }
}

/// An upstream that answers the head of each request with frames made by hand.
pub(crate) struct FrameUpstream {
    pub(crate) address: SocketAddr,
    /// How many connections were made.
    pub(crate) connections: Arc<AtomicUsize>,
}

impl FrameUpstream {
    /// `script` makes the frames that follow the head of a request, from the number of the connection, counted from 0,
    /// and its stream. No frames end the connection.
    pub(crate) fn start(script: impl Fn(usize, u32) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let (connections, script) = (Arc::new(AtomicUsize::new(0)), Arc::new(script));
        let count = Arc::clone(&connections);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (script, number) = (Arc::clone(&script), count.fetch_add(1, Ordering::SeqCst));
                std::thread::spawn(move || speak(stream, |stream| script(number, stream)));
            }
        });
        Self { address, connections }
    }
}

fn speak(mut stream: TcpStream, script: impl Fn(u32) -> Vec<u8>) -> Option<()> {
    stream.set_read_timeout(Some(PATIENCE * 4)).ok()?;
    let mut preface = [0; PREFACE.len()];
    stream.read_exact(&mut preface).ok()?;
    let mut out = Vec::new();
    frame(&mut out, SETTINGS, 0, 0, &[]);
    stream.write_all(&out).ok()?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).ok()?;
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        stream.read_exact(&mut payload).ok()?;
        let of = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let mut out = Vec::new();
        match (head[3], head[4] & 1) {
            (SETTINGS, 0) => frame(&mut out, SETTINGS, 1, 0, &[]),
            (PING, 0) => frame(&mut out, PING, 1, 0, &payload),
            (HEADERS, _) => {
                out = script(of);
                if out.is_empty() {
                    return None;
                }
            }
            _ => {}
        }
        stream.write_all(&out).ok()?;
    }
}

/// The frames of a whole answer: these fields beside the status 200, and a body.
pub(crate) fn answer(stream: u32, fields: &[u8], body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    // The status 200 is entry 8 of the static table (RFC 7541 appendix A).
    frame(&mut out, HEADERS, END_HEADERS, stream, &[&[0x88], fields].concat());
    frame(&mut out, DATA, END_STREAM, stream, body);
    out
}

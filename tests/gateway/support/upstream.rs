//! An upstream that can misbehave: it hands each request to a script, which writes any bytes.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::PATIENCE;

/// A running upstream. It lives as long as the process.
#[derive(Clone)]
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    shared: Arc<UpstreamState>,
}

#[derive(Default)]
struct UpstreamState {
    seen: Mutex<Vec<ReceivedRequest>>,
    open: AtomicUsize,
    broken: AtomicUsize,
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct ReceivedRequest {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// Every byte of the request, framing included.
    pub(crate) raw: Vec<u8>,
}

impl ReceivedRequest {
    /// A field's value.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    /// The request line.
    pub(crate) fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }
}

/// The connection to the caller of the upstream.
pub(crate) struct CallerStream {
    stream: TcpStream,
    shared: Arc<UpstreamState>,
}

impl CallerStream {
    /// Writes bytes as they are; an error when the caller has gone.
    pub(crate) fn write(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        let written = self.stream.write_all(bytes.as_ref());
        if written.is_err() {
            self.shared.broken.fetch_add(1, Ordering::SeqCst);
        }
        written
    }

    /// Writes one chunk.
    pub(crate) fn chunk(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        let bytes = bytes.as_ref();
        self.write([format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat())
    }

    /// Some of the bytes that come next; none when the caller has gone.
    pub(crate) fn read(&mut self) -> Vec<u8> {
        let mut piece = [0; 4096];
        let read = self.stream.read(&mut piece).unwrap_or(0);
        piece[..read].to_vec()
    }

    /// Waits until the caller has gone; true when it was a reset.
    pub(crate) fn gone(&mut self) -> bool {
        let mut piece = [0; 1024];
        let reset = loop {
            match self.stream.read(&mut piece) {
                Ok(0) => break false,
                Ok(_) => {}
                Err(_) => break true,
            }
        };
        self.shared.broken.fetch_add(1, Ordering::SeqCst);
        reset
    }
}

impl Upstream {
    /// Runs a script for each request; the connection is kept as long as the script returns true.
    pub(crate) fn start(script: impl Fn(&ReceivedRequest, &mut CallerStream) -> bool + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(UpstreamState::default());
        let (theirs, script) = (Arc::clone(&shared), Arc::new(script));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (shared, script) = (Arc::clone(&theirs), Arc::clone(&script));
                let serve = move || serve(stream, &shared, &*script);
                let thread = std::thread::Builder::new().stack_size(128 * 1024);
                thread.spawn(serve).expect("a thread");
            }
        });
        Self { address, shared }
    }

    /// Answers every request with these bytes.
    pub(crate) fn saying(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::start(move |_, asker| asker.write(&answer).is_ok())
    }

    /// Answers every request with this JSON.
    pub(crate) fn json(body: &str) -> Self {
        Self::saying(ok("application/json", body))
    }

    /// All requests so far.
    pub(crate) fn seen(&self) -> Vec<ReceivedRequest> {
        self.shared.seen.lock().expect("no panic").clone()
    }

    /// The last request.
    pub(crate) fn last(&self) -> ReceivedRequest {
        self.seen().pop().expect("a request")
    }

    /// Connections that are open.
    pub(crate) fn open(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// How many answers could not be written to their end.
    pub(crate) fn broken(&self) -> usize {
        self.shared.broken.load(Ordering::SeqCst)
    }
}

/// A whole answer with a length.
pub(crate) fn ok(media: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {media}\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// The head of a chunked JSON answer.
pub(crate) const CHUNKED: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";

fn serve(stream: TcpStream, shared: &Arc<UpstreamState>, script: &dyn Fn(&ReceivedRequest, &mut CallerStream) -> bool) {
    // An idle connection may stay open for longer than any wait for a condition.
    stream.set_read_timeout(Some(PATIENCE * 4)).expect("a timeout");
    stream.set_nodelay(true).expect("no delay");
    shared.open.fetch_add(1, Ordering::SeqCst);
    let mut reading = Reading { stream: stream.try_clone().expect("a handle"), unread: Vec::new() };
    let mut asker = CallerStream { stream, shared: Arc::clone(shared) };
    while let Some(seen) = reading.request() {
        shared.seen.lock().expect("no panic").push(seen.clone());
        if !script(&seen, &mut asker) {
            break;
        }
    }
    shared.open.fetch_sub(1, Ordering::SeqCst);
}

struct Reading {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Reading {
    /// The next whole request; none where there is no other, or it broke off.
    fn request(&mut self) -> Option<ReceivedRequest> {
        let head = self.take_until(b"\r\n\r\n")?;
        let mut seen =
            ReceivedRequest { head: String::from_utf8_lossy(&head).into_owned(), body: Vec::new(), raw: head };
        if seen.field("transfer-encoding").is_some() {
            loop {
                let line = self.take_until(b"\r\n")?;
                let size = String::from_utf8_lossy(&line).trim_end().to_owned();
                let size = usize::from_str_radix(&size, 16).ok()?;
                let data = self.take(size + 2)?;
                seen.body.extend_from_slice(&data[..size]);
                seen.raw.extend_from_slice(&line);
                seen.raw.extend_from_slice(&data);
                if size == 0 {
                    return Some(seen);
                }
            }
        }
        let length = seen.field("content-length").map_or(0, |length| length.parse().expect("a length"));
        seen.body = self.take(length)?;
        seen.raw.extend_from_slice(&seen.body);
        Some(seen)
    }

    fn take_until(&mut self, mark: &[u8]) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = self.unread.windows(mark.len()).position(|window| window == mark) {
                return Some(self.unread.drain(..at + mark.len()).collect());
            }
            self.fill()?;
        }
    }

    fn take(&mut self, length: usize) -> Option<Vec<u8>> {
        while self.unread.len() < length {
            self.fill()?;
        }
        Some(self.unread.drain(..length).collect())
    }

    fn fill(&mut self) -> Option<()> {
        let mut piece = [0; 16 * 1024];
        let read = self.stream.read(&mut piece).ok().filter(|read| *read > 0)?;
        self.unread.extend_from_slice(&piece[..read]);
        Some(())
    }
}

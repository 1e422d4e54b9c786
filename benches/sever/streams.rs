//! Clients that hold many streams at little cost: raw sockets, one thread, and only as much HTTP as is needed to see
//! data and ends.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::io::ioctl_fionread;
use vendorgate::internals::model::Clock;

use crate::support::h2_frames::{self, HEADERS, PREFACE, SETTINGS, WINDOW_UPDATE, frame};
use crate::support::issuer::reader;
use crate::support::{self, until};

/// Streams on one HTTP/2 connection.
const H2_STREAMS: usize = 100;

const DATA: u8 = 0;
const RST_STREAM: u8 = 3;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const ACK: u8 = 1;

/// Many open answers.
pub(crate) struct Streams {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Clock,
    /// Locked while bytes are read from a socket, so that the holder of the lock sees all that has arrived so far.
    connections: Mutex<Vec<Connection>>,
    heads: AtomicUsize,
    frames: AtomicU64,
    ended: AtomicUsize,
    last_end_ns: AtomicU64,
    stop: AtomicBool,
}

struct Connection {
    stream: TcpStream,
    is_h2: bool,
    open: usize,
    /// Bytes taken from the socket.
    taken: u64,
    /// So many bytes may still come, and no data after them.
    allowed: Option<u64>,
    unread: Vec<u8>,
    faults: Vec<String>,
}

impl Streams {
    /// Opens them, a tenth on HTTP/1.1, and waits until each has its head.
    pub(crate) fn open(address: SocketAddr, size: usize, clock: &Clock) -> Self {
        let shared = Arc::new(Shared {
            clock: clock.clone(),
            connections: Mutex::default(),
            heads: AtomicUsize::new(0),
            frames: AtomicU64::new(0),
            ended: AtomicUsize::new(0),
            last_end_ns: AtomicU64::new(0),
            stop: AtomicBool::new(false),
        });
        let theirs = Arc::clone(&shared);
        std::thread::spawn(move || theirs.read());
        let token = reader();
        let of_h1 = size / 10;
        let mut begun = 0;
        while begun < size {
            let (connection, streams) = if begun < of_h1 {
                (Connection::h1(address, begun, &token), 1)
            } else {
                let streams = H2_STREAMS.min(size - begun);
                (Connection::h2(address, streams, &token), streams)
            };
            shared.lock().push(connection);
            begun += streams;
            // In steps, so that no backlog overflows.
            if begun % H2_STREAMS == 0 || begun == size {
                until("the answers begin", || shared.heads.load(Ordering::SeqCst) >= begun);
            }
        }
        Self { shared }
    }

    /// Pieces of data so far.
    pub(crate) fn frames(&self) -> u64 {
        self.shared.frames.load(Ordering::SeqCst)
    }

    /// Streams that have ended.
    pub(crate) fn ended(&self) -> usize {
        self.shared.ended.load(Ordering::SeqCst)
    }

    /// When the last one ended.
    pub(crate) fn last_end_ns(&self) -> u64 {
        self.shared.last_end_ns.load(Ordering::SeqCst)
    }

    /// From here on data is an error, except what the kernel has received already.
    pub(crate) fn nothing_more(&self) {
        for connection in &mut *self.shared.lock() {
            let waiting = ioctl_fionread(&connection.stream).unwrap_or_default();
            connection.allowed = Some(connection.taken + waiting);
        }
    }

    /// What went wrong.
    pub(crate) fn faults(&self) -> Vec<String> {
        self.shared.lock().iter_mut().flat_map(|connection| std::mem::take(&mut connection.faults)).collect()
    }
}

impl Drop for Streams {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads every socket, again and again.
    fn read(&self) {
        let mut piece = vec![0; 64 * 1024];
        while !self.stop.load(Ordering::SeqCst) {
            let count = self.lock().len();
            for at in 0..count {
                self.read_one(&mut self.lock()[at], &mut piece);
            }
            // The gateway needs the core more.
            std::thread::sleep(std::time::Duration::from_micros(500));
        }
    }

    fn read_one(&self, connection: &mut Connection, piece: &mut [u8]) {
        if connection.open == 0 {
            return;
        }
        match connection.stream.read(piece) {
            Ok(read) if read > 0 => {
                connection.taken += read as u64;
                connection.unread.extend_from_slice(&piece[..read]);
                connection.parse(self);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Ok(_) => self.gone(connection, "closed"),
            Err(error) => self.gone(connection, if error.kind() == ErrorKind::ConnectionReset { "" } else { "broken" }),
        }
    }

    /// A connection has ended; on HTTP/1.1 it must end by a reset.
    fn gone(&self, connection: &mut Connection, fault: &str) {
        if connection.is_h2 || !fault.is_empty() {
            connection.faults.push(format!("the connection is gone: {fault}"));
        }
        let open = std::mem::take(&mut connection.open);
        (0..open).for_each(|_| self.end());
    }

    fn end(&self) {
        self.last_end_ns.fetch_max(self.clock.now().monotonic_ns, Ordering::SeqCst);
        self.ended.fetch_add(1, Ordering::SeqCst);
    }
}

impl Connection {
    fn to(address: SocketAddr, is_h2: bool, open: usize, bytes: &[u8]) -> Self {
        let mut stream = support::client::tcp(address);
        stream.write_all(bytes).expect("sent");
        stream.set_nonblocking(true).expect("a socket");
        Self { stream, is_h2, open, taken: 0, allowed: None, unread: Vec::new(), faults: Vec::new() }
    }

    fn h1(address: SocketAddr, at: usize, token: &str) -> Self {
        Self::to(address, false, 1, support::client::request("GET", &path(at), token, "").as_bytes())
    }

    fn h2(address: SocketAddr, streams: usize, token: &str) -> Self {
        let mut bytes = PREFACE.to_vec();
        frame(&mut bytes, SETTINGS, 0, 0, &[]);
        frame(&mut bytes, WINDOW_UPDATE, 0, 0, &(1_u32 << 30).to_be_bytes());
        (0..streams).for_each(|at| h2_frames::get(&mut bytes, at as u32, &path(at), token));
        Self::to(address, true, streams, &bytes)
    }

    fn parse(&mut self, shared: &Shared) {
        if self.is_h2 { self.parse_h2(shared) } else { self.parse_h1(shared) }
    }

    /// The head, then chunks that never end.
    fn parse_h1(&mut self, shared: &Shared) {
        let first = self.taken == self.unread.len() as u64;
        if first && self.unread.starts_with(b"HTTP/1.1 200") {
            shared.heads.fetch_add(1, Ordering::SeqCst);
        } else if first {
            self.faults.push(String::from_utf8_lossy(&self.unread).into_owned());
        }
        if self.allowed.is_some_and(|allowed| self.taken > allowed) {
            self.faults.push("data after the answer on HTTP/1.1".to_owned());
        }
        if self.unread.ends_with(b"0\r\n\r\n") {
            self.faults.push("a severed answer looks whole".to_owned());
        }
        shared.frames.fetch_add(1, Ordering::SeqCst);
        self.unread.clear();
        // The next piece is never the first.
        self.taken += u64::from(first);
        self.allowed = self.allowed.map(|allowed| allowed + u64::from(first));
    }

    fn parse_h2(&mut self, shared: &Shared) {
        let mut at = 0;
        while let Some(head) = self.unread.get(at..at + 9) {
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let (kind, flags) = (head[3], head[4]);
            let Some(payload) = self.unread.get(at + 9..at + 9 + length) else { break };
            let begins = self.taken - (self.unread.len() - at) as u64;
            let mut answer = Vec::new();
            match kind {
                HEADERS => drop(shared.heads.fetch_add(1, Ordering::SeqCst)),
                DATA => {
                    shared.frames.fetch_add(1, Ordering::SeqCst);
                    if flags & 1 != 0 {
                        self.faults.push("a severed answer looks whole".to_owned());
                    }
                    if self.allowed.is_some_and(|allowed| begins >= allowed) {
                        self.faults.push("data after the answer on HTTP/2".to_owned());
                    }
                }
                RST_STREAM => {
                    self.open -= 1;
                    shared.end();
                }
                SETTINGS if flags & ACK == 0 => frame(&mut answer, SETTINGS, ACK, 0, &[]),
                PING if flags & ACK == 0 => frame(&mut answer, PING, ACK, 0, payload),
                GOAWAY => self.faults.push("the connection goes away".to_owned()),
                _ => {}
            }
            if !answer.is_empty() {
                self.stream.write_all(&answer).expect("sent");
            }
            at += 9 + length;
        }
        self.unread.drain(..at);
    }
}

/// Half of them are treated and counted, half pass untouched.
fn path(at: usize) -> String {
    let kind = if at.is_multiple_of(2) { "plain" } else { "treated" };
    format!("/v1/{kind}/{}", at / 2 % super::UPSTREAMS)
}

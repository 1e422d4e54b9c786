//! Binds a socket for each worker on one address, and accepts connections, each with a slot.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener as StdListener};
use std::os::unix::net::UnixListener as StdUnixListener;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::mpsc;

use super::closing;
use super::unix_socket::as_stream;
use crate::bounds;
use crate::http::{PeerNetwork, PooledSlot, SlotGroup, SlotHolder, SlotPool, is_out_of_descriptors};

/// One address, bound once for each worker: the kernel spreads connections over the sockets.
#[derive(Debug)]
pub struct BoundSockets {
    address: SocketAddr,
    sockets: Vec<StdListener>,
}

impl BoundSockets {
    /// The address, with the port that the kernel has chosen for port 0.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The sockets, one for each worker.
    pub fn into_sockets(self) -> Vec<StdListener> {
        self.sockets
    }
}

/// Binds an address with `SO_REUSEPORT`, once for each worker.
///
/// # Errors
/// The error of the first socket that cannot be bound.
pub fn bind(address: SocketAddr, workers: usize) -> io::Result<BoundSockets> {
    let first = bind_one(address)?;
    let address = first.local_addr()?;
    let mut sockets = vec![first];
    while sockets.len() < workers {
        sockets.push(bind_one(address)?);
    }
    Ok(BoundSockets { address, sockets })
}

fn bind_one(address: SocketAddr) -> io::Result<StdListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_port(true)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    // Accepted sockets inherit this option from the listening socket.
    #[cfg(target_os = "linux")]
    socket.set_tcp_notsent_lowat(bounds::UNSENT_BYTES_MAX)?;
    socket.bind(&address.into())?;
    socket.listen(bounds::LISTEN_BACKLOG)?;
    Ok(socket.into())
}

/// A socket of a worker.
#[derive(Debug)]
pub enum BoundSocket {
    /// On an address.
    Tcp(StdListener),
    /// On a path.
    Unix(StdUnixListener),
}

/// Accepts connections, each with a slot that is given back when the connection closes.
#[derive(Debug)]
pub(super) struct Acceptor {
    listener: AcceptingSocket,
    door: SlotAssigner,
}

#[derive(Debug)]
enum AcceptingSocket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl AcceptingSocket {
    async fn accept(&self) -> io::Result<NewConnection> {
        match self {
            Self::Tcp(listener) => {
                listener.accept().await.map(|(stream, address)| NewConnection { stream, address, uid: None })
            }
            Self::Unix(listener) => of_unix(listener.accept().await?.0),
        }
    }
}

fn of_unix(stream: tokio::net::UnixStream) -> io::Result<NewConnection> {
    let (stream, user) = as_stream(stream)?;
    Ok(NewConnection { stream, address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), uid: Some(user) })
}

/// A connection that has no slot yet.
#[derive(Debug)]
pub(super) struct NewConnection {
    stream: TcpStream,
    /// The address of the peer; that of this machine for one on a Unix socket.
    address: SocketAddr,
    /// The user at the other end of a Unix socket.
    uid: Option<u32>,
}

/// Gives connections their slots.
#[derive(Debug, Clone)]
pub(super) struct SlotAssigner {
    pub(super) slots: Arc<SlotPool>,
    /// The most connections of one network whose peers have proven nothing.
    pub(super) unproven_max: usize,
    /// Held by each connection of a worker, so that the worker learns when the last one has closed.
    pub(super) alive: mpsc::Sender<()>,
}

impl Acceptor {
    pub(super) fn new(socket: BoundSocket, door: SlotAssigner) -> io::Result<Self> {
        let listener = match socket {
            BoundSocket::Tcp(socket) => AcceptingSocket::Tcp(TcpListener::from_std(socket)?),
            BoundSocket::Unix(socket) => AcceptingSocket::Unix(UnixListener::from_std(socket)?),
        };
        Ok(Self { listener, door })
    }

    /// The next connection, once it has a slot. Until then the connections behind it wait in the kernel's backlog, so
    /// that a flood of them fills the backlog and not the memory of the process.
    pub(super) async fn accept(&self) -> AcceptedConnection {
        loop {
            match self.listener.accept().await {
                Ok(connection) => return self.door.assign_slot(connection).await,
                // This connection has failed; the next one may not.
                Err(error) if is_of_one_connection(&error) => {}
                // Out of descriptors or memory: a pause, so that the loop does not spin until other connections have
                // closed.
                Err(error) => {
                    if is_out_of_descriptors(&error) {
                        self.door.slots.shed_one();
                    }
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    /// Has the kernel open no new connections on an address; those that a client has begun to open are still accepted.
    /// A path is taken away instead. It is not shut down: the workers share its socket, and tokio polls a socket that
    /// was shut down without end.
    pub(super) fn stop_listening(&self) {
        let AcceptingSocket::Tcp(listener) = &self.listener else { return };
        // Without it a connection that is opened while the socket closes is reset, and nothing else is lost.
        if let Err(error) = closing::drop_new_handshakes(listener) {
            tracing::debug!(%error, "a closing socket still takes connections");
        }
    }

    /// Closes the socket, and returns the connections in its backlog, which the kernel would reset.
    pub(super) fn close(self) -> Vec<NewConnection> {
        let last = bounds::LISTEN_BACKLOG as usize;
        match self.listener {
            AcceptingSocket::Tcp(listener) => {
                let Ok(socket) = listener.into_std() else { return Vec::new() };
                let last: Vec<_> = std::iter::from_fn(|| socket.accept().ok()).take(last).collect();
                drop(socket);
                let opened = |(stream, address): (std::net::TcpStream, SocketAddr)| {
                    stream.set_nonblocking(true).ok()?;
                    Some(NewConnection { stream: TcpStream::from_std(stream).ok()?, address, uid: None })
                };
                last.into_iter().filter_map(opened).collect()
            }
            AcceptingSocket::Unix(listener) => {
                let Ok(socket) = listener.into_std() else { return Vec::new() };
                let last: Vec<_> = std::iter::from_fn(|| socket.accept().ok()).take(last).collect();
                drop(socket);
                let opened = |(stream, _): (std::os::unix::net::UnixStream, _)| {
                    stream.set_nonblocking(true).ok()?;
                    of_unix(tokio::net::UnixStream::from_std(stream).ok()?).ok()
                };
                last.into_iter().filter_map(opened).collect()
            }
        }
    }
}

impl SlotAssigner {
    /// Waits for a slot for the connection.
    pub(super) async fn assign_slot(&self, connection: NewConnection) -> AcceptedConnection {
        let NewConnection { stream, address, uid } = connection;
        // Where this fails the peer has gone, which the first read will show.
        let _ = stream.set_nodelay(true);
        let groups = [(SlotGroup::Sender(PeerNetwork::of(address.ip())), self.unproven_max)];
        let slot = self.slots.acquire(&groups).await;
        AcceptedConnection { stream, address, uid, held: ConnectionSlot { slot, _alive: self.alive.clone() } }
    }
}

/// A connection that was accepted, and its slot.
#[derive(Debug)]
pub(super) struct AcceptedConnection {
    pub(super) stream: TcpStream,
    pub(super) address: SocketAddr,
    /// The user at the other end of a Unix socket.
    pub(super) uid: Option<u32>,
    pub(super) held: ConnectionSlot,
}

/// The slot that a connection holds until it closes, also where it has left HTTP.
#[derive(Debug)]
pub(super) struct ConnectionSlot {
    slot: PooledSlot,
    _alive: mpsc::Sender<()>,
}

impl ConnectionSlot {
    pub(super) const fn holder(&self) -> &Arc<SlotHolder> {
        self.slot.holder()
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_worker_has_a_socket_on_the_same_address() {
        let bound = bind("127.0.0.1:0".parse().expect("valid"), 3).expect("loopback binds");
        let address = bound.address();
        let sockets = bound.into_sockets();
        assert_eq!(sockets.len(), 3);
        assert!(sockets.iter().all(|socket| socket.local_addr().ok() == Some(address)));
        assert_ne!(address.port(), 0);
    }

    /// Clients that connect without a pause, until they are refused. Returns the connections that they took for open.
    fn connect_until_refused(address: SocketAddr) -> Vec<std::net::TcpStream> {
        let mut opened = Vec::new();
        while let Ok(stream) = std::net::TcpStream::connect(address) {
            opened.push(stream);
        }
        opened
    }

    fn acceptor(socket: BoundSocket) -> Acceptor {
        let door = SlotAssigner { slots: SlotPool::new(100_000), unproven_max: 100_000, alive: mpsc::channel(1).0 };
        Acceptor::new(socket, door).expect("a socket")
    }

    #[tokio::test]
    async fn every_connection_that_a_client_takes_for_open_is_accepted_before_the_socket_closes() {
        for _ in 0..6 {
            let bound = bind("127.0.0.1:0".parse().expect("valid"), 1).expect("loopback binds");
            let address = bound.address();
            let acceptor = acceptor(BoundSocket::Tcp(bound.into_sockets().remove(0)));
            let clients: Vec<_> = (0..3).map(|_| std::thread::spawn(move || connect_until_refused(address))).collect();
            tokio::time::sleep(Duration::from_millis(2)).await;
            acceptor.stop_listening();
            let accepted = acceptor.close().len();
            let opened: usize = clients.into_iter().map(|client| client.join().expect("no panic").len()).sum();
            assert_eq!(accepted, opened);
        }
    }

    #[tokio::test]
    async fn a_path_that_closes_keeps_the_connections_that_wait() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("s");
        let socket = StdUnixListener::bind(&path).expect("bound");
        socket.set_nonblocking(true).expect("set");
        let acceptor = acceptor(BoundSocket::Unix(socket));
        let _waiting = std::os::unix::net::UnixStream::connect(&path).expect("open");
        acceptor.stop_listening();
        assert_eq!(acceptor.close().len(), 1);
    }
}

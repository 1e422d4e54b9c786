//! Binding and accepting: a socket per worker on one address, and a slot for each connection.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::bounds;

/// One address, bound once for each worker: the kernel spreads connections over the sockets.
#[derive(Debug)]
pub struct Bound {
    address: SocketAddr,
    sockets: Vec<StdListener>,
}

impl Bound {
    /// The address, with the port that the kernel chose where port 0 was asked for.
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
/// What the kernel said to the first socket that it refused.
pub fn bind(address: SocketAddr, workers: usize) -> io::Result<Bound> {
    let first = bind_one(address)?;
    let address = first.local_addr()?;
    let mut sockets = vec![first];
    while sockets.len() < workers {
        sockets.push(bind_one(address)?);
    }
    Ok(Bound { address, sockets })
}

fn bind_one(address: SocketAddr) -> io::Result<StdListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_port(true)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    // Connections have it from their listener.
    #[cfg(target_os = "linux")]
    socket.set_tcp_notsent_lowat(bounds::UNSENT_BYTES_MAX)?;
    socket.bind(&address.into())?;
    socket.listen(bounds::LISTEN_BACKLOG)?;
    Ok(socket.into())
}

/// Accepts connections, each with a slot that it gives back when it ends.
#[derive(Debug)]
pub(super) struct Acceptor {
    listener: TcpListener,
    slots: Arc<Semaphore>,
}

impl Acceptor {
    pub(super) fn new(socket: StdListener, slots: Arc<Semaphore>) -> io::Result<Self> {
        Ok(Self { listener: TcpListener::from_std(socket)?, slots })
    }

    /// The next connection. Waits for a slot first, so that the kernel's backlog, not our memory, holds a flood.
    pub(super) async fn accept(&self) -> Option<Accepted> {
        let slot = Arc::clone(&self.slots).acquire_owned().await.ok()?;
        loop {
            match self.listener.accept().await {
                Ok((stream, address)) => {
                    // A peer that is gone already fails at its first read.
                    let _ = stream.set_nodelay(true);
                    return Some((stream, address, slot));
                }
                // One connection's own failure; the next may be fine.
                Err(error) if is_of_one_connection(&error) => {}
                // Out of descriptors or memory: a pause, so that the loop does not spin while others finish.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }
}

/// A connection that was accepted, with its slot.
pub(super) type Accepted = (TcpStream, SocketAddr, OwnedSemaphorePermit);

impl Acceptor {
    /// Closes the socket, and returns those who had connected by then: the kernel would reset them.
    ///
    /// Does not wait, so that next to nobody comes between the last look and the close.
    pub(super) fn close(self) -> Vec<Accepted> {
        let Ok(socket) = self.listener.into_std() else { return Vec::new() };
        let next = || {
            let slot = Arc::clone(&self.slots).try_acquire_owned().ok()?;
            let (stream, address) = socket.accept().ok()?;
            Some((stream, address, slot))
        };
        let last: Vec<_> = std::iter::from_fn(next).collect();
        drop(socket);
        last.into_iter()
            .filter_map(|(stream, address, slot)| {
                stream.set_nonblocking(true).ok()?;
                Some((TcpStream::from_std(stream).ok()?, address, slot))
            })
            .collect()
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
    fn workers_share_one_address() {
        let bound = bind("127.0.0.1:0".parse().expect("valid"), 3).expect("loopback binds");
        let address = bound.address();
        let sockets = bound.into_sockets();
        assert_eq!(sockets.len(), 3);
        assert!(sockets.iter().all(|socket| socket.local_addr().ok() == Some(address)));
        assert_ne!(address.port(), 0);
    }
}

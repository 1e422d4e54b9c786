//! Sockets that a service manager opened before the gateway started (socket activation, `LISTEN_FDS`).
//!
//! They outlive the gateway: while it restarts, connections wait in them, and a port below 1024 needs no privilege of
//! the gateway. A socket belongs to the listener whose address the config names; one that no listener names is an
//! error, because connections to it would wait for ever.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use listenfd::ListenFd;
use socket2::SockRef;

use crate::bounds;

/// The sockets that no listener has taken yet.
#[derive(Debug, Default)]
pub struct PassedSockets(Vec<PassedSocket>);

/// A listening socket of the service manager.
#[derive(Debug)]
enum PassedSocket {
    Tcp(SocketAddr, TcpListener),
    Unix(PathBuf, UnixListener),
}

impl PassedSockets {
    /// Takes what the environment of the process names. To be called once, before another file is opened.
    ///
    /// # Errors
    /// When one of them is not a listening stream socket.
    pub fn from_environment() -> io::Result<Self> {
        let mut passed = ListenFd::from_env();
        (0..passed.len()).map(|index| PassedSocket::take(&mut passed, index)).collect::<io::Result<_>>().map(Self)
    }

    /// The socket on this address.
    pub fn take(&mut self, wanted: SocketAddr) -> Option<TcpListener> {
        match self.remove(|socket| matches!(socket, PassedSocket::Tcp(address, _) if *address == wanted))? {
            PassedSocket::Tcp(_, listener) => Some(listener),
            PassedSocket::Unix(..) => None,
        }
    }

    /// The socket on this path.
    pub fn take_unix(&mut self, wanted: &Path) -> Option<UnixListener> {
        match self.remove(|socket| matches!(socket, PassedSocket::Unix(path, _) if path == wanted))? {
            PassedSocket::Unix(_, listener) => Some(listener),
            PassedSocket::Tcp(..) => None,
        }
    }

    /// The address of one that no listener has taken.
    pub fn first_left(&self) -> Option<String> {
        self.0.first().map(ToString::to_string)
    }

    fn remove(&mut self, is_it: impl Fn(&PassedSocket) -> bool) -> Option<PassedSocket> {
        self.0.iter().position(is_it).map(|index| self.0.swap_remove(index))
    }
}

impl PassedSocket {
    fn take(passed: &mut ListenFd, index: usize) -> io::Result<Self> {
        let missing = || io::Error::from(io::ErrorKind::NotFound);
        // One that is not a TCP socket stays in its place, and is then read as a Unix socket.
        if let Ok(listener) = passed.take_tcp_listener(index) {
            let listener = listener.ok_or_else(missing)?;
            listener.set_nonblocking(true)?;
            return Ok(Self::Tcp(listener.local_addr()?, listener));
        }
        let listener = passed.take_unix_listener(index)?.ok_or_else(missing)?;
        listener.set_nonblocking(true)?;
        let path = listener.local_addr()?.as_pathname().unwrap_or(Path::new("")).to_owned();
        Ok(Self::Unix(path, listener))
    }
}

impl fmt::Display for PassedSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address, _) => write!(f, "{address}"),
            Self::Unix(path, _) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// The same socket for each worker, with the options of those that the gateway binds by itself.
///
/// # Errors
/// When the system refuses an option or a descriptor.
pub fn share_tcp(socket: &TcpListener, workers: usize) -> io::Result<Vec<TcpListener>> {
    // Accepted sockets inherit this option from the listening socket.
    #[cfg(target_os = "linux")]
    SockRef::from(socket).set_tcp_notsent_lowat(bounds::UNSENT_BYTES_MAX)?;
    (0..workers).map(|_| socket.try_clone()).collect()
}

/// The same socket for each worker.
///
/// # Errors
/// When the system has no descriptor left.
pub fn share_unix(socket: &UnixListener, workers: usize) -> io::Result<Vec<UnixListener>> {
    (0..workers).map(|_| socket.try_clone()).collect()
}

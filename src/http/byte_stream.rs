//! An open connection of any kind: TCP, TLS or a Unix socket.
//!
//! Boxed where speed does not matter, so that HTTP is compiled once for all kinds. Never used for vendors' traffic.

use tokio::io::{AsyncRead, AsyncWrite};

/// A connection that bytes can be read from and written to.
pub trait ByteStream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> ByteStream for T {}

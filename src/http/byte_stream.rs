//! An open connection of any kind: TCP, TLS, a Unix socket or a tunnel.
//!
//! Boxed where speed does not matter, so that HTTP is compiled once for all kinds. Never used for vendors' calls to us.

use tokio::io::{AsyncRead, AsyncWrite};

/// A connection that bytes can be read from and written to.
pub trait ByteStream: AsyncRead + AsyncWrite + std::fmt::Debug + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + std::fmt::Debug + Unpin + Send> ByteStream for T {}

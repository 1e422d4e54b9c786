//! An open connection of any kind: TCP, TLS or a Unix socket.
//!
//! Boxed where speed is no matter, so that HTTP is compiled once for all kinds. Never on the way of vendors' traffic.

use tokio::io::{AsyncRead, AsyncWrite};

/// Bytes both ways.
pub trait ByteStream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> ByteStream for T {}

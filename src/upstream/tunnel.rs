//! A connection to a vendor that carries the caller's own TLS: bytes that the gateway does not read.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::sockets::SocketPermit;
use super::{SendError, SocketBudget, UpstreamConnector};
use crate::policy::Permit;

/// Opens such connections to one upstream.
#[derive(Debug)]
pub struct TunnelConnector {
    connector: UpstreamConnector,
    sockets: Arc<SocketBudget>,
}

/// An open connection. It is reset when it is dropped before either end has closed it.
#[derive(Debug)]
pub struct UpstreamTunnel {
    stream: TcpStream,
    /// Whether one of the ends has closed it, so that nothing is broken off.
    is_over: bool,
    _socket: SocketPermit,
}

impl TunnelConnector {
    /// Connects as `connector` does, but for TLS, which is the caller's own.
    pub const fn new(connector: UpstreamConnector, sockets: Arc<SocketBudget>) -> Self {
        Self { connector, sockets }
    }

    /// Opens a connection. `_permit` is the proof that the call was admitted.
    ///
    /// # Errors
    /// [`SendError`], at the latest when the time for making a connection has passed.
    pub async fn open(&self, _permit: &Permit) -> Result<UpstreamTunnel, SendError> {
        let socket = self.sockets.take().ok_or(SendError::Full)?;
        let stream = self.connector.connect_in_clear().await.map_err(SendError::Connect)?;
        Ok(UpstreamTunnel { stream, is_over: false, _socket: socket })
    }
}

impl Drop for UpstreamTunnel {
    fn drop(&mut self) {
        if !self.is_over {
            // Where this fails the connection is closed without a reset.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for UpstreamTunnel {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        self.is_over |= buf.filled().len() == before && buf.remaining() > 0;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for UpstreamTunnel {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.is_over = true;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

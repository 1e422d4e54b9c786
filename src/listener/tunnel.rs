//! A connection that has become a tunnel: its first byte says whether it carries HTTP in clear or TLS.

use std::sync::Arc;

use rustls::ServerConfig;
use tokio_rustls::TlsAcceptor;

use super::serve::ServedConnection;
use crate::bounds;
use crate::gateway::{EnteredTunnel, GrantedTunnel};
use crate::http::ByteStream;

/// Serves a tunnel to its end.
pub(super) async fn serve_tunnel(granted: GrantedTunnel, connection: ServedConnection<'_>) {
    let peer = Arc::clone(&connection.peer);
    let entered = tokio::select! {
        entered = tokio::time::timeout(
            connection.front.patience.head,
            granted.enter(&peer),
        ) => entered,
        () = connection.seat.shed_requested() => return,
        () = connection.drain.clone().grace_over() => return,
    };
    match entered {
        Ok(Some(entered)) => serve_entered(entered, connection).await,
        Ok(None) => {}
        Err(_) => connection.seat.count_late(),
    }
}

/// Serves TLS that the kernel has redirected here to its end.
pub(super) async fn serve_redirected(stream: Box<dyn ByteStream>, connection: ServedConnection<'_>) {
    let peer = Arc::clone(&connection.peer);
    let entered = tokio::select! {
        entered = connection.stack.gateway().enter_redirected(&peer, stream) => entered,
        () = connection.seat.shed_requested() => return,
        () = connection.drain.clone().grace_over() => return,
    };
    if let Some(entered) = entered {
        serve_entered(entered, connection).await;
    }
}

async fn serve_entered(entered: EnteredTunnel, connection: ServedConnection<'_>) {
    match entered {
        EnteredTunnel::Clear(stream) => connection.serve_h1(stream).await,
        EnteredTunnel::Opaque(tunnel) => tunnel.run().await,
        EnteredTunnel::Tls(stream, tls) => serve_intercepted(stream, tls, connection).await,
    }
}

/// Ends the caller's TLS as the vendor's host, and serves the requests in it.
async fn serve_intercepted(stream: Box<dyn ByteStream>, tls: Arc<ServerConfig>, connection: ServedConnection<'_>) {
    let accepted = tokio::select! {
        accepted = tokio::time::timeout(bounds::HANDSHAKE_DEADLINE, TlsAcceptor::from(tls).accept(stream)) => accepted,
        () = connection.drain.clone().grace_over() => return,
    };
    let Ok(Ok(stream)) = accepted else { return };
    let speaks_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let stream: Box<dyn ByteStream> = Box::new(stream);
    if speaks_h2 { connection.serve_h2(stream).await } else { connection.serve_h1(stream).await }
}

//! A service of ours as its library makes it, told nothing but `HTTPS_PROXY` and an authority: it asks for a tunnel to
//! the vendor's host, and speaks TLS in it with whoever shows a certificate for that host.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::RootCertStore;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::DemoError;
use super::services::read_body;
use crate::http::client_tls;

/// Time for a whole call; nothing in the story takes as long.
const DEADLINE: Duration = Duration::from_secs(10);
/// Largest answer: a line of JSON, or a refusal.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// A client that calls through a proxy.
pub(super) struct TunnelClient {
    proxy: SocketAddr,
    tls: TlsConnector,
}

/// What came back: from the vendor's host, or from the proxy where it granted no tunnel.
#[derive(Debug)]
pub(super) struct TunnelReply {
    pub(super) status: StatusCode,
    pub(super) body: Value,
}

impl TunnelClient {
    /// A client of this proxy that trusts the authority in a file, as `SSL_CERT_FILE` names one.
    pub(super) fn new(proxy: SocketAddr, authority: &Path) -> Result<Self, DemoError> {
        let authority =
            CertificateDer::from_pem_file(authority).map_err(DemoError::because("there is no authority"))?;
        let mut roots = RootCertStore::empty();
        let config = roots.add(authority).and_then(|()| client_tls(roots, None));
        let config = config.map_err(DemoError::because("the authority cannot be used"))?;
        Ok(Self { proxy, tls: TlsConnector::from(Arc::new(config)) })
    }

    /// Posts JSON to `https://{host}{target}`, with a token.
    pub(super) async fn post(
        &self,
        host: &'static str,
        target: &str,
        token: &str,
        body: &Value,
    ) -> Result<TunnelReply, DemoError> {
        let call = async {
            let ask = Request::connect(format!("{host}:443")).header(HOST, format!("{host}:443"));
            let granted = exchange(TcpStream::connect(self.proxy).await?, ask, Bytes::new()).await?;
            if granted.status() != StatusCode::OK {
                return reply(granted).await;
            }
            let tunnel = hyper::upgrade::on(granted).await.map_err(broke_off)?;
            let name = ServerName::try_from(host).map_err(DemoError::because("the host is no name"))?;
            let vendor = self.tls.connect(name, TokioIo::new(tunnel)).await?;
            let post = Request::post(target).header(HOST, host).header(CONTENT_TYPE, "application/json");
            let post = post.header(AUTHORIZATION, format!("Bearer {token}"));
            reply(exchange(vendor, post, body.to_string().into()).await?).await
        };
        let late = || DemoError::new("no answer came through the tunnel");
        tokio::time::timeout(DEADLINE, call).await.map_err(|_| late())?
    }
}

/// Sends a request on a connection of its own, which is driven until it ends.
async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    head: http::request::Builder,
    body: Bytes,
) -> Result<Response<Incoming>, DemoError> {
    let request = head.body(Full::new(body)).map_err(DemoError::because("the request cannot be written"))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broke_off)?;
    tokio::spawn(async move { drop(connection.with_upgrades().await) });
    sender.send_request(request).await.map_err(broke_off)
}

async fn reply(answer: Response<Incoming>) -> Result<TunnelReply, DemoError> {
    let status = answer.status();
    let body = read_body(answer.into_body(), BODY_BYTES_MAX).await.unwrap_or_default();
    Ok(TunnelReply { status, body: serde_json::from_slice(&body).unwrap_or_default() })
}

fn broke_off(error: hyper::Error) -> DemoError {
    DemoError::because("the connection broke off")(error)
}

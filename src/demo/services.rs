//! The sample services: the internal API, the issuer and the vendor's API, each on a free port of loopback.
//!
//! They have a thread of their own, so that making up customers does not slow down the gateway. Nothing here listens
//! beyond this machine.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener as StdListener};
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::DemoError;
use super::crm::Crm;
use super::issuer::DemoIssuer;
use super::partner::Partner;

/// What a sample service answers.
pub(super) type SampleResponse = Response<BoxBody<Bytes, Infallible>>;

/// The running services. Their thread ends when this value is dropped.
#[derive(Debug)]
pub(super) struct SampleServices {
    pub(super) crm: Arc<Crm>,
    pub(super) crm_at: SocketAddr,
    pub(super) issuer: Arc<DemoIssuer>,
    pub(super) issuer_at: SocketAddr,
    pub(super) partner: Arc<Partner>,
    pub(super) partner_at: SocketAddr,
    _stop: oneshot::Sender<Infallible>,
}

impl SampleServices {
    /// Starts all three.
    pub(super) fn start() -> Result<Self, DemoError> {
        let [(crm_socket, crm_at), (issuer_socket, issuer_at), (partner_socket, partner_at)] =
            [bind()?, bind()?, bind()?];
        let (crm, partner) = (Arc::new(Crm::default()), Arc::new(Partner::default()));
        let issuer = Arc::new(DemoIssuer::new(format!("http://{issuer_at}"))?);
        let services = [
            (crm_socket, SampleService::Crm(Arc::clone(&crm))),
            (issuer_socket, SampleService::Issuer(Arc::clone(&issuer))),
            (partner_socket, SampleService::Partner(Arc::clone(&partner))),
        ];
        let (_stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let run = move || {
            runtime.block_on(async move {
                for (socket, service) in services {
                    tokio::spawn(service.serve(socket));
                }
                // Nothing is ever sent: the wait ends when the sender is dropped.
                let _ = stopped.await;
            });
        };
        std::thread::Builder::new().name("sample services".into()).spawn(run)?;
        Ok(Self { crm, crm_at, issuer, issuer_at, partner, partner_at, _stop })
    }
}

fn bind() -> io::Result<(StdListener, SocketAddr)> {
    let listener = StdListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

#[derive(Clone)]
enum SampleService {
    Crm(Arc<Crm>),
    Issuer(Arc<DemoIssuer>),
    Partner(Arc<Partner>),
}

impl SampleService {
    async fn serve(self, socket: StdListener) -> io::Result<()> {
        let listener = TcpListener::from_std(socket)?;
        loop {
            let (stream, _) = listener.accept().await?;
            // If this fails, the demo is only slower.
            let _ = stream.set_nodelay(true);
            let service = self.clone();
            tokio::spawn(async move {
                let answer = service_fn(move |request| {
                    let service = service.clone();
                    async move { Ok::<_, Infallible>(service.answer(request).await) }
                });
                // An error here only means that the caller has closed the connection.
                let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), answer).await;
            });
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> SampleResponse {
        match self {
            Self::Crm(crm) => crm.answer(&request),
            Self::Issuer(issuer) => issuer.answer(request).await,
            Self::Partner(partner) => partner.answer(request).await,
        }
    }
}

/// An answer in JSON.
pub(super) fn json(status: StatusCode, body: impl Into<Bytes>) -> SampleResponse {
    json_stream(status, Full::new(body.into()).boxed())
}

/// An answer in JSON whose body streams.
pub(super) fn json_stream(status: StatusCode, body: BoxBody<Bytes, Infallible>) -> SampleResponse {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

/// A whole request body of at most `bytes_max` bytes; none where it is larger or breaks off.
pub(super) async fn read_body(body: Incoming, bytes_max: usize) -> Option<Bytes> {
    #[expect(clippy::disallowed_methods, reason = "what the demo itself has sent, bounded in the same line")]
    let collected = Limited::new(body, bytes_max).collect().await;
    Some(collected.ok()?.to_bytes())
}

/// The first value of a query or form field, decoded.
pub(super) fn field(text: &str, name: &str) -> Option<String> {
    let value = text.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name)?.1;
    Some(percent_encoding::percent_decode_str(&value.replace('+', " ")).decode_utf8_lossy().into_owned())
}

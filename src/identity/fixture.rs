//! A fixture for the tests of issuers: a server on loopback whose answers a function gives, and one vendor of that
//! issuer.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::identity::caller::authenticate::Rejected;
use crate::identity::caller::verified::VerifiedCaller;
use crate::identity::directory::{Directory, IdentityContract};
use crate::identity::settings::{FetchSettings, KeySource, RotationRules, SenderBinding, TokenSettings};
use crate::identity::state::IdentityState;
use crate::identity::token::claim_names::{ClaimNames, TokenShape};
use crate::identity::token::credentials::PresentedRequest;
use crate::model::{Algorithm, ClientId, Clock, Reason, VendorId};

pub(crate) const AUDIENCE: &str = "https://api.test";
pub(crate) const CLIENT: &str = "c";

/// Serves until the test ends; returns the address. The function sees each request with its body read.
pub(crate) async fn serve<A>(answer: impl Fn(Request<Vec<u8>>) -> A + Clone + Send + Sync + 'static) -> String
where
    A: Future<Output = Response<Full<Bytes>>> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer = answer.clone();
            let service = service_fn(move |request| {
                let answer = answer.clone();
                async move { Ok::<_, Infallible>(answer(whole(request).await).await) }
            });
            tokio::spawn(async move {
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await
            });
        }
    });
    address
}

async fn whole(request: Request<Incoming>) -> Request<Vec<u8>> {
    let (head, mut body) = request.into_parts();
    let mut bytes = Vec::new();
    while let Some(Ok(frame)) = body.frame().await {
        bytes.extend(frame.into_data().unwrap_or_default());
    }
    Request::from_parts(head, bytes)
}

/// An answer of a status and a text.
pub(crate) fn plain(status: u16, body: String) -> Response<Full<Bytes>> {
    Response::builder().status(status).body(Full::from(body)).expect("valid")
}

/// A request to `GET https://api.test/v1/orders` with these headers.
pub(crate) const fn presented(headers: &HeaderMap) -> PresentedRequest<'_> {
    PresentedRequest {
        headers,
        method: &Method::GET,
        scheme: "https",
        authority: "api.test",
        path: "/v1/orders",
        query: None,
        peer_certificate: None,
    }
}

/// A contract that takes EdDSA tokens for the client `c` and has no rules on rotation.
pub(crate) fn settings(issuer: &str, keys: KeySource) -> TokenSettings {
    TokenSettings {
        issuer: issuer.into(),
        audience: Some(AUDIENCE.into()),
        clients: vec![ClientId::new(CLIENT)],
        keys,
        algorithms: vec![Algorithm::EdDSA],
        sender: SenderBinding::None,
        profile: None,
        claims: ClaimNames::default(),
        shape: TokenShape::default(),
        clock_skew: Duration::from_secs(30),
        rotation: RotationRules::default(),
        fetch: FetchSettings::default(),
    }
}

/// A directory with the vendor `acme`, whose client is `c`.
pub(crate) struct IssuerFixture {
    pub(crate) clock: Clock,
    pub(crate) authority: IdentityState,
    pub(crate) directory: Directory,
}

impl IssuerFixture {
    pub(crate) fn new(issuer: &str, keys: KeySource, fetch: FetchSettings) -> Self {
        Self::with(TokenSettings { fetch, ..settings(issuer, keys) })
    }

    /// As [`Self::new`], under other settings.
    pub(crate) fn with(settings: TokenSettings) -> Self {
        let clock = Clock::system();
        let authority = IdentityState::in_memory(clock.clone()).expect("randomness");
        let vendor = VendorId::parse("acme").expect("an id");
        let contract = IdentityContract { index: 0, vendor, identity: settings.into() };
        let directory = authority.directory(vec![contract]).expect("a directory");
        directory.start(&tokio::runtime::Handle::current());
        Self { clock, authority, directory }
    }

    pub(crate) fn ask(&self, token: &str) -> Result<Arc<VerifiedCaller>, Rejected> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, format!("Bearer {token}").parse().expect("a value"));
        self.directory.authenticate(&presented(&headers), self.clock.now())
    }

    /// Authenticates as the gateway does: with one wait at most.
    pub(crate) async fn ask_patiently(&self, token: &str) -> Result<(), Reason> {
        let mut answer = self.ask(token);
        if let Err(Rejected { wait: Some(wait), .. }) = answer {
            wait.settled(Duration::from_secs(5)).await;
            answer = self.ask(token);
        }
        answer.map(|_| ()).map_err(|rejected| rejected.denial.reason)
    }
}

//! A small HTTP client for the gateway's own errands: key sets, introspection, tokens, webhooks.
//!
//! One connection for each exchange, HTTP/1.1, a deadline over everything and a bound on the answer. HTTPS only, or
//! plain HTTP to this machine, unless the operator allows more. Never follows a redirect, never keeps a cookie, never
//! carries traffic of vendors.

use std::io::Read as _;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HOST, HeaderValue, USER_AGENT};
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::RootCertStore;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use zeroize::Zeroizing;

use super::pem::{self, PemError};
use super::{ByteStream, ExpectedResponse, PendingResponse, ScreenedStream};

/// How an errand is run.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClientOptions {
    /// Time for the whole exchange: name, connection, handshake, answer.
    pub deadline: Duration,
    /// Largest answer that is read.
    pub body_bytes_max: usize,
    /// PEM file of certificate authorities that are trusted beside the machine's own.
    pub ca_file: Option<PathBuf>,
    /// PEM files of the certificate chain and key that we present.
    pub client_certificate: Option<(PathBuf, PathBuf)>,
    /// Whether plain HTTP may leave this machine.
    pub allow_plain_http: bool,
}

/// Why an errand failed. Holds no part of what was sent or answered.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address is not one that may be asked.
    #[error("the address must be https, or http on this machine, without user name or fragment")]
    Address,
    /// A certificate or key file cannot be used.
    #[error("cannot read {path}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A certificate or key file does not hold what is needed.
    #[error("{path} {flaw}")]
    Content {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        flaw: PemError,
    },
    /// Certificates and keys do not make a TLS client.
    #[error("cannot set up TLS")]
    Tls(#[source] rustls::Error),
    /// No connection, or it broke.
    #[error("cannot connect")]
    Connect(#[source] std::io::Error),
    /// Not HTTP, or it broke off.
    #[error("the answer is not readable as HTTP")]
    Http(#[source] hyper::Error),
    /// The answer is larger than its bound.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    /// The answer is coded in a way that was not asked for and is not known, or wrongly.
    #[error("the answer's content encoding cannot be undone")]
    Encoding,
    /// The deadline passed first.
    #[error("no answer within {0:?}")]
    Deadline(Duration),
}

/// Where an errand goes: checked once, when the config is read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Url {
    uri: Uri,
    host: String,
    port: u16,
    encrypted: bool,
}

/// An answer, whole.
#[derive(Debug)]
pub struct ClientResponse {
    /// Its status; redirects are not followed.
    pub status: StatusCode,
    /// Its header fields.
    pub headers: HeaderMap,
    /// Its body, within the bound.
    pub body: Bytes,
}

/// Runs errands with one set of options.
#[derive(Clone)]
pub struct HttpClient {
    options: ClientOptions,
    tls: TlsConnector,
}

impl Url {
    /// Parses an address.
    ///
    /// # Errors
    /// [`ClientError::Address`] when it is not absolute `https`, or `http` to this machine (or to anywhere, where
    /// `allow_plain_http` says so), or when it carries a user name or a fragment.
    pub fn parse(text: &str, allow_plain_http: bool) -> Result<Self, ClientError> {
        let uri: Uri = text.parse().map_err(|_| ClientError::Address)?;
        let encrypted = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(ClientError::Address),
        };
        let authority = uri.authority().ok_or(ClientError::Address)?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = authority.port_u16().unwrap_or(if encrypted { 443 } else { 80 });
        let near = encrypted || allow_plain_http || is_this_machine(&host);
        if host.is_empty() || authority.as_str().contains('@') || text.contains('#') || !near {
            return Err(ClientError::Address);
        }
        Ok(Self { uri, host, port, encrypted })
    }

    /// The address as it was written.
    pub fn as_uri(&self) -> &Uri {
        &self.uri
    }
}

impl HttpClient {
    /// Reads certificate files and the machine's authorities.
    ///
    /// # Errors
    /// [`ClientError::File`] or [`ClientError::Tls`] when a file cannot be used.
    pub fn new(options: ClientOptions) -> Result<Self, ClientError> {
        let tls = TlsConnector::from(Arc::new(tls_config(&options)?));
        Ok(Self { options, tls })
    }

    /// Asks for a document.
    ///
    /// # Errors
    /// [`ClientError`] when no whole answer came in time; any status is an answer.
    pub async fn get(&self, url: &Url, headers: HeaderMap) -> Result<ClientResponse, ClientError> {
        self.exchange(Method::GET, url, headers, Bytes::new()).await
    }

    /// Sends a body; `headers` say what it is.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn post(&self, url: &Url, headers: HeaderMap, body: Bytes) -> Result<ClientResponse, ClientError> {
        self.exchange(Method::POST, url, headers, body).await
    }

    async fn exchange(
        &self,
        method: Method,
        url: &Url,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<ClientResponse, ClientError> {
        let request = build(method, url, headers, body)?;
        let deadline = self.options.deadline;
        let whole = Box::pin(self.connect_and_send(url, request));
        tokio::time::timeout(deadline, whole).await.map_err(|_| ClientError::Deadline(deadline))?
    }

    async fn connect_and_send(&self, url: &Url, request: Request<Full<Bytes>>) -> Result<ClientResponse, ClientError> {
        let bound = self.options.body_bytes_max;
        let stream = self.connect(url).await?;
        if !url.encrypted {
            return send(Box::new(stream), request, bound).await;
        }
        let name = ServerName::try_from(url.host.clone()).map_err(|_| ClientError::Address)?;
        send(Box::new(self.tls.connect(name, stream).await.map_err(ClientError::Connect)?), request, bound).await
    }

    /// Tries each address of the host in turn. A name that means this machine must also lead to it.
    async fn connect(&self, url: &Url) -> Result<TcpStream, ClientError> {
        let found = tokio::net::lookup_host((url.host.as_str(), url.port)).await.map_err(ClientError::Connect)?;
        let mut last = std::io::Error::from(std::io::ErrorKind::AddrNotAvailable);
        for address in found.filter(|address| self.may_ask(url, address)) {
            match TcpStream::connect(address).await {
                Ok(stream) => {
                    stream.set_nodelay(true).map_err(ClientError::Connect)?;
                    return Ok(stream);
                }
                Err(error) => last = error,
            }
        }
        Err(ClientError::Connect(last))
    }

    fn may_ask(&self, url: &Url, address: &SocketAddr) -> bool {
        url.encrypted || self.options.allow_plain_http || address.ip().is_loopback()
    }
}

impl std::fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fetcher").field("options", &self.options).finish_non_exhaustive()
    }
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn build(method: Method, url: &Url, headers: HeaderMap, body: Bytes) -> Result<Request<Full<Bytes>>, ClientError> {
    let target = url.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let host = url.uri.authority().map_or("", http::uri::Authority::as_str);
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = target.parse().map_err(|_| ClientError::Address)?;
    *request.headers_mut() = headers;
    request.headers_mut().insert(HOST, HeaderValue::from_str(host).map_err(|_| ClientError::Address)?);
    request.headers_mut().entry(ACCEPT_ENCODING).or_insert(HeaderValue::from_static("identity"));
    request.headers_mut().entry(USER_AGENT).or_insert(HeaderValue::from_static("vendorgate"));
    Ok(request)
}

/// Drives the connection beside the exchange, in this very task: when the caller gives up, both are gone.
async fn send(
    io: Box<dyn ByteStream>,
    request: Request<Full<Bytes>>,
    bound: usize,
) -> Result<ClientResponse, ClientError> {
    let asked = Arc::new(PendingResponse::default());
    asked.expect(ExpectedResponse::Response);
    let io = TokioIo::new(ScreenedStream::answers(io, asked));
    let (mut sender, connection) = http1::handshake(io).await.map_err(ClientError::Http)?;
    let mut connection = pin!(connection);
    let mut exchange = pin!(async move {
        let answer = sender.send_request(request).await.map_err(ClientError::Http)?;
        read(answer, bound).await
    });
    let mut connected = true;
    loop {
        tokio::select! {
            biased;
            answer = &mut exchange => return answer,
            // The connection may end before its last bytes are read: the exchange then says what it has.
            _ = &mut connection, if connected => connected = false,
        }
    }
}

async fn read(answer: http::Response<Incoming>, bound: usize) -> Result<ClientResponse, ClientError> {
    let (head, mut incoming) = answer.into_parts();
    let mut body = Vec::new();
    while let Some(frame) = incoming.frame().await {
        if let Ok(data) = frame.map_err(ClientError::Http)?.into_data() {
            if body.len() + data.len() > bound {
                return Err(ClientError::TooLarge(bound));
            }
            body.extend_from_slice(&data);
        }
    }
    let body = plain(body, head.headers.get(CONTENT_ENCODING), bound)?;
    Ok(ClientResponse { status: head.status, headers: head.headers, body: body.into() })
}

/// Nobody is asked for a coded answer; some servers and caches give gzip all the same, not all of them saying so.
fn plain(body: Vec<u8>, encoding: Option<&HeaderValue>, bound: usize) -> Result<Vec<u8>, ClientError> {
    const GZIP: [u8; 2] = [0x1f, 0x8b];
    match encoding.map_or(Ok(""), HeaderValue::to_str).map_err(|_| ClientError::Encoding)?.trim() {
        "" | "identity" | "gzip" | "x-gzip" if body.starts_with(&GZIP) => {
            let mut plain = Vec::new();
            let reader = MultiGzDecoder::new(&body[..]);
            reader.take(bound as u64 + 1).read_to_end(&mut plain).map_err(|_| ClientError::Encoding)?;
            if plain.len() > bound { Err(ClientError::TooLarge(bound)) } else { Ok(plain) }
        }
        "" | "identity" => Ok(body),
        _ if body.is_empty() => Ok(body),
        _ => Err(ClientError::Encoding),
    }
}

fn tls_config(options: &ClientOptions) -> Result<rustls::ClientConfig, ClientError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(ClientError::Tls)?
        .with_root_certificates(roots(options)?);
    let Some((chain, key)) = &options.client_certificate else { return Ok(builder.with_no_client_auth()) };
    builder
        .with_client_auth_cert(read_pem(chain, pem::certificate_chain)?, read_pem(key, pem::private_key)?)
        .map_err(ClientError::Tls)
}

/// The machine's authorities; those that cannot be read are left out, so that fewer are trusted.
pub fn native_roots() -> RootCertStore {
    /// Reading them takes milliseconds, and every vendor may have a client of its own.
    static NATIVE: OnceLock<RootCertStore> = OnceLock::new();
    let native = NATIVE.get_or_init(|| {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        store
    });
    native.clone()
}

fn roots(options: &ClientOptions) -> Result<RootCertStore, ClientError> {
    let mut store = native_roots();
    if let Some(path) = &options.ca_file {
        store.extend(read_pem(path, pem::certificate_authorities)?.roots.roots);
    }
    Ok(store)
}

fn read_pem<T>(path: &Path, parse: impl FnOnce(&[u8]) -> Result<T, PemError>) -> Result<T, ClientError> {
    let content = std::fs::read(path).map_err(|source| ClientError::File { path: path.to_owned(), source })?;
    // Gone with its last use: it may be a private key.
    let content = Zeroizing::new(content);
    parse(&content).map_err(|flaw| ClientError::Content { path: path.to_owned(), flaw })
}

#[cfg(test)]
mod tests;

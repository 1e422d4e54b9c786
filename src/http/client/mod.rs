//! The gateway's own HTTP client: for issuers, webhooks, the command line and the demo.
//!
//! One connection for each request, over TCP, TLS or a Unix socket; a deadline over everything and a bound on the
//! answer. HTTPS only, or plain HTTP to this machine, unless the operator allows more. Never follows a redirect, never
//! keeps a cookie, never carries traffic of vendors.

mod connection;
#[cfg(test)]
mod tests;

use std::io::Read as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HOST, HeaderValue, USER_AGENT};
use http::{HeaderMap, Method, Request, StatusCode, Uri, Version};
use rustls::RootCertStore;
use tokio_rustls::TlsConnector;
use zeroize::Zeroizing;

pub use self::connection::ResponseStream;
use super::pem::{self, PemError};
use super::{Url, UrlError, client_tls, native_roots};
use crate::model::debug_fields;

/// How requests are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientOptions {
    /// Time for the whole exchange: name, connection, handshake, answer.
    pub deadline: Duration,
    /// Time for the connection alone, TLS included.
    pub connect_deadline: Duration,
    /// Most bytes of a body that are read as a whole.
    pub body_bytes_max: usize,
    /// PEM file of certificate authorities that are trusted beside the machine's own.
    pub ca_file: Option<PathBuf>,
    /// PEM files of the certificate chain and key that we present.
    pub client_certificate: Option<(PathBuf, PathBuf)>,
    /// Whether plain HTTP may leave this machine.
    pub allow_plain_http: bool,
}

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// Over TCP, under TLS where the scheme says so.
    Url(Url),
    /// To a Unix socket.
    Socket(PathBuf),
}

/// Why there is no answer. Holds no part of what was sent or answered.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address is not one that may be called.
    #[error("the address cannot be called")]
    Address(#[from] UrlError),
    /// The target or a header field cannot be written into a request.
    #[error("the request cannot be written")]
    Request(#[from] http::Error),
    /// A certificate or key file cannot be read.
    #[error("cannot read {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the cause was.
        #[source]
        source: std::io::Error,
    },
    /// A certificate or key file does not hold what is needed.
    #[error("{path} {error}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: PemError,
    },
    /// Certificates and keys do not make a TLS client.
    #[error("cannot set up TLS")]
    Tls(#[source] rustls::Error),
    /// No connection could be made, or its TLS handshake failed.
    #[error("cannot connect")]
    Connect(#[source] std::io::Error),
    /// The answer is not HTTP, or it broke off.
    #[error("the answer is not readable as HTTP")]
    Http(#[source] hyper::Error),
    /// The answer is larger than its bound.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    /// The answer has a content coding that was not asked for and is not known, or a wrong one.
    #[error("the answer's content encoding cannot be undone")]
    Encoding,
    /// The deadline passed first.
    #[error("no answer within {0:?}")]
    Deadline(Duration),
}

/// A whole answer. A redirect is an answer like any other.
#[derive(Debug)]
pub struct ClientResponse {
    /// The status.
    pub status: StatusCode,
    /// The header fields.
    pub headers: HeaderMap,
    /// The body, within its bound, without its content coding.
    pub body: Bytes,
}

/// Whether an address may be dialled.
pub type AddressCheck = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;

/// Sends requests with one set of options.
#[derive(Clone)]
pub struct HttpClient {
    options: ClientOptions,
    /// Absent in a client that may dial any address.
    addresses: Option<AddressCheck>,
    /// Absent in a client that speaks plain HTTP only.
    tls: Option<TlsConnector>,
}

impl ClientOptions {
    /// Deadline and bound; no certificates of our own, and plain HTTP to this machine only.
    pub const fn new(deadline: Duration, body_bytes_max: usize) -> Self {
        Self {
            deadline,
            connect_deadline: deadline,
            body_bytes_max,
            ca_file: None,
            client_certificate: None,
            allow_plain_http: false,
        }
    }
}

impl HttpClient {
    /// A client that trusts the machine's authorities and those of `ca_file`.
    ///
    /// # Errors
    /// [`ClientError::File`], [`ClientError::Content`] or [`ClientError::Tls`] when a certificate or key cannot be
    /// used.
    pub fn new(options: ClientOptions) -> Result<Self, ClientError> {
        let mut roots = native_roots();
        if let Some(path) = &options.ca_file {
            roots.extend(read_pem(path, pem::certificate_authorities)?.roots.roots);
        }
        Self::trusting(roots, options)
    }

    /// A client that speaks plain HTTP only: to this machine, unless the options allow more, and to Unix sockets.
    pub const fn plain(options: ClientOptions) -> Self {
        Self { options, addresses: None, tls: None }
    }

    /// The same client, which dials only addresses that pass this check, after the name was resolved.
    #[must_use]
    pub fn checking_addresses(self, addresses: AddressCheck) -> Self {
        Self { addresses: Some(addresses), ..self }
    }

    /// A client that trusts these authorities only.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn trusting(roots: RootCertStore, options: ClientOptions) -> Result<Self, ClientError> {
        let identity = match &options.client_certificate {
            None => None,
            Some((chain, key)) => Some((read_pem(chain, pem::certificate_chain)?, read_pem(key, pem::private_key)?)),
        };
        let tls = client_tls(roots, identity).map_err(ClientError::Tls)?;
        Ok(Self { options, addresses: None, tls: Some(TlsConnector::from(Arc::new(tls))) })
    }

    /// Asks for a document.
    ///
    /// # Errors
    /// [`ClientError`] when no whole answer came in time; any status is an answer.
    pub async fn get(&self, url: &Url, headers: HeaderMap) -> Result<ClientResponse, ClientError> {
        self.send_to_url(Method::GET, url, headers, Bytes::new()).await
    }

    /// Sends a body; `headers` say what it is.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn post(&self, url: &Url, headers: HeaderMap, body: Bytes) -> Result<ClientResponse, ClientError> {
        self.send_to_url(Method::POST, url, headers, body).await
    }

    async fn send_to_url(
        &self,
        method: Method,
        url: &Url,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<ClientResponse, ClientError> {
        let mut request = Request::builder().method(method).uri(url.target()).body(body)?;
        *request.headers_mut() = headers;
        self.send(&Destination::Url(url.clone()), request).await
    }

    /// Sends a request whose target is a path and a query, and reads the whole answer.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn send(&self, to: &Destination, request: Request<Bytes>) -> Result<ClientResponse, ClientError> {
        let whole = async { read_whole(self.request(to, request).await?, self.options.body_bytes_max).await };
        self.within_deadline(Box::pin(whole)).await
    }

    /// Sends a request whose target is a path and a query, and gives the answer as soon as its head is here. A request
    /// of version HTTP/2 is sent with prior knowledge. The deadline ends with the head.
    ///
    /// # Errors
    /// [`ClientError`] when no head came in time.
    pub async fn open(&self, to: &Destination, request: Request<Bytes>) -> Result<ResponseStream, ClientError> {
        self.within_deadline(Box::pin(self.request(to, request))).await
    }

    async fn within_deadline<T>(&self, work: impl Future<Output = Result<T, ClientError>>) -> Result<T, ClientError> {
        let deadline = self.options.deadline;
        tokio::time::timeout(deadline, work).await.map_err(|_| ClientError::Deadline(deadline))?
    }

    async fn request(&self, to: &Destination, request: Request<Bytes>) -> Result<ResponseStream, ClientError> {
        let request = addressed(to, request)?;
        let connection = tokio::time::timeout(self.options.connect_deadline, self.connect(to)).await;
        let stream = connection.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
        connection::exchange(stream.map_err(ClientError::Connect)?, request).await
    }
}

debug_fields!(HttpClient: options);

/// Names the host: in `Host`, or in the target of HTTP/2.
fn addressed(to: &Destination, mut request: Request<Bytes>) -> Result<Request<Bytes>, ClientError> {
    let authority = match to {
        Destination::Url(url) => url.authority(),
        Destination::Socket(_) => "localhost".to_owned(),
    };
    if request.version() == Version::HTTP_2 {
        let target = request.uri().path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        *request.uri_mut() = Uri::builder().scheme("http").authority(authority).path_and_query(target).build()?;
    } else {
        request.headers_mut().insert(HOST, HeaderValue::try_from(authority).map_err(http::Error::from)?);
    }
    request.headers_mut().entry(ACCEPT_ENCODING).or_insert(HeaderValue::from_static("identity"));
    request.headers_mut().entry(USER_AGENT).or_insert(HeaderValue::from_static("vendorgate"));
    Ok(request)
}

async fn read_whole(mut answer: ResponseStream, bytes_max: usize) -> Result<ClientResponse, ClientError> {
    let mut body = Vec::new();
    while let Some(data) = answer.next().await {
        let data = data?;
        if body.len() + data.len() > bytes_max {
            return Err(ClientError::TooLarge(bytes_max));
        }
        body.extend_from_slice(&data);
    }
    let body = decoded(body, answer.headers.get(CONTENT_ENCODING), bytes_max)?;
    Ok(ClientResponse { status: answer.status, headers: answer.headers, body: body.into() })
}

/// The body without its content coding. None is asked for, but some servers and caches send gzip all the same, and not
/// all of them say so.
fn decoded(body: Vec<u8>, encoding: Option<&HeaderValue>, bytes_max: usize) -> Result<Vec<u8>, ClientError> {
    const GZIP: [u8; 2] = [0x1f, 0x8b];
    match encoding.map_or(Ok(""), HeaderValue::to_str).map_err(|_| ClientError::Encoding)?.trim() {
        "" | "identity" | "gzip" | "x-gzip" if body.starts_with(&GZIP) => {
            let mut plain = Vec::new();
            let reader = MultiGzDecoder::new(&body[..]);
            reader.take(bytes_max as u64 + 1).read_to_end(&mut plain).map_err(|_| ClientError::Encoding)?;
            if plain.len() > bytes_max { Err(ClientError::TooLarge(bytes_max)) } else { Ok(plain) }
        }
        "" | "identity" => Ok(body),
        _ if body.is_empty() => Ok(body),
        _ => Err(ClientError::Encoding),
    }
}

fn read_pem<T>(path: &Path, parse: impl FnOnce(&[u8]) -> Result<T, PemError>) -> Result<T, ClientError> {
    let content = std::fs::read(path).map_err(|source| ClientError::File { path: path.to_owned(), source })?;
    // Wiped when it is dropped: the file may hold a private key.
    let content = Zeroizing::new(content);
    parse(&content).map_err(|error| ClientError::Content { path: path.to_owned(), error })
}

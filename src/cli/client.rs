//! How a verb talks to a running gateway: over its admin listener, or the Unix socket beside its state.
//!
//! A token comes from the environment only, since arguments are seen by every user of the machine, and goes in clear
//! to nothing but this machine.

use std::future::Future;
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use rustls::RootCertStore;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::{TcpStream, UnixStream};

use super::error::{CliError, Exit};
use super::tls;
use crate::admin::{Problem, parse_since};
use crate::bounds::{CLIENT_ANSWER_BYTES_MAX, CLIENT_DEADLINE, CONNECT_DEADLINE};
use crate::http::{ByteStream, native_roots};
use crate::model::{Secret, UnixTime};

/// Where a gateway keeps its socket unless its config names another state folder.
const DEFAULT_SOCKET: &str = "/var/lib/vendorgate/admin.sock";
/// Where a gateway listens for operators unless its config says otherwise.
const DEFAULT_URL: &str = "http://127.0.0.1:9901";
/// The variable that holds an operator's token.
const TOKEN_VARIABLE: &str = "VENDORGATE_TOKEN";

/// How to find the gateway, for every verb that talks to one.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct ConnectionArgs {
    /// Admin listener: http://HOST:PORT, https://HOST:PORT or unix:/PATH; the operator's token is in VENDORGATE_TOKEN [default: the socket beside the state folder, else port 9901 here]
    #[arg(long, env = "VENDORGATE_ADMIN", value_name = "URL")]
    pub(super) admin: Option<String>,
    /// Answer in JSON
    #[arg(long)]
    pub(super) json: bool,
}

impl ConnectionArgs {
    /// The client that the arguments and the environment describe.
    pub(super) fn client(&self) -> Result<AdminClient, CliError> {
        let token = match std::env::var(TOKEN_VARIABLE) {
            Ok(token) => Some(token),
            Err(std::env::VarError::NotPresent) => None,
            Err(std::env::VarError::NotUnicode(_)) => {
                return Err(CliError::invalid_argument(TOKEN_VARIABLE, "it is not text"));
            }
        };
        let address = match &self.admin {
            Some(text) => text.as_str(),
            None if Path::new(DEFAULT_SOCKET).exists() => &format!("unix:{DEFAULT_SOCKET}"),
            None => DEFAULT_URL,
        };
        AdminClient::new(address, token.as_deref())
    }

    /// Prints an answer: as JSON where that was asked for, else in words.
    pub(super) fn print<T: Serialize>(
        &self,
        answer: &T,
        words: impl FnOnce(&T) -> String,
        out: &mut dyn Write,
    ) -> Result<(), CliError> {
        let text = match self.json {
            true => serde_json::to_string_pretty(answer).map_err(io::Error::from)? + "\n",
            false => words(answer),
        };
        Ok(out.write_all(text.as_bytes())?)
    }
}

/// A gateway's admin API, as seen from a shell.
#[derive(Debug)]
pub(super) struct AdminClient {
    text: String,
    address: AdminAddress,
    token: Option<Secret<String>>,
    /// Whom to trust instead of the machine's authorities.
    roots: Option<RootCertStore>,
}

#[derive(Debug, PartialEq, Eq)]
enum AdminAddress {
    Network { host: String, port: u16, tls: bool },
    Socket(PathBuf),
}

impl AdminClient {
    /// A client for one address, with an operator's token where one is needed.
    ///
    /// # Errors
    /// [`CliError::Unusable`] when the address is none, the token cannot stand in a header, or it would cross the
    /// network in clear.
    pub(super) fn new(address: &str, token: Option<&str>) -> Result<Self, CliError> {
        let parsed = parse(address).map_err(|why| CliError::invalid_argument("--admin", why))?;
        let token = token.map(str::trim).filter(|token| !token.is_empty());
        if token.is_some_and(|token| !token.bytes().all(|byte| byte.is_ascii_graphic())) {
            return Err(CliError::invalid_argument(TOKEN_VARIABLE, "a token has no spaces and only ASCII characters"));
        }
        if let (AdminAddress::Network { host, tls: false, .. }, Some(_)) = (&parsed, token)
            && !is_here(host)
        {
            let why = format!(
                "a token would cross the network in clear; write https://, or tunnel to the gateway's machine: \
                 'ssh -L 9901:127.0.0.1:9901 {host}', and leave --admin out"
            );
            return Err(CliError::invalid_argument("--admin", why));
        }
        let token = token.map(|token| Secret::new(token.to_owned()));
        Ok(Self { text: address.to_owned(), address: parsed, token, roots: None })
    }

    /// Trusts these authorities, and not the machine's.
    #[cfg(test)]
    #[must_use]
    pub(super) fn trusting(mut self, roots: RootCertStore) -> Self {
        self.roots = Some(roots);
        self
    }

    /// Asks, and reads the answer.
    ///
    /// # Errors
    /// [`CliError`] when the gateway is not reached, says no, or answers something else.
    pub(super) async fn get<T: DeserializeOwned>(&self, target: &str) -> Result<T, CliError> {
        self.call(Method::GET, target, None).await
    }

    /// Orders, and reads the answer.
    ///
    /// # Errors
    /// As for [`AdminClient::get`].
    pub(super) async fn post<T: DeserializeOwned>(&self, target: &str, order: &impl Serialize) -> Result<T, CliError> {
        let body = serde_json::to_vec(order).map_err(io::Error::from)?;
        self.call(Method::POST, target, Some(body)).await
    }

    /// Asks for plain text, whatever its status.
    ///
    /// # Errors
    /// [`CliError`] when the gateway is not reached or does not answer.
    pub(super) async fn probe(&self, target: &str) -> Result<(StatusCode, String), CliError> {
        let (status, body) = self.within_deadline(self.exchange(Method::GET, target, None)).await?;
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        target: &str,
        body: Option<Vec<u8>>,
    ) -> Result<T, CliError> {
        let (status, body) = self.within_deadline(self.exchange(method, target, body)).await?;
        let strange = || CliError::UnexpectedResponse { address: self.text.clone(), status: status.as_u16() };
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|_| strange());
        }
        let problem: Problem = serde_json::from_slice(&body).map_err(|_| strange())?;
        Err(CliError::Refused(Box::new(problem)))
    }

    async fn within_deadline<T>(&self, work: impl Future<Output = Result<T, CliError>>) -> Result<T, CliError> {
        let late = |_| self.silent(io::Error::from(io::ErrorKind::TimedOut));
        tokio::time::timeout(CLIENT_DEADLINE, work).await.unwrap_or_else(|error| Err(late(error)))
    }

    async fn exchange(
        &self,
        method: Method,
        target: &str,
        body: Option<Vec<u8>>,
    ) -> Result<(StatusCode, Bytes), CliError> {
        let host = match &self.address {
            AdminAddress::Network { host, port, .. } if host.contains(':') => format!("[{host}]:{port}"),
            AdminAddress::Network { host, port, .. } => format!("{host}:{port}"),
            AdminAddress::Socket(_) => "localhost".to_owned(),
        };
        self.send(self.connect().await?, self.request(method, target, &host, body)?).await
    }

    async fn connect(&self) -> Result<Box<dyn ByteStream>, CliError> {
        match &self.address {
            AdminAddress::Network { host, port, tls } => {
                let stream = self.connected(TcpStream::connect((host.as_str(), *port))).await?;
                if !tls {
                    return Ok(Box::new(stream));
                }
                let roots = self.roots.clone().unwrap_or_else(native_roots);
                Ok(Box::new(self.connected(tls::secure(stream, host, roots)).await?))
            }
            AdminAddress::Socket(path) => Ok(Box::new(self.connected(UnixStream::connect(path)).await?)),
        }
    }

    async fn connected<S>(&self, connect: impl Future<Output = io::Result<S>>) -> Result<S, CliError> {
        let timed_out = |_| Err(io::ErrorKind::TimedOut.into());
        let connected = tokio::time::timeout(CONNECT_DEADLINE, connect).await.unwrap_or_else(timed_out);
        connected.map_err(|source| CliError::Unreachable { address: self.text.clone(), source })
    }

    fn request(
        &self,
        method: Method,
        target: &str,
        host: &str,
        body: Option<Vec<u8>>,
    ) -> Result<Request<Full<Bytes>>, CliError> {
        let mut request = Request::builder().method(method).uri(target).header(header::HOST, host);
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", token.expose()));
        }
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let body = Full::new(Bytes::from(body.unwrap_or_default()));
        request.body(body).map_err(|error| CliError::invalid_argument("the call", error))
    }

    async fn send(
        &self,
        stream: Box<dyn ByteStream>,
        request: Request<Full<Bytes>>,
    ) -> Result<(StatusCode, Bytes), CliError> {
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|error| self.silent(error))?;
        let driver = tokio::spawn(connection);
        let response = sender.send_request(request).await.map_err(|error| self.silent(error))?;
        let status = response.status();
        let bounded = Limited::new(response.into_body(), CLIENT_ANSWER_BYTES_MAX);
        #[expect(clippy::disallowed_methods, reason = "an answer for one person, bounded by the line above")]
        let body = bounded.collect().await.map_err(|error| self.silent(error))?;
        driver.abort();
        Ok((status, body.to_bytes()))
    }

    fn silent(&self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> CliError {
        CliError::NoResponse { address: self.text.clone(), source: source.into() }
    }
}

/// Has a verb's conversation with the gateway that its arguments name.
pub(super) fn with_client(
    reach: &ConnectionArgs,
    talk: impl AsyncFnOnce(&AdminClient) -> Result<Exit, CliError>,
) -> Result<Exit, CliError> {
    let client = reach.client()?;
    block_on(talk(&client))
}

/// A time out of an argument: a date and time, or how long ago.
pub(super) fn parse_time(what: &'static str, text: &str, now: UnixTime) -> Result<UnixTime, CliError> {
    let advice = "write a time such as 2026-11-21T20:00:00Z, or how long ago, such as 24h";
    parse_since(text, now).ok_or_else(|| CliError::invalid_argument(what, advice))
}

/// Waits for the end of what a verb does.
///
/// # Errors
/// Those of `work`, and [`CliError::Local`] when the machine gives no runtime.
pub(super) fn block_on<T>(work: impl Future<Output = Result<T, CliError>>) -> Result<T, CliError> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

fn parse(address: &str) -> Result<AdminAddress, String> {
    const EXAMPLE: &str = "write http://127.0.0.1:9901 or unix:/var/lib/vendorgate/admin.sock";
    if let Some(path) = address.strip_prefix("unix:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        return if path.is_empty() { Err(EXAMPLE.into()) } else { Ok(AdminAddress::Socket(path.into())) };
    }
    let (rest, tls) = match (address.strip_prefix("http://"), address.strip_prefix("https://")) {
        (Some(rest), _) => (rest, false),
        (None, Some(rest)) => (rest, true),
        (None, None) => return Err(EXAMPLE.into()),
    };
    let authority: http::uri::Authority = rest.strip_suffix('/').unwrap_or(rest).parse().map_err(|_| EXAMPLE)?;
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() || authority.as_str().contains('@') {
        return Err(EXAMPLE.into());
    }
    let port = authority.port_u16().unwrap_or(if tls { 443 } else { 80 });
    Ok(AdminAddress::Network { host: host.to_owned(), port, tls })
}

fn is_here(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_others_refused() {
        let network = |host: &str, port| Ok(AdminAddress::Network { host: host.into(), port, tls: false });
        for (text, expected) in [
            ("http://127.0.0.1:9901", network("127.0.0.1", 9901)),
            ("http://127.0.0.1:9901/", network("127.0.0.1", 9901)),
            ("http://[::1]:1", network("::1", 1)),
            ("http://gate", network("gate", 80)),
            ("https://gate", Ok(AdminAddress::Network { host: "gate".into(), port: 443, tls: true })),
            ("unix:/run/a.sock", Ok(AdminAddress::Socket("/run/a.sock".into()))),
            ("unix:///run/a.sock", Ok(AdminAddress::Socket("/run/a.sock".into()))),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
        for bad in ["", "127.0.0.1:9901", "unix:", "http://", "http://a/b", "http://u:p@h", "https://", "ftp://h"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_token_stays_on_this_machine_and_out_of_sight() {
        for (address, fine) in [
            ("http://127.0.0.1:1", true),
            ("http://[::1]:1", true),
            ("http://localhost:1", true),
            ("unix:/a", true),
            ("https://10.0.0.1:1", true),
            ("http://10.0.0.1:1", false),
            ("http://localhost.evil:1", false),
        ] {
            assert_eq!(AdminClient::new(address, Some("t0ken")).is_ok(), fine, "{address}");
            assert!(AdminClient::new(address, None).is_ok(), "{address}");
        }
        assert!(AdminClient::new("unix:/a", Some("two words")).is_err());
        let client = AdminClient::new("unix:/a", Some("t0ken\n")).expect("a trailing line feed is forgiven");
        assert!(!format!("{client:?}").contains("t0ken"));
    }
}

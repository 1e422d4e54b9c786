//! How a verb talks to a running gateway: over its admin listener, or over the Unix socket in its state folder.
//!
//! The token is read from the environment only, because every user of the machine can see arguments. It is sent in
//! plain text to this machine only.

use std::future::Future;
use std::io::{self, Write};
use std::path::Path;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::{CliError, Exit};
use crate::admin::{Problem, parse_since};
use crate::bounds::{CLIENT_ANSWER_BYTES_MAX, CLIENT_DEADLINE, CONNECT_DEADLINE};
use crate::http::{ClientError, ClientOptions, ClientResponse, Destination, HttpClient, Url, UrlScheme};
use crate::model::{Clock, Secret, UnixTime, with_causes};

/// The gateway's socket, unless its config names another state folder.
const DEFAULT_SOCKET: &str = "/var/lib/vendorgate/admin.sock";
/// The gateway's admin listener, unless its config names another address.
const DEFAULT_URL: &str = "http://127.0.0.1:9901";
/// The variable that holds an operator's token.
const TOKEN_VARIABLE: &str = "VENDORGATE_TOKEN";

/// How to reach the gateway, for every verb that talks to one.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct ConnectionArgs {
    /// Where the gateway is: http://HOST:PORT or https://HOST:PORT for its admin listener, with the operator's token in
    /// VENDORGATE_TOKEN, or unix:/PATH for its socket [default: unix:/var/lib/vendorgate/admin.sock if it exists, else
    /// http://127.0.0.1:9901]
    #[arg(long, env = "VENDORGATE_ADMIN", value_name = "URL")]
    pub(super) admin: Option<String>,
    /// Print the answer as JSON
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

    /// Prints an answer: as JSON where `--json` is given, else as text.
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

/// What a verb that talks to a running gateway works with.
pub(super) struct RemoteCall<'a> {
    pub(super) client: AdminClient,
    pub(super) connection: &'a ConnectionArgs,
    pub(super) now: UnixTime,
    pub(super) out: &'a mut dyn Write,
}

impl RemoteCall<'_> {
    /// Sends a `GET` and reads the answer.
    ///
    /// # Errors
    /// [`CliError`] when the gateway is not reached, refuses, or answers something else.
    pub(super) async fn get<T: DeserializeOwned>(&self, target: &str) -> Result<T, CliError> {
        self.client.call(Method::GET, target, None).await
    }

    /// Sends an order with `POST` and reads the answer.
    ///
    /// # Errors
    /// As for [`RemoteCall::get`].
    pub(super) async fn post<T: DeserializeOwned>(&self, target: &str, order: &impl Serialize) -> Result<T, CliError> {
        let body = serde_json::to_vec(order).map_err(io::Error::from)?;
        self.client.call(Method::POST, target, Some(body)).await
    }

    /// Prints an answer: as JSON where `--json` is given, else as text.
    pub(super) fn print<T: Serialize>(&mut self, answer: &T, words: impl FnOnce(&T) -> String) -> Result<(), CliError> {
        self.connection.print(answer, words, self.out)
    }
}

/// A client of the admin API.
#[derive(Debug)]
pub(super) struct AdminClient {
    /// The address as it was written, for messages.
    address: String,
    endpoint: Destination,
    http: HttpClient,
    token: Option<Secret<String>>,
}

impl AdminClient {
    /// A client for one address, with an operator's token where one is needed.
    ///
    /// # Errors
    /// [`CliError::InvalidArgument`] when the address cannot be read, the token cannot be written into a header, or it
    /// would cross the network in plain text.
    pub(super) fn new(address: &str, token: Option<&str>) -> Result<Self, CliError> {
        let endpoint = parse(address).map_err(|why| CliError::invalid_argument("--admin", why))?;
        let token = token.map(str::trim).filter(|token| !token.is_empty());
        if token.is_some_and(|token| !token.bytes().all(|byte| byte.is_ascii_graphic())) {
            return Err(CliError::invalid_argument(TOKEN_VARIABLE, "a token has no spaces and only ASCII characters"));
        }
        if let (Destination::Url(url), Some(_)) = (&endpoint, token)
            && !url.is_protected()
        {
            let why = format!(
                "a token would cross the network in clear; write https://, or tunnel to the gateway's machine: \
                 'ssh -L 9901:127.0.0.1:9901 {}', and leave --admin out",
                url.bare_host()
            );
            return Err(CliError::invalid_argument("--admin", why));
        }
        let options = ClientOptions {
            connect_deadline: CONNECT_DEADLINE,
            allow_plain_http: token.is_none(),
            ..ClientOptions::new(CLIENT_DEADLINE, CLIENT_ANSWER_BYTES_MAX)
        };
        let http = match &endpoint {
            Destination::Url(url) if url.scheme() == UrlScheme::Https => HttpClient::new(options),
            Destination::Url(_) | Destination::Socket(_) => Ok(HttpClient::plain(options)),
        };
        let http = http.map_err(|error| CliError::invalid_argument("--admin", with_causes(&error)))?;
        let token = token.map(|token| Secret::new(token.to_owned()));
        Ok(Self { address: address.to_owned(), endpoint, http, token })
    }

    /// Trusts only these authorities.
    #[cfg(test)]
    #[must_use]
    pub(super) fn trusting(self, roots: rustls::RootCertStore) -> Self {
        let options = ClientOptions::new(CLIENT_DEADLINE, CLIENT_ANSWER_BYTES_MAX);
        Self { http: HttpClient::trusting(roots, options).expect("a client without a certificate"), ..self }
    }

    /// Sends a `GET` and reads the answer as plain text, whatever its status.
    ///
    /// # Errors
    /// [`CliError`] when the gateway is not reached or does not answer.
    pub(super) async fn probe(&self, target: &str) -> Result<(StatusCode, String), CliError> {
        let answer = self.send(Method::GET, target, None).await?;
        Ok((answer.status, String::from_utf8_lossy(&answer.body).into_owned()))
    }

    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        target: &str,
        body: Option<Vec<u8>>,
    ) -> Result<T, CliError> {
        let ClientResponse { status, body, .. } = self.send(method, target, body).await?;
        let unexpected = || CliError::UnexpectedResponse { address: self.address.clone(), status: status.as_u16() };
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|_| unexpected());
        }
        let problem: Problem = serde_json::from_slice(&body).map_err(|_| unexpected())?;
        Err(CliError::Refused(Box::new(problem)))
    }

    async fn send(&self, method: Method, target: &str, body: Option<Vec<u8>>) -> Result<ClientResponse, CliError> {
        let mut request = Request::builder().method(method).uri(target);
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", token.expose()));
        }
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request = request.body(Bytes::from(body.unwrap_or_default()));
        let request = request.map_err(|error| CliError::invalid_argument("the call", error))?;
        let address = || self.address.clone();
        self.http.send(&self.endpoint, request).await.map_err(|error| match error {
            ClientError::Connect(source) => CliError::Unreachable { address: address(), source },
            other => CliError::NoResponse { address: address(), source: other },
        })
    }
}

/// Runs a verb with a client for the gateway that its arguments name.
pub(super) fn with_gateway(
    connection: &ConnectionArgs,
    out: &mut dyn Write,
    talk: impl AsyncFnOnce(&mut RemoteCall<'_>) -> Result<Exit, CliError>,
) -> Result<Exit, CliError> {
    let (client, now) = (connection.client()?, Clock::system().now().wall);
    block_on(talk(&mut RemoteCall { client, connection, now, out }))
}

/// Parses an argument that is a time: a date with its time of day, or how long ago.
pub(super) fn parse_time(what: &'static str, text: &str, now: UnixTime) -> Result<UnixTime, CliError> {
    let advice = "write a time such as 2026-11-21T20:00:00Z, or how long ago, such as 24h";
    parse_since(text, now).ok_or_else(|| CliError::invalid_argument(what, advice))
}

/// Runs a verb's work to its end.
///
/// # Errors
/// Those of `work`, and [`CliError::Io`] when the runtime cannot be made.
pub(super) fn block_on<T>(work: impl Future<Output = Result<T, CliError>>) -> Result<T, CliError> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

fn parse(address: &str) -> Result<Destination, &'static str> {
    const EXAMPLE: &str = "write http://127.0.0.1:9901 or unix:/var/lib/vendorgate/admin.sock";
    if let Some(path) = address.strip_prefix("unix:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        return if path.is_empty() { Err(EXAMPLE) } else { Ok(Destination::Socket(path.into())) };
    }
    let url = Url::parse_base(address).map_err(|_| EXAMPLE)?;
    if url.path().is_empty() { Ok(Destination::Url(url)) } else { Err(EXAMPLE) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admin_addresses_are_parsed_and_others_refused() {
        for (text, expected) in [
            ("http://127.0.0.1:9901", "http://127.0.0.1:9901"),
            ("http://127.0.0.1:9901/", "http://127.0.0.1:9901"),
            ("http://[::1]:1", "http://[::1]:1"),
            ("http://gate", "http://gate"),
            ("https://gate", "https://gate"),
        ] {
            let Ok(Destination::Url(url)) = parse(text) else { panic!("{text}") };
            assert_eq!(url.to_string(), expected);
        }
        for text in ["unix:/run/a.sock", "unix:///run/a.sock"] {
            assert_eq!(parse(text), Ok(Destination::Socket("/run/a.sock".into())), "{text}");
        }
        for bad in ["", "127.0.0.1:9901", "unix:", "http://", "http://a/b", "http://u:p@h", "https://", "ftp://h"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_token_crosses_no_network_in_plain_text_and_is_never_printed() {
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

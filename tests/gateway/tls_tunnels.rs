//! TLS in tunnels: passed unread where the contract has no rules, or ended here and treated as any call.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};

use crate::support::certificates::Certificates;
use crate::support::client::{Client, tcp};
use crate::support::fixture::GatewayFixture;
use crate::support::test_gateway::TestGateway;
use crate::support::until;
use crate::support::upstream::Upstream;
use crate::tunnels::{RATE, clear_terms, connect, refused};

/// A vendor that speaks TLS as `localhost` and says back what it hears.
pub(crate) struct TlsVendor {
    pub(crate) address: SocketAddr,
    client: Arc<ClientConfig>,
    pub(crate) open: Arc<AtomicUsize>,
    pub(crate) heard: Arc<AtomicUsize>,
    _folder: tempfile::TempDir,
}

impl TlsVendor {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let certificates = Certificates::write(folder.path());
        let chain = CertificateDer::pem_file_iter(folder.path().join("gateway.pem")).expect("a file");
        let chain = chain.collect::<Result<Vec<_>, _>>().expect("certificates");
        let key = PrivateKeyDer::from_pem_file(folder.path().join("gateway.key")).expect("a key");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config =
            builder.expect("versions").with_no_client_auth().with_single_cert(chain, key).expect("an identity");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let (open, heard) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let (config, theirs) = (Arc::new(config), (Arc::clone(&open), Arc::clone(&heard)));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (config, (open, heard)) = (Arc::clone(&config), theirs.clone());
                std::thread::spawn(move || {
                    open.fetch_add(1, Ordering::SeqCst);
                    say_back(stream, &config, &heard);
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        let client = certificates.client(rustls::ALL_VERSIONS, &[], false);
        Self { address, client, open, heard, _folder: folder }
    }

    pub(crate) fn target(&self) -> String {
        format!("localhost:{}", self.address.port())
    }

    pub(crate) fn terms(&self, limits: &str) -> String {
        format!(
            "limits: {{ {RATE}, {limits} }}\negress:\n  tunnel: opaque\n  upstream: {{ url: \"https://{}\", allow_networks: [\"127.0.0.0/8\"] }}\n  routes: [ {{ route: GET /v2/plain }} ]\n",
            self.target()
        )
    }

    /// A tunnel through the gateway, and TLS with the vendor in it under this name.
    fn tunnel(
        &self,
        gateway: &TestGateway,
        name: &'static str,
    ) -> std::io::Result<StreamOwned<ClientConnection, TcpStream>> {
        self.tunnel_over(tcp(gateway.egress()), "", name)
    }

    /// The same over this connection to the gateway, asked for with these fields.
    pub(crate) fn tunnel_over<S: Read + Write>(
        &self,
        mut stream: S,
        fields: &str,
        name: &'static str,
    ) -> std::io::Result<StreamOwned<ClientConnection, S>> {
        let target = self.target();
        stream.write_all(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{fields}\r\n").as_bytes())?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        assert!(head.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&head));
        self.session_over(stream, name)
    }

    /// TLS with the vendor under this name over a connection that leads to it.
    pub(crate) fn session_over<S: Read + Write>(
        &self,
        mut stream: S,
        name: &'static str,
    ) -> std::io::Result<StreamOwned<ClientConnection, S>> {
        let name = ServerName::try_from(name).expect("a name");
        let mut session = ClientConnection::new(Arc::clone(&self.client), name).expect("a session");
        while session.is_handshaking() {
            session.complete_io(&mut stream)?;
        }
        Ok(StreamOwned::new(session, stream))
    }
}

fn say_back(mut stream: TcpStream, config: &Arc<ServerConfig>, heard: &AtomicUsize) {
    let mut session = ServerConnection::new(Arc::clone(config)).expect("a session");
    while session.is_handshaking() {
        if session.complete_io(&mut stream).is_err() {
            return;
        }
    }
    heard.fetch_add(1, Ordering::SeqCst);
    let mut stream = StreamOwned::new(session, stream);
    let mut piece = [0; 4096];
    while let Ok(read @ 1..) = stream.read(&mut piece) {
        if stream.write_all(&piece[..read]).and_then(|()| stream.flush()).is_err() {
            return;
        }
    }
}

pub(crate) fn said_back(stream: &mut impl ReadWrite, words: &[u8]) {
    stream.write_all(words).and_then(|()| stream.flush()).expect("it is read");
    let mut back = vec![0; words.len()];
    stream.read_exact(&mut back).expect("it is said back");
    assert_eq!(back, words);
}

pub(crate) trait ReadWrite: Read + Write {}
impl<T: Read + Write> ReadWrite for T {}

#[test]
fn tls_passes_an_opaque_tunnel_unread_and_is_counted_and_holds_its_slot() {
    let vendor = TlsVendor::start();
    let gateway = TestGateway::of_acme(vendor.address, &vendor.terms("concurrency: 1"));
    let mut stream = vendor.tunnel(&gateway, "localhost").expect("a handshake with the vendor itself");
    said_back(&mut stream, &[0x5a; 50_000]);
    assert_eq!(refused(&gateway, &vendor.target()).1, "concurrency_exceeded");
    drop(stream);
    until("the vendor's side is closed", || vendor.open.load(Ordering::SeqCst) == 0);
    until("the books are closed", || gateway.in_flight() == 0);
    let sent =
        gateway.metric("vendorgate_bytes_total", &["vendor=\"acme\"", "direction=\"egress\""]).expect("a series");
    assert!((50_000..60_000).contains(&sent), "{sent}");
    let by_route = ["vendor=\"acme\"", "route=\"CONNECT\"", "status=\"200\""];
    assert_eq!(gateway.metric("vendorgate_requests_total", &by_route), Some(1));
    // HTTP in clear in the same tunnel is a call like any other, and takes no slot of the tunnel's.
    let (mut clear, head) = connect(&gateway, &vendor.target(), "");
    assert_eq!(head.status, 200);
    let text = format!("GET /v2/other HTTP/1.1\r\nHost: {}\r\n\r\n", vendor.target());
    assert_eq!(clear.send(text).answer().reason(), "destination_unknown");
}

#[test]
fn tls_for_another_name_than_the_tunnels_reaches_nobody() {
    let vendor = TlsVendor::start();
    let gateway = TestGateway::of_acme(vendor.address, &vendor.terms("concurrency: 9"));
    for name in ["evil.example", "127.0.0.1"] {
        assert!(vendor.tunnel(&gateway, name).is_err(), "{name}");
    }
    // A client hello that is none, or breaks off.
    for bytes in [&[0x16, 3, 1, 0, 4, 9, 9, 9, 9][..], &[0x16, 3, 1], &[0x16; 70_000]] {
        let (mut client, head) = connect(&gateway, &vendor.target(), "");
        assert_eq!(head.status, 200);
        client.send(bytes);
        drop(client);
    }
    until("all are closed", || gateway.in_flight() == 0 && vendor.open.load(Ordering::SeqCst) == 0);
    assert_eq!(vendor.heard.load(Ordering::SeqCst), 0);
    until("the log says why", || gateway.log().contains("SNI"));
}

#[test]
fn a_kill_or_a_contract_that_takes_it_back_severs_an_opaque_tunnel() {
    for by_kill in [true, false] {
        let vendor = TlsVendor::start();
        let gateway = TestGateway::of_acme(vendor.address, &vendor.terms("concurrency: 9"));
        let mut streams: Vec<_> = (0..5).map(|_| vendor.tunnel(&gateway, "localhost").expect("a handshake")).collect();
        streams.iter_mut().for_each(|stream| said_back(stream, b"hello"));
        if by_kill {
            let json = gateway.admin("operator", "POST", "/v1/vendors/acme/kill", r#"{"reason":"breach"}"#).json();
            assert_eq!(json["severed"].as_u64(), Some(5), "{json}");
        } else {
            gateway.fixture.write_contract("acme", &vendor.terms("concurrency: 9").replace("opaque", "refuse"));
            assert_eq!(gateway.admin("admin", "POST", "/v1/reload", "{}").status, 200);
        }
        for stream in &mut streams {
            let ended = stream.sock.read(&mut [0; 1024]).map_err(|error| error.kind());
            assert_eq!(ended, Err(std::io::ErrorKind::ConnectionReset), "{by_kill}");
        }
        until("the vendor's sides are closed", || vendor.open.load(Ordering::SeqCst) == 0);
        until("nothing is in flight", || gateway.in_flight() == 0);
    }
}

#[test]
fn a_spent_budget_of_bytes_ends_an_opaque_tunnel() {
    let vendor = TlsVendor::start();
    let limits = "bytes: { budget: 64KiB, window: 1h }";
    let gateway = TestGateway::of_acme(vendor.address, &vendor.terms(limits));
    let mut stream = vendor.tunnel(&gateway, "localhost").expect("a handshake");
    let mut sent = 0;
    while stream.write_all(&[0x5a; 1000]).and_then(|()| stream.flush()).is_ok() && sent < 2_000_000 {
        sent += 1000;
    }
    // What the kernels hold was written and is thrown away: the end comes all the same.
    while matches!(stream.sock.read(&mut [0; 4096]), Ok(1..)) {}
    until("nothing is in flight", || gateway.in_flight() == 0);
    let left =
        gateway.metric("vendorgate_bytes_total", &["vendor=\"acme\"", "direction=\"egress\""]).expect("a series");
    assert!(left <= 64 * 1024, "{left}");
    until("the log says why", || gateway.log().contains("bytes_exceeded"));
}

#[test]
fn an_opaque_tunnel_to_a_vendor_that_cannot_be_reached_is_refused_before_its_200() {
    let vendor = TlsVendor::start();
    let away = vendor.terms("concurrency: 9").replace(", allow_networks: [\"127.0.0.0/8\"]", "");
    let gateway = TestGateway::of_acme(vendor.address, &away);
    // The name resolves to a private address.
    assert_eq!(refused(&gateway, &vendor.target()).1, "destination_unknown");
    assert_eq!(vendor.open.load(Ordering::SeqCst), 0);
    let closed = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port");
    let away = vendor.terms("concurrency: 9").replace(&vendor.target(), &format!("localhost:{}", closed.port()));
    gateway.fixture.write_contract("acme", &away);
    assert_eq!(gateway.admin("admin", "POST", "/v1/reload", "{}").status, 200);
    assert_eq!(refused(&gateway, &format!("localhost:{}", closed.port())).1, "upstream_refused");
}

fn intercepting(vendor: &Upstream) -> TestGateway {
    let terms = clear_terms(vendor.address).replace(&format!(", \"{}\"", vendor.address), "");
    let fixture =
        GatewayFixture::of_acme(vendor.address, &terms.replace("egress:\n", "egress:\n  tunnel: intercept\n"));
    TestGateway::start(authority(fixture, "api.acme.example"))
}

/// Lets the egress listener of a fixture intercept by an authority for this host.
pub(crate) fn authority(fixture: GatewayFixture, host: &str) -> GatewayFixture {
    let made = Command::new(env!("CARGO_BIN_EXE_vendorgate"))
        .args(["ca", "generate", "--host", host, "--out"])
        .arg(fixture.path().join("ca"))
        .output()
        .expect("it runs");
    assert!(made.status.success(), "{made:?}");
    fixture.listeners(
        "  ingress: { bind: \"127.0.0.1:0\" }
  egress: { bind: \"127.0.0.1:0\", anonymous: true, interception: { ca: ca/egress.pem, key: ca/egress.key } }
  admin: { bind: \"127.0.0.1:0\", operators: operators.yaml }\n",
    )
}

#[test]
fn tls_that_is_intercepted_is_treated_as_any_call() {
    let vendor = Upstream::json(r#"{"ok":true}"#);
    let gateway = intercepting(&vendor);
    let ca = gateway.fixture.path().join("ca/egress.pem");
    let proxy = format!("http://{}", gateway.egress());
    for version in ["--http1.1", "--http2"] {
        let done = Command::new("curl")
            .args(["-sS", "--noproxy", "", "-x", &proxy, version, "-w", " %{http_version}", "--cacert"])
            .arg(&ca)
            .args(["-H", "Content-Type: application/json", "-d", r#"{"email":"ann@example.com"}"#])
            .arg("https://api.acme.example/v2/events")
            .output()
            .expect("curl runs");
        let said = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
        let spoken = if version == "--http2" { "2" } else { "1.1" };
        assert_eq!(said, format!(r#"{{"ok":true}} {spoken}"#));
    }
    assert_eq!(vendor.seen().len(), 2);
    for seen in vendor.seen() {
        let raw = String::from_utf8_lossy(&seen.raw).to_ascii_lowercase();
        assert!(!raw.contains("ann@") && raw.contains("\"email\":\"t"), "{raw}");
    }
    let (_, why, _) = refused(&gateway, "evil.example:443");
    assert_eq!(why, "destination_unknown");
}

#[test]
fn an_intercepted_tunnel_serves_no_other_name() {
    let vendor = Upstream::json("{}");
    let gateway = intercepting(&vendor);
    let mut roots = rustls::RootCertStore::empty();
    let ca = CertificateDer::from_pem_file(gateway.fixture.path().join("ca/egress.pem")).expect("a certificate");
    roots.add(ca).expect("an authority");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = Arc::new(builder.expect("versions").with_root_certificates(roots).with_no_client_auth());
    let shake = |name: &'static str| {
        let mut stream = tcp(gateway.egress());
        let text = "CONNECT api.acme.example:443 HTTP/1.1\r\nHost: api.acme.example:443\r\n\r\n";
        stream.write_all(text.as_bytes()).expect("sent");
        let mut head = [0; 64];
        let read = stream.read(&mut head).expect("a head");
        assert!(head[..read].starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&head));
        let name = ServerName::try_from(name).expect("a name");
        let mut session = ClientConnection::new(Arc::clone(&config), name).expect("a session");
        while session.is_handshaking() {
            session.complete_io(&mut stream)?;
        }
        Ok::<_, std::io::Error>(Client::over(StreamOwned::new(session, stream)))
    };
    for name in ["evil.example", "www.api.acme.example"] {
        assert!(shake(name).is_err(), "{name}");
    }
    let mut client = shake("api.acme.example").expect("a handshake");
    let call = |host: &str| format!("GET /v2/plain HTTP/1.1\r\nHost: {host}\r\n\r\n");
    assert_eq!(client.send(call("evil.example")).answer().status, 400);
    let mut client = shake("api.acme.example").expect("a handshake");
    assert_eq!(client.send(call("api.acme.example")).answer().status, 200);
    assert_eq!(vendor.seen().len(), 1);
}

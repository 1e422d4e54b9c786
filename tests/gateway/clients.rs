//! Clients as services have them, unmodified, in every way of calling a vendor. What the vendor receives is read byte
//! by byte. The test of all clients prints a table.
//!
//! Python is `VENDORGATE_TEST_PYTHON`, or `python3`; Node needs `npm ci --prefix tests/clients`.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::support::certificates::Certificates;
use crate::support::fixture::GatewayFixture;
use crate::support::process::Process;
use crate::support::python;
use crate::support::upstream::{ReceivedRequest, Upstream};
use crate::tls_tunnels::authority;

const HOST: &str = "api.acme.example";
const BODY: &str = r#"{"order":7,"email":"ann@example.com","note":"of ann@example.com, card 4111 1111 1111 1111"}"#;
const ANSWER: &str = r#"{"accepted":true}"#;

/// How a client that is installed is called.
struct TestClient {
    name: &'static str,
    version: String,
    /// The program and its first arguments; a URL and a body follow.
    command: Vec<String>,
}

/// A way of calling the vendor.
#[derive(Clone, Copy)]
enum Way {
    BaseUrl,
    HttpProxy,
    Interception,
}

/// A gateway that intercepts, and its vendor, which speaks TLS alone.
struct World {
    recorder: Upstream,
    fixture: GatewayFixture,
    gateway: Process,
}

impl World {
    fn start() -> Self {
        let recorder = Upstream::json(ANSWER);
        let vendor = tempfile::tempdir().expect("a folder");
        Certificates::write_for(vendor.path(), HOST);
        let terms = terms(under_tls(vendor.path(), recorder.address));
        let fixture = authority(GatewayFixture::of_acme(recorder.address, &terms), HOST);
        let mut command = vendorgate();
        command.env("SSL_CERT_FILE", vendor.path().join("ca.pem"));
        let gateway = Process::start_by(command, &fixture);
        Self { recorder, fixture, gateway }
    }

    /// Calls the vendor. Returns what the client said, and what the vendor received.
    fn call(&self, client: &TestClient, way: Way) -> (Output, Vec<ReceivedRequest>) {
        let egress = self.gateway.egress.expect("an egress listener");
        let (url, mut command) = match way {
            Way::BaseUrl => (format!("http://{egress}/acme/v2/people"), Command::new(&client.command[0])),
            Way::HttpProxy => (format!("http://{HOST}/v2/people"), self.within(egress, &client.command[0])),
            Way::Interception => (format!("https://{HOST}/v2/people"), self.within(egress, &client.command[0])),
        };
        command.args(&client.command[1..]);
        match client.name {
            "curl" => command.args(["-d", BODY, &url]),
            _ => command.args([&url, BODY]),
        };
        let before = self.recorder.seen().len();
        let said = command.output().expect("it was there a moment ago");
        (said, self.recorder.seen().split_off(before))
    }

    /// The program as a service that calls through the gateway.
    fn within(&self, egress: SocketAddr, program: &str) -> Command {
        let mut command = vendorgate();
        let proxy = format!("http://{egress}");
        command.args(["egress", "run", "--proxy", &proxy, "--config"]).arg(self.fixture.main()).args(["--", program]);
        command
    }
}

fn vendorgate() -> Command {
    Command::new(env!("CARGO_BIN_EXE_vendorgate"))
}

fn terms(vendor: SocketAddr) -> String {
    format!(
        r#"limits: {{ requests: {{ rate: 100000/s }} }}
egress:
  tunnel: intercept
  upstream: {{ url: "https://{HOST}", targets: ["https://{vendor}"], allow_networks: ["127.0.0.0/8"] }}
  routes:
    - route: POST /v2/people
      request: {{ pii: [ {{ field: "$.email", as: tokenize }} ], detect: {{ find: [email, card], as: mask }} }}
"#
    )
}

/// Speaks TLS with the certificate in the folder, and hands what is in it to another address.
fn under_tls(folder: &Path, to: SocketAddr) -> SocketAddr {
    let chain = CertificateDer::pem_file_iter(folder.join("gateway.pem")).expect("a file");
    let chain = chain.collect::<Result<Vec<_>, _>>().expect("certificates");
    let key = PrivateKeyDer::from_pem_file(folder.join("gateway.key")).expect("a key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = builder.expect("versions").with_no_client_auth().with_single_cert(chain, key).expect("an identity");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    listener.set_nonblocking(true).expect("a socket");
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async move {
            let listener = TcpListener::from_std(listener).expect("a listener");
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let mut inner = TcpStream::connect(to).await?;
                    tokio::io::copy_bidirectional(&mut acceptor.accept(stream).await?, &mut inner).await
                });
            }
        });
    });
    address
}

fn curl() -> TestClient {
    TestClient::probe("curl", &["curl", "-sS", "-w", " %{http_code}", "-H", "Content-Type: application/json"])
}

/// The clients that not every machine has.
fn others(built: &Path) -> Vec<TestClient> {
    let program = |name: &str| format!("{}/tests/clients/{name}", env!("CARGO_MANIFEST_DIR"));
    let go = built.join("go-client");
    let build = ["build", "-o", go.to_str().expect("text"), &program("client.go")];
    let done = Command::new("go").args(build).env("GO111MODULE", "off").status().expect("go is installed");
    assert!(done.success(), "go build");
    let of = |name, words: &[&str]| TestClient::probe(name, words);
    vec![
        of("requests", &[&python(), &program("client.py"), "requests"]),
        of("httpx", &[&python(), &program("client.py"), "httpx"]),
        of("node fetch", &["node", &program("client.mjs"), "fetch"]),
        of("node http", &["node", &program("client.mjs"), "http"]),
        of("undici", &["node", &program("client.mjs"), "undici"]),
        of("net/http", &[go.to_str().expect("text")]),
        of("HttpClient", &["java", &program("Client.java")]),
    ]
}

impl TestClient {
    fn probe(name: &'static str, words: &[&str]) -> Self {
        let mut command = Command::new(words[0]);
        command.args(if name == "curl" { &["--version"] } else { &words[1..] });
        let said = command.output().unwrap_or_else(|error| panic!("{name} is not installed: {error}"));
        assert!(said.status.success(), "{name} is not installed: {}", String::from_utf8_lossy(&said.stderr));
        let text = String::from_utf8_lossy(&said.stdout).into_owned();
        let version = text.lines().next().unwrap_or_default();
        let version = version.split(" (").next().unwrap_or_default().to_owned();
        Self { name, version, command: words.iter().map(|word| (*word).to_owned()).collect() }
    }
}

impl Way {
    fn name(self) -> &'static str {
        match self {
            Self::BaseUrl => "base URL",
            Self::HttpProxy => "HTTP_PROXY",
            Self::Interception => "interception",
        }
    }
}

/// What is wrong with a call; empty where nothing is.
fn faults(said: &Output, received: &[ReceivedRequest]) -> String {
    let text = String::from_utf8_lossy(&said.stdout);
    let mut faults = String::new();
    if !said.status.success() || text.trim() != format!("{ANSWER} 200") {
        faults.push_str(&format!("it said {text:?} {}; ", String::from_utf8_lossy(&said.stderr)));
    }
    let [request] = received else { return format!("{faults}the vendor got {} requests", received.len()) };
    let raw = String::from_utf8_lossy(&request.raw).to_ascii_lowercase();
    let fields = [("host", HOST), ("content-type", "application/json")];
    let is_whole =
        fields.iter().all(|(name, value)| request.field(name) == Some(value)) && raw.contains(r#""order":7"#);
    let leaks = ["ann@", "example.com", "4111 1111", "41111111", "proxy-", "vendorgate"];
    if !is_whole || request.line() != "POST /v2/people HTTP/1.1" || leaks.iter().any(|word| raw.contains(word)) {
        faults.push_str(&format!("the vendor got {raw}"));
    }
    faults
}

/// Each client calls in each way. Fails where one says or sends what it should not.
fn check(clients: &[TestClient]) {
    let world = World::start();
    let mut table = format!("{:<12} {:<18} {:<13} status\n", "client", "version", "way");
    let mut wrong = Vec::new();
    for client in clients {
        for way in [Way::BaseUrl, Way::HttpProxy, Way::Interception] {
            let (said, received) = world.call(client, way);
            let faults = faults(&said, &received);
            let status = if faults.is_empty() { "200" } else { "FAILED" };
            table.push_str(&format!("{:<12} {:<18} {:<13} {status}\n", client.name, client.version, way.name()));
            if !faults.is_empty() {
                wrong.push(format!("{} by {}: {faults}", client.name, way.name()));
            }
        }
    }
    eprintln!("{table}");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn curl_calls_in_every_way_and_the_vendor_gets_no_raw_value() {
    check(&[curl()]);
}

#[test]
#[ignore = "needs python with requests and httpx, node with `npm ci --prefix tests/clients`, go and java"]
fn unmodified_clients_call_in_every_way_and_the_vendor_gets_no_raw_value() {
    let built = tempfile::tempdir().expect("a folder");
    check(&others(built.path()));
}

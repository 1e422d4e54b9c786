//! TLS with vendors: the machine's authorities or a file of them, pinned keys, a certificate of our own, and files that
//! are replaced while the gateway runs. A plain call by absolute form leaves under TLS.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest as _, Sha256};

use crate::support::certificates::Certificates;
use crate::support::client::{Answer, Client, request};
use crate::support::fixture::GatewayFixture;
use crate::support::test_gateway::TestGateway;
use crate::support::until;

/// A vendor that speaks HTTP under TLS as `localhost`.
struct TlsVendor {
    address: SocketAddr,
    config: Arc<Mutex<Arc<ServerConfig>>>,
    asked: Arc<AtomicUsize>,
    /// What came as the request of the last connection.
    heard: Arc<Mutex<String>>,
    /// Whether the last client showed a certificate.
    shown: Arc<AtomicUsize>,
}

impl TlsVendor {
    /// With the certificates in a folder; `wants` has a client show one.
    fn start(folder: &Path, wants: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let vendor = Self {
            address: listener.local_addr().expect("an address"),
            config: Arc::new(Mutex::new(server_config(folder, wants))),
            asked: Arc::default(),
            heard: Arc::default(),
            shown: Arc::default(),
        };
        let (config, asked) = (Arc::clone(&vendor.config), Arc::clone(&vendor.asked));
        let (heard, shown) = (Arc::clone(&vendor.heard), Arc::clone(&vendor.shown));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let config = Arc::clone(&config.lock().expect("no panic"));
                let (asked, heard, shown) = (Arc::clone(&asked), Arc::clone(&heard), Arc::clone(&shown));
                std::thread::spawn(move || {
                    if let Some((said, certificates)) = answer_one(stream, config) {
                        *heard.lock().expect("no panic") = said;
                        shown.store(certificates, Ordering::SeqCst);
                        asked.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
        });
        vendor
    }

    /// The certificates in the folder from now on.
    fn renew(&self, folder: &Path) {
        *self.config.lock().expect("no panic") = server_config(folder, false);
    }

    fn terms(&self, tls: &str) -> String {
        let tls = if tls.is_empty() { String::new() } else { format!(", tls: {{ {tls} }}") };
        format!(
            "limits: {{ requests: {{ rate: 100000/s }} }}\negress:\n  upstream: {{ url: \"https://localhost:{}\", allow_networks: [\"127.0.0.0/8\"]{tls} }}\n  routes: [ {{ route: GET /v2/plain }} ]\n",
            self.address.port()
        )
    }
}

fn server_config(folder: &Path, wants: bool) -> Arc<ServerConfig> {
    let chain = CertificateDer::pem_file_iter(folder.join("gateway.pem")).expect("a file");
    let chain = chain.collect::<Result<Vec<_>, _>>().expect("certificates");
    let key = PrivateKeyDer::from_pem_file(folder.join("gateway.key")).expect("a key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    let builder = builder.expect("versions");
    let builder = if wants {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(folder.join("ca.pem")).expect("a file")).expect("an authority");
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
        builder.with_client_cert_verifier(verifier.expect("a verifier"))
    } else {
        builder.with_no_client_auth()
    };
    Arc::new(builder.with_single_cert(chain, key).expect("an identity"))
}

/// Answers one request and closes. Returns what came, and how many certificates the client showed.
fn answer_one(mut stream: TcpStream, config: Arc<ServerConfig>) -> Option<(String, usize)> {
    let mut session = ServerConnection::new(config).ok()?;
    while session.is_handshaking() {
        session.complete_io(&mut stream).ok()?;
    }
    let certificates = session.peer_certificates().map_or(0, <[_]>::len);
    let mut stream = StreamOwned::new(session, stream);
    let (mut said, mut piece) = (Vec::new(), [0; 4096]);
    while !said.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = stream.read(&mut piece).ok().filter(|read| *read > 0)?;
        said.extend_from_slice(&piece[..read]);
    }
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
    stream.write_all(answer).and_then(|()| stream.flush()).ok()?;
    Some((String::from_utf8_lossy(&said).into_owned(), certificates))
}

fn ask(gateway: &TestGateway) -> Answer {
    Client::to(gateway.egress()).send(request("GET", "/acme/v2/plain", "", "")).answer()
}

fn told(gateway: &TestGateway) -> (u16, String) {
    let answer = ask(gateway);
    if answer.status == 200 { (200, String::new()) } else { (answer.status, answer.reason()) }
}

/// A gateway whose contract has this under `tls:`, with the files of `authority` beside it.
fn start(vendor: &TlsVendor, authority: &Path, tls: &str) -> TestGateway {
    let fixture = GatewayFixture::new(vendor.address);
    for name in ["ca.pem", "gateway.pem", "gateway.key", "client.pem", "client.key"] {
        let to = fixture.path().join("contracts").join(format!("tls-{name}"));
        let _ = fs::copy(authority.join(name), to);
    }
    // Files beside contracts are warned of, and not read as such.
    TestGateway::start(fixture.contract("acme", &vendor.terms(tls)))
}

fn refused() -> (u16, String) {
    (502, "upstream_refused".to_owned())
}

/// The pin of the certificate in a folder.
fn pin(folder: &Path) -> String {
    let certificate = CertificateDer::from_pem_file(folder.join("gateway.pem")).expect("a certificate");
    let (_, read) = x509_parser::parse_x509_certificate(&certificate).expect("a certificate");
    base64::engine::general_purpose::STANDARD.encode(Sha256::digest(read.public_key().raw))
}

#[test]
fn a_plain_call_leaves_under_tls_that_an_authority_of_the_contract_vouches_for() {
    let folder = tempfile::tempdir().expect("a folder");
    Certificates::write(folder.path());
    let vendor = TlsVendor::start(folder.path(), false);
    let gateway = start(&vendor, folder.path(), "ca: tls-ca.pem");
    let own = format!("localhost:{}", vendor.address.port());
    let text = format!("GET http://{own}/v2/plain HTTP/1.1\r\nHost: {own}\r\nProxy-Connection: close\r\n\r\n");
    assert_eq!(Client::to(gateway.egress()).send(text).answer().status, 200);
    let heard = vendor.heard.lock().expect("no panic").clone();
    assert_eq!(heard, format!("GET /v2/plain HTTP/1.1\r\nhost: {own}\r\n\r\n"));
    // Without the file, or with another authority, nothing is sent.
    for tls in ["", "ca: tls-other.pem"] {
        let other = tempfile::tempdir().expect("a folder");
        Certificates::write(other.path());
        let gateway = {
            let fixture = GatewayFixture::new(vendor.address);
            fs::copy(other.path().join("ca.pem"), fixture.path().join("contracts/tls-other.pem")).expect("copied");
            TestGateway::start(fixture.contract("acme", &vendor.terms(tls)))
        };
        assert_eq!(told(&gateway), refused(), "{tls}");
    }
    assert_eq!(vendor.asked.load(Ordering::SeqCst), 1);
}

#[test]
fn a_pinned_key_is_asked_for_beside_the_authority() {
    let folder = tempfile::tempdir().expect("a folder");
    Certificates::write(folder.path());
    let other = tempfile::tempdir().expect("a folder");
    Certificates::write(other.path());
    let vendor = TlsVendor::start(folder.path(), false);
    let (right, wrong) = (pin(folder.path()), pin(other.path()));
    for (tls, passes) in [
        (format!("ca: tls-ca.pem, pins: [\"{right}\"]"), true),
        (format!("ca: tls-ca.pem, pins: [\"{wrong}\", \"sha256//{right}\"]"), true),
        (format!("ca: tls-ca.pem, pins: [\"{wrong}\"]"), false),
        // A pin takes the place of no authority.
        (format!("pins: [\"{right}\"]"), false),
    ] {
        let gateway = start(&vendor, folder.path(), &tls);
        assert_eq!(told(&gateway), if passes { (200, String::new()) } else { refused() }, "{tls}");
    }
    assert_eq!(vendor.asked.load(Ordering::SeqCst), 2);
}

#[test]
fn the_gateway_shows_its_certificate_where_the_contract_has_one() {
    let folder = tempfile::tempdir().expect("a folder");
    Certificates::write(folder.path()).write_client(folder.path());
    let vendor = TlsVendor::start(folder.path(), true);
    assert_eq!(told(&start(&vendor, folder.path(), "ca: tls-ca.pem")), refused());
    let gateway = start(&vendor, folder.path(), "ca: tls-ca.pem, cert: tls-client.pem, key: tls-client.key");
    assert_eq!(told(&gateway), (200, String::new()));
    assert_eq!(vendor.shown.load(Ordering::SeqCst), 1);
}

#[test]
fn replaced_files_hold_for_the_next_connection_and_bad_ones_change_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    Certificates::write(folder.path());
    let vendor = TlsVendor::start(folder.path(), false);
    let gateway = start(&vendor, folder.path(), "ca: tls-ca.pem");
    assert_eq!(told(&gateway).0, 200);
    let next = tempfile::tempdir().expect("a folder");
    Certificates::write(next.path());
    let file = gateway.fixture.path().join("contracts/tls-ca.pem");
    fs::write(&file, "no certificate").expect("written");
    vendor.renew(next.path());
    assert_eq!(told(&gateway), refused(), "the authority before still holds");
    fs::copy(next.path().join("ca.pem"), &file).expect("copied");
    until("the new authority holds", || ask(&gateway).status == 200);
}

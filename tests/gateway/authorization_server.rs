//! A real authorization server issues the tokens: discovery, key rotation under traffic, introspection, revocation,
//! tokens bound to certificates, and its outage, of three seconds or of `VENDORGATE_OUTAGE_SECONDS`.
//!
//! The server runs on node and is installed by `npm ci --prefix tests/oauth`.

use std::io::{BufRead, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::version::TLS13;
use vendorgate::internals::model::Clock;

use crate::support::certificates::{Certificates, tls};
use crate::support::client::{Answer, Client};
use crate::support::fixture::GatewayFixture;
use crate::support::test_gateway::TestGateway;
use crate::support::until;
use crate::support::upstream::Upstream;

pub(crate) const SECRET: &str = "a-secret-for-tests-only";

/// The server; it ends with this value.
pub(crate) struct Authorization {
    child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) secure: Option<SocketAddr>,
}

impl Authorization {
    pub(crate) fn start() -> Self {
        Self::with_certificate(None)
    }

    /// As [`Self::start`], with a second listener whose certificate is in this folder.
    pub(crate) fn with_certificate(certificate: Option<&Path>) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oauth");
        let package = folder.join("node_modules/oidc-provider");
        assert!(package.is_dir(), "install the server with `npm ci --prefix tests/oauth`");
        let mut node = Command::new("node");
        node.arg("server.mjs")
            .args(certificate)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = node.spawn().expect("node is installed");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
        let mut said = |what: &str| {
            let port = lines.find_map(|line| line.strip_prefix(what)?.trim().parse().ok());
            SocketAddr::from(([127, 0, 0, 1], port.expect("it listens")))
        };
        let secure = certificate.map(|_| said("secure"));
        Self { secure, address: said("listening"), child }
    }

    pub(crate) fn post(&self, path: &str, client: &str, form: &str) -> Answer {
        self.post_over(Client::to(self.address), path, client, form)
    }

    fn post_over(&self, mut over: Client, path: &str, client: &str, form: &str) -> Answer {
        let known = STANDARD.encode(format!("{client}:{SECRET}"));
        let text = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Basic {known}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            self.address,
            form.len()
        );
        over.send(text).answer()
    }

    /// Ends an outage.
    fn resume(&mut self) {
        self.child.stdin.as_mut().expect("piped").write_all(b"resume\n").expect("it reads");
    }

    /// Gets a fresh token by client credentials.
    fn token(&self, client: &str) -> String {
        let answer = self.post("/token", client, "grant_type=client_credentials&scope=orders:read");
        answer.json()["access_token"].as_str().unwrap_or_else(|| panic!("{}", answer.text())).to_owned()
    }

    /// A gateway with a vendor of signed tokens and one of opaque ones.
    fn gateway(&self, crm: &Upstream) -> TestGateway {
        let fixture = GatewayFixture::new(crm.address);
        let secret = fixture.path().join("introspection.secret");
        std::fs::write(&secret, SECRET).expect("written");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&secret, mode).expect("mode");
        let identity = |client: &str, proof: &str| {
            format!(
                "identity:\n  issuer: http://{address}\n  audience: https://api.example.com\n  clients: [{client}]\n  {proof}\n  fetch: {{ deadline: 2s }}\n\
                 limits: {{ requests: {{ rate: 100000/s }} }}\n\
                 ingress:\n  - {{ route: GET /v1/{client}, scopes: [orders:read], upstream: crm }}\n",
                address = self.address
            )
        };
        let asked = format!(
            "introspection: {{ url: \"http://{}/token/introspection\", client_id: vendorgate, secret_file: ../introspection.secret, active_for: 1s, inactive_for: 1s }}",
            self.address
        );
        TestGateway::start(
            fixture
                .contract("acme", &identity("acme-client", "jwks: { discovery: true, refresh: 1s }"))
                .contract("opaque", &identity("opaque-client", &asked)),
        )
    }
}

impl Drop for Authorization {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
#[ignore = "needs node and `npm ci --prefix tests/oauth`"]
fn keys_rotate_under_traffic_and_outlive_their_issuer() {
    let mut server = Authorization::start();
    let crm = Upstream::json("{}");
    let gateway = server.gateway(&crm);
    let old = server.token("acme-client");
    assert_eq!(gateway.get("/v1/acme-client", &old).status, 200, "discovered and verified");
    for round in 0..3 {
        assert_eq!(server.post("/control/rotate", "", "").status, 200);
        let tokens: Vec<String> = (0..8).map(|_| server.token("acme-client")).collect();
        // All at once: the first requests with the new key wait for it, those with the old key do not.
        std::thread::scope(|scope| {
            for token in tokens.iter().chain([&old]) {
                scope.spawn(|| assert_eq!(gateway.get("/v1/acme-client", token).status, 200, "round {round}"));
            }
        });
    }
    assert!(gateway.metric("vendorgate_jwks_refresh_total", &["vendor=\"acme\"", "result=\"success\""]) >= Some(4));
    outlives(&mut server, &gateway);
}

/// The server is away for a while: known keys still work, also for tokens that are new, and no request waits for the
/// server. Once it is back, its next key is found.
fn outlives(server: &mut Authorization, gateway: &TestGateway) {
    let seconds = std::env::var("VENDORGATE_OUTAGE_SECONDS").map_or(3, |text| text.parse().expect("a number"));
    let mut fresh: Vec<String> = (0..seconds * 2).map(|_| server.token("acme-client")).collect();
    let (clock, seen) = (Clock::system(), server.token("acme-client"));
    server.post("/control/stop", "", "");
    let millis = |since_ns: u64| (clock.now().monotonic_ns - since_ns) / 1_000_000;
    let (start, mut answered, mut longest) = (clock.now().monotonic_ns, 0, 0);
    while millis(start) < seconds * 1000 || !fresh.is_empty() {
        for token in fresh.pop().iter().chain([&seen; 9]) {
            let asked = clock.now().monotonic_ns;
            let answer = gateway.get("/v1/acme-client", token);
            assert_eq!(answer.status, 200, "{} ms into the outage: {}", millis(start), answer.text());
            (answered, longest) = (answered + 1, longest.max(millis(asked)));
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    eprintln!("outage of {} ms: {answered} requests, all answered, the longest in {longest} ms", millis(start));
    assert!(longest < 1000, "nobody waits for an issuer that is away: {longest} ms");
    let status = gateway.admin("viewer", "GET", "/v1/vendors/acme", "").json();
    assert!(status["issuer"]["last_error"].is_string() && status["issuer"]["keys"] == 4, "{}", status["issuer"]);
    assert!(status["issuer"]["outcomes"]["failed"].as_u64() > Some(0), "{}", status["issuer"]);
    server.resume();
    until("it is back", || std::net::TcpStream::connect(server.address).is_ok());
    assert_eq!(server.post("/control/rotate", "", "").status, 200);
    let next = server.token("acme-client");
    until("its next key is known", || gateway.get("/v1/acme-client", &next).status == 200);
}

#[test]
#[ignore = "needs node and `npm ci --prefix tests/oauth`"]
fn tokens_bound_to_a_certificate_by_their_server_need_that_certificate() {
    let crm = Upstream::json("{}");
    let fixture = GatewayFixture::new(crm.address);
    let certificates = Certificates::write(fixture.path());
    let server = Authorization::with_certificate(Some(fixture.path()));
    let terms = format!(
        "identity:\n  issuer: http://{}\n  audience: https://api.example.com\n  clients: [bound-client]\n  jwks: {{ discovery: true }}\n  sender: mtls\n\
         ingress:\n  - {{ route: GET /v1/orders, scopes: [orders:read], upstream: crm }}\n",
        server.address
    );
    let gateway = TestGateway::start(fixture.contract("acme", &terms).listeners(
        "  ingress: { bind: \"127.0.0.1:0\", tls: { cert: gateway.pem, key: gateway.key, client_ca: ca.pem } }\n",
    ));
    let holder = certificates.client(&[&TLS13], &["http/1.1"], true);
    let thief = certificates.for_client("thief.example", 9).client(&[&TLS13], &["http/1.1"], true);
    let bare = certificates.client(&[&TLS13], &["http/1.1"], false);
    let form = "grant_type=client_credentials&scope=orders:read";
    assert_eq!(server.post("/token", "bound-client", form).status, 400, "no token without a certificate");
    let over = tls(server.secure.expect("a listener"), &holder).expect("a handshake");
    let answer = server.post_over(over, "/token", "bound-client", form).json();
    let token = answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}"));
    let get = |config| tls(gateway.ingress(), config).expect("a handshake").get("/v1/orders", token);
    assert_eq!(get(&holder).status, 200);
    for (what, config) in [("another certificate", &thief), ("none", &bare)] {
        assert_eq!((get(config).status, get(config).reason().as_str()), (401, "token_unbound"), "{what}");
    }
    assert_eq!(crm.seen().len(), 1);
}

#[test]
#[ignore = "needs node and `npm ci --prefix tests/oauth`"]
fn opaque_tokens_pass_by_their_issuers_word_alone() {
    let server = Authorization::start();
    let crm = Upstream::json("{}");
    let gateway = server.gateway(&crm);
    let token = server.token("opaque-client");
    assert!(!token.contains('.'), "opaque");
    assert_eq!(gateway.get("/v1/opaque-client", &token).status, 200);
    assert_eq!(gateway.get("/v1/opaque-client", &token).status, 200, "remembered");
    assert_eq!(gateway.get("/v1/opaque-client", "no-such-token-at-all").reason(), "token_invalid");
    assert_eq!(server.post("/token/revocation", "opaque-client", &format!("token={token}")).status, 200);
    until("the revocation is known", || gateway.get("/v1/opaque-client", &token).status == 401);
    let second = server.token("opaque-client");
    server.post("/control/stop", "", "");
    let refused = gateway.get("/v1/opaque-client", &second);
    assert_eq!((refused.status, refused.reason().as_str()), (503, "issuer_unavailable"), "fails closed");
    assert!(crm.seen().len() >= 2);
    let status = gateway.admin("viewer", "GET", "/v1/vendors/opaque", "").json();
    let issuer = &status["issuer"];
    assert!(issuer["last_error"].is_string() && issuer["keys"].is_null(), "{issuer}");
    for outcome in ["active", "inactive", "failed", "kept"] {
        assert!(issuer["outcomes"][outcome].as_u64() > Some(0), "{outcome}: {issuer}");
        let result = format!("result=\"{outcome}\"");
        until("it is in the metrics", || {
            gateway.metric("vendorgate_introspection_total", &["vendor=\"opaque\"", &result]) > Some(0)
        });
    }
    let acme = gateway.metric("vendorgate_introspection_total", &["vendor=\"acme\""]);
    assert_eq!(acme, None, "a vendor of signed tokens asks nobody");
}

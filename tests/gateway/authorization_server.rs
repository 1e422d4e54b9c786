//! A real authorization server issues the tokens: discovery, key rotation under traffic, introspection, revocation, and
//! its outage.
//!
//! Runs where node is installed and `npm ci --prefix tests/oauth` has been run; says so otherwise.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::support::client::{Answer, Client};
use crate::support::gate::Gate;
use crate::support::house::House;
use crate::support::until;
use crate::support::upstream::Upstream;

const SECRET: &str = "a-secret-for-tests-only";

/// The server; it ends with this value.
struct Authorization {
    child: Child,
    address: SocketAddr,
}

impl Authorization {
    /// Starts it; `None` where this machine has no node, or the package is not installed.
    fn start() -> Option<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oauth");
        if !folder.join("node_modules/oidc-provider").is_dir() {
            eprintln!("not run: install the server with `npm ci --prefix tests/oauth`");
            return None;
        }
        let mut node = Command::new("node");
        node.arg("server.mjs").current_dir(folder).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let Ok(mut child) = node.spawn() else {
            eprintln!("not run: there is no node on this machine");
            return None;
        };
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let port = lines.map_while(Result::ok).find_map(|line| line.strip_prefix("listening ")?.parse().ok());
        Some(Self { child, address: SocketAddr::from(([127, 0, 0, 1], port.expect("it listens"))) })
    }

    fn post(&self, path: &str, client: &str, form: &str) -> Answer {
        let known = STANDARD.encode(format!("{client}:{SECRET}"));
        let text = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Basic {known}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            self.address,
            form.len()
        );
        Client::to(self.address).send(text).answer()
    }

    /// A fresh token by client credentials.
    fn token(&self, client: &str) -> String {
        let answer = self.post("/token", client, "grant_type=client_credentials&scope=orders:read");
        answer.json()["access_token"].as_str().unwrap_or_else(|| panic!("{}", answer.text())).to_owned()
    }

    /// A gateway with a vendor of signed tokens and one of opaque ones.
    fn gate(&self, crm: &Upstream) -> Gate {
        let house = House::new(crm.address);
        let secret = house.path().join("introspection.secret");
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
        Gate::start(
            house
                .contract("acme", &identity("acme-client", "jwks: { discovery: true }"))
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
fn keys_rotate_under_traffic_and_outlive_their_issuer() {
    let Some(server) = Authorization::start() else { return };
    let crm = Upstream::json("{}");
    let gate = server.gate(&crm);
    let old = server.token("acme-client");
    assert_eq!(gate.get("/v1/acme-client", &old).status, 200, "discovered and verified");
    for round in 0..3 {
        assert_eq!(server.post("/control/rotate", "", "").status, 200);
        let tokens: Vec<String> = (0..8).map(|_| server.token("acme-client")).collect();
        // All at once: those who come first with the new key wait for it, those with the old one do not.
        std::thread::scope(|scope| {
            for token in tokens.iter().chain([&old]) {
                scope.spawn(|| assert_eq!(gate.get("/v1/acme-client", token).status, 200, "round {round}"));
            }
        });
    }
    assert!(gate.metric("vendorgate_jwks_refresh_total", &["vendor=\"acme\"", "result=\"success\""]) >= Some(4));
    let before = server.token("acme-client");
    server.post("/control/stop", "", "");
    for _ in 0..20 {
        assert_eq!(
            gate.get("/v1/acme-client", &before).status,
            200,
            "known keys keep working, for tokens not seen before"
        );
        assert_eq!(gate.get("/v1/acme-client", &old).status, 200);
    }
}

#[test]
fn opaque_tokens_pass_by_their_issuers_word_alone() {
    let Some(server) = Authorization::start() else { return };
    let crm = Upstream::json("{}");
    let gate = server.gate(&crm);
    let token = server.token("opaque-client");
    assert!(!token.contains('.'), "opaque");
    assert_eq!(gate.get("/v1/opaque-client", &token).status, 200);
    assert_eq!(gate.get("/v1/opaque-client", &token).status, 200, "remembered");
    assert_eq!(gate.get("/v1/opaque-client", "no-such-token-at-all").reason(), "token_invalid");
    assert_eq!(server.post("/token/revocation", "opaque-client", &format!("token={token}")).status, 200);
    until("the revocation is known", || gate.get("/v1/opaque-client", &token).status == 401);
    let second = server.token("opaque-client");
    server.post("/control/stop", "", "");
    let refused = gate.get("/v1/opaque-client", &second);
    assert_eq!((refused.status, refused.reason().as_str()), (503, "issuer_unavailable"), "fails closed");
    assert!(crm.seen().len() >= 2);
}

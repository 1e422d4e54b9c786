//! Authority is checked again while an exchange runs: a stream ends when its token, key, certificate, route or contract
//! does.

use std::time::Duration;

use rustls::version::TLS13;
use serde_json::json;
use vendorgate::internals::model::{Clock, UnixTime};

use crate::support::certificates::{Certificates, tls};
use crate::support::client::{BodyEnd, Client, request};
use crate::support::fixture::GatewayFixture;
use crate::support::issuer::{keys, reader, vendor};
use crate::support::test_gateway::TestGateway;
use crate::support::until;
use crate::support::upstream::{CHUNKED, Upstream, ok};

const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

const TERMS: &str = "limits: { requests: { rate: 100000/s }, concurrency: 1000 }
ingress:
  - { route: GET /v1/orders, scopes: [orders:read], upstream: crm }
  - { route: POST /v1/orders, scopes: [orders:read], upstream: crm }
  - { route: GET /v1/live, scopes: [orders:read], upstream: crm, websocket: true }
egress:
  upstream: { url: \"http://CRM\", allow_networks: [\"127.0.0.0/8\"] }
  routes: [{ route: GET /v1/theirs }]
";

fn terms(crm: &Upstream) -> String {
    TERMS.replace("CRM", &crm.address.to_string())
}

/// Streams without an end, over HTTP or as a WebSocket, and short answers where the path asks for one.
fn endless() -> Upstream {
    Upstream::start(|seen, asker| {
        if seen.line().contains("short") {
            return asker.write(ok("application/json", "{}")).is_ok();
        }
        if seen.field("upgrade").is_some() {
            let mut piece = SWITCH.as_bytes().to_vec();
            while asker.write(&piece).is_ok() {
                std::thread::sleep(Duration::from_millis(2));
                piece = vec![0x5a; 256];
            }
            return false;
        }
        let _ = asker.write(CHUNKED);
        while asker.chunk([b'x'; 256]).is_ok() {
            std::thread::sleep(Duration::from_millis(2));
        }
        false
    })
}

fn begin(mut client: Client, text: &str) -> Client {
    let head = client.send(text).head();
    assert!([200, 101].contains(&head.status), "{}", String::from_utf8_lossy(&head.raw));
    assert!(!client.more().expect("it flows").is_empty());
    client
}

/// One stream of each kind: an answer, the answer to a call that changes something, a WebSocket, an egress call.
fn each(gateway: &TestGateway, name: &str, token: &str) -> [Client; 4] {
    let upgrade = "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    let socket = request("GET", "/v1/live", token, "").replace("\r\n\r\n", upgrade);
    [
        begin(Client::to(gateway.ingress()), &request("GET", "/v1/orders", token, "")),
        begin(Client::to(gateway.ingress()), &request("POST", "/v1/orders", token, "")),
        begin(Client::to(gateway.ingress()), &socket),
        begin(Client::to(gateway.egress()), &request("GET", &format!("/{name}/v1/theirs"), "", "")),
    ]
}

const ALL: [bool; 4] = [true; 4];
const NONE: [bool; 4] = [false; 4];
const INWARD: [bool; 4] = [true, true, true, false];

/// The state of a stream: true if it is cut, false if it goes on.
fn is_cut(client: &mut Client) -> bool {
    let mut read = 0;
    while read < 48 * 1024 {
        match client.more() {
            Ok(piece) => read += piece.len(),
            Err(ending) => return ending != BodyEnd::Whole,
        }
    }
    false
}

fn reload(gateway: &TestGateway) {
    let answer = gateway.admin("admin", "POST", "/v1/reload", "");
    assert_eq!(answer.status, 200, "{}", answer.text());
}

fn day(offset: i64) -> String {
    let now = Clock::system().now().wall.as_millis();
    UnixTime::from_millis(now.saturating_add_signed(offset * 86_400_000)).to_string()[..10].to_owned()
}

/// Writes the contract again with a change.
fn change(gateway: &TestGateway, from: &str, to: &str) {
    let path = gateway.fixture.path().join("contracts/acme.yaml");
    let text = std::fs::read_to_string(&path).expect("a contract");
    assert!(text.contains(from), "{from}: {text}");
    std::fs::write(&path, text.replacen(from, to, 1)).expect("written");
}

#[test]
fn each_change_of_a_contract_ends_the_exchanges_that_it_no_longer_allows() {
    type Change = (&'static str, fn(&TestGateway), [bool; 4], &'static str);
    let table: [Change; 12] = [
        ("nothing", |_| {}, NONE, ""),
        ("a limit", |gateway| change(gateway, "concurrency: 1000", "concurrency: 900"), NONE, ""),
        (
            "the contract",
            |gateway| std::fs::remove_file(gateway.fixture.path().join("contracts/acme.yaml")).expect("gone"),
            ALL,
            "vendor_unknown",
        ),
        (
            "a route",
            |gateway| change(gateway, "  - { route: GET /v1/orders, scopes: [orders:read], upstream: crm }\n", ""),
            [true, false, false, false],
            "route_unknown",
        ),
        (
            "our own route",
            |gateway| change(gateway, "route: GET /v1/theirs", "route: GET /v1/other"),
            [false, false, false, true],
            "destination_unknown",
        ),
        (
            "the WebSocket",
            |gateway| change(gateway, ", websocket: true", ""),
            [false, false, true, false],
            "route_unknown",
        ),
        (
            "a scope of a route",
            |gateway| {
                change(gateway, "GET /v1/orders, scopes: [orders:read]", "GET /v1/orders, scopes: [orders:write]")
            },
            [true, false, false, false],
            "scope_missing",
        ),
        (
            "the client",
            |gateway| change(gateway, "clients: [acme-client]", "clients: [acme-other]"),
            INWARD,
            "vendor_unknown",
        ),
        (
            "the issuer",
            |gateway| change(gateway, "issuer: https://id.example.com", "issuer: https://id2.example.com"),
            INWARD,
            "token_invalid",
        ),
        (
            "the algorithm",
            |gateway| change(gateway, "algorithms: [ES256, RS256]", "algorithms: [RS256]"),
            INWARD,
            "token_invalid",
        ),
        (
            "the last day",
            |gateway| change(gateway, "ends: 2099-12-31", &format!("ends: {}", day(-1))),
            ALL,
            "contract_ended",
        ),
        (
            "the last day, and reading goes on",
            |gateway| {
                change(gateway, "ends: 2099-12-31", &format!("ends: {}\nafter_end: read_only\ngrace: 30d", day(-1)))
            },
            [false, true, true, false],
            "contract_ended",
        ),
    ];
    let crm = endless();
    for (what, change, expected, reason) in table {
        let gateway =
            TestGateway::start(GatewayFixture::of_acme(crm.address, &terms(&crm)).contract("zeta", &terms(&crm)));
        let mut streams = each(&gateway, "acme", &reader());
        let mut innocent = each(&gateway, "zeta", &vendor("zeta").scope("orders:read").token());
        change(&gateway);
        reload(&gateway);
        assert_eq!(streams.each_mut().map(is_cut), expected, "{what}");
        assert_eq!(innocent.each_mut().map(is_cut), NONE, "{what}: another vendor");
        if reason.is_empty() {
            continue;
        }
        until("the log says why", || gateway.log().matches(&format!(r#""reason":"{reason}""#)).count() >= 1);
        let mut severed = 0;
        until("it is in the trail", || {
            let trail = gateway.admin("viewer", "GET", "/v1/audit", "").json();
            let entries = trail["entries"].as_array().cloned().unwrap_or_default();
            let cuts = entries.iter().filter(|entry| entry["act"] == "cut" && entry["reason"] == reason);
            severed = cuts.filter_map(|cut| cut["detail"]["severed"].as_u64()).sum();
            severed > 0
        });
        assert_eq!(severed, expected.iter().filter(|cut| **cut).count() as u64, "{what}");
    }
}

#[test]
fn a_withdrawn_key_ends_exchanges_with_tokens_that_it_signed() {
    let crm = endless();
    let gateway = TestGateway::of_acme(crm.address, &terms(&crm));
    let mut streams = each(&gateway, "acme", &reader());
    let other = keys().rs256.sign(&vendor("acme").scope("orders:read").claims()).expect("signed");
    let mut others = each(&gateway, "acme", &other);
    let rest = format!(r#"{{"keys":[{}]}}"#, keys().rs256.public_jwk());
    std::fs::write(gateway.fixture.path().join("jwks.json"), rest).expect("written");
    // No reload is ordered: the gateway reads the file again by itself.
    for stream in &mut streams[..3] {
        until("it is cut", || is_cut(stream));
    }
    assert!(!is_cut(&mut streams[3]), "our own call has no token");
    assert_eq!(others.each_mut().map(is_cut), NONE);
    until("the log says why", || gateway.log().matches(r#""reason":"token_invalid""#).count() >= 3);
}

#[test]
fn an_exchange_ends_with_its_token_unless_the_contract_grants_a_grace() {
    let crm = endless();
    let rotation = |grace: &str| format!("rotation: {{ max_lifetime: 1h{grace} }}\n  clock_skew: 1s");
    let gateway = TestGateway::start(GatewayFixture::of_acme(crm.address, &terms(&crm)).contract("zeta", &terms(&crm)));
    change(&gateway, "rotation: { max_lifetime: 1h, max_age: 1h }", &rotation(""));
    let zeta = gateway.fixture.path().join("contracts/zeta.yaml");
    let text = std::fs::read_to_string(&zeta).expect("a contract");
    let lenient = rotation(", expired_grace: 10m");
    std::fs::write(&zeta, text.replace("rotation: { max_lifetime: 1h, max_age: 1h }", &lenient)).expect("written");
    reload(&gateway);
    let now = Clock::system().now().wall.as_secs();
    let short = |name: &str| vendor(name).scope("orders:read").claim("exp", json!(now + 2)).token();
    let (mut mine, mut theirs) = (each(&gateway, "acme", &short("acme")), each(&gateway, "zeta", &short("zeta")));
    let mut long = each(&gateway, "acme", &reader());
    for stream in &mut mine[..3] {
        until("it is cut", || is_cut(stream));
    }
    assert_eq!(gateway.get("/v1/orders?short", &short("zeta")).reason(), "token_expired", "nothing new begins");
    assert_eq!((is_cut(&mut mine[3]), long.each_mut().map(is_cut)), (false, NONE));
    assert_eq!(theirs.each_mut().map(is_cut), NONE, "the contract lets them end");
    until("the log says why", || gateway.log().matches(r#""reason":"token_expired""#).count() >= 3);
}

#[test]
fn a_hundred_reloads_under_load_end_nothing_and_fail_nothing() {
    let crm = endless();
    let gateway = TestGateway::start(GatewayFixture::of_acme(crm.address, &terms(&crm)).contract("zeta", &terms(&crm)));
    let mut streams = each(&gateway, "acme", &reader());
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let call = || {
            let (token, mut client, mut answered) = (reader(), Client::to(gateway.ingress()), 0);
            while !stop.load(std::sync::atomic::Ordering::SeqCst) {
                let answer = client.get("/v1/orders?short", &token);
                assert_eq!((answer.status, answer.ending), (200, BodyEnd::Whole), "{}", answer.text());
                answered += 1;
            }
            answered
        };
        let callers: Vec<_> = (0..3).map(|_| scope.spawn(call)).collect();
        for round in 0..100 {
            let concurrency = 900 + round % 2;
            gateway.fixture.write_contract(
                "zeta",
                &terms(&crm).replace("concurrency: 1000", &format!("concurrency: {concurrency}")),
            );
            reload(&gateway);
        }
        stop.store(true, std::sync::atomic::Ordering::SeqCst);
        let answered: usize = callers.into_iter().map(|caller| caller.join().expect("no fault")).sum();
        assert!(answered > 0);
    });
    assert_eq!(streams.each_mut().map(is_cut), NONE);
}

/// A vendor without tokens: its client is the name of its certificate.
#[test]
fn a_revoked_certificate_ends_its_exchanges() {
    let crm = endless();
    let terms = |name: &str| {
        let san = format!("subject_alt_name: \"spiffe://{name}.example/batch\", ca: ../ca.pem, crl: [../{name}.crl]");
        format!("identity: {{ certificate: {{ {san} }} }}\n{}", terms(&crm))
    };
    let fixture = GatewayFixture::new(crm.address).contract("acme", &terms("acme")).contract("zeta", &terms("zeta"));
    let certificates = Certificates::write(fixture.path());
    let list = |name: &str, serials: &[u64]| {
        std::fs::write(fixture.path().join(format!("{name}.crl")), certificates.revoking(serials)).expect("written");
    };
    list("acme", &[]);
    list("zeta", &[]);
    let tls_listeners = "  ingress: { bind: \"127.0.0.1:0\", tls: { cert: gateway.pem, key: gateway.key, client_ca: ca.pem } }\n  egress: { bind: \"127.0.0.1:0\", anonymous: true }\n  admin: { bind: \"127.0.0.1:0\", operators: operators.yaml }\n";
    let list_path = fixture.path().join("zeta.crl");
    let revoked = certificates.revoking(&[7]);
    let gateway = TestGateway::start(fixture.listeners(tls_listeners));
    let connect = |name: &str, serial: u64| {
        let own = certificates.for_client(&format!("spiffe://{name}.example/batch"), serial);
        tls(gateway.ingress(), &own.client(&[&TLS13], &["http/1.1"], true)).expect("a handshake")
    };
    let get = request("GET", "/v1/orders", "", "");
    let (mut thief, mut innocent) = (begin(connect("acme", 6), &get), begin(connect("zeta", 7), &get));
    let order = r#"{"client":"spiffe://acme.example/batch","reason":"their machine was stolen"}"#;
    let done = gateway.admin("operator", "POST", "/v1/vendors/acme/revocations", order).json();
    assert_eq!((&done["severed"], &done["seen"]), (&json!(1), &json!(true)), "{done}");
    assert!(is_cut(&mut thief) && !is_cut(&mut innocent));
    assert_eq!(connect("acme", 6).get("/v1/orders", "").reason(), "token_revoked");
    assert_eq!(
        connect("acme", 8).get("/v1/orders", "").reason(),
        "token_revoked",
        "a new certificate is no way around"
    );
    for order in [r#"{"jti":"1","reason":"x"}"#, r#"{"key":"1","reason":"x"}"#] {
        let refused = gateway.admin("operator", "POST", "/v1/vendors/acme/revocations", order);
        assert_eq!((refused.status, refused.json()["reason"].as_str()), (409, Some("cannot_act")), "{order}");
    }
    // Its authority revokes the other's certificate. No reload is ordered.
    std::fs::write(list_path, revoked).expect("written");
    until("it is cut", || is_cut(&mut innocent));
}

/// A request that waits for its upstream when its token is revoked is refused, and does not count as a burst of
/// denials.
#[test]
fn many_ended_exchanges_do_not_trigger_a_kill_of_the_vendor() {
    let crm = Upstream::start(|seen, asker| {
        if seen.line().contains("short") {
            return asker.write(ok("application/json", "{}")).is_ok();
        }
        asker.gone();
        false
    });
    let trip = format!("trip: {{ denials: 3, window: 1m }}\n{}", terms(&crm));
    let gateway = TestGateway::of_acme(crm.address, &trip);
    let stolen = vendor("acme").scope("orders:read").claim("jti", "stolen".into()).token();
    let mut waiting: Vec<Client> = (0..8)
        .map(|_| {
            let mut client = Client::to(gateway.ingress());
            client.send(request("GET", "/v1/orders", &stolen, ""));
            client
        })
        .collect();
    until("all wait for the upstream", || crm.seen().len() == 8);
    let order = r#"{"jti":"stolen","reason":"seen in a log"}"#;
    let done = gateway.admin("operator", "POST", "/v1/vendors/acme/revocations", order).json();
    assert_eq!((&done["severed"], &done["seen"]), (&json!(8), &json!(true)), "{done}");
    for client in &mut waiting {
        let answer = client.answer();
        assert_eq!((answer.status, answer.reason().as_str()), (401, "token_revoked"));
    }
    until("the upstream's side is cut too", || crm.open() == 0);
    assert_eq!(gateway.get("/v1/orders?short", &reader()).status, 200, "the vendor's other tokens pass");
}

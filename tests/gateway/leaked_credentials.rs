//! The runbook for leaked credentials: after the runbook's commands, the thief has no access any more.
//!
//! The commands are read from `docs/operations.md` and run by the program's own client against the running program.
//! Each time the thief holds a stream, sends another request and presents every other credential that he can make;
//! other clients are not affected.

use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::json;
use sha2::Sha256;
use vendorgate::internals::model::Clock;

use crate::support::client::{Answer, BodyEnd, Client, get, request};
use crate::support::fixture::GatewayFixture;
use crate::support::issuer::{AUDIENCE, ISSUER, TokenDraft, keys, vendor};
use crate::support::process::Process;
use crate::support::until;
use crate::support::upstream::{CHUNKED, Upstream, ok};

const TERMS: &str = "limits: { requests: { rate: 100000/s } }
ingress:
  - { route: GET /v1/orders, scopes: [orders:read], upstream: crm }
";

/// A stream without an end where one is asked for, else an answer.
fn crm() -> Upstream {
    Upstream::start(|seen, asker| {
        if !seen.line().contains("stream") {
            return asker.write(ok("application/json", "{}")).is_ok();
        }
        let _ = asker.write(CHUNKED);
        while asker.chunk([b'x'; 512]).is_ok() {
            std::thread::sleep(Duration::from_millis(2));
        }
        false
    })
}

/// The runbook's line that has these words, as arguments of the program, with its placeholders filled in.
fn runbook(words: &[&str], name: &str) -> Vec<String> {
    let page = std::fs::read_to_string("docs/operations.md").expect("the runbook");
    let page = page.replace("\n     ", " ");
    let lines: Vec<&str> = page.split('`').filter(|span| span.starts_with("vendorgate revoke VENDOR")).collect();
    let fits = |line: &&&str| words.iter().all(|word| line.contains(word)) && !line.contains("--lift");
    let line = lines.iter().find(fits).unwrap_or_else(|| panic!("no line with {words:?}: {lines:#?}"));
    let filled = line.replace("VENDOR", "acme").replace("KID", name).replace(" ID", &format!(" {name}"));
    filled.split(' ').skip(1).map(|word| word.trim_matches('\'').replace('…', "ticket 4711")).collect()
}

/// Runs a command; returns its exit code and its output.
fn run(process: &Process, fixture: &GatewayFixture, operator: &str, line: &[String]) -> (Option<i32>, String) {
    process.cli(fixture, operator, &line.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Opens a stream and waits until it flows.
fn stream(address: SocketAddr, token: &str) -> Client {
    let mut client = Client::to(address);
    flowing(&mut client, request("GET", "/v1/orders?stream", token, ""));
    client
}

fn flowing(client: &mut Client, request: String) {
    let head = client.send(request).head();
    assert_eq!(head.status, 200, "{}", String::from_utf8_lossy(&head.raw));
    assert!(!client.more().expect("it flows").is_empty());
}

/// Whether a stream has ended other than by its last chunk.
fn is_cut(client: &mut Client) -> bool {
    let mut last = Vec::new();
    loop {
        match client.more() {
            Ok(piece) => last = piece,
            Err(ending) => return ending != BodyEnd::Whole && !last.ends_with(b"0\r\n\r\n"),
        }
    }
}

/// Reads more than any buffer in between could hold, which shows that the stream goes on.
fn goes_on(client: &mut Client) {
    let mut read = 0;
    while read < 64 * 1024 {
        read += client.more().expect("the innocent go on").len();
    }
}

fn refused(answer: &Answer) -> bool {
    answer.status == 401 && answer.reason() == "token_revoked"
}

fn orders(name: &str) -> TokenDraft {
    vendor(name).scope("orders:read")
}

fn now() -> u64 {
    Clock::system().now().wall.as_secs()
}

#[test]
fn a_leaked_token_can_be_revoked() {
    let crm = crm();
    let fixture = GatewayFixture::of_acme(crm.address, TERMS).contract("zeta", TERMS);
    let process = Process::start(&fixture);
    let (stolen, own) = (orders("acme").claim("jti", "stolen".into()).token(), orders("acme").token());
    let mut thief = [stream(process.ingress, &stolen), stream(process.ingress, &stolen)];
    let mut innocent = [stream(process.ingress, &own), stream(process.ingress, &orders("zeta").token())];
    let (code, said) = run(&process, &fixture, "operator", &runbook(&["--jti"], "stolen"));
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("acme: token stolen revoked, 2 requests severed in") && said.contains("kept on disk"),
        "{said}"
    );
    assert!(thief.iter_mut().all(is_cut));
    assert!(refused(&get(process.ingress, "/v1/orders", &stolen)));
    innocent.iter_mut().for_each(goes_on);
    assert_eq!(get(process.ingress, "/v1/orders", &own).status, 200);
    until("the upstream's side is cut too", || crm.broken() >= 2);
}

#[test]
fn a_leaked_client_can_be_revoked() {
    let crm = crm();
    let two = TERMS.replace("limits:", "identity: { issuer: \"https://id.example.com\", audience: \"https://api.example.com\", clients: [acme-client, acme-batch], jwks: { file: ../jwks.json }, algorithms: [ES256], rotation: { max_lifetime: 1h } }\nlimits:");
    let fixture = GatewayFixture::of_acme(crm.address, &two).contract("zeta", TERMS);
    let mut process = Process::start(&fixture);
    let batch = orders("acme").claim("client_id", "acme-batch".into()).token();
    let stolen = orders("acme").token();
    let mut thief = stream(process.ingress, &stolen);
    let mut innocent = [stream(process.ingress, &batch), stream(process.ingress, &orders("zeta").token())];
    let line = runbook(&["--client ID"], "acme-client");
    let (code, said) = run(&process, &fixture, "operator", &line);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("client acme-client revoked, 1 request severed") && said.contains("--lift"), "{said}");
    assert!(is_cut(&mut thief));
    innocent.iter_mut().for_each(goes_on);
    // The thief makes further tokens, also dated in the future, and asks for another route.
    let minted = |iat: u64| orders("acme").claim("jti", iat.to_string().into()).claim("iat", json!(iat)).token();
    let all = [stolen.clone(), minted(now()), minted(now() + 20), minted(now() - 60)];
    let nothing = |address| all.iter().all(|token| refused(&get(address, "/v1/orders", token)));
    assert!(nothing(process.ingress));
    assert_eq!(get(process.ingress, "/v1/orders", &batch).status, 200);
    process.signal("KILL");
    process.ended();
    let process = Process::start(&fixture);
    assert!(nothing(process.ingress), "after kill -9 too");
    let lift = [&line[..], &["--lift".to_owned()]].concat();
    let (code, said) = run(&process, &fixture, "operator", &lift);
    assert!(code != Some(0) && said.contains("admin"), "{said}");
    assert!(nothing(process.ingress), "an operator does not lift it");
    let listed = process.cli(&fixture, "viewer", &["revoke", "acme", "--list"]);
    assert!(listed.1.contains("client acme-client") && listed.1.contains("ticket 4711"), "{}", listed.1);
    assert_eq!(run(&process, &fixture, "admin", &runbook(&["--issued-before"], "")).0, Some(0));
    let (code, said) = run(&process, &fixture, "admin", &lift);
    assert_eq!(code, Some(0), "{said}");
    assert!(all.iter().any(|token| refused(&get(process.ingress, "/v1/orders", token))), "what he held is out");
    until("the client's new tokens pass", || get(process.ingress, "/v1/orders", &minted(now() + 1)).status == 200);
    assert_eq!(run(&process, &fixture, "admin", &lift).0, Some(1), "there is nothing to lift any more");
}

#[test]
fn a_leaked_webhook_secret_can_be_replaced() {
    const SECRETS: [&[u8]; 2] = [b"a secret of thirty-two bytes, yes", b"the one that comes after it, soon"];
    let crm = crm();
    let fixture = GatewayFixture::new(crm.address);
    let write = |name: &str, secret: &[u8]| {
        let path = fixture.path().join(name);
        std::fs::write(&path, format!("whsec_{}\n", STANDARD.encode(secret))).expect("written");
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("mode");
    };
    write("acme.secret", SECRETS[0]);
    write("hub.secret", SECRETS[1]);
    let terms = |name: &str| {
        format!(
            "limits: {{ requests: {{ rate: 100000/s }} }}\nidentity: {{ webhook: {{ scheme: standard-webhooks, secret_file: ../{name}.secret }} }}\nscopes: [events:write]\n\
             ingress:\n  - {{ route: POST /v1/events, scopes: [events:write], upstream: crm }}\n"
        )
    };
    fixture.write_contract("acme", &terms("acme"));
    fixture.write_contract("hub", &terms("hub"));
    let process = Process::start(&fixture);
    let signed = |secret: &[u8], id: &str, query: &str| {
        let at = now();
        let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("a key");
        mac.update(format!("{id}.{at}.{{}}").as_bytes());
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        format!(
            "POST /v1/events{query} HTTP/1.1\r\nHost: a\r\nwebhook-id: {id}\r\nwebhook-timestamp: {at}\r\nwebhook-signature: v1,{signature}\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}"
        )
    };
    let post = |secret, id: &str| Client::to(process.ingress).send(signed(secret, id, "")).answer();
    let (mut thief, mut innocent) = (Client::to(process.ingress), Client::to(process.ingress));
    flowing(&mut thief, signed(SECRETS[0], "1", "?stream"));
    flowing(&mut innocent, signed(SECRETS[1], "1", "?stream"));
    let (code, said) = run(&process, &fixture, "operator", &runbook(&["--client webhook"], ""));
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("client webhook revoked, 1 request severed"), "{said}");
    assert!(is_cut(&mut thief));
    assert!(refused(&post(SECRETS[0], "2")));
    goes_on(&mut innocent);
    assert_eq!(post(SECRETS[1], "2").status, 200);
    for order in ["--jti|1", "--key|1", "--issued-before|0s"] {
        let order: Vec<&str> = order.split('|').collect();
        let (code, said) = process.cli(&fixture, "operator", &["revoke", "acme", order[0], order[1], "--reason", "x"]);
        assert!(code != Some(0) && said.contains("has no tokens"), "{order:?}: {said}");
    }
    write("acme.secret", b"a third one, that nobody has seen.");
    let lift = ["revoke", "acme", "--client", "webhook", "--lift", "--reason", "x"];
    assert_eq!(process.cli(&fixture, "admin", &lift).0, Some(0));
    until("the old secret is dead", || {
        post(SECRETS[0], &format!("3-{}", Clock::system().now().wall.as_millis())).status == 401
    });
    assert_eq!(post(b"a third one, that nobody has seen.", "4").status, 200);
}

#[test]
fn a_leaked_client_of_opaque_tokens_can_be_revoked() {
    let crm = crm();
    // Says of every token that it is valid, and that it belongs to the client in its first word.
    let issuer = Upstream::start(|seen, asker| {
        let form = String::from_utf8_lossy(&seen.body).into_owned();
        let token = form.split('&').find_map(|pair| pair.strip_prefix("token=")).unwrap_or_default();
        let client = token.split('.').next().unwrap_or_default();
        let body = json!({ "active": true, "iss": ISSUER, "aud": AUDIENCE, "client_id": client, "scope": "orders:read",
            "iat": now(), "exp": now() + 600, "jti": token });
        asker.write(ok("application/json", body.to_string())).is_ok()
    });
    let fixture = GatewayFixture::new(crm.address);
    let secret = fixture.path().join("introspection.secret");
    std::fs::write(&secret, "a-secret-for-tests-only").expect("written");
    std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("mode");
    let identity = format!(
        "identity:\n  issuer: {ISSUER}\n  audience: {AUDIENCE}\n  clients: [mallory, alice]\n  introspection: {{ url: \"http://{}/introspect\", client_id: vendorgate, secret_file: ../introspection.secret, active_for: 1m }}\n",
        issuer.address
    );
    fixture.write_contract("acme", &format!("{identity}{TERMS}"));
    let process = Process::start(&fixture);
    let (mut thief, mut innocent) = (stream(process.ingress, "mallory.1"), stream(process.ingress, "alice.1"));
    let (code, said) = run(&process, &fixture, "operator", &runbook(&["--client ID"], "mallory"));
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("1 request severed"), "{said}");
    assert!(is_cut(&mut thief));
    for token in ["mallory.1", "mallory.2", "mallory.3"] {
        assert!(refused(&get(process.ingress, "/v1/orders", token)), "{token}");
    }
    goes_on(&mut innocent);
    assert_eq!(get(process.ingress, "/v1/orders", "alice.2").status, 200);
    let (code, said) = process.cli(&fixture, "operator", &["revoke", "acme", "--key", "k", "--reason", "x"]);
    assert!(code != Some(0) && said.contains("opaque"), "{said}");
}

#[test]
fn a_leaked_issuer_key_can_be_revoked() {
    let crm = crm();
    let fixture = GatewayFixture::of_acme(crm.address, TERMS).contract("zeta", TERMS);
    let process = Process::start(&fixture);
    let honest = |name: &str| keys().rs256.sign(&orders(name).claims()).expect("signed");
    let mut thief = stream(process.ingress, &orders("acme").token());
    let mut innocent = [stream(process.ingress, &honest("acme")), stream(process.ingress, &orders("zeta").token())];
    let (code, said) = run(&process, &fixture, "operator", &runbook(&["--key"], "es"));
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("key es revoked, 1 request severed"), "{said}");
    assert!(is_cut(&mut thief));
    innocent.iter_mut().for_each(goes_on);
    // The thief has the key and can sign any token; the issuer publishes the key as before.
    let raw = |header: &str, iat: u64| {
        let claims = orders("acme").claim("iat", json!(iat)).claim("jti", iat.to_string().into()).claims();
        keys().es256.sign_raw(header, &claims).expect("signed")
    };
    for header in [r#"{"alg":"ES256","typ":"at+jwt","kid":"es"}"#, r#"{"alg":"ES256","typ":"at+jwt"}"#] {
        for iat in [now(), now() + 20, now() - 60] {
            assert!(refused(&get(process.ingress, "/v1/orders", &raw(header, iat))), "{header} {iat}");
        }
    }
    let masked = raw(r#"{"alg":"ES256","typ":"at+jwt","kid":"rs"}"#, now());
    assert_eq!(get(process.ingress, "/v1/orders", &masked).status, 401);
    assert_eq!(get(process.ingress, "/v1/orders", &honest("acme")).status, 200);
    assert_eq!(get(process.ingress, "/v1/orders", &orders("zeta").token()).status, 200, "another vendor's matter");
}

#[test]
fn a_revocation_of_an_unseen_name_says_so() {
    let crm = crm();
    let fixture = GatewayFixture::of_acme(crm.address, TERMS);
    let process = Process::start(&fixture);
    for order in ["--client|nobody", "--jti|nobody", "--key|nobody"] {
        let order: Vec<&str> = order.split('|').collect();
        let line = ["revoke", "acme", order[0], order[1], "--reason", "x"];
        let (code, said) = process.cli(&fixture, "operator", &line);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("nothing by that name has been seen; the order holds all the same"), "{said}");
        assert_eq!(process.cli(&fixture, "operator", &[&line[..], &["--unseen"]].concat()).0, Some(0));
    }
    let early = orders("acme").claim("jti", "nobody".into()).token();
    assert!(refused(&get(process.ingress, "/v1/orders", &early)), "it was kept");
    let all = process.admin(&fixture, "viewer", "GET", "/v1/revocations", "").json();
    assert_eq!(all["revocations"].as_array().map(Vec::len), Some(3), "{all}");
    let known = process.admin(
        &fixture,
        "operator",
        "POST",
        "/v1/vendors/acme/revocations",
        r#"{"client":"acme-client","reason":"x"}"#,
    );
    assert_eq!((known.status, &known.json()["seen"]), (200, &json!(true)), "a contract names it");
    let stranger =
        process.admin(&fixture, "operator", "POST", "/v1/vendors/nobody/revocations", r#"{"client":"c","reason":"x"}"#);
    assert_eq!(stranger.status, 404, "no such vendor");
}

//! A recognisable value in every format and place, in both directions: no six bytes of it leave, and none are kept.
//!
//! The program runs as a child process at its most verbose log level, so that its logs, its state and the audit trail
//! are searched as well.

use std::fs::{self, File};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::support::client::{self, BodyEnd, Client};
use crate::support::fixture::GatewayFixture;
use crate::support::issuer::vendor;
use crate::support::until;
use crate::support::upstream::Upstream;

/// The mark: no six bytes of it occur in anything else here.
const MARK: &str = "zq7kv9xw2jb5@yp4nt8rm.gdlsx";

/// A media type, and a body with the mark wherever the rules look: `$..email`, and any text for the detectors.
const BODIES: [(&str, &str); 17] = [
    ("application/json", r#"{"email":"MARK","a":[{"e\u006dail":"MARK"},{"EMAIL":{"deep":["MARK"]}}]}"#),
    ("application/json; charset=UTF-8", r#"[["x",{"email":["MARK",1]}],{"email":null}]"#),
    ("application/problem+json", r#"{"detail":"no","email":"MARK"}"#),
    ("application/x-www-form-urlencoded", "a=1&email=MARK&c%5Be%6Dail%5D=MARK&email[]=MARK"),
    ("application/x-ndjson", "{\"email\":\"MARK\"}\n\n{\"x\":{\"email\":\"MARK\"}}\n"),
    ("application/json-seq", "\u{1e}{\"email\":\"MARK\"}\n\u{1e}[{\"email\":\"MARK\"}]\n"),
    ("text/event-stream", ": x\ndata: {\"email\":\ndata: \"MARK\"}\nid: 1\n\n"),
    ("text/csv", "id,Email\r\n1,MARK\r\n2,\"MARK\"\r\n"),
    ("text/tab-separated-values", "email\tid\nMARK\t1\n"),
    (
        "multipart/form-data; boundary=bb",
        "--bb\r\nContent-Disposition: form-data; name=\"email\"\r\n\r\nMARK\r\n--bb\r\nContent-Disposition: form-data; \
         name=\"j\"\r\nContent-Type: application/json\r\n\r\n{\"email\":\"MARK\"}\r\n--bb--",
    ),
    ("application/xml", "<c email='MARK'><email>MARK</email><email><a>MARK</a></email></c>"),
    ("application/soap+xml", "<c><x:email><!-- MARK -->MARK</x:email></c>"),
    ("text/xml", "<c><email><![CDATA[MARK]]></email></c>"),
    // Content that no engine reads under these rules.
    ("text/plain", "write to MARK soon"),
    ("text/html", "<p>MARK</p>"),
    ("application/octet-stream", "MARK"),
    ("application/json, text/plain", r#"{"email":"MARK"}"#),
];
/// How many messages are made of each body.
const CASES_OF_A_BODY: usize = 6;
/// How many of them are read by the rules on names.
const READ: usize = 13;

const RULES: &str = r#"
        pii:
          - { field: "$..email", as: tokenize }
          - { query: email, as: hash }
          - { header: x-customer, as: tokenize }
          - { cookie: who, as: mask }
"#;

struct Running {
    child: Child,
    fixture: GatewayFixture,
    ingress: SocketAddr,
    egress: SocketAddr,
    admin: SocketAddr,
}

impl Running {
    fn start(fixture: GatewayFixture) -> Self {
        let file = |name: &str| File::create(fixture.path().join(name)).expect("a file");
        let child = Command::new(env!("CARGO_BIN_EXE_vendorgate"))
            .args(["run", "--config"])
            .arg(fixture.main())
            .stdout(Stdio::from(file("stdout.log")))
            .stderr(Stdio::from(file("stderr.log")))
            .spawn()
            .expect("the program starts");
        let mut said = String::new();
        until("the gateway serves", || {
            said = fs::read_to_string(fixture.path().join("stderr.log")).unwrap_or_default();
            said.contains("\"serving\"")
        });
        let of = |name: &str| {
            let events = said.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
            let mut found = events.filter(|event| event["listener"] == name);
            found.find_map(|event| event["address"].as_str()?.parse().ok()).unwrap_or_else(|| panic!("{name}: {said}"))
        };
        let (ingress, egress, admin) = (of("ingress"), of("egress"), of("admin"));
        Self { child, fixture, ingress, egress, admin }
    }

    fn admin(&self, path: &str) -> Vec<u8> {
        client::admin(self.admin, self.fixture.operator("viewer"), "GET", path, "").raw
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Fails when a piece of the mark is in these bytes.
#[track_caller]
fn clean(bytes: &[u8], where_: &str) {
    for piece in MARK.as_bytes().windows(6) {
        if let Some(at) = bytes.windows(6).position(|window| window == piece) {
            let around = String::from_utf8_lossy(&bytes[at.saturating_sub(200)..(at + 60).min(bytes.len())]);
            panic!("a piece of the mark is in {where_}: …{around}…");
        }
    }
}

fn clean_files(folder: &Path) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            clean_files(&path);
        } else {
            clean(&fs::read(&path).unwrap_or_default(), &path.display().to_string());
        }
    }
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(body).expect("written");
    encoder.finish().expect("finished")
}

/// Header fields and body of every message: each format whole, cut in half, under another content type, and compressed.
fn messages() -> Vec<(String, Vec<u8>, bool)> {
    let mut all = Vec::new();
    for (at, (media, body)) in BODIES.into_iter().enumerate() {
        let body = body.replace("MARK", MARK).into_bytes();
        let read = at < READ;
        all.push((format!("Content-Type: {media}"), body.clone(), read));
        all.push((format!("Content-Type: {media}"), body[..body.len() / 2].to_vec(), false));
        all.push(("Content-Type: application/json".to_owned(), body.clone(), false));
        all.push(("Content-Type: image/png".to_owned(), body.clone(), false));
        all.push((format!("Content-Type: {media}\r\nContent-Encoding: gzip"), gzip(&body), read));
        all.push((format!("Content-Type: {media}\r\nContent-Encoding: br"), body, false));
    }
    all
}

/// Half an address is not an address, so a detector finds nothing in a text that was cut in half: those messages go one
/// way only.
fn paths(case: usize) -> usize {
    if case % CASES_OF_A_BODY == 1 { 1 } else { 2 }
}

const PLACES: [&str; 3] = ["X-Customer: MARK", "Set-Cookie: who=MARK; Path=/", "Location: /next?a=1&e%6Dail=MARK#x"];

fn terms(theirs: &Upstream) -> String {
    format!(
        "limits: {{ requests: {{ rate: 100000/s }} }}
ingress:
  - route: GET /v1/orders
    scopes: [orders:read]
    upstream: crm
    response: {RULES}
  - route: GET /v1/detected
    scopes: [orders:read]
    upstream: crm
    response: {{ detect: {{ as: redact }} }}
egress:
  upstream: {{ url: \"http://{}\", allow_networks: [\"127.0.0.0/8\"] }}
  routes:
    - route: POST /v2/events
      request: {RULES}
    - route: POST /v2/detected
      request: {{ detect: {{ find: [email], as: mask }} }}
    - route: GET /v2/people/{{email}}
      request: {{ pii: [ {{ segment: email, as: tokenize }}, {{ query: email, as: tokenize }} ] }}
",
        theirs.address
    )
}

fn start() -> (Running, Upstream) {
    // Answers with the message that is asked for, with the mark in every place of the head too.
    let crm = Upstream::start(|seen, asker| {
        let at: usize = seen.field("x-case").expect("told").parse().expect("a number");
        let (fields, body, _) = messages().swap_remove(at);
        let places = PLACES.map(|place| place.replace("MARK", MARK)).join("\r\n");
        let status = if at.is_multiple_of(2) { "200 OK" } else { "302 Found" };
        let places = if seen.line().contains("detected") { String::new() } else { format!("{places}\r\n") };
        let head = format!("HTTP/1.1 {status}\r\n{fields}\r\n{places}Content-Length: {}\r\n\r\n", body.len());
        asker.write([head.as_bytes(), &body].concat()).is_ok()
    });
    let theirs = Upstream::json("{}");
    let fixture = GatewayFixture::of_acme(crm.address, &terms(&theirs)).with("log: { level: trace, format: json }\n");
    (Running::start(fixture), theirs)
}

fn answers_are_clean(gateway: &Running) {
    let token = vendor("acme").scope("orders:read").token();
    for (at, (fields, _, read)) in messages().into_iter().enumerate() {
        for path in ["/v1/orders", "/v1/detected"].into_iter().take(paths(at)) {
            let head =
                client::request("GET", path, &token, "").replace("\r\n\r\n", &format!("\r\nX-Case: {at}\r\n\r\n"));
            let answer = Client::to(gateway.ingress).send(head).answer();
            clean(&answer.raw, &format!("the answer to {path}, case {at}, {fields}"));
            if read && path == "/v1/orders" {
                assert_eq!((answer.status / 100 < 4, answer.ending), (true, BodyEnd::Whole), "{at} {fields}");
            }
        }
    }
}

fn requests_are_clean(gateway: &Running, theirs: &Upstream) {
    for (at, (fields, body, read)) in messages().into_iter().enumerate() {
        for path in ["/acme/v2/events", "/acme/v2/detected"].into_iter().take(paths(at)) {
            let before = theirs.seen().len();
            let places = if path.ends_with("events") {
                format!("X-Customer: {MARK}\r\nCookie: a=1; who={MARK}\r\nReferer: https://x.test/?email={MARK}\r\n")
            } else {
                String::new()
            };
            let query = if path.ends_with("events") { format!("?x=1&em%61il={MARK}") } else { String::new() };
            let length = body.len();
            let head = format!(
                "POST {path}{query} HTTP/1.1\r\nHost: a\r\n{fields}\r\n{places}Content-Length: {length}\r\n\r\n"
            );
            let answer = Client::to(gateway.egress).send([head.as_bytes(), &body].concat()).answer();
            clean(&answer.raw, &format!("the answer to {path}, {fields}"));
            if read && path.ends_with("events") {
                assert_eq!((answer.status, theirs.seen().len()), (200, before + 1), "{fields}: {}", answer.text());
            }
        }
    }
    for path in [format!("/acme/v2/people/{MARK}?email={MARK}"), format!("/acme/v2/people/zq7kv9%78w2jb5?email={MARK}")]
    {
        assert_eq!(Client::to(gateway.egress).get(&path, "").status, 200, "{path}");
    }
    for seen in theirs.seen() {
        clean(&seen.raw, "what the vendor got");
    }
}

/// Requests that are refused and hold the mark wherever a stranger can put it.
fn refusals_are_clean(gateway: &Running) {
    let token = vendor("acme").scope("orders:read").token();
    let wild = vendor("acme").scope("orders:read").claim("sub", MARK.into()).token();
    for (path, token) in [
        (format!("/v1/{MARK}?email={MARK}"), token.as_str()),
        (format!("/v1/orders/%zz{MARK}"), token.as_str()),
        ("/v1/orders".to_owned(), MARK),
        (format!("/{MARK}"), ""),
        (format!("/{MARK}"), wild.as_str()),
    ] {
        for to in [gateway.ingress, gateway.egress, gateway.admin] {
            let head = client::request("GET", &path, token, "")
                .replace("\r\n\r\n", &format!("\r\nX-Any: {MARK}\r\nCookie: who={MARK}\r\nUser-Agent: {MARK}\r\n\r\n"));
            clean(&Client::to(to).send(head).answer().raw, &format!("a refusal of {path}"));
        }
    }
    clean(&client::exchange_raw(gateway.ingress, format!("{MARK} / HTTP/1.1\r\n\r\n").as_bytes()), "a parse error");
}

#[test]
fn no_six_bytes_of_a_treated_value_leave_or_are_kept() {
    let (gateway, theirs) = start();
    answers_are_clean(&gateway);
    requests_are_clean(&gateway, &theirs);
    refusals_are_clean(&gateway);
    for path in ["/metrics", "/v1/audit", "/v1/vendors", "/v1/exposure?vendor=acme", "/readyz?verbose"] {
        clean(&gateway.admin(path), path);
    }
    until("the exchanges are logged", || {
        let logged = fs::read_to_string(gateway.fixture.path().join("stdout.log")).expect("a log");
        logged.contains("POST /v2/events") && logged.contains("GET /v1/detected")
    });
    assert!(gateway.fixture.path().join("state").is_dir());
    clean_files(gateway.fixture.path());
}

//! A vendor that pulls everything it can gets exactly the budget, for any framing and any number of connections.

use std::io::Read;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use crate::support::client::{BodyEnd, Client, request};
use crate::support::h2;
use crate::support::issuer::reader;
use crate::support::test_gateway::TestGateway;
use crate::support::until;
use crate::support::upstream::Upstream;

/// How records are written in a body.
#[derive(Clone, Copy)]
struct Form {
    media: &'static str,
    records: &'static str,
    begin: &'static str,
    between: &'static str,
    end: &'static str,
    /// Closes and opens a group after every tenth record, in formats that have groups.
    groups: Option<&'static str>,
    csv: bool,
}

const FLAT: Form = Form {
    media: "application/json",
    records: "$.orders[*]",
    begin: r#"{"orders":["#,
    between: ",",
    end: "]}",
    groups: None,
    csv: false,
};
const NESTED: Form = Form {
    records: "$.pages[*].rows[*]",
    begin: r#"{"pages":[{"rows":["#,
    end: "]}]}",
    groups: Some(r#"]},{"rows":["#),
    ..FLAT
};
const LINES: Form =
    Form { media: "application/x-ndjson", records: "$[*]", begin: "", between: "\n", end: "\n", ..FLAT };
const TABLE: Form = Form { media: "text/csv", begin: "id,email,end\n", csv: true, ..LINES };

impl Form {
    fn body(self, count: usize) -> Vec<u8> {
        let mut text = self.begin.to_owned();
        for number in 0..count {
            if number > 0 {
                text.push_str(self.groups.filter(|_| number % 10 == 0).unwrap_or(self.between));
            }
            text.push_str(&match self.csv {
                true => format!("#{number}#,ann{number}@example.com,~{number}~"),
                false => format!(r##"{{"id":"#{number}#","email":"ann{number}@example.com","end":"~{number}~"}}"##),
            });
        }
        (text + self.end).into_bytes()
    }
}

/// The numbers between two marks: the records of a body, by their first field or by their last.
fn marked(body: &[u8], mark: char) -> Vec<u64> {
    let text = String::from_utf8_lossy(body);
    let mut parts = text.split(mark);
    parts.next();
    let inside: Vec<&str> = parts.step_by(2).collect();
    inside.iter().filter_map(|number| number.parse().ok()).collect()
}

/// Asserts exactly the first `budget` records, each of them whole, and nothing raw.
#[track_caller]
fn assert_exactly(budget: u64, body: &[u8], what: &str) {
    let ids = marked(body, '#');
    assert_eq!(ids.len() as u64, budget, "{what}");
    assert_eq!(marked(body, '~'), ids, "{what}: a record is not whole");
    assert_at_most(budget, body, what);
}

#[track_caller]
fn assert_at_most(budget: u64, body: &[u8], what: &str) {
    let ids = marked(body, '#');
    assert!(ids.len() as u64 <= budget && ids.iter().copied().eq(0..ids.len() as u64), "{what}");
    assert!(!String::from_utf8_lossy(body).contains("example.com"), "{what}");
}

fn ingress(form: Form, limit: &str) -> String {
    format!(
        "limits: {{ requests: {{ rate: 100000/s }}, records: {{ {limit} }} }}
ingress:
  - route: GET /v1/{{kind}}
    scopes: [orders:read]
    upstream: crm
    records: \"{}\"
    response: {{ pii: [ {{ field: \"$..email\", as: redact }} ] }}
",
        form.records
    )
}

/// Answers everyone with the same body, in chunks of so many bytes.
fn serving(form: Form, body: Vec<u8>, each: usize) -> Upstream {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {}\r\nTransfer-Encoding: chunked\r\n\r\n", form.media);
    Upstream::start(move |_, asker| {
        let written = asker.write(&head).and_then(|()| body.chunks(each).try_for_each(|chunk| asker.chunk(chunk)));
        written.and_then(|()| asker.chunk("")).is_ok()
    })
}

/// Pulls once; returns the body as far as it came, and whether it was visibly cut.
fn pull(address: SocketAddr, on_h2: bool) -> (Vec<u8>, bool) {
    if !on_h2 {
        let answer = Client::to(address).get("/v1/all", &reader());
        return (answer.body, answer.ending != BodyEnd::Whole);
    }
    h2::run(async {
        let mut session = h2::open(address).await;
        let answer = h2::ask(&mut session, "/v1/all", &reader()).await.expect("an answer");
        let (body, ending) = h2::read(answer.into_body()).await;
        (body, ending != h2::StreamEnd::Whole)
    })
}

#[test]
fn a_request_for_fifty_thousand_records_gets_the_budget_only() {
    const BUDGET: u64 = 12_345;
    let body = FLAT.body(50_000);
    for (over, each, on_h2) in [
        ("refuse", 61, false),
        ("refuse", 64 * 1024, true),
        ("sever", 1000, true),
        ("sever", 64 * 1024, false),
        ("kill", 1000, false),
        ("kill", 61, true),
        ("kill", 4 << 20, false),
        ("kill", 64 * 1024, true),
    ] {
        let what = format!("over: {over}, {each} bytes a chunk, h2: {on_h2}");
        let crm = serving(FLAT, body.clone(), each);
        let gateway =
            TestGateway::of_acme(crm.address, &ingress(FLAT, &format!("budget: {BUDGET}, window: 1h, over: {over}")));
        let (body, cut) = pull(gateway.ingress(), on_h2);
        assert!(cut, "{what}");
        // A kill resets a connection that carries nothing else: what the client has not read by then is lost.
        if over == "kill" {
            assert_at_most(BUDGET, &body, &what)
        } else {
            assert_exactly(BUDGET, &body, &what)
        }
        let next = gateway.get("/v1/all", &reader());
        let expected = if over == "kill" { (403, "vendor_killed") } else { (429, "records_exceeded") };
        assert_eq!((next.status, next.reason().as_str()), expected, "{what}");
        if over == "kill" {
            let status = gateway.admin("viewer", "GET", "/v1/vendors/acme", "").json();
            assert_eq!((&status["state"], &status["kills"][0]["by"]), (&"killed".into(), &"vendorgate".into()));
        }
    }
}

#[test]
fn every_form_of_records_is_cut_at_the_budget() {
    for (name, form) in [("flat", FLAT), ("nested", NESTED), ("lines", LINES), ("table", TABLE)] {
        for (each, on_h2) in [(1, false), (7, true), (1 << 20, false), (1 << 20, true)] {
            let crm = serving(form, form.body(100), each);
            let gateway = TestGateway::of_acme(crm.address, &ingress(form, "budget: 37, window: 1h, over: refuse"));
            let (body, cut) = pull(gateway.ingress(), on_h2);
            let what = format!("{name}, {each} bytes a chunk, h2: {on_h2}");
            assert!(cut, "{what}");
            assert_exactly(37, &body, &what);
        }
    }
}

#[test]
fn concurrent_requests_share_one_budget() {
    const BUDGET: usize = 20_000;
    let crm = serving(FLAT, FLAT.body(5_000), 4096);
    for over in ["refuse", "sever", "kill"] {
        let gateway =
            TestGateway::of_acme(crm.address, &ingress(FLAT, &format!("budget: {BUDGET}, window: 1h, over: {over}")));
        let address = gateway.ingress();
        let pulls: Vec<_> = (0..8).map(|at| std::thread::spawn(move || pull(address, at % 2 == 0))).collect();
        let bodies: Vec<_> = pulls.into_iter().map(|pull| pull.join().expect("no panic")).collect();
        let got: usize = bodies.iter().map(|(body, _)| marked(body, '~').len()).sum();
        assert!(got <= BUDGET, "{over}: {got}");
        assert!(bodies.iter().any(|(_, cut)| *cut), "{over}: forty thousand were asked for");
        if over != "refuse" {
            continue;
        }
        // Near the end of the budget, a body that is about to end may hold the rest for a moment: the next request gets
        // it.
        let mut total = got;
        loop {
            let answer = gateway.get("/v1/all", &reader());
            if answer.status != 200 {
                assert_eq!(answer.reason(), "records_exceeded");
                break;
            }
            total += marked(&answer.body, '~').len();
        }
        assert_eq!(total, BUDGET, "to the record, over all of them");
        until("as many are counted", || {
            gateway.metric("vendorgate_records_total", &[r#"vendor="acme""#, "ingress"]) == Some(BUDGET as u64)
        });
    }
}

/// A vendor that takes every body and keeps it.
fn taking() -> (SocketAddr, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let taken = Arc::new(Mutex::new(Vec::new()));
    let theirs = Arc::clone(&taken);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let taken = Arc::clone(&theirs);
            std::thread::spawn(move || {
                let mut piece = [0; 4096];
                while let Ok(read @ 1..) = stream.read(&mut piece) {
                    taken.lock().expect("no panic").extend_from_slice(&piece[..read]);
                }
            });
        }
    });
    (address, taken)
}

#[test]
fn egress_is_also_cut_at_the_budget() {
    for (name, form) in [("flat", FLAT), ("nested", NESTED), ("lines", LINES), ("table", TABLE)] {
        for each in [13, 1000] {
            let (vendor, taken) = taking();
            let terms = format!(
                "limits: {{ records: {{ budget: 370, window: 1h, over: refuse }} }}
egress:
  upstream: {{ url: \"http://{vendor}\", allow_networks: [\"127.0.0.0/8\"] }}
  routes:
    - {{ route: POST /in, records: \"{}\", request: {{ pii: [ {{ field: \"$..email\", as: redact }} ] }} }}
",
                form.records
            );
            let gateway = TestGateway::of_acme(vendor, &terms);
            let mut sending = Client::to(gateway.egress());
            let kind = format!("\r\nContent-Type: {}\r\nTransfer-Encoding: chunked\r\n\r\n", form.media);
            sending.send(request("POST", "/acme/in", "", "").replace("\r\n\r\n", &kind));
            let body = form.body(1000);
            let (first, rest) = body.split_at(body.len() / 8);
            let chunked = |bytes: &[u8]| -> Vec<u8> {
                let chunk = |piece: &[u8]| [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
                bytes.chunks(each).flat_map(chunk).collect()
            };
            // A part is already on its way before the rest comes, so this is a cut and not a refusal.
            sending.send(chunked(first));
            until("the vendor has some of it", || !marked(&taken.lock().expect("no panic"), '#').is_empty());
            sending.send(chunked(rest));
            let answer = sending.answer();
            assert_eq!((answer.status, answer.reason().as_str()), (429, "records_exceeded"), "{name} {each}");
            let got = taken.lock().expect("no panic").clone();
            let most = marked(&got, '#').into_iter().max().expect("records");
            assert!(most < 370, "{name} {each}: {most}");
            let text = String::from_utf8_lossy(&got).into_owned();
            assert!(!text.contains("example.com") && !text.ends_with("0\r\n\r\n"), "{name} {each}");
            let again = Client::to(gateway.egress()).send(request("POST", "/acme/in", "", "[1]")).answer();
            assert_eq!(again.status, 429, "{name} {each}");
        }
    }
}

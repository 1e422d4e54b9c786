//! Start, reload and drain of a gateway under traffic.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;

use crate::support::client::{self, BodyEnd, Client, request};
use crate::support::fixture::GatewayFixture;
use crate::support::h2;
use crate::support::issuer::{reader, vendor};
use crate::support::process::Process;
use crate::support::test_gateway::TestGateway;
use crate::support::until;
use crate::support::upstream::{CHUNKED, Upstream, ok};

const TERMS: &str = "limits: { requests: { rate: 1000000/s, burst: 1000000 } }
ingress:
  - { route: GET /v1/orders, scopes: [orders:read], upstream: crm }
";

/// An upstream that answers only when the test says so.
fn held() -> (Upstream, mpsc::Sender<()>) {
    let (tell, told) = mpsc::channel::<()>();
    let told = Arc::new(Mutex::new(told));
    let crm = Upstream::start(move |_, asker| {
        let _ = asker.write(CHUNKED);
        let _ = asker.chunk("{");
        let _ = told.lock().expect("no panic").recv();
        asker.chunk("}").and_then(|()| asker.chunk("")).is_ok()
    });
    (crm, tell)
}

/// Callers that send requests over kept connections until stopped. A fault is an answer that no caller should see.
struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    threads: Vec<std::thread::JoinHandle<Vec<String>>>,
}

impl Load {
    fn start(address: std::net::SocketAddr, callers: usize, good: fn(&client::Answer) -> bool) -> Self {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let token = reader();
        let threads = (0..callers).map(|_| {
            let (stop, answered, token) = (Arc::clone(&stop), Arc::clone(&answered), token.clone());
            std::thread::spawn(move || call(address, &token, &stop, &answered, good))
        });
        Self { threads: threads.collect(), stop, answered }
    }

    fn answered(&self) -> usize {
        self.answered.load(Ordering::SeqCst)
    }

    fn faults(self) -> Vec<String> {
        self.stop.store(true, Ordering::SeqCst);
        self.threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    }
}

fn call(
    address: std::net::SocketAddr,
    token: &str,
    stop: &AtomicBool,
    answered: &AtomicUsize,
    good: fn(&client::Answer) -> bool,
) -> Vec<String> {
    let mut faults = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        // The listener is closed: the drain is over, and no request was lost.
        let Ok(stream) = std::net::TcpStream::connect(address) else { break };
        stream.set_read_timeout(Some(crate::support::PATIENCE)).expect("a timeout");
        let mut client = Client::over(stream);
        while !stop.load(Ordering::SeqCst) {
            let answer = client.get("/v1/orders", token);
            if !good(&answer) || answer.ending != BodyEnd::Whole {
                faults.push(format!("{} {:?} {}", answer.status, answer.ending, String::from_utf8_lossy(&answer.raw)));
                break;
            }
            answered.fetch_add(1, Ordering::SeqCst);
            if answer.field("connection") == Some("close") {
                break;
            }
        }
    }
    faults
}

#[test]
fn sigterm_under_load_fails_no_request_and_exits_0() {
    let crm = Upstream::json(r#"{"orders":[]}"#);
    let fixture = GatewayFixture::of_acme(crm.address, TERMS);
    for _ in 0..3 {
        let mut process = Process::start(&fixture);
        let load = Load::start(process.ingress, 8, |answer| answer.status == 200);
        until("traffic flows", || load.answered() > 200);
        process.signal("TERM");
        assert_eq!(process.ended().code(), Some(0));
        assert_eq!(load.faults(), Vec::<String>::new());
    }
}

#[test]
fn a_drain_waits_for_requests_in_flight_and_sends_connection_close() {
    let (crm, tell) = held();
    let mut gateway = TestGateway::of_acme(crm.address, TERMS);
    let mut slow = Client::to(gateway.ingress());
    slow.send(request("GET", "/v1/orders", &reader(), ""));
    assert_eq!(slow.head().status, 200);
    let mut resting = Client::to(gateway.ingress());
    let waiting = request("GET", "/v1/orders", &vendor("acme").token(), "");
    assert_eq!(resting.send(&waiting).answer().status, 403);
    gateway.begin_drain();
    let admin = gateway.addresses.admin.expect("an address");
    until("it says that it is not ready", || client::admin(admin, "", "GET", "/readyz", "").status == 503);
    // A request that arrives while the drain begins is answered, with `Connection: close`.
    until("an answer is the last", || {
        let answer = resting.send(&waiting).answer();
        assert_eq!(answer.status, 403, "none is lost");
        answer.field("connection") == Some("close")
    });
    assert!(resting.is_closed());
    assert!(!gateway.is_drained(), "an answer is still in flight");
    tell.send(()).expect("the upstream waits");
    let mut rest = Vec::new();
    while !rest.ends_with(b"0\r\n\r\n") {
        rest.extend(slow.more().expect("whole"));
    }
    until("the drain is over", || gateway.is_drained());
    assert!(std::net::TcpStream::connect(gateway.ingress()).is_err(), "nobody listens");
}

#[test]
fn a_drain_sends_goaway_on_http_2_and_finishes_its_streams() {
    let (crm, tell) = held();
    let mut gateway = TestGateway::of_acme(crm.address, TERMS);
    h2::run(async {
        let mut session = h2::open(gateway.ingress()).await;
        let answer = h2::ask(&mut session, "/v1/orders", &reader()).await.expect("an answer");
        gateway.begin_drain();
        let clock = tokio::time::Instant::now();
        while session.ready().await.is_ok() && clock.elapsed() < crate::support::PATIENCE {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        assert!(h2::ask(&mut session, "/v1/orders", &reader()).await.is_err(), "the connection takes no more");
        tell.send(()).expect("the upstream waits");
        let (body, ending) = h2::read(answer.into_body()).await;
        assert_eq!((body.as_slice(), ending), (&b"{}"[..], h2::StreamEnd::Whole));
    });
    until("the drain is over", || gateway.is_drained());
}

#[test]
fn a_drain_has_a_deadline() {
    let (crm, tell) = held();
    let fixture = GatewayFixture::of_acme(crm.address, TERMS).with("drain: { deadline: 1s }\n");
    let mut gateway = TestGateway::start(fixture);
    let mut slow = Client::to(gateway.ingress());
    slow.send(request("GET", "/v1/orders", &reader(), ""));
    assert_eq!(slow.head().status, 200);
    let _silent = client::tcp(gateway.ingress());
    gateway.begin_drain();
    until("the drain is over", || gateway.is_drained());
    drop(tell);
}

#[test]
fn a_reload_swaps_everything_or_nothing() {
    let crm = Upstream::json("{}");
    let gateway = TestGateway::of_acme(crm.address, TERMS);
    let mut kept = Client::to(gateway.ingress());
    assert_eq!(kept.get("/v1/orders", &reader()).status, 200);
    assert_eq!(kept.get("/v1/new", &reader()).status, 403);
    // One valid change and one fault, in two files: neither takes effect.
    gateway.fixture.write_contract(
        "acme",
        &format!("{TERMS}  - {{ route: GET /v1/new, scopes: [orders:read], upstream: crm }}\n"),
    );
    gateway.fixture.write_contract("other", "limits: { concurrency: 0 }\nunknown_key: 1\n");
    let bad = gateway.admin("admin", "POST", "/v1/reload", "");
    assert!((400..500).contains(&bad.status), "{}", bad.status);
    let text = bad.text();
    assert!(text.contains("other.yaml") && text.contains("unknown_key") && text.contains("concurrency"), "{text}");
    assert_eq!(kept.get("/v1/new", &reader()).status, 403, "the old config stays");
    assert_eq!(kept.get("/v1/orders", &reader()).status, 200);
    assert_eq!(gateway.metric("vendorgate_config_generation", &[]), Some(1));
    // The fault is corrected.
    gateway.fixture.write_contract("other", TERMS);
    let good = gateway.admin("admin", "POST", "/v1/reload", "");
    assert_eq!(good.status, 200, "{}", good.text());
    let json = good.json();
    assert_eq!(
        (json["generation"].as_u64(), &json["added"], &json["changed"]),
        (Some(2), &serde_json::json!(["other"]), &serde_json::json!(["acme"])),
        "{json}"
    );
    assert_eq!(kept.get("/v1/new", &reader()).status, 200, "the same connection, the new config");
    assert_eq!(kept.get("/v1/orders", &vendor("other").scope("orders:read").token()).status, 200);
    assert_eq!(gateway.metric("vendorgate_config_generation", &[]), Some(2));
    assert_eq!(gateway.metric("vendorgate_config_reload_total", &[r#"result="success""#]), Some(1));
    assert_eq!(gateway.admin("operator", "POST", "/v1/reload", "").status, 403);
    let of_the_new = || gateway.metric("vendorgate_records_total", &[r#"route="GET /v1/new""#]);
    assert_eq!(of_the_new(), Some(0));
    gateway.fixture.write_contract("acme", TERMS);
    assert_eq!(gateway.admin("admin", "POST", "/v1/reload", "").status, 200);
    assert_eq!(of_the_new(), None, "what left the config leaves the metrics");
}

#[test]
fn reloads_under_load_fail_no_request_and_refill_no_budget() {
    let crm = Upstream::json("{}");
    let fixture = GatewayFixture::of_acme(crm.address, TERMS).contract(
        "small",
        "limits: { requests: { rate: 1/h, burst: 2 } }\ningress:\n  - { route: GET /v1/orders, scopes: [orders:read], upstream: crm }\n",
    );
    let gateway = TestGateway::start(fixture);
    let small = vendor("small").scope("orders:read").token();
    assert_eq!(gateway.get("/v1/orders", &small).status, 200);
    let load = Load::start(gateway.ingress(), 4, |answer| answer.status == 200);
    for _ in 0..100 {
        assert_eq!(gateway.admin("admin", "POST", "/v1/reload", "").status, 200);
    }
    let seen = load.answered();
    until("traffic goes on", || load.answered() > seen);
    assert_eq!(load.faults(), Vec::<String>::new());
    assert_eq!((gateway.get("/v1/orders", &small).status, gateway.get("/v1/orders", &small).status), (200, 429));
}

#[test]
fn sighup_loads_the_config_again_and_a_bad_one_changes_nothing() {
    let crm = Upstream::json("{}");
    let fixture = GatewayFixture::of_acme(crm.address, TERMS);
    let process = Process::start(&fixture);
    let status = |path: &str| client::get(process.ingress, path, &reader()).status;
    let generation = || {
        let text = process.admin(&fixture, "viewer", "GET", "/metrics", "").text();
        let find =
            |name: &str| text.lines().filter(|line| line.starts_with(name)).map(str::to_owned).collect::<String>();
        (find("vendorgate_config_generation"), find("vendorgate_config_reload_total"))
    };
    let before = generation();
    fixture.write_contract("acme", "nonsense: [\n");
    process.signal("HUP");
    until("the fault is counted", || generation().1 != before.1);
    assert_eq!(generation().0, before.0);
    assert_eq!(status("/v1/orders"), 200);
    fixture.write_contract("acme", &TERMS.replace("/v1/orders", "/v1/other"));
    process.signal("HUP");
    until("the new config is in force", || status("/v1/other") == 200);
    assert_eq!(status("/v1/orders"), 403);
    assert_ne!(generation().0, before.0);
}

#[test]
fn what_is_in_flight_ends_under_the_config_that_it_began_with() {
    let (crm, tell) = held();
    let gateway = TestGateway::of_acme(crm.address, TERMS);
    let mut slow = Client::to(gateway.ingress());
    slow.send(request("GET", "/v1/orders", &reader(), ""));
    assert_eq!(slow.head().status, 200);
    // The authority of the exchange is the same; only treatment and counting have changed.
    let stricter = TERMS
        .replace("rate: 1000000/s, burst: 1000000", "rate: 1/s, burst: 1")
        .replace("upstream: crm }", "upstream: crm, response: { pii: [{ field: \"$.email\", as: redact }] } }");
    gateway.fixture.write_contract("acme", &stricter);
    gateway.fixture.write_contract("other", TERMS);
    let reloaded = gateway.admin("admin", "POST", "/v1/reload", "");
    assert_eq!(
        (reloaded.status, &reloaded.json()["changed"]),
        (200, &serde_json::json!(["acme"])),
        "{}",
        reloaded.text()
    );
    tell.send(()).expect("the upstream waits");
    let mut rest = Vec::new();
    while !rest.ends_with(b"0\r\n\r\n") {
        rest.extend(slow.more().expect("whole"));
    }
}

#[test]
fn a_failed_start_serves_nothing() {
    let fixture = GatewayFixture::of_acme(([127, 0, 0, 1], 1).into(), "ingress: nonsense\n");
    let run = || {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_vendorgate"));
        command.args(["run", "--config"]).arg(fixture.main()).output().expect("it runs")
    };
    let bad = run();
    assert_ne!(bad.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&bad.stderr).contains("acme.yaml"));
    // A second gateway on the same state does not start either.
    fixture.write_contract("acme", TERMS);
    let first = Process::start(&fixture);
    let second = run();
    assert_ne!(second.status.code(), Some(0), "{}", String::from_utf8_lossy(&second.stderr));
    assert_eq!(client::get(first.ingress, "/v1/nothing", &reader()).status, 403, "the first goes on");
}

#[test]
fn an_upstreams_keep_alive_outlives_a_request() {
    let crm = Upstream::saying(ok("application/json", "{}"));
    let gateway = TestGateway::of_acme(crm.address, TERMS);
    let mut client = Client::to(gateway.ingress());
    for _ in 0..20 {
        assert_eq!(client.get("/v1/orders", &reader()).status, 200);
    }
    assert_eq!(crm.open(), 1, "one caller's requests share a connection");
}

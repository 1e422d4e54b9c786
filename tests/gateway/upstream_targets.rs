//! Several targets of one upstream: who gets a request, who is left out, and what the caller notices of it.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::support::client::{Answer, Client, request};
use crate::support::fixture::GatewayFixture;
use crate::support::issuer::vendor;
use crate::support::test_gateway::TestGateway;
use crate::support::until;
use crate::support::upstream::{Upstream, ok};

/// A fixture whose upstreams have these targets in both directions, with more keys of theirs and of the egress routes.
pub(crate) fn fixture(targets: &[SocketAddr], keys: &str, route_keys: &str) -> GatewayFixture {
    let listed: Vec<String> = targets.iter().map(|target| format!("\"http://{target}\"")).collect();
    let targets_key = if targets.len() > 1 { format!("targets: [{}], ", listed.join(", ")) } else { String::new() };
    let url = if targets.len() > 1 { "http://api.test".to_owned() } else { format!("http://{}", targets[0]) };
    let route = "GET|HEAD|PUT|DELETE|POST /v1/orders/{id}";
    let terms = format!(
        r#"limits: {{ requests: {{ rate: 100000/s }}, concurrency: 1000 }}
journey: [checkout]
ingress:
  - {{ route: "{route}", scopes: [orders:write], upstream: crm }}
egress:
  upstream: {{ url: "{url}", {targets_key}{keys} allow_networks: ["127.0.0.0/8"] }}
  routes:
    - {{ route: "{route}"{route_keys} }}
"#
    );
    let fixture = GatewayFixture::of_acme(targets[0], &terms);
    let main = std::fs::read_to_string(fixture.main()).expect("text");
    let own = format!("url: \"http://{}\", connect_timeout: 2s, response_timeout: 10s", targets[0]);
    assert!(main.contains(&own));
    let main = main.replace(&own, &format!("url: \"{url}\", {targets_key}{keys} connect_timeout: 2s"));
    std::fs::write(fixture.main(), main).expect("written");
    fixture
}

/// A gateway in such a fixture.
pub(crate) fn gateway(targets: &[&Upstream], keys: &str) -> TestGateway {
    let addresses: Vec<_> = targets.iter().map(|target| target.address).collect();
    TestGateway::start(fixture(&addresses, keys, ""))
}

/// The text of a request of either direction.
pub(crate) fn call(gateway: &TestGateway, is_egress: bool, method: &str, id: &str, body: &str) -> (SocketAddr, String) {
    match is_egress {
        true => (gateway.egress(), request(method, &format!("/acme/v1/orders/{id}"), "", body)),
        false => {
            let token = vendor("acme").scope("orders:write").token();
            (gateway.ingress(), request(method, &format!("/v1/orders/{id}"), &token, body))
        }
    }
}

/// Sends a request of either direction on a connection of its own.
pub(crate) fn send(gateway: &TestGateway, is_egress: bool, method: &str, body: &str) -> Answer {
    let (address, text) = call(gateway, is_egress, method, "7", body);
    Client::to(address).send(text).answer()
}

/// Our own `GET`.
pub(crate) fn get(gateway: &TestGateway) -> Answer {
    send(gateway, true, "GET", "")
}

/// An upstream that answers this status, with an empty body.
pub(crate) fn saying(status: u16) -> Upstream {
    Upstream::saying(format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n"))
}

/// An address on which nothing listens.
pub(crate) fn nobody() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address")
}

#[test]
fn requests_take_turns_and_all_targets_have_one_name() {
    let targets = [Upstream::json("{}"), Upstream::json("{}"), Upstream::json("{}")];
    let gateway = gateway(&targets.each_ref(), "");
    for is_egress in [false, true] {
        for _ in 0..9 {
            assert_eq!(send(&gateway, is_egress, "GET", "").status, 200);
        }
    }
    for target in &targets {
        let seen = target.seen();
        assert_eq!(seen.len(), 6, "three of each direction");
        assert!(seen.iter().all(|request| request.field("host") == Some("api.test")));
    }
}

#[test]
fn the_target_with_fewer_requests_under_way_is_preferred() {
    let (busy, idle) = (Upstream::start(|_, asker| asker.gone()), Upstream::json("{}"));
    let gateway = gateway(&[&busy, &idle], "balance: least_requests, ");
    let (address, text) = call(&gateway, true, "GET", "7", "");
    let mut held = Vec::new();
    while busy.seen().is_empty() {
        let mut client = Client::to(address);
        client.send(&text);
        until("a target has it", || busy.seen().len() + idle.seen().len() > held.len());
        held.push(client);
    }
    let before = idle.seen().len();
    for _ in 0..20 {
        assert_eq!(get(&gateway).status, 200);
    }
    assert_eq!((busy.seen().len(), idle.seen().len()), (1, before + 20));
}

#[test]
fn a_target_that_nobody_listens_on_costs_no_request_whatever_its_method() {
    let alive = Upstream::json("{}");
    let gateway = TestGateway::start(fixture(&[nobody(), alive.address], "", ""));
    for is_egress in [false, true] {
        for (method, body) in [("GET", ""), ("POST", "{\"a\":1}"), ("PUT", "{}"), ("DELETE", "")] {
            for _ in 0..3 {
                assert_eq!(send(&gateway, is_egress, method, body).status, 200, "{method}");
            }
        }
    }
    assert_eq!(alive.seen().len(), 24);
    assert!(alive.seen().iter().filter(|seen| seen.line().starts_with("POST")).all(|seen| seen.body == b"{\"a\":1}"));
}

#[test]
fn failures_in_a_row_eject_a_target_and_a_reload_does_not_bring_it_back() {
    let (bad, good) = (saying(500), Upstream::json("{}"));
    let keys = "outlier_detection: { consecutive_failures: 3, base_ejection_time: 30m, max_ejection_time: 1h }, ";
    let gateway = gateway(&[&bad, &good], keys);
    let statuses: Vec<u16> = (0..6).map(|_| get(&gateway).status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 500).count(), 3, "{statuses:?}");
    assert_eq!(gateway.admin("admin", "POST", "/v1/reload", "").status, 200);
    for _ in 0..10 {
        assert_eq!(get(&gateway).status, 200);
    }
    assert_eq!(bad.seen().len(), 3);
    let healthy = |upstream: &Upstream| {
        let target = format!("target=\"{}\"", upstream.address);
        gateway.metric("vendorgate_upstream_healthy", &[r#"direction="egress""#, &target])
    };
    assert_eq!((healthy(&bad), healthy(&good)), (Some(0), Some(1)));
    assert_eq!(gateway.metric("vendorgate_upstream_ejections_total", &[r#"direction="egress""#]), Some(1));
    let status = gateway.admin("viewer", "GET", "/v1/vendors/acme", "").json();
    let upstream = status["upstreams"].as_array().expect("a list").iter().find(|it| it["direction"] == "egress");
    assert_eq!(upstream.expect("ours")["targets"][0]["state"], "ejected");
}

#[test]
fn the_last_target_that_is_well_is_never_ejected() {
    let targets = [saying(500), saying(500)];
    let gateway = gateway(&targets.each_ref(), "outlier_detection: { consecutive_failures: 1 }, ");
    for _ in 0..10 {
        assert_eq!(get(&gateway).status, 500, "an answer is better than none");
    }
    assert_eq!(targets.iter().map(|target| target.seen().len()).sum::<usize>(), 10);
}

#[test]
fn all_targets_down_are_each_tried_once() {
    let gateway = TestGateway::start(fixture(&[nobody(), nobody(), nobody()], "retry: {}, ", ""));
    for is_egress in [false, true] {
        let answer = send(&gateway, is_egress, "POST", "{}");
        assert_eq!((answer.status, answer.reason().as_str()), (502, "upstream_refused"));
    }
}

#[test]
fn health_checks_leave_a_sick_target_out_and_bring_it_back() {
    let sick = Arc::new(AtomicBool::new(true));
    let theirs = Arc::clone(&sick);
    let first = Upstream::start(move |seen, asker| {
        let is_sick = seen.line().contains("/healthz") && theirs.load(Ordering::SeqCst);
        let answer = if is_sick { b"HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n".to_vec() } else { ok("a/b", "{}") };
        asker.write(answer).is_ok()
    });
    let second = Upstream::json("{}");
    let keys = "health: { path: /healthz, interval: 100ms, healthy_after: 1, unhealthy_after: 2 }, ";
    let gateway = gateway(&[&first, &second], keys);
    let state = || {
        let status = gateway.admin("viewer", "GET", "/v1/vendors/acme", "").json();
        let found = status["upstreams"].as_array().expect("a list").iter().find(|it| it["direction"] == "egress");
        found.expect("ours")["targets"][0]["state"].as_str().expect("a word").to_owned()
    };
    let orders = |upstream: &Upstream| upstream.seen().iter().filter(|it| it.line().contains("/orders")).count();
    until("the checks find out", || state() == "unhealthy");
    for _ in 0..6 {
        assert_eq!(get(&gateway).status, 200);
    }
    assert_eq!((orders(&first), orders(&second)), (0, 6));
    let check = first.seen().into_iter().find(|seen| seen.line().contains("/healthz")).expect("a check");
    assert_eq!((check.line(), check.field("host")), ("GET /healthz HTTP/1.1", Some("api.test")));
    assert!(check.field("user-agent").expect("a name").starts_with("vendorgate-health/"));
    assert_eq!(check.field("x-vendorgate-vendor"), None);
    sick.store(false, Ordering::SeqCst);
    until("the checks find out", || state() == "healthy");
    (0..6).for_each(|_| drop(get(&gateway)));
    assert_eq!((orders(&first), orders(&second)), (3, 9));
}

#[test]
fn a_killed_vendor_is_not_even_asked_how_it_is() {
    let vendor = Upstream::json("{}");
    let internal = Upstream::json("{}");
    let terms = format!(
        "egress:\n  upstream: {{ url: \"http://{}\", health: {{ path: /h, interval: 100ms }}, allow_networks: \
         [\"127.0.0.0/8\"] }}\n  routes: [ {{ route: GET /a }} ]\n",
        vendor.address
    );
    let gateway = TestGateway::of_acme(internal.address, &terms);
    until("it is asked", || vendor.seen().len() > 1);
    assert_eq!(gateway.admin("operator", "POST", "/v1/vendors/acme/kill", r#"{"reason":"leak"}"#).status, 200);
    until("no check is under way", || vendor.open() == 0);
    let asked = vendor.seen().len();
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(vendor.seen().len(), asked);
    assert_eq!(gateway.admin("admin", "POST", "/v1/vendors/acme/restore", r#"{"reason":"clean"}"#).status, 200);
    until("it is asked again", || vendor.seen().len() > asked);
}

#[test]
fn a_connection_that_is_old_is_closed_between_two_requests() {
    for (age, is_closed) in [("1ms", true), ("1h", false)] {
        let (address, accepted) = counting();
        let gateway = TestGateway::start(fixture(&[address], &format!("max_connection_age: {age}, "), ""));
        for _ in 0..20 {
            assert_eq!(get(&gateway).status, 200);
        }
        let connections = || accepted.load(Ordering::SeqCst);
        if is_closed {
            until("others are opened", || get(&gateway).status == 200 && connections() > 3);
        } else {
            // Each of the two workers may have one of its own.
            assert!(connections() <= 2, "{}", connections());
        }
    }
}

/// An upstream, and how many connections it has accepted.
fn counting() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let (address, accepted) = (listener.local_addr().expect("an address"), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&accepted);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            counted.fetch_add(1, Ordering::SeqCst);
            std::thread::spawn(move || {
                let mut answers = stream.try_clone().expect("a handle");
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    if line.is_empty() && answers.write_all(&ok("a/b", "{}")).is_err() {
                        return;
                    }
                }
            });
        }
    });
    (address, accepted)
}

/// Not a test: the program of a target that can be killed. It serves until it is.
#[test]
#[ignore = "runs as the second process of another test"]
fn the_second_process() {
    let upstream = Upstream::json("{}");
    println!("\nlistens {}", upstream.address);
    loop {
        std::thread::park();
    }
}

/// A target in a process of its own.
struct TargetProcess {
    child: Child,
    address: SocketAddr,
}

impl TargetProcess {
    fn start() -> Self {
        let mut child = Command::new(std::env::current_exe().expect("a path"))
            .args(["upstream_targets::the_second_process", "--exact", "--nocapture", "--ignored"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
        let address = lines.find_map(|line| line.strip_prefix("listens ")?.parse().ok()).expect("an address");
        Self { child, address }
    }

    /// `kill -9`.
    fn kill(&mut self) {
        self.child.kill().and_then(|()| self.child.wait()).expect("it ends");
    }
}

impl Drop for TargetProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_target_that_is_killed_under_load_fails_no_idempotent_request() {
    let mut targets = [TargetProcess::start(), TargetProcess::start(), TargetProcess::start()];
    let addresses = targets.each_ref().map(|target| target.address);
    let gateway = TestGateway::start(fixture(&addresses, "retry: { attempts: 2, budget: { percent: 100 } }, ", ""));
    let (done, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let failed: Vec<u16> = std::thread::scope(|scope| {
        let work = |is_egress: bool, method: &'static str, body: &'static str| {
            let (address, text) = call(&gateway, is_egress, method, "7", body);
            let (done, stop) = (&done, &stop);
            move || {
                let (mut client, mut failed) = (Client::to(address), Vec::new());
                while !stop.load(Ordering::SeqCst) {
                    let status = client.send(&text).answer().status;
                    failed.extend(Some(status).filter(|status| *status != 200));
                    done.fetch_add(1, Ordering::SeqCst);
                }
                failed
            }
        };
        let clients = [(false, "GET", ""), (true, "GET", ""), (true, "PUT", "{\"a\":1}"), (false, "DELETE", "")];
        let running: Vec<_> = clients.map(|(way, method, body)| scope.spawn(work(way, method, body))).into();
        let served = |more: usize| {
            let before = done.load(Ordering::SeqCst);
            until("requests are served", || done.load(Ordering::SeqCst) >= before + more);
        };
        served(100);
        targets[0].kill();
        served(200);
        targets[2].kill();
        served(200);
        stop.store(true, Ordering::SeqCst);
        running.into_iter().flat_map(|client| client.join().expect("no panic")).collect()
    });
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
fn a_target_that_is_left_out_is_not_tried_again_and_again() {
    let bad = saying(500);
    let keys = "outlier_detection: { consecutive_failures: 1, base_ejection_time: 30m, max_ejection_time: 1h }, ";
    let gateway = TestGateway::start(fixture(&[bad.address, nobody()], keys, ""));
    assert_eq!(get(&gateway).status, 500);
    // The first target is ejected by its answer, and nobody listens on the one that is left.
    for _ in 0..3 {
        let answer = get(&gateway);
        assert_eq!((answer.status, answer.reason().as_str()), (502, "upstream_refused"));
    }
    assert_eq!(bad.seen().len(), 1);
}

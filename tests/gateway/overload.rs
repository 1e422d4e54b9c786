//! Crowds that hold connections open cannot block the kill switch, the probes or a vendor, and fill no file.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use vendorgate::internals::model::Clock;

use crate::support::client::{self, Client, request};
use crate::support::fixture::GatewayFixture;
use crate::support::issuer::reader;
use crate::support::process::Process;
use crate::support::test_gateway::TestGateway;
use crate::support::upstream::Upstream;
use crate::support::{signal, until};

const TERMS: &str = "ingress:
  - { route: GET /v1/orders, scopes: [orders:read], upstream: crm }
";
const KILL: &str = r#"{"reason":"siege"}"#;

/// The program under a limit of file descriptors, soft and hard.
fn start_with_descriptors(fixture: &GatewayFixture, limit: u32) -> Process {
    let mut command = Command::new("sh");
    let limited = format!("ulimit -n {limit} && exec \"$0\" \"$@\"");
    command.args(["-c", &limited, env!("CARGO_BIN_EXE_vendorgate")]);
    Process::start_by(command, fixture)
}

/// Idle connections. Those that fail to open are left out: the backlog may be full of them.
fn idle(address: SocketAddr, count: usize) -> Vec<TcpStream> {
    (0..count).filter_map(|_| TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()).collect()
}

fn by_socket(fixture: &GatewayFixture, method: &str, path: &str, body: &str) -> client::Answer {
    let stream = UnixStream::connect(fixture.path().join("state/admin.sock")).expect("it accepts");
    Client::over(stream).send(request(method, path, "", body).replace("api.example.com", "localhost")).answer()
}

/// Everything that must still work: probes, kills in three ways, and the vendor's own traffic after a restore.
fn all_works(process: &Process, fixture: &GatewayFixture) {
    assert_eq!(process.admin(fixture, "viewer", "GET", "/livez", "").status, 200);
    assert_eq!(process.admin(fixture, "viewer", "GET", "/readyz", "").status, 200);
    assert_eq!(process.admin(fixture, "operator", "POST", "/v1/vendors/acme/kill", KILL).status, 200);
    assert_eq!(process.admin(fixture, "admin", "POST", "/v1/vendors/acme/restore", KILL).status, 200);
    let (code, said) = process.cli(fixture, "operator", &["kill", "acme", "--reason", "siege"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(by_socket(fixture, "POST", "/v1/vendors/acme/restore", KILL).status, 200);
    assert_eq!(by_socket(fixture, "POST", "/v1/vendors/acme/kill", KILL).status, 200);
    assert_eq!(by_socket(fixture, "POST", "/v1/vendors/acme/restore", KILL).status, 200);
    assert_eq!(client::get(process.ingress, "/v1/orders", &reader()).status, 200);
}

#[test]
fn idle_strangers_cannot_use_up_the_file_descriptors() {
    let crm = Upstream::json("{}");
    let fixture = GatewayFixture::of_acme(crm.address, TERMS);
    let process = start_with_descriptors(&fixture, 256);
    let mut known = Client::to(process.ingress);
    assert_eq!(known.get("/v1/orders", &reader()).status, 200);
    let crowd = idle(process.ingress, 400);
    assert!(crowd.len() > 256, "more than there are descriptors: {}", crowd.len());
    all_works(&process, &fixture);
    assert_eq!(known.get("/v1/orders", &reader()).status, 200, "who has proven something is not shed for a stranger");
    let metrics = process.admin(&fixture, "viewer", "GET", "/metrics", "").text();
    let shed = r#"vendorgate_connections_shed_total{listeners="data",why="full"} "#;
    let shed = metrics.lines().find_map(|line| line.strip_prefix(shed)?.parse::<f64>().ok());
    assert!(shed.is_some_and(|shed| shed > 0.0), "{metrics}");
    drop(crowd);
}

#[test]
fn operators_still_get_in_without_a_free_file_descriptor() {
    let crm = Upstream::json("{}");
    let fixture = GatewayFixture::of_acme(crm.address, TERMS);
    let process = start_with_descriptors(&fixture, 128);
    let crowd = idle(process.ingress, 200);
    let at_the_office = idle(process.admin, 60);
    // The admin socket has enough slots to use up the remaining descriptors.
    let socket = fixture.path().join("state/admin.sock");
    let beside: Vec<UnixStream> = (0..120).filter_map(|_| UnixStream::connect(&socket).ok()).collect();
    all_works(&process, &fixture);
    drop((crowd, at_the_office, beside));
}

#[test]
fn a_crowd_at_the_admin_listener_cannot_lock_operators_out() {
    let crm = Upstream::json("{}");
    let gateway = TestGateway::of_acme(crm.address, TERMS);
    let admin = gateway.addresses.admin.expect("an admin listener");
    let ask =
        request("GET", "/v1/vendors", gateway.fixture.operator("viewer"), "").replace("api.example.com", "localhost");
    let mut operator = Client::to(admin);
    assert_eq!(operator.send(&ask).answer().status, 200);
    let crowd = idle(admin, 300);
    assert_eq!(gateway.admin("viewer", "GET", "/livez", "").status, 200);
    assert_eq!(gateway.admin("operator", "POST", "/v1/vendors/acme/kill", KILL).status, 200);
    assert_eq!(operator.send(&ask).answer().status, 200, "an operator's connection makes room for no stranger's");
    assert!(gateway.metric("vendorgate_connections_shed_total", &["admin", "sender"]).is_some_and(|shed| shed > 0));
    drop(crowd);
}

/// The program with its output in pipes of one page, which are no longer read once it serves.
fn start_stalled(fixture: &GatewayFixture) -> (Child, SocketAddr, SocketAddr, impl Sized) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_vendorgate"))
        .args(["run", "--config"])
        .arg(fixture.main())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let (stdout, stderr) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
    for pipe in [stdout.as_fd(), stderr.as_fd()] {
        rustix::pipe::fcntl_setpipe_size(pipe, 4096).expect("a small pipe");
    }
    let mut events = BufReader::new(stderr);
    let (mut ingress, mut admin) = (None, None);
    loop {
        let mut line = String::new();
        assert!(events.read_line(&mut line).expect("text") > 0, "it does not serve");
        let event: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        let address = || event["address"].as_str()?.parse().ok();
        match event["listener"].as_str() {
            Some("ingress") => ingress = address(),
            Some("admin") => admin = address(),
            _ if line.contains("\"serving\"") => break,
            _ => {}
        }
    }
    (child, ingress.expect("an address"), admin.expect("an address"), (stdout, events))
}

#[test]
fn a_stalled_reader_of_the_logs_blocks_nothing() {
    let crm = Upstream::json("{}");
    let fixture = GatewayFixture::of_acme(crm.address, TERMS);
    let (mut child, ingress, admin, pipes) = start_stalled(&fixture);
    for round in 0..60 {
        assert_eq!(client::get(ingress, "/v1/orders", &reader()).status, 200, "{round}");
        let call = |role, path: &str| client::admin(admin, fixture.operator(role), "POST", path, KILL).status;
        assert_eq!(call("operator", "/v1/vendors/acme/kill"), 200, "{round}");
        assert_eq!(call("admin", "/v1/vendors/acme/restore"), 200, "{round}");
        assert_eq!(client::admin(admin, fixture.operator("viewer"), "GET", "/livez", "").status, 200, "{round}");
    }
    signal("TERM", child.id());
    until("it ends all the same", || child.try_wait().expect("a child").is_some());
    drop(pipes);
}

/// Whether the other end has closed.
fn is_closed(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_millis(5))).expect("set");
    match stream.read(&mut [0; 512]) {
        Ok(read) => read == 0,
        Err(error) => !matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut),
    }
}

#[test]
fn a_head_has_a_deadline_and_an_authenticated_peer_may_stay_idle() {
    let crm = Upstream::json("{}");
    let listeners = "  ingress: { bind: \"127.0.0.1:0\", head_timeout: 300ms, idle_timeout: 1h }
  admin: { bind: \"127.0.0.1:0\", operators: operators.yaml }
";
    let gateway = TestGateway::start(GatewayFixture::of_acme(crm.address, TERMS).listeners(listeners));
    let mut known = Client::to(gateway.ingress());
    assert_eq!(known.get("/v1/orders", &reader()).status, 200);
    let connect = || TcpStream::connect(gateway.ingress()).expect("it accepts");
    let mut silent = connect();
    until("who says nothing is closed", || is_closed(&mut silent));
    let mut dripping = connect();
    dripping.write_all(b"GET /v1/orders HTTP/1.1\r\n").expect("sent");
    until("who drips is closed", || {
        // A write fails once the connection is closed.
        let _ = dripping.write_all(b"a");
        is_closed(&mut dripping)
    });
    let mut refused = connect();
    refused.write_all(b"GET /v1/orders HTTP/1.1\r\nHost: a\r\n\r\n").expect("sent");
    until("who was refused and says no more is closed", || is_closed(&mut refused));
    let mut speaks_h2 = connect();
    speaks_h2.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").expect("sent");
    until("an HTTP/2 peer without a request is closed", || is_closed(&mut speaks_h2));
    assert_eq!(known.get("/v1/orders", &reader()).status, 200, "a known peer may rest for longer than a head may take");
    known.send("GET /v1/orders HTTP/1.1\r\n");
    assert_eq!(known.answer().status, 0, "and has no more time for a head than others");
    assert!(gateway.metric("vendorgate_connections_shed_total", &["data", "late_head"]).is_some_and(|late| late >= 4));
}

#[test]
fn refusals_at_the_admin_listener_are_listed_up_to_five_a_second_and_counted_exactly() {
    let crm = Upstream::json("{}");
    let mut gateway = TestGateway::of_acme(crm.address, TERMS);
    let admin = gateway.addresses.admin.expect("an admin listener");
    let clock = Clock::system();
    let start = clock.now().monotonic_ns;
    for _ in 0..200 {
        assert_eq!(client::admin(admin, "no-such-token", "GET", "/v1/vendors", "").status, 401);
    }
    let secs = (clock.now().monotonic_ns - start) / 1_000_000_000;
    gateway.begin_drain();
    until("the trail is written", || gateway.is_drained());
    let trail = std::fs::read_to_string(gateway.fixture.path().join("state/audit/audit.jsonl")).expect("a trail");
    let lines = trail.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
    let (mut listed, mut counted) = (0, 0);
    for line in lines.filter(|line| line["reason"] == "token_invalid") {
        match line["act"].as_str() {
            Some("admin_refused") => listed += 1,
            Some("admin_refusals") => counted += line["detail"]["count"].as_u64().expect("a number"),
            act => panic!("{act:?}"),
        }
    }
    assert_eq!(listed + counted, 200);
    assert!(listed <= 5 * (secs + 2), "{listed} in {secs} seconds");
}

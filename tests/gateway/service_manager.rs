//! The gateway under systemd, played by this test: what it is told, and sockets that it opened before the start.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::PATIENCE;
use crate::support::client::{self, Client, request};
use crate::support::fixture::GatewayFixture;
use crate::support::issuer::reader;
use crate::support::process::Process;
use crate::support::upstream::Upstream;

const TERMS: &str = "limits: { requests: { rate: 100000/s } }
ingress:
  - { route: GET /v1/orders, scopes: [orders:read], upstream: crm }
";

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_vendorgate"))
}

/// The program with a socket as its descriptor 3, as systemd starts it.
fn with_socket(socket: impl Into<OwnedFd>) -> Command {
    let mut command = Command::new("sh");
    let start = "exec 3<&0 0</dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\" \"$@\"";
    command.stdin(Stdio::from(socket.into())).args(["-c", start, env!("CARGO_BIN_EXE_vendorgate")]);
    command
}

/// The listeners, with the ingress on an address.
fn listening_on(fixture: GatewayFixture, ingress: &str) -> GatewayFixture {
    fixture.listeners(&format!(
        "  ingress: {{ bind: \"{ingress}\" }}\n  egress: {{ bind: \"127.0.0.1:0\", anonymous: true }}\n  admin: {{ bind: \"127.0.0.1:0\", operators: operators.yaml }}\n"
    ))
}

/// The next message that holds a word; others, such as those of the watchdog, are passed over.
fn told(manager: &UnixDatagram, word: &str) -> String {
    let mut bytes = [0; 1024];
    loop {
        let length = manager.recv(&mut bytes).unwrap_or_else(|error| panic!("nobody said {word}: {error}"));
        let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
        if text.lines().any(|line| line.starts_with(word)) {
            return text;
        }
    }
}

#[test]
fn the_service_manager_is_told_of_start_reload_life_and_end() {
    let crm = Upstream::json("{}");
    let fixture = GatewayFixture::of_acme(crm.address, TERMS);
    let path = fixture.path().join("notify");
    let manager = UnixDatagram::bind(&path).expect("a socket");
    manager.set_read_timeout(Some(PATIENCE)).expect("a deadline");
    let mut command = program();
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "200000");
    let mut process = Process::start_by(command, &fixture);
    assert!(told(&manager, "READY=1").contains("STATUS=serving"));
    for _ in 0..3 {
        told(&manager, "WATCHDOG=1");
    }
    process.signal("HUP");
    let reloading = told(&manager, "RELOADING=1");
    assert!(reloading.lines().any(|line| line.starts_with("MONOTONIC_USEC=")), "{reloading}");
    let reloaded = told(&manager, "READY=1");
    assert!(reloaded.contains("STATUS=serving\n"), "{reloaded}");
    fixture.write_contract("acme", "nonsense: true\n");
    process.signal("HUP");
    told(&manager, "RELOADING=1");
    let refused = told(&manager, "READY=1");
    assert!(refused.contains("the new config has faults"), "{refused}");
    assert_eq!(client::get(process.ingress, "/v1/orders", &reader()).status, 200, "the config before is in force");
    process.signal("TERM");
    told(&manager, "STOPPING=1");
    assert!(process.ended().success());
}

#[test]
fn connections_wait_in_a_passed_socket_while_the_gateway_restarts() {
    let crm = Upstream::json(r#"{"orders":[]}"#);
    let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = socket.local_addr().expect("an address");
    let fixture = listening_on(GatewayFixture::of_acme(crm.address, TERMS), &address.to_string());
    let start = || Process::start_by(with_socket(socket.try_clone().expect("a descriptor")), &fixture);
    let mut first = start();
    assert_eq!(first.ingress, address);
    assert_eq!(client::get(address, "/v1/orders", &reader()).status, 200);
    first.signal("TERM");
    assert!(first.ended().success());
    // Nobody accepts now, and the connection is open all the same.
    let mut waiting = Client::over(TcpStream::connect_timeout(&address, Duration::from_secs(5)).expect("it is open"));
    waiting.send(request("GET", "/v1/orders", &reader(), ""));
    let _second = start();
    assert_eq!(waiting.answer().status, 200, "what waited is answered after the restart");
}

#[test]
fn a_passed_unix_socket_is_the_egress_listeners_and_its_file_stays() {
    let crm = Upstream::json("{}");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("egress.sock");
    let socket = UnixListener::bind(&path).expect("a socket");
    let fixture = GatewayFixture::of_acme(crm.address, TERMS).listeners(&format!(
        "  ingress: {{ bind: \"127.0.0.1:0\" }}\n  egress: {{ bind: \"unix:{}\", anonymous: true }}\n  admin: {{ bind: \"127.0.0.1:0\", operators: operators.yaml }}\n",
        path.display()
    ));
    let mut process = Process::start_by(with_socket(socket), &fixture);
    let mut stream = std::os::unix::net::UnixStream::connect(&path).expect("it is open");
    stream.write_all(b"GET /nobody/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("sent");
    let mut text = String::new();
    std::io::Read::read_to_string(&mut stream, &mut text).expect("an answer");
    assert!(text.starts_with("HTTP/1.1 403"), "{text}");
    process.signal("TERM");
    assert!(process.ended().success());
    assert!(path.exists(), "the file is the service manager's");
}

#[test]
fn a_passed_socket_that_no_listener_names_keeps_the_gateway_from_starting() {
    let crm: SocketAddr = "127.0.0.1:1".parse().expect("an address");
    let fixture = GatewayFixture::of_acme(crm, TERMS);
    let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = socket.local_addr().expect("an address").to_string();
    let output = with_socket(socket).args(["run", "--config"]).arg(fixture.main()).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains(&address) && said.contains("socket unit"), "{said}");
}

#[test]
fn pages_and_completions_are_made_of_the_verbs_and_the_version_is_told_in_full() {
    let folder = tempfile::tempdir().expect("a folder");
    let pages = folder.path().join("man");
    assert!(program().args(["manual", "--out"]).arg(&pages).status().expect("it runs").success());
    for (page, words) in
        [("vendorgate.1", "completions"), ("vendorgate-kill.1", "\\-\\-reason"), ("vendorgate-audit-verify.1", "trail")]
    {
        let text = std::fs::read_to_string(pages.join(page)).unwrap_or_else(|error| panic!("{page}: {error}"));
        assert!(text.contains(words), "{page}: {text}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let output = program().args(["completions", shell]).output().expect("it runs");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("restore") && text.contains("offline"), "{shell}: {text}");
    }
    let output = program().arg("--version").output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let parts = [env!("CARGO_PKG_VERSION"), "commit: ", "mimalloc"];
    assert!(parts.iter().all(|part| text.contains(part)), "{text}");
}

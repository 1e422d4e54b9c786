//! How long a kill takes while strangers besiege the gateway, through real sockets and the real program.
//!
//! `cargo bench --bench siege`. For each siege it kills and restores a vendor by HTTP and by the Unix socket, asks both
//! probes, and prints the best and the middle of the rounds, from the call's sending to its answer. It fails where one
//! is not answered. The besiegers share this machine's cores: what is measured is more than the gateway's own time.

#[path = "../../tests/gateway/support/mod.rs"]
#[expect(dead_code, reason = "the tests' own; a benchmark needs less of it")]
mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustls::version::TLS13;
use vendorgate::internals::model::Clock;

use self::support::certificates::{Certificates, tls};
use self::support::client::request;
use self::support::fixture::GatewayFixture;
use self::support::process::Process;
use self::support::upstream::Upstream;

const ROUNDS: usize = 9;
const KILL: &str = r#"{"reason":"benchmark"}"#;
const TERMS: &str = "ingress:\n  - { route: GET /v1/orders, scopes: [orders:read], upstream: crm }\n";

fn main() {
    let crowd = if std::env::args().any(|argument| argument == "--bench") { 10_000 } else { 1_000 };
    raise_descriptors();
    println!("best and middle of {ROUNDS} rounds, in ms");
    println!("{:>28}  {:>15}  {:>15}  {:>15}", "siege", "kill by HTTP", "kill by socket", "GET /readyz");
    let crm = Upstream::json("{}");
    let plain = GatewayFixture::of_acme(crm.address, TERMS).listeners(&listeners(""));
    let process = Process::start(&plain);
    measure("none", &process, &plain);
    let idle = connect(process.ingress, crowd);
    measure(&format!("{} idle connections", idle.len()), &process, &plain);
    drop((idle, process));

    let limited = GatewayFixture::of_acme(crm.address, TERMS).listeners(&listeners(""));
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 256 && exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_vendorgate")]);
    let process = Process::start_by(command, &limited);
    let idle = [connect(process.ingress, 400), connect(process.admin, 100)];
    let socket = limited.path().join("state/admin.sock");
    let beside: Vec<UnixStream> = (0..120).filter_map(|_| UnixStream::connect(&socket).ok()).collect();
    measure("no descriptor left of 256", &process, &limited);
    drop((idle, beside, process));

    let fixture = GatewayFixture::of_acme(crm.address, TERMS);
    let certificates = Certificates::write(fixture.path());
    let fixture = fixture.listeners(&listeners(", tls: { cert: gateway.pem, key: gateway.key }"));
    let process = Process::start(&fixture);
    let stop = Arc::new(AtomicBool::new(false));
    let flood: Vec<_> = (0..16).map(|_| shake_hands(process.ingress, &certificates, &stop)).collect();
    measure("a flood of handshakes", &process, &fixture);
    stop.store(true, Ordering::Relaxed);
    let shaken: usize = flood.into_iter().map(|thread| thread.join().expect("no panic")).sum();
    println!("{shaken} handshakes meanwhile");
}

/// All of a crowd come from one address here.
fn listeners(tls: &str) -> String {
    format!(
        "  ingress: {{ bind: \"127.0.0.1:0\", head_timeout: 5m, unproven_per_address: 1000000{tls} }}\n  \
         admin: {{ bind: \"127.0.0.1:0\", operators: operators.yaml }}\n"
    )
}

fn measure(siege: &str, process: &Process, fixture: &GatewayFixture) {
    let call = |method: &str, path: &str, role: &str, body: &str| {
        request(method, path, fixture.operator(role), body)
            .replace("api.example.com", "localhost")
            .replace("Host:", "Connection: close\r\nHost:")
    };
    let (kill, restore) = ("/v1/vendors/acme/kill", "/v1/vendors/acme/restore");
    let by_http = || TcpStream::connect(process.admin).expect("it accepts");
    let by_socket = || UnixStream::connect(fixture.path().join("state/admin.sock")).expect("it accepts");
    let mut times = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        times[0].push(asked(by_http(), &call("POST", kill, "operator", KILL)));
        asked(by_http(), &call("POST", restore, "admin", KILL));
        times[1].push(asked(by_socket(), &call("POST", kill, "operator", KILL)));
        asked(by_socket(), &call("POST", restore, "admin", KILL));
        times[2].push(asked(by_http(), &call("GET", "/readyz", "viewer", "")));
        asked(by_http(), &call("GET", "/livez", "viewer", ""));
    }
    let columns = times.map(|mut times| {
        times.sort_unstable();
        format!("{:>15}", format!("{:.1} {:.1}", times[0] as f64 / 1e6, times[ROUNDS / 2] as f64 / 1e6))
    });
    println!("{siege:>28}  {}", columns.join("  "));
}

/// Nanoseconds to the whole answer, which must be a success.
fn asked(mut stream: impl Read + Write, call: &str) -> u64 {
    let clock = Clock::system();
    let before = clock.now().monotonic_ns;
    stream.write_all(call.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let took = clock.now().monotonic_ns - before;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    took
}

/// Connections that send nothing; those that cannot be opened are left out.
fn connect(address: SocketAddr, count: usize) -> Vec<TcpStream> {
    (0..count).filter_map(|_| TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()).collect()
}

/// One handshake after the other, and how many they were.
fn shake_hands(
    address: SocketAddr,
    certificates: &Certificates,
    stop: &Arc<AtomicBool>,
) -> std::thread::JoinHandle<usize> {
    let (config, stop) = (certificates.client(&[&TLS13], &["http/1.1"], false), Arc::clone(stop));
    std::thread::spawn(move || {
        let mut shaken = 0;
        while !stop.load(Ordering::Relaxed) {
            shaken += usize::from(tls(address, &config).is_ok());
        }
        shaken
    })
}

/// Raises the limit of file descriptors as far as the system allows; the gateway inherits it.
fn raise_descriptors() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    assert!(raised.is_ok() && maximum.is_none_or(|maximum| maximum >= 12_000), "12,000 descriptors are needed");
}

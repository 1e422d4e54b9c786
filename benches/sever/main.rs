//! How long a kill takes on live streams, through real sockets and the real program.
//!
//! `cargo bench --bench sever`. Starts `vendorgate run`, holds so many answers open that an upstream writes to (a tenth
//! on HTTP/1.1, the others on HTTP/2), kills the vendor by the admin call, and prints the time from the call's sending
//! to its answer, and to the end of the last stream as the clients see it. It fails where a stream ends otherwise than
//! by a reset, or where a byte of one is sent after the answer.
//!
//! Clients, upstream and gateway share this machine's cores: what is measured is more than the gateway's own time.

mod streams;
#[path = "../../tests/gateway/support/mod.rs"]
#[expect(dead_code, reason = "the tests' own; a benchmark needs less of it")]
mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use vendorgate::internals::model::Clock;

use self::streams::Streams;
use self::support::fixture::GatewayFixture;
use self::support::process::Process;
use self::support::until;

/// Upstreams with connections of their own, since a vendor may have 4,096 connections to one upstream.
const UPSTREAMS: usize = 4;
/// How often the upstream writes to each stream.
const BEAT: Duration = Duration::from_secs(2);
const ROUNDS: usize = 5;
const KILL: &str = r#"{"reason":"benchmark"}"#;

fn main() {
    let sizes: &[usize] =
        if std::env::args().any(|argument| argument == "--bench") { &[100, 1_000, 10_000] } else { &[100] };
    raise_descriptors();
    let open = Arc::new(AtomicUsize::new(0));
    let upstream = beating(Arc::clone(&open));
    let fixture = fixture(upstream);
    let process = Process::start(&fixture);
    println!("best and middle of {ROUNDS} rounds");
    println!(
        "{:>8}  {:>16}  {:>16}  {:>16}  {:>16}",
        "streams", "answered", "last end", "sever_micros", "gateway's CPU"
    );
    for size in sizes {
        let mut rounds: Vec<Measured> = (0..ROUNDS).map(|_| round(&process, &fixture, *size, &open)).collect();
        rounds.sort_by_key(|round| round.last_end_ns);
        let (best, middle) = (&rounds[0], &rounds[ROUNDS / 2]);
        let ms =
            |part: fn(&Measured) -> u64| format!("{:.1} {:.1} ms", part(best) as f64 / 1e6, part(middle) as f64 / 1e6);
        let columns = [
            ms(|round| round.answered_ns),
            ms(|round| round.last_end_ns),
            ms(|round| round.sever_micros * 1000),
            ms(|round| round.cpu_ns),
        ];
        let columns = columns.map(|column| format!("{column:>16}")).join("  ");
        println!("{size:>8}  {columns}");
    }
}

struct Measured {
    answered_ns: u64,
    last_end_ns: u64,
    /// How many streams were severed, by the answer.
    sever_micros: u64,
    /// CPU time of the gateway until the clients saw the last end: for both connections of each stream and the
    /// disk.
    cpu_ns: u64,
}

fn round(process: &Process, fixture: &GatewayFixture, size: usize, open: &AtomicUsize) -> Measured {
    let clock = Clock::system();
    let streams = Streams::open(process.ingress, size, &clock);
    // Every stream is live: it has received a byte since it began.
    let so_far = streams.frames();
    until("data flows on every stream", || streams.frames() >= so_far + size as u64);
    let mut admin = TcpStream::connect(process.admin).expect("it accepts");
    let call = call(process.admin, fixture.operator("operator"));
    let cpu = cpu_ns(process);
    let asked = clock.now().monotonic_ns;
    admin.write_all(call.as_bytes()).expect("sent");
    let mut answer = String::new();
    admin.read_to_string(&mut answer).expect("an answer");
    let answered = clock.now().monotonic_ns;
    streams.nothing_more();
    until("every stream has ended", || streams.ended() == size);
    let cpu_ns = cpu_ns(process) - cpu;
    // Long enough for the next write of every stream that was not severed.
    std::thread::sleep(BEAT);
    let json: serde_json::Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).expect("a body")).expect("JSON");
    assert_eq!((json["severed"].as_u64(), json["persisted"].as_bool()), (Some(size as u64), Some(true)), "{json}");
    match json["lingering"].as_u64() {
        None => assert_eq!(streams.faults(), Vec::<String>::new()),
        // On a machine so busy that the gateway could not end them within a second, the answer says so.
        Some(lingering) => println!("{lingering} had not left by the answer, which says it"),
    }
    until("the other hop has ended too", || open.load(Ordering::SeqCst) == 0);
    assert_eq!(process.admin(fixture, "admin", "POST", "/v1/vendors/acme/restore", KILL).status, 200);
    let since = |ns: u64| ns.saturating_sub(asked);
    Measured {
        answered_ns: since(answered),
        last_end_ns: since(streams.last_end_ns()),
        sever_micros: json["sever_micros"].as_u64().expect("micros"),
        cpu_ns,
    }
}

/// CPU time of the gateway's threads, in nanoseconds.
fn cpu_ns(process: &Process) -> u64 {
    let root = process.within(Path::new("/"));
    let threads = std::fs::read_dir(root.parent().expect("its folder in /proc").join("task")).expect("a process");
    let spent = |path: PathBuf| std::fs::read_to_string(path).ok()?.split(' ').next()?.parse::<u64>().ok();
    threads.flatten().filter_map(|thread| spent(thread.path().join("schedstat"))).sum()
}

fn call(admin: SocketAddr, token: &str) -> String {
    format!(
        "POST /v1/vendors/acme/kill HTTP/1.1\r\nHost: {admin}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{KILL}",
        KILL.len()
    )
}

fn fixture(upstream: SocketAddr) -> GatewayFixture {
    let route = |at: usize| {
        format!(
            "  - {{ route: GET /v1/plain/{at}, scopes: [orders:read], upstream: up{at} }}\n  \
             - {{ route: GET /v1/treated/{at}, scopes: [orders:read], upstream: up{at}, records: \"$[*]\", \
             response: {{ pii: [ {{ field: \"$[*].email\", as: redact }} ] }} }}\n"
        )
    };
    let routes: String = (0..UPSTREAMS).map(route).collect();
    let limits = "limits: { requests: { rate: 1000000/s, burst: 1000000 }, concurrency: 20000, records: { budget: 1000000000, window: 1h } }";
    let fixture = GatewayFixture::of_acme(upstream, &format!("{limits}\ningress:\n{routes}"));
    let more: String = (0..UPSTREAMS).map(|at| format!("  up{at}: {{ url: \"http://{upstream}\" }}\n")).collect();
    let main = std::fs::read_to_string(fixture.main()).expect("a config");
    std::fs::write(fixture.main(), main.replace("upstreams:\n", &format!("upstreams:\n{more}"))).expect("written");
    fixture
}

/// An upstream that begins an answer to each request and never ends it; `open` counts the answers that it writes to.
fn beating(open: Arc<AtomicUsize>) -> SocketAddr {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
            socket.bind(([127, 0, 0, 1], 0).into()).expect("a port");
            let listener = socket.listen(4096).expect("it listens");
            tell.send(listener.local_addr().expect("an address")).expect("somebody waits");
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                tokio::spawn(beat(stream, Arc::clone(&open)));
            }
        });
    });
    told.recv().expect("it starts")
}

async fn beat(mut stream: tokio::net::TcpStream, open: Arc<AtomicUsize>) {
    let mut head = [0; 4096];
    let read = stream.read(&mut head).await.unwrap_or_default();
    if read == 0 {
        return;
    }
    open.fetch_add(1, Ordering::SeqCst);
    let piece = r#"{"id":1,"email":"ann@example.com","text":"some more of it"},"#;
    let chunk = format!("{:x}\r\n{piece}\r\n", piece.len());
    let begin = format!("{}1\r\n[\r\n{chunk}", support::upstream::CHUNKED);
    let mut written = stream.write_all(begin.as_bytes()).await;
    while written.is_ok() {
        tokio::time::sleep(BEAT).await;
        written = stream.write_all(chunk.as_bytes()).await;
    }
    open.fetch_sub(1, Ordering::SeqCst);
}

/// Raises the limit of file descriptors as far as the system allows; the gateway inherits it.
fn raise_descriptors() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let enough = maximum.is_none_or(|maximum| maximum >= 12_000);
    assert!(raised.is_ok() && enough, "12,000 descriptors are needed: {current:?} of {maximum:?}");
}

//! A budget that three gateways share: what all of them deliver together is never more than it, and nearly all of it.
//!
//! `VENDORGATE_FLEET_RECORDS=50000` makes the budgets as large as in production.

use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use vendorgate::internals::model::Clock;

use crate::support::client::Client;
use crate::support::fixture::GatewayFixture;
use crate::support::issuer::vendor;
use crate::support::process::Process;
use crate::support::upstream::{CHUNKED, Upstream};
use crate::support::{signal, until};

const NODES: usize = 3;
/// How long a gateway must go on refusing before a caller takes the budget for spent.
const PATIENCE_MS: u64 = 3_000;

/// The budget of each vendor.
fn budget() -> u64 {
    std::env::var("VENDORGATE_FLEET_RECORDS").ok().and_then(|text| text.parse().ok()).unwrap_or(3_000)
}

/// A server that the gateways share, on loopback and without a password.
struct PlainEngine {
    folder: TempDir,
    port: u16,
    child: Option<Child>,
}

impl PlainEngine {
    fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
        let mut engine = Self { folder: tempfile::tempdir().expect("a folder"), port, child: None };
        engine.run();
        engine
    }

    fn run(&mut self) {
        let mut command = Command::new("redis-server");
        command.args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--appendonly", "yes", "--save", ""]);
        command.args(["--enable-debug-command", "yes", "--dir"]).arg(self.folder.path());
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        self.child = Some(child.expect("redis-server is installed"));
        until("the engine answers", || self.say(&["PING"]).contains("PONG"));
    }

    fn say(&self, command: &[&str]) -> String {
        let said = Command::new("redis-cli").args(["-p", &self.port.to_string()]).args(command).output();
        String::from_utf8_lossy(&said.expect("redis-cli is installed").stdout).into_owned()
    }

    fn process(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Copies what is on its disk, as a backup does, or puts it back.
    fn copy(from: &Path, to: &Path) {
        let _ = std::fs::remove_dir_all(to);
        let copied = Command::new("cp").arg("-r").arg(from).arg(to).status();
        assert!(copied.expect("cp").success());
    }
}

impl Drop for PlainEngine {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A way to the engine that can be cut.
struct Relay {
    address: SocketAddr,
    is_cut: Arc<AtomicBool>,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Relay {
    fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let (is_cut, open) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let relay = Self { address, is_cut: Arc::clone(&is_cut), open: Arc::clone(&open) };
        std::thread::spawn(move || {
            for near in listener.incoming().flatten() {
                if is_cut.load(Ordering::SeqCst) {
                    continue;
                }
                let Ok(far) = TcpStream::connect(("127.0.0.1", port)) else { continue };
                open.lock()
                    .expect("no panic")
                    .extend([near.try_clone(), far.try_clone()].map(|it| it.expect("a copy")));
                for (mut from, mut to) in [(&near, &far), (&far, &near)]
                    .map(|(a, b)| (a.try_clone(), b.try_clone()))
                    .map(|(from, to)| (from.expect("a copy"), to.expect("a copy")))
                {
                    std::thread::spawn(move || {
                        let _ = std::io::copy(&mut from, &mut to);
                        let _ = to.shutdown(Shutdown::Both);
                    });
                }
            }
        });
        relay
    }

    fn cut(&self, is_cut: bool) {
        self.is_cut.store(is_cut, Ordering::SeqCst);
        if is_cut {
            for stream in self.open.lock().expect("no panic").drain(..) {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
    }
}

/// Three gateways, the engine, and the way of the last gateway to it.
struct SharedFleet {
    nodes: Vec<(GatewayFixture, Process)>,
    engine: PlainEngine,
    relay: Relay,
    _crm: Upstream,
}

/// One caller: the gateway, the records that it asks for at once, and its pause between two calls.
type Puller = (usize, u64, u64);

impl SharedFleet {
    fn start(vendors: &[&str], on_loss: &str) -> Self {
        let terms: Vec<_> = vendors.iter().map(|name| (*name, terms())).collect();
        Self::of(&terms, on_loss)
    }

    fn of(vendors: &[(&str, String)], on_loss: &str) -> Self {
        let engine = PlainEngine::start();
        let relay = Relay::to(engine.port);
        let crm = crm();
        let start = |number: usize| {
            let port = if number + 1 == NODES { relay.address.port() } else { engine.port };
            let fleet = format!(
                "fleet: {{ redis: \"redis://127.0.0.1:{port}\", name: test, node: gw-{number}, on_loss: {on_loss} }}\n"
            );
            let mut fixture = GatewayFixture::new(crm.address).with(&fleet);
            for (vendor, terms) in vendors {
                fixture = fixture.contract(vendor, terms);
            }
            let process = Process::start(&fixture);
            (fixture, process)
        };
        let nodes = (0..NODES).map(start).collect();
        let fleet = Self { nodes, engine, relay, _crm: crm };
        // Every gateway has a lease of its own vendor before anything is measured.
        for at in 0..NODES {
            until("the fleet grants leases", || pull_once(fleet.ingress(at), "warm", 1) == Some(1));
        }
        fleet
    }

    fn ingress(&self, at: usize) -> SocketAddr {
        self.nodes[at].1.ingress
    }

    /// Has callers pull until every one is refused for a while; returns what arrived. `disturb` runs beside them once a
    /// fifth of the budget has arrived.
    fn pull(&self, name: &str, callers: &[Puller], disturb: impl FnOnce() + Send) -> u64 {
        let (arrived, clock) = (AtomicU64::new(0), Clock::system());
        let now_ms = || clock.now().monotonic_ns / 1_000_000;
        std::thread::scope(|scope| {
            for (at, records, pause_ms) in callers {
                let (arrived, now_ms, ingress) = (&arrived, &now_ms, self.ingress(*at));
                scope.spawn(move || {
                    let mut last_ms = now_ms();
                    while now_ms() < last_ms + PATIENCE_MS {
                        let came = pull_once(ingress, name, *records).unwrap_or(0);
                        arrived.fetch_add(came, Ordering::SeqCst);
                        if came > 0 {
                            last_ms = now_ms();
                        }
                        std::thread::sleep(Duration::from_millis(if came > 0 { *pause_ms } else { 50 }));
                    }
                });
            }
            until("a fifth has arrived", || arrived.load(Ordering::SeqCst) >= budget() / 5);
            disturb();
        });
        arrived.into_inner()
    }
}

/// One call; the whole records that came, or `None` where it was refused.
fn pull_once(ingress: SocketAddr, name: &str, records: u64) -> Option<u64> {
    let token = vendor(name).scope("orders:read").token();
    let answer = Client::to(ingress).get(&format!("/v1/{records}"), &token);
    assert!(matches!(answer.status, 200 | 429), "{} {}", answer.status, String::from_utf8_lossy(&answer.body));
    let text = String::from_utf8_lossy(&answer.body);
    let whole = text.split(r#"{"id":"#).skip(1).filter(|record| record.contains('}')).count() as u64;
    (answer.status == 200).then_some(whole)
}

fn terms() -> String {
    format!(
        r#"limits: {{ requests: {{ rate: 100000/s }}, records: {{ budget: {}, window: 1h, over: refuse }} }}
ingress:
  - route: GET /v1/{{count}}
    scopes: [orders:read]
    upstream: crm
    records: "$.orders[*]"
    response:
      pii: [ {{ field: "$.orders[*].email", as: redact }} ]
"#,
        budget()
    )
}

/// Answers with as many records as the path says, some in each chunk.
fn crm() -> Upstream {
    Upstream::start(|request, asker| {
        let count: u64 = request.line().split(['/', ' ']).nth(3).and_then(|text| text.parse().ok()).expect("a count");
        let records: Vec<String> =
            (0..count).map(|id| format!(r#"{{"id":{id},"email":"ann{id}@example.com","text":"x"}}"#)).collect();
        let mut lead = r#"{"orders":["#;
        if asker.write(CHUNKED).is_err() {
            return false;
        }
        for group in records.chunks(37) {
            if asker.chunk(format!("{lead}{}", group.join(","))).is_err() {
                return false;
            }
            lead = ",";
        }
        asker.chunk("]}").and_then(|()| asker.chunk("")).is_ok()
    })
}

#[track_caller]
fn assert_shared(what: &str, arrived: u64) {
    let budget = budget();
    println!("{what}: {arrived} of {budget}");
    assert!(arrived <= budget, "{what}: {arrived} of {budget} arrived");
    assert!(arrived * 100 >= budget * 95, "{what}: only {arrived} of {budget} arrived");
}

#[test]
#[ignore = "needs redis-server"]
fn three_gateways_deliver_one_budget_however_the_pull_is_spread() {
    let mixes: [(&str, &[Puller]); 8] = [
        ("one", &[(0, 500, 0)]),
        ("even", &[(0, 100, 0), (1, 100, 0), (2, 100, 0)]),
        ("singles", &[(0, 1, 0), (1, 1, 0), (2, 1, 0), (0, 1, 0), (1, 1, 0), (2, 1, 0)]),
        ("two", &[(0, 300, 0), (1, 7, 0)]),
        ("large", &[(0, 2_000, 0), (1, 2_000, 0), (2, 2_000, 0)]),
        ("skewed", &[(0, 400, 0), (1, 40, 20), (2, 4, 20)]),
        ("pauses", &[(0, 90, 150), (1, 90, 200), (2, 90, 250)]),
        ("crowd", &[(0, 31, 0), (0, 32, 0), (1, 33, 0), (1, 34, 0), (2, 35, 0), (2, 36, 0)]),
    ];
    let vendors: Vec<&str> = mixes.iter().map(|(name, _)| *name).chain(["warm"]).collect();
    let fleet = SharedFleet::start(&vendors, "share");
    for (name, callers) in mixes {
        assert_shared(name, fleet.pull(name, callers, || ()));
    }
}

#[test]
#[ignore = "needs redis-server"]
fn no_fault_of_the_engine_makes_the_budget_larger() {
    let faults = ["restarted", "paused", "asleep", "wiped", "dumped", "parted", "warm"];
    let mut fleet = SharedFleet::start(&faults, "deny");
    let callers: &[Puller] = &[(0, 100, 10), (1, 60, 10), (2, 80, 10)];
    let process = fleet.engine.process();
    let pause = || {
        signal("STOP", process);
        std::thread::sleep(Duration::from_millis(1_500));
        signal("CONT", process);
    };
    assert_shared("paused", fleet.pull("paused", callers, pause));
    assert_shared("asleep", fleet.pull("asleep", callers, || _ = fleet.engine.say(&["DEBUG", "SLEEP", "1"])));
    assert_shared("wiped", fleet.pull("wiped", callers, || _ = fleet.engine.say(&["FLUSHALL"])));
    let part = || {
        fleet.relay.cut(true);
        std::thread::sleep(Duration::from_secs(4));
        fleet.relay.cut(false);
    };
    assert_shared("parted", fleet.pull("parted", callers, part));
    let mut engine = std::mem::replace(
        &mut fleet.engine,
        PlainEngine { folder: tempfile::tempdir().expect("a folder"), port: 0, child: None },
    );
    let restart = || {
        engine.kill();
        engine.run();
    };
    assert_shared("restarted", fleet.pull("restarted", callers, restart));
    let backup = tempfile::tempdir().expect("a folder");
    PlainEngine::copy(engine.folder.path(), &backup.path().join("old"));
    let put_back = || {
        engine.kill();
        PlainEngine::copy(&backup.path().join("old"), engine.folder.path());
        engine.run();
    };
    assert_shared("dumped", fleet.pull("dumped", callers, put_back));
}

#[test]
#[ignore = "needs redis-server"]
fn without_its_engine_a_fleet_shares_what_was_left_and_stays_ready() {
    let mut fleet = SharedFleet::start(&["lost", "warm"], "share");
    fleet.engine.kill();
    let arrived = fleet.pull("lost", &[(0, 50, 0), (1, 50, 0), (2, 50, 0)], || ());
    assert_shared("lost", arrived);
    for (fixture, process) in &fleet.nodes {
        assert_eq!(process.admin(fixture, "viewer", "GET", "/readyz", "").status, 200);
    }
}

#[test]
#[ignore = "needs redis-server"]
fn three_gateways_let_one_rate_through_wherever_the_requests_come() {
    let (rate, burst) = (60, 60);
    let slow = format!("requests: {{ rate: {rate}/s, burst: {burst} }}");
    let rated = terms().replacen("requests: { rate: 100000/s }", &slow, 1);
    let fleet = SharedFleet::of(&[("rated", rated), ("warm", terms())], "share");
    let clock = Clock::system();
    let now_ms = || clock.now().monotonic_ns / 1_000_000;
    // All requests on one gateway, then on another, then everywhere.
    for spread in [&[0][..], &[2], &[0, 1, 2]] {
        let (passed, begin) = (AtomicU64::new(0), now_ms());
        std::thread::scope(|scope| {
            for at in spread {
                let (passed, now_ms, ingress) = (&passed, &now_ms, fleet.ingress(*at));
                scope.spawn(move || {
                    while now_ms() < begin + 5_000 {
                        let came = pull_once(ingress, "rated", 1).unwrap_or(0);
                        passed.fetch_add(came, Ordering::SeqCst);
                        std::thread::sleep(Duration::from_millis(if came > 0 { 0 } else { 5 }));
                    }
                });
            }
        });
        let (passed, span_ms) = (passed.into_inner(), now_ms() - begin);
        let most = rate * span_ms / 1_000 + burst + NODES as u64 + 1;
        println!("{spread:?}: {passed} in {span_ms} ms, at most {most}");
        assert!(passed <= most, "{spread:?}: {passed} in {span_ms} ms, at most {most}");
        assert!(passed >= rate * span_ms / 1_000 / 3, "{spread:?}: only {passed} in {span_ms} ms");
    }
}

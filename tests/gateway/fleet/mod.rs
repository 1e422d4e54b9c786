//! Several gateways as processes, and a real engine between them.

mod engine;
mod orders;
mod outages;
mod status;
mod thousand_kills;
mod topologies;

use std::time::Duration;

use serde_json::Value;

use self::engine::EngineFolder;
use crate::support::client::{BodyEnd, Client, request};
use crate::support::fixture::GatewayFixture;
use crate::support::issuer::reader;
use crate::support::process::Process;
use crate::support::until;
use crate::support::upstream::{CHUNKED, Upstream};

const TERMS: &str = r#"limits: { requests: { rate: 100000/s, burst: 100000 }, concurrency: 5000 }
ingress:
  - { route: GET /v1/orders, scopes: [orders:read], upstream: crm }
  - { route: GET /v1/slow, scopes: [orders:read], upstream: crm }
"#;

const WHY: &str = r#"{"reason":"ticket 4711"}"#;

/// A gateway of the fleet.
struct Member {
    fixture: GatewayFixture,
    process: Option<Process>,
}

impl Member {
    /// Starts a gateway that knows the engine at this place.
    fn start(engine: &EngineFolder, place: &str, node: &str, crm: &Upstream) -> Self {
        Self::with(engine, place, node, crm, "")
    }

    /// As [`Self::start`], with a contract that begins with these lines.
    fn with(engine: &EngineFolder, place: &str, node: &str, crm: &Upstream, terms: &str) -> Self {
        let fixture = GatewayFixture::of_acme(crm.address, &format!("{terms}{TERMS}"));
        let fixture = fixture.contract("other", TERMS).with(&engine.fleet(place, node));
        let process = Some(Process::start(&fixture));
        let member = Self { fixture, process };
        member.until_it_has_its_share();
        member
    }

    /// An engine that is new may be one that has forgotten: it grants nothing until the gateways have told it what they
    /// know, so requests are refused in the first moments of a fleet.
    fn until_it_has_its_share(&self) {
        until("requests pass", || {
            (0..40).all(|_| {
                std::thread::sleep(std::time::Duration::from_millis(25));
                self.get() != 429
            })
        });
    }

    fn process(&self) -> &Process {
        self.process.as_ref().expect("it runs")
    }

    /// Ends it by `kill -9`.
    fn crash(&mut self) {
        self.process = None;
    }

    fn restart(&mut self) {
        self.crash();
        self.process = Some(Process::start(&self.fixture));
        self.until_it_has_its_share();
    }

    /// An operator's order; what was answered.
    #[track_caller]
    fn order(&self, role: &str, path: &str, body: &str) -> Value {
        let answer = self.process().admin(&self.fixture, role, "POST", path, body);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    }

    #[track_caller]
    fn kill(&self, vendor: &str) -> Value {
        self.order("operator", &format!("/v1/vendors/{vendor}/kill"), WHY)
    }

    #[track_caller]
    fn restore(&self, vendor: &str) -> Value {
        self.order("admin", &format!("/v1/vendors/{vendor}/restore"), WHY)
    }

    fn status(&self, vendor: &str) -> Value {
        self.process().admin(&self.fixture, "viewer", "GET", &format!("/v1/vendors/{vendor}"), "").json()
    }

    fn is_killed(&self, vendor: &str) -> bool {
        self.status(vendor)["state"] == "killed"
    }

    #[track_caller]
    fn until_killed(&self, vendor: &str) {
        until("it is killed here", || self.is_killed(vendor));
    }

    #[track_caller]
    fn until_live(&self, vendor: &str) {
        until("it is live here", || self.status(vendor)["state"] == "live");
    }

    /// The status and reason of a request of `acme`.
    fn get(&self) -> u16 {
        crate::support::client::get(self.process().ingress, "/v1/orders", &reader()).status
    }

    /// A request in the middle of its answer.
    fn begin(&self) -> Client {
        let mut client = Client::to(self.process().ingress);
        client.send(request("GET", "/v1/slow", &reader(), ""));
        assert_eq!(client.head().status, 200);
        client
    }

    /// What it knows of its fleet.
    fn fleet(&self) -> Value {
        self.process().admin(&self.fixture, "viewer", "GET", "/v1/fleet", "").json()
    }

    /// Waits until it knows this many gateways.
    #[track_caller]
    fn until_knows(&self, gateways: usize) {
        until("the gateways are known", || {
            self.fleet()["gateways"].as_array().is_some_and(|all| all.len() == gateways)
        });
    }

    fn metric(&self, series: &str) -> Option<f64> {
        let text = self.process().admin(&self.fixture, "viewer", "GET", "/metrics", "").text();
        let line = text.lines().find(|line| line.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')))?;
        line.rsplit(' ').next()?.parse().ok()
    }
}

/// Answers orders at once, and begins a slow answer that it never ends.
fn crm() -> Upstream {
    Upstream::start(|request, asker| {
        if !request.line().contains("/v1/slow") {
            return asker.write(crate::support::upstream::ok("application/json", "{}")).is_ok();
        }
        let _ = asker.write(CHUNKED);
        let _ = asker.chunk(r#"{"orders":["#);
        let _ = asker.gone();
        false
    })
}

fn is_severed(client: &mut Client) -> bool {
    loop {
        match client.more() {
            Ok(_) => {}
            Err(ending) => return ending == BodyEnd::Reset,
        }
    }
}

/// A time in which something that must not happen would have happened.
fn a_moment() {
    std::thread::sleep(Duration::from_millis(300));
}

//! A gateway that only remembers what it was asked, for tests of the listener and of the command-line client.

use std::future::ready;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;
use crate::config::{Operator, OperatorRole};
use crate::http::SlotPool;
use crate::model::{Clock, Direction, UnixTime, VendorId};
use crate::telemetry::FailedRequest;
use crate::telemetry::Metrics;

/// The vendor that the fake knows; every other is unknown.
pub(crate) const ACME: &str = "acme";

/// What was asked of it, as words.
#[derive(Debug, Default)]
pub(crate) struct FakeControl {
    pub(crate) acts: Mutex<Vec<String>>,
    pub(crate) refusals: Mutex<Vec<String>>,
    /// Orders that have arrived.
    pub(crate) begun: AtomicUsize,
    /// While someone holds this, orders wait.
    pub(crate) gate: tokio::sync::RwLock<()>,
    /// Whether it says that it is ready.
    pub(crate) unready: Mutex<bool>,
    /// Whether a reload finds faults.
    pub(crate) faulty: Mutex<bool>,
}

impl FakeControl {
    fn act<T: Send + 'static>(&self, actor: &Actor, vendor: &str, what: String, answer: T) -> ControlFuture<'_, T> {
        let (act, known) = (format!("{} {vendor} {what}", actor.name), vendor == ACME || vendor == "*");
        Box::pin(async move {
            self.begun.fetch_add(1, Ordering::SeqCst);
            drop(self.gate.read().await);
            self.acts.lock().unwrap().push(act);
            if known { Ok(answer) } else { Err(ControlError::VendorUnknown) }
        })
    }

    pub(crate) fn last_act(&self) -> String {
        self.acts.lock().unwrap().last().cloned().unwrap_or_default()
    }

    pub(crate) fn last_refusal(&self) -> String {
        self.refusals.lock().unwrap().last().cloned().unwrap_or_default()
    }
}

const FLEET: FleetAnswer = FleetAnswer { acked: 1, of: 1 };

fn words(order: &OperatorOrder) -> String {
    let direction = order.direction.map_or("-", Direction::as_str);
    let (route, client) = (order.route.as_deref().unwrap_or("-"), order.client.as_deref().unwrap_or("-"));
    format!("{direction} {route} {client} {:?}", order.reason)
}

fn killed(vendor: &str) -> KillReport {
    KillReport {
        vendor: vendor.to_owned(),
        state: VendorState::Killed,
        generation: 7,
        severed: 3,
        sever_micros: 412,
        persisted: true,
        fleet: FLEET,
        scope: PartAnswer::default(),
        unseen: Vec::new(),
        lingering: 0,
    }
}

fn restored(vendor: &str) -> RestoreReport {
    RestoreReport {
        vendor: vendor.to_owned(),
        state: VendorState::Live,
        generation: 8,
        lifted: 1,
        scopes: vec![PartAnswer::default()],
        persisted: true,
        approvals: ApprovalsAnswer { given: 1, needed: 1 },
    }
}

fn scheduled(vendor: &str, at: UnixTime) -> ScheduledKill {
    let (by, reason) = ("alice".to_owned(), "contract ends".to_owned());
    ScheduledKill {
        id: 3,
        vendor: vendor.to_owned(),
        scope: PartAnswer::default(),
        unseen: Vec::new(),
        at: Rfc3339Time(at),
        by,
        reason,
    }
}

fn time(secs: u64) -> Rfc3339Time {
    Rfc3339Time(UnixTime::from_secs(secs))
}

pub(crate) fn acme() -> VendorStatus {
    VendorStatus {
        vendor: ACME.into(),
        name: "ACME Ltd".into(),
        owner: Some("growth@example.com".into()),
        security_contact: None,
        state: VendorState::Live,
        kills: Vec::new(),
        approvals: vec![ApprovalAnswer {
            scope: PartAnswer::default(),
            by: "bob".into(),
            reason: "clean".into(),
            at: time(60),
        }],
        scheduled: vec![scheduled(ACME, UnixTime::from_secs(7_200))],
        persisted: true,
        starts: Some(time(0)),
        ends: Some(time(864_000)),
        days_left: Some(10),
        traffic: vec![Traffic {
            direction: Direction::Ingress,
            requests: 1_234,
            denials: 5,
            in_flight: 2,
            records: 50_000,
            bytes: 3_200_000,
        }],
        last_denial: Some(LastDenial { reason: "scope_missing".into(), at: time(60), direction: Direction::Ingress }),
        last_drill: None,
        drill_overdue: None,
        token_age_secs: Some(90),
        key_age_secs: None,
        limits: Vec::new(),
        unmatched_rules: vec![UnmatchedRule {
            direction: Direction::Ingress,
            route: "GET /v1/customers".into(),
            side: "response".into(),
            rule: "$.customers[*].mail".into(),
            treatment: "tokenize".into(),
            requests: 1_234,
        }],
        unexpected_shapes: vec![UnexpectedShape {
            direction: Direction::Ingress,
            route: "GET /v1/customers".into(),
            bodies: 3,
        }],
        issuer: None,
        files: Vec::new(),
    }
}

fn exposed(since: UnixTime) -> ExposureAnswer {
    let text = r#"{"vendor":"acme","since":"SINCE","until":"1970-01-01T00:16:40.000Z","first":null,"last":null,
        "records":1200,"bytes":4096,"subjects":{"about":1100,"at_least":1080,"at_most":1120},"subjects_incomplete":true,
        "routes":[{"direction":"ingress","route":"GET /v1/customers","records":1200,"bytes":4096,
            "subjects":{"about":1100,"at_least":1080,"at_most":1120},"first":"1970-01-01T00:00:00.000Z",
            "last":"1970-01-01T00:00:01.000Z","treated":[
                {"field":"$.customers[*].email","treatment":"tokenize","left_as":"a pseudonym","values":1200},
                {"field":"$.customers[*].ssn","treatment":"redact","left_as":"nothing","values":1200}],
            "clear":["$.customers[*].id"]}]}"#;
    serde_json::from_str(&text.replace("SINCE", &since.to_string())).unwrap()
}

fn audited(seq: u64) -> AuditEntry {
    AuditEntry {
        seq,
        time: UnixTime::from_secs(seq).to_string(),
        actor: "alice".into(),
        act: "kill".into(),
        subject: ACME.into(),
        reason: "leak\u{1b}[2J".into(),
        detail: serde_json::json!({ "severed": 3, "said": "\u{9b}2J\u{202e}\u{2028}" }),
        prev: "00".repeat(32),
        mac: "ab".repeat(32),
    }
}

impl AdminControl for FakeControl {
    fn vendors(&self) -> Vec<VendorStatus> {
        vec![acme()]
    }

    fn vendor(&self, vendor: &VendorId) -> Option<VendorStatus> {
        (vendor.as_str() == ACME).then(acme)
    }

    fn readiness(&self) -> Readiness {
        let check =
            |name: &str, well, needed| ReadinessCheck { name: name.into(), well, needed, detail: "as it is".into() };
        let state = !*self.unready.lock().unwrap();
        Readiness { checks: vec![check("state", state, true), check("fleet", false, false)] }
    }

    fn kill<'a>(
        &'a self,
        actor: &'a Actor,
        vendor: &'a VendorId,
        order: &'a OperatorOrder,
    ) -> ControlFuture<'a, KillReport> {
        self.act(actor, vendor.as_str(), format!("kill {}", words(order)), killed(vendor.as_str()))
    }

    fn kill_all<'a>(&'a self, actor: &'a Actor, order: &'a OperatorOrder) -> ControlFuture<'a, KillAllReport> {
        self.act(actor, "*", format!("kill {}", words(order)), KillAllReport { vendors: vec![killed(ACME)] })
    }

    fn schedule<'a>(
        &'a self,
        actor: &'a Actor,
        vendor: Option<&'a VendorId>,
        order: &'a OperatorOrder,
        at: UnixTime,
    ) -> ControlFuture<'a, ScheduledKill> {
        let vendor = vendor.map_or("*", VendorId::as_str);
        self.act(actor, vendor, format!("kill at {at} {}", words(order)), scheduled(vendor, at))
    }

    fn scheduled(&self) -> Vec<ScheduledKill> {
        vec![scheduled(ACME, UnixTime::from_secs(7_200))]
    }

    fn unschedule<'a>(&'a self, actor: &'a Actor, order: &'a UnscheduleOrder) -> ControlFuture<'a, ScheduledKill> {
        let row = scheduled(ACME, UnixTime::from_secs(7_200));
        self.act(actor, ACME, format!("cancel {} {:?}", order.id, order.reason), row)
    }

    fn preview<'a>(
        &'a self,
        vendor: Option<&'a VendorId>,
        _order: &'a OperatorOrder,
    ) -> ControlFuture<'a, KillPreview> {
        let vendor = vendor.map_or("*", VendorId::as_str).to_owned();
        let (state, scope) = (VendorState::Live, PartAnswer::default());
        Box::pin(ready(Ok(KillPreview {
            vendor,
            state,
            dry_run: true,
            ingress: 2,
            egress: 1,
            unseen: Vec::new(),
            scope,
        })))
    }

    fn restore_all<'a>(&'a self, actor: &'a Actor, order: &'a OperatorOrder) -> ControlFuture<'a, RestoreReport> {
        self.act(actor, "*", format!("restore {}", words(order)), restored("*"))
    }

    fn restore<'a>(
        &'a self,
        actor: &'a Actor,
        vendor: &'a VendorId,
        order: &'a OperatorOrder,
    ) -> ControlFuture<'a, RestoreReport> {
        self.act(actor, vendor.as_str(), format!("restore {}", words(order)), restored(vendor.as_str()))
    }

    fn drill<'a>(
        &'a self,
        actor: &'a Actor,
        vendor: &'a VendorId,
        order: &'a DrillOrder,
    ) -> ControlFuture<'a, DrillReport> {
        let report = DrillReport {
            vendor: vendor.to_string(),
            shadow: order.shadow,
            severed: 3,
            refuse_micros: 9,
            sever_micros: 412,
            persist_micros: 3_900,
            persisted: true,
            state: VendorState::Live,
        };
        self.act(actor, vendor.as_str(), format!("drill {:?}", order.reason), report)
    }

    fn revoke<'a>(
        &'a self,
        actor: &'a Actor,
        vendor: &'a VendorId,
        what: &'a Revocable,
        reason: &'a str,
    ) -> ControlFuture<'a, RevokeReport> {
        let report = RevokeReport {
            vendor: vendor.to_string(),
            revoked: what.into(),
            seen: *what != Revocable::Client("nobody".to_owned()),
            severed: 3,
            sever_micros: 412,
            lingering: 0,
            persisted: true,
            fleet: FLEET,
        };
        self.act(actor, vendor.as_str(), format!("revoke {what:?} {reason:?}"), report)
    }

    fn lift<'a>(
        &'a self,
        actor: &'a Actor,
        vendor: &'a VendorId,
        what: &'a Revocable,
        reason: &'a str,
    ) -> ControlFuture<'a, LiftReport> {
        let report = LiftReport { vendor: vendor.to_string(), lifted: what.into(), persisted: true, fleet: FLEET };
        self.act(actor, vendor.as_str(), format!("lift {what:?} {reason:?}"), report)
    }

    fn revocations(&self) -> RevocationList {
        let revoked = (&Revocable::Client("acme-batch".to_owned())).into();
        let (at, reason) = (UnixTime::from_secs(3_600).into(), "stolen".to_owned());
        RevocationList { revocations: vec![ActiveRevocation { vendor: ACME.into(), revoked, at, until: None, reason }] }
    }

    fn reveal<'a>(&'a self, actor: &'a Actor, order: &'a RevealOrder) -> ControlFuture<'a, RevealReport> {
        let report = RevealReport { vendor: ACME.into(), value: "bob@example.com".into() };
        let vendor = if order.token.starts_with("tok1_") { ACME } else { "none" };
        let answer = self.act(actor, vendor, format!("reveal {:?}", order.reason), report);
        Box::pin(async move { answer.await.map_err(|_| ControlError::NotRevealed) })
    }

    fn reload<'a>(&'a self, actor: &'a Actor) -> ControlFuture<'a, ReloadReport> {
        if *self.faulty.lock().unwrap() {
            let faults = vec!["contracts/acme.yaml:14:9 limits.requests.rate: must be at least 1/s".to_owned()];
            return Box::pin(ready(Err(ControlError::Faults(faults))));
        }
        let none = Vec::new;
        let report = ReloadReport {
            generation: 2,
            added: none(),
            changed: vec![ACME.into()],
            removed: none(),
            still_cut_off: none(),
        };
        self.act(actor, "*", "reload".into(), report)
    }

    fn exposure<'a>(&'a self, vendor: &'a VendorId, since: Option<UnixTime>) -> ControlFuture<'a, ExposureAnswer> {
        if vendor.as_str() != ACME {
            return Box::pin(ready(Err(ControlError::VendorUnknown)));
        }
        let since = since.unwrap_or_default();
        Box::pin(ready(Ok(exposed(since))))
    }

    fn why(&self, request_id: &str) -> Option<FailedRequest> {
        serde_json::from_value(serde_json::json!({
            "request_id": request_id, "time": "2027-01-15T08:00:00.000Z", "direction": "ingress", "peer": "192.0.2.7:4711",
            "method": "GET", "status": 502, "cause": "said \u{9b}2J\u{202e}", "bytes_out": 0, "duration_us": 9,
        }))
        .ok()
    }

    fn audit<'a>(&'a self, from: AuditQuery) -> ControlFuture<'a, AuditPage> {
        let first = from.after.map_or(1, |after| after + 1);
        let entries: Vec<_> = (first..=4).map(audited).take(from.limit).collect();
        let more = entries.last().is_some_and(|last| last.seq < 4);
        Box::pin(ready(Ok(AuditPage { entries, seen: None, unreadable: 0, more })))
    }

    fn refused(&self, refusal: &RefusedCall<'_>) {
        let (operator, call) = (refusal.operator.unwrap_or("-"), refusal.call.unwrap_or("-"));
        self.refusals.lock().unwrap().push(format!("{operator} {call} {}", refusal.reason));
    }
}

/// An admin listener on a port of its own, with an operator per role whose token is `ROLE-token`.
pub(crate) struct FakeListener {
    pub(crate) address: SocketAddr,
    pub(crate) fake: Arc<FakeControl>,
    pub(crate) api: Arc<AdminApi>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl FakeListener {
    pub(crate) async fn start() -> Self {
        let (fake, api) = api();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let task =
            tokio::spawn(serve(listener, Arc::clone(&api), SlotPool::new(128), async move { drop(stopped.await) }));
        Self { address, fake, api, stop, task }
    }

    /// Stops it, and fails if it does not end.
    pub(crate) async fn stop(self) {
        drop(self.stop);
        tokio::time::timeout(Duration::from_secs(5), self.task).await.expect("the listener ends").unwrap();
    }
}

/// Admin calls on a fake.
pub(crate) fn api() -> (Arc<FakeControl>, Arc<AdminApi>) {
    let fake = Arc::new(FakeControl::default());
    let clock = Clock::manual(UnixTime::from_secs(1_000_000));
    let control: Arc<dyn AdminControl> = Arc::clone(&fake) as _;
    let api = AdminApi::new(control, Metrics::new(clock.clone()).unwrap(), clock, AllowedHosts::Listed(Vec::new()));
    let named = |role: OperatorRole| Operator {
        name: role.to_string(),
        role,
        token_sha256: Sha256::digest(format!("{role}-token").as_bytes()).into(),
    };
    api.set_operators(OperatorDirectory::new(OperatorRole::ALL.map(named).into()));
    (fake, Arc::new(api))
}

//! A gateway that only remembers what it was asked, for tests of the listener and of the command-line client.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;
use crate::config::{Operator, OperatorRole};
use crate::exposure::{CategoryReport, ExposureReport};
use crate::http::SlotPool;
use crate::kill::{DrillReport, KillAllReport, KillPreview, KillReport, RestoreReport, ScheduledKill, ScheduledKills};
use crate::model::{Clock, Direction, UnixTime, VendorId};
use crate::telemetry::{FailedRequest, Metrics};

/// The vendor that the fake knows; every other is unknown.
pub(crate) const ACME: &str = "acme";

/// What was asked of it, as words.
#[derive(Debug, Default)]
pub(crate) struct FakeControl {
    pub(crate) acts: Mutex<Vec<String>>,
    pub(crate) refusals: Mutex<Vec<String>>,
    /// Orders that have arrived.
    pub(crate) begun: AtomicUsize,
    /// While a test holds this, orders wait.
    pub(crate) gate: tokio::sync::RwLock<()>,
    /// Whether it says that it is ready.
    pub(crate) unready: Mutex<bool>,
    /// Whether a reload finds faults.
    pub(crate) faulty: Mutex<bool>,
}

impl FakeControl {
    /// Notes an act and answers with this JSON; a vendor other than `acme` or `*` is unknown.
    async fn act<T: DeserializeOwned>(
        &self,
        actor: &Actor,
        vendor: &str,
        what: String,
        answer: Value,
    ) -> ControlResult<T> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        drop(self.gate.read().await);
        self.acts.lock().unwrap().push(format!("{} {vendor} {what}", actor.name));
        if vendor == ACME || vendor == "*" { Ok(typed(answer)) } else { Err(ControlError::VendorUnknown) }
    }

    pub(crate) fn last_act(&self) -> String {
        self.acts.lock().unwrap().last().cloned().unwrap_or_default()
    }

    pub(crate) fn last_refusal(&self) -> String {
        self.refusals.lock().unwrap().last().cloned().unwrap_or_default()
    }
}

fn typed<T: DeserializeOwned>(answer: Value) -> T {
    serde_json::from_value(answer).unwrap()
}

fn words(order: &OperatorOrder) -> String {
    let direction = order.direction.map_or("-", Direction::as_str);
    let (route, client) = (order.route.as_deref().unwrap_or("-"), order.client.as_deref().unwrap_or("-"));
    format!("{direction} {route} {client} {:?}", order.reason)
}

fn killed(vendor: &str) -> Value {
    json!({ "vendor": vendor, "state": "killed", "generation": 7, "severed": 3, "sever_micros": 412, "persisted": true,
        "fleet": { "acked": 1, "of": 1 } })
}

fn restored(vendor: &str) -> Value {
    json!({ "vendor": vendor, "state": "live", "generation": 8, "lifted": 1, "scopes": [{}], "persisted": true,
        "approvals": { "given": 1, "needed": 1 } })
}

fn scheduled(vendor: &str, at: UnixTime) -> Value {
    json!({ "id": 3, "vendor": vendor, "at": at.to_string(), "by": "alice", "reason": "contract ends" })
}

/// When the kill comes that the fake has scheduled.
const TWO_HOURS: UnixTime = UnixTime::from_secs(7_200);

pub(crate) fn acme() -> VendorStatus {
    let time = |secs| UnixTime::from_secs(secs).to_string();
    typed(json!({
        "vendor": ACME, "name": "ACME Ltd", "owner": "growth@example.com", "state": "live", "kills": [],
        "approvals": [{ "by": "bob", "reason": "clean", "at": time(60) }],
        "scheduled": [scheduled(ACME, TWO_HOURS)], "persisted": true,
        "starts": time(0), "ends": time(864_000), "days_left": 10,
        "traffic": [{ "direction": "ingress", "requests": 1_234, "denials": 5, "in_flight": 2, "records": 50_000,
            "bytes": 3_200_000, "would_deny": { "route_unknown": 7 } }], "observes_until": time(90_000),
        "last_denial": { "reason": "scope_missing", "at": time(60), "direction": "ingress" }, "token_age_secs": 90,
        "unmatched_rules": [{ "direction": "ingress", "route": "GET /v1/customers", "side": "response",
            "rule": "$.customers[*].mail", "treatment": "tokenize", "requests": 1_234 }],
        "upstreams": [{ "direction": "egress", "upstream": ACME, "circuit": "open", "circuit_openings": 1, "retries": 12,
            "retries_over_budget": 3, "targets": [{ "target": "10.0.0.1:443", "state": "healthy", "ejections": 0 },
            { "target": "10.0.0.2:443", "state": "ejected", "ejections": 2 }] }],
        "journey": ["signup"], "degraded": ["circuit_open"],
        "unexpected_shapes": [{ "direction": "ingress", "route": "GET /v1/customers", "bodies": 3 }],
    }))
}

fn exposed(since: UnixTime) -> ExposureReport {
    let subjects = json!({ "about": 1100, "at_least": 1080, "at_most": 1120 });
    typed(json!({
        "vendor": ACME, "since": since.to_string(), "until": "1970-01-01T00:16:40.000Z", "first": null, "last": null,
        "records": 1200, "bytes": 4096, "subjects": subjects, "subjects_incomplete": true,
        "routes": [{ "direction": "ingress", "route": "GET /v1/customers", "records": 1200, "bytes": 4096,
            "subjects": subjects, "first": "1970-01-01T00:00:00.000Z", "last": "1970-01-01T00:00:01.000Z", "treated": [
                { "field": "$.customers[*].email", "treatment": "tokenize", "left_as": "a pseudonym", "values": 1200 },
                { "field": "$.customers[*].ssn", "treatment": "redact", "left_as": "nothing", "values": 1200 }],
            "clear": ["$.customers[*].id"] }],
        "callers": [{ "direction": "ingress", "caller": "acme\u{202e}-batch", "records": 1200, "bytes": 4096,
            "first": "1970-01-01T00:00:00.000Z", "last": "1970-01-01T00:00:01.000Z", "routes": [] }],
    }))
}

fn audited(seq: u64) -> Value {
    json!({ "seq": seq, "time": UnixTime::from_secs(seq).to_string(), "actor": "alice", "act": "kill", "subject": ACME,
        "reason": "leak\u{1b}[2J", "detail": { "severed": 3, "said": "\u{9b}2J\u{202e}\u{2028}" },
        "prev": "00".repeat(32), "mac": "ab".repeat(32) })
}

impl AdminControl for FakeControl {}

impl SuggestControl for FakeControl {
    async fn suggestion(&self, vendor: &VendorId, direction: Option<Direction>) -> ControlResult<ContractSuggestion> {
        let contract = format!("vendor: {vendor}\nmode: enforce # {direction:?}\n");
        Ok(ContractSuggestion { vendor: vendor.to_string(), contract })
    }
}

impl StatusControl for FakeControl {
    fn vendors(&self) -> Vec<VendorStatus> {
        vec![acme()]
    }

    fn config_fault(&self) -> Option<String> {
        None
    }

    fn vendor(&self, vendor: &VendorId) -> Option<VendorStatus> {
        (vendor.as_str() == ACME).then(acme)
    }

    fn journey(&self) -> JourneyReport {
        let degraded = json!({ "vendor": ACME, "why": ["killed", "fallback"] });
        let stage = |name: &str, causes: &[&Value]| json!({ "stage": name, "degraded": !causes.is_empty(), "vendors": [ACME], "causes": causes });
        typed(json!({ "stages": [stage("checkout", &[]), stage("signup", &[&degraded])] }))
    }

    fn readiness(&self) -> Readiness {
        let check =
            |name: &str, well, needed| ReadinessCheck { name: name.into(), well, needed, detail: "as it is".into() };
        let state = !*self.unready.lock().unwrap();
        Readiness { checks: vec![check("state", state, true), check("fleet", false, false)] }
    }
}

impl KillControl for FakeControl {
    async fn kill(&self, actor: &Actor, vendor: &VendorId, order: &OperatorOrder) -> ControlResult<KillReport> {
        self.act(actor, vendor.as_str(), format!("kill {}", words(order)), killed(vendor.as_str())).await
    }

    async fn kill_all(&self, actor: &Actor, order: &OperatorOrder) -> ControlResult<KillAllReport> {
        self.act(actor, "*", format!("kill {}", words(order)), json!({ "vendors": [killed(ACME)] })).await
    }

    fn preview(&self, vendor: Option<&VendorId>, _: &OperatorOrder) -> ControlResult<KillPreview> {
        let vendor = vendor.map_or("*", VendorId::as_str);
        Ok(typed(json!({ "vendor": vendor, "state": "live", "dry_run": true, "ingress": 2, "egress": 1 })))
    }

    async fn schedule(
        &self,
        actor: &Actor,
        vendor: Option<&VendorId>,
        order: &OperatorOrder,
        at: UnixTime,
    ) -> ControlResult<ScheduledKill> {
        let vendor = vendor.map_or("*", VendorId::as_str);
        self.act(actor, vendor, format!("kill at {at} {}", words(order)), scheduled(vendor, at)).await
    }

    fn scheduled(&self) -> ScheduledKills {
        typed(json!({ "scheduled": [scheduled(ACME, TWO_HOURS)] }))
    }

    async fn unschedule(&self, actor: &Actor, order: &UnscheduleOrder) -> ControlResult<ScheduledKill> {
        self.act(actor, ACME, format!("cancel {} {:?}", order.id, order.reason), scheduled(ACME, TWO_HOURS)).await
    }

    async fn drill(&self, actor: &Actor, vendor: &VendorId, order: &DrillOrder) -> ControlResult<DrillReport> {
        let report = json!({ "vendor": vendor.as_str(), "shadow": order.shadow, "severed": 3, "refuse_micros": 9,
            "sever_micros": 412, "persist_micros": 3_900, "persisted": true, "state": "live" });
        self.act(actor, vendor.as_str(), format!("drill {:?}", order.reason), report).await
    }
}

impl RestoreControl for FakeControl {
    async fn restore(&self, actor: &Actor, vendor: &VendorId, order: &OperatorOrder) -> ControlResult<RestoreReport> {
        self.act(actor, vendor.as_str(), format!("restore {}", words(order)), restored(vendor.as_str())).await
    }

    async fn restore_all(&self, actor: &Actor, order: &OperatorOrder) -> ControlResult<RestoreReport> {
        self.act(actor, "*", format!("restore {}", words(order)), restored("*")).await
    }
}

impl RevocationControl for FakeControl {
    async fn revoke(
        &self,
        actor: &Actor,
        vendor: &VendorId,
        what: &Revocable,
        reason: &str,
    ) -> ControlResult<RevokeReport> {
        let seen = *what != Revocable::Client("nobody".to_owned());
        let report = json!({ "vendor": vendor.as_str(), "revoked": RevokedItem::from(what), "seen": seen, "severed": 3,
            "sever_micros": 412, "persisted": true, "fleet": { "acked": 1, "of": 1 } });
        self.act(actor, vendor.as_str(), format!("revoke {what:?} {reason:?}"), report).await
    }

    async fn lift(
        &self,
        actor: &Actor,
        vendor: &VendorId,
        what: &Revocable,
        reason: &str,
    ) -> ControlResult<LiftReport> {
        let report = json!({ "vendor": vendor.as_str(), "lifted": RevokedItem::from(what), "persisted": true,
            "fleet": { "acked": 1, "of": 1 } });
        self.act(actor, vendor.as_str(), format!("lift {what:?} {reason:?}"), report).await
    }

    fn revocations(&self) -> RevocationList {
        typed(json!({ "revocations": [{ "vendor": ACME, "revoked": { "client": "acme-batch" },
            "at": "1970-01-01T01:00:00Z", "reason": "stolen" }] }))
    }
}

impl RevealControl for FakeControl {
    async fn reveal(&self, actor: &Actor, order: &RevealOrder) -> ControlResult<RevealReport> {
        let vendor = if order.token.starts_with("tok1_") { ACME } else { "none" };
        let report = json!({ "vendor": ACME, "value": "bob@example.com" });
        let answer = self.act(actor, vendor, format!("reveal {:?}", order.reason), report).await;
        answer.map_err(|_| ControlError::NotRevealed)
    }
}

impl ReloadControl for FakeControl {
    async fn reload(&self, actor: &Actor) -> ControlResult<ReloadReport> {
        if *self.faulty.lock().unwrap() {
            let fault = "contracts/acme.yaml:14:9 limits.requests.rate: must be at least 1/s";
            return Err(ControlError::Faults(vec![fault.to_owned()]));
        }
        let report = json!({ "generation": 2, "added": [], "changed": [ACME], "removed": [] });
        self.act(actor, "*", "reload".into(), report).await
    }
}

impl RecordControl for FakeControl {
    async fn exposure(&self, vendor: &VendorId, since: Option<UnixTime>) -> ControlResult<ExposureReport> {
        if vendor.as_str() == ACME { Ok(exposed(since.unwrap_or_default())) } else { Err(ControlError::VendorUnknown) }
    }

    async fn categories(&self) -> ControlResult<CategoryReport> {
        Ok(typed(json!({ "since": "1970-01-12T00:00:00.000Z", "categories": [
            { "vendor": ACME, "category": "user.contact.email", "treated": 1200, "clear": 3 }] })))
    }

    fn failed_request(&self, request_id: &str) -> Option<FailedRequest> {
        Some(typed(json!({
            "request_id": request_id, "time": "2027-01-15T08:00:00.000Z", "direction": "ingress", "peer": "192.0.2.7:4711",
            "method": "GET", "status": 502, "cause": "said \u{9b}2J\u{202e}", "bytes_out": 0, "duration_us": 9,
        })))
    }

    async fn audit(&self, query: AuditQuery) -> ControlResult<AuditPage> {
        let first = query.after.map_or(1, |after| after + 1);
        let entries: Vec<AuditEntry> = (first..=4).map(audited).map(typed).take(query.limit).collect();
        let more = entries.last().is_some_and(|last| last.seq < 4);
        Ok(AuditPage { entries, seen: None, unreadable: 0, more })
    }

    fn refused(&self, refusal: &RefusedCall<'_>) {
        let (operator, call) = (refusal.operator.unwrap_or("-"), refusal.call.unwrap_or("-"));
        self.refusals.lock().unwrap().push(format!("{operator} {call} {}", refusal.reason));
    }
}

impl VendorDetailControl for FakeControl {
    async fn contract(&self, vendor: &VendorId) -> ControlResult<ContractOutline> {
        if vendor.as_str() != ACME {
            return Err(ControlError::VendorUnknown);
        }
        Ok(ContractOutline { vendor: ACME.to_owned(), approvals: 1, ..ContractOutline::default() })
    }

    async fn denials(&self, vendor: &VendorId) -> ControlResult<DenialList> {
        let request = self.failed_request("0af7651916cd43dd8448eb211c80319c").into_iter();
        let decided = |request| DecidedDenial { request, rule: Some("ends".into()), at: Some("acme.yaml:7".into()) };
        if vendor.as_str() == ACME {
            Ok(DenialList { denials: request.map(decided).collect() })
        } else {
            Err(ControlError::VendorUnknown)
        }
    }

    async fn history(&self, vendor: Option<&VendorId>) -> ControlResult<VendorHistory> {
        let entries = vec![typed(audited(3))];
        let is_known = vendor.is_none_or(|vendor| vendor.as_str() == ACME);
        if is_known { Ok(VendorHistory { entries, more: false }) } else { Err(ControlError::VendorUnknown) }
    }
}

impl LiveControl for FakeControl {
    fn live(&self) -> Vec<(String, LiveSample)> {
        vec![(ACME.to_owned(), LiveSample { requests: 1_234, ..LiveSample::default() })]
    }
}

impl LoginControl for FakeControl {
    async fn logged_in(&self, actor: &Actor) -> ControlResult<()> {
        self.act(actor, "*", "login".into(), Value::Null).await
    }

    async fn logged_out(&self, actor: &Actor) -> ControlResult<()> {
        self.act(actor, "*", "logout".into(), Value::Null).await
    }
}

impl FleetControl for FakeControl {
    fn fleet(&self) -> FleetReport {
        typed(json!({ "name": "eu", "node": "a", "synced": true, "partitioned": true, "state_age_ms": 4200,
            "why": "cannot connect to 10.0.0.7:6379", "gateways": [
            { "node": "a", "state": "live", "unseen_ms": 300, "version": "0.1.0" },
            { "node": "b", "state": "unseen", "unseen_ms": 12000, "version": "0.1.0", "differs": ["acme"],
              "audit_cut": true }] }))
    }
}

impl ShadowControl for FakeControl {
    fn shadow(&self) -> ShadowReport {
        typed(json!({ "asked": 20, "unlisted": 3, "destinations": [{ "destination": "api.other.example:443",
            "caller": "checkout", "count": 17, "passed": 0, "first_seen": UnixTime::from_secs(0).to_string(),
            "last_seen": UnixTime::from_secs(60).to_string() }] }))
    }
}

/// An admin listener on a port of its own, with an operator per role whose token is `ROLE-token`.
pub(crate) struct FakeListener {
    pub(crate) address: SocketAddr,
    pub(crate) fake: Arc<FakeControl>,
    pub(crate) api: Arc<AdminApi<FakeControl>>,
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
pub(crate) fn api() -> (Arc<FakeControl>, Arc<AdminApi<FakeControl>>) {
    let fake = Arc::new(FakeControl::default());
    let clock = Clock::manual(UnixTime::from_secs(1_000_000));
    let api =
        AdminApi::new(Arc::clone(&fake), Metrics::new(clock.clone()).unwrap(), clock, AllowedHosts::Listed(Vec::new()));
    let named = |role: OperatorRole| Operator {
        name: role.to_string(),
        role,
        token_sha256: Sha256::digest(format!("{role}-token").as_bytes()).into(),
    };
    api.set_operators(OperatorDirectory::new(OperatorRole::ALL.map(named).into()));
    (fake, Arc::new(api))
}

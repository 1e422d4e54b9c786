//! Background tasks: kills that are due, state that must reach the disk, and figures for scrapes.
//!
//! Runs on the control plane's thread. Kills that are due have a task of their own, since the other tasks wait for the
//! disk. Never decides about a request.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::budgets::SavedBudgets;
use super::control::{GatewayControl, credentials, drill_overdue, upstreams};
use super::{
    anomalies, audit_trail, config_watch, egress_authority, exposure_store, health_checks, observation_store,
    offline_kills,
};
use crate::admin::StatusControl as _;
use crate::audit::AuditAct;
use crate::bounds::{EXPOSURE_ROLL_INTERVAL, LEDGER_STORE_INTERVAL, PERSIST_DEADLINE};
use crate::gateway::VendorRuntime;
use crate::identity::{IntrospectionOutcome, RefreshOutcome};
use crate::kill::{KillOrigin, KillState};
use crate::meter::ContractState;
use crate::model::UnixTime;
use crate::telemetry::{CacheResult, LimitLabel, LogLabel, Metrics, StoreLabel, log};

/// How often the ends of contracts are looked for.
const LOOK_INTERVAL: Duration = Duration::from_secs(60);
/// Days are folded at most an hour late, and looked for this far back.
const FOLD_LOOK_BACK: Duration = Duration::from_secs(3 * 86_400);

/// Starts the chores; they end with `closing`.
pub(super) fn start(control: &Arc<GatewayControl>, closing: &watch::Receiver<bool>) {
    tokio::spawn(run_due_kills(Arc::clone(control), closing.clone()));
    tokio::spawn(maintain(Arc::clone(control), closing.clone()));
    tokio::spawn(egress_authority::watch(Arc::clone(control), closing.clone()));
    tokio::spawn(Arc::clone(&control.hooks).run());
    tokio::spawn(health_checks::run(Arc::clone(control), closing.clone()));
    tokio::spawn(config_watch::run(Arc::clone(control), closing.clone()));
    tokio::spawn(anomalies::run(Arc::clone(control), closing.clone()));
}

/// Every second: kills that are due, requests whose proof no longer holds, and revocations that are over.
async fn run_due_kills(control: Arc<GatewayControl>, mut closing: watch::Receiver<bool>) {
    let mut tick = every(Duration::from_secs(1));
    let mut handled = offline_kills::HandledFiles::default();
    while wait(&mut tick, &mut closing).await {
        let now = control.now();
        carry_out_offline_kills(&control, &mut handled).await;
        for answer in control.gateway.switch.kill_due(control.clocks.steady(now)).await {
            control.gateway.metrics.severed_within(Duration::from_micros(answer.sever_micros));
        }
        control.end_observations().await;
        control.sever_what_ended();
        if let Some(settled) = control.clocks.settled(now) {
            control.services.authority.revocations().sweep(settled, now);
        }
    }
}

/// Carries out the kills that a shell has left in the state folder since the last round.
async fn carry_out_offline_kills(control: &GatewayControl, handled: &mut offline_kills::HandledFiles) {
    let state = control.state.clone();
    // Only a panic ends it without an answer; the next round reads the folder again.
    let found = tokio::task::spawn_blocking(move || offline_kills::read_all(&state)).await.unwrap_or_default();
    for begun in handled.begin(&control.gateway.switch, found, control.now()) {
        begun.finish().await;
    }
}

async fn maintain(control: Arc<GatewayControl>, mut closing: watch::Receiver<bool>) {
    let mut house = Maintenance::default();
    let mut tick = every(LEDGER_STORE_INTERVAL);
    while wait(&mut tick, &mut closing).await {
        house.run(&control).await;
    }
}

/// What the maintenance task remembers between two rounds.
#[derive(Debug, Default)]
struct Maintenance {
    saved: SavedBudgets,
    rolled_ns: u64,
    looked_ns: Option<u64>,
    tidied: Option<UnixTime>,
    /// Days left of each vendor whose contract is about to end, as they were last reported in the log.
    reported: std::collections::HashMap<String, u32>,
}

impl Maintenance {
    async fn run(&mut self, control: &Arc<GatewayControl>) {
        let now = control.now();
        control.gateway.switch.retry_unconfirmed().await;
        let snapshot = control.gateway.snapshot.load_full();
        if let Some(ack) = self.saved.save(snapshot.vendors().iter(), control.known_fleet(), &control.store, now)
            && ack.await.is_err()
        {
            self.saved.forget();
        }
        if is_due(now.monotonic_ns, self.rolled_ns, EXPOSURE_ROLL_INTERVAL) {
            self.rolled_ns = now.monotonic_ns;
            if let Some(ack) = exposure_store::roll(&control.services.exposure, &control.store, now) {
                // A failed write is shown by the store's own count of errors.
                let _ = ack.await;
            }
        }
        if self.looked_ns.is_none_or(|looked| is_due(now.monotonic_ns, looked, LOOK_INTERVAL)) {
            self.looked_ns = Some(now.monotonic_ns);
            if let Some(ack) = observation_store::save(&control.services.observations, &control.store) {
                // A failed write is shown by the store's own count of errors.
                let _ = ack.await;
            }
            if let Some(ack) = control.anomalies.save(&control.store) {
                let _ = ack.await;
            }
            snapshot.vendors().iter().for_each(|vendor| self.check_contract_end(vendor, now.wall));
        }
        // Deleted or folded data cannot be had back, so no single reading of the wall clock decides on it.
        if let Some(settled) = control.clocks.settled(now)
            && self.tidied.is_none_or(|tidied| exposure_store::hour(settled) > tidied)
        {
            let from = self.tidied.map(|tidied| exposure_store::fold_from(tidied, FOLD_LOOK_BACK)).unwrap_or_default();
            self.tidied = Some(exposure_store::hour(settled));
            let store = control.store.clone();
            tokio::task::spawn_blocking(move || {
                if let Err(error) = exposure_store::tidy(&store, from, settled) {
                    tracing::error!(%error, "old exposure cannot be made small");
                }
            });
        }
    }

    fn check_contract_end(&mut self, vendor: &VendorRuntime, now: UnixTime) {
        if let ContractState::Ending { days_left } = vendor.contract.calendar().state(now)
            && self.reported.insert(vendor.id().to_string(), days_left) != Some(days_left)
        {
            tracing::warn!(vendor = %vendor.id(), days_left, owner = vendor.contract.owner, "the contract is about to end");
        }
    }
}

/// Writes what must not be lost when the process ends in order.
pub(super) async fn write_last(control: &GatewayControl) {
    let now = control.now();
    let snapshot = control.gateway.snapshot.load_full();
    let kept = SavedBudgets::default().save(snapshot.vendors().iter(), control.known_fleet(), &control.store, now);
    let rolled = exposure_store::roll(&control.services.exposure, &control.store, now);
    let seen = observation_store::save(&control.services.observations, &control.store);
    let usual = control.anomalies.save(&control.store);
    drop(control.gateway.audit.record(audit_trail::by_gateway(AuditAct::Stopped, "", now.wall)));
    let all = async {
        for ack in [kept, rolled, seen, usual].into_iter().flatten() {
            if let Err(error) = ack.await {
                tracing::error!(%error, "what was used of limits, or what left, is not on disk");
            }
        }
        if control.gateway.audit.flush().await.is_err() {
            tracing::error!("the end of the audit trail is not on disk");
        }
    };
    if tokio::time::timeout(PERSIST_DEADLINE, all).await.is_err() {
        tracing::error!("the disk did not answer: the last seconds may be lost");
    }
}

/// Registers the figures that are read at each scrape, because they are cheaper to read then than to keep up to date.
pub(super) fn report_to(metrics: &Metrics, control: &Arc<GatewayControl>) {
    let (control, seen) = (Arc::downgrade(control), ScrapeCounters::default());
    metrics.before_scrape(move || seen.read(&control));
}

/// The totals at the last scrape, to add only what came since.
#[derive(Debug, Default)]
struct ScrapeCounters {
    hits: AtomicU64,
    misses: AtomicU64,
    audit_errors: AtomicU64,
    store_errors: AtomicU64,
}

impl ScrapeCounters {
    fn read(&self, control: &Weak<GatewayControl>) {
        let Some(control) = control.upgrade() else { return };
        let metrics = &control.gateway.metrics;
        let since = |last: &AtomicU64, now: u64| now.saturating_sub(last.swap(now, Ordering::Relaxed));
        let cache = control.services.authority.cache_status();
        metrics.token_cache(CacheResult::Hit, since(&self.hits, cache.hits));
        metrics.token_cache(CacheResult::Miss, since(&self.misses, cache.misses));
        metrics.state_errors(StoreLabel::Audit, since(&self.audit_errors, control.gateway.audit.health().errors));
        metrics.state_errors(StoreLabel::Embedded, since(&self.store_errors, control.store.write_errors()));
        metrics.log_dropped(LogLabel::Events, log::events_dropped());
        metrics.log_dropped(LogLabel::Exchanges, control.gateway.exchange_log.dropped());
        read_vendors(&control);
    }
}

fn read_vendors(control: &GatewayControl) {
    let snapshot = control.gateway.snapshot.load();
    let journey = control.journey().stages.into_iter().map(|stage| (stage.stage, stage.degraded));
    control.gateway.metrics.journey(journey.collect());
    for standing in control.gateway.switch.status() {
        let Some(vendor) = snapshot.vendor(&standing.vendor) else { continue };
        vendor.metrics.killed(standing.state != KillState::Live);
        vendor.metrics.tripped(standing.kills.iter().any(|kill| kill.origin == KillOrigin::Trip));
        vendor.metrics.severed(standing.severed_total);
        let last = standing.last_drill.map(|drill| drill.at);
        if let Some(overdue) = drill_overdue(&vendor.contract, last, control.now().wall) {
            vendor.metrics.drill_overdue(overdue);
        }
    }
    for (vendor, index) in snapshot.vendors().iter().zip(0..) {
        let left = vendor.ledgers.remaining(control.now());
        vendor.count_unmatched_rules();
        vendor.metrics.upstreams(upstreams::samples(vendor, control.now()));
        vendor.metrics.limit_remaining(LimitLabel::Requests, left.requests);
        vendor.metrics.limit_remaining(LimitLabel::Concurrency, left.concurrency);
        vendor.metrics.limit_remaining(LimitLabel::Records, left.records);
        vendor.metrics.limit_remaining(LimitLabel::Bytes, left.bytes);
        vendor.metrics.limit_remaining(LimitLabel::Subjects, left.subjects.unwrap_or(f64::NAN));
        for (result, total) in vendor.reveals().results() {
            vendor.metrics.reveals(result, total);
        }
        credentials::measure(vendor);
        let files = credentials::files(snapshot.directory(), vendor);
        vendor.metrics.files_unreadable(files.iter().map(|one| (one.file.as_str(), one.error.is_some())));
        if let Some(asked) = snapshot.directory().introspection_status(index) {
            for (outcome, times) in IntrospectionOutcome::ALL.into_iter().zip(asked.outcomes) {
                vendor.metrics.introspections(outcome.as_str(), times);
            }
        }
        let Some(keys) = snapshot.directory().key_status(index) else { continue };
        if let Some(oldest) = keys.oldest {
            vendor.metrics.oldest_key_first_seen(oldest);
        }
        let outcomes = |wanted: [RefreshOutcome; 2]| {
            let counts = RefreshOutcome::ALL.iter().zip(keys.outcomes);
            counts.filter(|(outcome, _)| wanted.contains(outcome)).map(|(_, count)| count).sum()
        };
        vendor.metrics.jwks_refreshes(
            outcomes([RefreshOutcome::Replaced, RefreshOutcome::Unchanged]),
            outcomes([RefreshOutcome::Failed, RefreshOutcome::Broken]),
        );
    }
}

pub(super) fn every(period: Duration) -> tokio::time::Interval {
    let mut tick = interval(period);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tick
}

/// Waits for the next round; false when there is none.
pub(super) async fn wait(tick: &mut tokio::time::Interval, closing: &mut watch::Receiver<bool>) -> bool {
    tokio::select! {
        _ = tick.tick() => true,
        _ = closing.wait_for(|closing| *closing) => false,
    }
}

fn is_due(now_ns: u64, last_ns: u64, period: Duration) -> bool {
    u128::from(now_ns.saturating_sub(last_ns)) >= period.as_nanos()
}

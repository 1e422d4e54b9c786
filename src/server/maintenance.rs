//! What has to be done every second or so: orders that are due, state that must reach the disk, numbers for a scrape.
//!
//! Runs beside the admin listener. Waits for the disk, so a kill that is due has a task of its own. Never decides about a
//! request.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::budgets::SavedBudgets;
use super::control::{GatewayControl, drill_overdue};
use super::{audit_trail, exposure_store, offline_kills};
use crate::audit::AuditAct;
use crate::bounds::{EXPOSURE_ROLL_INTERVAL, LEDGER_STORE_INTERVAL, PERSIST_DEADLINE};
use crate::gateway::VendorRuntime;
use crate::identity::{IntrospectionOutcome, RefreshOutcome};
use crate::kill::KillState;
use crate::meter::ContractState;
use crate::model::UnixTime;
use crate::telemetry::{CacheResult, LimitLabel, LogLabel, Metrics, StoreLabel, log};

/// How often the ends of contracts are looked for.
const LOOK_INTERVAL: Duration = Duration::from_secs(60);
/// Days are folded at most an hour late, and looked for this far back.
const FOLD_LOOK_BACK: Duration = Duration::from_secs(3 * 86_400);

/// Starts the chores; they end with `closing`.
pub(super) fn start(helm: &Arc<GatewayControl>, closing: &watch::Receiver<bool>) {
    tokio::spawn(kill_what_is_due(Arc::clone(helm), closing.clone()));
    tokio::spawn(maintain(Arc::clone(helm), closing.clone()));
    tokio::spawn(Arc::clone(&helm.hooks).run());
}

/// Kills ordered for a time to come, what runs and has lost what it stood on, and revocations that are over.
async fn kill_what_is_due(helm: Arc<GatewayControl>, mut closing: watch::Receiver<bool>) {
    let mut tick = every(Duration::from_secs(1));
    let mut carried = offline_kills::HandledFiles::default();
    while wait(&mut tick, &mut closing).await {
        let now = helm.now();
        carry_out_what_was_left(&helm, &mut carried).await;
        for answer in helm.gateway.switch.kill_due(helm.clocks.steady(now)).await {
            helm.gateway.metrics.severed_within(Duration::from_micros(answer.sever_micros));
        }
        helm.sever_what_ended();
        if let Some(settled) = helm.clocks.settled(now) {
            helm.rooms.authority.revocations().sweep(settled, now);
        }
    }
}

/// Orders that a shell has left in the state folder since the last round.
async fn carry_out_what_was_left(helm: &GatewayControl, carried: &mut offline_kills::HandledFiles) {
    let state = helm.state.clone();
    // Only a panic ends it without an answer, and the next round looks again.
    let found = tokio::task::spawn_blocking(move || offline_kills::read_all(&state)).await.unwrap_or_default();
    for begun in carried.begin(&helm.gateway.switch, found, helm.now()) {
        begun.finish().await;
    }
}

async fn maintain(helm: Arc<GatewayControl>, mut closing: watch::Receiver<bool>) {
    let mut house = Maintenance::default();
    let mut tick = every(LEDGER_STORE_INTERVAL);
    while wait(&mut tick, &mut closing).await {
        house.run(&helm).await;
    }
}

/// What the chores remember between two rounds.
#[derive(Debug, Default)]
struct Maintenance {
    saved: SavedBudgets,
    rolled_ns: u64,
    looked_ns: Option<u64>,
    tidied: Option<UnixTime>,
    /// Days left of each vendor whose contract is about to end, as they were told last.
    reported: std::collections::HashMap<String, u32>,
}

impl Maintenance {
    async fn run(&mut self, helm: &Arc<GatewayControl>) {
        let now = helm.now();
        helm.gateway.switch.retry_unconfirmed().await;
        let snapshot = helm.gateway.snapshot.load_full();
        if let Some(ack) = self.saved.save(snapshot.vendors().iter(), &helm.store, now)
            && ack.await.is_err()
        {
            self.saved.forget();
        }
        if is_due(now.monotonic_ns, self.rolled_ns, EXPOSURE_ROLL_INTERVAL) {
            self.rolled_ns = now.monotonic_ns;
            if let Some(ack) = exposure_store::roll(&helm.rooms.exposure, &helm.store, now) {
                // What failed is told by the store's own count of errors.
                let _ = ack.await;
            }
        }
        if self.looked_ns.is_none_or(|looked| is_due(now.monotonic_ns, looked, LOOK_INTERVAL)) {
            self.looked_ns = Some(now.monotonic_ns);
            snapshot.vendors().iter().for_each(|vendor| self.check_contract_end(vendor, now.wall));
        }
        // What is deleted or folded cannot be had back, so no single reading of the wall clock decides on it.
        if let Some(settled) = helm.clocks.settled(now)
            && self.tidied.is_none_or(|tidied| exposure_store::hour(settled) > tidied)
        {
            let from = self.tidied.map(|tidied| exposure_store::fold_from(tidied, FOLD_LOOK_BACK)).unwrap_or_default();
            self.tidied = Some(exposure_store::hour(settled));
            let store = helm.store.clone();
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
pub(super) async fn write_last(helm: &GatewayControl) {
    let now = helm.now();
    let snapshot = helm.gateway.snapshot.load_full();
    let kept = SavedBudgets::default().save(snapshot.vendors().iter(), &helm.store, now);
    let rolled = exposure_store::roll(&helm.rooms.exposure, &helm.store, now);
    drop(helm.gateway.audit.record(audit_trail::by_gateway(AuditAct::Stopped, "", now.wall)));
    let all = async {
        for ack in [kept, rolled].into_iter().flatten() {
            if let Err(error) = ack.await {
                tracing::error!(%error, "what was used of limits, or what left, is not on disk");
            }
        }
        if helm.gateway.audit.flush().await.is_err() {
            tracing::error!("the end of the audit trail is not on disk");
        }
    };
    if tokio::time::timeout(PERSIST_DEADLINE, all).await.is_err() {
        tracing::error!("the disk did not answer: the last seconds may be lost");
    }
}

/// Numbers that are cheaper to ask for than to keep up to date.
pub(super) fn report_to(metrics: &Metrics, helm: &Arc<GatewayControl>) {
    let (helm, seen) = (Arc::downgrade(helm), ScrapeCounters::default());
    metrics.before_scrape(move || seen.read(&helm));
}

/// What was counted when a scrape last read it.
#[derive(Debug, Default)]
struct ScrapeCounters {
    hits: AtomicU64,
    misses: AtomicU64,
    audit_errors: AtomicU64,
    store_errors: AtomicU64,
}

impl ScrapeCounters {
    fn read(&self, helm: &Weak<GatewayControl>) {
        let Some(helm) = helm.upgrade() else { return };
        let metrics = &helm.gateway.metrics;
        let since = |last: &AtomicU64, now: u64| now.saturating_sub(last.swap(now, Ordering::Relaxed));
        let cache = helm.rooms.authority.cache_status();
        metrics.token_cache(CacheResult::Hit, since(&self.hits, cache.hits));
        metrics.token_cache(CacheResult::Miss, since(&self.misses, cache.misses));
        metrics.state_errors(StoreLabel::Audit, since(&self.audit_errors, helm.gateway.audit.health().errors));
        metrics.state_errors(StoreLabel::Embedded, since(&self.store_errors, helm.store.write_errors()));
        metrics.log_dropped(LogLabel::Events, log::events_dropped());
        metrics.log_dropped(LogLabel::Exchanges, helm.gateway.exchange_log.dropped());
        read_vendors(&helm);
    }
}

fn read_vendors(helm: &GatewayControl) {
    let snapshot = helm.gateway.snapshot.load();
    for standing in helm.gateway.switch.status() {
        let Some(vendor) = snapshot.vendor(&standing.vendor) else { continue };
        vendor.metrics.killed(standing.state != KillState::Live);
        vendor.metrics.severed(standing.severed_total);
        let last = standing.last_drill.map(|drill| drill.at);
        if let Some(overdue) = drill_overdue(&vendor.contract, last, helm.now().wall) {
            vendor.metrics.drill_overdue(overdue);
        }
    }
    for (vendor, index) in snapshot.vendors().iter().zip(0..) {
        let left = vendor.ledgers.remaining(helm.now());
        vendor.count_unmatched_rules();
        vendor.metrics.limit_remaining(LimitLabel::Requests, left.requests);
        vendor.metrics.limit_remaining(LimitLabel::Concurrency, left.concurrency);
        vendor.metrics.limit_remaining(LimitLabel::Records, left.records);
        vendor.metrics.limit_remaining(LimitLabel::Bytes, left.bytes);
        vendor.metrics.limit_remaining(LimitLabel::Subjects, left.subjects.unwrap_or(f64::NAN));
        for (result, total) in vendor.reveals().results() {
            vendor.metrics.reveals(result, total);
        }
        let files = snapshot.directory().files(vendor.id());
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

fn every(period: Duration) -> tokio::time::Interval {
    let mut tick = interval(period);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tick
}

/// Waits for the next round; false when there is none.
async fn wait(tick: &mut tokio::time::Interval, closing: &mut watch::Receiver<bool>) -> bool {
    tokio::select! {
        _ = tick.tick() => true,
        _ = closing.wait_for(|closing| *closing) => false,
    }
}

fn is_due(now_ns: u64, last_ns: u64, period: Duration) -> bool {
    u128::from(now_ns.saturating_sub(last_ns)) >= period.as_nanos()
}

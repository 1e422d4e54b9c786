//! Feeds what passed of each vendor to its baselines, every ten seconds: for the metric, the status, and the contracts
//! that have the gateway kill on an anomaly.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use super::control::GatewayControl;
use super::maintenance::{every, wait};
use super::vendor_rows;
use crate::anomaly::{AnomalyRow, AnomalyScore, AnomalyTrip, TICK, VendorAnomalies, VendorTick};
use crate::gateway::VendorRuntime;
use crate::kill::{Evidence, KillState};
use crate::model::{Direction, Lock as _, Reason, UnixTime, VendorId};
use crate::store::{Store, StoreRow, StoreTable, WriteAck};

impl StoreRow for AnomalyRow {
    const TABLE: StoreTable = StoreTable::Anomalies;
}

/// The rows, in words for the log.
const LEARNED: &str = "what is usual of each vendor";

/// What is usual of every vendor.
#[derive(Debug, Default)]
pub(super) struct AnomalyWatch(Mutex<HashMap<VendorId, WatchedVendor>>);

#[derive(Debug, Default)]
struct WatchedVendor {
    anomalies: VendorAnomalies,
    /// Totals since the process started, at the last tick.
    before: Totals,
    /// What was learned since it was stored.
    is_changed: bool,
}

/// What passed since the process started; of subjects, those of this hour.
#[derive(Debug, Clone, Copy, Default)]
struct Totals {
    requests: u64,
    records: u64,
    bytes: u64,
    denials: u64,
    subjects: u64,
}

impl AnomalyWatch {
    /// What earlier runs have learned. What cannot be read is learned anew.
    pub(super) fn load(store: &Store) -> Self {
        let watched = |(vendor, row): (VendorId, AnomalyRow)| {
            (vendor, WatchedVendor { anomalies: row.into(), ..WatchedVendor::default() })
        };
        Self(Mutex::new(vendor_rows::load(store, LEARNED).into_iter().map(watched).collect()))
    }

    /// The scores of a vendor, as far as the usual is known.
    pub(super) fn scores(&self, vendor: &VendorId, now: UnixTime) -> Vec<AnomalyScore> {
        let scores = self.0.locked().get(vendor).map(|watched| watched.anomalies.scores(now)).unwrap_or_default();
        scores.into_iter().filter(|found| found.usual.is_some()).collect()
    }

    /// Forgets the last hour of a vendor that is restored.
    pub(super) fn forget_last_hour(&self, vendor: &VendorRuntime) {
        if let Some(watched) = self.0.locked().get_mut(vendor.id()) {
            watched.anomalies.forget_last_hour();
            watched.before = Totals { subjects: watched.before.subjects, ..Totals::of(vendor) };
        }
    }

    /// Gives what was learned since the last call to the store; `None` where nothing was.
    pub(super) fn save(&self, store: &Store) -> Option<WriteAck> {
        let mut all = self.0.locked();
        let changed = all.iter_mut().filter_map(|(vendor, watched)| {
            std::mem::take(&mut watched.is_changed).then(|| (vendor.clone(), watched.anomalies.row()))
        });
        vendor_rows::save(store, LEARNED, changed)
    }

    /// Adds what passed since the last tick. Gives the score by which the vendor is to be killed.
    fn tick(&self, vendor: &VendorRuntime, killed: bool, subjects: u64, now: UnixTime) -> Option<AnomalyScore> {
        let mut all = self.0.locked();
        let watched = all.entry(vendor.id().clone()).or_default();
        let totals = Totals { subjects, ..Totals::of(vendor) };
        let before = std::mem::replace(&mut watched.before, totals);
        let routes = if totals.requests == before.requests { Vec::new() } else { used_routes(vendor) };
        let tick = VendorTick { counts: totals.since(before), routes, killed };
        watched.is_changed |= watched.anomalies.tick(now, &tick);
        let scores = watched.anomalies.scores(now);
        vendor.metrics.anomaly_scores(scores.iter().map(|found| (found.signal.as_str(), f64::from(found.score))));
        let trip = vendor.contract.trip.and_then(|trip| trip.anomaly).filter(|_| !killed && !vendor.observes())?;
        watched.anomalies.trips(&trip, &scores, now)
    }

    fn retain(&self, is_vendor: impl Fn(&VendorId) -> bool) {
        self.0.locked().retain(|vendor, _| is_vendor(vendor));
    }
}

impl Totals {
    fn of(vendor: &VendorRuntime) -> Self {
        let mut totals = Self::default();
        for direction in Direction::ALL {
            let traffic = vendor.metrics.traffic(direction);
            let (requests, records) = traffic.totals();
            totals.requests += requests;
            totals.records += records;
            totals.bytes += traffic.bytes_sum();
            let own_doing = Reason::ALL.into_iter().filter(|reason| reason.counts_towards_burst());
            totals.denials += own_doing.map(|reason| traffic.denials(reason)).sum::<u64>();
        }
        totals
    }

    /// In the order of the signals. The subjects are those of an hour, so a new hour begins anew.
    fn since(self, before: Self) -> [u64; 5] {
        let subjects = if self.subjects < before.subjects { self.subjects } else { self.subjects - before.subjects };
        [
            self.requests.saturating_sub(before.requests),
            self.records.saturating_sub(before.records),
            self.bytes.saturating_sub(before.bytes),
            self.denials.saturating_sub(before.denials),
            subjects,
        ]
    }
}

/// The routes that the vendor has used since the process started.
fn used_routes(vendor: &VendorRuntime) -> Vec<String> {
    let of = |direction: Direction| {
        let used = vendor.metrics.traffic(direction).used_routes();
        used.into_iter().map(move |route| format!("{} {route}", direction.as_str()))
    };
    Direction::ALL.into_iter().flat_map(of).collect()
}

/// Ticks until the gateway closes.
pub(super) async fn run(control: Arc<GatewayControl>, mut closing: watch::Receiver<bool>) {
    let mut tick = every(TICK);
    while wait(&mut tick, &mut closing).await {
        tick_all(&control);
    }
}

fn tick_all(control: &GatewayControl) {
    let (snapshot, now) = (control.gateway.snapshot.load_full(), control.now());
    let killed: BTreeMap<_, _> = control
        .gateway
        .switch
        .status_without_drills()
        .into_iter()
        .map(|status| (status.vendor, status.state))
        .collect();
    let subjects = control.services.exposure.subjects_of_this_hour(now.wall);
    for vendor in snapshot.vendors() {
        let is_killed = killed.get(vendor.id().as_str()).is_some_and(|state| *state != KillState::Live);
        let subjects = subjects.get(vendor.id()).copied().unwrap_or_default();
        if let Some(found) = control.anomalies.tick(vendor, is_killed, subjects, now.wall) {
            let evidence = Evidence { at: now.wall, kind: "anomaly".to_owned(), detail: detail(vendor, found) };
            control.gateway.switch.trip(vendor.id(), evidence, None, now);
            vendor.metrics.killed(true);
        }
    }
    control.anomalies.retain(|vendor| snapshot.vendor(vendor.as_str()).is_some());
}

fn detail(vendor: &VendorRuntime, found: AnomalyScore) -> String {
    let hold = vendor.contract.trip.and_then(|trip| trip.anomaly).map(|trip: AnomalyTrip| trip.hold.as_secs());
    format!(
        "{} scored {:.1} for {}s: {} in the last minute, where at most {} are usual at this hour of the week",
        found.signal.as_str(),
        found.score,
        hold.unwrap_or_default(),
        found.last_minute,
        found.usual.unwrap_or_default(),
    )
}

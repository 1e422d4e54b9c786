//! An exercise of the kill switch: it kills on purpose, measures, and restores.
//!
//! A drill on real traffic severs it. A shadow drill severs nothing of the vendor's: it severs as many stand-ins as the
//! vendor has in flight, on a gate of its own, and writes as a kill would. A crash in the middle of a real drill leaves
//! the vendor killed, as any crash does. A kill that is ordered during a drill is its own kill: it stays in force when
//! the drill is over, and the report says so.

use std::num::NonZeroU32;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::answer::{ApprovalProgress, DrillReport, KillState};
use super::error::KillError;
use super::event::KillEvent;
use super::gate::VendorGate;
use super::in_flight::InFlight;
use super::latch::CountdownLatch;
use super::order::{Kill, KillOrder, KillOrigin, KillSelector, KillTarget, RouteTag};
use super::pending::PendingKill;
use super::restore::{PendingRestore, RestoreOrder};
use super::switch::{KillSwitch, state};
use super::table::KillTable;
use crate::audit::AuditAct;
use crate::bounds::DRILL_STANDINS_MAX;
use crate::model::{Direction, Moment, UnixTime, VendorId};
use crate::store::{Store, StoreRow, StoreTable, WriteBatch};

/// What a drill found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrillRecord {
    /// The vendor's id.
    pub vendor: String,
    /// Whether nothing was cut.
    pub shadow: bool,
    /// When it began.
    pub at: UnixTime,
    /// Who ordered it.
    pub by: String,
    /// From the order until nothing new was let in.
    pub refuse_micros: u64,
    /// From the order until the last severed request had left.
    pub sever_micros: u64,
    /// From the order until the kill was durable.
    pub persist_micros: u64,
    /// Requests cut, or stand-ins.
    pub severed: u64,
    /// Whether the kill was durable.
    pub persisted: bool,
    /// The vendor's state after the drill.
    pub state: KillState,
}

impl StoreRow for DrillRecord {
    const TABLE: StoreTable = StoreTable::Drills;
}

impl DrillRecord {
    /// The vendor's last drill; none where there was none, or it cannot be read.
    pub(super) fn last(store: &Store, vendor: &str) -> Option<Self> {
        store.get(vendor.as_bytes()).ok().flatten()
    }
}

impl KillSwitch {
    /// Drills. Hooks are not notified; the audit trail has it.
    ///
    /// # Errors
    /// [`KillError::UnknownVendor`]; [`KillError::AlreadyKilled`] where any kill is in force against the vendor;
    /// [`KillError::NotPersisted`] where it could not be turned back, and is killed now.
    pub async fn drill(
        &self,
        vendor: &VendorId,
        shadow: bool,
        by: &str,
        reason: &str,
        at: Moment,
    ) -> Result<DrillReport, KillError> {
        let target = KillTarget::Vendor(vendor.clone());
        let record = if shadow {
            self.require_unkilled(&self.table(), &target)?;
            self.drill_shadow(vendor, by, at).await
        } else {
            self.drill_real(vendor, by, reason, at).await?
        };
        self.remember(&target, vendor, reason, &record).await;
        Ok(record.into())
    }

    async fn drill_real(
        &self,
        vendor: &VendorId,
        by: &str,
        reason: &str,
        at: Moment,
    ) -> Result<DrillRecord, KillError> {
        let (answer, timings) = self.begin_drill(vendor, by, reason, at)?.finish_timed().await;
        let (order, pending) = self.end_drill(vendor, by, answer.generation);
        if let Some(peers) = self.peers.get() {
            peers.drill_ended(&order, pending.orders());
        }
        self.finish_restore(&order, pending, ApprovalProgress { given: 1, needed: 1 }).await?;
        Ok(DrillRecord {
            vendor: answer.vendor,
            shadow: false,
            at: at.wall,
            by: by.to_owned(),
            refuse_micros: timings.refuse_micros,
            sever_micros: timings.sever_micros,
            persist_micros: timings.persist_micros,
            severed: answer.severed,
            persisted: answer.persisted,
            state: state(&self.table(), &order.target),
        })
    }

    /// Decides and kills under one lock, so that no kill can come in between that the drill has not seen.
    pub(super) fn begin_drill(
        &self,
        vendor: &VendorId,
        by: &str,
        reason: &str,
        at: Moment,
    ) -> Result<PendingKill, KillError> {
        let order = KillOrder::new(KillTarget::Vendor(vendor.clone()), KillOrigin::Drill, by, reason, at);
        let mut table = self.table();
        self.require_unkilled(&table, &order.target)?;
        let mut applied = table.kill(&order);
        self.tell_peers(&mut table, &order, &mut applied);
        Ok(self.sever(order, applied, table, None))
    }

    /// Begins to lift the drill's own kill: one that came meanwhile stays in force.
    pub(super) fn end_drill(&self, vendor: &VendorId, by: &str, generation: u64) -> (RestoreOrder, PendingRestore) {
        let order = RestoreOrder {
            target: KillTarget::Vendor(vendor.clone()),
            selector: KillSelector::default(),
            by: by.to_owned(),
            reason: "end of drill".to_owned(),
            approvals: NonZeroU32::MIN,
            at: self.clock.now(),
        };
        let pending = self.begin_restore(&mut self.table(), &order, &[generation], KillOrigin::Drill);
        (order, pending)
    }

    fn require_unkilled(&self, table: &KillTable, target: &KillTarget) -> Result<(), KillError> {
        self.require_known(table, target)?;
        if table.entry(target).kills.is_empty() { Ok(()) } else { Err(KillError::AlreadyKilled) }
    }

    async fn drill_shadow(&self, vendor: &VendorId, by: &str, at: Moment) -> DrillRecord {
        let gate = VendorGate::new(vendor.clone());
        let live: usize = self.gate(vendor).in_flight().into_iter().sum();
        let standins = spawn_standins(&gate, live.clamp(1, DRILL_STANDINS_MAX)).await;
        let start = self.clock.now();
        let kill = Arc::new(Kill::without_order(KillOrigin::Drill, by, "shadow drill", at.wall));
        gate.set_active(std::iter::once(Arc::clone(&kill)));
        let refused = self.clock.now();
        let latch = CountdownLatch::new();
        let severed = gate.sever(&kill, &latch, None);
        latch.count_down();
        latch.wait().await;
        let left = self.clock.now();
        let persisted = self.write_probe(vendor).await && self.store.is_durable();
        let kept = self.clock.now();
        for standin in standins {
            // A stand-in cannot fail in a way that matters here.
            let _ = standin.await;
        }
        let micros = |until: Moment| until.monotonic_ns.saturating_sub(start.monotonic_ns) / 1000;
        DrillRecord {
            vendor: vendor.as_str().to_owned(),
            shadow: true,
            at: at.wall,
            by: by.to_owned(),
            refuse_micros: micros(refused),
            sever_micros: micros(left),
            persist_micros: micros(kept),
            severed,
            persisted,
            state: state(&self.table(), &KillTarget::Vendor(vendor.clone())),
        }
    }

    /// Writes the vendor's rows as they are: what a kill would cost the disk, without changing anything.
    async fn write_probe(&self, vendor: &VendorId) -> bool {
        let written = self.write(&self.table(), &KillTarget::Vendor(vendor.clone()), None);
        match written {
            Ok(ack) => ack.await.is_ok(),
            Err(_) => false,
        }
    }

    async fn remember(&self, target: &KillTarget, vendor: &VendorId, reason: &str, report: &DrillRecord) {
        let mut batch = WriteBatch::new();
        if batch.put(vendor.as_str().as_bytes(), report).is_ok() {
            // If this write is lost, the drill counts as not done and is due again.
            let _ = self.store.write(batch).await;
        }
        if let Some(peers) = self.peers.get() {
            peers.drilled(report);
        }
        let event = KillEvent::of(AuditAct::Drill, target, &report.by, reason, report.at, 0);
        (self.listener)(&KillEvent { severed: report.severed, outcome: serde_json::to_value(report).ok(), ..event });
    }
}

/// Tasks that are registered at the gate until they are severed, all of them waiting when this returns.
async fn spawn_standins(gate: &VendorGate, count: usize) -> Vec<tokio::task::JoinHandle<()>> {
    let tasks: Vec<_> =
        (0..count).map(|_| tokio::spawn(standin(gate.register(Direction::Ingress, RouteTag::NONE, None)))).collect();
    tokio::task::yield_now().await;
    tasks
}

async fn standin(mut in_flight: InFlight) {
    in_flight.severed().await;
}

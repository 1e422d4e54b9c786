//! An exercise: the switch is thrown on purpose, timed, and turned back.
//!
//! A drill on real traffic cuts it. A shadow drill cuts nothing of the vendor's: it severs as many stand-ins as the
//! vendor has in flight, on a line of its own, and writes as a kill would. A crash in the middle of a real drill
//! leaves the vendor killed, as any crash does. An order that falls into a drill is its own kill: it stands when the
//! drill is over, and the drill says so.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::answer::{Approvals, KillError, State};
use super::event::{Act, Event};
use super::in_flight::InFlight;
use super::latch::Latch;
use super::ledger::Ledger;
use super::line::Line;
use super::order::{Kill, Order, Origin, Reach, RouteTag, Subject, rfc3339};
use super::restore::{Lifting, RestoreOrder};
use super::severing::Severing;
use super::switch::{Switch, state};
use crate::bounds::DRILL_STANDINS_MAX;
use crate::model::{Direction, Moment, UnixTime, VendorId};
use crate::store::{Batch, Row, Store, Table};

/// What a drill found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrillReport {
    /// The vendor.
    pub vendor: String,
    /// Whether nothing was cut.
    pub shadow: bool,
    /// When it began.
    #[serde(with = "rfc3339")]
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
    /// How the vendor stands after it.
    pub state: State,
}

impl Row for DrillReport {
    const TABLE: Table = Table::DRILLS;
    const VERSION: u8 = 1;
}

impl DrillReport {
    /// The vendor's last drill; none where there was none, or it cannot be read.
    pub(super) fn last(store: &Store, vendor: &str) -> Option<Self> {
        store.get(vendor.as_bytes()).ok().flatten()
    }
}

impl Switch {
    /// Drills. Hooks are not told; the audit trail is.
    ///
    /// # Errors
    /// [`KillError::UnknownVendor`]; [`KillError::AlreadyKilled`] where anything stands against the vendor;
    /// [`KillError::NotPersisted`] where it could not be turned back, and is killed now.
    pub async fn drill(
        &self,
        vendor: &VendorId,
        shadow: bool,
        by: &str,
        reason: &str,
        at: Moment,
    ) -> Result<DrillReport, KillError> {
        let subject = Subject::Vendor(vendor.clone());
        let report = if shadow {
            self.require_unkilled(&self.ledger(), &subject)?;
            self.drill_shadow(vendor, by, at).await
        } else {
            self.drill_real(vendor, by, reason, at).await?
        };
        self.remember(&subject, vendor, reason, &report).await;
        Ok(report)
    }

    /// Whether the last drill of a vendor is longer ago than `every`, or there was none since `since`.
    pub fn is_drill_overdue(&self, vendor: &VendorId, every: Duration, since: UnixTime, now: UnixTime) -> bool {
        let last = DrillReport::last(&self.store, vendor.as_str()).map_or(since, |report| report.at);
        now.since(last) > every
    }

    async fn drill_real(
        &self,
        vendor: &VendorId,
        by: &str,
        reason: &str,
        at: Moment,
    ) -> Result<DrillReport, KillError> {
        let (answer, timings) = self.begin_drill(vendor, by, reason, at)?.finish_timed().await;
        let (order, lifting) = self.end_drill(vendor, by, answer.generation);
        let restored = self.finish_lift(&order, lifting, Approvals { given: 1, needed: 1 }).await?;
        Ok(DrillReport {
            vendor: answer.vendor,
            shadow: false,
            at: at.wall,
            by: by.to_owned(),
            refuse_micros: timings.refuse_micros,
            sever_micros: timings.sever_micros,
            persist_micros: timings.persist_micros,
            severed: answer.severed,
            persisted: answer.persisted,
            state: restored.state,
        })
    }

    /// Decides and kills under one lock, so that no kill can stand that the drill has not seen.
    pub(super) fn begin_drill(
        &self,
        vendor: &VendorId,
        by: &str,
        reason: &str,
        at: Moment,
    ) -> Result<Severing, KillError> {
        let order = Order {
            subject: Subject::Vendor(vendor.clone()),
            reach: Reach::default(),
            origin: Origin::Drill,
            by: by.to_owned(),
            reason: reason.to_owned(),
            evidence: None,
            at,
        };
        let mut ledger = self.ledger();
        self.require_unkilled(&ledger, &order.subject)?;
        let struck = ledger.kill(&order);
        Ok(self.sever(order, struck, ledger, None))
    }

    /// Begins to lift the drill's own kill: one that came meanwhile stands.
    pub(super) fn end_drill(&self, vendor: &VendorId, by: &str, generation: u64) -> (RestoreOrder, Lifting) {
        let order = RestoreOrder {
            subject: Subject::Vendor(vendor.clone()),
            reach: Reach::default(),
            by: by.to_owned(),
            reason: "end of drill".to_owned(),
            approvals: NonZeroU32::MIN,
            at: self.clock.now(),
        };
        let lifting = self.begin_lift(&mut self.ledger(), &order, &[generation], Origin::Drill);
        (order, lifting)
    }

    fn require_unkilled(&self, ledger: &Ledger, subject: &Subject) -> Result<(), KillError> {
        self.require_known(ledger, subject)?;
        if ledger.entry(subject).kills.is_empty() { Ok(()) } else { Err(KillError::AlreadyKilled) }
    }

    async fn drill_shadow(&self, vendor: &VendorId, by: &str, at: Moment) -> DrillReport {
        let line = Line::new(vendor.clone());
        let live: usize = self.line(vendor).in_flight().into_iter().sum();
        let standins = spawn_standins(&line, live.clamp(1, DRILL_STANDINS_MAX)).await;
        let start = self.clock.now();
        let kill = Arc::new(shadow_kill(by, at));
        line.stand(std::iter::once(Arc::clone(&kill)));
        let refused = self.clock.now();
        let latch = Latch::new();
        let severed = line.sever(&kill, &latch, None);
        latch.count_down();
        latch.wait().await;
        let left = self.clock.now();
        let persisted = self.write_probe(vendor).await && self.store.is_durable();
        let kept = self.clock.now();
        for standin in standins {
            // It left by itself; there is nothing to learn from how.
            let _ = standin.await;
        }
        let micros = |until: Moment| until.monotonic_ns.saturating_sub(start.monotonic_ns) / 1000;
        DrillReport {
            vendor: vendor.as_str().to_owned(),
            shadow: true,
            at: at.wall,
            by: by.to_owned(),
            refuse_micros: micros(refused),
            sever_micros: micros(left),
            persist_micros: micros(kept),
            severed,
            persisted,
            state: state(&self.ledger(), &Subject::Vendor(vendor.clone())),
        }
    }

    /// Writes the vendor's rows as they are: what a kill would cost the disk, without changing anything.
    async fn write_probe(&self, vendor: &VendorId) -> bool {
        let written = self.write(&self.ledger(), &Subject::Vendor(vendor.clone()), None);
        match written {
            Ok(ack) => ack.await.is_ok(),
            Err(_) => false,
        }
    }

    async fn remember(&self, subject: &Subject, vendor: &VendorId, reason: &str, report: &DrillReport) {
        let mut batch = Batch::new();
        if batch.put(vendor.as_str().as_bytes(), report).is_ok() {
            // A drill that is forgotten is drilled again.
            let _ = self.store.write(batch).await;
        }
        let event = Event::of(Act::Drill, subject, &report.by, reason, report.at, 0);
        (self.witness)(&Event { severed: report.severed, outcome: serde_json::to_value(report).ok(), ..event });
    }
}

/// Tasks that hold a place on the line until they are severed, all of them waiting when this returns.
async fn spawn_standins(line: &Line, count: usize) -> Vec<tokio::task::JoinHandle<()>> {
    let tasks: Vec<_> =
        (0..count).map(|_| tokio::spawn(standin(line.register(Direction::Ingress, RouteTag::NONE, None)))).collect();
    tokio::task::yield_now().await;
    tasks
}

async fn standin(mut in_flight: InFlight) {
    in_flight.severed().await;
}

fn shadow_kill(by: &str, at: Moment) -> Kill {
    Kill {
        generation: 0,
        reach: Reach::default(),
        everything: false,
        at: at.wall,
        by: by.to_owned(),
        reason: "shadow drill".to_owned(),
        origin: Origin::Drill,
        evidence: Vec::new(),
        more_evidence: 0,
    }
}

//! Kills ordered for a time to come, kept until they have been carried out or are taken back.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use serde::{Deserialize, Serialize};

use super::answer::KillReport;
use super::error::{KillError, KillLoadError};
use super::event::KillEvent;
use super::order::{KillOrder, KillOrigin, KillSelector, KillTarget};
use super::switch::KillSwitch;
use super::table::KillKeyError;
use crate::audit::AuditAct;
use crate::bounds::{SCHEDULED_KILLS_EACH_MAX, SCHEDULED_KILLS_MAX};
use crate::model::{Lock as _, Moment, UnixTime};
use crate::store::{RowError, Store, StoreError, StoreRow, StoreTable, WriteBatch};

/// A kill to come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduledKillRow {
    /// Names it when it is taken back.
    pub id: u64,
    /// The vendor, or `*`.
    pub vendor: String,
    /// How much of the vendor.
    #[serde(rename = "reach", default, skip_serializing_if = "KillSelector::is_whole")]
    pub selector: KillSelector,
    /// When the kill is to be carried out.
    pub at: UnixTime,
    /// Who ordered it.
    pub by: String,
    /// The reason, in that person's words.
    pub reason: String,
}

impl StoreRow for ScheduledKillRow {
    const TABLE: StoreTable = StoreTable::ScheduledKills;
}

#[derive(Debug, Default)]
pub(super) struct KillSchedule(Mutex<ScheduledOrders>);

#[derive(Debug, Default)]
struct ScheduledOrders {
    rows: BTreeMap<u64, ScheduledKillRow>,
    /// The newest id: none is given out twice, lest a late cancel hit another order.
    last: u64,
}

impl KillSchedule {
    pub(super) fn load(store: &Store) -> Result<Self, KillLoadError> {
        let rows = store.range::<ScheduledKillRow>(b"", None, usize::MAX)?;
        rows.iter().try_for_each(|(_, row)| row.target().map(drop))?;
        let rows: BTreeMap<_, _> = rows.into_iter().map(|(_, row)| (row.id, row)).collect();
        let last = rows.keys().next_back().copied().unwrap_or_default();
        Ok(Self(Mutex::new(ScheduledOrders { rows, last })))
    }

    /// Takes over an order that another gateway was given.
    pub(super) fn take_over(&self, row: ScheduledKillRow) {
        self.orders().rows.insert(row.id, row);
    }

    /// Removes an order that another gateway has carried out or taken back.
    pub(super) fn remove(&self, id: u64) {
        self.orders().rows.remove(&id);
    }

    fn orders(&self) -> MutexGuard<'_, ScheduledOrders> {
        self.0.locked()
    }
}

impl ScheduledOrders {
    fn add(&mut self, order: &KillOrder, at: UnixTime, id: Option<u64>) -> Result<ScheduledKillRow, KillError> {
        if self.rows.len() >= SCHEDULED_KILLS_MAX {
            return Err(KillError::ScheduleFull);
        }
        if self.rows.values().filter(|row| row.by == order.by).count() >= SCHEDULED_KILLS_EACH_MAX {
            return Err(KillError::ScheduleShare);
        }
        self.last += u64::from(id.is_none());
        let row = ScheduledKillRow {
            id: id.unwrap_or(self.last),
            vendor: order.target.as_str().to_owned(),
            selector: order.selector.clone(),
            at,
            by: order.by.clone(),
            reason: order.reason.clone(),
        };
        self.rows.insert(row.id, row.clone());
        Ok(row)
    }
}

impl ScheduledKillRow {
    /// The order that is carried out. One of a vendor whose contract is gone waits until the contract is back.
    fn order(&self, now: Moment) -> Option<KillOrder> {
        let order = KillOrder::new(self.target().ok()?, KillOrigin::Schedule, &self.by, &self.reason, now);
        // The same on every gateway of a fleet, each of which carries the order out by itself.
        let id = Some(format!("schedule-{}", self.id).into());
        Some(KillOrder { selector: self.selector.clone(), id, ..order })
    }

    fn event(&self, act: AuditAct, target: &KillTarget, by: &str, reason: &str, now: Moment) -> KillEvent {
        let outcome = Some(format!("order {} for {}", self.id, self.at).into());
        KillEvent { selector: self.selector.clone(), outcome, ..KillEvent::of(act, target, by, reason, now.wall, 0) }
    }

    fn target(&self) -> Result<KillTarget, KillKeyError> {
        KillTarget::parse(&self.vendor).map_err(|_| KillKeyError)
    }
}

impl KillSwitch {
    /// Orders a kill for a time to come; the order survives a restart before this returns. One for a time that has
    /// passed happens at the next [`KillSwitch::kill_due`].
    ///
    /// # Errors
    /// [`KillError::UnknownVendor`], [`KillError::ScheduleFull`], [`KillError::ScheduleShare`], or
    /// [`KillError::NotPersisted`], after which nothing is ordered.
    pub async fn schedule(&self, order: &KillOrder, at: UnixTime) -> Result<ScheduledKillRow, KillError> {
        self.require_known(&self.table(), &order.target)?;
        let number = self.peers.get().map(|peers| peers.schedule_id());
        let row = self.schedule.orders().add(order, at, number)?;
        let mut batch = WriteBatch::new();
        let written = batch.put(&row.id.to_be_bytes(), &row);
        if let Err(error) = self.write_row(written, batch).await {
            self.schedule.orders().rows.remove(&row.id);
            return Err(error);
        }
        if let Some(peers) = self.peers.get() {
            peers.scheduled(&row);
        }
        (self.listener)(&row.event(AuditAct::Schedule, &order.target, &order.by, &order.reason, order.at));
        Ok(row)
    }

    /// Takes such an order back.
    ///
    /// # Errors
    /// [`KillError::NotScheduled`] where there is none, [`KillError::NotPersisted`] where it is still to come.
    pub async fn unschedule(
        &self,
        id: u64,
        by: &str,
        reason: &str,
        now: Moment,
    ) -> Result<ScheduledKillRow, KillError> {
        let row = self.schedule.orders().rows.get(&id).cloned().ok_or(KillError::NotScheduled)?;
        let mut batch = WriteBatch::new();
        batch.delete(ScheduledKillRow::TABLE, &id.to_be_bytes());
        self.write_row(Ok(()), batch).await?;
        self.schedule.orders().rows.remove(&id);
        if let Some(peers) = self.peers.get() {
            peers.unscheduled(id);
        }
        let target = row.target().map_err(|_| KillError::UnknownVendor)?;
        (self.listener)(&row.event(AuditAct::Unschedule, &target, by, reason, now));
        Ok(row)
    }

    /// The orders that wait, the next one first.
    pub fn scheduled(&self) -> Vec<ScheduledKillRow> {
        let mut rows: Vec<_> = self.schedule.orders().rows.values().cloned().collect();
        rows.sort_by_key(|row| (row.at, row.id));
        rows
    }

    /// Carries out what is due; call it every second or so. An order is forgotten only after its kill is in force,
    /// so that a crash between the two repeats it and never loses it.
    pub async fn kill_due(&self, now: Moment) -> Vec<KillReport> {
        let due = self.scheduled().into_iter().take_while(|row| row.at <= now.wall);
        // All of them are in force before any write is waited for.
        let mut begun = Vec::new();
        for row in due {
            let Some(order) = row.order(now) else { continue };
            if self.is_taken_back(&order) {
                self.forget(row.id).await;
            } else if let Ok(kill) = self.kill(order) {
                begun.push((row.id, kill));
            }
        }
        let mut answers = Vec::new();
        for (id, severing) in begun {
            let answer = severing.finish().await;
            if answer.persisted || !self.store.is_durable() {
                self.forget(id).await;
            }
            answers.push(answer);
        }
        answers
    }

    async fn forget(&self, id: u64) {
        let mut batch = WriteBatch::new();
        batch.delete(ScheduledKillRow::TABLE, &id.to_be_bytes());
        // Kept or not, this process will not do it twice.
        let _ = self.store.write(batch).await;
        self.schedule.orders().rows.remove(&id);
        if let Some(peers) = self.peers.get() {
            peers.unscheduled(id);
        }
    }

    async fn write_row(&self, put: Result<(), RowError>, batch: WriteBatch) -> Result<(), KillError> {
        let result = match put {
            Ok(()) => self.store.write(batch).await,
            Err(_) => Err(StoreError::Closed),
        };
        result.map_err(KillError::NotPersisted)
    }
}

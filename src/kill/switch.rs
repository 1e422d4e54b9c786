//! The switch: a table of what stands against whom, and the hand that severs.
//!
//! An order first refuses what is new, then severs what is in flight, then hands the state to the disk; the caller
//! waits for both in [`PendingKill::finish`]. Nothing that can fail or wait stands before the severing: a full disk, a
//! hook or a dead fleet never delays it. A restore goes the other way: durable first, then open. Never reads the
//! traffic, and decides nothing but whether a kill stands.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use dashmap::DashMap;

use super::answer::{KillError, KillLoadError, KillState, PreviewAnswer, VendorKillStatus};
use super::drill::DrillRecord;
use super::event::{EventListener, KillEvent};
use super::gate::VendorGate;
use super::in_flight::InFlight;
use super::latch::CountdownLatch;
use super::order::{Evidence, KillOrder, KillOrigin, KillSelector, KillTarget};
use super::pending::PendingKill;
use super::schedule::KillSchedule;
use super::table::{AppliedKill, KillTable, KillsRow};
use super::unconfirmed::UnconfirmedWrites;
use crate::model::{Clock, Lock as _, Moment, VendorId};
use crate::store::{RowError, Store, StoreError, StoreRow, StoreTable, WriteAck, WriteBatch};

/// Who the gateway is when it acts by itself.
pub const GATEWAY_ACTOR: &str = "vendorgate";

/// The kill switch of this gateway. Shared by everything, behind one `Arc`.
pub struct KillSwitch {
    pub(super) clock: Clock,
    pub(super) store: Store,
    pub(super) listener: EventListener,
    pub(super) schedule: KillSchedule,
    pub(super) unconfirmed: Arc<UnconfirmedWrites>,
    /// Locked before `lines`, never after.
    table: Mutex<KillTable>,
    /// Read at load and by orders, never per request: a request holds its vendor's gate.
    gates: DashMap<VendorId, Arc<VendorGate>>,
    /// Whether events are queued for hooks.
    outbox: AtomicBool,
}

impl KillSwitch {
    /// The switch as it was left: every stored kill stands before this returns.
    ///
    /// # Errors
    /// [`KillLoadError`] when the kills cannot be read; the caller then takes [`KillSwitch::all_killed`].
    pub fn load(store: Store, clock: Clock, witness: EventListener) -> Result<Self, KillLoadError> {
        let rows = store.range::<KillsRow>(b"", None, usize::MAX)?;
        let ledger = KillTable::load(rows)?;
        let schedule = KillSchedule::load(&store)?;
        Ok(Self::with(store, clock, witness, ledger, schedule))
    }

    /// The switch for whatever came of opening the state: as it was left, or with everything killed where that cannot
    /// be read. In the second case state is in memory alone, and stays so until a person has moved the folder away or
    /// put a good one in its place: what they restore holds until the process ends.
    ///
    /// # Errors
    /// [`StoreError`] where the process must not start at all: another one holds the state, or memory fails too.
    pub fn start(opened: Result<Store, StoreError>, clock: Clock, witness: EventListener) -> Result<Self, StoreError> {
        let why = match opened {
            Ok(store) => match Self::load(store, clock.clone(), Arc::clone(&witness)) {
                Ok(switch) => return Ok(switch),
                Err(error) => error.to_string(),
            },
            Err(error) if error.is_unreadable() => error.to_string(),
            Err(error) => return Err(error),
        };
        Ok(Self::all_killed(Store::in_memory()?, clock, witness, &why))
    }

    /// The store that the kills are kept in, for the other rooms' tables.
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// A switch with everything killed, for when state cannot be read. A person restores what they decide to.
    pub fn all_killed(store: Store, clock: Clock, witness: EventListener, why: &str) -> Self {
        let switch = Self::with(store, clock, witness, KillTable::default(), KillSchedule::default());
        let order = KillOrder {
            target: KillTarget::Everything,
            selector: KillSelector::default(),
            origin: KillOrigin::StateUnreadable,
            by: GATEWAY_ACTOR.to_owned(),
            reason: why.to_owned(),
            evidence: None,
            at: switch.clock.now(),
        };
        // Everything is always known, so there is nothing to refuse and nobody to wait for.
        drop(switch.kill(order));
        switch
    }

    /// A vendor's line, made when it is first asked for. Take it at load, not per request.
    pub fn gate(&self, vendor: &VendorId) -> Arc<VendorGate> {
        // The ledger first, so that no kill falls between the reading of it and the line's first appearance.
        let ledger = self.table();
        let gate = self.gates.entry(vendor.clone()).or_insert_with(|| {
            let gate = VendorGate::new(vendor.clone());
            gate.set_active(ledger.entry(&KillTarget::Vendor(vendor.clone())).kills.iter().cloned());
            Arc::new(gate)
        });
        Arc::clone(&gate)
    }

    /// Kills. When this returns, nothing new is let in and all that was in flight has been told to leave.
    ///
    /// Does not wait, so the hot path may call it. The same order again changes nothing but the evidence.
    ///
    /// # Errors
    /// [`KillError::UnknownVendor`].
    pub fn kill(&self, order: KillOrder) -> Result<PendingKill, KillError> {
        let mut ledger = self.table();
        self.require_known(&ledger, &order.target)?;
        let struck = ledger.kill(&order);
        Ok(self.sever(order, struck, ledger, None))
    }

    pub(super) fn sever(
        &self,
        order: KillOrder,
        struck: AppliedKill,
        ledger: MutexGuard<'_, KillTable>,
        spared: Option<&InFlight>,
    ) -> PendingKill {
        let lines = self.gates_of(&order.target);
        apply_kills(&lines, &ledger);
        let refused = self.clock.now();
        let latch = CountdownLatch::new();
        let severed = lines.iter().map(|line| line.sever(&struck.kill, &latch, spared)).sum();
        latch.count_down();
        let event = KillEvent::kill(&order, &struck.kill, struck.is_new, severed);
        let ack = self.persist(&ledger, &struck, &order.target, &event);
        drop(ledger);
        (self.listener)(&event);
        PendingKill::new(self, order, struck.kill, severed, latch, ack, refused)
    }

    /// Kills by the gateway's own hand, on evidence. Never waits and never fails: made for the middle of a body. Of a
    /// thousand streams that trip at once the first severs them all, and the others only add to the evidence.
    ///
    /// `spared` is the request whose own meter has ended it, and that shall still get what its budget had room for.
    pub fn trip(&self, vendor: &VendorId, evidence: Evidence, spared: Option<&InFlight>, now: Moment) {
        let order = KillOrder {
            target: KillTarget::Vendor(vendor.clone()),
            selector: KillSelector::default(),
            origin: KillOrigin::Trip,
            by: GATEWAY_ACTOR.to_owned(),
            reason: evidence.kind.clone(),
            evidence: Some(evidence),
            at: now,
        };
        let mut ledger = self.table();
        // A vendor without a line has nothing to trip on.
        if self.require_known(&ledger, &order.target).is_err() {
            return;
        }
        let struck = ledger.kill(&order);
        if struck.is_new {
            // What was severed leaves by itself, and the write is looked after.
            drop(self.sever(order, struck, ledger, spared));
        } else if struck.changed {
            self.add_evidence(&order.target, &ledger);
        }
    }

    /// What a kill would cut now.
    ///
    /// # Errors
    /// [`KillError::UnknownVendor`].
    pub fn preview(&self, subject: &KillTarget, reach: KillSelector) -> Result<PreviewAnswer, KillError> {
        let ledger = self.table();
        self.require_known(&ledger, subject)?;
        let counts = self.gates_of(subject).iter().map(|line| line.count(&reach)).fold([0, 0], add);
        Ok(PreviewAnswer {
            vendor: subject.as_str().to_owned(),
            state: state(&ledger, subject),
            dry_run: true,
            ingress: counts[0],
            egress: counts[1],
            reach,
        })
    }

    /// Every vendor at a glance, by name: those with a line, and those against whom anything ever stood.
    pub fn status(&self) -> Vec<VendorKillStatus> {
        let mut all = self.status_without_drills();
        // The disk is asked when no lock is held that a kill wants.
        for status in &mut all {
            status.last_drill = DrillRecord::last(&self.store, &status.vendor);
        }
        all
    }

    /// Whether everything is killed because state could not be read and nobody has decided yet: not ready.
    pub fn is_undecided(&self) -> bool {
        let ledger = self.table();
        ledger.entry(&KillTarget::Everything).kills.iter().any(|kill| kill.origin == KillOrigin::StateUnreadable)
    }

    /// From now on, kills and restores are queued for hooks, in the same write as the change itself.
    pub fn queue_for_hooks(&self, wanted: bool) {
        self.outbox.store(wanted, Ordering::Relaxed);
    }

    fn with(store: Store, clock: Clock, listener: EventListener, ledger: KillTable, schedule: KillSchedule) -> Self {
        Self {
            clock,
            store,
            listener,
            schedule,
            unconfirmed: Arc::default(),
            table: Mutex::new(ledger),
            gates: DashMap::new(),
            outbox: AtomicBool::new(false),
        }
    }

    fn status_without_drills(&self) -> Vec<VendorKillStatus> {
        let ledger = self.table();
        let mut vendors: BTreeSet<VendorId> = ledger.vendors().cloned().collect();
        vendors.extend(self.gates.iter().map(|gate| gate.key().clone()));
        let status = |vendor: &VendorId| self.status_of(&ledger, self.gates.get(vendor).as_deref(), vendor);
        vendors.iter().map(status).collect()
    }

    pub(super) fn table(&self) -> MutexGuard<'_, KillTable> {
        self.table.locked()
    }

    pub(super) fn gates_of(&self, subject: &KillTarget) -> Vec<Arc<VendorGate>> {
        match subject {
            KillTarget::Vendor(vendor) => self.gates.get(vendor).as_deref().cloned().into_iter().collect(),
            KillTarget::Everything => self.gates.iter().map(|gate| Arc::clone(&gate)).collect(),
        }
    }

    pub(super) fn require_known(&self, ledger: &KillTable, subject: &KillTarget) -> Result<(), KillError> {
        let known = match subject {
            KillTarget::Vendor(vendor) => ledger.knows(vendor) || !self.gates_of(subject).is_empty(),
            KillTarget::Everything => true,
        };
        if known { Ok(()) } else { Err(KillError::UnknownVendor) }
    }

    /// Writes a subject's rows, and its event where hooks want it.
    pub(super) fn write(
        &self,
        ledger: &KillTable,
        subject: &KillTarget,
        event: Option<&KillEvent>,
    ) -> Result<WriteAck, RowError> {
        let mut batch = WriteBatch::new();
        ledger.write(subject, &mut batch)?;
        if let Some(event) = event.filter(|event| event.is_for_hooks() && self.outbox.load(Ordering::Relaxed)) {
            batch.put(&event.generation.to_be_bytes(), &QueuedEvent { event: event.clone(), done: Vec::new() })?;
        }
        Ok(self.store.write(batch))
    }

    fn persist(
        &self,
        ledger: &KillTable,
        struck: &AppliedKill,
        subject: &KillTarget,
        event: &KillEvent,
    ) -> Option<WriteAck> {
        let ack = struck.changed.then(|| self.write(ledger, subject, Some(event)))?;
        if ack.is_err() {
            self.unconfirmed.failed(subject.clone());
        }
        ack.ok()
    }

    fn add_evidence(&self, subject: &KillTarget, ledger: &KillTable) {
        match self.write(ledger, subject, None) {
            Ok(ack) => self.unconfirmed.pending(subject.clone(), ack),
            Err(_) => self.unconfirmed.failed(subject.clone()),
        }
    }

    fn status_of(&self, ledger: &KillTable, line: Option<&Arc<VendorGate>>, vendor: &VendorId) -> VendorKillStatus {
        let subject = KillTarget::Vendor(vendor.clone());
        let entry = ledger.entry(&subject);
        let in_flight = line.map_or([0, 0], |line| line.in_flight());
        VendorKillStatus {
            vendor: vendor.as_str().to_owned(),
            state: state(ledger, &subject),
            kills: entry.kills.iter().map(|kill| (**kill).clone()).collect(),
            approvals: entry.approvals.clone(),
            ingress_in_flight: in_flight[0],
            egress_in_flight: in_flight[1],
            severed_total: line.map_or(0, |line| line.severed_total()),
            persisted: self.store.is_durable() && !self.unconfirmed.holds(&subject),
            last_drill: None,
        }
    }
}

/// An event that waits for hooks, by its generation.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct QueuedEvent {
    /// What they are told.
    pub event: KillEvent,
    /// The hooks that have been told, or given up on.
    pub done: Vec<String>,
}

impl StoreRow for QueuedEvent {
    const TABLE: StoreTable = StoreTable::HOOK_QUEUE;
    const VERSION: u8 = 1;
}

impl fmt::Debug for KillSwitch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Switch").field("store", &self.store).finish_non_exhaustive()
    }
}

/// Makes the lines refuse what the ledger says.
pub(super) fn apply_kills(lines: &[Arc<VendorGate>], ledger: &KillTable) {
    for line in lines {
        line.set_active(ledger.entry(&KillTarget::Vendor(line.vendor().clone())).kills.iter().cloned());
    }
}

pub(super) fn state(ledger: &KillTable, subject: &KillTarget) -> KillState {
    KillState::of(ledger.entry(subject).kills.iter().map(|kill| &**kill))
}

const fn add(sum: [usize; 2], part: [usize; 2]) -> [usize; 2] {
    [sum[0] + part[0], sum[1] + part[1]]
}

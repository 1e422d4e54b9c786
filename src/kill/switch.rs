//! The kill switch: which kills are in force against whom, and the severing of what is in flight.
//!
//! An order first refuses what is new, then severs what is in flight, then hands the state to the disk; the caller
//! waits for both in [`PendingKill::finish`]. Nothing that can fail or wait comes before the severing: a full disk, a
//! hook or a dead fleet never delays it. A restore goes the other way: durable first, then open. Never reads the
//! traffic, and decides nothing but whether a kill is in force.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use dashmap::DashMap;

use super::answer::{KillPreview, KillState};
use super::error::{KillError, KillLoadError};
use super::event::{EventListener, KillEvent};
use super::gate::VendorGate;
use super::in_flight::InFlight;
use super::latch::CountdownLatch;
use super::order::{Evidence, KillOrder, KillOrigin, KillSelector, KillTarget};
use super::peers::KillPeers;
use super::pending::PendingKill;
use super::schedule::KillSchedule;
use super::table::{AppliedKill, KillTable, KillsRow};
use super::unconfirmed::UnconfirmedWrites;
use crate::model::{Clock, Lock as _, Moment, VendorId, debug_fields};
use crate::store::{RowError, Store, StoreError, StoreRow, StoreTable, WriteAck, WriteBatch};

/// The gateway's name where it acts by itself.
pub const GATEWAY_ACTOR: &str = "vendorgate";

/// The kill switch of this gateway. Shared by everything, behind one `Arc`.
pub struct KillSwitch {
    pub(super) clock: Clock,
    pub(super) store: Store,
    pub(super) listener: EventListener,
    pub(super) schedule: KillSchedule,
    pub(super) unconfirmed: Arc<UnconfirmedWrites>,
    /// Locked before an entry of `gates`, never after.
    table: Mutex<KillTable>,
    /// Read at load and by orders, never per request: a request holds its vendor's gate.
    pub(super) gates: DashMap<VendorId, Arc<VendorGate>>,
    /// Whether events are queued for hooks.
    outbox: AtomicBool,
    /// The other gateways of the fleet, where there is one.
    pub(super) peers: OnceLock<Arc<dyn KillPeers>>,
}

impl KillSwitch {
    /// The switch as it was left: every stored kill is in force before this returns.
    ///
    /// # Errors
    /// [`KillLoadError`] when the kills cannot be read; the caller then takes [`KillSwitch::all_killed`].
    pub fn load(store: Store, clock: Clock, listener: EventListener) -> Result<Self, KillLoadError> {
        let rows = store.range::<KillsRow>(b"", None, usize::MAX)?;
        let table = KillTable::load(rows)?;
        let schedule = KillSchedule::load(&store)?;
        Ok(Self::with(store, clock, listener, table, schedule))
    }

    /// The switch after an attempt to open the state: as it was left, or with everything killed where the state cannot
    /// be read. In the second case state is in memory alone until a person has moved the folder away or put a good one
    /// in its place: what they restore holds until the process ends.
    ///
    /// # Errors
    /// [`StoreError`] where the process must not start at all: another one holds the state, or memory fails too.
    pub fn start(opened: Result<Store, StoreError>, clock: Clock, listener: EventListener) -> Result<Self, StoreError> {
        let why = match opened {
            Ok(store) => match Self::load(store, clock.clone(), Arc::clone(&listener)) {
                Ok(switch) => return Ok(switch),
                Err(error) => error.to_string(),
            },
            Err(error) if error.is_unreadable() => error.to_string(),
            Err(error) => return Err(error),
        };
        Ok(Self::all_killed(Store::in_memory()?, clock, listener, &why))
    }

    /// The store that the kills are kept in, for the other rooms' tables.
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// A switch with everything killed, for when state cannot be read. A person restores what they decide to.
    pub fn all_killed(store: Store, clock: Clock, listener: EventListener, why: &str) -> Self {
        let switch = Self::with(store, clock, listener, KillTable::default(), KillSchedule::default());
        let (origin, at) = (KillOrigin::StateUnreadable, switch.clock.now());
        let order = KillOrder::by_gateway(KillTarget::Everything, origin, why, at);
        // A kill of every vendor cannot name an unknown vendor, so it cannot fail, and its report is not needed.
        drop(switch.kill(order));
        switch
    }

    /// A vendor's gate, made when it is first asked for. Take it at load, not per request.
    pub fn gate(&self, vendor: &VendorId) -> Arc<VendorGate> {
        // The table is locked first, so that no kill falls between the reading of it and the gate's first appearance.
        let table = self.table();
        let gate = self.gates.entry(vendor.clone()).or_insert_with(|| {
            let gate = VendorGate::new(vendor.clone());
            gate.set_active(table.entry(&KillTarget::Vendor(vendor.clone())).kills.iter().cloned());
            Arc::new(gate)
        });
        Arc::clone(&gate)
    }

    /// Kills. When this returns, nothing new is let in and all that was in flight has been severed.
    ///
    /// Does not wait, so the hot path may call it. The same order again changes nothing but the evidence.
    ///
    /// # Errors
    /// [`KillError::UnknownVendor`].
    pub fn kill(&self, order: KillOrder) -> Result<PendingKill, KillError> {
        let mut table = self.table();
        self.require_known(&table, &order.target)?;
        let mut applied = table.kill(&order);
        if applied.changed {
            self.tell_peers(&mut table, &order, &mut applied);
        }
        Ok(self.sever(order, applied, table, None))
    }

    pub(super) fn sever(
        &self,
        order: KillOrder,
        applied: AppliedKill,
        table: MutexGuard<'_, KillTable>,
        spared: Option<&InFlight>,
    ) -> PendingKill {
        let gates = self.gates_of(&order.target);
        apply_kills(&gates, &table);
        let refused = self.clock.now();
        let latch = CountdownLatch::new();
        let severed = gates.iter().map(|gate| gate.sever(&applied.kill, &latch, spared)).sum();
        latch.count_down();
        let event = KillEvent::kill(&order, &applied.kill, applied.is_new, severed);
        let ack = self.persist(&table, &applied, &order.target, &event);
        drop(table);
        (self.listener)(&event);
        PendingKill::new(self, order, applied.kill, severed, latch, ack, refused)
    }

    /// Kills on the gateway's own evidence. Never waits and never fails: made for the middle of a body. Of a thousand
    /// streams that trip at once the first severs them all, and the others only add to the evidence.
    ///
    /// `spared` is the request whose own meter has ended it, and that shall still get what its budget had room for.
    pub fn trip(&self, vendor: &VendorId, evidence: Evidence, spared: Option<&InFlight>, now: Moment) {
        let order = KillOrder::by_gateway(KillTarget::Vendor(vendor.clone()), KillOrigin::Trip, &evidence.kind, now);
        let order = KillOrder { evidence: Some(evidence), ..order };
        let mut table = self.table();
        // A vendor without a gate has no traffic that could trip.
        if self.require_known(&table, &order.target).is_err() {
            return;
        }
        let mut applied = table.kill(&order);
        if applied.is_new {
            self.tell_peers(&mut table, &order, &mut applied);
            // The severed requests leave by themselves, and a failed write is retried.
            drop(self.sever(order, applied, table, spared));
        } else if applied.changed {
            self.add_evidence(&order.target, &table);
        }
    }

    /// What a kill would cut now.
    ///
    /// # Errors
    /// [`KillError::UnknownVendor`].
    pub fn preview(&self, target: &KillTarget, selector: KillSelector) -> Result<KillPreview, KillError> {
        let table = self.table();
        self.require_known(&table, target)?;
        let counts = self.gates_of(target).iter().map(|gate| gate.count(&selector)).fold([0, 0], add);
        Ok(KillPreview {
            vendor: target.as_str().to_owned(),
            state: state(&table, target).into(),
            dry_run: true,
            ingress: counts[0] as u64,
            egress: counts[1] as u64,
            unseen: Vec::new(),
            selector,
        })
    }

    /// From now on, kills and restores are queued for hooks, in the same write as the change itself.
    pub fn queue_for_hooks(&self, wanted: bool) {
        self.outbox.store(wanted, Ordering::Relaxed);
    }

    fn with(store: Store, clock: Clock, listener: EventListener, table: KillTable, schedule: KillSchedule) -> Self {
        Self {
            clock,
            store,
            listener,
            schedule,
            unconfirmed: Arc::default(),
            table: Mutex::new(table),
            gates: DashMap::new(),
            outbox: AtomicBool::new(false),
            peers: OnceLock::new(),
        }
    }

    pub(super) fn table(&self) -> MutexGuard<'_, KillTable> {
        self.table.locked()
    }

    pub(super) fn gates_of(&self, target: &KillTarget) -> Vec<Arc<VendorGate>> {
        match target {
            KillTarget::Vendor(vendor) => self.gates.get(vendor).as_deref().cloned().into_iter().collect(),
            KillTarget::Everything => self.gates.iter().map(|gate| Arc::clone(&gate)).collect(),
        }
    }

    pub(super) fn require_known(&self, table: &KillTable, target: &KillTarget) -> Result<(), KillError> {
        let known = match target {
            KillTarget::Vendor(vendor) => table.knows(vendor) || !self.gates_of(target).is_empty(),
            KillTarget::Everything => true,
        };
        if known { Ok(()) } else { Err(KillError::UnknownVendor) }
    }

    /// Writes a subject's rows, and its event where hooks want it.
    pub(super) fn write(
        &self,
        table: &KillTable,
        target: &KillTarget,
        event: Option<&KillEvent>,
    ) -> Result<WriteAck, RowError> {
        let mut batch = WriteBatch::new();
        table.write(target, &mut batch)?;
        if let Some(event) = event.filter(|event| event.is_for_hooks() && self.outbox.load(Ordering::Relaxed)) {
            batch.put(&event.generation.to_be_bytes(), &QueuedEvent { event: event.clone(), done: Vec::new() })?;
        }
        Ok(self.store.write(batch))
    }

    fn persist(
        &self,
        table: &KillTable,
        applied: &AppliedKill,
        target: &KillTarget,
        event: &KillEvent,
    ) -> Option<WriteAck> {
        let ack = applied.changed.then(|| self.write(table, target, Some(event)))?;
        if ack.is_err() {
            self.unconfirmed.failed(target.clone());
        }
        ack.ok()
    }

    fn add_evidence(&self, target: &KillTarget, table: &KillTable) {
        match self.write(table, target, None) {
            Ok(ack) => self.unconfirmed.pending(target.clone(), ack),
            Err(_) => self.unconfirmed.failed(target.clone()),
        }
    }
}

/// An event that waits for hooks, by its generation.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct QueuedEvent {
    /// What the hooks are notified of.
    pub event: KillEvent,
    /// The names of the hooks that have been notified, or given up on.
    pub done: Vec<String>,
}

impl StoreRow for QueuedEvent {
    const TABLE: StoreTable = StoreTable::HookQueue;
}

debug_fields!(KillSwitch: store);

/// Puts the kills of the table in force at these gates.
pub(super) fn apply_kills(gates: &[Arc<VendorGate>], table: &KillTable) {
    for gate in gates {
        gate.set_active(table.entry(&KillTarget::Vendor(gate.vendor().clone())).kills.iter().cloned());
    }
}

pub(super) fn state(table: &KillTable, target: &KillTarget) -> KillState {
    KillState::of(table.entry(target).kills.iter().map(|kill| &**kill))
}

const fn add(sum: [usize; 2], part: [usize; 2]) -> [usize; 2] {
    [sum[0] + part[0], sum[1] + part[1]]
}

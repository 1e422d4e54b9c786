//! The switch: a table of what stands against whom, and the hand that severs.
//!
//! An order first refuses what is new, then severs what is in flight, then hands the state to the disk; the caller
//! waits for both in [`Severing::finish`]. Nothing that can fail or wait stands before the severing: a full disk, a
//! hook or a dead fleet never delays it. A restore goes the other way: durable first, then open. Never reads the
//! traffic, and decides nothing but whether a kill stands.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use super::answer::{KillError, LoadError, Preview, State, VendorStatus};
use super::drill::DrillReport;
use super::event::{Event, Witness};
use super::in_flight::InFlight;
use super::latch::Latch;
use super::ledger::{KillsRow, Ledger, Struck};
use super::line::Line;
use super::order::{Evidence, Order, Origin, Reach, Subject};
use super::schedule::Schedule;
use super::severing::Severing;
use super::unwritten::Unwritten;
use crate::model::{Clock, Moment, VendorId};
use crate::store::{Ack, Batch, Row, RowError, Store, StoreError, Table};

/// Who the gateway is when it acts by itself.
pub const GATEWAY: &str = "vendorgate";

/// The kill switch of this gateway. Shared by everything, behind one `Arc`.
pub struct Switch {
    pub(super) clock: Clock,
    pub(super) store: Store,
    pub(super) witness: Witness,
    pub(super) schedule: Schedule,
    pub(super) unwritten: Arc<Unwritten>,
    /// Locked before `lines`, never after.
    ledger: Mutex<Ledger>,
    lines: RwLock<BTreeMap<VendorId, Arc<Line>>>,
    /// Whether events are queued for hooks.
    outbox: AtomicBool,
}

impl Switch {
    /// The switch as it was left: every stored kill stands before this returns.
    ///
    /// # Errors
    /// [`LoadError`] when the kills cannot be read; the caller then takes [`Switch::all_killed`].
    pub fn load(store: Store, clock: Clock, witness: Witness) -> Result<Self, LoadError> {
        let rows = store.range::<KillsRow>(b"", None, usize::MAX)?;
        let ledger = Ledger::load(rows)?;
        let schedule = Schedule::load(&store)?;
        Ok(Self::with(store, clock, witness, ledger, schedule))
    }

    /// The switch for whatever came of opening the state: as it was left, or with everything killed where that cannot
    /// be read. In the second case state is in memory alone, and stays so until a person has moved the folder away or
    /// put a good one in its place: what they restore holds until the process ends.
    ///
    /// # Errors
    /// [`StoreError`] where the process must not start at all: another one holds the state, or memory fails too.
    pub fn start(opened: Result<Store, StoreError>, clock: Clock, witness: Witness) -> Result<Self, StoreError> {
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
    pub fn all_killed(store: Store, clock: Clock, witness: Witness, why: &str) -> Self {
        let switch = Self::with(store, clock, witness, Ledger::default(), Schedule::default());
        let order = Order {
            subject: Subject::Everything,
            reach: Reach::default(),
            origin: Origin::StateUnreadable,
            by: GATEWAY.to_owned(),
            reason: why.to_owned(),
            evidence: None,
            at: switch.clock.now(),
        };
        // Everything is always known, so there is nothing to refuse and nobody to wait for.
        drop(switch.kill(order));
        switch
    }

    /// A vendor's line, made when it is first asked for. Take it at load, not per request.
    pub fn line(&self, vendor: &VendorId) -> Arc<Line> {
        // The ledger first, so that no kill falls between the reading of it and the line's first appearance.
        let ledger = self.ledger();
        let mut lines = self.lines.write().unwrap_or_else(PoisonError::into_inner);
        let line = lines.entry(vendor.clone()).or_insert_with(|| {
            let line = Line::new(vendor.clone());
            line.stand(ledger.entry(&Subject::Vendor(vendor.clone())).kills.iter().cloned());
            Arc::new(line)
        });
        Arc::clone(line)
    }

    /// Kills. When this returns, nothing new is let in and all that was in flight has been told to leave.
    ///
    /// Does not wait, so the hot path may call it. The same order again changes nothing but the evidence.
    ///
    /// # Errors
    /// [`KillError::UnknownVendor`].
    pub fn kill(&self, order: Order) -> Result<Severing, KillError> {
        let mut ledger = self.ledger();
        self.require_known(&ledger, &order.subject)?;
        let struck = ledger.kill(&order);
        Ok(self.sever(order, struck, ledger, None))
    }

    pub(super) fn sever(
        &self,
        order: Order,
        struck: Struck,
        ledger: MutexGuard<'_, Ledger>,
        spared: Option<&InFlight>,
    ) -> Severing {
        let lines = self.lines_of(&order.subject);
        stand(&lines, &ledger);
        let refused = self.clock.now();
        let latch = Latch::new();
        let severed = lines.iter().map(|line| line.sever(&struck.kill, &latch, spared)).sum();
        latch.count_down();
        let event = Event::kill(&order, &struck.kill, struck.is_new, severed);
        let ack = self.keep(&ledger, &struck, &order.subject, &event);
        drop(ledger);
        (self.witness)(&event);
        Severing::new(self, order, struck.kill, severed, latch, ack, refused)
    }

    /// Kills by the gateway's own hand, on evidence. Never waits and never fails: made for the middle of a body. Of a
    /// thousand streams that trip at once the first severs them all, and the others only add to the evidence.
    ///
    /// `spared` is the request whose own meter has ended it, and that shall still get what its budget had room for.
    pub fn trip(&self, vendor: &VendorId, evidence: Evidence, spared: Option<&InFlight>, now: Moment) {
        let order = Order {
            subject: Subject::Vendor(vendor.clone()),
            reach: Reach::default(),
            origin: Origin::Trip,
            by: GATEWAY.to_owned(),
            reason: evidence.kind.clone(),
            evidence: Some(evidence),
            at: now,
        };
        let mut ledger = self.ledger();
        // A vendor without a line has nothing to trip on.
        if self.require_known(&ledger, &order.subject).is_err() {
            return;
        }
        let struck = ledger.kill(&order);
        if struck.is_new {
            // What was severed leaves by itself, and the write is looked after.
            drop(self.sever(order, struck, ledger, spared));
        } else if struck.changed {
            self.add_evidence(&order.subject, &ledger);
        }
    }

    /// What a kill would cut now.
    ///
    /// # Errors
    /// [`KillError::UnknownVendor`].
    pub fn preview(&self, subject: &Subject, reach: Reach) -> Result<Preview, KillError> {
        let ledger = self.ledger();
        self.require_known(&ledger, subject)?;
        let counts = self.lines_of(subject).iter().map(|line| line.count(&reach)).fold([0, 0], add);
        Ok(Preview {
            vendor: subject.as_str().to_owned(),
            state: state(&ledger, subject),
            dry_run: true,
            ingress: counts[0],
            egress: counts[1],
            reach,
        })
    }

    /// Every vendor at a glance, by name: those with a line, and those against whom anything ever stood.
    pub fn status(&self) -> Vec<VendorStatus> {
        let mut all = self.at_a_glance();
        // The disk is asked when no lock is held that a kill wants.
        for status in &mut all {
            status.last_drill = DrillReport::last(&self.store, &status.vendor);
        }
        all
    }

    /// Whether everything is killed because state could not be read and nobody has decided yet: not ready.
    pub fn is_undecided(&self) -> bool {
        let ledger = self.ledger();
        ledger.entry(&Subject::Everything).kills.iter().any(|kill| kill.origin == Origin::StateUnreadable)
    }

    /// From now on, kills and restores are queued for hooks, in the same write as the change itself.
    pub fn queue_for_hooks(&self, wanted: bool) {
        self.outbox.store(wanted, Ordering::Relaxed);
    }

    fn with(store: Store, clock: Clock, witness: Witness, ledger: Ledger, schedule: Schedule) -> Self {
        Self {
            clock,
            store,
            witness,
            schedule,
            unwritten: Arc::default(),
            ledger: Mutex::new(ledger),
            lines: RwLock::default(),
            outbox: AtomicBool::new(false),
        }
    }

    fn at_a_glance(&self) -> Vec<VendorStatus> {
        let ledger = self.ledger();
        let lines = self.lines.read().unwrap_or_else(PoisonError::into_inner);
        let mut vendors: Vec<_> = lines.keys().chain(ledger.vendors()).collect();
        vendors.sort_unstable();
        vendors.dedup();
        vendors.into_iter().map(|vendor| self.status_of(&ledger, lines.get(vendor), vendor)).collect()
    }

    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn lines_of(&self, subject: &Subject) -> Vec<Arc<Line>> {
        let lines = self.lines.read().unwrap_or_else(PoisonError::into_inner);
        match subject {
            Subject::Vendor(vendor) => lines.get(vendor).cloned().into_iter().collect(),
            Subject::Everything => lines.values().cloned().collect(),
        }
    }

    pub(super) fn require_known(&self, ledger: &Ledger, subject: &Subject) -> Result<(), KillError> {
        let known = match subject {
            Subject::Vendor(vendor) => ledger.knows(vendor) || !self.lines_of(subject).is_empty(),
            Subject::Everything => true,
        };
        if known { Ok(()) } else { Err(KillError::UnknownVendor) }
    }

    /// Writes a subject's rows, and its event where hooks want it.
    pub(super) fn write(&self, ledger: &Ledger, subject: &Subject, event: Option<&Event>) -> Result<Ack, RowError> {
        let mut batch = Batch::new();
        ledger.write(subject, &mut batch)?;
        if let Some(event) = event.filter(|event| event.is_for_hooks() && self.outbox.load(Ordering::Relaxed)) {
            batch.put(&event.generation.to_be_bytes(), &QueuedEvent { event: event.clone(), done: Vec::new() })?;
        }
        Ok(self.store.write(batch))
    }

    fn keep(&self, ledger: &Ledger, struck: &Struck, subject: &Subject, event: &Event) -> Option<Ack> {
        let ack = struck.changed.then(|| self.write(ledger, subject, Some(event)))?;
        if ack.is_err() {
            self.unwritten.failed(subject.clone());
        }
        ack.ok()
    }

    fn add_evidence(&self, subject: &Subject, ledger: &Ledger) {
        match self.write(ledger, subject, None) {
            Ok(ack) => self.unwritten.pending(subject.clone(), ack),
            Err(_) => self.unwritten.failed(subject.clone()),
        }
    }

    fn status_of(&self, ledger: &Ledger, line: Option<&Arc<Line>>, vendor: &VendorId) -> VendorStatus {
        let subject = Subject::Vendor(vendor.clone());
        let entry = ledger.entry(&subject);
        let in_flight = line.map_or([0, 0], |line| line.in_flight());
        VendorStatus {
            vendor: vendor.as_str().to_owned(),
            state: state(ledger, &subject),
            kills: entry.kills.iter().map(|kill| (**kill).clone()).collect(),
            approvals: entry.approvals.clone(),
            ingress_in_flight: in_flight[0],
            egress_in_flight: in_flight[1],
            severed_total: line.map_or(0, |line| line.severed_total()),
            persisted: self.store.is_durable() && !self.unwritten.holds(&subject),
            last_drill: None,
        }
    }
}

/// An event that waits for hooks, by its generation.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct QueuedEvent {
    /// What they are told.
    pub event: Event,
    /// The hooks that have been told, or given up on.
    pub done: Vec<String>,
}

impl Row for QueuedEvent {
    const TABLE: Table = Table::HOOK_QUEUE;
    const VERSION: u8 = 1;
}

impl fmt::Debug for Switch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Switch").field("store", &self.store).finish_non_exhaustive()
    }
}

/// Makes the lines refuse what the ledger says.
pub(super) fn stand(lines: &[Arc<Line>], ledger: &Ledger) {
    for line in lines {
        line.stand(ledger.entry(&Subject::Vendor(line.vendor().clone())).kills.iter().cloned());
    }
}

pub(super) fn state(ledger: &Ledger, subject: &Subject) -> State {
    State::of(ledger.entry(subject).kills.iter().map(|kill| &**kill))
}

const fn add(sum: [usize; 2], part: [usize; 2]) -> [usize; 2] {
    [sum[0] + part[0], sum[1] + part[1]]
}

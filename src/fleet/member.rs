//! This gateway as a member of its fleet: the engine, what is known of the others, and the thread that keeps both.

use std::io;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use tokio::sync::{Notify, watch};

use super::engine::FleetEngine;
use super::stream_id::StreamId;
use super::{FleetNode, FleetSettings, FleetView, HeartbeatPart, OnFleetLoss, SharedTable};
use crate::bounds::FLEET_RESPONSE_DEADLINE;
use crate::meter::{KnownFleet, LeaseBook, OnLoss};
use crate::model::{Clock, Lock as _, debug_fields, hex};

/// This gateway's seat in the fleet. Shared by everything, behind one `Arc`.
pub struct FleetMember {
    settings: Arc<FleetSettings>,
    clock: Clock,
    engine: FleetEngine,
    view: FleetView,
    /// Drawn at the start: it tells this process from another one with the same name.
    instance: String,
    /// The budgets that the gateways share.
    leases: Arc<LeaseBook>,
    parts: Mutex<Vec<Arc<dyn HeartbeatPart>>>,
    shared: SharedTable,
    /// The newest place of the stream that holds something of this gateway.
    published: watch::Sender<StreamId>,
    /// Whether everything was here once.
    synced: watch::Sender<bool>,
    /// Says that something may have been missed.
    resync: Notify,
    /// The version that the heartbeat before found this gateway at, where that was behind.
    lagged: Mutex<Option<u64>>,
    closing: watch::Sender<bool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

debug_fields!(FleetMember: settings);

impl FleetMember {
    /// A member that has not begun yet. `known` is what an earlier run knew of the fleet.
    pub fn new(settings: FleetSettings, known: KnownFleet, clock: Clock, shared: SharedTable) -> Arc<Self> {
        let (settings, instance) = (Arc::new(settings), drawn_name());
        let on_loss = match settings.on_loss {
            OnFleetLoss::Share => OnLoss::Share,
            OnFleetLoss::Deny => OnLoss::Deny,
        };
        let run = format!("{}#{instance}", settings.node);
        let leases = LeaseBook::new(run.into(), on_loss, known, clock.now().monotonic_ns);
        Arc::new(Self {
            engine: FleetEngine::new(&settings),
            settings,
            clock,
            view: FleetView::default(),
            instance,
            leases,
            parts: Mutex::default(),
            shared,
            published: watch::Sender::default(),
            synced: watch::Sender::new(false),
            resync: Notify::new(),
            lagged: Mutex::default(),
            closing: watch::Sender::new(false),
            thread: Mutex::default(),
        })
    }

    /// Adds a part to the heartbeat. Call it before [`Self::start`].
    pub fn join(&self, part: Arc<dyn HeartbeatPart>) {
        self.parts.locked().push(part);
    }

    /// Begins: a thread of its own connects and beats, so that nothing on the other threads can hold a kill up.
    ///
    /// # Errors
    /// Where the thread cannot be started.
    pub fn start(self: &Arc<Self>) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let me = Arc::clone(self);
        let run = move || runtime.block_on(me.run());
        *self.thread.locked() = Some(std::thread::Builder::new().name("vg-fleet".to_owned()).spawn(run)?);
        Ok(())
    }

    /// Leaves the fleet and ends the thread. Blocks for half a second at most.
    pub fn close(&self) {
        let _ = self.closing.send(true);
        if let Some(thread) = self.thread.locked().take() {
            // A panic of the thread was printed when it happened.
            let _ = thread.join();
        }
    }

    /// The engine, for scripts.
    pub const fn engine(&self) -> &FleetEngine {
        &self.engine
    }

    /// What was last heard of the fleet.
    pub const fn view(&self) -> &FleetView {
        &self.view
    }

    /// Waits until everything that the fleet shares was here once.
    pub async fn synced(&self) {
        let mut synced = self.synced.subscribe();
        // An error is the end of the member, which nobody waits for.
        let _ = synced.wait_for(|synced| *synced).await;
    }

    pub(super) fn note_sync(&self) {
        self.synced.send_if_modified(|synced| !std::mem::replace(synced, true));
    }

    /// Whether another process has this gateway's name: it was heard of under the name with another instance.
    pub fn is_name_taken(&self, node: &FleetNode) -> bool {
        node.name == self.settings.node && node.instance != self.instance
    }

    /// What the gateways share.
    pub const fn shared(&self) -> &SharedTable {
        &self.shared
    }

    pub(super) fn note_published(&self, last: StreamId) {
        let _ = self.published.send_replace(last);
    }

    pub(super) fn last_published(&self) -> watch::Receiver<StreamId> {
        self.published.subscribe()
    }

    pub(super) fn want_resync(&self) {
        self.resync.notify_one();
    }

    pub(super) async fn resync_wanted(&self) {
        self.resync.notified().await;
    }

    /// Notes that a heartbeat has found this gateway behind; true where the one before has found it at the same place.
    pub(super) fn note_lag(&self, version: u64) -> bool {
        self.lagged.locked().replace(version) == Some(version)
    }

    /// The budgets that the gateways share.
    pub const fn leases(&self) -> &Arc<LeaseBook> {
        &self.leases
    }

    /// The fleet's settings.
    pub fn settings(&self) -> &FleetSettings {
        &self.settings
    }

    pub(super) const fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(super) const fn instance(&self) -> &String {
        &self.instance
    }

    pub(super) fn parts(&self) -> Vec<Arc<dyn HeartbeatPart>> {
        self.parts.locked().clone()
    }

    async fn run(&self) {
        let mut closing = self.closing.subscribe();
        tokio::select! {
            () = self.engine.keep_connected() => {}
            () = self.beat() => {}
            () = self.send_news() => {}
            () = self.read_news() => {}
            () = self.keep_leases() => {}
            () = self.keep_shares() => {}
            _ = closing.wait_for(|closing| *closing) => {}
        }
        // The connection's task goes on until the runtime is dropped.
        let _ = tokio::time::timeout(FLEET_RESPONSE_DEADLINE, self.leave()).await;
    }
}

/// A name that no other process has.
fn drawn_name() -> String {
    let mut bytes = [0; 8];
    // Without randomness two processes of one name are not told apart, which changes no decision.
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    hex(&bytes)
}

//! Starting, running and stopping.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use rustls::ClientConfig;
use tokio::sync::{Semaphore, watch};

use super::admin_listeners::{AdminListeners, AdminThreads, report_slots};
use super::audit_trail::AuditOpenError;
use super::bound_listeners::BoundListeners;
use super::control::{GatewayControl, ReloadCause, TlsHandles, shadow};
use super::credential_store::StoredCredentials;
use super::persistent_state::{PersistentState, open_authority, open_state};
use super::webhook_sender::HookError;
use super::{
    approvers, budgets, carry_over, certificate_ends, descriptors, egress_authority, fleet, maintenance,
    observation_store, offline_kills, reconcile,
};
use crate::bounds;
use crate::config::{GatewaySettings, MasterKeyLocation};
use crate::exposure;
use crate::gateway::{AssembleError, AuthorityEpoch, Gateway, GatewayServices, LastGoodStore, assemble};
use crate::http::{ClientError, SlotPool, client_tls, native_roots};
use crate::interception::InterceptionError;
use crate::listener::{PassedSockets, TlsError, Worker, WorkerPulse};
use crate::model::Clock;
use crate::pii::MasterKeys;
use crate::pii::keys::{KeyError, SaltFolder};
use crate::store::StoreError;
use crate::telemetry::{ExchangeLog, ListenerGroup, Metrics, RecentFailures};
use crate::upstream::SocketBudget;

/// How to start, beside the config.
#[derive(Debug)]
pub struct ServerOptions {
    /// The main file, for reloads.
    pub main: PathBuf,
    /// Threads that serve: one for each core, unless a test wants another number.
    pub workers: usize,
    /// Where each exchange gets its line.
    pub exchange_log: ExchangeLog,
    /// The clock of all decisions: the machine's, unless a test chooses the time.
    pub clock: Clock,
    /// What a service manager has opened for the listeners.
    pub sockets: PassedSockets,
}

/// Where a running gateway listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ListenAddresses {
    /// Where vendors call.
    pub ingress: Option<SocketAddr>,
    /// Where our services call vendors.
    pub egress: Option<SocketAddr>,
    /// Where operators and probes call.
    pub admin: Option<SocketAddr>,
}

/// Why a gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The state folder is another process's, or cannot be made.
    #[error("the state in {path} cannot be used", path = path.display())]
    State {
        /// The state folder.
        path: PathBuf,
        /// Why it cannot be used.
        #[source]
        source: StoreError,
    },
    /// The master key cannot be read.
    #[error("the master key cannot be read")]
    Keys(#[source] KeyError),
    /// What identity remembers cannot be read.
    #[error("the state of tokens and keys cannot be read")]
    Identity(#[source] io::Error),
    /// The config cannot be put in force.
    #[error("the config cannot be put in force")]
    Assemble(#[from] AssembleError),
    /// The audit trail cannot be kept.
    #[error("the audit trail cannot be kept")]
    Audit(#[from] AuditOpenError),
    /// A hook's secret cannot be read.
    #[error("a hook cannot be set up")]
    Hook(#[from] HookError),
    /// The client that sends webhooks cannot be made.
    #[error("webhooks cannot be sent")]
    Webhooks(#[source] ClientError),
    /// TLS towards upstreams cannot be set up.
    #[error("TLS towards upstreams cannot be set up")]
    UpstreamTls(#[source] rustls::Error),
    /// A listener's TLS cannot be made.
    #[error("the {name} listener has no TLS")]
    Tls {
        /// The listener's name.
        name: &'static str,
        /// Why its TLS cannot be made.
        #[source]
        source: TlsError,
    },
    /// The authority of interception cannot be used.
    #[error("the authority of listeners.egress.interception cannot be used")]
    Interception(#[from] InterceptionError),
    /// An address cannot be bound.
    #[error("cannot listen on {address} ({name})")]
    Bind {
        /// The listener's name.
        name: &'static str,
        /// The address of the config.
        address: SocketAddr,
        /// Why it cannot be bound.
        #[source]
        source: io::Error,
    },
    /// A Unix socket cannot be bound.
    #[error("cannot listen on {path} (egress)", path = path.display())]
    Socket {
        /// The path of the config.
        path: PathBuf,
        /// Why it cannot be bound.
        #[source]
        source: io::Error,
    },
    /// The thread of the fleet cannot be started.
    #[error("the fleet cannot be joined")]
    Fleet(#[source] io::Error),
    /// A socket of the service manager is of no use.
    #[error(
        "the service manager passed a socket on {address}, which is the address of no listener; \
         write this address in listeners, or remove it from the socket unit"
    )]
    PassedSocket {
        /// Where it listens.
        address: String,
    },
    /// A thread cannot be started.
    #[error("cannot start a worker")]
    Worker(#[source] io::Error),
    /// The metrics contradict themselves, which a test excludes.
    #[error("the metrics cannot be registered")]
    Metrics(#[source] prometheus::Error),
}

/// Whether a gateway is alive.
#[derive(Debug)]
pub struct ServerPulse(Vec<WorkerPulse>);

impl ServerPulse {
    /// Returns once each worker has run something new. One that hangs or has ended never does.
    pub async fn answers(&self) {
        for worker in &self.0 {
            worker.answers().await;
        }
    }
}

/// A running gateway. Dropping it without [`Server::drain`] leaves its workers to the end of the process.
#[derive(Debug)]
pub struct Server {
    addresses: ListenAddresses,
    control: Arc<GatewayControl>,
    workers: Vec<Worker>,
    admin_threads: AdminThreads,
    drain: watch::Sender<bool>,
    /// Ends the admin listener, which answers until the last worker has ended.
    closed: watch::Sender<bool>,
    deadline: Duration,
}

impl Server {
    /// Starts everything. Call it on a current-thread runtime that goes on running: the control plane lives there.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left running then.
    pub async fn start(config: GatewaySettings, options: ServerOptions) -> Result<Self, StartError> {
        let clock = options.clock;
        let metrics = Metrics::new(clock.clone()).map_err(StartError::Metrics)?;
        let shares = descriptors::claim(options.workers);
        let descriptors = Arc::new(Semaphore::new(shares.sockets));
        let slots = SlotPool::with_shared(shares.connections, Some(Arc::clone(&descriptors)));
        let PersistentState { store, switch, audit, hooks } = open_state(&config, &clock)?;
        let failed = |source| StartError::State { path: config.state.path.clone(), source };
        // Every kill is in force before anything is served: those that only the audit trail knows, those that were left
        // as files for a gateway that was down, and those that a vendor's new name would lose.
        reconcile::reconcile(&config, &switch, clock.now())?;
        for begun in offline_kills::HandledFiles::default().begin(
            &switch,
            offline_kills::read_all(&config.state.path),
            clock.now(),
        ) {
            begun.finish().await;
        }
        carry_over::carry_over(&config, &store, &switch, clock.now()).map_err(failed)?;
        approvers::record(&store, &config.operators, clock.now().wall).map_err(failed)?;
        let authority = open_authority(&store, &clock, &switch)?;
        let fleet = fleet::join(&config, &store, &switch, &authority, &audit, &clock).await?;
        let keys = master_keys(config.keys.master.as_ref())?;
        let rooms = GatewayServices {
            switch: Arc::clone(&switch),
            metrics: metrics.clone(),
            exposure: Arc::new(exposure::ExposureCounters::new(clock.now().wall)),
            observations: observation_store::load(&store),
            authority,
            salts: SaltFolder::new(config.state.path.join("salts")),
            tls: upstream_tls()?,
            sockets: SocketBudget::new(shares.upstreams, descriptors),
            own_addresses: Arc::default(),
            last_good: Arc::new(LastGoodStore::default()),
            workers: options.workers,
            credentials: Arc::new(StoredCredentials(store.clone())),
            clock: clock.clone(),
        };
        let snapshot = assemble(&config, &keys, &rooms, None, clock.now())?;
        for vendor in snapshot.vendors() {
            budgets::restore(vendor, &store, &switch, clock.now());
            if let Some(fleet) = &fleet {
                vendor.ledgers.join_fleet(fleet.member.leases(), vendor.id(), clock.now());
            }
        }
        fleet.iter().for_each(|fleet| fleet.member.leases().started());
        metrics.config_generation(snapshot.generation);
        certificate_ends::expose(&config, &metrics);
        snapshot.directory().start(&tokio::runtime::Handle::current());
        snapshot.start_credentials(&tokio::runtime::Handle::current());
        snapshot.directory().warm(bounds::ISSUER_WARM_UP).await;
        let interceptor = egress_authority::open(&config, None)?;
        let gateway = Arc::new(Gateway {
            clock: clock.clone(),
            metrics: metrics.clone(),
            exchange_log: options.exchange_log,
            failures: RecentFailures::default(),
            stopping: AtomicBool::new(false),
            audit,
            switch,
            spools: SlotPool::new(bounds::WEBHOOK_SPOOLS_MAX),
            snapshot: ArcSwap::from_pointee(snapshot),
            unknown_destinations: Arc::default(),
            own_addresses: Arc::clone(&rooms.own_addresses),
            interception: ArcSwapOption::from(interceptor),
            authority_epoch: AuthorityEpoch::default(),
        });
        let (drain, draining) = watch::channel(false);
        let deadline = config.drain.deadline;
        let mut passed = options.sockets;
        let bound = BoundListeners::bind(&config, options.workers, &mut passed)?;
        let admin = AdminListeners::open(&config, &mut passed).await?;
        passed.first_left().map_or(Ok(()), |address| Err(StartError::PassedSocket { address }))?;
        let mut addresses = bound.addresses;
        addresses.admin = admin.address();
        let own = [addresses.ingress, addresses.egress, addresses.admin];
        rooms.own_addresses.set(own.into_iter().flatten());
        if config.listeners.egress.as_ref().is_some_and(|egress| egress.transparent) {
            rooms.own_addresses.remember_dials();
        }
        let fronts = bound.fronts.clone();
        let workers = bound.spawn(&slots, &gateway, &draining, deadline)?;
        let tls = TlsHandles { fronts, admin_tls: admin.tls() };
        let control = GatewayControl::new(options.main, config, gateway, rooms, store, hooks, tls, fleet);
        let (closed, closing) = watch::channel(false);
        if let Some(fleet) = &control.fleet {
            fleet.control(&control);
        }
        control.import_pending_audit().await;
        maintenance::report_to(&metrics, &control);
        maintenance::start(&control, &closing);
        report_slots(&metrics, ListenerGroup::Data, &slots);
        fleet::report_to(&metrics, &control);
        shadow::report_to(&metrics, &control.gateway.unknown_destinations);
        let threads = admin.serve(&control, &metrics, &clock, &closing, shares.operators).await?;
        Ok(Self { addresses, control, workers, admin_threads: threads, drain, closed, deadline })
    }

    /// Where it listens.
    pub const fn addresses(&self) -> ListenAddresses {
        self.addresses
    }

    /// Tells whether the workers run, as long as the server does.
    pub fn pulse(&self) -> ServerPulse {
        ServerPulse(self.workers.iter().map(Worker::pulse).collect())
    }

    /// Reads the config again and puts it in force, or changes nothing.
    ///
    /// # Errors
    /// What is wrong with the new config, a line each.
    pub async fn reload(&self) -> Result<(), Vec<String>> {
        self.control.reload_files(ReloadCause::Signal).await.map(|_| ())
    }

    /// Accepts nothing more, lets what is in flight finish within the deadline, and ends the workers.
    pub async fn drain(self) {
        self.control.set_draining();
        // From here on `/readyz` answers that the gateway is not ready.
        let _ = self.drain.send(true);
        let workers = self.workers;
        let joined = tokio::task::spawn_blocking(move || workers.into_iter().for_each(Worker::join));
        // The workers keep the deadline themselves; the margin is for their threads to end.
        let _ = tokio::time::timeout(self.deadline + Duration::from_secs(5), joined).await;
        maintenance::write_last(&self.control).await;
        if let Some(fleet) = self.control.fleet.clone() {
            // The fleet's thread waits half a second at most for the engine.
            let _ = tokio::task::spawn_blocking(move || fleet.member.close()).await;
        }
        let _ = self.closed.send(true);
        let threads = self.admin_threads;
        // They keep a deadline themselves; the margin is for their threads to end.
        let joined = tokio::task::spawn_blocking(move || threads.join());
        let _ = tokio::time::timeout(bounds::ADMIN_CLOSE_DEADLINE + Duration::from_secs(1), joined).await;
    }
}

/// The master keys; random ones where no contract needs any, since the config demands some from those that do.
pub(super) fn master_keys(place: Option<&MasterKeyLocation>) -> Result<MasterKeys, StartError> {
    match place {
        Some(place) => place.source().load().map_err(StartError::Keys),
        None => MasterKeys::generate().map_err(StartError::Keys),
    }
}

/// TLS towards upstreams: the machine's own authorities.
fn upstream_tls() -> Result<Arc<ClientConfig>, StartError> {
    let roots = native_roots();
    if roots.is_empty() {
        tracing::warn!("this machine has no certificate authorities: no https upstream can be verified");
    }
    client_tls(roots, None).map(Arc::new).map_err(StartError::UpstreamTls)
}

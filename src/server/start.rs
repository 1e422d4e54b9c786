//! Starting, running and stopping.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::ClientConfig;
use tokio::sync::{Semaphore, watch};

use super::control::{Doors, Helm};
use super::deliver::{HookError, Postman};
use super::durable::Durable;
use super::evidence::EvidenceError;
use super::office::{Office, Staff, told_at_scrapes};
use super::{approvers, budgets, chores, deliver, descriptors, evidence, left, matched, recollect};
use crate::bounds;
use crate::config::{Config, Listener, MasterKeyPlace};
use crate::exposure;
use crate::gateway::{AssembleError, Gateway, Ground, Rooms, assemble};
use crate::http::{FetchError, Slots, native_roots};
use crate::identity::Authority;
use crate::kill::{Event, Hooks, Switch, Witness, tell_all, tell_audit};
use crate::listener::{self, Front, Patience, TlsError, Worker};
use crate::model::{Clock, Direction};
use crate::pii::KeyRing;
use crate::pii::keys::{KeyError, SaltFolder};
use crate::store::{Store, StoreError};
use crate::telemetry::audit::Audit;
use crate::telemetry::{ExchangeLog, Failures, Listeners, Metrics};
use crate::upstream::Sockets;

/// How to start, beside the config.
#[derive(Debug)]
pub struct Options {
    /// The main file, for reloads.
    pub main: PathBuf,
    /// Threads that serve: one for each core, unless a test wants another number.
    pub workers: usize,
    /// Where each exchange gets its line.
    pub exchange_log: ExchangeLog,
}

/// Where a running gateway listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Addresses {
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
        /// The folder.
        path: PathBuf,
        /// Why.
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
    Audit(#[from] EvidenceError),
    /// A hook's secret cannot be read.
    #[error("a hook cannot be told")]
    Hook(#[from] HookError),
    /// The client that sends webhooks cannot be made.
    #[error("webhooks cannot be sent")]
    Webhooks(#[source] FetchError),
    /// A listener's TLS cannot be made.
    #[error("the {name} listener has no TLS")]
    Tls {
        /// Which listener.
        name: &'static str,
        /// Why.
        #[source]
        source: TlsError,
    },
    /// An address cannot be bound.
    #[error("cannot listen on {address} ({name})")]
    Bind {
        /// Which listener.
        name: &'static str,
        /// Its address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A thread cannot be started.
    #[error("cannot start a worker")]
    Worker(#[source] io::Error),
    /// The metrics contradict themselves, which a test excludes.
    #[error("the metrics cannot be registered")]
    Metrics(#[source] prometheus::Error),
}

/// A running gateway. Dropping it without [`Server::drain`] leaves its workers to the end of the process.
#[derive(Debug)]
pub struct Server {
    addresses: Addresses,
    helm: Arc<Helm>,
    workers: Vec<Worker>,
    staff: Staff,
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
    pub async fn start(config: Config, options: Options) -> Result<Self, StartError> {
        let clock = Clock::system();
        let metrics = Metrics::new(clock.clone()).map_err(StartError::Metrics)?;
        let shares = descriptors::claim(options.workers);
        let descriptors = Arc::new(Semaphore::new(shares.sockets));
        let slots = Slots::sharing(shares.connections, Some(Arc::clone(&descriptors)));
        let State { store, switch, audit, hooks } = open_state(&config, &clock)?;
        let failed = |source| StartError::State { path: config.state.path.clone(), source };
        // Whoever is cut off is so before anything is served: by a trail that knows more than the state, by an order that
        // was left for a gateway that was down, and by another name.
        recollect::compare(&config, &switch, clock.now())?;
        for begun in left::Carried::default().begin(&switch, left::look(&config.state.path), clock.now()) {
            begun.finish().await;
        }
        matched::take_over(&config, &store, &switch, clock.now()).map_err(failed)?;
        approvers::note(&store, &config.operators, clock.now().wall).map_err(failed)?;
        let authority = open_authority(&store, &clock, &switch)?;
        let keys = master_keys(config.keys.master.as_ref())?;
        let rooms = Rooms {
            switch: Arc::clone(&switch),
            metrics: metrics.clone(),
            exposure: Arc::new(exposure::Ledger::new(clock.now().wall)),
            authority,
            salts: SaltFolder::new(config.state.path.join("salts")),
            tls: upstream_tls(),
            sockets: Sockets::new(shares.upstreams, descriptors),
            workers: options.workers,
        };
        let snapshot = assemble(&config, &keys, &rooms, None, clock.now())?;
        for vendor in snapshot.vendors() {
            budgets::take_up(vendor, &store, &switch, clock.now());
        }
        metrics.config_generation(snapshot.generation);
        snapshot.directory().start(&tokio::runtime::Handle::current());
        snapshot.directory().warm(bounds::ISSUER_WARM_UP).await;
        let gateway = Arc::new(Gateway {
            clock: clock.clone(),
            metrics: metrics.clone(),
            exchange_log: options.exchange_log,
            failures: Failures::default(),
            stopping: AtomicBool::new(false),
            audit,
            switch,
            spools: Slots::new(bounds::WEBHOOK_SPOOLS_MAX),
            snapshot: ArcSwap::from_pointee(snapshot),
            ground: Ground::default(),
        });
        let (drain, draining) = watch::channel(false);
        let deadline = config.drain.deadline;
        let bound = bind_all(&config, options.workers)?;
        let office = Office::open(&config).await?;
        let mut addresses = bound.addresses;
        addresses.admin = office.address();
        let fronts = bound.fronts.clone();
        let workers = bound.spawn(&slots, &gateway, &draining, deadline)?;
        let doors = Doors { fronts, admin_tls: office.tls() };
        let helm = Helm::new(options.main, config, gateway, rooms, store, hooks, doors);
        let (closed, closing) = watch::channel(false);
        helm.take_notes().await;
        chores::report_to(&metrics, &helm);
        chores::start(&helm, &closing);
        told_at_scrapes(&metrics, Listeners::Data, &slots);
        let staff = office.serve(&helm, &metrics, &clock, &closing, shares.operators).await?;
        Ok(Self { addresses, helm, workers, staff, drain, closed, deadline })
    }

    /// Where it listens.
    pub const fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Reads the config again and puts it in force, or changes nothing.
    ///
    /// # Errors
    /// What is wrong with the new config, a line each.
    pub async fn reload(&self) -> Result<(), Vec<String>> {
        self.helm.reload(None).await.map(|_| ())
    }

    /// Accepts nothing more, lets what is in flight finish within the deadline, and ends the workers.
    pub async fn drain(self) {
        self.helm.set_draining();
        // Whoever asks whether we are ready hears no from now on.
        let _ = self.drain.send(true);
        let workers = self.workers;
        let joined = tokio::task::spawn_blocking(move || workers.into_iter().for_each(Worker::join));
        // The workers keep the deadline themselves; the margin is for their threads to end.
        let _ = tokio::time::timeout(self.deadline + Duration::from_secs(5), joined).await;
        chores::settle(&self.helm).await;
        let _ = self.closed.send(true);
        let staff = self.staff;
        // They keep a deadline themselves; the margin is for their threads to end.
        let joined = tokio::task::spawn_blocking(move || staff.join());
        let _ = tokio::time::timeout(bounds::ADMIN_CLOSE_DEADLINE + Duration::from_secs(1), joined).await;
    }
}

/// What lasts longer than the process.
struct State {
    store: Store,
    switch: Arc<Switch>,
    audit: Arc<Audit>,
    hooks: Arc<Hooks>,
}

/// The store, the trail and the switch. State that is there and cannot be read kills every vendor until a person decides.
fn open_state(config: &Config, clock: &Clock) -> Result<State, StartError> {
    let path = &config.state.path;
    let failed = |source| StartError::State { path: path.clone(), source };
    let opened = match Store::open(path) {
        // The folder is another process's, and so is the trail in it.
        Err(error) if !error.is_unreadable() => return Err(failed(error)),
        opened => opened,
    };
    let audit = Arc::new(evidence::open(&config.audit, clock)?);
    let told_later: Arc<OnceLock<Witness>> = Arc::default();
    let witnesses = vec![Arc::new(log) as Witness, tell_audit(Arc::clone(&audit)), later(&told_later)];
    let switch = Switch::start(opened, clock.clone(), tell_all(witnesses)).map_err(failed)?;
    if switch.is_undecided() {
        tracing::error!(path = %path.display(), "state cannot be read: every vendor is killed until a person restores it");
    }
    let store = switch.store().clone();
    let postman = Arc::new(Postman::new().map_err(StartError::Webhooks)?);
    let hooks = Hooks::load(store.clone(), postman, clock.clone(), tell_audit(Arc::clone(&audit))).map_err(failed)?;
    let hooks = Arc::new(hooks);
    let _ = told_later.set(hooks.ear());
    hooks.configure(deliver::hooks(&config.hooks)?);
    switch.queue_for_hooks(!config.hooks.is_empty());
    Ok(State { store, switch: Arc::new(switch), audit, hooks })
}

/// Says every kill and restore in the log.
fn log(event: &Event) {
    tracing::warn!(
        act = event.act.as_str(), vendor = %event.vendor, by = %event.by, reason = %event.reason,
        generation = event.generation, severed = event.severed, "kill switch"
    );
}

/// A witness that is there only after the switch: hooks are kept in the store that the switch has chosen.
fn later(witness: &Arc<OnceLock<Witness>>) -> Witness {
    let witness = Arc::clone(witness);
    Arc::new(move |event| {
        if let Some(witness) = witness.get() {
            witness(event);
        }
    })
}

/// Identity with its memory; without one where every vendor is killed anyway.
fn open_authority(store: &Store, clock: &Clock, switch: &Switch) -> Result<Authority, StartError> {
    let opened = if switch.is_undecided() {
        Authority::forgetful(clock.clone())
    } else {
        let durable = Arc::new(Durable(store.clone()));
        Authority::open(clock.clone(), Arc::clone(&durable) as _, durable)
    };
    opened.map_err(StartError::Identity)
}

/// The master keys; random ones where no contract needs any, since the config demands some from those that do.
pub(super) fn master_keys(place: Option<&MasterKeyPlace>) -> Result<KeyRing, StartError> {
    match place {
        Some(place) => place.source().load().map_err(StartError::Keys),
        None => KeyRing::generate().map_err(StartError::Keys),
    }
}

/// TLS towards upstreams: the machine's own authorities.
fn upstream_tls() -> Arc<ClientConfig> {
    let roots = native_roots();
    if roots.is_empty() {
        tracing::warn!("this machine has no certificate authorities: no https upstream can be verified");
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = builder.map(|builder| builder.with_root_certificates(roots.clone()).with_no_client_auth());
    Arc::new(config.unwrap_or_else(|_| ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()))
}

/// Everything bound, nothing served yet.
struct BoundAll {
    addresses: Addresses,
    fronts: Vec<Arc<Front>>,
    sockets: Vec<Vec<(Arc<Front>, std::net::TcpListener)>>,
}

fn bind_all(config: &Config, workers: usize) -> Result<BoundAll, StartError> {
    let mut all = BoundAll {
        addresses: Addresses::default(),
        fronts: Vec::new(),
        sockets: (0..workers).map(|_| Vec::new()).collect(),
    };
    let listeners = &config.listeners;
    all.addresses.ingress = all.bind(Direction::Ingress, listeners.ingress.as_ref())?;
    all.addresses.egress = all.bind(Direction::Egress, listeners.egress.as_ref())?;
    Ok(all)
}

impl BoundAll {
    fn bind(&mut self, direction: Direction, listener: Option<&Listener>) -> Result<Option<SocketAddr>, StartError> {
        let Some(listener) = listener else { return Ok(None) };
        let name = direction.as_str();
        let tls = listener.tls.as_ref().map(|tls| listener::server_config(tls, listener.http2)).transpose();
        let tls = tls.map_err(|source| StartError::Tls { name, source })?;
        let front = Arc::new(Front {
            direction,
            http2: listener.http2,
            tls: tls.map(ArcSwap::new),
            patience: Patience { head: listener.head_timeout, idle: listener.idle_timeout },
            unproven_max: listener.unproven_per_address.get() as usize,
        });
        let bind_error = |source| StartError::Bind { name, address: listener.bind, source };
        let bound = listener::bind(listener.bind, self.sockets.len()).map_err(bind_error)?;
        let address = bound.address();
        for (worker, socket) in self.sockets.iter_mut().zip(bound.into_sockets()) {
            worker.push((Arc::clone(&front), socket));
        }
        self.fronts.push(front);
        Ok(Some(address))
    }

    fn spawn(
        self,
        slots: &Arc<Slots>,
        gateway: &Arc<Gateway>,
        draining: &watch::Receiver<bool>,
        deadline: Duration,
    ) -> Result<Vec<Worker>, StartError> {
        let sockets = self.sockets.into_iter().enumerate();
        let spawn = |(index, fronts)| {
            listener::spawn(index, fronts, Arc::clone(slots), Arc::clone(gateway), draining.clone(), deadline)
        };
        sockets.map(spawn).collect::<io::Result<_>>().map_err(StartError::Worker)
    }
}

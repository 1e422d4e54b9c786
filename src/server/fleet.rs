//! The gateway's way into its fleet: what the fleet knows is in force here before anything is served.

use std::io;
use std::sync::{Arc, OnceLock, Weak};

use arc_swap::ArcSwap;

use super::budgets;
use super::control::GatewayControl;
use super::control::fleet::sample;
use super::start::StartError;
use crate::audit::AuditTrail;
use crate::config::GatewaySettings;
use crate::fleet::{
    ContractDigests, FleetMember, FleetPeers, OnFleetStart, SelfReport, SelfSource, SharedEntry, SharedKind,
    SharedRevocation, SharedTable, kill_kinds, share_revocation,
};
use crate::identity::{IdentityState, Revocations};
use crate::kill::{GATEWAY_ACTOR, KillSwitch};
use crate::model::{Clock, Moment};
use crate::store::Store;
use crate::telemetry::Metrics;

/// The fleet of a running gateway, and where what it says is put in force.
#[derive(Debug, Clone)]
pub(super) struct JoinedFleet {
    pub(super) member: Arc<FleetMember>,
    /// The digest of each contract in force.
    pub(super) digests: Arc<ArcSwap<ContractDigests>>,
    /// By what the gateways are compared.
    pub(super) compared: Arc<SelfReport>,
    revocations: Arc<RevocationKind>,
}

/// Joins the fleet that the config names: puts in force what this gateway's disk has of it, connects, and waits for the
/// first sync.
///
/// # Errors
/// [`StartError`] where the state of the fleet cannot be read, or the fleet cannot be reached and the config asks for
/// that.
pub(super) async fn join(
    config: &GatewaySettings,
    store: &Store,
    switch: &Arc<KillSwitch>,
    authority: &IdentityState,
    audit: &Arc<AuditTrail>,
    clock: &Clock,
) -> Result<Option<JoinedFleet>, StartError> {
    let Some(settings) = config.fleet.clone() else { return Ok(None) };
    let shared = SharedTable::load(store.clone());
    let shared = shared.map_err(|source| StartError::State { path: config.state.path.clone(), source })?;
    let member = FleetMember::new(settings, budgets::known_fleet(store), clock.clone(), shared);
    let revocations = Arc::new(RevocationKind {
        revocations: Arc::clone(authority.revocations()),
        member: Arc::downgrade(&member),
        control: OnceLock::new(),
    });
    switch.join_fleet(Arc::new(FleetPeers::new(&member)));
    share_revocations(&member, authority);
    let mut kinds = kill_kinds(switch);
    kinds.push(Arc::clone(&revocations) as _);
    member.shared().serve(kinds, clock.now());
    let digests = Arc::new(ArcSwap::from_pointee(config.contract_digests.clone()));
    let compared = Arc::new(SelfReport::new(&member, self_source(&digests, audit)));
    member.join(Arc::clone(&compared) as _);
    member.start().map_err(StartError::Fleet)?;
    wait_for_sync(&member).await?;
    Ok(Some(JoinedFleet { member, digests, compared, revocations }))
}

impl JoinedFleet {
    /// From now on a revocation of the fleet also severs what is in flight.
    pub(super) fn control(&self, control: &Arc<GatewayControl>) {
        let _ = self.revocations.control.set(Arc::downgrade(control));
    }
}

/// What this gateway says of itself once a second.
fn self_source(digests: &Arc<ArcSwap<ContractDigests>>, audit: &Arc<AuditTrail>) -> SelfSource {
    let (digests, audit) = (Arc::clone(digests), Arc::clone(audit));
    Arc::new(move || ((**digests.load()).clone(), audit.health().position.seq))
}

/// Has a scrape read what it shows of the fleet.
pub(super) fn report_to(metrics: &Metrics, control: &Arc<GatewayControl>) {
    let Some(fleet) = control.fleet.clone() else { return };
    let (told, clock) = (metrics.clone(), control.gateway.clock.clone());
    metrics.before_scrape(move || told.fleet(sample(&fleet, clock.now())));
}

/// What was revoked before this gateway joined.
fn share_revocations(member: &FleetMember, authority: &IdentityState) {
    for revocation in authority.revocations().list() {
        let shared = SharedRevocation { revocation, is_lifted: false, by: String::new(), gateway: String::new() };
        if !shared.stands_elsewhere(member) {
            share_revocation(member, &shared.revocation, GATEWAY_ACTOR);
        }
    }
}

async fn wait_for_sync(member: &FleetMember) -> Result<(), StartError> {
    let settings = member.settings();
    if tokio::time::timeout(settings.start_wait, member.synced()).await.is_ok() {
        return Ok(());
    }
    let why = member.engine().why_away().map_or_else(|| "no answer".to_owned(), |why| why.to_string());
    match settings.on_start {
        OnFleetStart::Refuse => {
            member.close();
            Err(StartError::Fleet(io::Error::new(io::ErrorKind::TimedOut, why)))
        }
        OnFleetStart::LastState => {
            tracing::error!(why, "the fleet cannot be reached: this gateway serves by the state that its own disk has");
            Ok(())
        }
    }
}

/// Revocations of the fleet.
#[derive(Debug)]
struct RevocationKind {
    revocations: Arc<Revocations>,
    member: Weak<FleetMember>,
    control: OnceLock<Weak<GatewayControl>>,
}

impl SharedKind for RevocationKind {
    fn kind(&self) -> &'static str {
        "revocation"
    }

    fn apply(&self, entry: &SharedEntry, _: Moment) {
        let (Some(shared), Some(member)) = (SharedRevocation::read(entry), self.member.upgrade()) else {
            tracing::error!(key = entry.key, "a revocation of the fleet cannot be read: nothing came of it");
            return;
        };
        if shared.is_lifted {
            self.lift(&shared, &member);
        } else {
            self.revoke(shared);
        }
    }
}

impl RevocationKind {
    fn revoke(&self, shared: SharedRevocation) {
        let (revocations, ordered) = (&self.revocations, &shared.revocation);
        let is_it = |known: &crate::identity::Revocation| {
            known.is_of(&ordered.vendor, &ordered.target) && known.keep_until >= ordered.keep_until
        };
        if revocations.list().iter().any(is_it) {
            return;
        }
        tracing::warn!(
            vendor = %shared.revocation.vendor, by = shared.by, gateway = shared.gateway,
            reason = shared.revocation.reason, "the fleet has revoked"
        );
        let in_force = revocations.put_in_force(shared.revocation);
        if let Some(control) = self.control.get().and_then(Weak::upgrade) {
            drop(control.sever_lost(&shared.by, "revocation"));
        }
        keep(revocations.saving(in_force));
    }

    /// A lift waits for no disk: until it is written, a restart revokes again, and the next sync lifts again.
    fn lift(&self, shared: &SharedRevocation, member: &FleetMember) {
        if shared.stands_elsewhere(member) {
            return;
        }
        let (revocations, lifted) = (&self.revocations, &shared.revocation);
        let lifting = revocations.lifting(&lifted.vendor, &lifted.target);
        revocations.lifted(&lifted.vendor, &lifted.target);
        keep(move || lifting().map(drop));
    }
}

/// Writes on a thread that may block, where there is one.
fn keep(write: impl FnOnce() -> io::Result<()> + Send + 'static) {
    let told = move || {
        if let Err(error) = write() {
            tracing::error!(%error, "a revocation of the fleet is in force and not on disk");
        }
    };
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => drop(runtime.spawn_blocking(told)),
        Err(_) => told(),
    }
}

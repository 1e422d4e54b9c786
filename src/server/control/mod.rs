//! What operators can have done, over the running gateway: one file for each subject, as the admin listener has them.
//!
//! Every act is recorded in the audit trail under its actor's name before it is answered.

pub(super) mod credentials;
mod decisive;
pub(super) mod fleet;
mod kills;
mod live;
mod login;
mod observe;
mod records;
mod reload;
mod restores;
mod reveal;
mod revocations;
pub(super) mod shadow;
mod status;
mod suggestions;
mod unseen;
pub(super) mod upstreams;
mod vendor_details;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use rustls::ServerConfig;
use tokio::runtime::Handle;
use tokio::sync::Mutex;

use super::anomalies::AnomalyWatch;
use super::clocks::ConfirmedClocks;
use super::fleet::JoinedFleet;
use crate::admin::{Actor, AdminApi, AdminControl, ControlError};
use crate::audit::{AuditAct, AuditRecord, TrailReader};
use crate::bounds;
use crate::config::GatewaySettings;
use crate::fleet::{ContractDigests, FleetConfirmation};
use crate::gateway::{Gateway, GatewayServices, VendorRuntime};
use crate::kill::{self, HookDispatcher, KillError};
use crate::listener::ListenerState;
use crate::meter::KnownFleet;
use crate::model::{Moment, VendorId};
use crate::store::Store;

pub(super) use reload::{ReloadCause, loader};
pub(super) use status::drill_overdue;

/// The controls of a running gateway.
#[derive(Debug)]
pub(super) struct GatewayControl {
    pub(super) main: PathBuf,
    pub(super) gateway: Arc<Gateway>,
    pub(super) services: GatewayServices,
    pub(super) store: Store,
    pub(super) hooks: Arc<HookDispatcher>,
    /// The file of the audit trail, which a reload does not move.
    pub(super) audit_reader: Arc<TrailReader>,
    /// The state folder, which it does not move either.
    pub(super) state: PathBuf,
    pub(super) tls: TlsHandles,
    /// The digest of each contract in force, which the gateways of a fleet compare.
    pub(super) contract_digests: Arc<ArcSwap<ContractDigests>>,
    /// The fleet that this gateway is a member of, if any.
    pub(super) fleet: Option<JoinedFleet>,
    /// The config in force. Locked for the length of a reload, so that one follows the other.
    pub(super) config: Mutex<GatewaySettings>,
    /// Why the files on disk are not in force, if they are not.
    config_fault: ArcSwapOption<String>,
    /// The wall clock as far as it may end what runs, and as far as it may delete what is kept.
    pub(super) clocks: ConfirmedClocks,
    /// What is usual of each vendor.
    pub(super) anomalies: AnomalyWatch,
    /// The admin listener holds it, and it holds us.
    api: OnceLock<Weak<AdminApi<Self>>>,
    draining: AtomicBool,
    pub(super) me: Weak<Self>,
    /// Where what takes long is done, so that the admin listeners' threads go on answering.
    pub(super) background: Handle,
}

/// Where TLS can be swapped.
#[derive(Debug)]
pub(super) struct TlsHandles {
    pub(super) fronts: Vec<Arc<ListenerState>>,
    /// The admin listener's.
    pub(super) admin_tls: Option<Arc<ArcSwap<ServerConfig>>>,
}

impl AdminControl for GatewayControl {}

impl GatewayControl {
    #[expect(clippy::too_many_arguments, reason = "the parts of a gateway, each of its own type, put together once")]
    pub(super) fn new(
        main: PathBuf,
        config: GatewaySettings,
        gateway: Arc<Gateway>,
        services: GatewayServices,
        store: Store,
        hooks: Arc<HookDispatcher>,
        tls: TlsHandles,
        fleet: Option<JoinedFleet>,
    ) -> Arc<Self> {
        let trail = Arc::new(TrailReader::new(config.audit.trail.path.clone()));
        let state = config.state.path.clone();
        let contract_digests = match &fleet {
            Some(fleet) => Arc::clone(&fleet.digests),
            None => Arc::default(),
        };
        let config = Mutex::new(config);
        let (times, api, draining) = (ConfirmedClocks::default(), OnceLock::new(), AtomicBool::new(false));
        let background = Handle::current();
        let anomalies = AnomalyWatch::load(&store);
        let of = |me: &Weak<Self>| {
            let me = Weak::clone(me);
            Self {
                main,
                gateway,
                services,
                store,
                hooks,
                audit_reader: trail,
                state,
                tls,
                contract_digests,
                fleet,
                config,
                config_fault: ArcSwapOption::empty(),
                clocks: times,
                anomalies,
                api,
                draining,
                me,
                background,
            }
        };
        Arc::new_cyclic(of)
    }

    /// Takes the admin calls, whose operators change with each reload.
    pub(super) fn set_api(&self, api: &Arc<AdminApi<Self>>) {
        let _ = self.api.set(Arc::downgrade(api));
    }

    pub(super) fn api(&self) -> Option<Arc<AdminApi<Self>>> {
        self.api.get()?.upgrade()
    }

    /// Shares the budgets of these vendors with the fleet, where there is one.
    pub(super) fn share_budgets(&self, vendors: &[Arc<VendorRuntime>]) {
        let Some(fleet) = &self.fleet else { return };
        for vendor in vendors {
            vendor.ledgers.join_fleet(fleet.member.leases(), vendor.id(), self.now());
        }
    }

    /// What is to be kept of the fleet over a restart.
    pub(super) fn known_fleet(&self) -> Option<KnownFleet> {
        self.fleet.as_ref()?.member.leases().known()
    }

    pub(super) fn set_draining(&self) {
        self.draining.store(true, Ordering::Release);
    }

    pub(super) fn now(&self) -> Moment {
        self.gateway.clock.now()
    }

    /// Waits until the audit trail has what was just done. The act is done in any case.
    pub(super) async fn recorded(&self) {
        let flushed = tokio::time::timeout(bounds::PERSIST_DEADLINE, self.gateway.audit.flush()).await;
        if !matches!(flushed, Ok(Ok(()))) {
            tracing::error!("the audit trail cannot be written: an admin act is not on disk yet");
        }
    }

    async fn act(&self, actor: &Actor, act: AuditAct, subject: &str, reason: &str, detail: serde_json::Value) {
        drop(self.gateway.audit.record(AuditRecord::new(self.now().wall, &actor.name, act, subject, reason, detail)));
        self.recorded().await;
    }

    /// Who of the fleet has an entry in force, once all have or the wait is over.
    async fn fleet_answer(&self, key: &str, wait: Duration) -> kill::Fleet {
        let Some(fleet) = &self.fleet else { return kill::Fleet::ALONE };
        let FleetConfirmation { acked, missing, replicas } = fleet.member.confirm(key, wait).await;
        let others = u32::try_from(missing.len()).unwrap_or(u32::MAX);
        kill::Fleet { acked, of: acked.saturating_add(others), missing, replicas }
    }

    fn known(&self, vendor: &VendorId) -> Result<Arc<VendorRuntime>, ControlError> {
        let snapshot = self.gateway.snapshot.load();
        snapshot.vendor(vendor.as_str()).cloned().ok_or(ControlError::VendorUnknown)
    }
}

fn control_error(error: KillError) -> ControlError {
    match error {
        KillError::UnknownVendor => ControlError::VendorUnknown,
        KillError::NotKilled | KillError::Unexplained => ControlError::NotKilled,
        KillError::AlreadyKilled => ControlError::AlreadyKilled,
        KillError::NotScheduled => ControlError::NotScheduled,
        KillError::ScheduleFull => ControlError::ScheduleFull,
        KillError::ScheduleShare => ControlError::ScheduleShare,
        KillError::FleetAway => ControlError::FleetAway,
        KillError::NotPersisted(_) => ControlError::State,
    }
}

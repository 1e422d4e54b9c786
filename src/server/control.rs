//! What operators can have done, over the running gateway.
//!
//! Translates between the admin listener's words and the rooms'; every act is told to the rooms under its actor's name.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use tokio::runtime::Handle;
use tokio::sync::Mutex;

use super::audit_trail;
use super::clocks::ConfirmedClocks;
use super::seen::is_matched;
use super::words::{self, control_error, days_between};
use crate::admin::{
    Actor, AdminApi, AdminControl, AuditPage, AuditQuery, ControlFuture, DrillOrder, DrillReport, ExposureAnswer,
    KillAllReport, KillPreview, KillReport, LiftReport, OperatorOrder, Readiness, ReadinessCheck, RefusedCall,
    ReloadReport, RestoreReport, RevealOrder, RevealReport, Revocable, RevocationList, RevokeReport, ScheduledKill,
    Traffic, UnscheduleOrder, VendorStatus,
};
use crate::audit::{AuditAct, TrailReader};
use crate::bounds;
use crate::config::GatewaySettings;
use crate::gateway::{Gateway, GatewayServices, VendorRuntime};
use crate::kill::{self, HookDispatcher, KillState};
use crate::listener::ListenerState;
use crate::model::{Direction, Moment, UnixTime, VendorId};
use crate::store::Store;
use crate::telemetry::FailedRequest;

/// The controls of a running gateway.
#[derive(Debug)]
pub(super) struct GatewayControl {
    pub(super) main: PathBuf,
    pub(super) gateway: Arc<Gateway>,
    pub(super) rooms: GatewayServices,
    pub(super) store: Store,
    pub(super) hooks: Arc<HookDispatcher>,
    /// The file of the audit trail, which a reload does not move.
    pub(super) audit_reader: Arc<TrailReader>,
    /// The state folder, which it does not move either.
    pub(super) state: PathBuf,
    pub(super) tls: TlsHandles,
    /// The config in force. Locked for the length of a reload, so that one follows the other.
    pub(super) config: Mutex<GatewaySettings>,
    /// The wall clock as far as it may end what runs, and as far as it may delete what is kept.
    pub(super) clocks: ConfirmedClocks,
    /// The admin listener holds it, and it holds us.
    api: OnceLock<Weak<AdminApi>>,
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

impl GatewayControl {
    pub(super) fn new(
        main: PathBuf,
        config: GatewaySettings,
        gateway: Arc<Gateway>,
        rooms: GatewayServices,
        store: Store,
        hooks: Arc<HookDispatcher>,
        doors: TlsHandles,
    ) -> Arc<Self> {
        let trail = Arc::new(TrailReader::new(config.audit.trail.path.clone()));
        let state = config.state.path.clone();
        let config = Mutex::new(config);
        let (times, api, draining) = (ConfirmedClocks::default(), OnceLock::new(), AtomicBool::new(false));
        let background = Handle::current();
        let of = |me: &Weak<Self>| {
            let me = Weak::clone(me);
            Self {
                main,
                gateway,
                rooms,
                store,
                hooks,
                audit_reader: trail,
                state,
                tls: doors,
                config,
                clocks: times,
                api,
                draining,
                me,
                background,
            }
        };
        Arc::new_cyclic(of)
    }

    /// Takes the admin calls, whose operators change with each reload.
    pub(super) fn set_api(&self, api: &Arc<AdminApi>) {
        let _ = self.api.set(Arc::downgrade(api));
    }

    pub(super) fn api(&self) -> Option<Arc<AdminApi>> {
        self.api.get()?.upgrade()
    }

    pub(super) fn set_draining(&self) {
        self.draining.store(true, Ordering::Release);
    }

    pub(super) fn now(&self) -> Moment {
        self.gateway.clock.now()
    }

    /// Waits until the audit trail has what was just done. What was done stands in any case.
    pub(super) async fn recorded(&self) {
        let flushed = tokio::time::timeout(bounds::PERSIST_DEADLINE, self.gateway.audit.flush()).await;
        if !matches!(flushed, Ok(Ok(()))) {
            tracing::error!("the audit trail cannot be written: an admin act is not on disk yet");
        }
    }

    pub(super) async fn act(
        &self,
        actor: &Actor,
        act: AuditAct,
        subject: &str,
        reason: &str,
        detail: serde_json::Value,
    ) {
        let entry = audit_trail::by_actor(actor, act, subject, reason, detail, self.now().wall);
        drop(self.gateway.audit.record(entry));
        self.recorded().await;
    }

    fn status_of(&self, vendor: &VendorRuntime, standing: Option<&kill::VendorKillStatus>) -> VendorStatus {
        let contract = &vendor.contract;
        let now = self.now().wall;
        let (kills, state) = standing.map_or((&[][..], KillState::Live), |status| (&status.kills, status.state));
        let last_drill = standing.and_then(|status| status.last_drill.as_ref()).map(|drill| drill.at);
        VendorStatus {
            vendor: contract.vendor.to_string(),
            name: contract.name.clone(),
            owner: Some(contract.owner.clone()),
            security_contact: Some(contract.security_contact.clone()),
            state: words::vendor_state(contract, state, now),
            kills: kills.iter().map(|kill| words::standing(kill, is_matched(contract, kill))).collect(),
            approvals: standing.into_iter().flat_map(|status| &status.approvals).map(words::approval).collect(),
            scheduled: self.scheduled_for(contract.vendor.as_str()),
            persisted: standing.is_none_or(|status| status.persisted),
            starts: Some(contract.starts.into()),
            ends: Some(contract.ends.into()),
            days_left: Some(days_between(now, contract.ends)),
            traffic: Direction::ALL.map(|direction| Traffic::of(direction, vendor.metrics.traffic(direction))).into(),
            last_denial: words::last_denial(vendor),
            last_drill: last_drill.map(Into::into),
            drill_overdue: words::drill_overdue(contract, last_drill, now),
            token_age_secs: vendor.metrics.newest_token().map(|issued| now.since(issued).as_secs()),
            key_age_secs: vendor.metrics.oldest_key().map(|seen| now.since(seen).as_secs()),
            limits: words::limits(vendor, self.now()),
            unmatched_rules: words::unmatched_rules(vendor),
            unexpected_shapes: words::unexpected_shapes(vendor),
            issuer: None,
            files: Vec::new(),
        }
    }
}

impl AdminControl for GatewayControl {
    fn vendors(&self) -> Vec<VendorStatus> {
        let standing = self.gateway.switch.status();
        let snapshot = self.gateway.snapshot.load();
        let of = |(vendor, index): (&Arc<VendorRuntime>, u32)| {
            let found = standing.iter().find(|status| status.vendor == vendor.id().as_str());
            let issuer = words::issuer(snapshot.directory(), index);
            let files = words::file_faults(snapshot.directory(), vendor.id());
            VendorStatus { issuer, files, ..self.status_of(vendor, found) }
        };
        let mut all: Vec<_> = snapshot.vendors().iter().zip(0..).map(of).collect();
        let is_removed =
            |status: &&kill::VendorKillStatus| !status.kills.is_empty() && snapshot.vendor(&status.vendor).is_none();
        all.extend(standing.iter().filter(is_removed).map(|status| self.status_of_removed(status)));
        all.sort_unstable_by(|a, b| a.vendor.cmp(&b.vendor));
        all
    }

    fn vendor(&self, vendor: &VendorId) -> Option<VendorStatus> {
        self.vendors().into_iter().find(|status| status.vendor == vendor.as_str())
    }

    fn readiness(&self) -> Readiness {
        let check = |name: &str, well: bool, detail: &str| ReadinessCheck {
            name: name.to_owned(),
            well,
            needed: true,
            detail: if well { String::new() } else { detail.to_owned() },
        };
        let draining = self.draining.load(Ordering::Acquire);
        let undecided = self.gateway.switch.is_undecided();
        let mut checks = vec![
            check("config", true, ""),
            check("serving", !draining, "draining"),
            check("state", !undecided, "state could not be read: every vendor is killed until a person restores it"),
        ];
        let snapshot = self.gateway.snapshot.load();
        checks.extend(
            snapshot.vendors().iter().filter_map(|vendor| words::file_check(snapshot.directory(), vendor.id())),
        );
        checks.extend(snapshot.issuers().map(|(vendor, keys)| ReadinessCheck {
            name: format!("keys/{vendor}"),
            well: keys > 0,
            // One issuer's outage is one vendor's matter.
            needed: false,
            detail: if keys > 0 { String::new() } else { "no usable signing key is held".to_owned() },
        }));
        Readiness { checks }
    }

    fn kill<'a>(
        &'a self,
        actor: &'a Actor,
        vendor: &'a VendorId,
        order: &'a OperatorOrder,
    ) -> ControlFuture<'a, KillReport> {
        Box::pin(self.kill_one(actor, vendor, order))
    }

    fn kill_all<'a>(&'a self, actor: &'a Actor, order: &'a OperatorOrder) -> ControlFuture<'a, KillAllReport> {
        Box::pin(self.kill_every(actor, order))
    }

    fn schedule<'a>(
        &'a self,
        actor: &'a Actor,
        vendor: Option<&'a VendorId>,
        order: &'a OperatorOrder,
        at: UnixTime,
    ) -> ControlFuture<'a, ScheduledKill> {
        Box::pin(self.schedule_kill(actor, vendor, order, at))
    }

    fn scheduled(&self) -> Vec<ScheduledKill> {
        self.scheduled_kills()
    }

    fn unschedule<'a>(&'a self, actor: &'a Actor, order: &'a UnscheduleOrder) -> ControlFuture<'a, ScheduledKill> {
        Box::pin(self.unschedule_kill(actor, order))
    }

    fn preview<'a>(&'a self, vendor: Option<&'a VendorId>, order: &'a OperatorOrder) -> ControlFuture<'a, KillPreview> {
        Box::pin(self.preview_kill(vendor, order))
    }

    fn restore_all<'a>(&'a self, actor: &'a Actor, order: &'a OperatorOrder) -> ControlFuture<'a, RestoreReport> {
        Box::pin(self.restore_every(actor, order))
    }

    fn restore<'a>(
        &'a self,
        actor: &'a Actor,
        vendor: &'a VendorId,
        order: &'a OperatorOrder,
    ) -> ControlFuture<'a, RestoreReport> {
        Box::pin(self.restore_one(actor, vendor, order))
    }

    fn drill<'a>(
        &'a self,
        actor: &'a Actor,
        vendor: &'a VendorId,
        order: &'a DrillOrder,
    ) -> ControlFuture<'a, DrillReport> {
        Box::pin(async move {
            let known = self.known(vendor)?;
            let reason = order.reason.as_deref().unwrap_or("drill");
            let report = self.gateway.switch.drill(vendor, order.shadow, &actor.name, reason, self.now()).await;
            let report = report.map_err(control_error)?;
            if known.contract.drill_every.is_some() {
                known.metrics.drill_overdue(false);
            }
            self.recorded().await;
            Ok(words::drilled(report))
        })
    }

    fn revoke<'a>(
        &'a self,
        actor: &'a Actor,
        vendor: &'a VendorId,
        what: &'a Revocable,
        reason: &'a str,
    ) -> ControlFuture<'a, RevokeReport> {
        Box::pin(self.take_back(actor, vendor, what, reason))
    }

    fn lift<'a>(
        &'a self,
        actor: &'a Actor,
        vendor: &'a VendorId,
        what: &'a Revocable,
        reason: &'a str,
    ) -> ControlFuture<'a, LiftReport> {
        Box::pin(self.give_back(actor, vendor, what, reason))
    }

    fn revocations(&self) -> RevocationList {
        self.taken_back()
    }

    fn reveal<'a>(&'a self, actor: &'a Actor, order: &'a RevealOrder) -> ControlFuture<'a, RevealReport> {
        Box::pin(self.revealed(actor, order))
    }

    fn reload<'a>(&'a self, actor: &'a Actor) -> ControlFuture<'a, ReloadReport> {
        Box::pin(self.reload_in_background(actor))
    }

    fn exposure<'a>(&'a self, vendor: &'a VendorId, since: Option<UnixTime>) -> ControlFuture<'a, ExposureAnswer> {
        Box::pin(self.exposed(vendor, since))
    }

    fn why(&self, request_id: &str) -> Option<FailedRequest> {
        self.gateway.failures.find(request_id)
    }

    fn audit<'a>(&'a self, from: AuditQuery) -> ControlFuture<'a, AuditPage> {
        Box::pin(self.audited(from))
    }

    fn refused(&self, refusal: &RefusedCall<'_>) {
        self.note_refusal(refusal);
    }
}

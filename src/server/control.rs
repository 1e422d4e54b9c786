//! What operators can have done, over the running gateway.
//!
//! Translates between the admin listener's words and the rooms'; every act is told to the rooms under its actor's name.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use tokio::sync::Mutex;

use crate::admin::{
    Actor, Answer, Api, Approvals, AuditFrom, AuditPage, Check, Control, ControlError, DrillOrder, DrillReport,
    ExposureReport, Fleet, KillAllReport, KillReport, Order, Part, Readiness, Refused, ReloadReport, RestoreReport,
    Revocation, RevokeReport, Standing, Traffic, VendorState, VendorStatus,
};
use crate::config::Config;
use crate::gateway::{Gateway, Rooms, Vendor};
use crate::identity::{self, Revoked, keep_until};
use crate::kill::{self, Kill, KillError, Origin, Reach, State, Subject};
use crate::listener::Front;
use crate::model::{ClientId, Direction, Moment, UnixTime, VendorId};
use crate::store::Store;

/// The controls of a running gateway.
#[derive(Debug)]
pub(super) struct Helm {
    pub(super) main: PathBuf,
    pub(super) gateway: Arc<Gateway>,
    pub(super) rooms: Rooms,
    pub(super) store: Store,
    pub(super) fronts: Vec<Arc<Front>>,
    /// The admin listener's TLS.
    pub(super) admin_tls: Option<Arc<ArcSwap<ServerConfig>>>,
    /// The config in force. Locked for the length of a reload, so that one follows the other.
    pub(super) config: Mutex<Config>,
    api: OnceLock<Arc<Api>>,
    draining: AtomicBool,
}

impl Helm {
    pub(super) fn new(
        main: PathBuf,
        config: Config,
        gateway: Arc<Gateway>,
        rooms: Rooms,
        store: Store,
        fronts: Vec<Arc<Front>>,
        admin_tls: Option<Arc<ArcSwap<ServerConfig>>>,
    ) -> Self {
        let config = Mutex::new(config);
        let (api, draining) = (OnceLock::new(), AtomicBool::new(false));
        Self { main, gateway, rooms, store, fronts, admin_tls, config, api, draining }
    }

    /// Takes the admin calls, whose operators change with each reload.
    pub(super) fn lend(&self, api: Arc<Api>) {
        let _ = self.api.set(api);
    }

    pub(super) fn api(&self) -> Option<&Arc<Api>> {
        self.api.get()
    }

    pub(super) fn set_draining(&self) {
        self.draining.store(true, Ordering::Release);
    }

    pub(super) fn now(&self) -> Moment {
        self.gateway.clock.now()
    }

    fn order(&self, actor: &Actor, subject: Subject, order: &Order) -> kill::Order {
        kill::Order {
            subject,
            reach: reach(order),
            origin: Origin::Operator,
            by: actor.name.clone(),
            reason: order.reason.clone(),
            evidence: None,
            at: self.now(),
        }
    }

    /// A route that the contract does not have would be a kill that kills nothing.
    fn check_route(&self, vendor: &Vendor, order: &Order) -> Result<(), ControlError> {
        let Some(wanted) = &order.route else { return Ok(()) };
        let mut routes = Direction::ALL.into_iter().flat_map(|direction| vendor.contract.routes(direction).as_slice());
        if routes.any(|route| route.pattern.as_str() == wanted) { Ok(()) } else { Err(ControlError::RouteUnknown) }
    }

    fn known(&self, vendor: &VendorId) -> Result<Arc<Vendor>, ControlError> {
        let snapshot = self.gateway.snapshot.load();
        snapshot.vendor(vendor.as_str()).cloned().ok_or(ControlError::VendorUnknown)
    }

    async fn kill_one(&self, actor: &Actor, vendor: &VendorId, order: &Order) -> Result<KillReport, ControlError> {
        let known = self.known(vendor)?;
        self.check_route(&known, order)?;
        let order = self.order(actor, Subject::Vendor(vendor.clone()), order);
        let answer = self.gateway.switch.kill(order).map_err(control_error)?.finish().await;
        known.metrics.killed(true);
        known.metrics.severed(answer.severed);
        self.gateway.metrics.severed_within(std::time::Duration::from_micros(answer.sever_micros));
        Ok(KillReport {
            vendor: answer.vendor,
            state: state_of(answer.state),
            generation: answer.generation,
            severed: answer.severed,
            sever_micros: answer.sever_micros,
            persisted: answer.persisted,
            fleet: fleet(answer.fleet),
            scope: part(&answer.reach),
            lingering: answer.lingering,
        })
    }

    async fn restore_one(
        &self,
        actor: &Actor,
        vendor: &VendorId,
        order: &Order,
    ) -> Result<RestoreReport, ControlError> {
        let known = self.known(vendor)?;
        let restore = kill::RestoreOrder {
            subject: Subject::Vendor(vendor.clone()),
            reach: reach(order),
            by: actor.name.clone(),
            reason: order.reason.clone(),
            approvals: std::num::NonZeroU32::MIN,
            at: self.now(),
        };
        let restored = self.gateway.switch.restore(restore).await.map_err(control_error)?;
        known.metrics.killed(restored.state != State::Live);
        if let Some(burst) = known.burst() {
            burst.reset();
        }
        Ok(RestoreReport {
            vendor: restored.vendor,
            state: state_of(restored.state),
            generation: restored.generation,
            persisted: restored.persisted,
            lifted: restored.lifted as u64,
            approvals: Approvals {
                given: u32::try_from(restored.approvals.given).unwrap_or(u32::MAX),
                needed: restored.approvals.needed,
            },
        })
    }

    fn status_of(&self, vendor: &Vendor, standing: Option<&kill::VendorStatus>) -> VendorStatus {
        let contract = &vendor.contract;
        let now = self.now().wall;
        let (kills, state) = standing.map_or((&[][..], State::Live), |status| (&status.kills, status.state));
        let state = match state {
            State::Live if now < contract.starts => VendorState::NotStarted,
            State::Live if now >= contract.ends => VendorState::Ended,
            State::Live | State::PartlyKilled | State::Killed => state_of(state),
        };
        VendorStatus {
            vendor: contract.vendor.to_string(),
            name: contract.name.clone(),
            owner: Some(contract.owner.clone()),
            security_contact: Some(contract.security_contact.clone()),
            state,
            mode: contract.mode.as_str().to_owned(),
            kills: kills.iter().map(self::standing).collect(),
            persisted: standing.is_none_or(|status| status.persisted),
            starts: Some(contract.starts.into()),
            ends: Some(contract.ends.into()),
            days_left: Some(days_between(now, contract.ends)),
            traffic: Direction::ALL.map(|direction| Traffic::of(direction, vendor.metrics.traffic(direction))).into(),
            last_denial: None,
            token_age_secs: vendor.metrics.newest_token().map(|issued| now.since(issued).as_secs()),
            key_age_secs: vendor.metrics.oldest_key().map(|seen| now.since(seen).as_secs()),
        }
    }
}

impl Control for Helm {
    fn vendors(&self) -> Vec<VendorStatus> {
        let standing = self.gateway.switch.status();
        let of = |vendor: &Arc<Vendor>| {
            let found = standing.iter().find(|status| status.vendor == vendor.id().as_str());
            self.status_of(vendor, found)
        };
        self.gateway.snapshot.load().vendors().iter().map(of).collect()
    }

    fn vendor(&self, vendor: &VendorId) -> Option<VendorStatus> {
        self.vendors().into_iter().find(|status| status.vendor == vendor.as_str())
    }

    fn readiness(&self) -> Readiness {
        let check = |name: &str, well: bool, detail: &str| Check {
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
        checks.extend(self.gateway.snapshot.load().issuers().map(|(vendor, keys)| Check {
            name: format!("keys/{vendor}"),
            well: keys > 0,
            // One issuer's outage is one vendor's matter.
            needed: false,
            detail: if keys > 0 { String::new() } else { "no usable signing key is held".to_owned() },
        }));
        Readiness { checks }
    }

    fn kill<'a>(&'a self, actor: &'a Actor, vendor: &'a VendorId, order: &'a Order) -> Answer<'a, KillReport> {
        Box::pin(self.kill_one(actor, vendor, order))
    }

    fn kill_all<'a>(&'a self, actor: &'a Actor, order: &'a Order) -> Answer<'a, KillAllReport> {
        Box::pin(async move {
            let vendors: Vec<VendorId> =
                self.gateway.snapshot.load().vendors().iter().map(|vendor| vendor.id().clone()).collect();
            // A route or client is one vendor's name: the same word in another contract is not meant.
            let everywhere = Order { route: None, client: None, ..order.clone() };
            let mut reports = Vec::with_capacity(vendors.len());
            for vendor in &vendors {
                reports.push(self.kill_one(actor, vendor, &everywhere).await?);
            }
            Ok(KillAllReport { vendors: reports })
        })
    }

    fn restore<'a>(&'a self, actor: &'a Actor, vendor: &'a VendorId, order: &'a Order) -> Answer<'a, RestoreReport> {
        Box::pin(self.restore_one(actor, vendor, order))
    }

    fn drill<'a>(&'a self, actor: &'a Actor, vendor: &'a VendorId, order: &'a DrillOrder) -> Answer<'a, DrillReport> {
        Box::pin(async move {
            self.known(vendor)?;
            let report = self.gateway.switch.drill(vendor, order.shadow, &actor.name, self.now()).await;
            let report = report.map_err(control_error)?;
            Ok(DrillReport {
                vendor: report.vendor,
                shadow: report.shadow,
                severed: report.severed,
                refuse_micros: report.refuse_micros,
                sever_micros: report.sever_micros,
                persist_micros: report.persist_micros,
                persisted: report.persisted,
                state: state_of(report.state),
            })
        })
    }

    fn revoke<'a>(
        &'a self,
        _actor: &'a Actor,
        vendor: &'a VendorId,
        what: &'a Revocation,
        reason: &'a str,
    ) -> Answer<'a, RevokeReport> {
        Box::pin(async move {
            let known = self.known(vendor)?;
            let now = self.now().wall;
            let what = match what {
                Revocation::Token(id) => Revoked::Token(id.as_str().into()),
                Revocation::Client(client) => Revoked::Client(ClientId::new(client)),
                Revocation::IssuedBefore(time) => Revoked::IssuedBefore(*time),
            };
            let settings = known.contract.identity.as_ref();
            let until = settings.and_then(|settings| keep_until(&what, &settings.rotation, settings.clock_skew, now));
            let revocation =
                identity::Revocation { vendor: vendor.clone(), what, at: now, until, reason: reason.to_owned() };
            // It holds from here on, on disk or not; the disk is waited for by the control thread, never a worker.
            let persisted = self.rooms.authority.revocations().revoke(revocation).is_ok();
            Ok(RevokeReport { vendor: vendor.to_string(), persisted, fleet: Fleet { acked: 1, of: 1 } })
        })
    }

    fn reload<'a>(&'a self, _actor: &'a Actor) -> Answer<'a, ReloadReport> {
        Box::pin(async move { Helm::reload(self).await.map_err(ControlError::Faults) })
    }

    fn exposure<'a>(&'a self, _vendor: &'a VendorId, _since: Option<UnixTime>) -> Answer<'a, ExposureReport> {
        Box::pin(async move { Err(ControlError::NotKept) })
    }

    fn audit<'a>(&'a self, _from: AuditFrom) -> Answer<'a, AuditPage> {
        Box::pin(async move { Err(ControlError::NotKept) })
    }

    fn refused(&self, refusal: &Refused<'_>) {
        tracing::warn!(
            peer = %refusal.peer, operator = refusal.operator, call = refusal.call, reason = refusal.reason,
            request_id = refusal.request_id, "an admin call was refused"
        );
    }
}

const fn state_of(state: State) -> VendorState {
    match state {
        State::Live => VendorState::Live,
        State::PartlyKilled => VendorState::PartlyKilled,
        State::Killed => VendorState::Killed,
    }
}

/// The part of a vendor that an order names.
fn reach(order: &Order) -> Reach {
    Reach {
        direction: order.direction,
        route: order.route.as_deref().map(Into::into),
        client: order.client.as_deref().map(ClientId::new),
    }
}

fn part(reach: &Reach) -> Part {
    Part {
        direction: reach.direction,
        route: reach.route.as_deref().map(str::to_owned),
        client: reach.client.as_ref().map(|client| client.as_str().to_owned()),
    }
}

const fn fleet(fleet: kill::Fleet) -> Fleet {
    Fleet { acked: fleet.acked, of: fleet.of }
}

fn standing(kill: &Kill) -> Standing {
    Standing {
        scope: part(&kill.reach),
        generation: kill.generation,
        reason: kill.reason.clone(),
        by: kill.by.clone(),
        at: kill.at.into(),
    }
}

fn control_error(error: KillError) -> ControlError {
    match error {
        KillError::UnknownVendor => ControlError::VendorUnknown,
        KillError::NotKilled | KillError::Unexplained => ControlError::NotKilled,
        KillError::AlreadyKilled => ControlError::AlreadyKilled,
        KillError::NotPersisted(_) => ControlError::State,
    }
}

/// Whole days from one time to another, rounded up; negative when it is past.
fn days_between(now: UnixTime, then: UnixTime) -> i64 {
    const DAY_MS: i64 = 24 * 3600 * 1000;
    let millis = |time: UnixTime| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    (millis(then) - millis(now)).div_euclid(DAY_MS) + i64::from((millis(then) - millis(now)).rem_euclid(DAY_MS) > 0)
}

//! Whether what runs may go on: authority is asked again whenever it may have changed.
//!
//! A request stands on a contract, a route, scopes and a proof. A long answer or a WebSocket outlives the moment at which
//! these were judged, so they are judged again: at each swap of the snapshot, at a revocation, and every second for what
//! time or an issuer takes away. What has lost its ground is severed as a kill severs, with the reason that a new request
//! would be refused for. What is treated, counted and limited stays as it began. Never waits.
//!
//! A request that is being admitted while something changes is not missed: it notes [`AuthorityEpoch::count`] before it reads the
//! snapshot, and again after it has registered. Where the two differ it is judged once more; where they do not, whoever
//! changed something comes by after the registration, and finds it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::handle::Gateway;
use super::snapshot::{Snapshot, VendorRuntime};
use crate::identity::{CredentialName, SecretFingerprint, VerifiedCaller};
use crate::kill::{AdmissionProof, RegisteredRequest, RouteTag, SeveredRequests};
use crate::meter::ContractState;
use crate::model::{Denial, Direction, Moment, Reason, ScopeSet, VendorId};

/// Counts the changes of what requests stand on.
#[derive(Debug, Default)]
pub struct AuthorityEpoch(AtomicU64);

impl AuthorityEpoch {
    /// How many changes there have been.
    #[inline]
    pub(super) fn current(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    /// Something has changed, and is in force.
    fn advance(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Gateway {
    /// Severs everything in flight that has lost what it stood on. Call it after a change is in force; when it returns,
    /// nothing runs that the change has taken the ground from, but for what has still to leave.
    pub fn sever_unauthorized(&self, now: Moment) -> SeveredRequests {
        self.authority_epoch.advance();
        let snapshot = self.snapshot.load();
        let mut severed = SeveredRequests::default();
        for line in self.switch.gates() {
            let judge = Rechecker::new(&snapshot, line.vendor(), now);
            line.recheck(&mut |held| judge.check(held).map_err(|denial| denial.reason), now.wall, &mut severed);
        }
        severed
    }

    /// Whether a vendor has been seen with such a name: in its contract, among its remembered credentials, in flight.
    pub fn has_seen(&self, vendor: &VendorId, name: CredentialName<'_>) -> bool {
        let snapshot = self.snapshot.load();
        if snapshot.directory.has_seen(vendor, name) {
            return true;
        }
        let is_named = |held: &RegisteredRequest<'_>| match (name, held.proof) {
            (CredentialName::Client(client), _) => held.client.is_some_and(|held| held.as_str() == client),
            (CredentialName::Token(_) | CredentialName::Key(_), Some(footing)) => {
                footing.downcast_ref::<VerifiedCaller>().is_some_and(|verified| verified.is_named(name))
            }
            (CredentialName::Token(_) | CredentialName::Key(_), None) => false,
        };
        self.switch.gates().iter().any(|line| line.vendor() == vendor && line.holds(is_named))
    }

    /// Judges one request that has registered while something changed.
    pub(super) fn recheck(&self, vendor: &VendorId, held: &RegisteredRequest<'_>) -> Result<(), Denial> {
        Rechecker::new(&self.snapshot.load(), vendor, self.clock.now()).check(held)
    }
}

/// One vendor's requests, judged by what is in force now.
struct Rechecker<'a> {
    snapshot: &'a Snapshot,
    id: &'a VendorId,
    vendor: Option<&'a Arc<VendorRuntime>>,
    state: ContractState,
    now: Moment,
}

impl<'a> Rechecker<'a> {
    fn new(snapshot: &'a Snapshot, id: &'a VendorId, now: Moment) -> Self {
        let vendor = snapshot.vendor(id.as_str());
        let state = vendor.map_or(ContractState::Ended, |vendor| vendor.contract.calendar().state(now.wall));
        Self { snapshot, id, vendor, state, now }
    }

    fn check(&self, held: &RegisteredRequest<'_>) -> Result<(), Denial> {
        if held.route == RouteTag::NONE {
            // A stand-in of a drill: nothing of a contract let it in.
            return Ok(());
        }
        let Some(vendor) = self.vendor else {
            return Err(denied(Reason::VendorUnknown, "its contract was taken away"));
        };
        self.check_calendar(held)?;
        let route = vendor.direction(held.direction).routes.iter().find(|route| route.tag == held.route);
        let Some(route) = route.filter(|route| route.websocket || !held.is_websocket) else {
            return Err(match held.direction {
                Direction::Ingress => denied(Reason::RouteUnknown, "its route was taken away"),
                Direction::Egress => denied(Reason::DestinationUnknown, "its route was taken away"),
            });
        };
        match held.direction {
            // Our own services call without a proof.
            Direction::Egress => Ok(()),
            Direction::Ingress => self.check_proof(held.proof, &route.scopes, &vendor.contract.scopes),
        }
    }

    fn check_calendar(&self, held: &RegisteredRequest<'_>) -> Result<(), Denial> {
        if self.state.allows(held.is_safe) {
            return Ok(());
        }
        Err(match self.state {
            ContractState::NotStarted => denied(Reason::ContractNotStarted, "the contract has not started any more"),
            ContractState::InForce { .. }
            | ContractState::Ending { .. }
            | ContractState::ReadOnly
            | ContractState::Ended => denied(Reason::ContractEnded, "the contract has ended"),
        })
    }

    fn check_proof(
        &self,
        footing: Option<&AdmissionProof>,
        needed: &ScopeSet,
        ceiling: &ScopeSet,
    ) -> Result<(), Denial> {
        let footing = footing.ok_or_else(|| denied(Reason::TokenMissing, "nothing proves who it is"))?;
        let verified = footing.downcast_ref::<VerifiedCaller>();
        match (verified, footing.downcast_ref::<SecretFingerprint>()) {
            (Some(verified), _) => self.snapshot.directory.recheck(verified, self.now)?,
            (None, Some(signed)) => self.snapshot.directory.recheck_signed(self.id, signed)?,
            (None, None) => return Err(denied(Reason::TokenMissing, "nothing proves who it is")),
        }
        let claims = verified.and_then(VerifiedCaller::claims);
        let granted = |scope| ceiling.contains(scope) && claims.is_none_or(|claims| claims.scopes.contains(scope));
        let holds = needed.iter().all(granted);
        if holds { Ok(()) } else { Err(denied(Reason::ScopeMissing, "a scope was taken away")) }
    }
}

fn denied(reason: Reason, detail: &'static str) -> Denial {
    Denial::new(reason, detail)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::kill::KillSwitch;
    use crate::model::Clock;
    use crate::store::Store;

    /// Requests enter on other threads while what they stand on is taken away. Whenever that happens, none of those that
    /// went on goes on unsevered.
    #[test]
    fn nothing_that_enters_while_its_ground_is_taken_away_goes_on() {
        for round in 0..300 {
            let clock = Clock::system();
            let switch = KillSwitch::load(Store::in_memory().unwrap(), clock.clone(), Arc::new(|_| {})).unwrap();
            let line = switch.gate(&VendorId::parse("acme").unwrap());
            let (ground, revoked, began) = (AuthorityEpoch::default(), AtomicBool::new(false), AtomicU64::new(0));
            let judge = |_: &RegisteredRequest<'_>| {
                if revoked.load(Ordering::SeqCst) { Err(Reason::TokenRevoked) } else { Ok(()) }
            };
            let held = RegisteredRequest {
                direction: Direction::Ingress,
                route: RouteTag::of("GET /a"),
                client: None,
                proof: None,
                is_safe: true,
                is_websocket: false,
            };
            let enter = || {
                let count = ground.current();
                judge(&held).ok()?;
                let in_flight = line.register_request(&held);
                began.fetch_add(1, Ordering::SeqCst);
                let behind = ground.current() != count;
                if behind && judge(&held).is_err() { None } else { Some(in_flight) }
            };
            let workers = || (0..50).map_while(|_| enter()).collect::<Vec<_>>();
            let (going, severed) = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..2).map(|_| scope.spawn(workers)).collect();
                while began.load(Ordering::SeqCst) < round % 60 {
                    std::hint::spin_loop();
                }
                revoked.store(true, Ordering::SeqCst);
                ground.advance();
                let mut severed = SeveredRequests::default();
                line.recheck(&mut |held| judge(held), clock.now().wall, &mut severed);
                let going: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
                (going, severed.count())
            });
            assert!(going.iter().all(|one| one.is_severed()), "round {round}");
            assert!(going.iter().all(|one| one.sever_reason() == Reason::TokenRevoked));
            assert!(severed >= going.len() as u64, "those that were judged once more may be among them");
            assert_eq!(line.severed_total(), severed);
        }
    }
}

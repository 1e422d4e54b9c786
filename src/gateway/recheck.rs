//! Requests in flight are checked again whenever their authority may have changed.
//!
//! The authority of a request is its contract, its route, its scopes and the proof of its caller. A long response or a
//! WebSocket outlives the moment of its admission, so they are checked again: at each new config, at each revocation,
//! and every second for what time or an issuer takes away. A request that has lost its authority is severed as by a
//! kill, with the reason that a new request would be refused for. How its bodies are treated, counted and limited does
//! not change. Never waits.
//!
//! A request that is being admitted during such a change is not missed: see [`super::AuthorityEpoch`].

use std::sync::Arc;

use super::egress::TUNNEL_ROUTE;
use super::snapshot::{Snapshot, VendorRuntime};
use super::state::Gateway;
use crate::config::{Contract, TunnelMode};
use crate::identity::{CredentialName, SecretFingerprint, ServiceProof, VerifiedCaller};
use crate::kill::{AdmissionProof, RegisteredRequest, RouteTag, SeveredRequests};
use crate::meter::ContractState;
use crate::model::{Denial, Direction, Moment, Reason, ScopeSet, VendorId};

impl Gateway {
    /// Severs all requests in flight that have lost their authority. Call it when a change is in force. When it
    /// returns, no request without authority is forwarded any more; some may still have to leave.
    pub fn sever_unauthorized(&self, now: Moment) -> SeveredRequests {
        self.authority_epoch.advance();
        let snapshot = self.snapshot.load();
        let mut severed = SeveredRequests::default();
        for gate in self.switch.gates() {
            let rechecker = Rechecker::new(&snapshot, gate.vendor(), now);
            let mut check = |request: &RegisteredRequest<'_>| rechecker.check(request).map_err(|denial| denial.reason);
            gate.recheck(&mut check, now.wall, &mut severed);
        }
        severed
    }

    /// Whether a vendor is known to have a credential of this name: from its contract, from the credentials that were
    /// seen, or from its requests in flight.
    pub fn has_seen(&self, vendor: &VendorId, name: CredentialName<'_>) -> bool {
        let snapshot = self.snapshot.load();
        if snapshot.directory.has_seen(vendor, name) {
            return true;
        }
        let is_named = |request: &RegisteredRequest<'_>| match (name, request.proof) {
            (CredentialName::Client(client), _) => request.client.is_some_and(|known| known.as_str() == client),
            (CredentialName::Token(_) | CredentialName::Key(_), Some(proof)) => {
                proof.downcast_ref::<VerifiedCaller>().is_some_and(|verified| verified.is_named(name))
            }
            (CredentialName::Token(_) | CredentialName::Key(_), None) => false,
        };
        self.switch.gates().iter().any(|gate| gate.vendor() == vendor && gate.holds(is_named))
    }

    /// Checks one request again, which has registered during a change.
    pub(super) fn recheck(&self, vendor: &VendorId, request: &RegisteredRequest<'_>) -> Result<(), Denial> {
        Rechecker::new(&self.snapshot.load(), vendor, self.clock.now()).check(request)
    }
}

/// Checks the requests of one vendor against what is in force now.
struct Rechecker<'a> {
    snapshot: &'a Snapshot,
    id: &'a VendorId,
    vendor: Option<&'a Arc<VendorRuntime>>,
    state: ContractState,
    /// What tunnels are registered under whose bytes pass unread.
    tunnels: RouteTag,
    now: Moment,
}

impl<'a> Rechecker<'a> {
    fn new(snapshot: &'a Snapshot, id: &'a VendorId, now: Moment) -> Self {
        let vendor = snapshot.vendor(id.as_str());
        let state = vendor.map_or(ContractState::Ended, |vendor| vendor.contract.calendar().state(now.wall));
        Self { snapshot, id, vendor, state, tunnels: RouteTag::of(TUNNEL_ROUTE), now }
    }

    fn check(&self, request: &RegisteredRequest<'_>) -> Result<(), Denial> {
        if request.route == RouteTag::NONE {
            // A request that a drill has made up: no contract has admitted it.
            return Ok(());
        }
        let Some(vendor) = self.vendor else {
            return Err(denied(Reason::VendorUnknown, "its contract was taken away"));
        };
        self.check_calendar(request)?;
        if request.is_intercepted && vendor.contract.reach.tunnel != TunnelMode::Intercept {
            return Err(denied(Reason::DestinationUnknown, "the contract no longer lets it be intercepted"));
        }
        let runtime = vendor.direction(request.direction);
        if request.route == self.tunnels && runtime.tunnel.is_none() {
            return Err(denied(Reason::DestinationUnknown, "the contract no longer lets bytes pass unread"));
        }
        if runtime.reported.is_some() {
            if self.snapshot.hosts.has_route(request.route) {
                return Err(denied(
                    Reason::DestinationUnknown,
                    "a contract now lists the host that passed without one",
                ));
            }
            return self.check_service(request, &vendor.contract);
        }
        let observes = vendor.observes();
        if observes && request.direction == Direction::Ingress {
            // A contract that observes takes no route and no scope away.
            return self.check_proof(request.proof, &ScopeSet::default(), &ScopeSet::default());
        }
        if observes {
            return self.check_service(request, &vendor.contract);
        }
        let tunnel = runtime.tunnel.iter().map(|tunnel| &tunnel.route);
        let route = runtime.routes.iter().chain(tunnel).find(|route| route.tag == request.route);
        let Some(route) = route.filter(|route| route.websocket || !request.is_websocket) else {
            return Err(match request.direction {
                Direction::Ingress => denied(Reason::RouteUnknown, "its route was taken away"),
                Direction::Egress => denied(Reason::DestinationUnknown, "its route was taken away"),
            });
        };
        if request.is_observed && (request.is_websocket || route.has_rules()) {
            return Err(denied(
                Reason::Overloaded,
                "the observation has ended, in which its messages passed as they are",
            ));
        }
        match request.direction {
            Direction::Egress => self.check_service(request, &vendor.contract),
            Direction::Ingress => self.check_proof(request.proof, &route.terms.scopes, &vendor.contract.scopes),
        }
    }

    fn check_service(&self, request: &RegisteredRequest<'_>, contract: &Contract) -> Result<(), Denial> {
        let services = &self.snapshot.services;
        let proof = request.proof.and_then(|proof| proof.downcast_ref::<ServiceProof>());
        match (request.client.zip(proof), &contract.callers) {
            (Some((client, proof)), listed) => {
                services.recheck(client, proof, self.now.wall)?;
                let is_listed = listed.as_ref().is_none_or(|listed| listed.contains(client));
                let gone = || denied(Reason::CallerNotAllowed, "the contract no longer lists its service");
                if is_listed { Ok(()) } else { Err(gone()) }
            }
            (None, Some(_)) => Err(denied(Reason::CallerUnknown, "the contract now lists its callers")),
            (None, None) if !services.allows_anonymous() => {
                Err(denied(Reason::CallerUnknown, "callers must now prove which service they are"))
            }
            (None, None) => Ok(()),
        }
    }

    fn check_calendar(&self, request: &RegisteredRequest<'_>) -> Result<(), Denial> {
        if self.state.allows(request.is_safe) {
            return Ok(());
        }
        Err(match self.state {
            ContractState::NotStarted => denied(Reason::ContractNotStarted, "the contract now starts later"),
            ContractState::InForce { .. }
            | ContractState::Ending { .. }
            | ContractState::ReadOnly
            | ContractState::Ended => denied(Reason::ContractEnded, "the contract has ended"),
        })
    }

    fn check_proof(&self, proof: Option<&AdmissionProof>, needed: &ScopeSet, ceiling: &ScopeSet) -> Result<(), Denial> {
        let proof = proof.ok_or_else(|| denied(Reason::TokenMissing, "nothing proves who it is"))?;
        let verified = proof.downcast_ref::<VerifiedCaller>();
        match (verified, proof.downcast_ref::<SecretFingerprint>()) {
            (Some(verified), _) => self.snapshot.directory.recheck(verified, self.now)?,
            (None, Some(secret)) => self.snapshot.directory.recheck_signed(self.id, secret)?,
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
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

    use super::*;
    use crate::gateway::AuthorityEpoch;
    use crate::kill::KillSwitch;
    use crate::model::Clock;
    use crate::store::Store;

    /// Requests register on other threads while their authority is revoked. Whatever the order of events, none of those
    /// that were let in is left unsevered.
    #[test]
    fn a_request_that_registers_while_its_authority_is_revoked_is_refused_or_severed() {
        for round in 0..300 {
            let clock = Clock::system();
            let switch = KillSwitch::load(Store::in_memory().unwrap(), clock.clone(), Arc::new(|_| {})).unwrap();
            let gate = switch.gate(&VendorId::parse("acme").unwrap());
            let (epoch, revoked, began) = (AuthorityEpoch::default(), AtomicBool::new(false), AtomicU64::new(0));
            let check = |_: &RegisteredRequest<'_>| {
                if revoked.load(Ordering::SeqCst) { Err(Reason::TokenRevoked) } else { Ok(()) }
            };
            let request = RegisteredRequest {
                direction: Direction::Ingress,
                route: RouteTag::of("GET /a"),
                client: None,
                proof: None,
                is_safe: true,
                is_websocket: false,
                is_intercepted: false,
                is_observed: false,
            };
            let enter = || {
                let before = epoch.current();
                check(&request).ok()?;
                let in_flight = gate.register_request(&request);
                began.fetch_add(1, Ordering::SeqCst);
                let is_stale = epoch.current() != before;
                if is_stale && check(&request).is_err() { None } else { Some(in_flight) }
            };
            let workers = || (0..50).map_while(|_| enter()).collect::<Vec<_>>();
            let (let_in, severed) = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..2).map(|_| scope.spawn(workers)).collect();
                while began.load(Ordering::SeqCst) < round % 60 {
                    std::hint::spin_loop();
                }
                revoked.store(true, Ordering::SeqCst);
                epoch.advance();
                let mut severed = SeveredRequests::default();
                gate.recheck(&mut |request| check(request), clock.now().wall, &mut severed);
                let let_in: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
                (let_in, severed.count())
            });
            assert!(let_in.iter().all(|one| one.is_severed()), "round {round}");
            assert!(let_in.iter().all(|one| one.sever_reason() == Reason::TokenRevoked));
            assert!(severed >= let_in.len() as u64, "requests that were checked again may be among the severed");
            assert_eq!(gate.severed_total(), severed);
        }
    }
}

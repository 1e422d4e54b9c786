//! Whether the gateway has ever seen what an order names: a vendor, a direction, a route, a client.
//!
//! An order that matches nothing for now is kept, since it may be about what is to come; the answer says so, since it
//! is more often a typing error.

use super::GatewayControl;
use crate::admin::OperatorOrder;
use crate::config::Contract;
use crate::identity::CredentialName;
use crate::kill::{Kill, KillSelector, KillTarget, RouteTag, Unseen};
use crate::model::{Direction, VendorId};
use crate::server::carry_over::ContractMatch;

impl GatewayControl {
    /// The parts of an order about one vendor that the gateway has never seen.
    pub(super) fn unseen(&self, vendor: &VendorId, order: &OperatorOrder) -> Vec<Unseen> {
        let switch = &self.gateway.switch;
        let known = self.known(vendor).ok();
        let selector = order.selector();
        let remembered = ContractMatch::read(&self.store, vendor);
        if known.is_none() && remembered.is_none() && !switch.knows(vendor) {
            return vec![Unseen::Vendor];
        }
        // What is in flight has been seen, whatever the contract says by now.
        if switch.gate(vendor).count(&selector) != [0, 0] {
            return Vec::new();
        }
        let cut_off = KillSelector { route: selector.route.clone(), ..KillSelector::default() };
        let standing = switch.active_kills(&KillTarget::Vendor(vendor.clone()));
        let is_cut_off = standing.iter().any(|kill| kill.selector.route.is_some() && cut_off.contains(&kill.selector));
        let contract = known.as_ref().map(|known| &*known.contract);
        let snapshot = self.gateway.snapshot.load();
        // One of our own services is the client of what it sends.
        let is_service = selector.client.as_ref().is_some_and(|client| snapshot.has_service(client.as_str()));
        let mut unseen = Vec::new();
        if !has_direction(contract, remembered.as_ref(), &selector, is_service) {
            unseen.push(Unseen::Direction);
        }
        if !is_cut_off && !has_route(contract, remembered.as_ref(), &selector) {
            unseen.push(Unseen::Route);
        }
        if !is_service
            && selector
                .client
                .as_ref()
                .is_some_and(|client| !self.has_seen(vendor, CredentialName::Client(client.as_str())))
        {
            unseen.push(Unseen::Client);
        }
        unseen
    }

    /// Whether a vendor has been seen with such a name, by this process or by one before it: for orders of every kind.
    pub(super) fn has_seen(&self, vendor: &VendorId, name: CredentialName<'_>) -> bool {
        let is_remembered =
            |client| ContractMatch::read(&self.store, vendor).is_some_and(|matched| matched.has_client(client));
        self.gateway.has_seen(vendor, name)
            || match name {
                CredentialName::Client(client) => is_remembered(client),
                CredentialName::Token(_) | CredentialName::Key(_) => false,
            }
    }

    /// The parts of an order about every vendor that none of them has ever had.
    pub(super) fn unseen_by_all(&self, order: &OperatorOrder) -> Vec<Unseen> {
        let snapshot = self.gateway.snapshot.load();
        let vendors = snapshot.vendors();
        let all = vendors.iter().all(|vendor| !self.unseen(vendor.id(), order).is_empty());
        if all && !vendors.is_empty() { vec![Unseen::Direction] } else { Vec::new() }
    }
}

/// Whether anything can go the way that an order names, by the route that it names. Of our own calls only those of
/// named services have a client.
fn has_direction(
    contract: Option<&Contract>,
    remembered: Option<&ContractMatch>,
    selector: &KillSelector,
    is_service: bool,
) -> bool {
    let Some(direction) = selector.direction else { return true };
    if direction == Direction::Egress && selector.client.is_some() && !is_service {
        return false;
    }
    match selector.route.as_deref().map(RouteTag::of) {
        Some(tag) if has_route(contract, remembered, selector) => is_route(contract, remembered, direction, tag),
        Some(_) | None => {
            contract.is_some_and(|contract| !contract.routes(direction).is_empty())
                || remembered.is_some_and(|remembered| !remembered.routes(direction).is_empty())
        }
    }
}

/// Whether the route that an order names was ever a line, of either direction.
fn has_route(contract: Option<&Contract>, remembered: Option<&ContractMatch>, selector: &KillSelector) -> bool {
    let tag = selector.route.as_deref().map(RouteTag::of);
    tag.is_none_or(|tag| Direction::ALL.into_iter().any(|direction| is_route(contract, remembered, direction, tag)))
}

fn is_route(
    contract: Option<&Contract>,
    remembered: Option<&ContractMatch>,
    direction: Direction,
    tag: RouteTag,
) -> bool {
    let is_it = |text: &str| RouteTag::of(text) == tag;
    contract
        .is_some_and(|contract| contract.routes(direction).as_slice().iter().any(|route| is_it(route.pattern.as_str())))
        || remembered.is_some_and(|remembered| remembered.routes(direction).iter().any(|route| is_it(route)))
}

/// Whether a line of the contract is what a kill names, in the direction that it names.
pub(super) fn is_matched(contract: &Contract, kill: &Kill) -> bool {
    let Some(tag) = kill.selector.route.as_deref().map(RouteTag::of) else { return true };
    let mut ways = Direction::ALL.into_iter().filter(|way| kill.selector.direction.is_none_or(|only| only == *way));
    ways.any(|direction| is_route(Some(contract), None, direction, tag))
}

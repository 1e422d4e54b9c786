//! Asks the targets of upstreams how they are, off the path of requests.
//!
//! Never asks a vendor that is killed, or whose contract is not in force: no byte goes there.

use std::sync::Arc;

use tokio::sync::{Semaphore, watch};

use super::control::GatewayControl;
use super::maintenance::{every, wait};
use crate::bounds::{HEALTH_CHECKS_MAX, HEALTH_TICK};
use crate::gateway::VendorRuntime;
use crate::meter::ContractState;
use crate::model::{Direction, Moment};
use crate::upstream::{HealthCheck, UpstreamGroup};

/// An upstream whose targets are asked.
type CheckedUpstream = (Arc<VendorRuntime>, Direction, Arc<UpstreamGroup>);

/// Asks until the gateway closes.
pub(super) async fn run(control: Arc<GatewayControl>, mut closing: watch::Receiver<bool>) {
    let mut tick = every(HEALTH_TICK);
    let places = Arc::new(Semaphore::new(HEALTH_CHECKS_MAX));
    let (mut generation, mut checked) = (0, Vec::new());
    while wait(&mut tick, &mut closing).await {
        let snapshot = control.gateway.snapshot.load();
        if snapshot.generation != generation {
            generation = snapshot.generation;
            checked = snapshot.vendors().iter().flat_map(checked_upstreams).collect();
        }
        if !checked.is_empty() {
            start_due(&control, &checked, &places);
        }
    }
}

fn checked_upstreams(vendor: &Arc<VendorRuntime>) -> Vec<CheckedUpstream> {
    let upstreams = vendor.upstreams().into_iter().filter(|(_, _, group)| group.is_checked());
    upstreams.map(|(direction, _, group)| (Arc::clone(vendor), direction, Arc::clone(group))).collect()
}

fn start_due(control: &GatewayControl, checked: &[CheckedUpstream], places: &Arc<Semaphore>) {
    let now = control.now();
    for (vendor, direction, group) in checked {
        if !may_ask(vendor, *direction, now) {
            continue;
        }
        for check in group.due_checks(now) {
            // One that finds no place is asked the next time that it is due.
            let Ok(place) = Arc::clone(places).try_acquire_owned() else { return };
            tokio::spawn(async move {
                HealthCheck::run(check).await;
                drop(place);
            });
        }
    }
}

/// Whether a byte may go to the upstream. An internal API is ours whatever becomes of a vendor.
fn may_ask(vendor: &VendorRuntime, direction: Direction, now: Moment) -> bool {
    let is_in_force = || match vendor.contract.calendar().state(now.wall) {
        ContractState::InForce { .. } | ContractState::Ending { .. } | ContractState::ReadOnly => {
            !vendor.contract.is_draft
        }
        ContractState::NotStarted | ContractState::Ended => false,
    };
    match direction {
        Direction::Ingress => true,
        Direction::Egress => !vendor.kill_gate.is_armed() && is_in_force(),
    }
}

//! The fleet, for operators who ask and for metrics.

use std::sync::Arc;

use super::GatewayControl;
use crate::admin::{FleetControl, FleetGateway, FleetReport};
use crate::fleet::{ContractDigests, FleetBeat, FleetNode, NodeState, SelfReport};
use crate::model::Moment;
use crate::server::fleet::JoinedFleet;
use crate::telemetry::FleetSample;

impl FleetControl for GatewayControl {
    fn fleet(&self) -> FleetReport {
        let Some(fleet) = &self.fleet else { return FleetReport::default() };
        let (member, now, here) = (&fleet.member, self.now(), self.contract_digests());
        let last = member.view().last();
        let nodes = last.as_ref().map(|beat| beat.nodes.as_slice()).unwrap_or_default();
        let age = member.view().age(now);
        FleetReport {
            name: member.settings().name.clone(),
            node: member.settings().node.clone(),
            synced: member.view().has_synced(),
            partitioned: member.view().is_partitioned(now),
            state_age_ms: age.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
            why: member.engine().why_away().map(|why| why.to_string()).unwrap_or_default(),
            gateways: nodes.iter().map(|node| gateway(fleet, node, &here)).collect(),
        }
    }
}

impl GatewayControl {
    /// The digest of each contract in force.
    fn contract_digests(&self) -> Arc<ContractDigests> {
        self.contract_digests.load_full()
    }
}

fn gateway(fleet: &JoinedFleet, node: &FleetNode, here: &ContractDigests) -> FleetGateway {
    FleetGateway {
        node: node.name.clone(),
        state: node.state().as_str().to_owned(),
        unseen_ms: u64::try_from(node.unseen_for.as_millis()).unwrap_or(u64::MAX),
        version: node.report.build.clone(),
        name_taken: fleet.member.is_name_taken(node),
        differs: SelfReport::differing(node, here),
        audit_cut: fleet.compared.is_trail_cut(&fleet.member, node),
    }
}

/// What metrics show of the fleet.
pub(in crate::server) fn sample(fleet: &JoinedFleet, now: Moment) -> FleetSample {
    let (member, here) = (&fleet.member, fleet.digests.load());
    let last = member.view().last();
    let nodes = || last.iter().flat_map(|beat: &Arc<FleetBeat>| &beat.nodes);
    let count = |which: &dyn Fn(&FleetNode) -> bool| nodes().filter(|node| which(node)).count() as u64;
    let is_live = |node: &FleetNode| node.state() == NodeState::Live;
    FleetSample {
        age_secs: member.view().age(now).map(|age| age.as_secs_f64()),
        live: count(&is_live),
        unseen: count(&|node| !is_live(node)),
        is_partitioned: member.view().is_partitioned(now),
        differing: count(&|node| is_live(node) && !SelfReport::differing(node, &here).is_empty()),
        cut_trails: count(&|node| is_live(node) && fleet.compared.is_trail_cut(member, node)),
    }
}

//! The figures of the live stream, read from the kill switch and the metrics.

use std::collections::HashMap;

use super::GatewayControl;
use super::status::vendor_state;
use crate::admin::{LiveControl, LiveSample, Traffic};
use crate::gateway::VendorRuntime;
use crate::kill::{KillState, VendorKillStatus};
use crate::model::{Direction, UnixTime};

impl LiveControl for GatewayControl {
    fn live(&self) -> Vec<(String, LiveSample)> {
        let now = self.now().wall;
        let standing = self.gateway.switch.status_without_drills();
        let killed: HashMap<&str, &VendorKillStatus> =
            standing.iter().map(|status| (status.vendor.as_str(), status)).collect();
        let snapshot = self.gateway.snapshot.load();
        let of = |vendor: &VendorRuntime| {
            let state = killed.get(vendor.id().as_str()).map_or(KillState::Live, |status| status.state);
            (vendor.id().to_string(), sample(vendor, state, now))
        };
        let mut all: Vec<_> = snapshot.vendors().iter().map(|vendor| of(vendor)).collect();
        // As in the status: who is cut off is shown, also without a contract.
        let removed = standing.iter().filter(|it| !it.kills.is_empty() && snapshot.vendor(&it.vendor).is_none());
        all.extend(
            removed.map(|it| (it.vendor.clone(), LiveSample { state: it.state.into(), ..LiveSample::default() })),
        );
        all
    }
}

fn sample(vendor: &VendorRuntime, state: KillState, now: UnixTime) -> LiveSample {
    let state = vendor_state(&vendor.contract, state, now);
    let observes = vendor.contract.observes(now).is_some();
    let ways = Direction::ALL.map(|direction| Traffic::of(direction, vendor.metrics.traffic(direction)));
    ways.iter().fold(LiveSample { state, observes, ..LiveSample::default() }, |sum, way| LiveSample {
        in_flight: sum.in_flight + way.in_flight,
        requests: sum.requests + way.requests,
        denials: sum.denials + way.denials,
        records: sum.records + way.records,
        bytes: sum.bytes + way.bytes,
        ..sum
    })
}

//! What follows from an overrun or a burst of denials: the vendor's other traffic, or the vendor.
//!
//! Called in the middle of a body, so nothing here waits.

use super::handle::Gateway;
use super::snapshot::Vendor;
use crate::kill::Evidence;
use crate::meter::{Over, Overrun};
use crate::model::Denial;

/// A budget was spent in the middle of a body, which has been cut already.
pub(super) fn of_overrun(gateway: &Gateway, vendor: &Vendor, overrun: &Overrun) {
    match overrun.over {
        Over::Refuse => {}
        Over::Sever => drop(gateway.switch.sever(vendor.id())),
        Over::Kill => trip(gateway, vendor, overrun.denial().reason.as_str(), overrun.denial().detail.into_owned()),
    }
}

/// A request was denied; enough of them in a short time suspend the vendor.
pub(super) fn of_denial(gateway: &Gateway, vendor: &Vendor, denial: &Denial) {
    if let Some(burst) = &vendor.burst
        && burst.note(gateway.clock.now())
    {
        trip(gateway, vendor, "denial_burst", format!("the last denial was {}", denial.reason.as_str()));
    }
}

fn trip(gateway: &Gateway, vendor: &Vendor, kind: &str, detail: String) {
    let now = gateway.clock.now();
    let evidence = Evidence { at: now.wall, kind: kind.to_owned(), detail };
    gateway.switch.trip(vendor.id(), evidence, now);
    vendor.metrics.killed(true);
}

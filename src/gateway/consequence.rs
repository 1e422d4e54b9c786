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
    let denial = overrun.denial();
    match overrun.over {
        Over::Refuse => {}
        Over::Sever => {
            // The body that spent the budget is among them, and was cut by its own account.
            let severed = vendor.line.cut(denial.reason.as_str(), gateway.clock.now().wall);
            vendor.metrics.severed(severed.saturating_sub(1));
        }
        Over::Kill => trip(gateway, vendor, evidence(gateway, denial.reason.as_str(), denial.detail.into())),
    }
}

/// A request was denied; enough of them in a short time suspend the vendor.
pub(super) fn of_denial(gateway: &Gateway, vendor: &Vendor, denial: &Denial) {
    if let Some(burst) = &vendor.burst
        && burst.note(gateway.clock.now())
    {
        let detail = format!("the last denial was {}", denial.reason.as_str());
        trip(gateway, vendor, evidence(gateway, "denial_burst", detail));
    }
}

fn trip(gateway: &Gateway, vendor: &Vendor, evidence: Evidence) {
    gateway.switch.trip(vendor.id(), evidence, gateway.clock.now());
    vendor.metrics.killed(true);
}

fn evidence(gateway: &Gateway, kind: &str, detail: String) -> Evidence {
    Evidence { at: gateway.clock.now().wall, kind: kind.to_owned(), detail }
}

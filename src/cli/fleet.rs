//! `vendorgate status --fleet`: the gateways that share kills and budgets with this one.

use super::layout::{printable, table};
use crate::admin::{FleetGateway, FleetReport};

/// The report as a person reads it.
pub(super) fn fleet_text(report: &FleetReport) -> String {
    if report.name.is_empty() {
        return "this gateway belongs to no fleet\n".into();
    }
    let mut text = format!("fleet {}, seen from {}\n", printable(&report.name), printable(&report.node));
    if report.partitioned {
        let why = if report.why.is_empty() { "it does not answer" } else { &report.why };
        text.push_str(&format!(
            "CUT OFF FROM THE ENGINE: {}. Kills hold here and travel later, restores wait\n",
            printable(why)
        ));
    }
    if !report.synced {
        text.push_str("NOT SYNCED: this gateway serves by the state that its own disk has\n");
    }
    text.push_str(&table(&["GATEWAY", "STATE", ">SEEN BEFORE", "VERSION", "REMARKS"], &report.gateways, |gateway| {
        vec![
            printable(&gateway.node),
            printable(&gateway.state),
            format!("{} ms", gateway.unseen_ms),
            printable(&gateway.version),
            remarks(gateway),
        ]
    }));
    text
}

fn remarks(gateway: &FleetGateway) -> String {
    let mut remarks = Vec::new();
    if gateway.name_taken {
        remarks.push("ANOTHER GATEWAY HAS THIS NAME".to_owned());
    }
    if gateway.audit_cut {
        remarks.push("AUDIT TRAIL CUT".to_owned());
    }
    if !gateway.differs.is_empty() {
        let vendors: Vec<_> = gateway.differs.iter().map(|vendor| printable(vendor)).collect();
        remarks.push(format!("other contracts: {}", vendors.join(", ")));
    }
    if remarks.is_empty() { "-".to_owned() } else { remarks.join("; ") }
}

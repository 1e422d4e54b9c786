//! One token back to its value, for an operator who may.
//!
//! Every try is in the audit trail before its answer leaves: who, why, whose token. Never the value, and never the
//! token, which whoever reads the trail could have revealed again.

use serde_json::json;

use super::control::GatewayControl;
use crate::admin::{Actor, ControlError, RevealOrder, RevealReport};
use crate::audit::AuditAct;

impl GatewayControl {
    pub(super) async fn revealed(&self, actor: &Actor, order: &RevealOrder) -> Result<RevealReport, ControlError> {
        let vendors = self.gateway.snapshot.load_full();
        let opened = vendors.vendors().iter().find_map(|vendor| Some((vendor, vendor.reveal(&order.token)?)));
        let subject = opened.as_ref().map_or("-", |(vendor, _)| vendor.id().as_str());
        let detail = json!({ "opened": opened.is_some() });
        self.act(actor, AuditAct::Reveal, subject, &order.reason, detail).await;
        let (vendor, value) = opened.ok_or(ControlError::NotRevealed)?;
        Ok(RevealReport { vendor: vendor.id().to_string(), value })
    }
}

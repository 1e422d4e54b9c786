//! One token back to its value, for operators with the role `privacy`.

use serde_json::json;

use super::GatewayControl;
use crate::admin::{Actor, ControlError, ControlResult, RevealControl, RevealOrder, RevealReport};
use crate::audit::AuditAct;

impl RevealControl for GatewayControl {
    /// Every try is in the audit trail before its answer leaves: who, why, and whose token. Never the value, and never
    /// the token: an operator who reads the trail could have it revealed again.
    async fn reveal(&self, actor: &Actor, order: &RevealOrder) -> ControlResult<RevealReport> {
        let vendors = self.gateway.snapshot.load_full();
        let opened = vendors.vendors().iter().find_map(|vendor| Some((vendor, vendor.reveal(&order.token)?)));
        let subject = opened.as_ref().map_or("-", |(vendor, _)| vendor.id().as_str());
        let detail = json!({ "opened": opened.is_some() });
        self.act(actor, AuditAct::Reveal, subject, &order.reason, detail).await;
        let (vendor, value) = opened.ok_or(ControlError::NotRevealed)?;
        Ok(RevealReport { vendor: vendor.id().to_string(), value })
    }
}

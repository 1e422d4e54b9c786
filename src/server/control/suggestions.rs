//! A contract that is suggested from what was seen: joined with what the vendor's contract says of the vendor itself.

use super::GatewayControl;
use crate::admin::{ContractSuggestion, ControlError, ControlResult, SuggestControl};
use crate::config::{ConfigLoader, FaultSeverity};
use crate::model::{Clock, Direction, VendorId};
use crate::observation::suggest;

impl SuggestControl for GatewayControl {
    async fn suggestion(&self, vendor: &VendorId, direction: Option<Direction>) -> ControlResult<ContractSuggestion> {
        let snapshot = self.gateway.snapshot.load_full();
        if snapshot.vendor(vendor.as_str()).is_none() {
            return Err(ControlError::VendorUnknown);
        }
        let seen = self.services.observations.vendor(vendor).row();
        let (main, wanted) = (self.main.clone(), vendor.clone());
        let contract = tokio::task::spawn_blocking(move || {
            let environment = |name: &str| std::env::var(name).ok();
            let (missing_secrets, now) = (FaultSeverity::Warning, Clock::system().now().wall);
            ConfigLoader { environment: &environment, missing_secrets, now }.contract_sections(&main, &wanted)
        });
        let contract = contract.await.map_err(|_| ControlError::State)?.unwrap_or_default();
        Ok(ContractSuggestion { vendor: vendor.to_string(), contract: suggest(&contract, &seen, direction) })
    }
}

//! The end of an observation: a contract whose `observe_until` is over is enforced, without a reload by a person.
//!
//! The config in force is put in force once more, as it was loaded: only the time has changed. Until that has succeeded
//! the gateway refuses the vendor's requests, so that nothing raw passes after the day that the contract names.

use std::sync::Arc;

use super::GatewayControl;
use crate::audit::{AuditAct, AuditRecord};
use crate::gateway::{AssembleError, assemble};
use crate::kill::GATEWAY_ACTOR;
use crate::model::with_causes;
use crate::server::audit_trail;
use crate::server::start::{StartError, master_keys};

/// The reason in the audit trail.
const ENDED: &str = "observation_ended";

/// Why the contracts could not be put in force once more.
#[derive(Debug, thiserror::Error)]
enum EnforceError {
    /// The master key cannot be read.
    #[error("the master key cannot be read")]
    Keys(#[source] StartError),
    /// The config cannot be put in force.
    #[error(transparent)]
    Assemble(#[from] AssembleError),
}

impl GatewayControl {
    /// Enforces the contracts whose observation is over.
    pub(in crate::server) async fn end_observations(&self) {
        let (before, now) = (self.gateway.snapshot.load_full(), self.now().wall);
        let ended: Vec<_> = before.vendors().iter().filter(|vendor| vendor.has_observed(now)).collect();
        if ended.is_empty() {
            return;
        }
        match self.enforce().await {
            Ok(()) => {
                for vendor in ended {
                    tracing::warn!(vendor = %vendor.id(), "the observation has ended: the contract is enforced");
                    let entry = audit_trail::by_gateway(AuditAct::Reload, ENDED, now);
                    drop(self.gateway.audit.record(AuditRecord { subject: vendor.id().to_string(), ..entry }));
                }
            }
            Err(error) => {
                let error = with_causes(&error);
                tracing::error!(%error, "contracts whose observation has ended cannot be enforced: their calls are refused");
            }
        }
    }

    async fn enforce(&self) -> Result<(), EnforceError> {
        let in_force = self.config.lock().await;
        let keys = master_keys(in_force.keys.master.as_ref()).map_err(EnforceError::Keys)?;
        let before = self.gateway.snapshot.load_full();
        let after = assemble(&in_force, &keys, &self.services, Some(&before), self.now())?;
        self.share_budgets(after.vendors());
        let generation = after.generation;
        after.directory().start(&tokio::runtime::Handle::current());
        self.gateway.snapshot.store(Arc::new(after));
        self.gateway.metrics.config_generation(generation);
        // Requests on routes that only the observation had let in are severed; they are not waited for.
        drop(self.sever_lost(GATEWAY_ACTOR, ENDED));
        Ok(())
    }
}

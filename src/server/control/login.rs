//! Sessions of the dashboard in the audit trail.

use serde_json::Value;

use super::GatewayControl;
use crate::admin::{Actor, ControlResult, LoginControl};
use crate::audit::AuditAct;

impl LoginControl for GatewayControl {
    async fn logged_in(&self, actor: &Actor) -> ControlResult<()> {
        self.act(actor, AuditAct::Login, &actor.name, "", Value::Null).await;
        Ok(())
    }

    async fn logged_out(&self, actor: &Actor) -> ControlResult<()> {
        self.act(actor, AuditAct::Logout, &actor.name, "", Value::Null).await;
        Ok(())
    }
}

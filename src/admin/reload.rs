//! The call that loads the config again.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::api::AdminApi;
use super::control::{Actor, AdminControl, ControlFuture};
use super::endpoint::{Endpoint, EndpointSpec, OrderBody, read_order, schema};
use super::reply::json_result;
use crate::config::OperatorRole;

/// An empty body, `{}`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Nothing")]
pub struct EmptyBody {}

/// The answer to a reload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReloadReport {
    /// The number of the config now in force.
    pub generation: u64,
    /// Vendors that are new.
    pub added: Vec<String>,
    /// Vendors whose contract changed.
    pub changed: Vec<String>,
    /// Vendors that are gone.
    pub removed: Vec<String>,
    /// What would have let back what is cut off, and is cut off too: a vendor by another name, a route by another line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub still_cut_off: Vec<String>,
}

/// The config in force.
pub trait ReloadControl {
    /// Loads the config again, wholly or not at all.
    fn reload(&self, actor: &Actor) -> impl ControlFuture<ReloadReport>;
}

impl<C: AdminControl> AdminApi<C> {
    pub(super) const RELOAD: &'static [Endpoint<C>] = &[EndpointSpec::post(
        "/v1/reload",
        "Loads the config again, wholly or not at all",
        OrderBody::JsonOrEmpty(schema::<EmptyBody>),
    )
    .answers(&[schema::<ReloadReport>])
    .on_gateway(OperatorRole::Admin, |api, call| {
        Box::pin(async move {
            let EmptyBody {} = read_order(call.body, |_| Ok(()))?;
            json_result(api.control.reload(call.actor).await)
        })
    })];
}

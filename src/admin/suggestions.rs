//! A contract that is suggested from what was seen of a vendor's calls. It is text for a person; nothing applies it.

use std::future::Future;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::api::AdminApi;
use super::control::{AdminControl, ControlResult};
use super::endpoint::{Endpoint, EndpointSpec, QueryParameter, schema};
use super::problem::AdminError;
use super::reply::json_result;
use crate::config::OperatorRole;
use crate::model::{Direction, VendorId};

/// A suggested contract, for a person to tighten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ContractSuggestion {
    /// The vendor that it is for.
    pub vendor: String,
    /// YAML, with comments that say why each line is there.
    pub contract: String,
}

/// Contracts that are suggested from what was seen.
pub trait SuggestControl {
    /// The contract that grants a vendor what it was seen to do, in one direction or in both.
    fn suggestion(
        &self,
        vendor: &VendorId,
        direction: Option<Direction>,
    ) -> impl Future<Output = ControlResult<ContractSuggestion>> + Send;
}

const VENDOR: QueryParameter = QueryParameter::required("vendor", "the vendor's id");
const DIRECTION: QueryParameter = QueryParameter::optional("direction", "ingress or egress; both when left out");

impl<C: AdminControl> AdminApi<C> {
    pub(super) const SUGGESTIONS: &'static [Endpoint<C>] =
        &[EndpointSpec::get("/v1/suggestion", "A least-privilege contract from what was seen of a vendor's calls")
            .parameters(&[VENDOR, DIRECTION])
            .answers(&[schema::<ContractSuggestion>])
            .on_gateway(OperatorRole::Viewer, |api, call| {
                Box::pin(async move {
                    let vendor = VendorId::parse(call.query.value("vendor").unwrap_or_default());
                    let vendor = vendor.map_err(|_| AdminError::QueryMalformed("write ?vendor=ID"))?;
                    let direction = match call.query.value("direction") {
                        None => None,
                        Some("ingress") => Some(Direction::Ingress),
                        Some("egress") => Some(Direction::Egress),
                        Some(_) => return Err(AdminError::QueryMalformed("write direction=ingress or egress")),
                    };
                    json_result(api.control.suggestion(&vendor, direction).await)
                })
            })];
}

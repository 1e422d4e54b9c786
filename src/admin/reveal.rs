//! One token back to its value: the order, its answer and the call.
//!
//! The answer is the only one that holds a raw personal value. It goes to the operator who asked, and never into a log
//! or the audit trail.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::api::AdminApi;
use super::control::{Actor, AdminControl, ControlFuture};
use super::endpoint::{Endpoint, EndpointSpec, OrderBody, read_order, schema};
use super::orders::{OrderError, check_reason};
use super::reply::json_result;
use crate::config::OperatorRole;
use crate::model::debug_fields;

/// An order to turn a token back into its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RevealOrder {
    /// The token, whole.
    pub token: String,
    /// Why, in words for the audit trail.
    pub reason: String,
}

impl RevealOrder {
    /// Checks what JSON cannot say.
    ///
    /// # Errors
    /// [`OrderError`] when there is no reason or no token.
    pub fn check(&self) -> Result<(), OrderError> {
        check_reason(&self.reason)?;
        if self.token.is_empty() { Err(OrderError::Empty("token")) } else { Ok(()) }
    }
}

/// The answer: whose token it was, and its value.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RevealReport {
    /// The vendor for whom the token was made.
    pub vendor: String,
    /// The value that the token stands for.
    pub value: String,
}

debug_fields!(RevealReport: vendor);

/// Tokens turned back into values.
pub trait RevealControl {
    /// Turns one token back into its value, for the operator who asks.
    fn reveal(&self, actor: &Actor, order: &RevealOrder) -> impl ControlFuture<RevealReport>;
}

impl<C: AdminControl> AdminApi<C> {
    pub(super) const REVEAL: &'static [Endpoint<C>] = &[EndpointSpec::post(
        "/v1/reveal",
        "Turns one token back into its value",
        OrderBody::Json(schema::<RevealOrder>),
    )
    .answers(&[schema::<RevealReport>])
    .on_gateway(OperatorRole::Privacy, |api, call| {
        Box::pin(async move {
            let order = read_order(call.body, RevealOrder::check)?;
            json_result(api.control.reveal(call.actor, &order).await)
        })
    })];
}

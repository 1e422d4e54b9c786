//! The way back: of one vendor, or of all.

use schemars::generate::SchemaGenerator;
use std::future::Future;

use super::api::AdminApi;
use super::control::{Actor, AdminControl, ControlResult};
use super::endpoint::{AdminMethod, AnswerBody, Endpoint, Handler, OrderBody, read_order};
use super::kills::OperatorOrder;
use super::reply::json_result;
use crate::config::OperatorRole;
use crate::kill::RestoreReport;
use crate::model::VendorId;

/// Restores of one vendor, or of all.
pub trait RestoreControl {
    /// Lets a vendor back, or a part of it.
    fn restore(
        &self,
        actor: &Actor,
        vendor: &VendorId,
        order: &OperatorOrder,
    ) -> impl Future<Output = ControlResult<RestoreReport>> + Send;

    /// Lifts what was cut off by an order for every vendor.
    fn restore_all(
        &self,
        actor: &Actor,
        order: &OperatorOrder,
    ) -> impl Future<Output = ControlResult<RestoreReport>> + Send;
}

impl<C: AdminControl> AdminApi<C> {
    pub(super) const RESTORES: &'static [Endpoint<C>] = &[
        Endpoint {
            method: AdminMethod::Post,
            path: "/v1/vendors/{vendor}/restore",
            description: "Lets a vendor back, or a part of it",
            parameters: &[],
            order: OrderBody::Json(SchemaGenerator::subschema_for::<OperatorOrder>),
            answer: AnswerBody::Json(&[SchemaGenerator::subschema_for::<RestoreReport>]),
            handler: Handler::OnVendor(OperatorRole::Admin, |api, call| {
                Box::pin(async move {
                    let order = read_order(call.body, OperatorOrder::check_restore)?;
                    json_result(api.control.restore(call.actor, call.vendor, &order).await)
                })
            }),
        },
        Endpoint {
            method: AdminMethod::Post,
            path: "/v1/restore",
            description: "Lifts what was cut off by an order for every vendor",
            parameters: &[],
            order: OrderBody::Json(SchemaGenerator::subschema_for::<OperatorOrder>),
            answer: AnswerBody::Json(&[SchemaGenerator::subschema_for::<RestoreReport>]),
            handler: Handler::OnGateway(OperatorRole::Admin, |api, call| {
                Box::pin(async move {
                    let order = read_order(call.body, OperatorOrder::check_restore_all)?;
                    json_result(api.control.restore_all(call.actor, &order).await)
                })
            }),
        },
    ];
}

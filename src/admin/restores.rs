//! The way back: of one vendor, or of all.

use super::api::AdminApi;
use super::control::{Actor, AdminControl, ControlFuture};
use super::endpoint::{Endpoint, EndpointSpec, OrderBody, read_order, schema};
use super::kills::OperatorOrder;
use super::reply::json_result;
use crate::config::OperatorRole;
use crate::kill::RestoreReport;
use crate::model::VendorId;

/// Restores of one vendor, or of all.
pub trait RestoreControl {
    /// Lets a vendor back, or a part of it.
    fn restore(&self, actor: &Actor, vendor: &VendorId, order: &OperatorOrder) -> impl ControlFuture<RestoreReport>;

    /// Lifts what was cut off by an order for every vendor.
    fn restore_all(&self, actor: &Actor, order: &OperatorOrder) -> impl ControlFuture<RestoreReport>;
}

impl<C: AdminControl> AdminApi<C> {
    pub(super) const RESTORES: &'static [Endpoint<C>] = &[
        EndpointSpec::post(
            "/v1/vendors/{vendor}/restore",
            "Lets a vendor back, or a part of it",
            OrderBody::Json(schema::<OperatorOrder>),
        )
        .answers(&[schema::<RestoreReport>])
        .on_vendor(OperatorRole::Admin, |api, call| {
            Box::pin(async move {
                let order = read_order(call.body, OperatorOrder::check_restore)?;
                json_result(api.control.restore(call.actor, call.vendor, &order).await)
            })
        }),
        EndpointSpec::post(
            "/v1/restore",
            "Lifts what was cut off by an order for every vendor",
            OrderBody::Json(schema::<OperatorOrder>),
        )
        .answers(&[schema::<RestoreReport>])
        .on_gateway(OperatorRole::Admin, |api, call| {
            Box::pin(async move {
                let order = read_order(call.body, OperatorOrder::check_restore_all)?;
                json_result(api.control.restore_all(call.actor, &order).await)
            })
        }),
    ];
}

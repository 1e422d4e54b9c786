//! Kills: of one vendor or of all, now or at a time to come, tried out first, and exercised.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::api::AdminApi;
use super::control::{Actor, AdminControl, ControlFuture, ControlResult};
use super::endpoint::{Endpoint, EndpointSpec, OrderBody, read_order, schema};
use super::orders::{OrderError, check_reason};
use super::problem::AdminError;
use super::reply::{self, AdminReply, json_result};
use crate::bounds::{FLEET_CONFIRM_WAIT, FLEET_CONFIRM_WAIT_MAX, SCHEDULE_AHEAD_MAX};
use crate::config::OperatorRole;
use crate::kill::{DrillReport, KillAllReport, KillPreview, KillReport, KillSelector, ScheduledKill, ScheduledKills};
use crate::model::{ClientId, Direction, UnixTime, VendorId, is_default, parse_rfc3339};

/// An order to cut off a vendor, or to let it back: what every member matches, and all of it when none is given.
///
/// A restore names the part that a kill named.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Order")]
pub struct OperatorOrder {
    /// Why, in words for the audit trail.
    pub reason: String,
    /// Only this direction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// Only this route, as the contract writes it: `GET /v1/customers`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// Only this client of the vendor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// Only say what a kill would cut, and cut nothing.
    #[serde(default, skip_serializing_if = "is_default")]
    pub dry_run: bool,
    /// The names are meant, although the gateway has never seen them.
    #[serde(default, skip_serializing_if = "is_default")]
    pub unseen: bool,
    /// How long to wait until every gateway of the fleet has confirmed (`5s`; default half a second, at most 20s).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<String>,
    /// Not now but then: a time (RFC 3339), or how long from now (`2h`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
}

/// An order to take a kill to come back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UnscheduleOrder {
    /// The id of the kill to come.
    pub id: u64,
    /// Why, in words for the audit trail.
    pub reason: String,
}

impl UnscheduleOrder {
    /// Checks what JSON cannot say.
    ///
    /// # Errors
    /// [`OrderError::Reason`] when there is no reason, or it is too long.
    pub fn check(&self) -> Result<(), OrderError> {
        check_reason(&self.reason)
    }
}

/// An order to kill, measure and restore.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DrillOrder {
    /// Cut stand-ins, and nothing of the vendor's.
    #[serde(default)]
    pub shadow: bool,
    /// Why, in words for the audit trail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Kills and drills.
pub trait KillControl {
    /// Cuts off a vendor, or a part of it, also one whose contract is gone.
    fn kill(&self, actor: &Actor, vendor: &VendorId, order: &OperatorOrder) -> impl ControlFuture<KillReport>;

    /// Cuts off every vendor, or a part of each.
    fn kill_all(&self, actor: &Actor, order: &OperatorOrder) -> impl ControlFuture<KillAllReport>;

    /// What a kill of a vendor, or of all, would cut now.
    fn preview(&self, vendor: Option<&VendorId>, order: &OperatorOrder) -> ControlResult<KillPreview>;

    /// Cuts off a vendor, or all, or a part of them, at a time to come.
    fn schedule(
        &self,
        actor: &Actor,
        vendor: Option<&VendorId>,
        order: &OperatorOrder,
        at: UnixTime,
    ) -> impl ControlFuture<ScheduledKill>;

    /// Kills to come, the next one first.
    fn scheduled(&self) -> ScheduledKills;

    /// Takes a kill to come back.
    fn unschedule(&self, actor: &Actor, order: &UnscheduleOrder) -> impl ControlFuture<ScheduledKill>;

    /// Kills, measures and restores.
    fn drill(&self, actor: &Actor, vendor: &VendorId, order: &DrillOrder) -> impl ControlFuture<DrillReport>;
}

impl<C: AdminControl> AdminApi<C> {
    pub(super) const KILLS: &'static [Endpoint<C>] = &[
        EndpointSpec::post(
            "/v1/vendors/{vendor}/kill",
            "Cuts off a vendor, or a part of it: now, or at a time to come",
            OrderBody::Json(schema::<OperatorOrder>),
        )
        .answers(&[schema::<KillReport>, schema::<KillPreview>, schema::<ScheduledKill>])
        .on_vendor(OperatorRole::Operator, |api, call| {
            Box::pin(async move {
                let order = read_order(call.body, OperatorOrder::check)?;
                api.kill(call.actor, Some(call.vendor), &order).await
            })
        }),
        EndpointSpec::post(
            "/v1/kill",
            "Cuts off every vendor, or a part of each: now, or at a time to come",
            OrderBody::Json(schema::<OperatorOrder>),
        )
        .answers(&[schema::<KillAllReport>, schema::<KillPreview>, schema::<ScheduledKill>])
        .on_gateway(OperatorRole::Operator, |api, call| {
            Box::pin(async move {
                let order = read_order(call.body, OperatorOrder::check_for_all)?;
                api.kill(call.actor, None, &order).await
            })
        }),
        EndpointSpec::get("/v1/scheduled-kills", "Kills to come, the next one first")
            .answers(&[schema::<ScheduledKills>])
            .on_gateway(OperatorRole::Viewer, |api, _| Box::pin(async { Ok(reply::json(&api.control.scheduled())) })),
        EndpointSpec::post(
            "/v1/scheduled-kills/cancel",
            "Takes a kill to come back",
            OrderBody::Json(schema::<UnscheduleOrder>),
        )
        .answers(&[schema::<ScheduledKill>])
        .on_gateway(OperatorRole::Admin, |api, call| {
            Box::pin(async move {
                let order = read_order(call.body, UnscheduleOrder::check)?;
                json_result(api.control.unschedule(call.actor, &order).await)
            })
        }),
        EndpointSpec::post(
            "/v1/vendors/{vendor}/drill",
            "Kills, measures and restores",
            OrderBody::Json(schema::<DrillOrder>),
        )
        .answers(&[schema::<DrillReport>])
        .on_vendor(OperatorRole::Operator, |api, call| {
            Box::pin(async move {
                let order = read_order(call.body, DrillOrder::check)?;
                json_result(api.control.drill(call.actor, call.vendor, &order).await)
            })
        }),
    ];

    /// A kill of one vendor or of all: tried out, put off or carried out.
    async fn kill(
        &self,
        actor: &Actor,
        vendor: Option<&VendorId>,
        order: &OperatorOrder,
    ) -> Result<AdminReply, AdminError> {
        if order.dry_run {
            return json_result(self.control.preview(vendor, order));
        }
        match (order.due(self.now().wall).map_err(AdminError::Order)?, vendor) {
            (Some(at), _) => json_result(self.control.schedule(actor, vendor, order, at).await),
            (None, Some(vendor)) => json_result(self.control.kill(actor, vendor, order).await),
            (None, None) => json_result(self.control.kill_all(actor, order).await),
        }
    }
}

impl OperatorOrder {
    /// Checks what JSON cannot say.
    ///
    /// # Errors
    /// [`OrderError`] when there is no reason, or a part is named by an empty text.
    pub fn check(&self) -> Result<(), OrderError> {
        check_reason(&self.reason)?;
        for (key, value) in [("route", &self.route), ("client", &self.client)] {
            if value.as_deref() == Some("") {
                return Err(OrderError::Empty(key));
            }
        }
        self.wait()?;
        if self.dry_run && self.at.is_some() { Err(OrderError::DryRunLater) } else { Ok(()) }
    }

    /// How long the other gateways of a fleet are waited for.
    ///
    /// # Errors
    /// [`OrderError::Wait`] where it is no span, or too long.
    pub fn wait(&self) -> Result<Duration, OrderError> {
        let Some(text) = &self.wait else { return Ok(FLEET_CONFIRM_WAIT) };
        let span = humantime::parse_duration(text).ok().filter(|span| *span <= FLEET_CONFIRM_WAIT_MAX);
        span.ok_or(OrderError::Wait)
    }

    /// As [`Self::check`], for an order for every vendor.
    ///
    /// # Errors
    /// [`OrderError`], also where it names what only one vendor has.
    pub fn check_for_all(&self) -> Result<(), OrderError> {
        let named = [("route", self.route.is_some()), ("client", self.client.is_some())];
        let named = named.into_iter().find(|(_, is_named)| *is_named);
        named.map_or_else(|| self.check(), |(key, _)| Err(OrderError::OfOneVendor(key)))
    }

    /// When it is to be carried out; `None` where that is now.
    ///
    /// # Errors
    /// [`OrderError::At`] when the time cannot be read, has passed or is too far away.
    pub fn due(&self, now: UnixTime) -> Result<Option<UnixTime>, OrderError> {
        let Some(text) = &self.at else { return Ok(None) };
        let at = parse_rfc3339(text).or_else(|| humantime::parse_duration(text).ok().map(|span| now.plus(span)));
        let at = at.filter(|at| *at > now && at.since(now) <= SCHEDULE_AHEAD_MAX);
        at.map(Some).ok_or(OrderError::At)
    }

    /// As [`Self::check`], for a restore.
    ///
    /// # Errors
    /// [`OrderError`], also where it would be tried out or put off.
    pub fn check_restore(&self) -> Result<(), OrderError> {
        self.check()?;
        if self.dry_run || self.at.is_some() { Err(OrderError::NotForRestore) } else { Ok(()) }
    }

    /// As [`Self::check_for_all`], for a restore.
    ///
    /// # Errors
    /// [`OrderError`], also where it would be tried out or put off.
    pub fn check_restore_all(&self) -> Result<(), OrderError> {
        self.check_for_all()?;
        self.check_restore()
    }

    /// The part of the vendor that the order is about.
    pub fn selector(&self) -> KillSelector {
        KillSelector {
            direction: self.direction,
            route: self.route.as_deref().map(Into::into),
            client: self.client.as_deref().map(ClientId::new),
        }
    }
}

impl DrillOrder {
    /// Checks what JSON cannot say.
    ///
    /// # Errors
    /// [`OrderError::Reason`] when there is a reason and it is empty or too long.
    pub fn check(&self) -> Result<(), OrderError> {
        self.reason.as_deref().map_or(Ok(()), check_reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bounds::REASON_BYTES_MAX;

    fn check<T: serde::de::DeserializeOwned>(json: &str, rule: impl Fn(&T) -> Result<(), OrderError>) -> String {
        match serde_json::from_str::<T>(json) {
            Ok(order) => rule(&order).map_or_else(|error| error.to_string(), |()| "ok".to_owned()),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn orders_say_what_is_wrong_with_them() {
        let long = format!(r#"{{"reason":"{}"}}"#, "x".repeat(REASON_BYTES_MAX + 1));
        for (json, said) in [
            (r#"{"reason":"leak"}"#, "ok"),
            (r#"{"reason":"leak","direction":"egress","route":"GET /a","client":"c"}"#, "ok"),
            ("{}", "missing field `reason`"),
            (r#"{"reason":" "}"#, "write why"),
            (&long, "write why"),
            (r#"{"reason":"x","route":""}"#, "\"route\" is empty"),
            (r#"{"reason":"x","Direction":"egress"}"#, "unknown field `Direction`, expected one of"),
            (r#"{"reason":"x","direction":"up"}"#, "unknown variant `up`, expected `ingress` or `egress`"),
            (r#"{"reason":"x","reason":"y"}"#, "duplicate field `reason`"),
        ] {
            let found = check(json, OperatorOrder::check);
            assert!(found.starts_with(said), "{json}: {found}");
        }
    }

    #[test]
    fn a_kill_is_put_off_to_a_time_to_come() {
        let now = UnixTime::from_secs(1_000_000);
        for (at, secs) in [
            ("2h", Some(1_007_200)),
            ("1970-01-12T13:46:41Z", Some(1_000_001)),
            ("1970-01-12T13:46:40Z", None),
            ("0s", None),
            ("6years", None),
            ("99999999999years", None),
            ("9999-12-31T23:59:59Z", None),
            ("soon", None),
            ("", None),
        ] {
            let order = OperatorOrder { at: Some(at.to_owned()), ..OperatorOrder::default() };
            let due = secs.map(|secs| Some(UnixTime::from_secs(secs))).ok_or(OrderError::At);
            assert_eq!(order.due(now), due, "{at}");
        }
        assert_eq!(OperatorOrder::default().due(now), Ok(None));
        let both =
            OperatorOrder { reason: "x".into(), at: Some("2h".into()), dry_run: true, ..OperatorOrder::default() };
        assert_eq!(both.check(), Err(OrderError::DryRunLater));
    }
}

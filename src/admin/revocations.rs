//! Revocations: the orders that revoke a token, a client or a key, and that lift it again.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::api::AdminApi;
use super::control::{Actor, AdminControl, ControlFuture};
use super::endpoint::{Endpoint, EndpointSpec, OrderBody, read_order, schema};
use super::orders::{OrderError, check_reason};
use super::problem::AdminError;
use super::reply::{self, json_result};
use crate::config::OperatorRole;
use crate::kill::Fleet;
use crate::model::{UnixTime, VendorId, is_default, parse_rfc3339};

/// An order to take something back, or to lift that again. Exactly one of `jti`, `client`, `key` and `issued_before` is
/// given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RevokeOrder {
    /// The token with this id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    /// This client, with all that it was given and will be given, until that is lifted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// All tokens that this key signed or will sign, by its `kid` or its thumbprint (RFC 7638), until that is lifted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// All tokens issued before this time (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued_before: Option<String>,
    /// Why, in words for the audit trail.
    pub reason: String,
}

/// What a [`RevokeOrder`] names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revocable {
    /// One token, by its `jti`.
    Token(String),
    /// The client of this id.
    Client(String),
    /// A signing key.
    Key(String),
    /// All tokens issued before a time.
    IssuedBefore(UnixTime),
}

impl RevokeOrder {
    /// What is revoked.
    ///
    /// # Errors
    /// [`OrderError`] unless exactly one thing is named, readable and with a reason.
    pub fn revocation(&self) -> Result<Revocable, OrderError> {
        check_reason(&self.reason)?;
        let named = |key, text: &String| if text.is_empty() { Err(OrderError::Empty(key)) } else { Ok(text.clone()) };
        match (&self.jti, &self.client, &self.key, &self.issued_before) {
            (Some(jti), None, None, None) => named("jti", jti).map(Revocable::Token),
            (None, Some(client), None, None) => named("client", client).map(Revocable::Client),
            (None, None, Some(key), None) => named("key", key).map(Revocable::Key),
            (None, None, None, Some(time)) => parse_rfc3339(time).map(Revocable::IssuedBefore).ok_or(OrderError::Time),
            _ => Err(OrderError::OneOf),
        }
    }
}

/// What was taken back: one of its members.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Taken")]
pub struct RevokedItem {
    /// A token, by its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    /// The client of this id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// A signing key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// All tokens issued before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued_before: Option<UnixTime>,
}

impl From<&Revocable> for RevokedItem {
    fn from(what: &Revocable) -> Self {
        match what {
            Revocable::Token(id) => Self { jti: Some(id.clone()), ..Self::default() },
            Revocable::Client(client) => Self { client: Some(client.clone()), ..Self::default() },
            Revocable::Key(key) => Self { key: Some(key.clone()), ..Self::default() },
            Revocable::IssuedBefore(time) => Self { issued_before: Some(*time), ..Self::default() },
        }
    }
}

/// The answer to a revocation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RevokeReport {
    /// The vendor's id.
    pub vendor: String,
    /// What was revoked.
    pub revoked: RevokedItem,
    /// Whether a client, token or key of that name has been seen. Where not, it is kept all the same; a token is known
    /// only since the gateway started. Always true for a time.
    pub seen: bool,
    /// Requests that were severed.
    pub severed: u64,
    /// Microseconds from the order's arrival until the last of them had left.
    pub sever_micros: u64,
    /// Those that had not left when the deadline came: of these, bytes may still leave.
    #[serde(default, skip_serializing_if = "is_default")]
    pub lingering: u64,
    /// Whether it is on disk. If not, it holds until the gateway stops.
    pub persisted: bool,
    /// Who else knows.
    pub fleet: Fleet,
}

/// The answer to a lift.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LiftReport {
    /// The vendor's id.
    pub vendor: String,
    /// What may be used again.
    pub lifted: RevokedItem,
    /// Always true: what cannot be kept is not lifted.
    pub persisted: bool,
    /// Who else knows.
    pub fleet: Fleet,
}

/// What is taken back now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RevocationList {
    /// The revocations, oldest first.
    pub revocations: Vec<ActiveRevocation>,
}

/// One revocation that holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "StandingRevocation")]
pub struct ActiveRevocation {
    /// The vendor's id.
    pub vendor: String,
    /// What is revoked.
    pub revoked: RevokedItem,
    /// When it was revoked.
    pub at: UnixTime,
    /// When it may be forgotten, because no token that it names can be valid then; nothing where a person must lift it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<UnixTime>,
    /// The reason, in the operator's words.
    pub reason: String,
}

/// Revocations and their end.
pub trait RevocationControl {
    /// Takes a token, a client or a key back: refuses what is new, and severs what runs on it.
    fn revoke(
        &self,
        actor: &Actor,
        vendor: &VendorId,
        what: &Revocable,
        reason: &str,
    ) -> impl ControlFuture<RevokeReport>;

    /// Lets be used again what was taken back.
    fn lift(&self, actor: &Actor, vendor: &VendorId, what: &Revocable, reason: &str) -> impl ControlFuture<LiftReport>;

    /// What is taken back now.
    fn revocations(&self) -> RevocationList;
}

impl<C: AdminControl> AdminApi<C> {
    pub(super) const REVOCATIONS: &'static [Endpoint<C>] = &[
        EndpointSpec::post(
            "/v1/vendors/{vendor}/revocations",
            "Takes a token, a client or a signing key back: refuses what is new, severs what runs on it",
            OrderBody::Json(schema::<RevokeOrder>),
        )
        .answers(&[schema::<RevokeReport>])
        .on_vendor(OperatorRole::Operator, |api, call| {
            Box::pin(async move {
                let (what, reason) = read_revocation(call.body)?;
                json_result(api.control.revoke(call.actor, call.vendor, &what, &reason).await)
            })
        }),
        EndpointSpec::post(
            "/v1/vendors/{vendor}/revocations/lift",
            "Lets be used again what was taken back",
            OrderBody::Json(schema::<RevokeOrder>),
        )
        .answers(&[schema::<LiftReport>])
        .on_vendor(OperatorRole::Admin, |api, call| {
            Box::pin(async move {
                let (what, reason) = read_revocation(call.body)?;
                json_result(api.control.lift(call.actor, call.vendor, &what, &reason).await)
            })
        }),
        EndpointSpec::get("/v1/revocations", "What is taken back, oldest first")
            .answers(&[schema::<RevocationList>])
            .on_gateway(OperatorRole::Viewer, |api, _| Box::pin(async { Ok(reply::json(&api.control.revocations())) })),
    ];
}

fn read_revocation(body: &[u8]) -> Result<(Revocable, String), AdminError> {
    let order: RevokeOrder = read_order(body, |_| Ok(()))?;
    Ok((order.revocation().map_err(AdminError::Order)?, order.reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revocation_names_exactly_one_thing() {
        for (json, said) in [
            (r#"{"reason":"x","jti":"1"}"#, "ok"),
            (r#"{"reason":"x","client":"c"}"#, "ok"),
            (r#"{"reason":"x","key":"k"}"#, "ok"),
            (r#"{"reason":"x","issued_before":"2026-11-21T20:00:00Z"}"#, "ok"),
            (r#"{"reason":"x","issued_before":"yesterday"}"#, "\"issued_before\" must be a time"),
            (r#"{"reason":"x"}"#, "write exactly one"),
            (r#"{"reason":"x","jti":"1","client":"c"}"#, "write exactly one"),
            (r#"{"reason":"x","key":"1","client":"c"}"#, "write exactly one"),
            (r#"{"reason":"x","jti":""}"#, "\"jti\" is empty"),
            (r#"{"reason":"x","key":""}"#, "\"key\" is empty"),
            (r#"{"jti":"1"}"#, "missing field `reason`"),
        ] {
            let found = match serde_json::from_str::<RevokeOrder>(json) {
                Ok(order) => order.revocation().map_or_else(|error| error.to_string(), |_| "ok".to_owned()),
                Err(error) => error.to_string(),
            };
            assert!(found.starts_with(said), "{json}: {found}");
        }
    }
}

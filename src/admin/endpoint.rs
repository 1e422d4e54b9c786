//! An admin call as one value: method, path, role, types and handler. Each subject's file lists its own.
//!
//! Dispatch, roles, the API's description and the tests all read these values, so a call is written down once.

use std::future::Future;
use std::pin::Pin;

use http::request::Parts;
use schemars::generate::SchemaGenerator;
use schemars::{JsonSchema, Schema};
use serde::de::DeserializeOwned;

use super::api::AdminApi;
use super::control::{Actor, AdminControl};
use super::guard::CallProof;
use super::orders::OrderError;
use super::problem::AdminError;
use super::query::AdminQuery;
use super::reply::AdminReply;
use crate::config::OperatorRole;
use crate::model::{VendorId, words};

words! {
    /// A method of the admin API.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(super) enum AdminMethod {
        Get = "GET",
        Post = "POST",
    }
}

/// A query parameter.
#[derive(Debug)]
pub(super) struct QueryParameter {
    pub(super) name: &'static str,
    pub(super) required: bool,
    pub(super) description: &'static str,
}

impl QueryParameter {
    pub(super) const fn optional(name: &'static str, description: &'static str) -> Self {
        Self { name, required: false, description }
    }

    pub(super) const fn required(name: &'static str, description: &'static str) -> Self {
        Self { name, required: true, description }
    }
}

/// Makes a type's schema: [`schema`].
pub(super) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// The schema of a type of orders or answers.
pub(super) fn schema<T: JsonSchema>(schemas: &mut SchemaGenerator) -> Schema {
    schemas.subschema_for::<T>()
}

/// The body that a call takes.
pub(super) enum OrderBody {
    /// A GET has none.
    None,
    Json(SchemaOf),
    /// A call that has nothing to read: an empty body is taken for `{}`.
    JsonOrEmpty(SchemaOf),
}

/// The body that a call answers with.
pub(super) enum AnswerBody {
    Text,
    /// JSON that describes itself.
    AnyObject,
    /// JSON of one of these types.
    Json(&'static [SchemaOf]),
    /// Server-sent events whose data is JSON of this type.
    Events(SchemaOf),
}

/// An answer that may take a while: for a disk, or for requests to end.
pub(super) type HandlerFuture<'a> = Pin<Box<dyn Future<Output = Result<AdminReply, AdminError>> + Send + 'a>>;

pub(super) type OpenHandler<C> = fn(&AdminApi<C>, &Parts, &AdminQuery) -> AdminReply;
pub(super) type VendorHandler<C> = for<'a> fn(&'a AdminApi<C>, VendorCall<'a>) -> HandlerFuture<'a>;
pub(super) type GatewayHandler<C> = for<'a> fn(&'a AdminApi<C>, GatewayCall<'a>) -> HandlerFuture<'a>;

/// Who may make a call, and what it does.
pub(super) enum Handler<C: AdminControl> {
    /// For anyone who reaches the listener.
    Open(OpenHandler<C>),
    /// About the vendor in the path, for operators whose role permits this one.
    OnVendor(OperatorRole, VendorHandler<C>),
    /// About the gateway, for operators whose role permits this one.
    OnGateway(OperatorRole, GatewayHandler<C>),
}

/// A call about one vendor, as its handler reads it.
pub(super) struct VendorCall<'a> {
    pub(super) actor: &'a Actor,
    pub(super) vendor: &'a VendorId,
    pub(super) body: &'a [u8],
}

/// A call about the gateway, as its handler reads it.
pub(super) struct GatewayCall<'a> {
    pub(super) actor: &'a Actor,
    pub(super) proof: CallProof,
    pub(super) head: &'a Parts,
    pub(super) query: &'a AdminQuery,
    pub(super) body: &'a [u8],
}

/// One admin call.
pub(super) struct Endpoint<C: AdminControl> {
    pub(super) spec: EndpointSpec,
    pub(super) handler: Handler<C>,
}

/// An admin call as its description shows it.
pub(super) struct EndpointSpec {
    pub(super) method: AdminMethod,
    /// The path; `{vendor}` is one segment.
    pub(super) path: &'static str,
    pub(super) description: &'static str,
    pub(super) parameters: &'static [QueryParameter],
    pub(super) order: OrderBody,
    pub(super) answer: AnswerBody,
}

impl EndpointSpec {
    /// A call that reads. It answers with text unless it says otherwise.
    pub(super) const fn get(path: &'static str, description: &'static str) -> Self {
        let (order, answer) = (OrderBody::None, AnswerBody::Text);
        Self { method: AdminMethod::Get, path, description, parameters: &[], order, answer }
    }

    /// A call that orders something.
    pub(super) const fn post(path: &'static str, description: &'static str, order: OrderBody) -> Self {
        Self { method: AdminMethod::Post, order, ..Self::get(path, description) }
    }

    pub(super) const fn parameters(self, parameters: &'static [QueryParameter]) -> Self {
        Self { parameters, ..self }
    }

    /// The answer is JSON that describes itself.
    pub(super) const fn answers_any_object(self) -> Self {
        Self { answer: AnswerBody::AnyObject, ..self }
    }

    /// The answer is JSON of one of these types.
    pub(super) const fn answers(self, types: &'static [SchemaOf]) -> Self {
        Self { answer: AnswerBody::Json(types), ..self }
    }

    /// The answer is server-sent events whose data is JSON of this type.
    pub(super) const fn answers_events(self, data: SchemaOf) -> Self {
        Self { answer: AnswerBody::Events(data), ..self }
    }

    pub(super) const fn open<C: AdminControl>(self, handler: OpenHandler<C>) -> Endpoint<C> {
        Endpoint { spec: self, handler: Handler::Open(handler) }
    }

    pub(super) const fn on_vendor<C: AdminControl>(self, role: OperatorRole, act: VendorHandler<C>) -> Endpoint<C> {
        Endpoint { spec: self, handler: Handler::OnVendor(role, act) }
    }

    pub(super) const fn on_gateway<C: AdminControl>(self, role: OperatorRole, act: GatewayHandler<C>) -> Endpoint<C> {
        Endpoint { spec: self, handler: Handler::OnGateway(role, act) }
    }
}

impl<C: AdminControl> Endpoint<C> {
    /// Method and path, as the audit trail shows them.
    pub(super) fn name(&self) -> String {
        format!("{} {}", self.spec.method.as_str(), self.spec.path)
    }

    /// The role that the caller's must permit; `None` for calls that are open.
    pub(super) const fn role(&self) -> Option<OperatorRole> {
        match &self.handler {
            Handler::Open(_) => None,
            Handler::OnVendor(role, _) | Handler::OnGateway(role, _) => Some(*role),
        }
    }
}

/// What a path and a method lead to.
pub(super) enum CallMatch<'a, C: AdminControl> {
    /// A call, and the text in the place of `{vendor}` in its path; empty where its path has none.
    Call(&'static Endpoint<C>, &'a str),
    /// A path of the API, by another method than it takes.
    OtherMethod(&'static str),
    /// No path of the API.
    Nothing,
}

impl<C: AdminControl> AdminApi<C> {
    /// Every call, in the order of the API's description.
    pub(super) fn endpoints() -> impl Iterator<Item = &'static Endpoint<C>> {
        let subjects = [
            Self::PROBES,
            Self::STATUS,
            Self::SUGGESTIONS,
            Self::JOURNEY,
            Self::RECORDS,
            Self::SHADOW,
            Self::FLEET,
            Self::KILLS,
            Self::REVOCATIONS,
            Self::RESTORES,
            Self::REVEAL,
            Self::RELOAD,
            Self::VENDOR_DETAILS,
            Self::LIVE,
            Self::LOGIN,
        ];
        subjects.into_iter().flatten()
    }

    /// Looks a request up; HEAD is GET without the body. Paths are compared as they are sent: no case folding, no
    /// decoding, no trailing slash.
    pub(super) fn match_call<'a>(method: &str, path: &'a str) -> CallMatch<'a, C> {
        let method = if method == "HEAD" { "GET" } else { method };
        let mut other = CallMatch::Nothing;
        for endpoint in Self::endpoints() {
            let Some(vendor) = captured(endpoint.spec.path, path) else { continue };
            if endpoint.spec.method.as_str() == method {
                return CallMatch::Call(endpoint, vendor);
            }
            other = CallMatch::OtherMethod(endpoint.spec.method.as_str());
        }
        other
    }
}

/// The text in the place of `{vendor}`, where the path matches.
fn captured<'a>(pattern: &str, path: &'a str) -> Option<&'a str> {
    let Some((before, after)) = pattern.split_once("{vendor}") else {
        return (pattern == path).then_some("");
    };
    let vendor = path.strip_prefix(before)?.strip_suffix(after)?;
    let one_segment = !vendor.is_empty() && !vendor.contains('/');
    one_segment.then_some(vendor)
}

/// Reads an order and checks what JSON cannot say. The text about a fault names keys and places, and never a value.
pub(super) fn read_order<T: DeserializeOwned>(
    body: &[u8],
    check: fn(&T) -> Result<(), OrderError>,
) -> Result<T, AdminError> {
    // A list would be read too, its items taken for the members in their order.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(AdminError::BodyMalformed("must be a JSON object".into()));
    }
    let order = serde_json::from_slice(body).map_err(|error| AdminError::BodyMalformed(error.to_string()))?;
    check(&order).map_err(AdminError::Order)?;
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::fake::FakeControl;

    type Api = AdminApi<FakeControl>;

    #[test]
    fn every_endpoint_is_found_by_its_own_method_and_path() {
        for endpoint in Api::endpoints() {
            let is_about_a_vendor = matches!(endpoint.handler, Handler::OnVendor(..));
            assert_eq!(endpoint.spec.path.contains("{vendor}"), is_about_a_vendor, "{}", endpoint.name());
            let found = Api::match_call(endpoint.spec.method.as_str(), endpoint.spec.path);
            assert!(matches!(found, CallMatch::Call(found, _) if found.name() == endpoint.name()));
        }
    }

    #[test]
    fn only_listed_paths_are_found_by_the_method_that_they_take() {
        let found = |method, path| match Api::match_call(method, path) {
            CallMatch::Call(endpoint, vendor) => format!("{} {vendor}", endpoint.name()),
            CallMatch::OtherMethod(allow) => allow.to_owned(),
            CallMatch::Nothing => "nothing".to_owned(),
        };
        for (method, path, expected) in [
            ("GET", "/v1/vendors/acme", "GET /v1/vendors/{vendor} acme"),
            ("POST", "/v1/vendors/acme/kill", "POST /v1/vendors/{vendor}/kill acme"),
            ("POST", "/v1/kill", "POST /v1/kill "),
            ("GET", "/v1/vendors/acme/kill", "POST"),
            ("DELETE", "/v1/vendors/acme", "GET"),
            ("get", "/livez", "GET"),
            ("HEAD", "/livez", "GET /livez "),
            ("POST", "/v1/vendors//kill", "nothing"),
            ("POST", "/v1/vendors/a/b/kill", "nothing"),
            ("GET", "/v1/vendors/", "nothing"),
            ("GET", "/v1/vendors/acme/", "nothing"),
            ("GET", "/V1/vendors", "nothing"),
            ("GET", "//v1/vendors", "nothing"),
        ] {
            assert_eq!(found(method, path), expected, "{method} {path}");
        }
    }
}

//! The description of the admin API (OpenAPI 3.1), made of the same table and types that serve it.

use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};

use super::answers::{
    DrillReport, KillAllReport, KillPreview, KillReport, ReloadReport, RestoreReport, VendorList, VendorStatus,
};
use super::orders::{DrillOrder, EmptyBody, OperatorOrder};
use super::problem::Problem;
use super::records::{AuditPage, ExposureAnswer};
use super::reveal::{RevealOrder, RevealReport};
use super::revoked::{LiftReport, RevocationList, RevokeOrder, RevokeReport};
use super::scheduled::{ScheduledKill, ScheduledKills, UnscheduleOrder};
use super::table::{AdminCall, Endpoint, GatewayCall, ProbeCall, TABLE, VendorCall};
use crate::telemetry::FailedRequest;

/// The whole description.
pub(super) fn describe() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut schemas = settings.into_generator();
    let mut paths = Map::new();
    for endpoint in TABLE {
        let operation = operation(endpoint, &mut schemas);
        let path = paths.entry(endpoint.path).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(endpoint.verb.as_str().to_ascii_lowercase(), operation);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "vendorgate admin API",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": schemas.take_definitions(true),
            "securitySchemes": { "operator": { "type": "http", "scheme": "bearer" } },
        },
    })
}

fn operation(endpoint: &Endpoint, schemas: &mut SchemaGenerator) -> Value {
    let (order, answer) = types(endpoint.call, schemas);
    let (media, answer) =
        answer.map_or(("text/plain", json!({ "type": "string" })), |schema| ("application/json", schema));
    let mut responses = json!({ "200": { "description": "Done", "content": { media: { "schema": answer } } } });
    let problem = schemas.subschema_for::<Problem>().to_value();
    responses["default"] = json!({
        "description": "Refused",
        "content": { "application/problem+json": { "schema": problem } },
    });
    let mut operation = json!({
        "summary": endpoint.description,
        "operationId": identifier(endpoint),
        "parameters": parameters(endpoint),
        "responses": responses,
        "security": endpoint.call.role().map_or_else(|| json!([]), |_| json!([{ "operator": [] }])),
    });
    if let Some(role) = endpoint.call.role() {
        operation["description"] = json!(format!("Needs the role `{role}`."));
    }
    if let Some(order) = order {
        operation["requestBody"] = json!({ "required": true, "content": { "application/json": { "schema": order } } });
    }
    operation
}

/// The schemas of what a call takes and of what it answers, where these are JSON.
fn types(call: AdminCall, schemas: &mut SchemaGenerator) -> (Option<Value>, Option<Value>) {
    macro_rules! schema {
        () => {
            None
        };
        ($type:ty) => {
            Some(schemas.subschema_for::<$type>().to_value())
        };
    }
    match call {
        AdminCall::Open(ProbeCall::Live | ProbeCall::Ready | ProbeCall::Metrics) => (schema!(), schema!()),
        AdminCall::Open(ProbeCall::OpenApi) => (schema!(), Some(json!({ "type": "object" }))),
        AdminCall::OnVendor(_, VendorCall::Status) => (schema!(), schema!(VendorStatus)),
        AdminCall::OnVendor(_, VendorCall::Kill) => {
            let answers = [schema!(KillReport), schema!(KillPreview), schema!(ScheduledKill)];
            (schema!(OperatorOrder), Some(json!({ "anyOf": answers })))
        }
        AdminCall::OnVendor(_, VendorCall::Drill) => (schema!(DrillOrder), schema!(DrillReport)),
        AdminCall::OnVendor(_, VendorCall::Revoke) => (schema!(RevokeOrder), schema!(RevokeReport)),
        AdminCall::OnVendor(_, VendorCall::Lift) => (schema!(RevokeOrder), schema!(LiftReport)),
        AdminCall::OnVendor(_, VendorCall::Restore) => (schema!(OperatorOrder), schema!(RestoreReport)),
        AdminCall::OnGateway(_, GatewayCall::Vendors) => (schema!(), schema!(VendorList)),
        AdminCall::OnGateway(_, GatewayCall::Exposure) => (schema!(), schema!(ExposureAnswer)),
        AdminCall::OnGateway(_, GatewayCall::Why) => (schema!(), schema!(FailedRequest)),
        AdminCall::OnGateway(_, GatewayCall::Audit) => (schema!(), schema!(AuditPage)),
        AdminCall::OnGateway(_, GatewayCall::KillAll) => {
            let answers = [schema!(KillAllReport), schema!(KillPreview), schema!(ScheduledKill)];
            (schema!(OperatorOrder), Some(json!({ "anyOf": answers })))
        }
        AdminCall::OnGateway(_, GatewayCall::Revocations) => (schema!(), schema!(RevocationList)),
        AdminCall::OnGateway(_, GatewayCall::Scheduled) => (schema!(), schema!(ScheduledKills)),
        AdminCall::OnGateway(_, GatewayCall::Unschedule) => (schema!(UnscheduleOrder), schema!(ScheduledKill)),
        AdminCall::OnGateway(_, GatewayCall::RestoreAll) => (schema!(OperatorOrder), schema!(RestoreReport)),
        AdminCall::OnGateway(_, GatewayCall::Reveal) => (schema!(RevealOrder), schema!(RevealReport)),
        AdminCall::OnGateway(_, GatewayCall::Reload) => (schema!(EmptyBody), schema!(ReloadReport)),
    }
}

fn parameters(endpoint: &Endpoint) -> Vec<Value> {
    let vendor = endpoint.path.contains("{vendor}").then(|| {
        json!({ "name": "vendor", "in": "path", "required": true, "schema": { "type": "string" },
                "description": "The vendor's id" })
    });
    let query = endpoint.parameters.iter().map(|parameter| {
        json!({ "name": parameter.name, "in": "query", "required": parameter.required,
                "schema": { "type": "string" }, "description": parameter.description })
    });
    vendor.into_iter().chain(query).collect()
}

/// `post_v1_vendors_vendor_kill`
fn identifier(endpoint: &Endpoint) -> String {
    let plain = |symbol: char| if symbol.is_ascii_alphanumeric() { symbol.to_ascii_lowercase() } else { '_' };
    let name: String =
        endpoint.name.chars().filter(|symbol| !"{}/".contains(*symbol) || *symbol == '/').map(plain).collect();
    name.replace("__", "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_is_described_and_every_reference_leads_somewhere() {
        let api = describe();
        for endpoint in TABLE {
            let operation = &api["paths"][endpoint.path][endpoint.verb.as_str().to_ascii_lowercase()];
            assert_eq!(operation["summary"], endpoint.description, "{}", endpoint.name);
            assert_eq!(operation["security"] == json!([]), endpoint.call.role().is_none(), "{}", endpoint.name);
        }
        let text = api.to_string();
        let references: Vec<&str> =
            text.split("\"#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert!(references.len() > TABLE.len());
        for name in references {
            assert!(api["components"]["schemas"].get(name).is_some(), "{name}");
        }
        assert_eq!(api["components"]["schemas"]["OperatorOrder"]["additionalProperties"], json!(false));
    }
}

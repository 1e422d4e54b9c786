//! The description of the admin API (OpenAPI 3.1), made of the same endpoints and types that serve it.

use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};

use super::api::AdminApi;
use super::control::AdminControl;
use super::endpoint::{AnswerBody, Endpoint, OrderBody};
use super::problem::Problem;

/// The whole description.
pub(super) fn describe<C: AdminControl>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut schemas = settings.into_generator();
    let mut paths = Map::new();
    for endpoint in AdminApi::<C>::endpoints() {
        let operation = operation(endpoint, &mut schemas);
        let path = paths.entry(endpoint.spec.path).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(endpoint.spec.method.as_str().to_ascii_lowercase(), operation);
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

fn operation<C: AdminControl>(endpoint: &Endpoint<C>, schemas: &mut SchemaGenerator) -> Value {
    // Types are listed in the order in which they are first asked for: a kill's answers, then its order; else the
    // order.
    let (order, (media, answer)) = if matches!(&endpoint.spec.answer, AnswerBody::Json([_, _, ..])) {
        let answer = answer(&endpoint.spec.answer, schemas);
        (order(&endpoint.spec.order, schemas), answer)
    } else {
        (order(&endpoint.spec.order, schemas), answer(&endpoint.spec.answer, schemas))
    };
    let mut responses = json!({ "200": { "description": "Done", "content": { media: { "schema": answer } } } });
    let problem = schemas.subschema_for::<Problem>().to_value();
    responses["default"] = json!({
        "description": "Refused",
        "content": { "application/problem+json": { "schema": problem } },
    });
    let mut operation = json!({
        "summary": endpoint.spec.description,
        "operationId": identifier(endpoint),
        "parameters": parameters(endpoint),
        "responses": responses,
        "security": endpoint.role().map_or_else(|| json!([]), |_| json!([{ "operator": [] }])),
    });
    if let Some(role) = endpoint.role() {
        operation["description"] = json!(format!("Needs the role `{role}`."));
    }
    if let Some(order) = order {
        operation["requestBody"] = json!({ "required": true, "content": { "application/json": { "schema": order } } });
    }
    operation
}

fn order(body: &OrderBody, schemas: &mut SchemaGenerator) -> Option<Value> {
    match body {
        OrderBody::None => None,
        OrderBody::Json(schema) | OrderBody::JsonOrEmpty(schema) => Some(schema(schemas).to_value()),
    }
}

/// The media type of an answer, and its schema.
fn answer(body: &AnswerBody, schemas: &mut SchemaGenerator) -> (&'static str, Value) {
    match body {
        AnswerBody::Text => ("text/plain", json!({ "type": "string" })),
        AnswerBody::AnyObject => ("application/json", json!({ "type": "object" })),
        AnswerBody::Events(data) => ("text/event-stream", data(schemas).to_value()),
        AnswerBody::Json([one]) => ("application/json", one(schemas).to_value()),
        AnswerBody::Json(several) => {
            let several: Vec<Value> = several.iter().map(|schema| schema(schemas).to_value()).collect();
            ("application/json", json!({ "anyOf": several }))
        }
    }
}

fn parameters<C: AdminControl>(endpoint: &Endpoint<C>) -> Vec<Value> {
    let vendor = endpoint.spec.path.contains("{vendor}").then(|| {
        json!({ "name": "vendor", "in": "path", "required": true, "schema": { "type": "string" },
                "description": "The vendor's id" })
    });
    let query = endpoint.spec.parameters.iter().map(|parameter| {
        json!({ "name": parameter.name, "in": "query", "required": parameter.required,
                "schema": { "type": "string" }, "description": parameter.description })
    });
    vendor.into_iter().chain(query).collect()
}

/// The operation's id in OpenAPI, such as `post_v1_vendors_vendor_kill`.
fn identifier<C: AdminControl>(endpoint: &Endpoint<C>) -> String {
    let plain = |symbol: char| if symbol.is_ascii_alphanumeric() { symbol.to_ascii_lowercase() } else { '_' };
    let name: String =
        endpoint.name().chars().filter(|symbol| !"{}/".contains(*symbol) || *symbol == '/').map(plain).collect();
    name.replace("__", "_")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::fake::FakeControl;

    #[test]
    fn every_call_is_described_and_every_reference_leads_somewhere() {
        let api = describe::<FakeControl>();
        for endpoint in AdminApi::<FakeControl>::endpoints() {
            let operation = &api["paths"][endpoint.spec.path][endpoint.spec.method.as_str().to_ascii_lowercase()];
            assert_eq!(operation["summary"], endpoint.spec.description, "{}", endpoint.name());
            assert_eq!(operation["security"] == json!([]), endpoint.role().is_none(), "{}", endpoint.name());
        }
        let text = api.to_string();
        let references: Vec<&str> =
            text.split("\"#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert!(references.len() > AdminApi::<FakeControl>::endpoints().count());
        for name in references {
            assert!(api["components"]["schemas"].get(name).is_some(), "{name}");
        }
        assert_eq!(api["components"]["schemas"]["Order"]["additionalProperties"], json!(false));
    }
}

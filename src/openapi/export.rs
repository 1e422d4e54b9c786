//! A contract as a description: what passes under it, for readers who know OpenAPI. Fields that are treated carry
//! `x-data-classification`.
//!
//! A contract names fields and no types, so the schemas have none either.

use serde_json::{Map, Value, json};

use crate::config::{Contract, ContractRoute};
use crate::model::{Category, Direction, FieldPath, PathSelector};
use crate::parameters::ParameterForm;
use crate::pii::{Rule, Rules, Treatment, ValueLocation};

/// The description of one direction of a contract: OpenAPI 3.1 in JSON, which is YAML too.
pub(crate) fn openapi(contract: &Contract, direction: Direction) -> Value {
    let mut paths = Map::new();
    for route in contract.routes(direction).as_slice() {
        let (methods, path) = route.pattern.as_str().split_once(' ').unwrap_or_default();
        let item = paths.entry(path.replace("{*", "{")).or_insert_with(|| json!({}));
        for method in methods.split('|').flat_map(methods_of) {
            item[method] = operation(route, direction);
        }
    }
    let version = contract.starts.to_string().chars().take(10).collect::<String>();
    let mut described = json!({
        "openapi": "3.1.0",
        "info": {
            "title": contract.name, "version": version,
            "description": format!("What the contract of {} lets pass ({}).", contract.vendor, direction.as_str()),
        },
        "paths": paths,
    });
    if direction == Direction::Ingress {
        described["components"] = json!({ "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } } });
    } else if let Some(route) = contract.egress.as_slice().first() {
        described["servers"] = json!([{ "url": route.upstream.base.to_string().trim_end_matches('/') }]);
    }
    described
}

fn methods_of(word: &str) -> Vec<&'static str> {
    const ALL: [&str; 7] = ["get", "head", "post", "put", "patch", "delete", "options"];
    ALL.into_iter().filter(|method| word == "*" || method.eq_ignore_ascii_case(word)).collect()
}

fn operation(route: &ContractRoute, direction: Direction) -> Value {
    let mut operation = json!({});
    let parameters = parameters(route);
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if direction == Direction::Ingress {
        let scopes: Vec<&str> = route.scopes.iter().map(|scope| scope.as_str()).collect();
        operation["security"] = json!([{ "token": scopes }]);
    }
    let mut answer = json!({ "description": "what the other side answers" });
    if let Some(schema) = schema(&route.response) {
        answer["content"] = json!({ "application/json": { "schema": schema } });
    }
    if let Some(schema) = schema(&route.request) {
        operation["requestBody"] = json!({ "content": { "application/json": { "schema": schema } } });
    }
    operation["responses"] = json!({ "2XX": answer });
    operation
}

fn parameters(route: &ContractRoute) -> Vec<Value> {
    let rules = &route.parameters;
    let form_of = |name: &str| {
        let all = rules.captures.iter().chain(&rules.parameters);
        all.into_iter().find(|(named, _)| **named == *name).map(|(_, form)| form)
    };
    let parameter = |place: &str, name: &str| {
        let mut parameter =
            json!({ "name": name, "in": place, "schema": form_of(name).map_or_else(|| json!({}), form) });
        if place == "path" {
            parameter["required"] = true.into();
        }
        let rule = route.request.treat.iter().find(|rule| match &rule.location {
            ValueLocation::Query(ruled) => place == "query" && **ruled == *name,
            ValueLocation::Segment(ruled) => place == "path" && **ruled == *name,
            ValueLocation::Field(_) | ValueLocation::Header(_) | ValueLocation::Cookie(_) => false,
        });
        if let Some(rule) = rule {
            parameter["schema"]["x-data-classification"] = classification(rule);
        }
        parameter
    };
    let queried = rules.query.iter().flat_map(|list| &list.names).chain(rules.parameters.iter().map(|(name, _)| name));
    let captured = route.pattern.capture_names().map(|name| parameter("path", name));
    captured.chain(queried.map(|name| parameter("query", name))).collect()
}

fn form(form: &ParameterForm) -> Value {
    let (kind, format) = match form.kind.as_str() {
        kind @ ("uuid" | "date") => ("string", Some(kind)),
        kind => (kind, None),
    };
    let mut schema = json!({ "type": kind });
    for (name, value) in [
        ("format", format.map(Value::from)),
        ("pattern", form.pattern.as_ref().map(|pattern| Value::from(format!("^(?:{pattern})$")))),
        ("maxLength", form.max_length.map(Value::from)),
    ] {
        if let Some(value) = value {
            schema[name] = value;
        }
    }
    schema
}

/// The schema of a message; `None` where the contract says nothing of its fields.
pub(super) fn schema(rules: &Rules) -> Option<Value> {
    let mut root = json!({});
    for path in rules.only.iter().flatten().chain(&rules.clear) {
        place(&mut root, path);
    }
    for rule in &rules.treat {
        if let ValueLocation::Field(path) = &rule.location
            && let Some(schema) = place(&mut root, path)
        {
            schema["x-data-classification"] = classification(rule);
        }
    }
    if rules.only.is_some() {
        close(&mut root);
    }
    root.as_object().is_some_and(|root| !root.is_empty()).then_some(root)
}

/// The schema at a path, made where it is not there. `None` for a path at any depth: no schema has a place for it.
fn place<'a>(root: &'a mut Value, path: &FieldPath) -> Option<&'a mut Value> {
    if path.steps().iter().any(|step| step.descends) {
        return None;
    }
    path.steps().iter().try_fold(root, |schema, step| {
        Some(match &step.selector {
            PathSelector::Name(name) => {
                schema["type"] = "object".into();
                let properties = schema.as_object_mut()?.entry("properties").or_insert_with(|| json!({}));
                properties.as_object_mut()?.entry(name.to_string()).or_insert_with(|| json!({}))
            }
            PathSelector::Wildcard | PathSelector::Index(_) => {
                schema["type"] = "array".into();
                schema.as_object_mut()?.entry("items").or_insert_with(|| json!({}))
            }
        })
    })
}

/// Under `only:` objects have no other members.
fn close(schema: &mut Value) {
    let Some(members) = schema.as_object_mut() else { return };
    if let Some(properties) = members.get_mut("properties").and_then(Value::as_object_mut) {
        properties.iter_mut().for_each(|(_, property)| close(property));
        members.insert("additionalProperties".to_owned(), false.into());
    }
    members.get_mut("items").into_iter().for_each(close);
}

pub(super) fn classification(rule: &Rule) -> Value {
    let masking = match &rule.treatment {
        Treatment::Tokenize | Treatment::EncryptFormat(_) => json!({ "strategy": "tokenize" }),
        Treatment::Hash => json!({ "strategy": "hash" }),
        Treatment::Mask { keep_first: 0, keep_last: 0 } => json!({ "strategy": "partial" }),
        Treatment::Mask { keep_first, keep_last } => {
            json!({ "strategy": "partial", "keep": { "first": keep_first, "last": keep_last } })
        }
        Treatment::Redact => json!({ "strategy": "full" }),
        Treatment::Drop => json!({ "strategy": "remove" }),
        Treatment::Generalize(_) => json!({ "strategy": "partial" }),
    };
    json!({ "category": registry_word(rule.category.as_ref()), "masking": masking })
}

/// The registry's word for a category.
fn registry_word(category: Option<&Category>) -> &'static str {
    let Some(category) = category else { return "PII" };
    let words = [
        ("user.financial", "financial"),
        ("user.payment", "financial"),
        ("user.government_id", "government-id"),
        ("user.health_and_medical", "health"),
        ("user.authorization", "credential"),
        ("user.contact", "contact"),
        ("user", "PII"),
    ];
    let is_below =
        |key: &str| category.as_str().strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    words.into_iter().find(|(key, _)| is_below(key)).map_or("other", |(_, word)| word)
}

//! One operation of a description: its route, parameters, scopes and bodies.

use serde_json::Value;

use super::document::{ApiDocument, one_line};
use super::fields::{BodyFields, DescribedSide, body_fields};
use super::parameter::ApiParameters;
use super::path::RoutePath;
use super::security;
use crate::bounds::OPENAPI_OPERATIONS_MAX;

/// The methods of a path, of those that routes have.
const METHODS: [&str; 7] = ["get", "put", "post", "delete", "options", "head", "patch"];

/// Which operations are wanted.
#[derive(Debug, Clone, Default)]
pub(crate) struct OperationFilter {
    /// Those with one of these tags; none means all.
    pub(crate) tags: Vec<String>,
    /// Those whose path begins so.
    pub(crate) path: String,
    /// The schemes that count in `security`; none means all.
    pub(crate) schemes: Vec<String>,
    /// The address in place of the description's own.
    pub(crate) server: Option<String>,
}

/// An operation that a contract can have as a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ApiOperation {
    /// `GET /v1/customers/{id}`
    pub(super) route: String,
    pub(super) summary: String,
    pub(super) parameters: ApiParameters,
    pub(super) scopes: Result<Vec<String>, String>,
    pub(super) request: BodyFields,
    pub(super) response: BodyFields,
}

/// An operation that no route can have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OmittedOperation {
    /// Method and path as the description has them.
    pub(crate) name: String,
    /// Why, in words.
    pub(crate) why: String,
}

/// The operations that are wanted, and those that cannot be had.
pub(super) fn operations(
    document: &ApiDocument,
    filter: &OperationFilter,
) -> (Vec<ApiOperation>, Vec<OmittedOperation>) {
    let base = server(document, filter).map(|server| base_path(&server)).unwrap_or_default();
    let (mut found, mut omitted) = (Vec::new(), Vec::new());
    for (template, item) in document.paths().filter(|(path, _)| path.starts_with('/') && path.starts_with(&filter.path))
    {
        let item = match document.resolve(item) {
            Ok(item) => item,
            Err(why) => {
                omitted.push(OmittedOperation { name: one_line(template), why });
                continue;
            }
        };
        for method in METHODS {
            // A route for GET also takes HEAD.
            let is_covered = method == "head" && item.get("get").is_some();
            let Some(operation) = item.get(method).filter(|it| it.is_object() && !is_covered && is_tagged(it, filter))
            else {
                continue;
            };
            let method = method.to_ascii_uppercase();
            if found.len() + omitted.len() >= OPENAPI_OPERATIONS_MAX {
                omitted.push(OmittedOperation {
                    name: "the rest".to_owned(),
                    why: format!("more than {OPENAPI_OPERATIONS_MAX} operations"),
                });
                return (found, omitted);
            }
            match RoutePath::parse(&base, template) {
                Ok(path) => found.push(ApiOperation::read(document, filter, (item, operation), (&method, &path))),
                Err(why) => omitted.push(OmittedOperation { name: one_line(&format!("{method} {template}")), why }),
            }
        }
    }
    (found, omitted)
}

fn is_tagged(operation: &Value, filter: &OperationFilter) -> bool {
    let tags = operation.get("tags").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    filter.tags.is_empty() || tags.into_iter().any(|tag| filter.tags.iter().any(|wanted| wanted == tag))
}

impl ApiOperation {
    fn read(
        document: &ApiDocument,
        filter: &OperationFilter,
        (item, operation): (&Value, &Value),
        (method, path): (&str, &RoutePath),
    ) -> Self {
        let text = |name: &str| operation.get(name).and_then(Value::as_str).unwrap_or_default();
        let summary = if text("summary").is_empty() { text("operationId") } else { text("summary") };
        Self {
            route: format!("{method} {}", path.text),
            summary: one_line(summary),
            parameters: ApiParameters::read(document, item, operation, path),
            scopes: security::scopes(document, operation, &filter.schemes),
            request: request(document, operation),
            response: response(document, operation),
        }
    }
}

fn request(document: &ApiDocument, operation: &Value) -> BodyFields {
    let Some(body) = operation.get("requestBody") else { return BodyFields::default() };
    match document.resolve(body) {
        Ok(body) => of_contents(document, &[body], DescribedSide::Request),
        Err(wrong) => BodyFields { is_open: true, notes: vec![wrong], ..BodyFields::default() },
    }
}

/// The success answers together; `default` where there is no other.
fn response(document: &ApiDocument, operation: &Value) -> BodyFields {
    let Some(answers) = operation.get("responses").and_then(Value::as_object) else { return BodyFields::default() };
    let mut good: Vec<&Value> =
        answers.iter().filter(|(status, _)| status.starts_with('2')).map(|(_, it)| it).collect();
    if good.is_empty() {
        good.extend(answers.get("default"));
    }
    let (mut read, mut notes) = (Vec::new(), Vec::new());
    for answer in good {
        match document.resolve(answer) {
            Ok(answer) => read.push(answer),
            Err(wrong) => notes.push(wrong),
        }
    }
    let mut fields = of_contents(document, &read, DescribedSide::Response);
    fields.is_open |= !notes.is_empty();
    fields.notes.extend(notes);
    fields
}

/// The fields of all bodies that engines read; the other types are a note.
fn of_contents(document: &ApiDocument, messages: &[&Value], side: DescribedSide) -> BodyFields {
    let (mut schemas, mut others) = (Vec::new(), Vec::new());
    let mut is_open = false;
    for (media_type, content) in messages.iter().filter_map(|it| it.get("content")?.as_object()).flatten() {
        if !is_structured(media_type) {
            others.push(one_line(media_type));
            continue;
        }
        match content.get("schema") {
            Some(schema) if !schemas.contains(&schema) => schemas.push(schema),
            Some(_) => {}
            None => is_open = true,
        }
    }
    let mut fields = if schemas.is_empty() { BodyFields::default() } else { body_fields(document, &schemas, side) };
    fields.is_open |= is_open;
    others.dedup();
    if !others.is_empty() {
        fields.notes.push(format!("bodies of {} are not described by these fields", others.join(", ")));
        fields.records = None;
    }
    fields
}

/// Whether fields can be told apart in bodies of this type.
fn is_structured(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let words = ["json", "ndjson", "xml", "csv", "x-www-form-urlencoded", "form-data", "event-stream"];
    essence == "*/*" || essence == "application/*" || words.iter().any(|word| essence.ends_with(word))
}

/// The address of the API, its variables filled in with their defaults.
pub(super) fn server(document: &ApiDocument, filter: &OperationFilter) -> Option<String> {
    if let Some(server) = &filter.server {
        return Some(server.clone());
    }
    let server = document.get("servers")?.as_array()?.first()?;
    let mut url = server.get("url")?.as_str()?.to_owned();
    for (name, variable) in server.get("variables").and_then(Value::as_object).into_iter().flatten() {
        let default = variable.get("default").and_then(Value::as_str).unwrap_or_default();
        url = url.replace(&format!("{{{name}}}"), default);
    }
    Some(url)
}

/// The path of an address, without the slash at its end.
fn base_path(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest.find('/').map_or("", |at| &rest[at..]));
    let path = rest.split(['?', '#']).next().unwrap_or_default();
    if path.starts_with('/') { path.trim_end_matches('/').to_owned() } else { String::new() }
}

/// Scheme and host of an address.
pub(super) fn origin(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    (!host.is_empty() && !host.contains(['{', '}', '@'])).then(|| format!("{scheme}://{host}"))
}

//! The fields of a body, from its schema: the leaves, as paths that `only:` lists.
//!
//! What several schemas say together (`allOf`, `oneOf`, `anyOf`) is one set of fields: a contract lets pass what any
//! of them may hold. A schema that holds itself is followed once; what is below its second mention is left out.

use std::collections::BTreeMap;

use serde_json::Value;

use super::classification::{ClassifiedField, classified, hints};
use super::document::{ApiDocument, one_line, reference_of};
use crate::bounds::{OPENAPI_DEPTH_MAX, OPENAPI_FIELDS_MAX, OPENAPI_SCHEMAS_MAX};
use crate::model::FieldPath;

/// The fields of one body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct BodyFields {
    /// By path, in the order of the schema.
    pub(super) listed: Vec<ApiField>,
    /// Whether the schema lets anything pass at its root, so that no list of fields describes it.
    pub(super) is_open: bool,
    /// What was left out, and what a person must look at.
    pub(super) notes: Vec<String>,
    /// The list whose elements are the records, where every body has it.
    pub(super) records: Option<String>,
}

/// One field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ApiField {
    pub(super) path: String,
    /// Whether `only:` lists it; else it is below one that is listed.
    pub(super) is_listed: bool,
    /// The rule that the schema asks for.
    pub(super) rule: Option<ClassifiedField>,
    /// Why it may be personal.
    pub(super) hints: Vec<String>,
}

/// Which of a schema's fields a message has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DescribedSide {
    /// Without those that are `readOnly`.
    Request,
    /// Without those that are `writeOnly`.
    Response,
}

/// The fields of a body that is described by these schemas. Where they are too many, only the outer ones: the depth
/// grows until the fields are too many, or all.
pub(super) fn body_fields(document: &ApiDocument, schemas: &[&Value], side: DescribedSide) -> BodyFields {
    let mut best = FieldWalk::of(document, schemas, side, 1);
    for depth in 2..=PATH_STEPS_MAX {
        if !best.is_cut || best.is_over() {
            break;
        }
        let deeper = FieldWalk::of(document, schemas, side, depth);
        if deeper.is_over() {
            break;
        }
        best = deeper;
    }
    best.finished(schemas)
}

/// Most steps of a path in a contract.
const PATH_STEPS_MAX: usize = 32;

struct FieldWalk<'a> {
    document: &'a ApiDocument,
    side: DescribedSide,
    depth_max: usize,
    visits: usize,
    /// References that are being followed.
    active: Vec<&'a str>,
    found: BodyFields,
    /// The schemas that were read for each field, for hints.
    read: Vec<Vec<&'a Value>>,
    is_cut: bool,
}

/// What several schemas say of one value.
#[derive(Default)]
struct ValueShape<'a> {
    properties: Vec<(&'a str, Vec<&'a Value>)>,
    /// Positions in `properties`.
    by_name: BTreeMap<&'a str, usize>,
    elements: Vec<&'a Value>,
    members: Vec<&'a Value>,
    /// Every schema that was read, for what it says of personal data.
    read: Vec<&'a Value>,
    references: Vec<&'a str>,
    is_scalar: bool,
    /// An object or list of which nothing more is said, or no type at all.
    is_open: bool,
    /// The same of a part of `allOf`: another part may say more.
    is_vague: bool,
    is_recursive: bool,
}

impl<'a> FieldWalk<'a> {
    fn of(document: &'a ApiDocument, schemas: &[&'a Value], side: DescribedSide, depth_max: usize) -> Self {
        let (active, read, found) = (Vec::new(), Vec::new(), BodyFields::default());
        let mut walk = Self { document, side, depth_max, visits: 0, active, found, read, is_cut: false };
        walk.visit("$", schemas, 0);
        walk
    }

    /// Whether there are more fields or schemas than a draft has.
    fn is_over(&self) -> bool {
        self.found.listed.len() > OPENAPI_FIELDS_MAX || self.visits > OPENAPI_SCHEMAS_MAX
    }

    fn visit(&mut self, path: &str, schemas: &[&'a Value], depth: usize) {
        if self.is_over() {
            return;
        }
        let mut shape = ValueShape::default();
        for schema in schemas {
            self.read(schema, &mut shape, 0, false);
        }
        shape.is_open |= shape.is_vague && !shape.has_parts() && !shape.is_scalar;
        if shape.is_hidden(self.side) {
            return;
        }
        let rule = shape.read.iter().find_map(|schema| classified(schema, path)).filter(|_| depth > 0);
        let has_parts = shape.has_parts();
        if shape.is_recursive && !has_parts && !shape.is_scalar {
            self.note(format!("{path} is left out: it holds itself"));
            return;
        }
        let is_leaf = shape.is_scalar || shape.is_open || rule.is_some() || !has_parts;
        if is_leaf {
            self.leaf(path, depth, &shape, rule.clone());
        } else if depth >= self.depth_max {
            self.is_cut = true;
            self.note(format!("{path} is left out: too many fields are below it"));
            return;
        }
        if !has_parts || rule.is_some() {
            return;
        }
        if depth >= self.depth_max {
            self.is_cut = true;
            return;
        }
        let before = self.found.listed.len();
        let count = self.active.len();
        self.active.extend(&shape.references);
        for (name, schemas) in &shape.properties {
            self.visit(&format!("{path}{}", step(name)), schemas, depth + 1);
        }
        let inner: Vec<&Value> = shape.elements.iter().chain(&shape.members).copied().collect();
        if !inner.is_empty() {
            self.visit(&format!("{path}[*]"), &inner, depth + 1);
        }
        self.active.truncate(count);
        if is_leaf {
            // What is below a listed path passes with it: only what may be personal is worth a line.
            self.found.listed[before..].iter_mut().for_each(|field| field.is_listed = false);
        }
    }

    fn leaf(&mut self, path: &str, depth: usize, shape: &ValueShape<'a>, rule: Option<ClassifiedField>) {
        if depth == 0 {
            self.found.is_open = true;
            return;
        }
        if FieldPath::parse(path).is_err() {
            self.note(format!("{} is left out: no path of a contract can name it", one_line(path)));
            return;
        }
        if rule.is_none() && shape.has_parts() {
            self.note(format!("{path} may be a plain value or an object: all of it passes"));
        } else if rule.is_none() && shape.is_open {
            self.note(format!("{path} is not described further: all of it passes"));
        }
        self.found.listed.push(ApiField { path: path.to_owned(), is_listed: true, rule, hints: Vec::new() });
        self.read.push(shape.read.clone());
    }

    fn note(&mut self, text: String) {
        const NOTES_MAX: usize = 20;
        let notes = &mut self.found.notes;
        match notes.len() {
            _ if notes.contains(&text) => {}
            ..NOTES_MAX => notes.push(text),
            NOTES_MAX => notes.push("there is more of this kind, which is not listed here".to_owned()),
            _ => {}
        }
    }

    /// Adds what a schema says, and those that it is made of.
    /// `is_part`: whether it is one of several that hold together.
    fn read(&mut self, schema: &'a Value, shape: &mut ValueShape<'a>, nesting: usize, is_part: bool) {
        self.visits += 1;
        if self.visits > OPENAPI_SCHEMAS_MAX || nesting > OPENAPI_DEPTH_MAX {
            return;
        }
        shape.read.push(schema);
        if let Some(reference) = reference_of(schema) {
            if self.active.contains(&reference) || shape.references.contains(&reference) {
                shape.is_recursive = true;
                return;
            }
            shape.references.push(reference);
            match self.document.resolve(schema) {
                Ok(target) => self.read(target, shape, nesting + 1, is_part),
                Err(wrong) => {
                    self.note(wrong);
                    shape.is_open = true;
                }
            }
            return;
        }
        let parts = |name: &str| schema.get(name).and_then(Value::as_array).into_iter().flatten();
        let mut is_composed = false;
        for (part, is_part) in parts("allOf")
            .map(|part| (part, true))
            .chain(parts("oneOf").chain(parts("anyOf")).map(|part| (part, is_part)))
        {
            is_composed = true;
            self.read(part, shape, nesting + 1, is_part);
        }
        shape.add(schema, is_composed, is_part);
    }

    fn finished(mut self, schemas: &[&'a Value]) -> BodyFields {
        if self.is_over() {
            self.note("is described by more than a draft can list: fields are missing".to_owned());
        }
        for (field, read) in self.found.listed.iter_mut().zip(&self.read).filter(|(field, _)| field.rule.is_none()) {
            field.hints = hints(read, &field.path);
        }
        self.found.listed.retain(|field| field.is_listed || field.rule.is_some() || !field.hints.is_empty());
        self.found.records = self.records(schemas);
        self.found
    }

    /// The list that every body has: the root itself, or the one list that the root requires.
    fn records(&mut self, schemas: &[&'a Value]) -> Option<String> {
        let [schema] = schemas else { return None };
        let schema = self.document.resolve(schema).ok()?;
        if schema.get("items").is_some() {
            return Some("$[*]".to_owned());
        }
        let required: Vec<&str> = schema.get("required")?.as_array()?.iter().filter_map(Value::as_str).collect();
        let is_list = |value: &Value| self.document.resolve(value).is_ok_and(|value| value.get("items").is_some());
        let mut lists = schema.get("properties")?.as_object()?.iter().filter(|(_, value)| is_list(value));
        let (name, _) = lists.next().filter(|(name, _)| required.contains(&name.as_str()))?;
        let listed = format!("${}[*]", step(name));
        let is_kept = self.found.listed.iter().any(|field| field.path.starts_with(&listed));
        (lists.next().is_none() && is_kept).then_some(listed)
    }
}

impl<'a> ValueShape<'a> {
    fn has_parts(&self) -> bool {
        !(self.properties.is_empty() && self.elements.is_empty() && self.members.is_empty())
    }

    /// Whether the message does not have the value.
    fn is_hidden(&self, side: DescribedSide) -> bool {
        let name = match side {
            DescribedSide::Request => "readOnly",
            DescribedSide::Response => "writeOnly",
        };
        self.read.iter().any(|schema| schema.get(name) == Some(&Value::Bool(true)))
    }

    /// Adds what a schema itself says. `is_composed`: whether it is made of others, which may say the rest; `is_part`:
    /// whether others hold beside it.
    fn add(&mut self, schema: &'a Value, is_composed: bool, is_part: bool) {
        for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let at = *self.by_name.entry(name).or_insert(self.properties.len());
            if at == self.properties.len() {
                self.properties.push((name, Vec::new()));
            }
            self.properties[at].1.push(property);
        }
        let inner = |name: &str| schema.get(name).filter(|value| value.is_object());
        self.elements.extend(inner("items"));
        self.elements.extend(schema.get("prefixItems").and_then(Value::as_array).into_iter().flatten());
        let members =
            inner("additionalProperties").filter(|members| members.as_object().is_some_and(|it| !it.is_empty()));
        self.members.extend(members);
        let types = types(schema);
        self.is_scalar |= types.iter().any(|name| matches!(*name, "string" | "number" | "integer" | "boolean"));
        let has_own = ["properties", "items", "prefixItems"].iter().any(|name| schema.get(name).is_some());
        let closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
        let has_own = has_own || members.is_some() || closed;
        let is_container = types.iter().any(|name| matches!(*name, "object" | "array"));
        let says_nothing = types.is_empty() && schema.get("enum").is_none() && schema.get("const").is_none();
        self.is_scalar |= types.is_empty() && !says_nothing;
        let is_open = !has_own && !is_composed && (is_container || says_nothing);
        self.is_open |= is_open && !is_part;
        self.is_vague |= is_open;
        let anything = schema
            .get("additionalProperties")
            .is_some_and(|it| it == &Value::Bool(true) || it == &serde_json::json!({}));
        self.is_open |= anything && schema.get("properties").is_none();
    }
}

/// The types of a schema, without `null`.
fn types(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).filter(|name| *name != "null").collect(),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => Vec::new(),
    }
}

/// The step of a path to a member of this name.
pub(super) fn step(name: &str) -> String {
    let is_plain =
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-') || !c.is_ascii());
    if is_plain { format!(".{name}") } else { format!("[{}]", Value::from(name)) }
}

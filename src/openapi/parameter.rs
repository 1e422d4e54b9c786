//! The parameters of an operation: which of the query there are, and the form of each.
//!
//! A form is written only where the gateway checks the same as the description says. What it cannot check is a note,
//! and the parameter then passes in any form.

use serde_json::Value;

use super::classification::{ClassifiedField, classified, hints};
use super::document::{ApiDocument, one_line};
use super::path::{RoutePath, Segment, escape};
use crate::bounds::PARAMETER_NAMES_MAX;
use crate::parameters::ParameterPattern;

/// The parameters of one operation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ApiParameters {
    /// By the name of a capture or of a parameter of the query.
    pub(super) forms: Vec<(String, WrittenForm)>,
    /// Parameters of the query without a form. `None` where their names are open, or too many to list.
    pub(super) allowed: Option<Vec<String>>,
    /// `query` or `segment`, its name, and the rule that the description asks for.
    pub(super) rules: Vec<(&'static str, String, ClassifiedField)>,
    pub(super) notes: Vec<String>,
}

/// A form as a contract writes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct WrittenForm {
    pub(super) kind: Option<&'static str>,
    pub(super) pattern: Option<String>,
    pub(super) max_length: Option<u16>,
}

impl ApiParameters {
    /// The parameters of an operation and of its path.
    pub(super) fn read(document: &ApiDocument, item: &Value, operation: &Value, path: &RoutePath) -> Self {
        let mut parameters = Self { allowed: Some(Vec::new()), ..Self::default() };
        let described = described(document, item, operation, &mut parameters.notes);
        for (capture, segment) in &path.captures {
            match segment {
                Segment::Pattern(pattern) => {
                    parameters.forms.push((
                        capture.clone(),
                        WrittenForm { pattern: Some(pattern.clone()), ..WrittenForm::default() },
                    ));
                }
                Segment::Parameter(name) => {
                    let of_path = described.iter().find(|it| it.place == "path" && it.name == name);
                    if let Some(parameter) = of_path {
                        parameters.capture(document, capture, parameter);
                    }
                }
            }
        }
        for parameter in described.iter().filter(|parameter| parameter.place == "query") {
            parameters.query(document, parameter);
        }
        for (name, value) in &path.query {
            let form = WrittenForm { pattern: Some(escape(value)), ..WrittenForm::default() };
            parameters.forms.retain(|(taken, _)| taken != name);
            parameters.forms.push((name.clone(), form));
        }
        if parameters.allowed.as_ref().map_or(0, Vec::len) + parameters.forms.len() > PARAMETER_NAMES_MAX {
            parameters.allowed = None;
            parameters.forms.truncate(PARAMETER_NAMES_MAX);
            parameters.notes.push(format!("more than {PARAMETER_NAMES_MAX} parameters: the query is left open"));
        }
        parameters
    }

    fn capture(&mut self, document: &ApiDocument, capture: &str, parameter: &DescribedParameter<'_>) {
        let form = self.form(document, parameter);
        self.forms.extend(form.map(|form| (capture.to_owned(), form)));
        self.personal("segment", capture, parameter);
    }

    fn query(&mut self, document: &ApiDocument, parameter: &DescribedParameter<'_>) {
        let name = parameter.name.to_owned();
        self.personal("query", &name, parameter);
        if let Some(names) = parameter.spread_names(document) {
            match names {
                Some(names) => self.allow(names),
                None => {
                    self.notes
                        .push(format!("the names that {} spreads to are open, and so is the query", one_line(&name)));
                    self.allowed = None;
                }
            }
            return;
        }
        if parameter.is_repeated(document) {
            self.allow(vec![name]);
            return;
        }
        let is_form_free = self.forms.iter().all(|(taken, _)| !taken.eq_ignore_ascii_case(&name));
        match self.form(document, parameter).filter(|_| is_form_free) {
            Some(form) => self.forms.push((name, form)),
            None => self.allow(vec![name]),
        }
    }

    fn allow(&mut self, names: Vec<String>) {
        if let Some(allowed) = &mut self.allowed {
            let new = names.into_iter().filter(|name| !name.is_empty()).collect::<Vec<_>>();
            for name in new {
                if !allowed.contains(&name) {
                    allowed.push(name);
                }
            }
        }
    }

    fn personal(&mut self, place: &'static str, name: &str, parameter: &DescribedParameter<'_>) {
        let path = format!("$[{}]", Value::from(name));
        let schemas: Vec<&Value> = [parameter.written, parameter.schema].into_iter().collect();
        match schemas.iter().find_map(|schema| classified(schema, &path)) {
            // A path cannot lose a segment.
            Some(rule) if place == "segment" && rule.treatment == "drop" => {
                self.rules.push((place, name.to_owned(), ClassifiedField { treatment: "redact".to_owned(), ..rule }));
            }
            Some(rule) => self.rules.push((place, name.to_owned(), rule)),
            None => {
                let hints = hints(&schemas, &path);
                if !hints.is_empty() {
                    self.notes.push(format!("{place} {} may be personal: {}", one_line(name), hints.join(", ")));
                }
            }
        }
    }

    /// The form; `None` where there is nothing to check.
    fn form(&mut self, document: &ApiDocument, parameter: &DescribedParameter<'_>) -> Option<WrittenForm> {
        let schema = document.resolve(parameter.schema).ok()?;
        let mut form = WrittenForm { kind: kind(schema), ..WrittenForm::default() };
        let is_text = matches!(form.kind, None | Some("string"));
        let may_be_empty = parameter.written.get("allowEmptyValue") == Some(&Value::Bool(true));
        if may_be_empty || form.kind.is_none() && schema.get("enum").is_none() {
            return None;
        }
        if is_text {
            form.max_length = schema
                .get("maxLength")
                .and_then(Value::as_u64)
                .and_then(|it| u16::try_from(it).ok())
                .filter(|it| (1..=4096).contains(it));
            form.pattern = values(schema).or_else(|| self.pattern(parameter.name, schema));
        }
        let is_plain = form.kind == Some("string") && form.max_length.is_none() && form.pattern.is_none();
        (!is_plain || parameter.place == "query").then_some(form).filter(|form| !form.is_empty())
    }

    /// The pattern of a schema, where it is one of the gateway's too.
    fn pattern(&mut self, name: &str, schema: &Value) -> Option<String> {
        let written = schema.get("pattern")?.as_str()?;
        // A schema's pattern need not match the whole text, and anchors bind closer than alternatives do.
        let whole = written.strip_prefix('^').and_then(|rest| rest.strip_suffix('$'));
        let whole = whole.filter(|rest| !rest.ends_with('\\') && !rest.contains('|')).map(str::to_owned);
        let pattern = whole.unwrap_or_else(|| format!("(?s:.*)(?:{written})(?s:.*)"));
        let usable = ParameterPattern::parse(&pattern).is_ok();
        if !usable {
            self.notes.push(format!("the pattern of {} is not checked: {}", one_line(name), one_line(written)));
        }
        usable.then_some(pattern)
    }
}

impl WrittenForm {
    fn is_empty(&self) -> bool {
        self.kind.is_none() && self.pattern.is_none() && self.max_length.is_none()
    }
}

/// A parameter as it is described.
struct DescribedParameter<'a> {
    name: &'a str,
    place: &'a str,
    written: &'a Value,
    schema: &'a Value,
}

impl DescribedParameter<'_> {
    /// The names of an object's members that become parameters of their own: `Some(None)` where they are open, and
    /// `None` for a parameter that keeps its name.
    fn spread_names(&self, document: &ApiDocument) -> Option<Option<Vec<String>>> {
        let schema = document.resolve(self.schema).ok()?;
        if schema.get("type").and_then(Value::as_str) != Some("object") || self.written.get("content").is_some() {
            return None;
        }
        let is_deep = self.written.get("style").and_then(Value::as_str) == Some("deepObject");
        let is_exploded = self.written.get("explode") != Some(&Value::Bool(false));
        if !is_deep && !is_exploded {
            return None;
        }
        let names = schema.get("properties").and_then(Value::as_object).filter(|names| !names.is_empty());
        let is_open = schema.get("additionalProperties").is_some_and(|it| it != &Value::Bool(false));
        let spread = |name: &String| if is_deep { format!("{}[{name}]", self.name) } else { name.clone() };
        Some(names.filter(|_| !is_open).map(|names| names.keys().map(spread).collect()))
    }

    /// Whether it may come more than once, or holds several values in one.
    fn is_repeated(&self, document: &ApiDocument) -> bool {
        document.resolve(self.schema).is_ok_and(|schema| schema.get("items").is_some())
            || self.written.get("content").is_some()
    }
}

/// The parameters of the path and the operation. One of the operation replaces that of the path.
fn described<'a>(
    document: &'a ApiDocument,
    item: &'a Value,
    operation: &'a Value,
    notes: &mut Vec<String>,
) -> Vec<DescribedParameter<'a>> {
    let mut described: Vec<DescribedParameter<'_>> = Vec::new();
    for written in [item, operation].into_iter().filter_map(|it| it.get("parameters")?.as_array()).flatten() {
        let written = match document.resolve(written) {
            Ok(written) => written,
            Err(wrong) => {
                notes.push(wrong);
                continue;
            }
        };
        let text = |name: &str| written.get(name).and_then(Value::as_str).unwrap_or_default();
        let (name, place) = (text("name"), text("in"));
        let schema = written.get("schema").unwrap_or(&Value::Null);
        described.retain(|other| (other.name, other.place) != (name, place));
        described.push(DescribedParameter { name, place, written, schema });
    }
    described
}

/// The type of a parameter's text, where the gateway has it.
fn kind(schema: &Value) -> Option<&'static str> {
    let word = match schema.get("type")? {
        Value::String(word) => word.as_str(),
        Value::Array(words) => {
            let mut words = words.iter().filter_map(Value::as_str).filter(|word| *word != "null");
            words.next().filter(|_| words.next().is_none())?
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => return None,
    };
    match (word, schema.get("format").and_then(Value::as_str)) {
        ("integer", _) => Some("integer"),
        ("number", _) => Some("number"),
        ("boolean", _) => Some("boolean"),
        ("string", Some("uuid")) => Some("uuid"),
        ("string", Some("date")) => Some("date"),
        ("string", _) => Some("string"),
        _ => None,
    }
}

/// The pattern of a list of allowed texts.
fn values(schema: &Value) -> Option<String> {
    const VALUES_MAX: usize = 40;
    let values = schema.get("enum")?.as_array()?;
    let texts: Vec<String> = values.iter().filter_map(Value::as_str).map(escape).collect();
    let pattern = texts.join("|");
    let is_whole = texts.len() == values.len() && (1..=VALUES_MAX).contains(&texts.len());
    (is_whole && ParameterPattern::parse(&pattern).is_ok()).then_some(pattern)
}

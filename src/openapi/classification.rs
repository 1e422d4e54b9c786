//! What a schema says of personal data.
//!
//! `x-data-classification` (OpenAPI extension registry) becomes a rule. Everything else is a hint for a person:
//! `x-pii`, `x-sensitive-data`, `x-sap-dpp-*`, `format: email`, and names that lead to a category.

use serde_json::Value;

use super::document::one_line;
use crate::model::{Category, FieldPath};

/// A rule that a description asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ClassifiedField {
    /// `as` of the rule, with its settings.
    pub(super) treatment: String,
    /// `category` of the rule, where the field's name leads to none within it.
    pub(super) category: Option<&'static str>,
    /// What of the description the rule does not say.
    pub(super) note: Option<String>,
}

/// What `x-data-classification` says; `None` also where it says that the value is public.
pub(super) fn classified(schema: &Value, path: &str) -> Option<ClassifiedField> {
    let said = schema.get("x-data-classification").filter(|said| said.is_object())?;
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_ascii_lowercase);
    if text(said.get("sensitivity")).as_deref() == Some("public") {
        return None;
    }
    let masking = said.get("masking");
    let strategy = text(masking.and_then(|masking| masking.get("strategy"))).unwrap_or_default();
    let (treatment, note) = treatment(&strategy, masking);
    Some(ClassifiedField { treatment, category: category(text(said.get("category")).as_deref(), path), note })
}

fn treatment(strategy: &str, masking: Option<&Value>) -> (String, Option<String>) {
    let plain = |word: &str| (word.to_owned(), None);
    match strategy {
        "full" => plain("redact"),
        "hash" => plain("hash"),
        "remove" => plain("drop"),
        "tokenize" => plain("tokenize"),
        "partial" => (mask(masking.and_then(|masking| masking.get("keep"))), None),
        "regex" => {
            let pattern = masking.and_then(|masking| masking.get("pattern")).and_then(Value::as_str);
            let note = format!("the description masks only what matches {}", one_line(pattern.unwrap_or("a pattern")));
            ("redact".to_owned(), Some(note))
        }
        "" => ("redact".to_owned(), Some("the description names no strategy".to_owned())),
        other => ("redact".to_owned(), Some(format!("the description's strategy is unknown: {}", one_line(other)))),
    }
}

/// `keep: 4` keeps the end, as masked card numbers do; an object names both ends.
fn mask(keep: Option<&Value>) -> String {
    let end = |names: [&str; 2]| names.iter().find_map(|name| keep?.get(name)?.as_u64()).unwrap_or(0).min(64);
    let (first, last) = match keep.and_then(Value::as_u64) {
        Some(last) => (0, last.min(64)),
        None => (end(["first", "start"]), end(["last", "end"])),
    };
    let kept = |name: &str, count: u64| if count == 0 { String::new() } else { format!(", {name}: {count}") };
    format!("mask{}{}", kept("keep_first", first), kept("keep_last", last))
}

/// The registry's category as a key of the taxonomy.
fn category(word: Option<&str>, path: &str) -> Option<&'static str> {
    let key = match word? {
        "pii" => "user",
        "financial" => "user.financial",
        "government-id" => "user.government_id",
        "health" => "user.health_and_medical",
        "secret" | "credential" => "user.authorization",
        "contact" => "user.contact",
        _ => return None,
    };
    let wide = Category::parse(key).ok()?;
    let by_name = FieldPath::parse(path).ok().and_then(|path| Category::of_path(&path));
    if by_name.is_some_and(|by_name| wide.covers(&by_name)) { None } else { Some(key) }
}

/// Why a value may be personal, in words; empty where nothing says so.
pub(super) fn hints(schemas: &[&Value], path: &str) -> Vec<String> {
    let mut hints = Vec::new();
    for schema in schemas {
        let Some(members) = schema.as_object() else { continue };
        for (name, value) in members {
            let is_hint = match name.as_str() {
                "x-pii" | "x-sensitive-data" | "x-data-classification" => value != &Value::Bool(false),
                other => other.starts_with("x-sap-dpp-"),
            };
            if is_hint {
                hints.push(one_line(&format!("{name}: {value}")));
            }
        }
        if let Some(format @ ("email" | "idn-email" | "password")) = schema.get("format").and_then(Value::as_str) {
            hints.push(format!("format: {format}"));
        }
    }
    let by_name = FieldPath::parse(path).ok().and_then(|path| Category::of_path(&path));
    hints.extend(by_name.map(|category| format!("its name says {category}")));
    hints.dedup();
    hints
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_strategy_of_the_registry_is_a_treatment() {
        for (masking, treatment, has_note) in [
            (json!({ "strategy": "full" }), "redact", false),
            (json!({ "strategy": "partial" }), "mask", false),
            (json!({ "strategy": "partial", "keep": 4 }), "mask, keep_last: 4", false),
            (
                json!({ "strategy": "partial", "keep": { "first": 2, "last": 900 } }),
                "mask, keep_first: 2, keep_last: 64",
                false,
            ),
            (json!({ "strategy": "regex", "pattern": "^.+@" }), "redact", true),
            (json!({ "strategy": "hash" }), "hash", false),
            (json!({ "strategy": "remove" }), "drop", false),
            (json!({ "strategy": "tokenize" }), "tokenize", false),
            (json!({ "strategy": "shuffle" }), "redact", true),
            (json!(null), "redact", true),
        ] {
            let schema = json!({ "x-data-classification": { "category": "contact", "masking": masking } });
            let found = classified(&schema, "$.email").expect("classified");
            assert_eq!((found.treatment.as_str(), found.note.is_some(), found.category), (treatment, has_note, None));
        }
        let schema = json!({ "x-data-classification": { "category": "health", "masking": { "strategy": "full" } } });
        assert_eq!(classified(&schema, "$.note").and_then(|found| found.category), Some("user.health_and_medical"));
        let public = json!({ "x-data-classification": { "category": "contact", "sensitivity": "public" } });
        assert_eq!(classified(&public, "$.email"), None);
        assert_eq!(classified(&json!({ "x-data-classification": "C0" }), "$.email"), None);
    }

    #[test]
    fn hints_are_words() {
        let schema = json!({ "x-pii": true, "format": "email", "x-sap-dpp-is-potentially-sensitive": true });
        let found = hints(&[&schema], "$.contact");
        assert_eq!(found, ["x-pii: true", "x-sap-dpp-is-potentially-sensitive: true", "format: email"]);
        assert_eq!(hints(&[&json!({ "x-pii": false })], "$.last_name"), ["its name says user.name.last"]);
        assert!(hints(&[&json!({})], "$.status").is_empty());
    }
}

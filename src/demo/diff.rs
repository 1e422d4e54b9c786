//! Shows one record twice: as the internal API sent it, and as it left.

use serde_json::Value;

use super::page::DemoPage;
use crate::pii::{Rule, Rules, ValueLocation};

/// Shows a record before and after, one field on each line. Returns how many fields were changed or left out.
pub(super) fn show(page: &mut DemoPage<'_>, rules: &Rules, root: &str, raw: &Value, treated: &Value) -> usize {
    let (before, after) = (leaves(raw), leaves(treated));
    let mut changed = 0;
    for (name, value) in &before {
        let now = after.iter().find(|(other, _)| other == name).map(|(_, value)| value);
        if now == Some(value) {
            page.same(name, value);
            continue;
        }
        changed += 1;
        page.minus(name, value, word(rules, &format!("{root}.{name}")));
        if let Some(now) = now {
            page.plus(name, now);
        }
    }
    changed
}

/// The paths of values that a rule selects and that are still found, raw, in the bytes that left.
pub(super) fn leaked(rules: &Rules, raw: &Value, left: &[u8]) -> Vec<String> {
    let selected = |path: &str| rules.treat.iter().any(|rule| selects(rule, &every_element(&format!("$.{path}"))));
    let found = |value: &str| {
        // A short value could be part of another by chance, so it is searched with its quotes.
        let bare = value.trim_matches('"');
        let needle = if bare.len() < 8 { value } else { bare };
        memchr::memmem::find(left, needle.as_bytes()).is_some()
    };
    let values = leaves(raw).into_iter().filter(|(path, value)| selected(path) && found(value));
    values.map(|(path, _)| path).collect()
}

/// Every scalar of a document, by its path.
fn leaves(value: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    walk(value, String::new(), &mut found);
    found
}

fn walk(value: &Value, path: String, found: &mut Vec<(String, String)>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                walk(value, path, found);
            }
        }
        Value::Array(elements) => {
            for (place, value) in elements.iter().enumerate() {
                walk(value, format!("{path}[{place}]"), found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => found.push((path, value.to_string())),
    }
}

/// The treatment that the contract names for a field.
fn word(rules: &Rules, path: &str) -> &'static str {
    let path = every_element(path);
    let rule = rules.treat.iter().find(|rule| selects(rule, &path));
    rule.map_or("not listed: left out", |rule| rule.treatment.as_str())
}

fn selects(rule: &Rule, path: &str) -> bool {
    let ValueLocation::Field(field) = &rule.location else { return false };
    let field = field.to_string();
    match field.strip_prefix("$..") {
        Some(name) => path.strip_suffix(name).is_some_and(|rest| rest.ends_with('.')),
        None => field == path,
    }
}

/// `$.a[3].b` as `$.a[*].b`.
fn every_element(path: &str) -> String {
    let mut text = String::new();
    let mut inside = false;
    for symbol in path.chars() {
        match symbol {
            '[' => text.push_str("[*]"),
            _ if !inside && symbol != ']' => text.push(symbol),
            _ => {}
        }
        inside = symbol == '[' || (inside && symbol != ']');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_every_scalar() {
        let value = serde_json::json!({"id": 1, "cards": [{"number": "4"}, {"number": "5"}], "none": null});
        let expected = [("id", "1"), ("cards[0].number", "\"4\""), ("cards[1].number", "\"5\""), ("none", "null")];
        assert_eq!(leaves(&value), expected.map(|(path, value)| (path.to_owned(), value.to_owned())));
        assert_eq!(every_element("$"), "$");
        assert_eq!(every_element("$.customers[0].cards[12].number"), "$.customers[*].cards[*].number");
    }
}

//! The scopes that an operation asks for.
//!
//! The operation's `security` replaces that of the root. Its alternatives are joined by OR, and the schemes within one
//! by AND. A route asks for all its scopes, so more than one alternative cannot be said and is never guessed.

use std::collections::BTreeSet;

use serde_json::Value;

use super::document::{ApiDocument, one_line};
use crate::model::Scope;

/// The scopes of an operation, sorted. `schemes`: the only schemes that count, where a person has named some.
///
/// # Errors
/// In words: there are several alternatives, or a scope that no token can hold.
pub(super) fn scopes(document: &ApiDocument, operation: &Value, schemes: &[String]) -> Result<Vec<String>, String> {
    let written = operation.get("security").or_else(|| document.get("security"));
    let alternatives = written.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let is_wanted = |alternative: &&Value| {
        let names = alternative.as_object().into_iter().flat_map(serde_json::Map::keys);
        schemes.is_empty()
            || (!alternative.as_object().is_none_or(serde_json::Map::is_empty)
                && names.clone().all(|name| schemes.contains(name)))
    };
    let wanted: Vec<&Value> = alternatives.iter().filter(is_wanted).collect();
    match wanted[..] {
        [] if alternatives.is_empty() => Ok(Vec::new()),
        [] => Err(format!(
            "security has no alternative of {} alone: {}",
            schemes.join(" and "),
            shown(alternatives.iter())
        )),
        [alternative] => scopes_of(alternative),
        [..] => Err(format!(
            "security has {} alternatives, of which a route can ask for one: {}; name it with --security",
            wanted.len(),
            shown(wanted.iter().copied())
        )),
    }
}

/// All scopes of one alternative: each of its schemes must be satisfied.
fn scopes_of(alternative: &Value) -> Result<Vec<String>, String> {
    let schemes = alternative.as_object().into_iter().flatten();
    let scopes: BTreeSet<&str> =
        schemes.flat_map(|(_, scopes)| scopes.as_array().into_iter().flatten()).filter_map(Value::as_str).collect();
    if let Some(bad) = scopes.iter().find(|scope| Scope::parse(scope).is_err()) {
        return Err(format!("the scope '{}' is none that a token can hold (RFC 6749 section 3.3)", one_line(bad)));
    }
    Ok(scopes.into_iter().map(str::to_owned).collect())
}

/// `oauth2 [a, b], or api_key`
fn shown<'a>(alternatives: impl Iterator<Item = &'a Value>) -> String {
    const SHOWN_MAX: usize = 6;
    let scheme = |(name, scopes): (&String, &Value)| {
        let scopes: Vec<&str> = scopes.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        one_line(&if scopes.is_empty() { name.clone() } else { format!("{name} [{}]", scopes.join(", ")) })
    };
    let alternative = |alternative: &Value| {
        let schemes: Vec<String> = alternative.as_object().into_iter().flatten().map(scheme).collect();
        if schemes.is_empty() { "nothing".to_owned() } else { schemes.join(" and ") }
    };
    alternatives.take(SHOWN_MAX).map(alternative).collect::<Vec<_>>().join(", or ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(root: &str, operation: &str, schemes: &[&str]) -> Result<String, String> {
        let text = format!("openapi: 3.0.0\npaths: {{}}\n{root}\n");
        let document = ApiDocument::read(text.as_bytes()).expect("a description");
        let operation: Value = serde_json::from_str(operation).expect("JSON");
        let schemes: Vec<String> = schemes.iter().map(|name| (*name).to_owned()).collect();
        scopes(&document, &operation, &schemes).map(|scopes| scopes.join(" "))
    }

    #[test]
    fn names_within_one_alternative_hold_together_and_the_operation_replaces_the_root() {
        let root = "security: [ { oauth: [a] } ]";
        assert_eq!(check(root, "{}", &[]).as_deref(), Ok("a"));
        assert_eq!(check(root, r#"{"security": []}"#, &[]).as_deref(), Ok(""));
        let both = r#"{"security": [{"oauth": ["c", "b"], "other": ["b", "d"]}]}"#;
        assert_eq!(check(root, both, &[]).as_deref(), Ok("b c d"));
        assert_eq!(check("", "{}", &[]).as_deref(), Ok(""));
    }

    #[test]
    fn several_alternatives_are_a_fault_until_one_is_named() {
        let either = r#"{"security": [{"oauth": ["a"]}, {"key": []}, {}]}"#;
        let said = check("", either, &[]).expect_err("three");
        assert!(said.contains("3 alternatives") && said.contains("oauth [a], or key, or nothing"), "{said}");
        assert_eq!(check("", either, &["oauth"]).as_deref(), Ok("a"));
        assert!(check("", either, &["basic"]).expect_err("none").contains("no alternative of basic alone"));
        let same = r#"{"security": [{"oauth": ["a"]}, {"oauth": ["b"]}]}"#;
        assert!(check("", same, &["oauth"]).expect_err("two").contains("2 alternatives"));
        assert!(check("", r#"{"security": [{"oauth": ["a b"]}]}"#, &[]).expect_err("no scope").contains("a b"));
    }
}

//! `${NAME}` in values: filled in before a value is read, so that every value can come from the environment.
//!
//! `$${` is written for a literal `${`. A variable that is not set is a fault, never an empty text. A value that was
//! filled in is never shown.

use super::source::Cursor;
use super::tree::{YamlNode, YamlValue};

/// Gives the value of a variable: the process's own, or what a test sets.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Replaces every `${NAME}` of one text. `Ok(None)` when it names no variable.
///
/// # Errors
/// The name that is not set, or the text after `${` that is no name.
pub(super) fn interpolate(text: &str, environment: Environment<'_>) -> Result<Option<String>, String> {
    if !text.contains("${") {
        return Ok(None);
    }
    let mut filled = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, from_dollar) = rest.split_at(start);
        let after = &from_dollar[2..];
        if let Some(before) = before.strip_suffix('$') {
            filled.extend([before, "${"]);
            rest = after;
            continue;
        }
        let name = after.split_once('}').map(|(name, _)| name).filter(|name| is_name(name));
        let name = name.ok_or_else(|| format!("${{{}", after.chars().take(20).collect::<String>()))?;
        filled.push_str(before);
        filled.push_str(&environment(name).ok_or_else(|| name.to_owned())?);
        rest = &after[name.len() + 1..];
    }
    filled.push_str(rest);
    Ok(Some(filled))
}

/// Replaces every `${NAME}` of a tree. One that cannot be replaced stays as it is: [`report_unset`] reports it.
pub(super) fn interpolate_tree(node: &mut YamlNode, environment: Environment<'_>) {
    match &mut node.value {
        YamlValue::Text(written) => {
            if let Ok(Some(text)) = interpolate(written, environment) {
                node.value = YamlValue::FromEnvironment { text, written: std::mem::take(written) };
            }
        }
        YamlValue::List(items) => items.iter_mut().for_each(|item| interpolate_tree(item, environment)),
        YamlValue::Map(entries) => entries.iter_mut().for_each(|(_, value)| interpolate_tree(value, environment)),
        YamlValue::Null
        | YamlValue::Boolean(_)
        | YamlValue::Integer(_)
        | YamlValue::Float(_)
        | YamlValue::FromEnvironment { .. } => {}
    }
}

/// Reports every variable that is not set, and suppresses further faults about its value.
pub(super) fn report_unset(at: &Cursor<'_>, environment: Environment<'_>) {
    match at.node().map(|node| &node.value) {
        Some(YamlValue::Text(written)) => {
            if let Err(name) = interpolate(written, environment) {
                report_unset_name(at, &name);
            }
        }
        Some(YamlValue::List(items)) => (0..items.len()).for_each(|index| report_unset(&at.item(index), environment)),
        Some(YamlValue::Map(entries)) => {
            entries.iter().for_each(|(key, _)| report_unset(&at.key(&key.text), environment))
        }
        Some(
            YamlValue::Null
            | YamlValue::Boolean(_)
            | YamlValue::Integer(_)
            | YamlValue::Float(_)
            | YamlValue::FromEnvironment { .. },
        )
        | None => {}
    }
}

fn report_unset_name(at: &Cursor<'_>, name: &str) {
    if is_name(name) {
        at.fault(format!("the environment variable {name} is not set"), "set it, or write the value here");
    } else {
        at.fault(
            format!("'{name}' names no environment variable"),
            "write ${NAME}, or $${ for the characters themselves",
        );
    }
    at.suppress();
}

fn is_name(text: &str) -> bool {
    let first = text.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    first && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_filled_in_and_nothing_else_is() {
        let environment = |name: &str| (name == "HOST").then(|| "crm.internal".to_owned());
        for (text, expected) in [
            ("plain $HOST $", Ok(None)),
            ("http://${HOST}:80/${HOST}", Ok(Some("http://crm.internal:80/crm.internal"))),
            ("$${HOST} ${HOST}", Ok(Some("${HOST} crm.internal"))),
            ("${PORT}", Err("PORT")),
            ("${}", Err("${}")),
            ("${HOST", Err("${HOST")),
            ("${a b}", Err("${a b}")),
        ] {
            let expected = expected.map(|text| text.map(str::to_owned)).map_err(str::to_owned);
            assert_eq!(interpolate(text, &environment), expected, "{text}");
        }
    }
}

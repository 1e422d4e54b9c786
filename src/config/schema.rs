//! JSON Schema (draft 2020-12) of the YAML files, for editors and for our own validation.
//!
//! It is derived from the types that files are read into, so both always have the same keys.

use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema, generate::SchemaSettings};
use serde_json::Value;

use super::file;

/// A kind of YAML file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigFileKind {
    /// The main file, `vendorgate.yaml`.
    Config,
    /// One vendor's contract.
    Contract,
    /// The operators' file, `operators.yaml`.
    Operators,
    /// The residency policy, `residency.yaml`.
    Residency,
}

/// The schema of a kind of file.
pub fn schema(document: ConfigFileKind) -> Value {
    match document {
        ConfigFileKind::Config => generate::<file::MainConfig>("vendorgate config"),
        ConfigFileKind::Contract => generate::<file::contract::ContractConfig>("vendorgate contract"),
        ConfigFileKind::Operators => generate::<file::OperatorsConfig>("vendorgate operators"),
        ConfigFileKind::Residency => generate::<file::residency::ResidencyConfig>("vendorgate residency policy"),
    }
}

fn generate<T: JsonSchema>(title: &str) -> Value {
    let settings = SchemaSettings::draft2020_12().with_transform(RecursiveTransform(refuse_null));
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    schema.insert("title".to_owned(), title.into());
    schema.to_value()
}

/// Removes `null` from every type: a key without a value is a mistake, and a missing key already means 'not set'.
fn refuse_null(schema: &mut Schema) {
    let Some(object) = schema.as_object_mut() else { return };
    object.remove("default");
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(choices)) = object.get_mut("anyOf") {
        choices.retain(|choice| choice.get("type") != Some(&"null".into()));
        if let [Value::Object(only)] = choices.as_slice() {
            let only = only.clone();
            object.remove("anyOf");
            object.extend(only);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::units;

    #[test]
    fn every_schema_refuses_unknown_keys_and_null() {
        use ConfigFileKind::{Config, Contract, Operators, Residency};
        for document in [Config, Contract, Operators, Residency] {
            let text = schema(document).to_string();
            assert!(!text.contains("\"null\""), "{document:?}: {text}");
            let objects = text.matches("\"properties\":").count();
            assert_eq!(text.matches("\"additionalProperties\":false").count(), objects, "{document:?}");
        }
    }

    #[test]
    fn required_keys_are_required_by_the_schema() {
        let contract = schema(ConfigFileKind::Contract);
        assert_eq!(contract["required"], serde_json::json!(["vendor", "owner", "security_contact", "starts", "ends"]));
        assert_eq!(contract["$defs"]["PiiRuleConfig"]["required"], serde_json::json!(["as"]));
    }

    /// An editor must accept what the program accepts. Only what needs arithmetic, such as 30 February, may differ.
    #[test]
    fn the_patterns_agree_with_the_parsers() {
        let texts = [
            "10s",
            "250ms",
            "5m",
            "90d",
            "1h",
            "0s",
            "10",
            "1w",
            "50/s",
            "3000/m",
            "1/h",
            "0/s",
            "50/ms",
            "50",
            "200MB",
            "64KiB",
            "1B",
            "5GB",
            "0MB",
            "64kb",
            "2026-01-01",
            "2026-1-1",
            "1.5s",
            "",
            "x",
        ];
        let regex = |schema: Value| {
            let pattern = schema["pattern"].as_str().expect("a pattern");
            regex_automata::meta::Regex::new(pattern).expect(pattern)
        };
        let duration = regex(generate::<file::DurationText>(""));
        let rate = regex(generate::<file::contract::RateText>(""));
        let size = regex(generate::<file::contract::SizeText>(""));
        let date = regex(generate::<file::contract::DateText>(""));
        for text in texts {
            assert_eq!(duration.is_match(text), units::parse_duration(text).is_ok(), "duration {text}");
            assert_eq!(rate.is_match(text), units::parse_rate(text).is_ok(), "rate {text}");
            assert_eq!(size.is_match(text), units::parse_size(text).is_ok(), "size {text}");
            assert_eq!(date.is_match(text), units::parse_date(text).is_ok(), "date {text}");
        }
        for regex in [duration, rate, size, date] {
            assert!(regex.is_match("${NAME}"));
        }
    }
}

//! Keys of features that are planned and not built. They are refused with 'not yet' instead of 'unknown key'.

/// The key above it (empty at the root of a file), the key itself, and why it is refused.
const PLANNED_KEYS: [(&str, &str, &str); 3] = [
    ("ingress", "proxy_protocol", "the PROXY protocol is not supported"),
    ("tls", "crl", "revocation lists are not supported"),
    ("upstream", "credentials", "holding the credential of an internal API is not supported"),
];

/// Why a key is refused, if it belongs to a planned feature.
pub(super) fn not_yet(holder: &str, key: &str) -> Option<&'static str> {
    PLANNED_KEYS.iter().find(|(place, name, _)| *place == holder && *name == key).map(|(_, _, what)| *what)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::config::{ConfigFileKind, schema};

    /// The keys of every mapping under the key `holder`, or of the files' roots when it is empty.
    fn keys_of(holder: &str) -> Vec<String> {
        let mut found = Vec::new();
        for root in [ConfigFileKind::Config, ConfigFileKind::Contract, ConfigFileKind::Operators].map(schema) {
            let mappings = root["$defs"].as_object().into_iter().flat_map(serde_json::Map::values).chain([&root]);
            let under = mappings.filter_map(|mapping| mapping["properties"].get(holder));
            let target = |property: &Value| {
                if property["properties"].is_object() {
                    return property.clone();
                }
                let text = property.to_string();
                let place = text.split("\"#").nth(1).and_then(|rest| rest.split('"').next());
                place.map_or(property.clone(), |place| root.pointer(place).cloned().unwrap_or_default())
            };
            let held = under.map(target).chain(holder.is_empty().then(|| root.clone()));
            found.extend(
                held.filter_map(|it| it["properties"].as_object().cloned())
                    .flat_map(|it| it.into_iter().map(|(key, _)| key)),
            );
        }
        found
    }

    #[test]
    fn the_docs_list_every_planned_key() {
        let page = include_str!("../../docs/interface.md");
        let (_, listed) = page.split_once("\n## Not built yet\n").expect("a heading");
        for (_, key, _) in PLANNED_KEYS {
            assert!(listed.contains(&format!("`{key}`")), "{key}");
        }
    }

    #[test]
    fn a_planned_key_is_in_no_schema() {
        for (holder, key, _) in PLANNED_KEYS {
            let keys = keys_of(holder);
            assert!(!keys.is_empty(), "{holder} holds no keys");
            assert!(!keys.iter().any(|built| built == key), "{holder}.{key} is built");
        }
        assert!(keys_of("request").iter().any(|key| key == "reveal"), "what is built is seen");
    }
}

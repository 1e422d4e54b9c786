//! Keys that are promised but not built: refused with 'not yet' instead of 'unknown', and never taken without effect.

/// The key that would hold it (empty: the root of a file), the key, and what it asks for.
const LATER: [(&str, &str, &str); 12] = [
    ("", "fleet", "sharing state between gateways is not supported"),
    ("identity", "introspection", "opaque tokens are not supported"),
    ("identity", "certificate", "vendors known by certificate alone are not supported"),
    ("identity", "webhook", "signed webhooks are not supported"),
    ("identity", "dpop", "DPoP is not supported"),
    ("identity", "discovery", "issuer discovery is not supported"),
    ("egress", "credentials", "holding a vendor's credentials is not supported"),
    ("egress", "proxy", "being an HTTP proxy is not supported"),
    ("listeners", "proxy", "being an HTTP proxy is not supported"),
    ("ingress", "proxy_protocol", "the PROXY protocol is not supported"),
    ("tls", "crl", "revocation lists are not supported"),
    ("upstream", "credentials", "holding a vendor's credentials is not supported"),
];

/// What a key would ask for, if it is one that is promised for later.
pub(super) fn not_yet(holder: &str, key: &str) -> Option<&'static str> {
    LATER.iter().find(|(place, name, _)| *place == holder && *name == key).map(|(_, _, what)| *what)
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value};

    use super::*;
    use crate::config::{Document, schema};

    #[test]
    fn a_key_that_is_built_is_not_promised_for_later() {
        let schemas = [Document::Config, Document::Contract, Document::Operators].map(schema);
        for (holder, key, _) in LATER {
            let holders: Vec<_> = schemas.iter().flat_map(|document| held_by(document, holder)).collect();
            assert!(!holders.is_empty(), "{holder} holds no keys");
            let built = holders.iter().any(|object| object["properties"].get(key).is_some());
            assert!(!built, "{key} of {holder} is built");
        }
    }

    /// The objects that stand under a key; the document itself for the empty one.
    fn held_by(document: &Value, holder: &str) -> Vec<Value> {
        if holder.is_empty() {
            return vec![document.clone()];
        }
        let objects = std::iter::once(document).chain(document["$defs"].as_object().into_iter().flat_map(Map::values));
        let found = objects.filter_map(|object| object["properties"].get(holder)).map(Value::to_string);
        let names = found.filter_map(|text| Some(text.split_once("#/$defs/")?.1.split('"').next()?.to_owned()));
        names.map(|name| document["$defs"][name].clone()).collect()
    }
}

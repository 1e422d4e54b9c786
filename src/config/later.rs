//! Keys that are promised but not built: refused with 'not yet' instead of 'unknown', and never taken without effect.

/// The key that would hold it (empty: the root of a file), the key, and what it asks for.
const LATER: [(&str, &str, &str); 7] = [
    ("", "fleet", "sharing state between gateways is not supported"),
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
    use super::*;
    use crate::config::{Document, schema};

    #[test]
    fn a_key_that_is_built_is_not_promised_for_later() {
        let schemas = [Document::Config, Document::Contract, Document::Operators].map(schema);
        let text = serde_json::Value::from(schemas.to_vec()).to_string();
        for (holder, key, _) in LATER {
            assert!(!text.contains(&format!("\"{key}\":{{")), "{key} is built");
            assert!(holder.is_empty() || text.contains(&format!("\"{holder}\":{{")), "{holder} holds no keys");
        }
    }
}

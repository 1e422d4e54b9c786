//! Finds the line of a contract file that holds a key, to show which line decided about a request.
//!
//! The file is read once more for it, so that the settings that serve requests need no positions.

use std::path::Path;

use super::load::ConfigLoader;
use super::tree::{SourcePosition, YamlNode, YamlValue};

/// One contract file, with the position of every key.
#[derive(Debug)]
pub struct ContractSourceMap {
    file: String,
    root: YamlNode,
}

impl ConfigLoader<'_> {
    /// The source map of a vendor's contract; `None` where no contract file names the vendor any more.
    pub fn source_map(&self, main: &Path, vendor: &str) -> Option<ContractSourceMap> {
        self.contract_trees(main, vendor)
            .map(|(file, root)| ContractSourceMap { file, root })
            .find(|it| it.is_of(vendor))
    }
}

impl ContractSourceMap {
    /// `file:line` of a key such as `identity.rotation.max_age` or `ingress[2].scopes`, or of the nearest key above it.
    pub fn line_of(&self, key: &str) -> String {
        let mut place = self.root.position;
        let mut node = &self.root;
        for part in key.split('.') {
            let (name, index) = match part.split_once('[') {
                Some((name, rest)) => (name, rest.trim_end_matches(']').parse::<usize>().ok()),
                None => (part, None),
            };
            let Some((at, under)) = member(node, name) else { break };
            (place, node) = (at, under);
            if let Some(index) = index {
                let Some(under) = item(node, index) else { break };
                (place, node) = (under.position, under);
            }
        }
        format!("{}:{}", self.file, place.line.max(1))
    }

    fn is_of(&self, vendor: &str) -> bool {
        match self.root.get("vendor").map(|node| &node.value) {
            Some(YamlValue::Text(text) | YamlValue::FromEnvironment { text, .. }) => text == vendor,
            Some(
                YamlValue::Null
                | YamlValue::Boolean(_)
                | YamlValue::Integer(_)
                | YamlValue::Float(_)
                | YamlValue::List(_)
                | YamlValue::Map(_),
            )
            | None => false,
        }
    }
}

/// A member, and the position of its key.
fn member<'a>(node: &'a YamlNode, name: &str) -> Option<(SourcePosition, &'a YamlNode)> {
    let YamlValue::Map(entries) = &node.value else { return None };
    entries.iter().find(|(key, _)| key.text == name).map(|(key, node)| (key.position, node))
}

fn item(node: &YamlNode, index: usize) -> Option<&YamlNode> {
    let YamlValue::List(items) = &node.value else { return None };
    items.get(index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tree;

    #[test]
    fn a_key_is_found_on_its_line_and_a_missing_one_on_that_of_the_key_above() {
        let text = "vendor: acme\nidentity:\n  issuer: x\n  rotation: { max_age: 1h }\ningress:\n  - route: GET /a\n  - route: GET /b\n    scopes: [x]\n";
        let places = ContractSourceMap { file: "acme.yaml".to_owned(), root: tree::parse(text).expect("yaml") };
        for (key, line) in [
            ("vendor", 1),
            ("identity.issuer", 3),
            ("identity.clock_skew", 2),
            ("identity.rotation.max_age", 4),
            ("ingress[0].route", 6),
            ("ingress[1].scopes", 8),
            ("ingress[0].scopes", 6),
            ("ingress[7].scopes", 5),
            ("limits", 1),
        ] {
            assert_eq!(places.line_of(key), format!("acme.yaml:{line}"), "{key}");
        }
        assert!(places.is_of("acme") && !places.is_of("acm"));
    }
}

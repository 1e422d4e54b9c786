//! A contract as a data contract of the Open Data Contract Standard (Bitol, version 3.1): what a vendor is given.

use serde_json::{Value, json};

use super::export::classification;
use crate::config::{Contract, ContractRoute};
use crate::model::Direction;
use crate::pii::{Rules, ValueLocation};

/// What leaves to the vendor in both directions, in JSON, which is YAML too.
pub(crate) fn odcs(contract: &Contract) -> Value {
    let date = |time: crate::model::UnixTime| time.to_string().chars().take(10).collect::<String>();
    let objects = Direction::ALL
        .into_iter()
        .flat_map(|direction| contract.routes(direction).as_slice().iter().map(move |route| object(route, direction)));
    let objects: Vec<Value> = objects.collect();
    json!({
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": contract.vendor.as_str(),
        "name": contract.name,
        "version": date(contract.starts),
        "status": if contract.is_draft { "draft" } else { "active" },
        "description": { "purpose": contract.purpose.join(", "), "limitations": contract.region },
        "schema": objects,
        "team": { "members": [{ "username": contract.owner, "role": "owner" }] },
        "support": [{ "channel": "security", "url": format!("mailto:{}", contract.security_contact) }],
        "slaProperties": [{ "property": "endOfLife", "value": date(contract.ends.minus(std::time::Duration::from_secs(1))) }],
    })
}

fn object(route: &ContractRoute, direction: Direction) -> Value {
    let (rules, side) = match direction {
        Direction::Ingress => (&route.response, "response"),
        Direction::Egress => (&route.request, "request"),
    };
    json!({
        "name": format!("{} {}", direction.as_str(), route.pattern.as_str()),
        "physicalType": side,
        "logicalType": "object",
        "description": if rules.only.is_some() { "no other field leaves" } else { "other fields leave as they are" },
        "properties": properties(rules),
    })
}

/// Each treated field, and each that may leave in clear.
fn properties(rules: &Rules) -> Vec<Value> {
    let mut properties = Vec::new();
    let mut named = Vec::new();
    for rule in &rules.treat {
        let name = match &rule.location {
            ValueLocation::Field(path) => path.to_string(),
            ValueLocation::Query(name) => format!("query:{name}"),
            ValueLocation::Header(name) => format!("header:{name}"),
            ValueLocation::Cookie(name) => format!("cookie:{name}"),
            ValueLocation::Segment(name) => format!("segment:{name}"),
        };
        let tags: Vec<&str> = rule.category.iter().map(|category| category.as_str()).collect();
        properties.push(json!({
            "name": name, "classification": "confidential", "tags": tags,
            "transformDescription": rule.treatment.kind().leaves(),
            "customProperties": [{ "property": "x-data-classification", "value": classification(rule) }],
        }));
        named.push(name);
    }
    for path in rules.only.iter().flatten().chain(&rules.clear).map(ToString::to_string) {
        if !named.contains(&path) {
            properties.push(json!({ "name": path, "classification": "public" }));
            named.push(path);
        }
    }
    properties
}

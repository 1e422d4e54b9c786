//! The suggested contract: YAML that `check` accepts, with a comment that says why each line is there.
//!
//! Least privilege from what was seen: for a person to tighten, never to use unread.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::contract_text::ContractText;
use super::fields::{SeenFields, likely_kinds};
use super::seen::{DirectionSeen, RouteSeen, VendorSeenRow};
use crate::model::{Direction, UnixTime, thousands};

/// The suggested contract: of `contract`, the sections that say who the vendor is, and what was seen in place of what
/// it grants, in both directions or `only` in one. Where nothing was let in, what the contract grants stays.
pub fn suggest(contract: &ContractText, seen: &VendorSeenRow, only: Option<Direction>) -> String {
    let wanted = |direction: Direction| only.is_none_or(|only| only == direction);
    let of = |direction| Some(seen.of(direction)).filter(|seen| wanted(direction) && seen.last_ms > 0);
    let (ingress, egress) = (of(Direction::Ingress), of(Direction::Egress));
    let new_ingress = ingress.filter(|seen| seen.passed().next().is_some());
    let new_egress = egress.filter(|seen| seen.passed().next().is_some()).zip(contract.egress_without_routes());
    let mut page = Page::default();
    page.head(contract, [ingress, egress]);
    for (key, section) in &contract.sections {
        let is_replaced = match key.as_str() {
            "mode" | "observe_until" | "observe_upstream" => true,
            "scopes" | "ingress" => new_ingress.is_some(),
            "egress" => new_egress.is_some(),
            _ => false,
        };
        if !is_replaced {
            page.section(section);
        }
    }
    page.line("mode: enforce");
    page.limits([ingress, egress], contract.section("limits").is_some());
    if let Some(seen) = new_ingress {
        page.scopes(seen);
        page.line("ingress:");
        page.routes(seen, Direction::Ingress, "  ");
    } else if let Some(seen) = ingress {
        page.refused(seen, "# ingress, refused: ");
    }
    if let Some((seen, section)) = new_egress {
        page.section(&section);
        page.routes(seen, Direction::Egress, "    ");
    } else if let Some(seen) = egress {
        page.refused(seen, "# egress, refused: ");
        if seen.passed().next().is_some() {
            page.line("# TODO: write the section egress in block style; only then can its routes be suggested");
        }
    }
    page.0
}

#[derive(Debug, Default)]
struct Page(String);

impl Page {
    fn line(&mut self, text: impl AsRef<str>) {
        self.section(text.as_ref());
    }

    fn section(&mut self, text: &str) {
        self.0.push_str(text);
        if !text.ends_with('\n') {
            self.0.push('\n');
        }
    }

    fn head(&mut self, contract: &ContractText, seen: [Option<&DirectionSeen>; 2]) {
        self.line("# A suggestion from what was seen: read it, tighten it, and put it into a review.");
        for (direction, seen) in Direction::ALL.into_iter().zip(seen) {
            let Some(seen) = seen else { continue };
            let (from, until) = (UnixTime::from_millis(seen.first_ms), UnixTime::from_millis(seen.last_ms));
            self.line(format!("# {}: {} patterns, from {from} to {until}", direction.as_str(), seen.routes.len()));
        }
        if contract.sections.is_empty() {
            self.line(
                "# TODO: the contract could not be read, or is not in block style: its other sections are missing",
            );
        }
    }

    fn scopes(&mut self, seen: &DirectionSeen) {
        let all: BTreeSet<&str> = seen.passed().flat_map(|(_, route)| needed_scopes(route)).collect();
        self.line("# the scopes that every token on a route had");
        self.line(format!("scopes: [{}]", list(all)));
    }

    /// Limits from the rates that were seen; a comment where the contract has limits, which stay.
    fn limits(&mut self, seen: [Option<&DirectionSeen>; 2], has_limits: bool) {
        let seen: Vec<_> = Direction::ALL.into_iter().zip(seen).filter_map(|(way, seen)| Some((way, seen?))).collect();
        let busy: Vec<_> = seen.into_iter().filter(|(_, seen)| seen.seconds.percentile_99() > 0).collect();
        if busy.is_empty() {
            return;
        }
        let off = if has_limits { "# " } else { "" };
        self.line("# 99 of 100 busy seconds and minutes had no more requests; twice that is suggested");
        self.line(format!("{off}limits:"));
        for (way, seen) in busy {
            let (second, minute) = (seen.seconds.percentile_99(), seen.minutes.percentile_99());
            let (rate, burst, most) = (minute * 2, second * 2, seen.most_at_once.max(1));
            self.line(format!("{off}  {}:", way.as_str()));
            let why = format!("# seen: {second} a second, {minute} a minute");
            self.line(format!("{off}    requests: {{ rate: {rate}/m, burst: {burst} }} {why}"));
            self.line(format!("{off}    concurrency: {} # seen: {most} at once", most * 2));
        }
    }

    fn routes(&mut self, seen: &DirectionSeen, direction: Direction, indent: &str) {
        for (key, route) in seen.passed() {
            self.passed(key, route, direction, indent);
        }
        self.refused(seen, &format!("{indent}# refused: "));
    }

    fn refused(&mut self, seen: &DirectionSeen, indent: &str) {
        for (key, route) in seen.routes.iter().filter(|(_, route)| route.calls == 0) {
            self.line(format!("{indent}{}{}", counts(&route.refused), callers(route)));
            self.line(format!("{}# - route: {}", &indent[..indent.find('#').unwrap_or(0)], quoted(key)));
        }
        if seen.others > 0 {
            let others = thousands(seen.others);
            self.line(format!(
                "{}# TODO: {others} calls of more patterns than are kept",
                &indent[..indent.find('#').unwrap_or(0)]
            ));
        }
    }

    fn passed(&mut self, key: &str, route: &RouteSeen, direction: Direction, indent: &str) {
        self.line(format!("{indent}# seen {} times{}{}", thousands(route.calls), callers(route), statuses(route)));
        for (what, reasons) in [("the contract would refuse", &route.would_deny), ("refused", &route.refused)] {
            if !reasons.is_empty() {
                self.line(format!("{indent}# {what}: {}", counts(reasons)));
            }
        }
        if route.is_declared {
            self.line(format!("{indent}# TODO: the contract has this route: carry over what it says of it"));
        }
        self.line(format!("{indent}- route: {}", quoted(key)));
        let inner = format!("{indent}  ");
        if direction == Direction::Ingress {
            let scopes: Vec<_> = needed_scopes(route).collect();
            let why = if scopes.is_empty() { " # TODO: no scope was in every token" } else { "" };
            self.line(format!("{inner}scopes: [{}]{why}", list(scopes)));
            self.line(format!("{inner}upstream: {}", quoted(&route.upstream)));
        }
        for (what, names) in [("query parameters", &route.query), ("header fields", &route.headers)] {
            if !names.is_empty() {
                let names: Vec<_> =
                    names.iter().map(|(name, n)| format!("{} ({})", quoted(name), thousands(*n))).collect();
                self.line(format!("{inner}# {what}: {}", names.join(", ")));
            }
        }
        let (leaving, side, other, other_side) = match direction {
            Direction::Ingress => (&route.response, "response", &route.request, "request"),
            Direction::Egress => (&route.request, "request", &route.response, "response"),
        };
        if let Some(records) = leaving.records() {
            self.line(format!("{inner}records: {}", quoted(records)));
        }
        self.fields(leaving, side, true, &inner);
        self.fields(other, other_side, false, &inner);
    }

    /// The rules for the body that leaves; of the other body only a comment.
    fn fields(&mut self, seen: &SeenFields, side: &str, leaves: bool, indent: &str) {
        let (unnamed, paths): (Vec<_>, Vec<_>) = seen.paths().partition(|(path, ..)| path.contains(".*"));
        if seen.has_opaque() {
            self.line(format!("{indent}# TODO: a {side} could not be read as a document, or was a single value"));
        }
        if !unnamed.is_empty() {
            let unnamed = list(unnamed.iter().map(|(path, ..)| *path));
            self.line(format!("{indent}# TODO: names that look like data are left out: {side}: {unnamed}"));
        }
        if paths.is_empty() {
            return;
        }
        let listed = list(paths.iter().map(|(path, ..)| *path));
        self.line(format!("{indent}# {} bodies of {side} were looked at", thousands(seen.bodies)));
        if seen.more || !leaves || seen.has_opaque() {
            self.line(format!("{indent}# {side}: only: [{listed}]"));
            return;
        }
        self.line(format!("{indent}{side}:"));
        self.line(format!("{indent}  only: [{listed}]"));
        let likely = paths.iter().map(|(path, values, kinds)| (path, values, likely_kinds(path, *kinds)));
        let personal: Vec<_> = likely.filter(|(.., kinds)| !kinds.is_empty()).collect();
        if !personal.is_empty() {
            self.line(format!("{indent}  pii:"));
        }
        for (path, values, kinds) in personal {
            let kinds: Vec<_> = kinds.into_iter().collect();
            let why = format!("likely {}, {} values", kinds.join(" and "), thousands(*values));
            self.line(format!("{indent}    - {{ field: {}, as: tokenize }} # {why}", quoted(path)));
        }
    }
}

impl DirectionSeen {
    fn passed(&self) -> impl Iterator<Item = (&String, &RouteSeen)> {
        self.routes.iter().filter(|(_, route)| route.calls > 0)
    }
}

/// The scopes that the token of each call carried.
fn needed_scopes(route: &RouteSeen) -> impl Iterator<Item = &str> {
    let every = route.calls + route.refused.values().sum::<u64>();
    route.scopes.iter().filter(move |(_, times)| **times >= every).map(|(scope, _)| scope.as_str())
}

fn list(texts: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    texts.into_iter().map(quoted).collect::<Vec<_>>().join(", ")
}

fn counts(reasons: &BTreeMap<String, u64>) -> String {
    let all: Vec<_> = reasons.iter().map(|(reason, times)| format!("{reason} {}", thousands(*times))).collect();
    all.join(", ")
}

fn callers(route: &RouteSeen) -> String {
    match route.callers.len() {
        0 => String::new(),
        1 => format!(", by {}", route.callers.keys().next().map(quoted).unwrap_or_default()),
        more => format!(", by {more} callers"),
    }
}

fn statuses(route: &RouteSeen) -> String {
    let mut text = String::new();
    for (class, times) in &route.statuses {
        let _ = write!(text, ", {class}xx {}", thousands(*times));
    }
    text
}

/// A JSON string, which is a YAML scalar.
fn quoted(text: impl AsRef<str>) -> String {
    serde_json::Value::from(text.as_ref()).to_string()
}

#[cfg(test)]
mod tests {
    use super::super::seen::{CallOutcome, Observations, SeenCall};
    use super::*;
    use crate::model::{Reason, VendorId};

    fn page(contract: &str, calls: &[(Direction, &str, Option<&str>, CallOutcome)]) -> String {
        let seen = Observations::default().vendor(&VendorId::parse("acme").unwrap());
        for (direction, path, declared, outcome) in calls {
            let call = SeenCall {
                method: "GET",
                path,
                declared: *declared,
                query: None,
                headers: &[],
                client: None,
                scopes: &[],
                upstream: Some("crm"),
                outcome: *outcome,
                in_flight: 1,
                at: UnixTime::from_millis(1_700_000_000_000),
            };
            seen.call(*direction, &call);
        }
        let page = suggest(&ContractText::new(contract), &seen.row(), None);
        page.lines().filter(|line| !line.contains(", from ")).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn what_nothing_was_seen_of_stays_and_what_the_contract_says_of_a_route_is_asked_for() {
        const PASSED: CallOutcome = CallOutcome::Passed;
        let refused = CallOutcome::Refused(Reason::RouteUnknown);
        let contract = "vendor: acme\nmode: observe\nlimits: { records: 5/h }\ningress:\n  - { route: GET /a }\n\
                        egress: { routes: [] }\n";
        let intro = "# A suggestion from what was seen: read it, tighten it, and put it into a review.\nvendor: acme\n";
        assert_eq!(
            page(contract, &[(Direction::Ingress, "/b", None, refused)]),
            format!(
                "{intro}limits: {{ records: 5/h }}\ningress:\n  - {{ route: GET /a }}\negress: {{ routes: [] }}\n\
                 mode: enforce\n# ingress, refused: route_unknown 1\n# - route: \"GET /b\""
            )
        );
        let calls = [(Direction::Ingress, "/a", Some("GET /a"), PASSED), (Direction::Egress, "/c", None, PASSED)];
        let text = page(contract, &calls);
        for expected in [
            "limits: { records: 5/h }\negress: { routes: [] }\nmode: enforce\n",
            "\n# limits:\n#   ingress:\n#     requests: { rate: 2/m, burst: 2 } # seen: 1 a second, 1 a minute\n",
            "\n  # TODO: the contract has this route: carry over what it says of it\n  - route: \"GET /a\"\n",
            "# TODO: write the section egress in block style",
        ] {
            assert!(text.contains(expected), "{expected}:\n{text}");
        }
        assert!(!text.contains("{ route: GET /a }") && !text.contains("\nlimits:\n"), "{text}");
        assert!(page("{ vendor: acme }", &[]).contains("# TODO: the contract could not be read"));
    }
}

//! Every key of a contract, widened alone, is found; the same contract in other words is not.

use std::collections::BTreeSet;

use super::{Widening, widenings};
use crate::config::{ConfigFileKind, ConfigLoader, Contract, FaultSeverity, schema};
use crate::model::UnixTime;

const BASE: &str = r#"vendor: acme
owner: o@example.com
security_contact: s@example.com
region: eu
starts: 2026-02-01
ends: 2026-06-30
after_end: read_only
grace: 7d
mode: enforce
identity:
  issuer: https://id.example.com
  audience: https://api.example.com
  clients: [acme-batch]
  jwks: { url: "https://id.example.com/jwks" }
  algorithms: [ES256]
  sender: mtls
  clock_skew: 10s
  rotation: { max_lifetime: 1h, max_age: 1h, superseded_grace: 2m, max_key_age: 90d, expired_grace: 1m }
scopes: [people:read, people:write]
limits:
  requests: { rate: 10/s, burst: 10 }
  concurrency: 5
  records: { budget: 100, window: 1m, over: kill }
  bytes: { budget: 1MB, window: 1m }
  subjects: { budget: 50, window: 1d }
  client_requests: { rate: 5/s }
  shared: true
trip: { denials: 10, window: 1m }
restore: { approvals: 2 }
ingress:
  - route: GET /v1/people/{id}
    scopes: [people:read, people:write]
    upstream: crm
    limits: { requests: { rate: 5/s }, concurrency: 2 }
    records: "$.people[*]"
    subject: "$.people[*].id"
    response:
      only: ["$.people[*].id", "$.people[*].email", "$.people[*].card", "$.people[*].phone", "$.people[*].note", "$.people[*].zip"]
      pii:
        - { field: "$.people[*].email", as: tokenize, class: email }
        - { field: "$.people[*].card", as: mask, keep_last: 4 }
        - { field: "$.people[*].zip", as: generalize, to: prefix, size: 2 }
        - { field: "$.people[*].phone", as: encrypt_format, format: digits }
        - { header: x-person, as: hash }
      clear: ["$.people[*].id"]
      detect: { find: [email, card], as: mask }
  - route: POST /v1/notes/{note}
    scopes: [people:write]
    upstream: crm
    request:
      pii: [ { segment: note, as: redact } ]
      reveal: ["$.author"]
egress:
  callers: [checkout]
  upstream: { url: "https://api.acme.example" }
  routes:
    - route: POST /v2/{kind}
      request:
        pii: [ { field: "$..email", as: hash }, { query: email, as: drop } ]
    - route: GET /v2/forms/{form}
      query: { allow: [page] }
      headers: { allow: [x-tenant], other: drop }
      params: { limit: { type: integer }, form: { max_length: 9 } }
      request: { pii: [ { field: "$.a", as: drop } ] }
    - route: POST /v2/graphql
      graphql: true
      response: { pii: [ { field: "$.data.user.email", as: drop } ] }
"#;

/// A key, a text of the base, and what takes its place so that the key is wider.
const KNOBS: &[(&str, &str, &str)] = &[
    ("vendor", "vendor: acme", "vendor: bravo"),
    ("region", "region: eu", "region: us"),
    ("purpose", "region: eu", "region: eu\npurpose: [marketing]"),
    (
        "request.categories $.a",
        "request: { pii: [ { field: \"$.a\", as: drop } ] }",
        "request: { pii: [ { field: \"$.a\", as: drop } ], categories: { \"$.a\": none } }",
    ),
    (
        "request.pii $..email.category",
        "{ field: \"$..email\", as: hash }",
        "{ field: \"$..email\", as: hash, category: x.other }",
    ),
    ("starts", "starts: 2026-02-01", "starts: 2026-01-31"),
    ("ends", "ends: 2026-06-30", "ends: 2026-07-01"),
    ("after_end", "grace: 7d", "grace: 8d"),
    ("mode", "mode: enforce", "mode: observe\nobserve_until: 2026-03-01"),
    ("identity.issuer", "issuer: https://id.example.com", "issuer: https://id.example.org"),
    ("identity.audience", "audience: https://api.example.com", "audience: https://api.example.org"),
    ("identity.clients", "clients: [acme-batch]", "clients: [acme-batch, acme-web]"),
    ("identity.jwks", "https://id.example.com/jwks", "https://id.example.com/keys"),
    ("identity.algorithms", "algorithms: [ES256]", "algorithms: [ES256, RS256]"),
    ("identity.sender", "sender: mtls", "sender: none"),
    ("identity.clock_skew", "clock_skew: 10s", "clock_skew: 11s"),
    ("identity.typ", "  sender: mtls", "  sender: mtls\n  typ: [at+jwt, JWT]"),
    ("identity.claims", "  sender: mtls", "  sender: mtls\n  claims: { client: cid }"),
    ("identity.rotation.max_lifetime", "max_lifetime: 1h", "max_lifetime: 2h"),
    ("identity.rotation.max_age", "max_age: 1h, ", ""),
    ("identity.rotation.superseded_grace", "superseded_grace: 2m", "superseded_grace: 3m"),
    ("identity.rotation.max_key_age", "max_key_age: 90d", "max_key_age: 91d"),
    ("identity.rotation.expired_grace", "expired_grace: 1m", "expired_grace: 2m"),
    (
        "scopes",
        "scopes: [people:read, people:write]\nlimits",
        "scopes: [people:read, people:write, people:all]\nlimits",
    ),
    ("limits.shared", "shared: true", "shared: false"),
    ("limits.ingress.requests", "{ rate: 10/s, burst: 10 }", "{ rate: 11/s, burst: 10 }"),
    ("limits.egress.requests", "{ rate: 10/s, burst: 10 }", "{ rate: 10/s, burst: 11 }"),
    ("limits.ingress.concurrency", "concurrency: 5", "concurrency: 6"),
    ("limits.ingress.records", "budget: 100, window: 1m", "budget: 100, window: 59s"),
    ("limits.egress.records", "over: kill", "over: sever"),
    ("limits.ingress.bytes", "budget: 1MB", "budget: 2MB"),
    ("limits.ingress.subjects", "  subjects: { budget: 50, window: 1d }\n", ""),
    ("limits.egress.client_requests", "  client_requests: { rate: 5/s }\n", ""),
    ("trip", "denials: 10", "denials: 11"),
    ("restore.approvals", "approvals: 2", "approvals: 1"),
    ("route", "GET /v1/people/{id}", "GET|DELETE /v1/people/{id}"),
    ("route", "GET /v1/people/{id}", "GET /v1/people/{*rest}"),
    ("route", "GET /v1/people/{id}", "GET /v1/{kind}/{id}"),
    ("route.scopes", "    scopes: [people:read, people:write]\n", "    scopes: [people:read]\n"),
    ("upstream", "scopes: [people:write]\n    upstream: crm", "scopes: [people:write]\n    upstream: billing"),
    ("limits.requests", "limits: { requests: { rate: 5/s }, concurrency: 2 }", "limits: { concurrency: 2 }"),
    ("limits.concurrency", "concurrency: 2 }", "concurrency: 3 }"),
    ("records", "records: \"$.people[*]\"", "records: \"$\""),
    ("subject", "    subject: \"$.people[*].id\"\n", "    subject: \"$.people[*].email\"\n"),
    ("on_shape", "    subject: \"$.people", "    on_shape: pass\n    subject: \"$.people"),
    ("response.only", "\"$.people[*].zip\"]", "\"$.people[*].zip\", \"$.people[*].name\"]"),
    ("response.pii $.people[*].email", "as: tokenize, class: email", "as: mask, keep_last: 1"),
    ("response.pii $.people[*].email.class", "class: email", "class: mail"),
    ("response.pii $.people[*].card", "keep_last: 4", "keep_last: 5"),
    ("response.pii $.people[*].zip", "size: 2", "size: 3"),
    ("response.pii header:x-person", "        - { header: x-person, as: hash }\n", ""),
    ("response.clear", "clear: [\"$.people[*].id\"]", "clear: [\"$.people[*].id\", \"$.people[*].note\"]"),
    ("response.detect.find", "find: [email, card]", "find: [email]"),
    ("response.detect.as", "card], as: mask", "card], as: report"),
    ("request.pii segment:3", "      pii: [ { segment: note, as: redact } ]\n", ""),
    ("request.reveal", "reveal: [\"$.author\"]", "reveal: [\"$.author\", \"$.reader\"]"),
    ("websocket", "      request: { pii: [ { field: \"$.a\", as: drop } ] }\n", "      websocket: true\n"),
    ("query.allow", "query: { allow: [page] }", "query: { allow: [page, email] }"),
    ("query.allow", "      query: { allow: [page] }\n", ""),
    ("query.allow", "limit: { type: integer }", "limit: { type: integer }, email: { type: date }"),
    ("headers.allow", "allow: [x-tenant]", "allow: [x-tenant, x-person]"),
    ("headers.allow", "      headers: { allow: [x-tenant], other: drop }\n", ""),
    ("params.limit", "limit: { type: integer }", "limit: { type: number }"),
    ("params.form", ", form: { max_length: 9 }", ""),
    ("params.form", "max_length: 9", "max_length: 10"),
    ("graphql", "      graphql: true\n", ""),
    (
        "allow_encoded_slash",
        "- route: GET /v2/forms/{form}",
        "- route: GET /v2/forms/{form}\n      allow_encoded_slash: true",
    ),
    ("request.allow_files", "as: drop } ] }\n", "as: drop } ], allow_files: true }\n"),
    ("request.as", "as: drop } ] }\n", "as: drop } ], as: csv }\n"),
    ("request.delimiter", "as: drop } ] }\n", "as: drop } ], delimiter: \";\" }\n"),
    ("request.columns", "as: drop } ] }\n", "as: drop } ], columns: [a, b] }\n"),
    ("request.pii.optional", "field: \"$.a\", as: drop }", "field: \"$.a\", as: drop, optional: true }"),
    ("request.pii $..email", "{ field: \"$..email\", as: hash }", "{ field: \"$.email\", as: hash }"),
    ("request.pii query:email", ", { query: email, as: drop }", ""),
    ("upstream.url", "https://api.acme.example", "https://api.acme.org"),
    ("egress.hosts", "egress:\n", "egress:\n  hosts: [api.acme.example, eu.acme.example]\n"),
    (
        "egress.credentials",
        "acme.example\" }\n",
        "acme.example\" }\n  credentials: { bearer: { secret: { env: TOKEN } } }\n",
    ),
    ("egress.callers", "  callers: [checkout]\n", ""),
    ("egress.callers", "callers: [checkout]", "callers: [checkout, billing]"),
    (
        "upstream.targets",
        "acme.example\" }",
        "acme.example\", targets: [\"https://a.acme.example\", \"https://b.acme.example\"] }",
    ),
    ("upstream.allow_networks", "acme.example\" }", "acme.example\", allow_networks: [10.0.0.0/8] }"),
];

/// Changes that let nothing out.
const HARMLESS: &[(&str, &str)] = &[
    ("{id}", "{person}"),
    ("segment: note", "segment: note"),
    ("/v1/notes/{note}", "/v1/notes/{note}"),
    ("ends: 2026-06-30", "ends: 2026-06-29"),
    ("concurrency: 5", "concurrency: 4"),
    ("budget: 100, window: 1m, over: kill", "budget: 100, window: 2m, over: kill"),
    ("as: tokenize, class: email", "as: redact"),
    ("keep_last: 4", "keep_last: 3"),
    ("size: 2", "size: 1"),
    ("POST /v2/{kind}", "POST /v2/events"),
    ("{ field: \"$..email\", as: hash }", "{ field: \"$..*\", as: drop }"),
    ("card], as: mask", "card], as: redact"),
    ("owner: o@example.com", "owner: p@example.com"),
    ("approvals: 2", "approvals: 3"),
    ("mode: enforce", "mode: draft"),
    ("query: { allow: [page] }", "query: { allow: [page, limit], other: drop }"),
    ("query: { allow: [page] }", "query: { allow: [] }"),
    ("max_length: 9", "max_length: 8, pattern: a+"),
    ("limit: { type: integer }, ", ""),
    ("other: drop", "other: refuse"),
];

fn load(text: &str) -> Contract {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("acme.yaml");
    std::fs::write(&path, text).expect("written");
    let now = UnixTime::from_secs(1_769_904_000);
    let loader = ConfigLoader { environment: &|_| None, missing_secrets: FaultSeverity::Warning, now };
    loader.load_contract(&path).unwrap_or_else(|faults| panic!("{text}\n{faults}"))
}

fn replaced(from: &str, to: &str) -> String {
    assert!(BASE.contains(from), "{from}");
    BASE.replacen(from, to, 1)
}

fn keys(old: &str, new: &str) -> BTreeSet<String> {
    widenings(&[load(old)], &[load(new)]).into_iter().map(|change| change.key).collect()
}

#[test]
fn every_knob_that_is_widened_alone_is_found() {
    for (key, from, to) in KNOBS {
        let found = keys(BASE, &replaced(from, to));
        assert!(found.contains(*key), "{key}: {from} -> {to}: {found:?}");
        assert_eq!(keys(BASE, BASE), BTreeSet::new());
    }
}

#[test]
fn what_narrows_or_only_reads_otherwise_is_not_reported() {
    for (from, to) in HARMLESS {
        assert_eq!(keys(BASE, &replaced(from, to)), BTreeSet::new(), "{from} -> {to}");
    }
    let renamed = BASE.replace("{note}", "{text}").replace("segment: note", "segment: text");
    assert_eq!(keys(BASE, &renamed), BTreeSet::new());
    let (head, egress) = BASE.split_once("egress:").expect("a section");
    let swapped = format!("egress:{egress}{head}");
    assert_eq!(keys(BASE, &swapped), BTreeSet::new());
}

#[test]
fn a_request_that_falls_to_another_route_is_compared_with_the_one_that_had_it() {
    let route = |path: &str, field: &str| {
        format!("    - {{ route: \"GET {path}\", response: {{ pii: [ {{ field: \"{field}\", as: drop }} ] }} }}\n")
    };
    let with =
        |routes: &str| BASE.replace("    - route: POST /v2/{kind}", &format!("{routes}    - route: POST /v2/{{kind}}"));
    let both = with(&format!("{}{}", route("/v3/{id}", "$.a"), route("/v3/me", "$.secret")));
    let one = with(&route("/v3/{id}", "$.a"));
    let found = widenings(&[load(&both)], &[load(&one)]);
    let [change] = &found[..] else { panic!("{found:?}") };
    assert_eq!((change.route.as_str(), change.key.as_str()), ("egress GET /v3/{id}", "response.pii $.secret"));
    assert_eq!(widenings(&[load(&one)], &[load(&one)]), []);
    let narrower = widenings(&[load(&one)], &[load(&both)]);
    assert_eq!(narrower.iter().map(|change| change.key.as_str()).collect::<Vec<_>>(), ["response.pii $.a"]);
}

#[test]
fn a_rule_before_another_takes_its_values() {
    let weaker = replaced(
        "        - { field: \"$.people[*].email\"",
        "        - { field: \"$.people[0].email\", as: mask, keep_first: 1 }\n        - { field: \"$.people[*].email\"",
    );
    assert!(keys(BASE, &weaker).contains("response.pii $.people[*].email"));
}

#[test]
fn a_vendor_that_is_new_or_no_draft_any_more_is_listed_with_its_routes() {
    let draft = replaced("mode: enforce", "mode: draft");
    for old in [vec![], vec![load(&draft)]] {
        let found = widenings(&old, &[load(BASE)]);
        let routes: Vec<&str> = found.iter().filter(|it| it.key == "route").map(|it| it.route.as_str()).collect();
        assert_eq!(
            routes,
            [
                "egress GET /v2/forms/{form}",
                "egress POST /v2/graphql",
                "egress POST /v2/{kind}",
                "ingress GET /v1/people/{id}",
                "ingress POST /v1/notes/{note}"
            ]
        );
        assert!(found.iter().any(|it| it.key == "vendor"));
    }
    assert_eq!(widenings(&[load(BASE)], &[]), [], "what is taken away lets nothing out");
}

#[test]
fn a_tunnel_that_nothing_reads_and_other_authorities_of_an_upstream_are_found() {
    const PLAIN: &str = "vendor: acme
owner: o@example.com
security_contact: s@acme.example
starts: 2026-01-01
ends: 2027-03-31
egress:
  upstream: { url: \"https://api.acme.example\" }
  routes: [ { route: GET /v2/plain } ]
";
    let found = |from: &str, to: &str| {
        let keys = widenings(&[load(PLAIN)], &[load(&PLAIN.replace(from, to))]).into_iter();
        keys.map(|widening| widening.key).collect::<Vec<_>>()
    };
    assert_eq!(found("egress:\n", "egress:\n  tunnel: opaque\n"), ["egress.tunnel"]);
    assert_eq!(found("egress:\n", "egress:\n  tunnel: refuse\n"), [""; 0]);
    let pin = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    assert_eq!(found("example\" }", &format!("example\", tls: {{ pins: [\"{pin}\"] }} }}")), [""; 0]);
}

/// The keys of a contract in which nothing can be let out, each with what else it says.
const CANNOT_WIDEN: &[&str] = &[
    "name",
    "owner",
    "security_contact",
    "journey",
    "warn_before",
    "drills",
    "grace",
    // Judged with `mode`, and the keys of routes below.
    "observe_until",
    "observe_upstream",
    "ingress",
    "egress",
    "routes",
    "request",
    "response",
    "decode_charsets",
    "fallback",
    // Only a contract without rules may be opaque: it has a test of its own.
    "tunnel",
];

/// A new key at the top of a contract must get a knob here, or be said to let nothing out.
#[test]
fn every_key_of_a_contract_has_a_knob() {
    let schema = schema(ConfigFileKind::Contract);
    let of =
        |at: &serde_json::Value| at["properties"].as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
    let parts = ["IngressRouteConfig", "EgressRouteConfig", "EgressConfig", "MessageRulesConfig"];
    let mut keys = of(&schema);
    keys.extend(parts.iter().flat_map(|part| of(&schema["$defs"][part])));
    let has_knob = |key: &String| KNOBS.iter().any(|(knob, ..)| knob.split(['.', ' ']).any(|part| part == key));
    let missing: Vec<_> =
        keys.into_iter().filter(|key| !CANNOT_WIDEN.contains(&key.as_str()) && !has_knob(key)).collect();
    assert!(missing.is_empty(), "keys that no knob widens: {missing:?}");
}

#[test]
fn the_shipped_contracts_do_not_widen_themselves() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config/contracts");
    let loader = ConfigLoader {
        environment: &|_| Some("x".to_owned()),
        missing_secrets: FaultSeverity::Warning,
        now: UnixTime::default(),
    };
    let all = loader.load_contracts(&folder).unwrap_or_else(|faults| panic!("{faults}"));
    assert!(all.len() > 2);
    let reversed: Vec<_> = all.iter().rev().cloned().collect();
    assert_eq!(widenings(&all, &reversed), Vec::<Widening>::new());
}

//! Every admin call's answer, compared word for word, so that what programs read cannot change by accident.
//!
//! Each answer is compared with a file in `tests/golden/admin`. Values that differ from run to run (times, ids,
//! durations, codes) are written as `"…"` first; the order of the keys is compared too. `VENDORGATE_GOLDEN=write`
//! writes the files again, for an intended change.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::client::{Client, request};
use crate::support::fixture::GatewayFixture;
use crate::support::issuer::reader;
use crate::support::process::Process;
use crate::support::until;
use crate::support::upstream::{Upstream, ok};

const TERMS: &str = r#"limits:
  requests: { rate: 100000/s }
  concurrency: 20
  records: { budget: 50000, window: 10s, over: sever }
drills: { every: 30d }
ingress:
  - route: GET /v1/orders/{id}
    scopes: [orders:read]
    upstream: crm
    records: "$.orders[*]"
    subject: "$.orders[*].id"
    response:
      pii: [ { field: "$.orders[*].email", as: tokenize }, { field: "$.orders[*].absent", as: mask } ]
      detect: { find: [card], as: report }
      clear: ["$.orders[*].id"]
  - { route: POST /v1/orders, scopes: [orders:write], upstream: crm }
"#;

const TWO: &str = "restore: { approvals: 2 }
ingress:
  - { route: GET /v1/two, scopes: [orders:read], upstream: crm }
";

/// Keys whose values differ from run to run.
const VARYING: [&str; 25] = [
    "at",
    "time",
    "first",
    "last",
    "since",
    "until",
    "days_left",
    "sever_micros",
    "refuse_micros",
    "persist_micros",
    "token_age_secs",
    "key_age_secs",
    "confirmed_at",
    "request_id",
    "prev",
    "mac",
    "duration_us",
    "remaining",
    "last_drill",
    "peer",
    "error",
    "last_error",
    "issued_before",
    "bytes",
    "bytes_out",
];

struct Golden {
    fixture: GatewayFixture,
    process: Process,
}

impl Golden {
    /// Makes a call and compares its answer with the file of this name; returns the answer.
    #[track_caller]
    fn check(&self, name: &str, operator: &str, method: &str, path: &str, body: &Value) -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = self.process.admin(&self.fixture, operator, method, path, &body);
        let json = answer.json();
        let mut shown = json!({ "call": format!("{method} {}", path.split("id=").next().unwrap_or(path)), "status": answer.status, "answer": json });
        blank(&mut shown);
        compare(name, &shown);
        answer.json()
    }

    fn get(&self, name: &str, path: &str) -> Value {
        self.check(name, "viewer", "GET", path, &Value::Null)
    }

    /// An order by an administrator.
    fn order(&self, name: &str, path: &str, body: Value) -> Value {
        self.check(name, "admin", "POST", path, &body)
    }

    /// Sends a vendor's request, which is answered and counted before this returns.
    fn traffic(&self, path: &str, token: &str) -> String {
        let answer = Client::to(self.process.ingress).send(request("GET", path, token, "")).answer();
        until("its last byte is counted", || {
            let status = self.process.admin(&self.fixture, "viewer", "GET", "/v1/vendors/acme", "").json();
            status["traffic"].as_array().is_some_and(|ways| ways.iter().all(|way| way["in_flight"] == 0))
        });
        answer.text()
    }
}

/// Puts `"…"` where a value differs from run to run.
fn blank(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                let is_scalar = !member.is_object() && !member.is_array() && !member.is_null();
                if is_scalar && VARYING.contains(&key.as_str()) {
                    *member = json!("…");
                } else {
                    blank(member);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(blank),
        Value::String(text) if text.starts_with("# A suggestion") => {
            // The span in which calls were seen.
            let lines = text.lines().map(|line| line.split(", from 20").next().unwrap_or(line));
            *text = lines.collect::<Vec<_>>().join("\n");
        }
        Value::String(text) if text.starts_with("order 1 for ") => *text = "order 1 for …".to_owned(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[track_caller]
fn compare(name: &str, shown: &Value) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/admin/{name}.json"));
    let text = serde_json::to_string_pretty(shown).expect("JSON") + "\n";
    if std::env::var("VENDORGATE_GOLDEN").is_ok_and(|mode| mode == "write") {
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(&path, &text).expect("written");
    }
    let golden = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(golden == text, "{} is now:\n{text}", path.display());
}

#[test]
fn every_admin_call_answers_as_its_file_says() {
    let crm = Upstream::start(|_, asker| {
        let body = r#"{"orders":[{"id":7,"email":"bob@example.com","note":"pay 4111 1111 1111 1111"}]}"#;
        asker.write(ok("application/json", body)).is_ok()
    });
    let fixture = GatewayFixture::of_acme(crm.address, TERMS).contract("two", TWO);
    let process = Process::start(&fixture);
    let gateway = Golden { fixture, process };
    let acme = "/v1/vendors/acme";
    compare("openapi", &gateway.process.admin(&gateway.fixture, "viewer", "GET", "/openapi.json", "").json());
    gateway.get("vendors", "/v1/vendors");
    let answer = gateway.traffic("/v1/orders/1", &reader());
    let token = serde_json::from_str::<Value>(&answer).expect("JSON")["orders"][0]["email"].clone();
    let failed = Client::to(gateway.process.ingress).send(request("POST", "/v1/orders", &reader(), "{}")).answer();
    gateway.traffic("/v1/orders/1", &reader());
    gateway.get("vendor", acme);
    gateway.get("exposure", "/v1/exposure?vendor=acme");
    gateway.get("categories", "/v1/categories");
    gateway.get("suggestion", "/v1/suggestion?vendor=acme");
    gateway.get("request", &format!("/v1/requests?id={}", failed.json()["request_id"].as_str().expect("an id")));
    gateway.get("audit", "/v1/audit?limit=2");

    // Kills, their previews, and restores.
    let part =
        json!({ "reason": "leak", "direction": "ingress", "route": "GET /v1/orders/{id}", "client": "acme-client" });
    let with = |more: Value| {
        let mut order = part.clone();
        order.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        order
    };
    let why = || json!({ "reason": "ticket 4711" });
    gateway.order("kill-preview", &format!("{acme}/kill"), with(json!({ "dry_run": true })));
    gateway.order("kill-part", &format!("{acme}/kill"), part.clone());
    gateway.order("kill-unseen", &format!("{acme}/kill"), json!({ "reason": "x", "client": "nobody", "unseen": true }));
    gateway.order("kill", &format!("{acme}/kill"), why());
    gateway.get("vendor-killed", acme);
    gateway.order("restore-part", &format!("{acme}/restore"), part.clone());
    gateway.order("restore", &format!("{acme}/restore"), why());
    gateway.order("restore-nothing", &format!("{acme}/restore"), why());
    gateway.order("kill-all-preview", "/v1/kill", json!({ "reason": "x", "dry_run": true }));
    gateway.order("kill-all", "/v1/kill", why());
    gateway.order("restore-all-waits", "/v1/restore", why());
    gateway.get("vendor-approved", "/v1/vendors/two");
    gateway.check("restore-all", "second", "POST", "/v1/restore", &why());

    // Scheduled kills.
    gateway.order("schedule", &format!("{acme}/kill"), with(json!({ "at": "1h" })));
    gateway.order("schedule-all", "/v1/kill", json!({ "reason": "x", "at": "2h" }));
    gateway.get("scheduled", "/v1/scheduled-kills");
    gateway.get("vendor-scheduled", "/v1/vendors/two");
    gateway.order("cancel", "/v1/scheduled-kills/cancel", json!({ "id": 1, "reason": "they signed" }));
    gateway.order("cancel-nothing", "/v1/scheduled-kills/cancel", json!({ "id": 1, "reason": "they signed" }));

    // Drills.
    gateway.order("drill-shadow", &format!("{acme}/drill"), json!({ "shadow": true }));
    gateway.order("drill", &format!("{acme}/drill"), json!({ "reason": "quarterly" }));

    // Revocations.
    let revocations = format!("{acme}/revocations");
    for (name, key, value) in [
        ("revoke-token", "jti", "stolen"),
        ("revoke-client", "client", "acme-client"),
        ("revoke-key", "key", "es"),
        ("revoke-issued-before", "issued_before", "2020-01-01T00:00:00Z"),
    ] {
        gateway.order(name, &revocations, json!({ key: value, "reason": "x" }));
    }
    gateway.get("revocations", "/v1/revocations");
    gateway.order("lift", &format!("{revocations}/lift"), json!({ "client": "acme-client", "reason": "found" }));
    gateway.order(
        "lift-nothing",
        &format!("{revocations}/lift"),
        json!({ "client": "acme-client", "reason": "found" }),
    );

    // A token that can be revealed, and one that cannot.
    gateway.check("reveal", "privacy", "POST", "/v1/reveal", &json!({ "token": token, "reason": "x" }));
    gateway.check("reveal-nothing", "privacy", "POST", "/v1/reveal", &json!({ "token": "tok1_x", "reason": "x" }));

    // A contract that is removed while its vendor is killed, and files with faults.
    gateway.order("kill-two", "/v1/vendors/two/kill", why());
    fs::remove_file(gateway.fixture.path().join("contracts/two.yaml")).expect("removed");
    gateway.order("reload", "/v1/reload", json!({}));
    gateway.get("vendor-removed", "/v1/vendors/two");
    fs::write(gateway.fixture.path().join("contracts/two.yaml"), "vendor: two\n").expect("written");
    let faults = gateway.process.admin(&gateway.fixture, "admin", "POST", "/v1/reload", "{}").json();
    assert_eq!(faults["reason"], "config_faulty", "{faults}");

    // Refusals.
    gateway.get("vendor-unknown", "/v1/vendors/nobody");
    gateway.order("order-malformed", &format!("{acme}/kill"), json!({ "reason": "" }));
    gateway.check("role-too-low", "viewer", "POST", &format!("{acme}/kill"), &why());
}

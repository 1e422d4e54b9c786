//! Fallbacks: what a caller gets while an upstream gives no answer, and that nothing goes to a vendor that is killed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::client::{Answer, Client};
use crate::support::test_gateway::TestGateway;
use crate::support::upstream::Upstream;
use crate::upstream_targets::{call, fixture, get, nobody, saying, send};

const STATIC: &str =
    r#", fallback: { status: 203, body: '{"recommendations": []}', headers: { Cache-Control: no-store } }"#;

fn gateway(upstream: std::net::SocketAddr, keys: &str, fallback: &str) -> TestGateway {
    TestGateway::start(fixture(&[upstream], keys, fallback))
}

fn kill(gateway: &TestGateway) {
    assert_eq!(gateway.admin("operator", "POST", "/v1/vendors/acme/kill", r#"{"reason":"leak"}"#).status, 200);
}

fn denials(gateway: &TestGateway, reason: &str) -> Option<u64> {
    let reason = format!("reason=\"{reason}\"");
    gateway.metric("vendorgate_denials_total", &[r#"vendor="acme""#, r#"direction="egress""#, &reason])
}

/// Our own `GET` with more header fields.
fn get_with(gateway: &TestGateway, id: &str, fields: &str) -> Answer {
    let (address, text) = call(gateway, true, "GET", id, "");
    Client::to(address).send(text.replacen("\r\n", &format!("\r\n{fields}"), 1)).answer()
}

#[track_caller]
fn assert_static(answer: &Answer, reason: &str) {
    assert_eq!((answer.status, answer.text().as_str()), (203, r#"{"recommendations": []}"#), "{reason}");
    assert_eq!(answer.field("content-type"), Some("application/json"));
    assert_eq!(answer.field("cache-control"), Some("no-store"));
    assert_eq!(answer.field("x-vendorgate-fallback"), Some(reason));
}

#[test]
fn a_fallback_answers_for_an_upstream_that_is_gone_hangs_or_fails_too_often() {
    let gone = gateway(nobody(), "", STATIC);
    for method in ["GET", "POST"] {
        assert_static(&send(&gone, true, method, "{}"), "upstream_refused");
    }
    assert_eq!(denials(&gone, "upstream_refused"), Some(2), "it is told all the same");
    assert_eq!(gone.metric("vendorgate_fallbacks_total", &[r#"direction="egress""#, r#"route="GET|"#]), Some(2));
    assert_eq!(send(&gone, false, "GET", "").reason(), "upstream_refused", "the other direction has none");

    let hangs = Upstream::start(|_, asker| asker.gone());
    assert_static(&get(&gateway(hangs.address, "response_timeout: 200ms, ", STATIC)), "upstream_timeout");

    let failing = saying(500);
    let fails = gateway(failing.address, "breaker: { min_requests: 2, open_for: 30m, max_open_for: 1h }, ", STATIC);
    assert_eq!([get(&fails).status, get(&fails).status], [500, 500], "an answer is passed on");
    assert_static(&get(&fails), "upstream_circuit_open");
    assert_eq!(failing.seen().len(), 2);
}

#[test]
fn a_killed_vendor_gets_no_byte_and_its_customers_get_the_fallback() {
    let vendor = Upstream::json("{}");
    let gateway = gateway(vendor.address, "", STATIC);
    assert_eq!(get(&gateway).status, 200);
    kill(&gateway);
    for method in ["GET", "POST", "PUT"] {
        assert_static(&send(&gateway, true, method, r#"{"email":"ann@example.com"}"#), "vendor_killed");
    }
    assert_eq!(vendor.seen().len(), 1);
    assert_eq!(denials(&gateway, "vendor_killed"), Some(3));
    assert_eq!(gateway.metric("vendorgate_killed", &[r#"vendor="acme""#]), Some(1));
    let is_told = |line: &str| line.contains(r#""reason":"vendor_killed""#) && line.contains(r#""status":203"#);
    crate::support::until("the log says it", || gateway.log().lines().filter(|line| is_told(line)).count() == 3);
    // The vendor itself is refused, whatever its routes say.
    assert_eq!(send(&gateway, false, "GET", "").reason(), "vendor_killed");
    assert_eq!(gateway.admin("admin", "POST", "/v1/vendors/acme/restore", r#"{"reason":"clean"}"#).status, 200);
    assert_eq!((get(&gateway).status, vendor.seen().len()), (200, 2));
}

#[test]
fn a_kill_while_the_vendor_is_awaited_gives_the_fallback_too() {
    let vendor = Upstream::start(|_, asker| asker.gone());
    let gateway = gateway(vendor.address, "", STATIC);
    let (address, text) = call(&gateway, true, "GET", "7", "");
    let mut client = Client::to(address);
    client.send(text);
    crate::support::until("it is with the vendor", || vendor.seen().len() == 1);
    kill(&gateway);
    assert_static(&client.answer(), "vendor_killed");
}

#[test]
fn an_ingress_route_has_fallbacks_too_but_not_for_a_killed_vendor() {
    let fixture = fixture(&[nobody()], "", "");
    let contract = fixture.path().join("contracts/acme.yaml");
    let text = std::fs::read_to_string(&contract).expect("text");
    std::fs::write(&contract, text.replace("upstream: crm", &format!("upstream: crm{STATIC}"))).expect("written");
    let gateway = TestGateway::start(fixture);
    assert_static(&send(&gateway, false, "GET", ""), "upstream_refused");
    kill(&gateway);
    let answer = send(&gateway, false, "GET", "");
    assert_eq!((answer.reason().as_str(), answer.field("x-vendorgate-fallback")), ("vendor_killed", None));
}

/// An upstream that answers with what it was asked for, until it is told to break off.
fn echo() -> (Upstream, Arc<AtomicBool>) {
    let breaks = Arc::new(AtomicBool::new(false));
    let theirs = Arc::clone(&breaks);
    let upstream = Upstream::start(move |seen, asker| {
        if theirs.load(Ordering::SeqCst) {
            return false;
        }
        let fields = if seen.line().contains("/private") { "Cache-Control: private\r\n" } else { "" };
        let body = format!(r#"{{"email":"ann@example.com","line":"{}"}}"#, seen.line());
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{fields}X-Total: 7\r\n");
        asker.write(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len())).is_ok()
    });
    (upstream, breaks)
}

#[test]
fn the_last_good_answer_is_given_to_the_same_request_as_it_was_treated() {
    let (vendor, breaks) = echo();
    let rules = r#", fallback: { last_good: 10m }, response: { pii: [ { field: "$.email", as: redact } ] }"#;
    let gateway = gateway(vendor.address, "", rules);
    let first = get_with(&gateway, "1", "");
    assert!(first.status == 200 && !first.holds("ann@"), "{}", first.text());
    for fields in ["Authorization: Bearer a\r\n", "Cookie: a=b\r\n"] {
        assert_eq!(get_with(&gateway, "2", fields).status, 200);
    }
    assert_eq!(get_with(&gateway, "private", "").status, 200);
    breaks.store(true, Ordering::SeqCst);
    let kept = get_with(&gateway, "1", "User-Agent: another\r\n");
    assert_eq!((kept.status, kept.text()), (200, first.text()));
    assert_eq!(kept.field("x-total"), Some("7"));
    assert_eq!(kept.field("x-vendorgate-fallback"), Some("upstream_refused"));
    assert_eq!(kept.field("cache-status"), Some("vendorgate; hit; detail=upstream_refused"));
    assert!(kept.field("age").is_some_and(|age| age.parse::<u64>().is_ok()));
    assert_ne!(kept.field("x-request-id"), first.field("x-request-id"), "each exchange has its own");
    for (id, fields) in [
        ("2", ""),
        ("2", "Authorization: Bearer a\r\n"),
        ("2", "Cookie: a=b\r\n"),
        ("1", "Authorization: Bearer a\r\n"),
        ("1", "X-Tenant: other\r\n"),
        ("private", ""),
        ("3", ""),
    ] {
        assert_eq!(get_with(&gateway, id, fields).status, 502, "{id} {fields}");
    }
    assert_eq!(send(&gateway, true, "POST", "{}").status, 502);
    let asked = vendor.seen().len();
    kill(&gateway);
    let kept = get_with(&gateway, "1", "");
    assert_eq!((kept.status, kept.field("x-vendorgate-fallback")), (200, Some("vendor_killed")));
    assert_eq!(vendor.seen().len(), asked);
}

#[test]
fn an_answer_is_not_kept_under_another_contract_nor_where_it_broke_off_or_is_too_large() {
    let (vendor, breaks) = echo();
    let gateway = gateway(vendor.address, "", ", fallback: { last_good: 10m }");
    assert_eq!(get_with(&gateway, "1", "").status, 200);
    let contract = gateway.fixture.path().join("contracts/acme.yaml");
    let text = std::fs::read_to_string(&contract).expect("text");
    let rules = r#"response: { pii: [ { field: "$.email", as: redact } ] }, fallback: { last_good: 10m }"#;
    std::fs::write(&contract, text.replace("fallback: { last_good: 10m }", rules)).expect("written");
    assert_eq!(gateway.admin("admin", "POST", "/v1/reload", "").status, 200);
    breaks.store(true, Ordering::SeqCst);
    assert_eq!(get_with(&gateway, "1", "").status, 502, "it was not treated by these rules");

    for (length, body) in [(400_000, "7".repeat(400_000)), (100, "7".to_owned())] {
        let first = AtomicBool::new(true);
        let vendor = Upstream::start(move |_, asker| {
            if !first.swap(false, Ordering::SeqCst) {
                return false;
            }
            let head = format!("HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: {length}\r\n\r\n");
            asker.write(head).and_then(|()| asker.write(&body)).is_ok() && body.len() == length
        });
        let gateway = crate::fallback::gateway(vendor.address, "", ", fallback: { last_good: 10m }");
        assert_eq!(get(&gateway).status, 200);
        assert_eq!(get(&gateway).status, 502, "{length}");
    }
}

#[test]
fn a_body_may_come_from_a_file() {
    let fixture = fixture(&[nobody()], "", ", fallback: { body_file: page.html, content_type: text/html }");
    std::fs::write(fixture.path().join("contracts/page.html"), "<p>Try later</p>").expect("written");
    let answer = get(&TestGateway::start(fixture));
    assert_eq!((answer.status, answer.text().as_str()), (200, "<p>Try later</p>"));
    assert_eq!(answer.field("content-type"), Some("text/html"));
}

//! An error or redirect whose body cannot be read keeps its status and the header fields that a client needs, and loses
//! its body.

use crate::fault_attribution::{both_ways, ways};
use crate::support::client::Answer;
use crate::support::test_gateway::TestGateway;
use crate::support::upstream::Upstream;

const RULE: &str = r#"pii: [ { field: "$..email", as: redact } ]"#;

const HEAD: &str = "Retry-After: 120\r\nWWW-Authenticate: Basic realm=\"crm\"\r\nAllow: GET\r\nX-RateLimit-Reset: 9\r\nX-Internal: secret-host\r\nSet-Cookie: a=secret-host\r\n";

fn asked(rules: &str, answer: impl Into<Vec<u8>>, method: &str) -> [Answer; 2] {
    let crm = Upstream::saying(answer);
    // Reveal rules exist for ingress only: the other direction has another rule in their place.
    let mut terms = both_ways(&crm, "", rules);
    if rules.starts_with("reveal") {
        terms = terms.replacen(rules, RULE, 1);
    }
    let gateway = TestGateway::of_acme(crm.address, &terms);
    ways(&gateway).map(|(mut client, head)| {
        client.send(format!("{method} {head}\r\n"));
        if method == "HEAD" { client.answer_to_head() } else { client.answer() }
    })
}

fn page(status: &str, fields: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{fields}Content-Length: {}\r\n\r\n{body}", body.len())
}

#[test]
fn an_error_or_redirect_keeps_its_status_and_what_a_client_acts_on() {
    for rules in [RULE, r#"reveal: ["$.email"]"#, r#"only: ["$.id"]"#] {
        for status in ["503 S", "429 T", "404 N", "401 U", "302 F", "500 E", "308 P"] {
            for (name, media, body) in [
                ("a page", "Content-Type: text/html\r\n", "<p>ann@secret-host</p>"),
                ("no type", "", "ann@secret-host"),
                ("no JSON", "Content-Type: application/json\r\n", "ann@secret-host"),
                ("half a document", "Content-Type: application/json\r\n", "{\"a\":\"secret-host\""),
            ] {
                let fields = format!("{HEAD}{media}Location: /v1/next?page=2\r\n");
                for answer in asked(rules, page(status, &fields, body), "GET") {
                    let said = format!("{rules} {status} {name}: {answer:?}");
                    assert_eq!(answer.status.to_string(), status[..3], "{said}");
                    assert_eq!(answer.reason(), "upstream_unreadable", "{said}");
                    assert!(answer.json()["detail"].as_str().expect("text").contains("withheld"), "{said}");
                    assert_eq!(answer.field("retry-after"), Some("120"), "{said}");
                    assert_eq!(answer.field("www-authenticate"), Some("Basic realm=\"crm\""), "{said}");
                    assert_eq!((answer.field("allow"), answer.field("x-ratelimit-reset")), (Some("GET"), Some("9")));
                    let only = rules.starts_with("only");
                    let location = if only { "/v1/next?" } else { "/v1/next?page=2" };
                    // Who called by path is led on by path.
                    let place = answer.field("location").map(|place| place.strip_prefix("/acme").unwrap_or(place));
                    assert_eq!(place, Some(location), "{said}");
                    assert!(!answer.holds("secret-host"), "{said}");
                }
            }
        }
    }
}

#[test]
fn a_late_or_broken_error_body_is_withheld_too() {
    for (tail, reason) in [("ann@secret-host", "upstream_unreadable"), ("", "upstream_refused")] {
        let crm = Upstream::start(move |_, asker| {
            let head =
                "HTTP/1.1 503 S\r\nRetry-After: 120\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n";
            let _ = asker.write(head);
            std::thread::sleep(std::time::Duration::from_millis(50));
            !tail.is_empty() && asker.write(tail).is_ok()
        });
        let gateway = TestGateway::of_acme(crm.address, &both_ways(&crm, "", RULE));
        for (mut client, head) in ways(&gateway) {
            let answer = client.send(format!("GET {head}\r\n")).answer();
            assert_eq!((answer.status, answer.reason().as_str()), (503, reason));
            assert_eq!(answer.field("retry-after"), Some("120"));
            assert!(!answer.holds("secret-host"));
        }
    }
}

#[test]
fn readable_and_empty_bodies_pass_and_a_success_without_its_body_is_an_error() {
    for (status, method) in [("204 N", "GET"), ("304 N", "GET"), ("503 S", "HEAD"), ("206 P", "HEAD")] {
        let head = format!("HTTP/1.1 {status}\r\n{HEAD}Content-Type: text/html\r\n\r\n");
        for answer in asked(RULE, head, method) {
            assert_eq!(answer.status.to_string(), status[..3]);
            assert_eq!((answer.field("retry-after"), answer.field("x-internal")), (Some("120"), Some("secret-host")));
        }
    }
    let error = page("500 E", "Content-Type: application/json\r\n", r#"{"email":"ann@x.example","of":1}"#);
    for answer in asked(RULE, error, "GET") {
        assert_eq!((answer.status, answer.text().as_str()), (500, r#"{"email":"[redacted]","of":1}"#));
    }
    for status in ["200 O", "201 C", "206 P"] {
        for answer in asked(RULE, page(status, "Retry-After: 120\r\nContent-Type: text/html\r\n", "x"), "GET") {
            assert_eq!((answer.status, answer.reason().as_str()), (502, "upstream_unreadable"));
        }
    }
}

#[test]
fn a_location_header_holds_no_treated_value() {
    let fields = "Location: https://x.example/a?page=2&Email=ann%40leak.example&id=7#e=1&email=ann@leak.example\r\n\
                  Link: <?email=ann@leak.example&page=3>; rel=\"next\"\r\nContent-Location: /a?e%6Dail=ann@leak.example\r\n";
    for status in ["302 F", "201 C"] {
        for (rules, kept) in [
            (RULE, "page=2"),
            (r#"only: ["$.id"]"#, "id=7"),
            (r#"detect: { find: [email], as: redact }"#, "page=2"),
            (r#"pii: [ { field: "$.email[*]", as: drop } ]"#, "page=2"),
            (r#"pii: [ { query: email, as: redact }, { field: "$..email", as: drop } ]"#, "page=2"),
        ] {
            for media in ["text/html", "application/json"] {
                let page = page(status, &format!("{fields}Content-Type: {media}\r\n"), "{}");
                for answer in asked(rules, page, "GET") {
                    assert!(!answer.holds("leak.example"), "{rules}: {answer:?}");
                    if answer.status != 502 {
                        let location = answer.field("location").expect("a location");
                        assert!(location.contains(kept), "{rules}: {location}");
                    }
                }
            }
        }
    }
}

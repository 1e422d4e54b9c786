//! Formats that could carry a value around its rule: what leaves is treated, or nothing leaves.

use crate::support::client::{Client, request};
use crate::support::test_gateway::TestGateway;
use crate::support::upstream::{Upstream, ok};

fn gateway(vendor: &Upstream) -> TestGateway {
    let routes = r#"
    - { route: POST /rows, request: { pii: [{ field: "$[*].email", as: redact }] } }
    - { route: POST /bare, request: { as: csv, columns: [id, email], delimiter: ";", pii: [{ field: "$[*].email", as: redact }] } }
    - { route: POST /wide, request: { decode_charsets: true, pii: [{ field: "$..email", as: redact }] } }
    - { route: "* /graphql", graphql: true, response: { pii: [{ field: "$.data.user.email", as: redact }] } }
"#;
    let upstream = format!("{{ url: \"http://{}\", allow_networks: [\"127.0.0.0/8\"] }}", vendor.address);
    TestGateway::of_acme(vendor.address, &format!("egress:\n  upstream: {upstream}\n  routes:{routes}"))
}

#[test]
fn a_body_in_which_a_rule_selects_nothing_does_not_leave() {
    let vendor = Upstream::saying(ok("application/json", "{}"));
    let gateway = gateway(&vendor);
    for (path, media, body, status, reason) in [
        ("/rows", "text/csv", "Customers,\nid,email\n1,ann@example.com\n", 415, "body_opaque"),
        ("/rows", "text/csv; header=absent", "1,ann@example.com\n", 415, "body_opaque"),
        ("/rows", "application/x-www-form-urlencoded", r#"{"email":"ann@example.com"}"#, 400, "body_malformed"),
        ("/bare", "text/plain", "email;id\nann@example.com;1\n", 400, "body_malformed"),
        ("/graphql", "application/json", r#"{"query":"{user{id:email}}"}"#, 403, "query_forbidden"),
        ("/graphql?query={user{x:email}}", "application/json", r#"{"query":"{user{id}}"}"#, 403, "query_forbidden"),
        ("/graphql", "application/x-www-form-urlencoded", "query={user{id}}", 403, "query_forbidden"),
    ] {
        let text = request("POST", &format!("/acme{path}"), "", body).replace("application/json", media);
        let refused = Client::to(gateway.egress()).send(text).answer();
        assert_eq!((refused.status, refused.reason().as_str()), (status, reason), "{path} {media}: {body}");
    }
    let refused = Client::to(gateway.egress()).get("/acme/graphql?x=1", "");
    assert_eq!((refused.status, refused.reason().as_str()), (403, "query_forbidden"));
    assert_eq!(vendor.seen().len(), 0);
}

#[test]
fn a_body_is_read_as_its_contract_says() {
    let vendor = Upstream::saying(ok("application/json", r#"{"data":{"user":{"id":1,"email":"ann@example.com"}}}"#));
    let gateway = gateway(&vendor);
    let query = r#"{"query":"{user{id email}}"}"#;
    for (path, media, body, told, left) in [
        ("/rows", "text/csv", "id,email\n1,a@x\n", "text/csv", "id,email\n1,[redacted]\n"),
        ("/bare", "text/plain", "1;a@x\n", "text/plain", "1;[redacted]\n"),
        (
            "/wide",
            "application/json; charset=latin1",
            "{\"email\":\"a@x\"}",
            "application/json; charset=utf-8",
            "{\"email\":\"[redacted]\"}",
        ),
        ("/graphql", "application/json", query, "application/json", query),
    ] {
        let text = request("POST", &format!("/acme{path}"), "", body).replace("application/json", media);
        let answer = Client::to(gateway.egress()).send(text).answer();
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        let seen = vendor.last();
        assert_eq!(
            (seen.field("content-type"), String::from_utf8_lossy(&seen.body).as_ref()),
            (Some(told), left),
            "{path}"
        );
        assert_eq!(answer.text().contains("[redacted]"), path == "/graphql", "{path}");
    }
}

//! What our services ask for and no contract lists: refused, counted, listed, and shown to operators.

use std::process::Command;

use crate::support::client::{Client, request};
use crate::support::test_gateway::TestGateway;
use crate::support::upstream::Upstream;

fn start(vendor: &Upstream) -> TestGateway {
    let terms = format!(
        "egress:\n  hosts: [api.acme.example]\n  upstream: {{ url: \"http://{}\", allow_networks: [\"127.0.0.0/8\"] }}\n  routes: [ {{ route: GET /v2/plain }} ]\n",
        vendor.address
    );
    TestGateway::of_acme(vendor.address, &terms)
}

fn listed(gateway: &TestGateway) -> Vec<(String, u64)> {
    let json = gateway.admin("viewer", "GET", "/v1/shadow", "").json();
    let rows = json["destinations"].as_array().expect("a list").iter();
    rows.map(|row| (row["destination"].as_str().expect("text").to_owned(), row["count"].as_u64().expect("a number")))
        .collect()
}

#[test]
fn what_no_contract_lists_is_listed_by_host_and_nothing_else_of_it() {
    let vendor = Upstream::json("{}");
    let gateway = start(&vendor);
    let send = |text: &str| Client::to(gateway.egress()).send(text).answer();
    for _ in 0..3 {
        let text = "GET http://Api.Other.Example./people/ann?email=ann@example.com HTTP/1.1\r\nHost: api.other.example\r\n\r\n";
        assert_eq!(send(text).status, 403);
    }
    assert_eq!(send("CONNECT api.other.example:443 HTTP/1.1\r\nHost: api.other.example:443\r\n\r\n").status, 403);
    assert_eq!(send(&request("GET", "/nobody/v2/plain", "", "")).status, 403);
    // Not what could be anything, nor what is a fault of the call.
    assert_eq!(send(&request("GET", "/ann%40example.com/v2", "", "")).status, 403);
    assert_eq!(send(&request("GET", "/acme/v2/other", "", "")).status, 403);
    assert_eq!(send("GET http://api.acme.example/v2/plain HTTP/1.1\r\nHost: b.example\r\n\r\n").status, 400);
    let expected = [("api.other.example:80", 3), ("/nobody", 1), ("api.other.example:443", 1)];
    assert_eq!(listed(&gateway), expected.map(|(destination, count)| (destination.to_owned(), count)));
    let json = gateway.admin("viewer", "GET", "/v1/shadow", "").json();
    assert_eq!((json["asked"].as_u64(), json["unlisted"].as_u64()), (Some(5), Some(0)));
    assert!(!json.to_string().contains("ann"), "{json}");
    assert_eq!(gateway.metric("vendorgate_unknown_destinations", &[]), Some(3));
    assert_eq!(gateway.metric("vendorgate_unknown_destination_requests_total", &[]), Some(5));
    assert_eq!(vendor.seen().len(), 0);
    // A viewer may read it, and nobody without a token.
    let stranger = Client::to(gateway.addresses.admin.expect("an address"))
        .send("GET /v1/shadow HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .answer();
    assert_eq!(stranger.status, 401);
}

#[test]
fn the_list_is_bounded() {
    let vendor = Upstream::json("{}");
    let gateway = start(&vendor);
    let mut client = Client::to(gateway.egress());
    for n in 0..1_100 {
        let text = format!("CONNECT h{n}.example:443 HTTP/1.1\r\nHost: h{n}.example:443\r\n\r\n");
        assert_eq!(client.send(text).answer().status, 403);
    }
    assert_eq!(listed(&gateway).len(), 1_000);
    let json = gateway.admin("viewer", "GET", "/v1/shadow", "").json();
    assert_eq!((json["asked"].as_u64(), json["unlisted"].as_u64()), (Some(1_100), Some(100)));
}

#[test]
fn status_shadow_shows_the_list() {
    let vendor = Upstream::json("{}");
    let gateway = start(&vendor);
    let status = || {
        let done = Command::new(env!("CARGO_BIN_EXE_vendorgate"))
            .args(["status", "--shadow", "--admin"])
            .arg(format!("http://{}", gateway.addresses.admin.expect("an address")))
            .env("VENDORGATE_TOKEN", gateway.fixture.operator("viewer"))
            .output()
            .expect("it runs");
        assert!(done.status.success(), "{done:?}");
        String::from_utf8(done.stdout).expect("text")
    };
    assert!(status().contains("no service has asked"), "{}", status());
    let text = "CONNECT api.other.example:443 HTTP/1.1\r\nHost: api.other.example:443\r\n\r\n";
    assert_eq!(Client::to(gateway.egress()).send(text).answer().status, 403);
    let table = status();
    assert!(table.contains("DESTINATION") && table.contains("api.other.example:443"), "{table}");
}

//! The end of an observation: what passed as it is comes under the rules, or ends.

use std::time::Duration;

use vendorgate::internals::model::Clock;

use crate::support::client::{Client, request};
use crate::support::fixture::GatewayFixture;
use crate::support::test_gateway::TestGateway;
use crate::support::until;
use crate::support::upstream::{CHUNKED, Upstream, ok};

const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
const DAY: Duration = Duration::from_secs(86_400);

/// A vendor with a WebSocket, two endless answers and a short one.
fn vendor() -> Upstream {
    Upstream::start(|seen, asker| {
        if seen.line().contains("/short") {
            return asker.write(ok("application/json", r#"{"email":"ann@example.com"}"#)).is_ok();
        }
        if seen.field("upgrade").is_some() {
            let mut piece = SWITCH.as_bytes().to_vec();
            while asker.write(&piece).is_ok() {
                std::thread::sleep(Duration::from_millis(5));
                piece = b"\x81\x0fann@example.com".to_vec();
            }
            return false;
        }
        let _ = asker.write(CHUNKED);
        while asker.chunk("ann@example.com ").is_ok() {
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    })
}

fn terms(vendor: &Upstream, observes: &str) -> String {
    format!(
        r#"{observes}limits: {{ requests: {{ rate: 100000/s }} }}
egress:
  upstream: {{ url: "http://{}", allow_networks: ["127.0.0.0/8"] }}
  routes:
    - {{ route: GET /live, websocket: true }}
    - {{ route: GET /free }}
    - {{ route: GET /ruled, response: {{ pii: [ {{ field: "$.email", as: redact }} ] }} }}
    - {{ route: GET /short, response: {{ pii: [ {{ field: "$.email", as: redact }} ] }} }}
"#,
        vendor.address
    )
}

fn begin(gateway: &TestGateway, path: &str) -> Client {
    let upgrade = "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    let mut text = request("GET", path, "", "");
    if path.ends_with("live") {
        text = text.replace("\r\n\r\n", upgrade);
    }
    let mut client = Client::to(gateway.egress());
    let head = client.send(text).head();
    assert!([200, 101].contains(&head.status), "{path}: {}", String::from_utf8_lossy(&head.raw));
    assert!(!client.more().expect("it flows").is_empty());
    client
}

/// Whether a stream is cut; a stream that goes on gives this many bytes within any patience.
fn is_cut(client: &mut Client) -> bool {
    let mut read = 0;
    while read < 400 {
        match client.more() {
            Ok(piece) => read += piece.len(),
            Err(_) => return true,
        }
    }
    false
}

/// Begins everything under observation, has it end, and looks at what became of it.
fn check(end: impl FnOnce(&TestGateway, &Upstream, &Clock)) {
    let (vendor, clock) = (vendor(), Clock::manual(Clock::system().now().wall));
    let observes = format!("mode: observe\nobserve_until: {}\n", &clock.now().wall.plus(2 * DAY).to_string()[..10]);
    let gateway =
        TestGateway::start_at(GatewayFixture::of_acme(vendor.address, &terms(&vendor, &observes)), clock.clone());
    let short = || Client::to(gateway.egress()).send(request("GET", "/acme/short", "", "")).answer();
    assert!(short().text().contains("ann@"), "it observes");
    let mut all = ["/acme/live", "/acme/free", "/acme/ruled"].map(|path| begin(&gateway, path));
    assert_eq!(all.each_mut().map(is_cut), [false; 3]);
    end(&gateway, &vendor, &clock);
    let [live, free, ruled] = &mut all;
    until("the WebSocket ends", || is_cut(live));
    until("what a rule would treat ends", || is_cut(ruled));
    assert!(!is_cut(free), "no rule would change it");
    until("calls are answered", || short().status == 200);
    assert!(!short().text().contains("ann@"), "{}", short().text());
    until("the log says why", || gateway.log().matches(r#""reason":"overloaded""#).count() >= 2);
}

#[test]
fn what_passed_raw_ends_when_a_reload_enforces_the_contract() {
    check(|gateway, vendor, _| {
        gateway.fixture.write_contract("acme", &terms(vendor, ""));
        assert_eq!(gateway.admin("admin", "POST", "/v1/reload", "{}").status, 200);
    });
}

#[test]
fn what_passed_raw_ends_with_the_last_day_without_a_reload_and_the_next_call_is_treated() {
    check(|gateway, _, clock| {
        clock.advance(3 * DAY);
        // Nothing raw passes between the last instant and the contract that is enforced.
        let answer = Client::to(gateway.egress()).send(request("GET", "/acme/short", "", "")).answer();
        assert!(!answer.text().contains("ann@"), "{}", answer.text());
    });
}

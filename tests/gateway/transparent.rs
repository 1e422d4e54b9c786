//! Connections that the kernel redirects: in a network namespace of its own, the test calls addresses that nobody has,
//! and nftables brings them to the gateway.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;

use crate::support::client::{Answer, Client, exchange_raw, tcp};
use crate::support::fixture::GatewayFixture;
use crate::support::test_gateway::TestGateway;
use crate::support::until;
use crate::support::upstream::Upstream;
use crate::tls_tunnels::{TlsVendor, said_back};
use crate::tunnels::clear_terms;

const INSIDE: &str = "VENDORGATE_TEST_NAMESPACE";
const NAME: &str = "transparent::redirected_calls_reach_the_vendors_that_they_name_and_no_address_that_they_choose";

fn run(program: &str, arguments: &[&str]) {
    let done = Command::new(program).args(arguments).status().unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(done.success(), "{program} {arguments:?}");
}

/// Redirects everything that goes to the two networks of documentation.
fn redirect(to: SocketAddr) {
    let port = to.port();
    let chain = |family: &str, network: &str| {
        format!(
            "table {family} redirected {{}}\nflush table {family} redirected\ntable {family} redirected {{\n  chain output {{\n    type nat hook output priority -100;\n    {family} daddr {network} meta l4proto tcp redirect to :{port}\n  }}\n}}\n"
        )
    };
    let rules = format!("{}{}", chain("ip", "192.0.2.0/24"), chain("ip6", "2001:db8::/64"));
    let mut nft = Command::new("nft").args(["-f", "-"]).stdin(Stdio::piped()).spawn().expect("nft is installed");
    nft.stdin.take().expect("piped").write_all(rules.as_bytes()).expect("written");
    assert!(nft.wait().expect("it ends").success(), "{rules}");
}

fn start(plain: &Upstream, tls: &TlsVendor, bind: &str) -> TestGateway {
    let terms = clear_terms(plain.address).replace(&format!(", \"{}\"", plain.address), "");
    let intercepting = terms.replace("egress:\n", "egress:\n  tunnel: intercept\n");
    let looping = "egress:\n  hosts: [loop.example]\n  upstream: { url: \"http://192.0.2.77:80\", allow_networks: [\"192.0.2.0/24\"] }\n  routes: [ { route: GET /a } ]\n";
    let fixture = GatewayFixture::of_acme(plain.address, &intercepting)
        .contract("sealed", &tls.terms("concurrency: 9"))
        .contract("looping", looping);
    let made = Command::new(env!("CARGO_BIN_EXE_vendorgate"))
        .args(["ca", "generate", "--host", "api.acme.example", "--out"])
        .arg(fixture.path().join("ca"))
        .output()
        .expect("it runs");
    assert!(made.status.success(), "{made:?}");
    let own = "anonymous: true, transparent: true, interception: { ca: ca/egress.pem, key: ca/egress.key }";
    let gateway = TestGateway::start(fixture.listeners(&format!(
        "  egress: {{ bind: \"{bind}\", {own} }}\n  admin: {{ bind: \"127.0.0.1:0\", operators: operators.yaml }}\n"
    )));
    redirect(gateway.egress());
    gateway
}

fn get(address: &str, host: &str, line: &str) -> Answer {
    let text = format!("{line} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    Client::to(address.parse().expect(address)).send(text).answer()
}

#[test]
#[ignore = "needs Linux, root, unshare, ip and nft: it redirects connections in a network namespace of its own"]
fn redirected_calls_reach_the_vendors_that_they_name_and_no_address_that_they_choose() {
    if std::env::var_os(INSIDE).is_none() {
        let own = std::env::current_exe().expect("a path");
        let inner = Command::new("unshare")
            .args(["--net", "--"])
            .arg(own)
            .args(["--exact", NAME, "--ignored", "--nocapture"])
            .env(INSIDE, "1")
            .status();
        assert!(inner.expect("unshare is installed").success(), "see above");
        return;
    }
    run("ip", &["link", "set", "lo", "up"]);
    run("ip", &["addr", "add", "192.0.2.9/24", "dev", "lo"]);
    run("ip", &["-6", "addr", "add", "2001:db8::9/64", "dev", "lo", "nodad"]);
    let both = [("127.0.0.1:0", "192.0.2.1"), ("[::1]:0", "[2001:db8::1]"), ("[::]:0", "192.0.2.1")];
    for (bind, network) in both {
        let (plain, tls) = (Upstream::json(r#"{"ok":true}"#), TlsVendor::start());
        let gateway = start(&plain, &tls, bind);
        let at = |port: u16| format!("{network}:{port}");
        in_clear(&gateway, &plain, &at);
        under_tls(&gateway, &plain, &tls, &at);
        if bind.starts_with('1') {
            // The kernel redirects what the gateway itself dials.
            let looped = get(&at(80), "loop.example", "GET /a");
            assert_eq!((looped.status, looped.reason().as_str()), (508, "loop_detected"));
        }
    }
}

fn in_clear(gateway: &TestGateway, plain: &Upstream, at: &dyn Fn(u16) -> String) {
    assert_eq!(get(&at(80), "api.acme.example", "GET /v2/plain").text(), r#"{"ok":true}"#);
    let body = r#"{"email":"ann@example.com"}"#;
    let text = format!(
        "POST /v2/events HTTP/1.1\r\nHost: api.acme.example\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let address: SocketAddr = at(80).parse().expect("an address");
    assert_eq!(Client::to(address).send(text).answer().status, 200);
    assert!(!String::from_utf8_lossy(&plain.last().raw).contains("ann@"));
    let refused = get(&at(80), "evil.example", "GET /");
    assert_eq!(refused.reason(), "destination_unknown");
    let listed = gateway.admin("viewer", "GET", "/v1/shadow", "").text();
    assert!(listed.contains("evil.example:80"), "{listed}");
    assert_eq!(get(&at(80), "api.acme.example:443", "GET /v2/plain").status, 400, "another port than was called");
    // The path leads nowhere: the listener has no name of its own.
    assert_eq!(get(&at(80), "evil.example", "GET /acme/v2/plain").reason(), "destination_unknown");
    let tunnel = exchange_raw(address, b"CONNECT api.acme.example:80 HTTP/1.1\r\nHost: api.acme.example:80\r\n\r\n");
    assert!(tunnel.starts_with(b"HTTP/1.1 400"), "{}", String::from_utf8_lossy(&tunnel));
    let direct = get(&gateway.egress().to_string(), "api.acme.example", "GET /v2/plain");
    assert_eq!((direct.status, direct.reason().as_str()), (400, "request_malformed"));
    assert!(direct.text().contains("transparent"), "{}", direct.text());
    assert_eq!(plain.seen().len(), 2);
}

fn under_tls(gateway: &TestGateway, plain: &Upstream, vendor: &TlsVendor, at: &dyn Fn(u16) -> String) {
    let (host, address) = (at(443), at(vendor.address.port()));
    let address: SocketAddr = address.parse().expect("an address");
    let mut stream = vendor.session_over(tcp(address), "localhost").expect("a handshake with the vendor itself");
    said_back(&mut stream, b"hello");
    for name in ["evil.example", "127.0.0.1"] {
        assert!(vendor.session_over(tcp(address), name).is_err(), "{name}");
    }
    let mut alert = TcpStream::connect(gateway.egress()).expect("connected");
    alert.write_all(&[0x16, 3, 1, 0, 4, 9, 9, 9, 9]).expect("sent");
    let mut said = Vec::new();
    let _ = alert.read_to_end(&mut said);
    assert_eq!(said, [0x15, 3, 3, 0, 2, 2, 49], "access_denied");
    let ip = host.trim_end_matches(":443");
    let done = Command::new("curl")
        .args(["-sS", "--noproxy", "*", "--connect-to", &format!("api.acme.example:443:{ip}:443"), "--cacert"])
        .arg(gateway.fixture.path().join("ca/egress.pem"))
        .arg("https://api.acme.example/v2/plain")
        .output()
        .expect("curl runs");
    let said = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
    assert_eq!((said.as_str(), plain.seen().len()), (r#"{"ok":true}"#, 3));
    let killed = gateway.admin("operator", "POST", "/v1/vendors/sealed/kill", r#"{"reason":"breach"}"#).json();
    assert_eq!(killed["severed"].as_u64(), Some(1), "{killed}");
    assert!(!matches!(stream.sock.read(&mut [0; 9]), Ok(1..)), "the bytes go on");
    until("the vendor's side is closed", || vendor.open.load(Ordering::SeqCst) == 0);
}

//! nginx as the upstream: the version of HTTP is what TLS and the config agree on.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use crate::support::certificates::Certificates;
use crate::support::client::Client;
use crate::support::fixture::GatewayFixture;
use crate::support::issuer::reader;
use crate::support::process::Process;
use crate::support::until;

const TERMS: &str = "limits: { requests: { rate: 100000/s } }
ingress:
  - { route: GET /v1/auto, scopes: [orders:read], upstream: auto }
  - { route: GET /v1/old, scopes: [orders:read], upstream: old }
  - { route: GET /v1/only, scopes: [orders:read], upstream: only }
  - { route: GET /v1/never, scopes: [orders:read], upstream: never }
  - { route: GET /v1/default, scopes: [orders:read], upstream: default }
";

/// A running nginx with two servers under TLS, the first of which speaks HTTP/2 too.
struct Nginx {
    child: Child,
    ports: [u16; 2],
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts it in a folder with certificates.
fn nginx(folder: &std::path::Path) -> Nginx {
    let free = || TcpListener::bind("127.0.0.1:0").expect("a port");
    let ports = [free(), free()].map(|socket| socket.local_addr().expect("an address").port());
    let at = folder.display();
    let server = |listen: &str| {
        format!(
            "server {{ listen 127.0.0.1:{listen}; ssl_certificate {at}/gateway.pem; ssl_certificate_key {at}/gateway.key;
             location / {{ default_type text/plain; return 200 \"$server_protocol $connection\"; }} }}\n"
        )
    };
    let servers = server(&format!("{} ssl http2", ports[0])) + &server(&format!("{} ssl", ports[1]));
    let temp: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {at}/{name};\n"))
        .concat();
    let text = format!(
        "daemon off; master_process off; pid {at}/nginx.pid; error_log stderr error;
         events {{}} http {{ access_log off; {temp} {servers} }}"
    );
    std::fs::write(folder.join("nginx.conf"), text).expect("written");
    let command = |name: &str| {
        let mut nginx = Command::new(name);
        nginx.arg("-c").arg(folder.join("nginx.conf")).stderr(Stdio::null());
        nginx.spawn().ok()
    };
    let child = command("nginx").or_else(|| command("/usr/sbin/nginx")).expect("nginx is installed");
    let nginx = Nginx { child, ports };
    until("nginx listens", || {
        nginx.ports.iter().all(|port| std::net::TcpStream::connect(("127.0.0.1", *port)).is_ok())
    });
    nginx
}

#[test]
#[ignore = "needs nginx"]
fn the_version_is_what_both_sides_speak() {
    let fixture = GatewayFixture::of_acme("127.0.0.1:1".parse().expect("an address"), TERMS);
    Certificates::write(fixture.path());
    let nginx = nginx(fixture.path());
    let [both, old] = nginx.ports;
    let main = std::fs::read_to_string(fixture.main()).expect("readable");
    let upstreams = format!(
        "upstreams:
  auto: {{ url: \"https://localhost:{both}\", protocol: auto }}
  old: {{ url: \"https://localhost:{old}\", protocol: auto }}
  only: {{ url: \"https://localhost:{both}\", protocol: http2 }}
  never: {{ url: \"https://localhost:{old}\", protocol: http2 }}
  default: {{ url: \"https://localhost:{both}\" }}
"
    );
    std::fs::write(fixture.main(), main.replace("upstreams:\n", &upstreams)).expect("written");
    let out = |port: u16, protocol: &str| {
        format!(
            "egress:\n  upstream: {{ url: \"https://localhost:{port}\", protocol: {protocol}, allow_networks: [\"127.0.0.0/8\"] }}\n  routes: [ {{ route: GET /v2/out }} ]\n"
        )
    };
    fixture.write_contract("acme", &format!("{TERMS}{}", out(both, "auto")));
    fixture.write_contract("old", &out(old, "auto"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_vendorgate"));
    command.env("SSL_CERT_FILE", fixture.path().join("ca.pem"));
    let gateway = Process::start_by(command, &fixture);
    let mut client = Client::to(gateway.ingress);
    let mut said = |path: &str| {
        let answer = client.get(path, &reader());
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        let text = answer.text();
        let (version, connection) = text.split_once(' ').expect("two words");
        (version.to_owned(), connection.to_owned())
    };
    for (path, version) in
        [("/v1/auto", "HTTP/2.0"), ("/v1/old", "HTTP/1.1"), ("/v1/only", "HTTP/2.0"), ("/v1/default", "HTTP/1.1")]
    {
        let (spoken, connection) = said(path);
        assert_eq!(spoken, version, "{path}");
        assert_eq!(said(path), (spoken, connection), "{path}: the connection is used again");
    }
    // The same nginx as a vendor that our services call.
    for (path, version) in [("/acme/v2/out", "HTTP/2.0"), ("/old/v2/out", "HTTP/1.1")] {
        let answer = Client::to(gateway.egress.expect("a listener")).get(path, "");
        assert!(answer.status == 200 && answer.text().starts_with(version), "{path}: {}", answer.text());
    }
    let refused = client.get("/v1/never", &reader());
    assert_eq!((refused.status, refused.reason().as_str()), (502, "upstream_refused"));
}

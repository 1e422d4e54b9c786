//! The alerts and the dashboards that are shipped, on a real Prometheus that scrapes a real gateway.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::client::{Client, request};
use crate::support::issuer::reader;
use crate::support::test_gateway::TestGateway;
use crate::support::until;
use crate::support::upstream::{Upstream, ok};

const TERMS: &str = r#"limits: { records: { budget: 10, window: 1h } }
ingress:
  - route: GET /v1/people/{id}
    scopes: [orders:read]
    upstream: crm
    records: "$.orders[*]"
    response:
      pii: [ { field: "$.orders[*].email", as: redact } ]
      detect: { find: [phone], as: report }
"#;

/// A Prometheus with the shipped rules that scrapes one gateway every second.
struct Prometheus {
    child: Child,
    address: SocketAddr,
    _folder: TempDir,
}

impl Prometheus {
    fn start(gateway: &TestGateway) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = free.local_addr().expect("an address");
        drop(free);
        let rules = fs::canonicalize("config/prometheus/alerts.yaml").expect("the rules");
        let config = format!(
            "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\nrule_files: [{rules:?}]\nscrape_configs:\n\
             - job_name: vendorgate\n  authorization: {{ credentials: {token:?} }}\n  static_configs: [ {{ targets: [{target:?}] }} ]\n",
            token = gateway.fixture.operator("viewer"),
            target = gateway.addresses.admin.expect("an admin listener").to_string(),
        );
        fs::write(folder.path().join("prometheus.yaml"), config).expect("written");
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", folder.path().join("prometheus.yaml").display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("Prometheus is installed");
        let server = Self { child, address, _folder: folder };
        until("Prometheus has scraped the gateway", || {
            std::net::TcpStream::connect(address).is_ok() && server.query("up == 1").is_ok_and(|found| found > 0)
        });
        server
    }

    /// The number of series that an expression gives now.
    fn query(&self, expression: &str) -> Result<usize, String> {
        let head = request(
            "GET",
            &format!("/api/v1/query?query={}", utf8_percent_encode(expression, NON_ALPHANUMERIC)),
            "",
            "",
        );
        let text = Client::to(self.address).send(head).answer().text();
        let Ok(answer) = serde_json::from_str::<Value>(&text) else { return Err(text) };
        match answer["status"].as_str() {
            Some("success") => Ok(answer["data"]["result"].as_array().map_or(0, Vec::len)),
            _ => Err(answer.to_string()),
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Every expression of a dashboard, with its variables filled in.
fn expressions(page: &Value) -> Vec<String> {
    match page {
        Value::Object(members) => {
            let own = members.get("expr").and_then(Value::as_str).map(str::to_owned);
            own.into_iter().chain(members.values().flat_map(expressions)).collect()
        }
        Value::Array(items) => items.iter().flat_map(expressions).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

#[test]
#[ignore = "needs prometheus"]
fn a_theft_fires_the_alert_and_every_panel_can_be_drawn() {
    let crm = Upstream::start(|_, asker| {
        let people: Vec<_> = (0..40).map(|i| format!(r#"{{"email":"ann{i}@example.com","n":{i}}}"#)).collect();
        asker.write(ok("application/json", format!(r#"{{"orders":[{}]}}"#, people.join(",")))).is_ok()
    });
    let gateway = TestGateway::of_acme(crm.address, TERMS);
    let prometheus = Prometheus::start(&gateway);
    let firing = |name: &str| {
        let alert = format!("ALERTS{{alertname=\"{name}\",alertstate=\"firing\",vendor=\"acme\"}}");
        prometheus.query(&alert).expect("an answer")
    };
    assert_eq!(firing("VendorgateBudgetSpent"), 0);
    // Forty records where ten may leave: the answer is cut.
    gateway.get("/v1/people/1", &reader());
    until("the alert fires", || firing("VendorgateBudgetSpent") == 1);
    assert_eq!(firing("VendorgateVendorKilled"), 0);

    let mut drawn = 0;
    for page in ["fleet", "vendor", "egress"] {
        let text = fs::read_to_string(format!("config/grafana/{page}.json")).expect("a dashboard");
        let page: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(page["templating"]["list"][0]["type"], "datasource");
        for expression in expressions(&page) {
            let filled = expression.replace("$__rate_interval", "10s").replace("$vendor", "acme");
            let series = prometheus.query(&filled).unwrap_or_else(|error| panic!("{filled}: {error}"));
            drawn += usize::from(series > 0);
        }
    }
    assert!(drawn > 40, "only {drawn} expressions give a series");
}

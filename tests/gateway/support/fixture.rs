//! A folder with every file that a gateway needs to start, as an operator would write them.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use vendorgate::internals::admin;

use super::issuer::{self, AUDIENCE, ISSUER};

/// A vendor's contract without limits, routes and scopes of its own.
const HEAD: &str = "owner: o@example.com
security_contact: s@example.com
starts: 2020-01-01
ends: 2099-12-31
scopes: [orders:read, orders:write]
";

/// The configuration of one gateway.
pub(crate) struct GatewayFixture {
    folder: TempDir,
    listeners: String,
    rest: String,
    upstreams: Vec<(String, SocketAddr)>,
    tokens: Vec<(&'static str, String)>,
}

impl GatewayFixture {
    /// A fixture with one upstream, `crm`, and no vendor.
    pub(crate) fn new(crm: SocketAddr) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("contracts")).expect("a folder");
        fs::write(at("jwks.json"), issuer::jwks()).expect("written");
        vendorgate::pii::keys::generate_key_file(&at("master.key")).expect("a key");
        let mut tokens = Vec::new();
        let mut operators = "operators:\n".to_owned();
        let second = ("second", "admin");
        for (name, role) in
            ["viewer", "operator", "admin", "privacy"].map(|role| (role, role)).into_iter().chain([second])
        {
            let (token, hash) = admin::mint().expect("a token");
            operators.push_str(&format!("  - {{ name: {name}, role: {role}, token_sha256: {hash} }}\n"));
            tokens.push((name, token.expose().clone()));
        }
        fs::write(at("operators.yaml"), operators).expect("written");
        let listeners = "  ingress: { bind: \"127.0.0.1:0\" }
  egress: { bind: \"127.0.0.1:0\", anonymous: true }
  admin: { bind: \"127.0.0.1:0\", operators: operators.yaml }
";
        let upstreams = vec![("crm".to_owned(), crm)];
        let fixture = Self { folder, listeners: listeners.to_owned(), rest: String::new(), upstreams, tokens };
        fixture.write_main();
        fixture
    }

    /// A fixture with the vendor `acme`, whose contract ends with `terms`.
    pub(crate) fn of_acme(crm: SocketAddr, terms: &str) -> Self {
        Self::new(crm).contract("acme", terms)
    }

    /// Adds or replaces a contract. A key in `terms` replaces the one that every contract has.
    pub(crate) fn contract(self, vendor: &str, terms: &str) -> Self {
        self.write_contract(vendor, terms);
        self
    }

    /// Adds an internal API.
    pub(crate) fn upstream(mut self, name: &str, address: SocketAddr) -> Self {
        self.upstreams.push((name.to_owned(), address));
        self.write_main();
        self
    }

    /// Replaces the listeners.
    pub(crate) fn listeners(mut self, yaml: &str) -> Self {
        yaml.clone_into(&mut self.listeners);
        self.write_main();
        self
    }

    /// Adds top-level keys.
    pub(crate) fn with(mut self, yaml: &str) -> Self {
        self.rest.push_str(yaml);
        self.write_main();
        self
    }

    /// Writes a contract while the gateway runs.
    pub(crate) fn write_contract(&self, vendor: &str, terms: &str) {
        let own = |line: &&str| {
            let key = line.split(':').next().unwrap_or_default();
            !terms.lines().any(|theirs| theirs.starts_with(&format!("{key}:")))
        };
        let head: String = HEAD.lines().filter(own).map(|line| format!("{line}\n")).collect();
        let identity = if terms.contains("identity:") { String::new() } else { identity(vendor) };
        let path = self.path().join(format!("contracts/{vendor}.yaml"));
        fs::write(path, format!("vendor: {vendor}\n{head}{identity}{terms}")).expect("written");
    }

    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The main file.
    pub(crate) fn main(&self) -> PathBuf {
        self.path().join("vendorgate.yaml")
    }

    /// The token of the operator of this name: each role's, and a `second` admin.
    pub(crate) fn operator(&self, name: &str) -> &str {
        let found = self.tokens.iter().find(|(known, _)| *known == name);
        &found.expect("an operator").1
    }

    fn write_main(&self) {
        let upstream = |(name, address): &(String, SocketAddr)| {
            format!("  {name}: {{ url: \"http://{address}\", connect_timeout: 2s, response_timeout: 10s }}\n")
        };
        let upstreams: String = self.upstreams.iter().map(upstream).collect();
        let text = format!(
            "listeners:\n{}state: {{ path: state }}\nkeys: {{ master: master.key }}\nupstreams:\n{upstreams}contracts: contracts/\n{}",
            self.listeners, self.rest
        );
        fs::write(self.main(), text).expect("written");
    }
}

fn identity(vendor: &str) -> String {
    format!(
        "identity:
  issuer: {ISSUER}
  audience: {AUDIENCE}
  clients: [{vendor}-client]
  jwks: {{ file: ../jwks.json }}
  algorithms: [ES256, RS256]
  rotation: {{ max_lifetime: 1h, max_age: 1h }}
"
    )
}

//! Files that a config names: `check` reads their content, and the gateway reads it again whenever they are replaced.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustls::version::TLS13;
use vendorgate::internals::config::{ConfigFaults, ConfigLoader, FaultSeverity};
use vendorgate::internals::model::UnixTime;

use crate::support::certificates::{Certificates, tls};
use crate::support::fixture::GatewayFixture;
use crate::support::process::Process;
use crate::support::test_gateway::TestGateway;
use crate::support::until;
use crate::support::upstream::Upstream;

const TLS: &str =
    "  ingress: { bind: \"127.0.0.1:0\", tls: { cert: gateway.pem, key: gateway.key, client_ca: vendors.pem } }
  admin: { bind: \"127.0.0.1:0\", operators: operators.yaml }
";
const ROUTES: &str = "scopes: [orders:read]
ingress:
  - { route: GET /v1/orders, scopes: [orders:read], upstream: crm }
";
const SECRET: &str = "whsec_YSBzZWNyZXQgb2YgdGhpcnR5LXR3byBieXRlcywgeWVz\n";

fn write(folder: &Path, name: &str, content: &str) {
    let path = folder.join(name);
    fs::write(&path, content).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a mode");
}

/// Every fault and warning.
fn judged(fixture: &GatewayFixture) -> Option<ConfigFaults> {
    let loader =
        ConfigLoader { environment: &|_| None, missing_secrets: FaultSeverity::Fault, now: UnixTime::default() };
    match loader.load(&fixture.main()) {
        Ok(loaded) if loaded.warnings.as_slice().is_empty() => None,
        Ok(loaded) => Some(loaded.warnings),
        Err(faults) => Some(faults),
    }
}

/// A fixture whose contracts name a file of every kind, all of them valid.
fn furnished() -> (GatewayFixture, Certificates) {
    let crm = "127.0.0.1:9".parse().expect("an address");
    let fixture = GatewayFixture::new(crm);
    let certificates = Certificates::write(fixture.path());
    let at = |name: &str| fs::read_to_string(fixture.path().join(name)).expect("text");
    write(fixture.path(), "vendors.pem", &at("ca.pem"));
    write(fixture.path(), "acme.crl", &certificates.revoking(&[7]));
    write(fixture.path(), "issuer.pem", &at("ca.pem"));
    write(fixture.path(), "fetch.pem", &at("gateway.pem"));
    write(fixture.path(), "fetch.key", &at("gateway.key"));
    write(fixture.path(), "hub.secret", SECRET);
    write(fixture.path(), "hub.next", SECRET);
    write(fixture.path(), "git.secret", "twenty-four bytes or more");
    write(fixture.path(), "asker.secret", "a secret\n");
    write(fixture.path(), "pager.secret", "a secret\n");
    let acme = "identity: { certificate: { subject_alt_name: acme.example, ca: ../ca.pem, crl: [../acme.crl] } }\n";
    let hub = "identity: { webhook: { scheme: standard-webhooks, secret_file: ../hub.secret, next_secret_file: ../hub.next } }\n";
    let git = "identity: { webhook: { scheme: hmac, header: x-signature, secret_file: ../git.secret } }\n";
    let asker = "identity:\n  issuer: https://opaque.example\n  audience: api\n  clients: [asker]\n  introspection: { url: \"https://127.0.0.1:9/i\", client_id: us, secret_file: ../asker.secret }\n  fetch: { ca: ../issuer.pem, cert: ../fetch.pem, key: ../fetch.key }\n";
    let fixture = fixture
        .contract("acme", &format!("{acme}{ROUTES}"))
        .contract("hub", &format!("{hub}{ROUTES}"))
        .contract("git", &format!("{git}{ROUTES}"))
        .contract("asker", &format!("{asker}{ROUTES}"))
        .listeners(TLS)
        .with("hooks:\n  - { name: pager, on: [kill], webhook: { url: \"https://pager.example\", secret_file: pager.secret } }\n");
    (fixture, certificates)
}

#[test]
fn check_reads_every_file_and_never_prints_its_content() {
    let (fixture, _) = furnished();
    assert!(judged(&fixture).is_none(), "{}", judged(&fixture).unwrap_or_default());
    let at = |name: &str| fs::read_to_string(fixture.path().join(name)).expect("text");
    let (certificate, key) = (at("ca.pem"), at("gateway.key"));
    let other_key = {
        let folder = tempfile::tempdir().expect("a folder");
        Certificates::write(folder.path());
        fs::read_to_string(folder.path().join("gateway.key")).expect("text")
    };
    let torn = certificate.replace('M', "%");
    for (file, content, path, said) in [
        ("gateway.pem", "correcthorse", "listeners.ingress.tls.cert", "holds no certificate"),
        ("gateway.pem", &key, "listeners.ingress.tls.cert", "holds no certificate"),
        ("gateway.pem", &torn, "listeners.ingress.tls.cert", "that cannot be read"),
        ("gateway.key", "correcthorse", "listeners.ingress.tls.key", "holds no private key"),
        ("gateway.key", &certificate, "listeners.ingress.tls.key", "holds no private key"),
        ("gateway.key", &other_key, "listeners.ingress.tls.key", "is not the key of the certificate"),
        ("vendors.pem", "correcthorse", "listeners.ingress.tls.client_ca", "holds no certificate"),
        ("vendors.pem", &torn, "listeners.ingress.tls.client_ca", "that can be an authority"),
        ("ca.pem", "", "identity.certificate.ca", "holds no certificate"),
        ("acme.crl", "correcthorse", "identity.certificate.crl[0]", "holds no revocation list"),
        ("acme.crl", &certificate, "identity.certificate.crl[0]", "holds no revocation list"),
        ("hub.secret", "correcthorse", "identity.webhook.secret_file", "does not start with whsec_"),
        ("hub.secret", "", "identity.webhook.secret_file", "does not start with whsec_"),
        ("hub.next", "whsec_correct!horse", "identity.webhook.next_secret_file", "is not base64"),
        ("git.secret", "\n", "identity.webhook.secret_file", "holds no secret"),
        ("asker.secret", " \n", "identity.introspection.secret_file", "is empty"),
        ("issuer.pem", "correcthorse", "identity.fetch.ca", "holds no certificate"),
        ("fetch.pem", "correcthorse", "identity.fetch.cert", "holds no certificate"),
        ("fetch.key", &other_key, "identity.fetch.key", "is not the key of the certificate"),
        ("master.key", "1 active correcthorse", "keys.master", "holds no usable key"),
        ("master.key", "# none\n", "keys.master", "holds no usable key"),
        ("pager.secret", "", "hooks[0].webhook.secret_file", "is empty"),
        ("pager.secret", "whsec_correct!horse", "hooks[0].webhook.secret_file", "base64"),
    ] {
        let good = at(file);
        write(fixture.path(), file, content);
        let faults = judged(&fixture).unwrap_or_default();
        let told = format!("{}{}", faults.with_snippets(), faults.to_json());
        let found: Vec<_> = faults.as_slice().iter().filter(|fault| fault.path == path).collect();
        let is_told = found.len() == 1 && found[0].wrong.contains(said) && found[0].wrong.contains(file);
        assert!(is_told && found[0].severity == FaultSeverity::Fault, "{file} {content:.20}: {faults}");
        assert_eq!(faults.as_slice().len(), 1, "{file} {content:.20}: {faults}");
        assert!(!told.contains("horse"), "{told}");
        write(fixture.path(), file, &good);
    }
    assert!(judged(&fixture).is_none(), "all is as before");
}

#[test]
fn an_unreadable_authority_is_left_out_and_reported() {
    let (fixture, certificates) = furnished();
    let good = fs::read_to_string(fixture.path().join("ca.pem")).expect("text");
    let broken = "-----BEGIN CERTIFICATE-----\nbm90aGluZw==\n-----END CERTIFICATE-----\n";
    write(fixture.path(), "vendors.pem", &format!("{broken}{good}"));
    write(fixture.path(), "ca.pem", &format!("{good}{broken}"));
    let warnings = judged(&fixture).expect("warnings");
    let told: Vec<_> = warnings.as_slice().iter().map(|fault| (fault.severity, fault.path.as_str())).collect();
    let warned =
        ["identity.certificate.ca", "listeners.ingress.tls.client_ca"].map(|path| (FaultSeverity::Warning, path));
    assert_eq!(told, warned, "{warnings}");
    let gateway = TestGateway::start(fixture);
    let config = certificates.client(&[&TLS13], &["http/1.1"], true);
    let answer = tls(gateway.ingress(), &config).expect("a handshake").get("/v1/orders", "");
    assert_ne!(answer.status, 401, "the authority that can be read lets its vendor in");
}

/// Each vendor has an authority of its own, and the listener trusts both.
#[test]
fn a_vendors_own_authority_cannot_issue_another_vendors_name() {
    let crm = Upstream::json("{}");
    let fixture = GatewayFixture::new(crm.address).listeners(TLS);
    let (acme, other) = (Certificates::write(fixture.path()), tempfile::tempdir().expect("a folder"));
    let at = |folder: &Path| fs::read_to_string(folder.join("ca.pem")).expect("text");
    let rival = Certificates::write(other.path());
    let both = [at(fixture.path()), at(other.path())];
    write(fixture.path(), "vendors.pem", &both.concat());
    write(fixture.path(), "rival.pem", &both[1]);
    let contract = |name: &str, ca: &str| {
        format!("identity: {{ certificate: {{ subject_alt_name: {name}.example{ca} }} }}\n{ROUTES}")
    };
    let fixture =
        fixture.contract("acme", &contract("acme", "")).contract("rival", &contract("rival", ", ca: ../rival.pem"));
    let faults = judged(&fixture).expect("a fault");
    let told: Vec<_> = faults.as_slice().iter().map(|fault| (fault.severity, fault.path.as_str())).collect();
    assert_eq!(told, [(FaultSeverity::Fault, "identity.certificate.ca")], "{faults}");
    assert!(faults.to_string().contains("trusts 2 authorities"), "{faults}");

    let fixture = fixture.contract("acme", &contract("acme", ", ca: ../ca.pem"));
    assert!(judged(&fixture).is_none());
    let gateway = TestGateway::start(fixture);
    let ask = |of: &Certificates, name: &str| {
        let shown = of.for_client(name, 3).showing_to(&acme, &TLS13);
        tls(gateway.ingress(), &shown).expect("a handshake").get("/v1/orders", "").status
    };
    assert_eq!([ask(&acme, "acme.example"), ask(&rival, "rival.example")], [200, 200]);
    assert_eq!([ask(&rival, "acme.example"), ask(&acme, "rival.example")], [403, 403], "as if nobody had the name");
    drop(gateway);

    // Without further conditions, one authority may name every vendor.
    let fixture = GatewayFixture::new(crm.address).listeners(TLS).contract("acme", &contract("acme", ""));
    Certificates::write(fixture.path());
    write(fixture.path(), "vendors.pem", &at(fixture.path()));
    assert!(judged(&fixture).is_none());
}

#[test]
fn an_unusable_replacement_of_a_file_is_reported_until_it_is_mended() {
    let (fixture, certificates) = furnished();
    let lost = "identity:\n  issuer: https://lost.example\n  audience: api\n  clients: [lost]\n  algorithms: [ES256]\n  jwks: { url: \"http://127.0.0.1:9/jwks\" }\n";
    let fixture = fixture.contract("lost", &format!("{lost}{ROUTES}")).contract("paper", ROUTES);
    let jwks = fs::read_to_string(fixture.path().join("jwks.json")).expect("text");
    let process = Process::start(&fixture);
    process.until_said("the outage", |line| line.contains("\"WARN\"") && line.contains("https://lost.example"));
    let get = |path: &str| process.admin(&fixture, "viewer", "GET", path, "").text();
    let kinds =
        [("acme", "authorities"), ("hub", "webhook_secrets"), ("asker", "introspection_secret"), ("paper", "jwks")];
    let metric = |vendor: &str, file: &str, value: u8| {
        get("/metrics")
            .contains(&format!("vendorgate_file_unreadable{{vendor=\"{vendor}\",file=\"{file}\"}} {value}\n"))
    };
    for (vendor, file) in kinds {
        assert!(metric(vendor, file, 0), "{vendor}");
    }
    let list = certificates.revoking(&[]);
    let bad = [("acme.crl", "correcthorse"), ("hub.next", "correcthorse"), ("asker.secret", ""), ("jwks.json", "[]")];
    bad.iter().for_each(|(name, content)| write(fixture.path(), name, content));
    for (vendor, file) in kinds {
        until("it is counted", || metric(vendor, file, 1));
        let status: serde_json::Value = serde_json::from_str(&get(&format!("/v1/vendors/{vendor}"))).expect("json");
        assert_eq!(status["files"][0]["file"], file, "{status}");
        let ready = get("/readyz?verbose");
        let line =
            ready.lines().find(|line| line.contains(&format!("files/{vendor}"))).unwrap_or_else(|| panic!("{ready}"));
        assert!(line.contains(file) && !line.contains(fixture.path().to_str().expect("a path")), "{line}");
        let (_, shown) = process.cli(&fixture, "viewer", &["status", vendor]);
        assert!(shown.contains(&format!("{file} cannot be used")) && !shown.contains("horse"), "{shown}");
    }
    let probe = process.admin(&fixture, "viewer", "GET", "/readyz", "");
    assert_eq!(probe.status, 200, "one vendor's file is one vendor's matter");
    let good = [("acme.crl", list.as_str()), ("hub.next", SECRET), ("asker.secret", "new"), ("jwks.json", &jwks)];
    good.iter().for_each(|(name, content)| write(fixture.path(), name, content));
    for (vendor, file) in kinds {
        until("it is well again", || metric(vendor, file, 0));
    }
    let well = std::cell::Cell::new(0);
    let said = process.until_said("that the last is well", |line| {
        well.set(well.get() + usize::from(line.contains("\"INFO\"") && line.contains("\"files can")));
        well.get() >= 3
    });
    let files = |level: &str| said.iter().filter(|line| line.contains(level) && line.contains("\"files can")).count();
    assert_eq!((files("\"WARN\""), files("\"INFO\"")), (3, 3), "each change once: {said:#?}");
    assert!(!said.concat().contains("horse"));
}

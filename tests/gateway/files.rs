//! Files that a config names: what they hold is judged by `check`, and again whenever they are replaced.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustls::version::TLS13;
use vendorgate::internals::config::{ConfigFaults, ConfigLoader, FaultSeverity};
use vendorgate::internals::model::UnixTime;

use crate::support::certificates::{Certificates, tls};
use crate::support::gate::Gate;
use crate::support::house::House;
use crate::support::process::Process;
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

/// Every fault and warning, where there is any.
fn judged(house: &House) -> Option<ConfigFaults> {
    let loader =
        ConfigLoader { environment: &|_| None, missing_secrets: FaultSeverity::Fault, now: UnixTime::default() };
    match loader.load(&house.main()) {
        Ok(loaded) if loaded.warnings.as_slice().is_empty() => None,
        Ok(loaded) => Some(loaded.warnings),
        Err(faults) => Some(faults),
    }
}

/// A house whose contracts name a file of every kind, all of them good.
fn furnished() -> (House, Certificates) {
    let crm = "127.0.0.1:9".parse().expect("an address");
    let house = House::new(crm);
    let certificates = Certificates::write(house.path());
    let at = |name: &str| fs::read_to_string(house.path().join(name)).expect("text");
    write(house.path(), "vendors.pem", &at("ca.pem"));
    write(house.path(), "acme.crl", &certificates.revoking(&[7]));
    write(house.path(), "issuer.pem", &at("ca.pem"));
    write(house.path(), "fetch.pem", &at("gateway.pem"));
    write(house.path(), "fetch.key", &at("gateway.key"));
    write(house.path(), "hub.secret", SECRET);
    write(house.path(), "hub.next", SECRET);
    write(house.path(), "git.secret", "twenty-four bytes or more");
    write(house.path(), "asker.secret", "a secret\n");
    write(house.path(), "pager.secret", "a secret\n");
    let acme = "identity: { certificate: { subject_alt_name: acme.example, ca: ../ca.pem, crl: [../acme.crl] } }\n";
    let hub = "identity: { webhook: { scheme: standard-webhooks, secret_file: ../hub.secret, next_secret_file: ../hub.next } }\n";
    let git = "identity: { webhook: { scheme: hmac, header: x-signature, secret_file: ../git.secret } }\n";
    let asker = "identity:\n  issuer: https://opaque.example\n  audience: api\n  clients: [asker]\n  introspection: { url: \"https://127.0.0.1:9/i\", client_id: us, secret_file: ../asker.secret }\n  fetch: { ca: ../issuer.pem, cert: ../fetch.pem, key: ../fetch.key }\n";
    let house = house
        .contract("acme", &format!("{acme}{ROUTES}"))
        .contract("hub", &format!("{hub}{ROUTES}"))
        .contract("git", &format!("{git}{ROUTES}"))
        .contract("asker", &format!("{asker}{ROUTES}"))
        .listeners(TLS)
        .with("hooks:\n  - { name: pager, on: [kill], webhook: { url: \"https://pager.example\", secret_file: pager.secret } }\n");
    (house, certificates)
}

#[test]
fn check_judges_what_every_file_holds_and_never_shows_it() {
    let (house, _) = furnished();
    assert!(judged(&house).is_none(), "{}", judged(&house).unwrap_or_default());
    let at = |name: &str| fs::read_to_string(house.path().join(name)).expect("text");
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
        write(house.path(), file, content);
        let faults = judged(&house).unwrap_or_default();
        let told = format!("{}{}", faults.with_snippets(), faults.to_json());
        let found: Vec<_> = faults.as_slice().iter().filter(|fault| fault.path == path).collect();
        let is_told = found.len() == 1 && found[0].wrong.contains(said) && found[0].wrong.contains(file);
        assert!(is_told && found[0].severity == FaultSeverity::Fault, "{file} {content:.20}: {faults}");
        assert_eq!(faults.as_slice().len(), 1, "{file} {content:.20}: {faults}");
        assert!(!told.contains("horse"), "{told}");
        write(house.path(), file, &good);
    }
    assert!(judged(&house).is_none(), "all is as before");
}

#[test]
fn an_authority_that_cannot_be_read_is_left_out_and_told() {
    let (house, certificates) = furnished();
    let good = fs::read_to_string(house.path().join("ca.pem")).expect("text");
    let broken = "-----BEGIN CERTIFICATE-----\nbm90aGluZw==\n-----END CERTIFICATE-----\n";
    write(house.path(), "vendors.pem", &format!("{broken}{good}"));
    write(house.path(), "ca.pem", &format!("{good}{broken}"));
    let warnings = judged(&house).expect("warnings");
    let told: Vec<_> = warnings.as_slice().iter().map(|fault| (fault.severity, fault.path.as_str())).collect();
    let warned =
        ["identity.certificate.ca", "listeners.ingress.tls.client_ca"].map(|path| (FaultSeverity::Warning, path));
    assert_eq!(told, warned, "{warnings}");
    let gate = Gate::start(house);
    let config = certificates.client(&[&TLS13], &["http/1.1"], true);
    let answer = tls(gate.ingress(), &config).expect("a handshake").get("/v1/orders", "");
    assert_ne!(answer.status, 401, "the authority that can be read lets its vendor in");
}

/// Each vendor has an authority of its own, and the listener trusts both.
#[test]
fn no_vendor_is_taken_for_another_whose_name_its_own_authority_writes() {
    let crm = Upstream::json("{}");
    let house = House::new(crm.address).listeners(TLS);
    let (acme, other) = (Certificates::write(house.path()), tempfile::tempdir().expect("a folder"));
    let at = |folder: &Path| fs::read_to_string(folder.join("ca.pem")).expect("text");
    let rival = Certificates::write(other.path());
    let both = [at(house.path()), at(other.path())];
    write(house.path(), "vendors.pem", &both.concat());
    write(house.path(), "rival.pem", &both[1]);
    let contract = |name: &str, ca: &str| {
        format!("identity: {{ certificate: {{ subject_alt_name: {name}.example{ca} }} }}\n{ROUTES}")
    };
    let house =
        house.contract("acme", &contract("acme", "")).contract("rival", &contract("rival", ", ca: ../rival.pem"));
    let faults = judged(&house).expect("a fault");
    let told: Vec<_> = faults.as_slice().iter().map(|fault| (fault.severity, fault.path.as_str())).collect();
    assert_eq!(told, [(FaultSeverity::Fault, "identity.certificate.ca")], "{faults}");
    assert!(faults.to_string().contains("trusts 2 authorities"), "{faults}");

    let house = house.contract("acme", &contract("acme", ", ca: ../ca.pem"));
    assert!(judged(&house).is_none());
    let gate = Gate::start(house);
    let ask = |of: &Certificates, name: &str| {
        let shown = of.for_client(name, 3).showing_to(&acme, &TLS13);
        tls(gate.ingress(), &shown).expect("a handshake").get("/v1/orders", "").status
    };
    assert_eq!([ask(&acme, "acme.example"), ask(&rival, "rival.example")], [200, 200]);
    assert_eq!([ask(&rival, "acme.example"), ask(&acme, "rival.example")], [403, 403], "as if nobody had the name");
    drop(gate);

    // One authority names every vendor without more words.
    let house = House::new(crm.address).listeners(TLS).contract("acme", &contract("acme", ""));
    Certificates::write(house.path());
    write(house.path(), "vendors.pem", &at(house.path()));
    assert!(judged(&house).is_none());
}

#[test]
fn a_file_that_is_replaced_by_one_that_cannot_be_used_is_told_until_it_can() {
    let (house, certificates) = furnished();
    let lost = "identity:\n  issuer: https://lost.example\n  audience: api\n  clients: [lost]\n  algorithms: [ES256]\n  jwks: { url: \"http://127.0.0.1:9/jwks\" }\n";
    let house = house.contract("lost", &format!("{lost}{ROUTES}")).contract("paper", ROUTES);
    let jwks = fs::read_to_string(house.path().join("jwks.json")).expect("text");
    let process = Process::start(&house);
    process.until_said("the outage", |line| line.contains("\"WARN\"") && line.contains("https://lost.example"));
    let get = |path: &str| process.admin(&house, "viewer", "GET", path, "").text();
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
    bad.iter().for_each(|(name, content)| write(house.path(), name, content));
    for (vendor, file) in kinds {
        until("it is counted", || metric(vendor, file, 1));
        let status: serde_json::Value = serde_json::from_str(&get(&format!("/v1/vendors/{vendor}"))).expect("json");
        assert_eq!(status["files"][0]["file"], file, "{status}");
        let ready = get("/readyz?verbose");
        let line =
            ready.lines().find(|line| line.contains(&format!("files/{vendor}"))).unwrap_or_else(|| panic!("{ready}"));
        assert!(line.contains(file) && !line.contains(house.path().to_str().expect("a path")), "{line}");
        let (_, shown) = process.cli(&house, "viewer", &["status", vendor]);
        assert!(shown.contains(&format!("{file} cannot be used")) && !shown.contains("horse"), "{shown}");
    }
    let probe = process.admin(&house, "viewer", "GET", "/readyz", "");
    assert_eq!(probe.status, 200, "one vendor's file is one vendor's matter");
    let good = [("acme.crl", list.as_str()), ("hub.next", SECRET), ("asker.secret", "new"), ("jwks.json", &jwks)];
    good.iter().for_each(|(name, content)| write(house.path(), name, content));
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

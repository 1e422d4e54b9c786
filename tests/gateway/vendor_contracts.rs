//! The ready contracts of `config/vendors/`: each call of a sample leaves as the sample promises, with the credential
//! where the vendor expects it, and what the contract does not list is refused.
//!
//! With `VENDORGATE_BLESS=1` the test writes what left into the samples, to be read before it is committed.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value;
use vendorgate::internals::config::{ConfigLoader, Contract, FaultSeverity};
use vendorgate::internals::identity::IdentitySettings;
use vendorgate::internals::model::UnixTime;

use crate::support::client::{Answer, Client};
use crate::support::fixture::GatewayFixture;
use crate::support::test_gateway::TestGateway;
use crate::support::upstream::Upstream;

/// What the vendor answers to everything, also where it is asked for a token.
const ANSWER: &str = r#"{"access_token":"t0ken","token_type":"Bearer","expires_in":3600,"ok":true}"#;
const SECRET: &str = "S3cr3t-0f-0urs";

fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect(folder).map(|entry| entry.expect("an entry").path());
    let mut files: Vec<_> = entries.filter(|path| path.extension().is_some_and(|it| it == extension)).collect();
    files.sort();
    files
}

fn stem(path: &Path) -> String {
    path.file_stem().expect("a name").to_string_lossy().into_owned()
}

fn sample(vendor: &str) -> Value {
    let path = format!("tests/vendors/{vendor}.json");
    serde_json::from_str(&fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))).expect("JSON")
}

fn contract(path: &Path) -> Contract {
    let loader = ConfigLoader {
        environment: &|_| None,
        missing_secrets: FaultSeverity::Warning,
        now: UnixTime::from_secs(1_795_000_000),
    };
    loader.load_contract(path).unwrap_or_else(|faults| panic!("{faults}"))
}

/// The contract of a vendor that listens here: hosts of its API and token endpoint are this machine's.
fn local(text: &str, contract: &Contract, vendor: &Upstream) -> String {
    let origin = contract.egress.as_slice()[0].upstream.base.to_string();
    let origin = origin.trim_end_matches('/');
    let here = format!("http://{}", vendor.address);
    let text = text.replace(origin, &here).replace("../secrets/", "../");
    let networks = format!("url: \"{here}\", allow_networks: [\"127.0.0.0/8\"]");
    text.replace(&format!("url: \"{here}\""), &networks).replace("upstream: webhooks", "upstream: crm")
}

fn gateway(vendor: &Upstream) -> TestGateway {
    let fixture = GatewayFixture::new(vendor.address);
    for path in files("config/vendors", "yaml") {
        let name = stem(&path);
        let text = fs::read_to_string(&path).expect("text");
        let text = local(&text, &contract(&path), vendor);
        fs::write(fixture.path().join(format!("contracts/{name}.yaml")), text).expect("written");
        for (file, secret) in
            [(name.clone(), SECRET), (format!("{name}-webhook"), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
        {
            let file = fixture.path().join(file);
            fs::write(&file, secret).expect("written");
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("mode");
        }
    }
    TestGateway::start(fixture)
}

fn send(gateway: &TestGateway, vendor: &str, request: &str, media_type: &str, body: &str) -> Answer {
    let (method, target) = request.split_once(' ').expect("a method and a path");
    let content = format!("Content-Type: {media_type}\r\nContent-Length: {}\r\n", body.len());
    let content = if body.is_empty() { String::new() } else { content };
    let text = format!("{method} /{vendor}{target} HTTP/1.1\r\nHost: {}\r\n{content}\r\n{body}", gateway.egress());
    Client::to(gateway.egress()).send(text).answer()
}

/// A body with its tokens and hashes, which differ from run to run, replaced by what they are.
fn with_placeholders(text: &str) -> String {
    let mut plain = String::new();
    let mut words = text.split_inclusive(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'));
    for word in &mut words {
        let end = word.trim_end_matches(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'));
        let is_hash = end.len() > 24 && end.starts_with("h1") && end.as_bytes().get(4) == Some(&b'_');
        let kind = if end.starts_with("tok1_") {
            "<token>"
        } else if is_hash {
            "<hash>"
        } else {
            end
        };
        plain.extend([kind, &word[end.len()..]]);
    }
    plain
}

#[test]
fn every_sample_leaves_as_it_promises() {
    let vendor = Upstream::json(ANSWER);
    let gateway = gateway(&vendor);
    for path in files("config/vendors", "yaml") {
        let name = stem(&path);
        let mut sample = sample(&name);
        for call in sample["calls"].as_array_mut().expect("calls") {
            let request = call["request"].as_str().expect("a request").to_owned();
            let media_type = call["type"].as_str().unwrap_or("application/json").to_owned();
            let body = match &call["sent"] {
                Value::Null => String::new(),
                Value::String(form) => form.clone(),
                json => json.to_string(),
            };
            let answer = send(&gateway, &name, &request, &media_type, &body);
            assert_eq!(answer.status, 200, "{name} {request}: {}", answer.text());
            // A token may be asked for at any time.
            let seen = vendor.seen().into_iter().rev().find(|seen| !seen.line().contains("oauth2")).expect("a request");
            assert_eq!(seen.line(), format!("{request} HTTP/1.1"), "{name}");
            if let Some([field, value]) = sample_credential(&name).as_deref() {
                assert_eq!(seen.field(field), Some(value.as_str()), "{name}: {}", seen.head);
            }
            let left = with_placeholders(&String::from_utf8_lossy(&seen.body));
            let left = match &call["sent"] {
                Value::Null => Value::Null,
                Value::String(_) => Value::String(left),
                _ => serde_json::from_str(&left).expect("JSON"),
            };
            if std::env::var_os("VENDORGATE_BLESS").is_some() {
                call["leaves"] = left;
                continue;
            }
            assert_eq!(left, call["leaves"], "{name} {request}");
        }
        if std::env::var_os("VENDORGATE_BLESS").is_some() {
            fs::write(format!("tests/vendors/{name}.json"), format!("{sample:#}\n")).expect("written");
        }
    }
}

fn sample_credential(vendor: &str) -> Option<Vec<String>> {
    let sample = sample(vendor);
    let parts = sample["credential"].as_array()?;
    Some(parts.iter().map(|part| part.as_str().expect("text").to_owned()).collect())
}

#[test]
fn what_a_ready_contract_does_not_list_is_refused() {
    let vendor = Upstream::json(ANSWER);
    let gateway = gateway(&vendor);
    for path in files("config/vendors", "yaml") {
        let name = stem(&path);
        let before = vendor.seen().iter().filter(|seen| !seen.line().contains("oauth2")).count();
        let sample = sample(&name);
        let refused = sample["refused"].as_array().expect("refused");
        assert!(!refused.is_empty(), "{name}");
        for request in refused {
            let request = request.as_str().expect("a request");
            let answer = send(&gateway, &name, request, "application/json", "");
            assert_eq!(answer.status, 403, "{name} {request}: {}", answer.text());
        }
        let after = vendor.seen().iter().filter(|seen| !seen.line().contains("oauth2")).count();
        assert_eq!(after, before, "{name}: nothing was sent");
    }
}

/// A webhook without its signature is refused, so no vendor's ingress is open.
#[test]
fn a_webhook_of_a_ready_contract_needs_its_signature() {
    let vendor = Upstream::json(ANSWER);
    let gateway = gateway(&vendor);
    let mut signed = BTreeSet::new();
    for path in files("config/vendors", "yaml") {
        let (name, contract) = (stem(&path), contract(&path));
        let has_webhook = matches!(contract.identity, Some(IdentitySettings::Webhook(_)));
        assert_eq!(sample(&name)["webhook"].is_string(), has_webhook, "{name}");
        if !has_webhook {
            assert!(contract.ingress.is_empty(), "{name}");
            continue;
        }
        let text = format!(
            "POST /webhooks/{name} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}"
        );
        let refused = Client::to(gateway.ingress()).send(text).answer();
        assert!(matches!(refused.status, 401 | 403), "{name}: {}", refused.text());
        signed.insert(name);
    }
    assert!(signed.len() >= 6, "{signed:?}");
}

#[test]
fn every_ready_contract_has_a_sample_and_no_secret() {
    let contracts: Vec<String> = files("config/vendors", "yaml").iter().map(|path| stem(path)).collect();
    let samples: Vec<String> = files("tests/vendors", "json").iter().map(|path| stem(path)).collect();
    assert_eq!(contracts, samples);
    assert!(contracts.len() >= 12, "{contracts:?}");
    for path in files("config/vendors", "yaml") {
        let contract = contract(&path);
        assert_eq!(contract.vendor.as_str(), stem(&path));
        assert!(contract.egress.as_slice().iter().all(|route| route.upstream.base.to_string().starts_with("https://")));
        assert!(!contract.purpose.is_empty() && !contract.region.is_empty(), "{}", contract.vendor);
        let docs = sample(contract.vendor.as_str())["docs"].as_str().expect("docs").to_owned();
        assert!(docs.starts_with("https://"), "{docs}");
    }
}

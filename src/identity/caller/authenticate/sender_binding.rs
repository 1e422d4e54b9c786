//! Tokens that are bound to a key or a certificate, and vendors without tokens: neither passes without the sender's
//! key.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use sha2::{Digest as _, Sha256};

use crate::identity::certificate::peer::{PeerCertificate, SubjectAltName};
use crate::identity::directory::IdentityContract;
use crate::identity::fixture::presented;
use crate::identity::keys::signing::SigningKey;
use crate::identity::settings::{CertificateSettings, IdentitySettings, SenderBinding, TokenSettings};
use crate::identity::webhook::{WebhookPreset, WebhookSettings};
use crate::model::{Algorithm, Reason, VendorId};

use super::tests::{NOW, World};
use super::*;

/// One request: its scheme and token, its proof, its certificate.
#[derive(Clone, Copy, Default)]
struct Asked<'a> {
    authorization: &'a str,
    proof: Option<&'a str>,
    certificate: Option<&'a PeerCertificate>,
}

fn ask(world: &World, directory: &Directory, asked: Asked<'_>) -> Result<Arc<VerifiedCaller>, Reason> {
    let mut headers = HeaderMap::new();
    if !asked.authorization.is_empty() {
        headers.insert(AUTHORIZATION, asked.authorization.parse().expect("a value"));
    }
    if let Some(proof) = asked.proof {
        headers.insert("dpop", proof.parse().expect("a value"));
    }
    let presented = PresentedRequest { peer_certificate: asked.certificate, ..presented(&headers) };
    directory.authenticate(&presented, world.clock.now()).map_err(|rejected| rejected.denial.reason)
}

fn certificate(name: &str) -> PeerCertificate {
    let issued = rcgen::generate_simple_self_signed([name.to_owned()]).expect("a certificate");
    PeerCertificate::read(&[issued.cert.der().clone()]).expect("readable")
}

fn bound(world: &World, name: &str, thumbprint: &[u8]) -> String {
    let thumbprint = URL_SAFE_NO_PAD.encode(thumbprint);
    world.token(&format!(r#""iat":{NOW},"exp":{},"cnf":{{"{name}":"{thumbprint}"}}"#, NOW + 600))
}

#[test]
fn a_certificate_bound_token_is_refused_without_its_certificate() {
    let world = World::new();
    let (own, other) = (certificate("a.test"), certificate("a.test"));
    let token = format!("Bearer {}", bound(&world, "x5t#S256", own.thumbprint()));
    let free = format!("Bearer {}", world.token(&format!(r#""iat":{NOW},"exp":{}"#, NOW + 600)));
    for sender in [SenderBinding::Mtls, SenderBinding::None] {
        let directory = world.directory(0, TokenSettings { sender, ..world.settings() });
        let check =
            |authorization, certificate| ask(&world, &directory, Asked { authorization, proof: None, certificate });
        for round in ["miss", "hit"] {
            assert!(check(&token, Some(&own)).is_ok(), "{sender:?}, {round}");
            assert_eq!(check(&token, Some(&other)).err(), Some(Reason::TokenUnbound), "{sender:?}, {round}");
            assert_eq!(check(&token, None).err(), Some(Reason::TokenUnbound), "{sender:?}, {round}");
        }
        let unbound = check(&free, Some(&own)).err();
        assert_eq!(unbound, if sender == SenderBinding::Mtls { Some(Reason::TokenUnbound) } else { None });
    }
}

#[test]
fn a_key_bound_token_needs_a_fresh_proof_for_each_request() {
    let world = World::new();
    let directory = world.directory(0, TokenSettings { sender: SenderBinding::Dpop, ..world.settings() });
    let key = SigningKey::generate(Algorithm::ES256, "proof").expect("a key");
    let jwk = crate::identity::json::Object::parse(key.public_jwk().as_bytes()).expect("json");
    let thumbprint = crate::identity::keys::jwk::read(&jwk).expect("a key")[0].thumbprint;
    let token = bound(&world, "jkt", &thumbprint);
    let proof = |id: u32| {
        let header = format!(r#"{{"typ":"dpop+jwt","alg":"ES256","jwk":{}}}"#, key.public_jwk());
        let ath = URL_SAFE_NO_PAD.encode(Sha256::digest(&token));
        let claims =
            format!(r#"{{"htm":"GET","htu":"https://api.test/v1/orders","iat":{NOW},"ath":"{ath}","jti":"{id}"}}"#);
        key.sign_raw(&header, &claims).expect("a proof")
    };
    let (dpop, bearer) = (format!("DPoP {token}"), format!("Bearer {token}"));
    let check = |authorization: &str, proof: Option<&str>| {
        ask(&world, &directory, Asked { authorization, proof, certificate: None })
    };
    for id in [1, 2] {
        assert!(check(&dpop, Some(proof(id).as_str())).is_ok(), "{id}");
        assert_eq!(check(&dpop, Some(proof(id).as_str())).err(), Some(Reason::TokenUnbound), "{id} again");
    }
    assert_eq!(check(&dpop, None).err(), Some(Reason::TokenUnbound));
    assert_eq!(check(&bearer, None).err(), Some(Reason::TokenUnbound));
    assert_eq!(check(&bearer, Some(proof(3).as_str())).err(), Some(Reason::TokenUnbound), "not under Bearer");
    let reloaded = world.directory(1, TokenSettings { sender: SenderBinding::Dpop, ..world.settings() });
    let again = Asked { authorization: &dpop, proof: Some(&proof(1)), certificate: None };
    assert_eq!(ask(&world, &reloaded, again).err(), Some(Reason::TokenUnbound), "a reload forgets no proof");
    let free = format!("Bearer {}", world.token(&format!(r#""iat":{NOW},"exp":{}"#, NOW + 600)));
    assert_eq!(check(&free, None).err(), Some(Reason::TokenUnbound), "the contract asks for a bond");
}

fn by_certificate(index: u32, vendor: &str, name: &str) -> IdentityContract {
    let subject_alt_name = SubjectAltName::parse(name);
    let settings = CertificateSettings { subject_alt_name, ca_file: None, crl_files: Vec::new() };
    let vendor = VendorId::parse(vendor).expect("an id");
    IdentityContract { index, vendor, identity: IdentitySettings::Certificate(settings) }
}

#[test]
fn a_certificate_alone_names_at_most_one_vendor() {
    let world = World::new();
    let contracts = vec![by_certificate(0, "acme", "a.test"), by_certificate(1, "other", "b.test")];
    let directory = world.authority.directory(contracts).expect("a directory");
    let check = |certificate: Option<&PeerCertificate>| {
        let asked = Asked { certificate, ..Asked::default() };
        ask(&world, &directory, asked).map(|verified| verified.caller().vendor.to_string())
    };
    for _ in ["miss", "hit"] {
        assert_eq!(check(Some(&certificate("b.test"))), Ok("other".into()));
    }
    let own = certificate("a.test");
    assert_eq!((check(Some(&own)), check(Some(&own))), (Ok("acme".into()), Ok("acme".into())));
    assert_eq!(world.authority.cache_status().hits, 1, "looked up, not judged again");
    assert_eq!(check(Some(&certificate("c.test"))), Err(Reason::TokenMissing));
    assert_eq!(check(None), Err(Reason::TokenMissing));
    let issued = rcgen::generate_simple_self_signed(["a.test".to_owned(), "b.test".to_owned()]).expect("a certificate");
    let both = PeerCertificate::read(&[issued.cert.der().clone()]).expect("readable");
    assert_eq!(check(Some(&both)), Err(Reason::TokenMissing), "two vendors' names are nobody's");
    let with_token = Asked { authorization: "Bearer x", certificate: Some(&own), proof: None };
    assert!(ask(&world, &directory, with_token).is_err(), "a token that is presented must be good");
}

#[test]
fn contradictory_identity_sections_are_refused() {
    let world = World::new();
    let check = |contracts| world.authority.directory(contracts).expect_err("a fault")[0].to_string();
    let twice = vec![by_certificate(0, "acme", "A.test"), by_certificate(1, "other", "a.test")];
    assert_eq!(check(twice), "acme and other have the same identity.certificate.subject_alt_name");
    let mut lists = by_certificate(0, "acme", "a.test");
    if let IdentitySettings::Certificate(settings) = &mut lists.identity {
        settings.crl_files.push("crl.pem".into());
    }
    assert_eq!(check(vec![lists]), "acme: identity.certificate.crl_files needs ca_file");
    let token =
        |settings: TokenSettings| IdentityContract { identity: settings.into(), ..by_certificate(0, "acme", "a.test") };
    let nobody = TokenSettings { clients: Vec::new(), ..world.settings() };
    assert_eq!(check(vec![token(nobody)]), "acme: identity.clients must name at least one client");
    let nothing = TokenSettings { algorithms: Vec::new(), ..world.settings() };
    assert_eq!(check(vec![token(nothing)]), "acme: identity.algorithms must name at least one algorithm");
    let far = crate::identity::settings::KeySource::Url {
        url: "http://id.test/jwks".into(),
        refresh: Duration::from_secs(300),
    };
    let plain = TokenSettings { keys: far, ..world.settings() };
    assert_eq!(check(vec![token(plain)]), "acme: the issuer's address cannot be asked");
    let webhook = WebhookSettings {
        recipe: WebhookPreset::StandardWebhooks.recipe().0,
        secret_files: Vec::new(),
        tolerance: Duration::from_secs(300),
        verify_token_file: None,
        handshakes: Vec::new(),
    };
    let silent =
        IdentityContract { identity: IdentitySettings::Webhook(webhook.into()), ..by_certificate(0, "acme", "a.test") };
    assert_eq!(check(vec![silent]), "acme: identity.webhook.secret_files must name one or two files");
}

//! A request in flight ends when a new request with its credentials would be refused, and never otherwise.

use crate::identity::caller::names::CredentialName;
use crate::identity::certificate::peer::{PeerCertificate, SubjectAltName};
use crate::identity::directory::IdentityContract;
use crate::identity::revocation::{DistrustedKey, Revocation, RevocationTarget};
use crate::identity::settings::{
    CertificateSettings, IdentitySettings, KeySource, RotationRules, SenderBinding, TokenSettings,
};
use crate::identity::token::claim_names::TokenShape;
use crate::model::{Algorithm, ClientId, Reason, UnixTime, VendorId};

use super::tests::{CLIENT, NOW, World};
use super::*;

fn acme() -> VendorId {
    VendorId::parse("acme").expect("an id")
}

fn revoke(world: &World, what: RevocationTarget) {
    let at = UnixTime::from_secs(NOW);
    let revocation =
        Revocation { vendor: acme(), target: what, ordered_at: at, keep_until: None, reason: "leaked".into() };
    world.authority.revocations().revoke(revocation).expect("saved");
}

fn token(world: &World) -> String {
    world.token(&format!(r#""iat":{NOW},"exp":{},"jti":"t1""#, NOW + 600))
}

fn again(world: &World, directory: &Directory, verified: &VerifiedCaller) -> Result<(), Reason> {
    directory.recheck(verified, world.clock.now()).map_err(|denial| denial.reason)
}

#[test]
fn a_changed_identity_section_ends_requests_that_it_would_not_accept() {
    type Change = fn(TokenSettings) -> TokenSettings;
    let table: [(&str, Change, Result<(), Reason>); 13] = [
        ("nothing", |old| old, Ok(())),
        (
            "another client beside",
            |old| TokenSettings { clients: vec![ClientId::new(CLIENT), ClientId::new("b")], ..old },
            Ok(()),
        ),
        ("a longer skew", |old| TokenSettings { clock_skew: Duration::from_secs(60), ..old }, Ok(())),
        ("the client", |old| TokenSettings { clients: vec![ClientId::new("b")], ..old }, Err(Reason::VendorUnknown)),
        ("the issuer", |old| TokenSettings { issuer: "https://b.test".into(), ..old }, Err(Reason::TokenInvalid)),
        (
            "the audience",
            |old| TokenSettings { audience: Some("https://b.test".into()), ..old },
            Err(Reason::TokenInvalid),
        ),
        ("the algorithm", |old| TokenSettings { algorithms: vec![Algorithm::RS256], ..old }, Err(Reason::TokenInvalid)),
        ("the binding", |old| TokenSettings { sender: SenderBinding::Mtls, ..old }, Err(Reason::TokenInvalid)),
        ("the proof", |old| TokenSettings { sender: SenderBinding::Dpop, ..old }, Err(Reason::TokenInvalid)),
        ("the type", |old| TokenSettings { shape: TokenShape::default(), ..old }, Err(Reason::TokenInvalid)),
        (
            "the lifetime",
            |old| TokenSettings {
                rotation: RotationRules { max_lifetime: Some(Duration::from_secs(60)), ..RotationRules::default() },
                ..old
            },
            Err(Reason::TokenLifetime),
        ),
        (
            "the keys' file",
            |old| {
                let KeySource::File(path) = &old.keys else { return old };
                let path = path.with_file_name("others.json");
                std::fs::write(&path, r#"{"keys":[]}"#).expect("written");
                TokenSettings { keys: KeySource::File(path), ..old }
            },
            Err(Reason::TokenInvalid),
        ),
        (
            "the keys' address, which nobody has asked yet",
            |old| {
                let refresh = Duration::from_secs(300);
                TokenSettings { keys: KeySource::Url { url: "https://id.test/jwks".into(), refresh }, ..old }
            },
            Ok(()),
        ),
    ];
    for (name, change, expected) in table {
        let world = World::new();
        let shape = TokenShape { accept_plain_jwt: true, ..TokenShape::default() };
        let plain = TokenSettings { shape, ..world.settings() };
        let verified = world.ask(&world.directory(0, plain.clone()), &token(&world)).expect("a yes");
        // At another index, as when a contract before it in the list was removed.
        assert_eq!(again(&world, &world.directory(2, change(plain)), &verified), expected, "{name}");
    }
}

#[test]
fn a_removed_contract_ends_all_its_requests() {
    let world = World::new();
    let verified = world.ask(&world.directory(0, world.settings()), &token(&world)).expect("a yes");
    let empty = world.authority.directory(Vec::new()).expect("a directory");
    assert_eq!(again(&world, &empty, &verified), Err(Reason::TokenInvalid));
}

#[test]
fn each_revocation_ends_the_requests_that_it_covers() {
    let key = |world: &World, name: &str| {
        RevocationTarget::Key(world.directory(0, world.settings()).distrusted(&acme(), name))
    };
    type What = fn(&World, &dyn Fn(&World, &str) -> RevocationTarget) -> RevocationTarget;
    let table: [(&str, What, bool); 9] = [
        ("the token", |_, _| RevocationTarget::Token("t1".into()), true),
        ("another token", |_, _| RevocationTarget::Token("t2".into()), false),
        ("the client", |_, _| RevocationTarget::Client(ClientId::new(CLIENT)), true),
        ("another client", |_, _| RevocationTarget::Client(ClientId::new("b")), false),
        ("the time", |_, _| RevocationTarget::IssuedBefore(UnixTime::from_secs(NOW + 1)), true),
        ("an earlier time", |_, _| RevocationTarget::IssuedBefore(UnixTime::from_secs(NOW)), false),
        ("the key", |world, key| key(world, "es"), true),
        ("another key", |world, key| key(world, "rs"), false),
        ("an unknown key", |world, key| key(world, "nobody's"), false),
    ];
    for (name, what, ends) in table {
        let world = World::new();
        let directory = world.directory(0, world.settings());
        let verified = world.ask(&directory, &token(&world)).expect("a yes");
        assert_eq!(again(&world, &directory, &verified), Ok(()), "{name}");
        revoke(&world, what(&world, &key));
        let expected = if ends { Err(Reason::TokenRevoked) } else { Ok(()) };
        assert_eq!(again(&world, &directory, &verified), expected, "{name}");
        let fresh = world.token(&format!(r#""iat":{},"exp":{},"jti":"t1""#, NOW + 20, NOW + 620));
        let new = world.ask(&directory, &fresh).map(drop);
        let dated = name == "the time";
        assert_eq!(new, if dated { Ok(()) } else { expected }, "{name}: dated ahead");
    }
}

#[test]
fn a_distrusted_key_is_refused_under_every_name() {
    let world = World::new();
    let directory = world.directory(0, world.settings());
    revoke(&world, RevocationTarget::Key(directory.distrusted(&acme(), "es")));
    let claims = format!(
        r#"{{"iss":"https://id.test","aud":"{}","client_id":"{CLIENT}","iat":{NOW},"exp":{}}}"#,
        crate::identity::fixture::AUDIENCE,
        NOW + 600
    );
    let nameless = world.es256.sign_raw(r#"{"alg":"ES256","typ":"at+jwt"}"#, &claims).expect("a token");
    assert_eq!(world.ask(&directory, &nameless).map(drop), Err(Reason::TokenRevoked), "without a kid");
    let renamed = world.es256.public_jwk().replace(r#""kid":"es""#, r#""kid":"other""#);
    std::fs::write(world.jwks(), format!(r#"{{"keys":[{renamed},{}]}}"#, world.rs256.public_jwk())).expect("written");
    crate::identity::keys::refresh::read_file_now(&directory.vendor(0).expect("a vendor").issuer_keys, &world.jwks());
    let renamed = world.es256.sign_raw(r#"{"alg":"ES256","typ":"at+jwt","kid":"other"}"#, &claims).expect("a token");
    assert_eq!(world.ask(&directory, &renamed).map(drop), Err(Reason::TokenRevoked), "under another kid");
    let good = world.rs256.sign_raw(r#"{"alg":"RS256","typ":"at+jwt","kid":"rs"}"#, &claims).expect("a token");
    assert!(world.ask(&directory, &good).is_ok(), "the issuer's other key");
    let thumbprint = directory.distrusted(&acme(), "other").thumbprints[0];
    assert_eq!(directory.distrusted(&acme(), "es"), DistrustedKey { name: "es".into(), thumbprints: Vec::new() });
    assert!(directory.has_seen(&acme(), CredentialName::Key("es")), "withdrawn, but it signed what is remembered");
    assert!(directory.has_seen(&acme(), CredentialName::Key("other")));
    let by_thumbprint = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, thumbprint);
    assert!(directory.has_seen(&acme(), CredentialName::Key(&by_thumbprint)));
}

#[test]
fn a_withdrawn_key_and_an_expired_token_end_requests_in_flight() {
    let world = World::new();
    let directory = world.directory(0, world.settings());
    let verified = world.ask(&directory, &token(&world)).expect("a yes");
    world.clock.advance(Duration::from_secs(629));
    assert_eq!(again(&world, &directory, &verified), Ok(()));
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(again(&world, &directory, &verified), Err(Reason::TokenExpired));

    let world = World::new();
    let directory = world.directory(0, world.settings());
    let verified = world.ask(&directory, &token(&world)).expect("a yes");
    let ring = &directory.vendor(0).expect("a vendor").issuer_keys;
    crate::identity::keys::refresh::read_file_now(ring, &world.jwks());
    assert_eq!(again(&world, &directory, &verified), Ok(()), "the same keys once more");
    std::fs::write(world.jwks(), "not a key set").expect("written");
    crate::identity::keys::refresh::read_file_now(ring, &world.jwks());
    assert_eq!(again(&world, &directory, &verified), Ok(()), "a source that gives no answer withdraws nothing");
    std::fs::write(world.jwks(), format!(r#"{{"keys":[{}]}}"#, world.rs256.public_jwk())).expect("written");
    crate::identity::keys::refresh::read_file_now(ring, &world.jwks());
    assert_eq!(again(&world, &directory, &verified), Err(Reason::TokenInvalid));
}

#[test]
fn names_are_known_from_the_contract_and_from_cached_callers() {
    let world = World::new();
    let directory = world.directory(0, world.settings());
    let seen = |name| directory.has_seen(&acme(), name);
    assert!(seen(CredentialName::Client(CLIENT)) && seen(CredentialName::Key("es")), "before anybody has called");
    assert!(
        !seen(CredentialName::Client("nobody"))
            && !seen(CredentialName::Token("t1"))
            && !seen(CredentialName::Key("nobody's"))
    );
    assert!(world.ask(&directory, &token(&world)).is_ok());
    assert!(seen(CredentialName::Token("t1")) && !seen(CredentialName::Token("t2")));
    let other = VendorId::parse("other").expect("an id");
    assert!(
        !directory.has_seen(&other, CredentialName::Token("t1"))
            && !directory.has_seen(&other, CredentialName::Client(CLIENT))
    );
}

#[test]
fn a_certificate_is_accepted_while_its_vendor_names_it_and_it_is_not_revoked() {
    let world = World::new();
    let contract = |index, name: &str| {
        let subject_alt_name = SubjectAltName::parse(name);
        let settings = CertificateSettings { subject_alt_name, ca_file: None, crl_files: Vec::new() };
        IdentityContract { index, vendor: acme(), identity: IdentitySettings::Certificate(settings) }
    };
    let issued = rcgen::generate_simple_self_signed(["a.test".to_owned()]).expect("a certificate");
    let certificate = PeerCertificate::read(&[issued.cert.der().clone()]).expect("readable");
    let headers = http::HeaderMap::new();
    let directory = |contracts| world.authority.directory(contracts).expect("a directory");
    let ask = |directory: &Directory| {
        let presented =
            PresentedRequest { peer_certificate: Some(&certificate), ..crate::identity::fixture::presented(&headers) };
        directory.authenticate(&presented, world.clock.now()).map_err(|rejected| rejected.denial.reason)
    };
    let before = directory(vec![contract(0, "a.test")]);
    let verified = ask(&before).expect("a yes");
    assert_eq!(again(&world, &directory(vec![contract(5, "a.test")]), &verified), Ok(()));
    assert_eq!(again(&world, &directory(vec![contract(0, "b.test")]), &verified), Err(Reason::TokenInvalid));
    assert_eq!(again(&world, &directory(Vec::new()), &verified), Err(Reason::TokenInvalid));
    assert!(
        before.has_seen(&acme(), CredentialName::Client("a.test"))
            && !before.has_seen(&acme(), CredentialName::Client("b.test"))
    );
    revoke(&world, RevocationTarget::Client(ClientId::new("a.test")));
    assert_eq!(again(&world, &before, &verified), Err(Reason::TokenRevoked));
    assert_eq!(ask(&before).map(drop), Err(Reason::TokenRevoked), "and no new request");
}

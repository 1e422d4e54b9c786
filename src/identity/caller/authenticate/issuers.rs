//! Access tokens as well-known issuers write them, each under a contract that fits it, and what such a contract must
//! refuse.
//!
//! The payloads have the members that the issuer's documentation shows, with the names and times of this test.

use crate::identity::settings::{RotationRules, SupersededBy, TokenSettings};
use crate::identity::token::claim_names::{ClaimNames, ClaimPath, HeaderMember, TokenShape};
use crate::model::Reason;

use super::tests::{CLIENT, ISSUER, NOW, World};
use super::*;

fn paths(names: &[&str]) -> Vec<ClaimPath> {
    names.iter().map(|name| ClaimPath::parse(name).expect("a path")).collect()
}

/// A contract that reads client and scopes from these claims and accepts JWTs of any type, without other rules.
fn contract(world: &World, client: &[&str], scopes: &[&str]) -> TokenSettings {
    TokenSettings {
        claims: ClaimNames { client: paths(client), scopes: paths(scopes), ..ClaimNames::default() },
        shape: TokenShape { accept_plain_jwt: true, ..TokenShape::default() },
        rotation: RotationRules::default(),
        ..world.settings()
    }
}

fn token(world: &World, header: &str, members: &str) -> String {
    let header = format!(r#"{{"alg":"ES256","kid":"es"{header}}}"#);
    world.sign(&header, &format!(r#"{{"iss":"{ISSUER}","exp":{},{members}}}"#, NOW + 600))
}

fn judge(world: &World, settings: TokenSettings, token: &str) -> Result<(String, String), (Reason, String)> {
    let verified = world.explain_no(&world.directory(0, settings), token)?;
    let claims = verified.claims().expect("claims");
    Ok((claims.client.as_str().to_owned(), claims.scopes.to_string()))
}

#[test]
fn tokens_of_well_known_issuers_pass_under_a_contract_that_names_their_claims() {
    let world = World::new();
    let aud = r#""aud":"https://api.test""#;
    let cases = [
        (
            "Okta, a user's",
            r#""#,
            &["cid"][..],
            &["scp"][..],
            r#""ver":1,"jti":"AT.1","iat":1799999999,"cid":"acme-batch","uid":"00u1","scp":["orders","offline_access"],"sub":"ann@x.test""#,
            "offline_access orders",
        ),
        (
            "Entra v1, delegated",
            r#","typ":"JWT","x5t":"i6lG","nonce":"x""#,
            &["appid"],
            &["scp", "roles"],
            r#""iat":1799999999,"nbf":1799999999,"acr":"1","aio":"E2","appid":"acme-batch","appidacr":"1","scp":"orders","tid":"t","ver":"1.0","oid":"o","sub":"s""#,
            "orders",
        ),
        (
            "Entra v1, the application alone",
            r#","typ":"JWT","x5t":"i6lG""#,
            &["appid"],
            &["scp", "roles"],
            r#""iat":1799999999,"nbf":1799999999,"appid":"acme-batch","appidacr":"1","idtyp":"app","roles":["Orders.Read.All"],"tid":"t","ver":"1.0""#,
            "Orders.Read.All",
        ),
        (
            "Entra v2",
            r#","typ":"JWT""#,
            &["azp"],
            &["scp", "roles"],
            r#""iat":1799999999,"azp":"acme-batch","azpacr":"1","roles":["a","b"],"ver":"2.0","sub":"s","oid":"s""#,
            "a b",
        ),
        (
            "Auth0",
            r#","typ":"JWT""#,
            &["azp"],
            &["permissions"],
            r#""sub":"acme-batch@clients","iat":1799999999,"azp":"acme-batch","gty":"client-credentials","permissions":["read:orders"],"https://x.test/roles":["r"]"#,
            "read:orders",
        ),
        (
            "Auth0, by a claim of its own",
            r#","typ":"JWT""#,
            &["azp"],
            &["https://x.test/roles"],
            r#""sub":"acme-batch@clients","iat":1799999999,"azp":"acme-batch","https://x.test/roles":["r"]"#,
            "r",
        ),
        (
            "Keycloak",
            r#","typ":"JWT""#,
            &["azp"],
            &["realm_access.roles", r#"$.resource_access["orders.api"].roles"#],
            r#""typ":"Bearer","iat":1799999999,"azp":"acme-batch","sub":"f:1","realm_access":{"roles":["reader","default roles"]},"resource_access":{"orders.api":{"roles":["writer"]}},"scope":"email""#,
            "reader writer",
        ),
        (
            "Google, a service account's",
            r#","typ":"JWT""#,
            &["azp"],
            &["scope"],
            r#""iat":1799999999,"azp":"acme-batch","email":"s@p.test","email_verified":true,"sub":"1""#,
            "",
        ),
        (
            "Ping",
            r#""#,
            &["client_id"],
            &["scope"],
            r#""client_id":"acme-batch","iat":1799999999,"scope":"orders p1:read""#,
            "orders p1:read",
        ),
        (
            "Okta's own type",
            r#","typ":"application/okta-internal-at+jwt""#,
            &["cid"],
            &["scp"],
            r#""iat":1799999999,"cid":"acme-batch","scp":["orders"]"#,
            "orders",
        ),
        (
            "SAP, with the address of its keys",
            r#","typ":"JWT","jku":"https://evil.test/keys""#,
            &["cid"],
            &["scope"],
            r#""iat":1799999999,"cid":"acme-batch","azp":"other","scope":["orders"]"#,
            "orders",
        ),
        (
            "without iat, which no rule counts from",
            r#","typ":"JWT""#,
            &["client_id"],
            &["scope"],
            r#""client_id":"acme-batch","scope":"orders""#,
            "orders",
        ),
    ];
    for (name, header, client, scopes, members, want) in cases {
        let mut settings = contract(&world, client, scopes);
        settings.shape.ignored.push(HeaderMember::Jku);
        settings.shape.other_types.push("okta-internal-at+jwt".into());
        let token = token(&world, header, &format!("{aud},{members}"));
        let got = judge(&world, settings, &token);
        assert_eq!(got, Ok((CLIENT.to_owned(), want.to_owned())), "{name}");
        let plain = TokenSettings { rotation: RotationRules::default(), ..world.settings() };
        let other_names = client != ["client_id"] || header.contains("typ") || members.contains("cid");
        assert!(!other_names || judge(&world, plain, &token).is_err(), "{name}: nothing of it passes unasked");
    }
}

#[test]
fn cognito_access_tokens_pass_without_an_audience_and_its_id_tokens_are_refused() {
    let world = World::new();
    let mut settings = contract(&world, &[], &[]);
    settings.audience = None;
    settings.claims.required = vec![(ClaimPath::parse("token_use").expect("a path"), "access".to_owned())];
    let claims = |kind: &str| {
        format!(
            r#""sub":"u","client_id":"acme-batch","token_use":"{kind}","scope":"orders","version":2,"iat":{NOW},"jti":"j""#
        )
    };
    let good = token(&world, "", &claims("access"));
    assert_eq!(judge(&world, settings.clone(), &good), Ok((CLIENT.to_owned(), "orders".to_owned())));
    let id = token(&world, "", &claims("id"));
    let why = judge(&world, settings.clone(), &id).expect_err("an ID token");
    assert_eq!(why, (Reason::TokenInvalid, "a claim does not have the text that claims.require asks for".to_owned()));
    let stranger = token(&world, "", &claims("access").replace("acme-batch", "somebody"));
    assert_eq!(judge(&world, settings.clone(), &stranger).expect_err("a stranger").0, Reason::VendorUnknown);
    settings.audience = Some("https://api.test".into());
    let why = judge(&world, settings, &good).expect_err("no audience");
    assert_eq!(why, (Reason::TokenInvalid, "the audience claim is missing".to_owned()));
}

#[test]
fn a_claim_that_a_contract_names_is_read_as_strictly_as_any_other() {
    let world = World::new();
    let dates = format!(r#""iat":{NOW},"aud":"https://api.test""#);
    let invalid = |words: &str| Err((Reason::TokenInvalid, words.to_owned()));
    let (kind, nobody, differ) =
        ("a member has the wrong JSON type", "no claim names the client", "the claims that name the client differ");
    for (members, want) in [
        (r#""cid":["acme-batch"]"#, invalid(kind)),
        (r#""cid":{"acme-batch":1}"#, invalid(kind)),
        (r#""cid":null"#, invalid(kind)),
        (r#""cid":7"#, invalid(kind)),
        (r#""cid":"""#, invalid(nobody)),
        (r#""client_id":"acme-batch","azp":"acme-batch""#, invalid(nobody)),
        (r#""cid":"acme-batch","app":{"id":"other"}"#, invalid(differ)),
        (r#""cid":"acme-batch","app":"acme-batch""#, invalid(kind)),
        (r#""cid":"acme-batch","app":{"id":["acme-batch"]}"#, invalid(kind)),
        (r#""cid":"ACME-BATCH""#, Err((Reason::VendorUnknown, "no contract names this issuer and client".to_owned()))),
        (r#""cid":"acme-batch","roles":7"#, invalid(kind)),
        (r#""cid":"acme-batch","roles":["a",7]"#, invalid(kind)),
        (r#""cid":"acme-batch","roles":[["a"]]"#, invalid(kind)),
        (r#""cid":"acme-batch","roles":{"a":true}"#, invalid(kind)),
        (r#""cid":"acme-batch","roles":[]"#, Ok((CLIENT.to_owned(), String::new()))),
        (r#""cid":"acme-batch","roles":["a b","c"]"#, Ok((CLIENT.to_owned(), "c".to_owned()))),
        (r#""cid":"acme-batch","scope":"admin","scp":"admin""#, Ok((CLIENT.to_owned(), String::new()))),
    ] {
        let settings = contract(&world, &["cid", "app.id"], &["roles"]);
        assert_eq!(judge(&world, settings, &token(&world, "", &format!("{dates},{members}"))), want, "{members}");
    }
    let malformed = |members: &str| {
        let settings = contract(&world, &["cid", "app.id"], &["roles"]);
        judge(&world, settings, &token(&world, "", &format!("{dates},{members}"))).expect_err(members).0
    };
    assert_eq!(malformed(r#""cid":"acme-batch","cid":"acme-batch""#), Reason::TokenMalformed);
    assert_eq!(malformed(r#""cid":"acme-batch","\u0063id":"other""#), Reason::TokenMalformed);
    let deep = format!(r#""cid":"acme-batch","roles":{}"x"{}"#, "[".repeat(40), "]".repeat(40));
    assert_eq!(malformed(&deep), Reason::TokenMalformed);
    let many = (0..300).map(|i| format!(r#""r{i}""#)).collect::<Vec<_>>().join(",");
    assert_eq!(malformed(&format!(r#""cid":"acme-batch","roles":[{many}]"#)), Reason::TokenInvalid);
}

#[test]
fn a_header_member_that_is_ignored_chooses_no_key() {
    let world = World::new();
    let payload = format!(
        r#"{{"iss":"{ISSUER}","aud":"https://api.test","client_id":"{CLIENT}","iat":{NOW},"exp":{}}}"#,
        NOW + 600
    );
    let header = |more: &str| format!(r#"{{"alg":"ES256","kid":"es","typ":"at+jwt",{more}}}"#);
    let members = [
        r#""jku":"https://evil.test/keys""#.to_owned(),
        r#""x5u":"https://evil.test/cert""#.to_owned(),
        r#""x5c":["AAAA"]"#.to_owned(),
        r#""cty":"JWT""#.to_owned(),
    ];
    let all = TokenShape { ignored: HeaderMember::ALL.to_vec(), ..TokenShape::default() };
    for more in &members {
        let settings = TokenSettings { shape: all.clone(), ..world.settings() };
        assert!(judge(&world, settings.clone(), &world.sign(&header(more), &payload)).is_ok(), "{more}");
        let forged = judge(&world, settings, &world.sign_as_stranger(&header(more), &payload));
        assert_eq!(forged.expect_err(more).1, "the signature does not verify");
        assert_eq!(
            judge(&world, world.settings(), &world.sign(&header(more), &payload)).expect_err(more).0,
            Reason::TokenInvalid
        );
    }
    for never in [r#""jwk":{"kty":"EC"}"#, r#""crit":["exp"]"#, r#""b64":true"#, r#""zip":"DEF""#, r#""enc":"A128GCM""#]
    {
        let settings = TokenSettings { shape: all.clone(), ..world.settings() };
        assert!(judge(&world, settings, &world.sign(&header(never), &payload)).is_err(), "{never}");
    }
}

#[test]
fn iat_is_needed_by_the_rules_that_count_from_it_and_by_at_jwt() {
    let world = World::new();
    let payload = format!(r#""aud":"https://api.test","client_id":"{CLIENT}""#);
    let (jwt, access) = (token(&world, "", &payload), token(&world, r#","typ":"at+jwt""#, &payload));
    let with = |rotation: RotationRules, optional: bool| {
        let mut settings = TokenSettings { rotation, ..contract(&world, &[], &[]) };
        settings.claims.issued_at_optional = optional;
        settings
    };
    let hour = Some(Duration::from_secs(3600));
    let minute = Some(Duration::from_secs(60));
    let assumed = RotationRules { max_lifetime: hour, ..RotationRules::default() };
    assert!(judge(&world, with(assumed.clone(), false), &jwt).is_ok(), "a default lifetime does not require iat");
    assert!(judge(&world, with(assumed.clone(), false), &access).is_err(), "RFC 9068 does");
    assert!(judge(&world, with(assumed, true), &access).is_ok(), "unless the contract says otherwise");
    let short = RotationRules { max_lifetime: minute, ..RotationRules::default() };
    assert_eq!(
        judge(&world, with(short, true), &jwt).expect_err("ten minutes").0,
        Reason::TokenLifetime,
        "what remains"
    );
    for rotation in [
        RotationRules { max_lifetime: hour, max_lifetime_written: true, ..RotationRules::default() },
        RotationRules { max_age: hour, ..RotationRules::default() },
        RotationRules { superseded_grace: hour, ..RotationRules::default() },
    ] {
        let why = judge(&world, with(rotation.clone(), true), &jwt).expect_err("a rule counts from iat");
        assert!(why.0 == Reason::TokenInvalid && why.1.starts_with("iat is missing"), "{rotation:?}: {why:?}");
    }
}

#[test]
fn a_long_token_passes_only_where_its_contract_says_so() {
    let world = World::new();
    let groups = (0..150).map(|i| format!(r#""{i:08}-0000-0000-0000-{i:012}""#)).collect::<Vec<_>>().join(",");
    let payload = format!(r#""aud":"https://api.test","client_id":"{CLIENT}","iat":{NOW},"groups":[{groups}]"#);
    let long = token(&world, r#","typ":"at+jwt""#, &format!(r#"{payload},"pad":"{}""#, "x".repeat(600)));
    assert!(long.len() > 8 * 1024, "{}", long.len());
    let why = judge(&world, world.settings(), &long).expect_err("too long");
    assert_eq!(why, (Reason::TokenMalformed, "the token is longer than the contract's token_bytes_max".to_owned()));
    let shape = TokenShape { bytes_max: 16 * 1024, ..TokenShape::default() };
    assert!(judge(&world, TokenSettings { shape, ..world.settings() }, &long).is_ok());
}

#[test]
fn a_newer_token_counts_per_client_or_per_subject_as_the_contract_says() {
    let world = World::new();
    let token =
        |subject: &str, issued: u64| world.token(&format!(r#""sub":"{subject}","iat":{issued},"exp":{}"#, NOW + 9000));
    let (ann, bob, bob_next) = (token("ann", NOW - 20), token("bob", NOW - 10), token("bob", NOW));
    for (superseded, ann_passes) in [(SupersededBy::PerSubject, true), (SupersededBy::PerClient, false)] {
        let rotation =
            RotationRules { superseded_grace: Some(Duration::from_secs(60)), superseded, ..RotationRules::default() };
        let directory = world.directory(0, TokenSettings { rotation, ..world.settings() });
        for token in [&ann, &bob, &bob_next] {
            assert!(world.explain_no(&directory, token).is_ok());
        }
        world.clock.advance(Duration::from_secs(61));
        assert_eq!(world.explain_no(&directory, &ann).is_ok(), ann_passes, "{superseded:?}");
        assert!(world.explain_no(&directory, &bob).is_err(), "her own newer token ends it: {superseded:?}");
        assert!(world.explain_no(&directory, &bob_next).is_ok());
    }
}

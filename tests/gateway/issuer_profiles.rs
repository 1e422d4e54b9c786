//! `issuer_profile:`: tokens as well-known issuers document them pass under four lines of contract, and tokens that
//! are nearly so are refused.
//!
//! Header and claims are those of the issuers' public documentation, with this test's names, times and keys.

use std::process::Command;

use serde_json::{Value, json};
use vendorgate::internals::model::Clock;

use crate::support::fixture::GatewayFixture;
use crate::support::issuer::keys;
use crate::support::test_gateway::TestGateway;
use crate::support::upstream::Upstream;

/// One issuer: its contract, tokens that pass, and tokens that do not.
struct IssuerCase {
    profile: &'static str,
    issuer: &'static str,
    audience: Option<&'static str>,
    client: &'static str,
    /// What the route asks for.
    scope: Option<&'static str>,
    /// Members of a good token's header, beside `alg` and `kid`.
    header: Value,
    good: Vec<Value>,
    /// Each as the changes to the first good token, and the reason.
    bad: Vec<(&'static str, Value, &'static str)>,
}

fn sign(case: &IssuerCase, claims: &Value) -> String {
    let now = Clock::system().now().wall.as_millis() / 1000;
    let mut header = json!({ "alg": "RS256", "kid": "rs" });
    let mut payload = json!({ "iss": case.issuer, "iat": now, "exp": now + 600 });
    for (whole, part) in [(&mut header, &case.header), (&mut payload, claims)] {
        for (name, value) in part.as_object().expect("members") {
            whole[name] = value.clone();
        }
    }
    payload.as_object_mut().expect("claims").retain(|_, value| !value.is_null());
    keys().rs256.sign_raw(&header.to_string(), &payload.to_string()).expect("signed")
}

fn changed(claims: &Value, changes: &Value) -> Value {
    let mut claims = claims.clone();
    for (name, value) in changes.as_object().expect("changes") {
        claims[name] = value.clone();
    }
    claims
}

fn terms(case: &IssuerCase) -> String {
    let IssuerCase { profile, issuer, client, .. } = case;
    let audience = case.audience.map(|audience| format!("  audience: \"{audience}\"\n")).unwrap_or_default();
    let scopes = case.scope.map(|scope| format!("\"{scope}\"")).unwrap_or_default();
    format!(
        "scopes: [{scopes}]\nidentity:\n  issuer_profile: {profile}\n  issuer: \"{issuer}\"\n{audience}  clients: [\"{client}\"]\n  \
         jwks: {{ file: ../jwks.json }}\ningress:\n  - {{ route: GET /v1/orders, scopes: [{scopes}], upstream: crm }}\n"
    )
}

fn entra() -> IssuerCase {
    let base = json!({
        "aud": "6e74172b-be56-4843-9ff4-e66a39bb12e3", "azp": "c1d2e3f4-0000-4000-8000-000000000001", "azpacr": "1",
        "nbf": 1_700_000_000, "oid": "o", "sub": "o", "tid": "72f988bf-86f1-41af-91ab-2d7cd011db47", "ver": "2.0",
        "uti": "u", "rh": "r", "aio": "a", "roles": ["orders.read"],
    });
    let delegated = changed(&base, &json!({ "roles": null, "scp": "openid orders.read", "name": "Ann" }));
    IssuerCase {
        profile: "entra",
        issuer: "https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0",
        audience: Some("6e74172b-be56-4843-9ff4-e66a39bb12e3"),
        client: "c1d2e3f4-0000-4000-8000-000000000001",
        scope: Some("orders.read"),
        header: json!({ "typ": "JWT", "x5t": "i6lG" }),
        good: vec![base, delegated],
        bad: vec![
            ("an ID token, which names no client", json!({ "azp": null }), "token_invalid"),
            ("another API's", json!({ "aud": "00000003-0000-0000-c000-000000000000" }), "token_invalid"),
            ("without the role", json!({ "roles": ["orders.write"] }), "scope_missing"),
            ("two clients", json!({ "appid": "another" }), "token_invalid"),
        ],
    }
}

fn entra_v1() -> IssuerCase {
    let base = json!({
        "aud": "api://6e74172b-be56-4843-9ff4-e66a39bb12e3", "appid": "c1d2e3f4-0000-4000-8000-000000000002",
        "appidacr": "1", "idp": "https://sts.windows.net/t/", "oid": "o", "sub": "o", "tid": "t", "ver": "1.0",
        "roles": ["orders.read"],
    });
    IssuerCase {
        profile: "entra",
        issuer: "https://sts.windows.net/72f988bf-86f1-41af-91ab-2d7cd011db47/",
        audience: Some("api://6e74172b-be56-4843-9ff4-e66a39bb12e3"),
        client: "c1d2e3f4-0000-4000-8000-000000000002",
        scope: Some("orders.read"),
        header: json!({ "typ": "JWT", "x5t": "i6lG" }),
        good: vec![base],
        bad: vec![("no client", json!({ "appid": null }), "token_invalid")],
    }
}

fn okta() -> IssuerCase {
    IssuerCase {
        profile: "okta",
        issuer: "https://acme.okta.com/oauth2/default",
        audience: Some("api://default"),
        client: "0oabucvyc38HLL1ef0h7",
        scope: Some("orders:read"),
        header: json!({}),
        good: vec![json!({
            "ver": 1, "jti": "AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE", "aud": "api://default",
            "cid": "0oabucvyc38HLL1ef0h7", "uid": "00uq8tMo3zV0OfJON0g3", "scp": ["orders:read"], "sub": "ann@acme.example",
        })],
        bad: vec![
            ("an ID token, which has no cid", json!({ "cid": null, "scp": null, "auth_time": 1 }), "token_invalid"),
            ("a client in another claim", json!({ "cid": null, "client_id": "0oabucvyc38HLL1ef0h7" }), "token_invalid"),
            ("scopes in another claim", json!({ "scp": null, "scope": "orders:read" }), "scope_missing"),
        ],
    }
}

fn auth0() -> IssuerCase {
    let base = json!({
        "sub": "auth0-client@clients", "aud": ["https://api.acme.example", "https://acme.eu.auth0.com/userinfo"],
        "azp": "auth0-client", "scope": "orders:read openid", "gty": "client-credentials",
    });
    let standard = changed(
        &base,
        &json!({
            "azp": null, "client_id": "auth0-client", "jti": "73WakrfVbNJBaAmhQtEeDv", "scope": "openid",
            "permissions": ["orders:read"],
        }),
    );
    IssuerCase {
        profile: "auth0",
        issuer: "https://acme.eu.auth0.com/",
        audience: Some("https://api.acme.example"),
        client: "auth0-client",
        scope: Some("orders:read"),
        header: json!({ "typ": "JWT" }),
        good: vec![base, standard],
        bad: vec![
            ("an ID token", json!({ "aud": "auth0-client", "azp": null, "scope": null }), "token_invalid"),
            ("two clients", json!({ "client_id": "another" }), "token_invalid"),
            ("without the permission", json!({ "scope": "openid", "permissions": ["x"] }), "scope_missing"),
        ],
    }
}

fn keycloak() -> IssuerCase {
    let base = json!({
        "jti": "d58f5dc8", "aud": ["orders-api", "account"], "sub": "36fa0f91", "typ": "Bearer", "azp": "kc-batch",
        "acr": "1", "realm_access": { "roles": ["offline_access", "orders-read"] },
        "resource_access": { "account": { "roles": ["manage-account"] } }, "scope": "email profile",
        "clientHost": "192.0.2.1", "clientAddress": "192.0.2.1", "client_id": "kc-batch",
    });
    let own = json!({ "orders-api": { "roles": ["orders-read"] } });
    let foreign = json!({ "account": { "roles": ["orders-read"] } });
    let of_client = changed(&base, &json!({ "realm_access": null, "resource_access": own }));
    IssuerCase {
        profile: "keycloak",
        issuer: "https://id.acme.example/realms/vendors",
        audience: Some("orders-api"),
        client: "kc-batch",
        scope: Some("orders-read"),
        header: json!({ "typ": "JWT" }),
        good: vec![base, of_client],
        bad: vec![
            ("an ID token", json!({ "typ": "ID" }), "token_invalid"),
            ("a refresh token", json!({ "typ": "Refresh" }), "token_invalid"),
            ("no type", json!({ "typ": null }), "token_invalid"),
            ("another client's role", json!({ "realm_access": null, "resource_access": foreign }), "scope_missing"),
        ],
    }
}

fn cognito() -> IssuerCase {
    let base = json!({
        "sub": "1example23456789", "client_id": "57cbishk4j24pabc1234567890", "token_use": "access", "version": 2,
        "scope": "orders-api/read", "auth_time": 1_700_000_000, "jti": "aaaaaaaa", "origin_jti": "bbbb",
        "event_id": "cccc", "username": "ann",
    });
    let group = changed(&base, &json!({ "scope": "openid", "cognito:groups": ["orders-api/read"] }));
    IssuerCase {
        profile: "cognito",
        issuer: "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_EXAMPLE",
        audience: None,
        client: "57cbishk4j24pabc1234567890",
        scope: Some("orders-api/read"),
        header: json!({}),
        good: vec![base, group],
        bad: vec![
            ("an ID token that names a client", json!({ "token_use": "id" }), "token_invalid"),
            ("no use", json!({ "token_use": null }), "token_invalid"),
            ("without the scope", json!({ "scope": "openid" }), "scope_missing"),
        ],
    }
}

fn ping() -> IssuerCase {
    IssuerCase {
        profile: "ping",
        issuer: "https://auth.pingone.eu/5caa81af-ec05-41ff-a709-c7378007a99c/as",
        audience: Some("https://api.acme.example"),
        client: "5c3c1ea5-1d4b-4e7f-9a6f-2b7c6a1b0f11",
        scope: Some("orders:read"),
        header: json!({ "kid": "rs", "x5t": "aZ" }),
        good: vec![json!({
            "client_id": "5c3c1ea5-1d4b-4e7f-9a6f-2b7c6a1b0f11", "jti": "7a3f", "aud": ["https://api.acme.example"],
            "scope": "orders:read", "env": "5caa81af-ec05-41ff-a709-c7378007a99c", "org": "0b4c", "p1.rid": "r",
        })],
        bad: vec![
            ("an ID token, which has no client_id", json!({ "client_id": null }), "token_invalid"),
            ("for PingOne's own API", json!({ "aud": ["https://api.pingone.eu"] }), "token_invalid"),
        ],
    }
}

fn google() -> IssuerCase {
    IssuerCase {
        profile: "google",
        issuer: "https://accounts.google.com",
        audience: Some("https://gateway.acme.example"),
        client: "113774264463038321964",
        scope: None,
        header: json!({ "typ": "JWT" }),
        good: vec![json!({
            "aud": "https://gateway.acme.example", "azp": "113774264463038321964", "sub": "113774264463038321964",
            "email": "batch@acme.iam.gserviceaccount.com", "email_verified": true,
        })],
        bad: vec![
            ("a person's", json!({ "azp": "32555940559.apps.googleusercontent.com" }), "token_invalid"),
            ("for another service", json!({ "aud": "https://other.acme.example" }), "token_invalid"),
        ],
    }
}

fn cases() -> Vec<IssuerCase> {
    vec![entra(), entra_v1(), okta(), auth0(), keycloak(), cognito(), ping(), google()]
}

fn vendor(index: usize, case: &IssuerCase) -> String {
    format!("{}-{index}", case.profile)
}

fn fixture(crm: std::net::SocketAddr) -> GatewayFixture {
    let cases = cases();
    let contracts = cases.iter().enumerate();
    contracts.fold(GatewayFixture::new(crm), |fixture, (i, case)| fixture.contract(&vendor(i, case), &terms(case)))
}

#[test]
fn documented_tokens_pass_and_near_misses_are_refused() {
    let crm = Upstream::json("{}");
    let gateway = TestGateway::start(fixture(crm.address));
    for case in cases() {
        for (i, claims) in case.good.iter().enumerate() {
            let answer = gateway.get("/v1/orders", &sign(&case, claims));
            assert_eq!(answer.status, 200, "{} {i}: {}", case.issuer, answer.text());
        }
        for (name, changes, reason) in &case.bad {
            let refused = gateway.get("/v1/orders", &sign(&case, &changed(&case.good[0], changes)));
            assert_eq!(refused.reason(), *reason, "{}, {name}: {}", case.issuer, refused.text());
        }
        let symmetric = sign(&IssuerCase { header: json!({ "alg": "HS256" }), ..case }, &json!({}));
        assert_eq!(gateway.get("/v1/orders", &symmetric).status, 401);
    }
}

#[test]
fn check_and_explain_say_what_a_profile_sets() {
    let fixture = fixture(Upstream::json("{}").address);
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vendorgate"));
        let output = command.args(arguments).arg("--config").arg(fixture.main()).output().expect("it runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let said = run(&["check"]);
    for line in [
        "entra-0: issuer_profile entra: claims: { client: [azp, appid], scopes: [scp, roles] }, audience: 6e74172b-be56-4843-9ff4-e66a39bb12e3, typ: [at+jwt, JWT], algorithms: [RS256]",
        "keycloak-4: issuer_profile keycloak: claims: { client: [azp], scopes: [scope, realm_access.roles, resource_access.orders-api.roles], require: { typ: Bearer } }, audience: orders-api,",
        "cognito-5: issuer_profile cognito: claims: { client: [client_id], scopes: [scope, cognito:groups], require: { token_use: access } }, audience: none,",
    ] {
        assert!(said.contains(line), "{said}");
    }
    assert!(run(&["check", "--json"]).contains(r#""okta-2": "okta: claims: { client: [cid], scopes: [scp] }"#));
    let token = fixture.path().join("token");
    let case = okta();
    std::fs::write(&token, sign(&case, &case.good[0])).expect("written");
    let token = token.to_string_lossy();
    let said = run(&["explain", "--vendor", "okta-2", "--token", &token, "GET", "/v1/orders"]);
    assert!(said.contains("okta: claims: { client: [cid], scopes: [scp] }"), "{said}");
}

#[test]
fn written_keys_hold_instead_of_the_profiles() {
    let crm = Upstream::json("{}");
    let case = keycloak();
    let own =
        "  claims: { client: client_id, require: { acr: \"1\" } }\n  typ: [at+jwt]\n  algorithms: [RS256, ES256]\n";
    let terms = terms(&case).replace("  clients:", &format!("{own}  clients:"));
    let gateway = TestGateway::start(GatewayFixture::new(crm.address).contract("acme", &terms));
    let plain = gateway.get("/v1/orders", &sign(&case, &case.good[0]));
    assert_eq!((plain.status, plain.reason().as_str()), (401, "token_invalid"), "typ: JWT is no longer taken");
    let case = IssuerCase { header: json!({ "typ": "at+jwt" }), ..case };
    let other_name = changed(&case.good[0], &json!({ "azp": "another" }));
    assert_eq!(gateway.get("/v1/orders", &sign(&case, &other_name)).status, 200, "azp is no longer read");
    for changes in [json!({ "acr": "0" }), json!({ "typ": "ID" })] {
        let refused = gateway.get("/v1/orders", &sign(&case, &changed(&case.good[0], &changes)));
        assert_eq!(refused.status, 401, "what the contract requires is asked for beside the profile's: {changes}");
    }
}

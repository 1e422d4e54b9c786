//! Published examples as tests: RFC 7515, 7519, 8037, 8705 and 9068, and Wycheproof's files from outside this
//! repository. The proof of RFC 9449 is tested in `dpop`, the example of Standard Webhooks in `webhook`.

use crate::identity::error::AuthError;
use crate::identity::json::{Json, Object};
use crate::identity::keys::jwk;
use crate::identity::keys::key_set::KeySet;
use crate::model::Algorithm;

use super::claim_names::ClaimNames;
use super::claims::{self, RequiredClaims};
use super::jwt;

const PAYLOAD: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

fn check(jwk: &str, token: &str) -> Result<Algorithm, AuthError> {
    let keys = KeySet::parse(format!(r#"{{"keys":[{jwk}]}}"#).as_bytes()).expect("a set");
    keys.verify(&jwt::read_signed(token)?).map(|key| key.algorithm)
}

#[test]
fn rfc_7515_appendix_a2_rs256() {
    let jwk = r#"{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"}"#;
    let token = format!(
        "eyJhbGciOiJSUzI1NiJ9.{PAYLOAD}.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
    );
    assert_eq!(check(jwk, &token), Ok(Algorithm::RS256));
    let payload = jwt::read(&token).expect("readable").payload;
    assert_eq!((payload.text("iss"), payload.number("exp")), (Ok(Some("joe")), Ok(Some(1_300_819_380.0))));
}

#[test]
fn rfc_7515_appendix_a3_es256_and_a1_a5_of_algorithms_that_are_not_ours() {
    let jwk = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;
    let signature = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    assert_eq!(check(jwk, &format!("eyJhbGciOiJFUzI1NiJ9.{PAYLOAD}.{signature}")), Ok(Algorithm::ES256));
    let hs256 = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9";
    let mac = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    assert_eq!(check(jwk, &format!("{hs256}.{PAYLOAD}.{mac}")), Err(AuthError::AlgorithmSymmetric));
    assert_eq!(check(jwk, &format!("eyJhbGciOiJFUzUxMiJ9.{PAYLOAD}.{signature}")), Err(AuthError::KeyUnknown));
    // RFC 7519 section 6.1 is the same unsecured token.
    assert_eq!(check(jwk, &format!("eyJhbGciOiJub25lIn0.{PAYLOAD}.")), Err(AuthError::NotThreeParts));
    assert_eq!(check(jwk, &format!("eyJhbGciOiJub25lIn0.{PAYLOAD}.{mac}")), Err(AuthError::AlgorithmNone));
}

#[test]
fn rfc_7515_appendix_a4_es512() {
    let jwk = r#"{"kty":"EC","crv":"P-521","x":"AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk","y":"ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2"}"#;
    let signature = "AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn";
    let token = |payload: &str| format!("eyJhbGciOiJFUzUxMiJ9.{payload}.{signature}");
    assert_eq!(check(jwk, &token("UGF5bG9hZA")), Ok(Algorithm::ES512));
    assert_eq!(check(jwk, &token("UGF5bG9hZQ")), Err(AuthError::SignatureWrong));
}

#[test]
fn rfc_8037_appendix_a_ed25519() {
    let jwk = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    let token = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    assert_eq!(check(jwk, token), Ok(Algorithm::EdDSA));
    let object = Object::parse(jwk.as_bytes()).expect("json");
    let thumbprint = jwk::read(&object).expect("a key")[0].thumbprint;
    assert_eq!(jwt::decode_digest("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"), Some(thumbprint));
}

#[test]
fn rfc_9068_section_3_and_rfc_8705_section_3_1() {
    let token = r#"{"iss":"https://authorization-server.example.com/","sub":"5ba552d67","aud":"https://rs.example.com/","exp":1639528912,"iat":1618354090,"jti":"dbe39bf3a3ba4238a513f51d6e1691c4","client_id":"s6BhdRkqt3","scope":"openid profile reademail"}"#;
    let payload = Object::parse(token.as_bytes()).expect("json");
    let names = ClaimNames::default();
    let wanted = |audience| RequiredClaims { names: &names, audience: Some(audience), issue_time: true, expiry: true };
    let read = claims::read(&payload, wanted("https://rs.example.com/"), None).expect("claims");
    assert_eq!((read.client.as_str(), read.scopes.to_string().as_str()), ("s6BhdRkqt3", "openid profile reademail"));
    let lifetime = read.expires_at.zip(read.issued_at).map(|(expires, issued)| expires.since(issued).as_secs());
    assert_eq!(lifetime, Some(21_174_822), "245 days: what max_lifetime is for");
    let bound = r#"{"iss":"https://server.example.com","sub":"ty.webb@example.com","aud":"x","iat":1493722000,"exp":1493726400,"nbf":1493722800,"cnf":{"x5t#S256":"bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"}}"#;
    let payload = Object::parse(bound.as_bytes()).expect("json");
    // The RFC's own example has spare bits in its last letter (`2`): not canonical, so refused like any other.
    assert_eq!(claims::read(&payload, wanted("x"), None).err(), Some(AuthError::ConfirmationMalformed));
    let payload = Object::parse(bound.replace("dN-dg2", "dN-dg0").as_bytes()).expect("json");
    assert!(claims::read(&payload, wanted("x"), None).expect("claims").certificate_thumbprint.is_some());
}

fn wycheproof(file: &str) -> Vec<Json> {
    let folder = std::env::var("WYCHEPROOF").expect("WYCHEPROOF names the folder testvectors_v1");
    let text = std::fs::read(std::path::Path::new(&folder).join(file)).expect("readable");
    let value: serde_json::Value = serde_json::from_slice(&text).expect("json");
    let groups = value["testGroups"].as_array().expect("groups").iter();
    groups.map(|group| Json::Object(Object::parse(group.to_string().as_bytes()).expect("one reading"))).collect()
}

fn object<'a>(json: &'a Json, name: &str) -> Option<&'a Object> {
    let Json::Object(object) = json else { return None };
    if let Some(Json::Object(member)) = object.get(name) { Some(member) } else { None }
}

/// Every invalid one must be refused; a valid one may be, where its algorithm is not ours or its key not for signing.
#[test]
#[ignore = "needs Wycheproof's testvectors_v1, named by WYCHEPROOF"]
fn wycheproof_json_web_signature() {
    let mut verdicts = std::collections::BTreeMap::<(String, String), usize>::new();
    for group in wycheproof("json_web_signature_test.json") {
        let public = object(&group, "public").or(object(&group, "private")).expect("a key");
        let keys = jwk::read(public);
        let Json::Object(members) = &group else { continue };
        let Some(Json::List(tests)) = members.get("tests") else { panic!("no tests") };
        for test in tests.iter().filter_map(|test| if let Json::Object(test) = test { Some(test) } else { None }) {
            let text = |name| test.text(name).expect("text").unwrap_or_default().to_owned();
            let got = match (&keys, jwt::read_signed(&text("jws"))) {
                (Err(why), _) => format!("key {why:?}"),
                (Ok(_), Err(error)) => format!("{error:?}"),
                (Ok(keys), Ok(signed)) => {
                    let fits = |key: &&jwk::VerificationKey| key.algorithm == signed.header.algorithm;
                    let error = keys.iter().find(fits).map(|key| key.verify(&signed));
                    error.map_or_else(|| "KeyUnknown".into(), |result| format!("{result:?}"))
                }
            };
            assert!(got != "Ok(())" || text("result") != "invalid", "{} {}", text("comment"), text("jws"));
            let group = members.text("comment").expect("text").unwrap_or_default();
            *verdicts.entry((format!("{group}: {}", text("result")), got)).or_default() += 1;
        }
    }
    for ((said, got), count) in verdicts {
        println!("{count:4}  {said:32} {got}");
    }
}

/// Key sets that must be refused, or whose bad keys must be left out: no signature that is invalid may verify.
#[test]
#[ignore = "needs Wycheproof's testvectors_v1, named by WYCHEPROOF"]
fn wycheproof_json_web_key() {
    for group in wycheproof("json_web_key_test.json") {
        let Json::Object(members) = &group else { continue };
        let set = members.get("public").or(members.get("private")).expect("keys");
        let text = to_text(set);
        let document = if text.contains("\"keys\"") { text } else { format!(r#"{{"keys":[{text}]}}"#) };
        let keys = KeySet::parse(document.as_bytes());
        let Some(Json::List(tests)) = members.get("tests") else { panic!("no tests") };
        for test in tests.iter().filter_map(|test| if let Json::Object(test) = test { Some(test) } else { None }) {
            let text = |name| test.text(name).expect("text").unwrap_or_default();
            let got = match (&keys, jwt::read_signed(text("jws"))) {
                (Err(error), _) => error.to_string(),
                (Ok(_), Err(error)) => format!("{error:?}"),
                (Ok(keys), Ok(signed)) => format!("{:?}", keys.verify(&signed).map(|_| ())),
            };
            assert!(got != "Ok(())" || text("result") != "invalid", "{}", text("comment"));
            println!("{:8} {:32} {got}", text("result"), text("comment"));
        }
    }
}

fn to_text(json: &Json) -> String {
    match json {
        Json::Object(object) => {
            let members = object.iter().map(|(name, value)| format!("{name:?}:{}", to_text(value)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        }
        Json::List(items) => format!("[{}]", items.iter().map(to_text).collect::<Vec<_>>().join(",")),
        Json::Text(text) => format!("{text:?}"),
        Json::Null | Json::Bool(_) | Json::Number(_) => "null".into(),
    }
}

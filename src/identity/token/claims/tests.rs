//! Claims one by one: types, dates, audience and scopes.

use super::*;

const BASE: &str = r#""client_id":"c","aud":"https://api","iat":100,"exp":200"#;

fn check(members: &str) -> Result<Claims, AuthError> {
    let payload = Object::parse(format!("{{{members}}}").as_bytes()).expect("an object");
    let names = ClaimNames::default();
    read(
        &payload,
        RequiredClaims { names: &names, audience: Some("https://api"), issue_time: true, expiry: true },
        None,
    )
}

fn with(more: &str) -> Result<Claims, AuthError> {
    check(&format!("{BASE},{more}"))
}

#[test]
fn the_client_is_the_most_specific_name() {
    let name = |text: &str| {
        let payload = Object::parse(text.as_bytes()).expect("an object");
        client(&payload, &[]).map(str::to_owned)
    };
    assert_eq!(name(r#"{"client_id":"a","azp":"a","sub":"s"}"#), Ok("a".into()));
    assert_eq!(name(r#"{"azp":"b","sub":"s"}"#), Ok("b".into()));
    assert_eq!(name(r#"{"sub":"s"}"#), Ok("s".into()));
    assert_eq!(name(r#"{"client_id":"a","azp":"b"}"#), Err(AuthError::ClientAmbiguous));
    assert_eq!(name(r#"{"client_id":""}"#), Err(AuthError::ClientMissing));
    assert_eq!(name("{}"), Err(AuthError::ClientMissing));
    assert_eq!(name(r#"{"client_id":"a","sub":1}"#), Err(AuthError::WrongClaimType));
}

#[test]
fn dates_may_have_fractions_and_nothing_else() {
    let claims = check(r#""sub":"c","aud":["x","https://api"],"iat":100.25,"exp":2e2,"nbf":0"#).expect("good");
    let millis = |date: Option<UnixTime>| date.map(UnixTime::as_millis);
    assert_eq!((millis(claims.issued_at), millis(claims.expires_at)), (Some(100_250), Some(200_000)));
    assert_eq!(claims.not_before, Some(UnixTime::default()));
    for (dates, error) in [
        (r#""iat":100"#, AuthError::ExpiryMissing),
        (r#""exp":200"#, AuthError::IssueTimeMissing),
        (r#""iat":"100","exp":200"#, AuthError::WrongClaimType),
        (r#""iat":null,"exp":200"#, AuthError::WrongClaimType),
        (r#""iat":100,"exp":1e300"#, AuthError::DateOutOfRange),
        (r#""iat":-1,"exp":200"#, AuthError::DateOutOfRange),
        (r#""iat":100,"exp":[200]"#, AuthError::WrongClaimType),
        (r#""iat":100,"exp":200,"nbf":"0""#, AuthError::WrongClaimType),
    ] {
        assert_eq!(check(&format!(r#""sub":"c","aud":"https://api",{dates}"#)).err(), Some(error), "{dates}");
    }
}

#[test]
fn the_audience_is_matched_whole() {
    for aud in [r#""https://api/""#, r#""https://ap""#, r#""HTTPS://API""#, r#"["x"]"#, "[]", r#""""#] {
        let members = format!(r#""sub":"c","iat":1,"exp":2,"aud":{aud}"#);
        assert_eq!(check(&members).err(), Some(AuthError::AudienceWrong), "{aud}");
    }
    for aud in ["1", "null", "{}", r#"["https://api",1]"#] {
        let members = format!(r#""sub":"c","iat":1,"exp":2,"aud":{aud}"#);
        assert_eq!(check(&members).err(), Some(AuthError::WrongClaimType), "{aud}");
    }
}

#[test]
fn scopes_are_a_string_or_an_array_of_single_scopes() {
    let text = |more: &str| with(more).map(|claims| claims.scopes.to_string());
    assert_eq!(text(r#""scope":"b a""#), Ok("a b".into()));
    assert_eq!(text(r#""scp":["b","a"]"#), Ok("a b".into()));
    assert_eq!(text(r#""scp":"a","scope":["a"]"#), Ok("a".into()));
    assert_eq!(text(r#""sub":"c""#), Ok(String::new()));
    for more in [r#""scope":"a","scp":"a b""#, r#""scope":["a b"]"#, r#""scope":"a\"b""#, r#""scope":[""]"#] {
        assert_eq!(text(more), Err(AuthError::ScopeMalformed), "{more}");
    }
    for more in [r#""scope":1"#, r#""scope":null"#, r#""scope":["a",1]"#, r#""scope":{"a":1}"#] {
        assert_eq!(text(more), Err(AuthError::WrongClaimType), "{more}");
    }
}

#[test]
fn a_binding_that_cannot_be_checked_is_refused() {
    let thumb = "A".repeat(43);
    let claims = with(&format!(r#""cnf":{{"x5t#S256":"{thumb}","jkt":"{thumb}"}}"#)).expect("good");
    assert_eq!((claims.certificate_thumbprint, claims.proof_key_thumbprint), (Some([0; 32]), Some([0; 32])));
    for cnf in ["{}", "[]", "null", r#"{"jwk":{}}"#, r#"{"jkt":"AA"}"#, r#"{"x5t#S256":1}"#, r#"{"jkt":null}"#] {
        assert_eq!(with(&format!(r#""cnf":{cnf}"#)).err(), Some(AuthError::ConfirmationMalformed), "{cnf}");
    }
}

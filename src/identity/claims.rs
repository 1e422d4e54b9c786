//! From a payload's members to [`Claims`]: required ones present, each of its exact JSON type, none guessed.
//!
//! RFC 7519 section 4.1, RFC 9068 section 2.2, RFC 8693 section 4.2, RFC 7800. Judges no dates: those are judged anew
//! on each request. Text is compared byte by byte, never by prefix and never normalised.

use std::sync::Arc;

use crate::bounds::SCOPES_MAX;
use crate::model::{Claims, ClientId, Scope, ScopeSet, UnixTime};

use super::flaw::Flaw;
use super::json::{Json, Object};
use super::jwt::decode_digest;

/// 9999-12-31T23:59:59Z: the last second that RFC 3339 can write.
const DATE_SECS_MAX: f64 = 253_402_300_799.0;

/// The issuer and client that a payload names, read before any signature: good only for finding a vendor.
pub(super) fn whose(payload: &Object) -> Result<(&str, &str), Flaw> {
    let issuer = payload.text("iss")?.ok_or(Flaw::IssuerMissing)?;
    Ok((issuer, client(payload)?))
}

/// Reads the claims of a payload whose signature has been verified, or that an issuer has just sent. Which key that was,
/// whoever verified it adds.
pub(super) fn read(payload: &Object, audience: &str, key_id: Option<Arc<str>>) -> Result<Claims, Flaw> {
    check_audience(payload, audience)?;
    let confirmation = confirmation(payload)?;
    Ok(Claims {
        client: ClientId::new(client(payload)?),
        issued_at: date(payload, "iat")?.ok_or(Flaw::IssueTimeMissing)?,
        expires_at: date(payload, "exp")?.ok_or(Flaw::ExpiryMissing)?,
        not_before: date(payload, "nbf")?,
        token_id: payload.text("jti")?.map(Arc::from),
        scopes: scopes(payload)?,
        key_id,
        key_thumbprint: None,
        certificate_thumbprint: confirmation.certificate,
        proof_key_thumbprint: confirmation.proof_key,
    })
}

/// `client_id`, `azp`, else `sub`; the first two must agree where both are present.
pub(super) fn client(payload: &Object) -> Result<&str, Flaw> {
    let subject = payload.text("sub")?;
    let client = match (payload.text("client_id")?, payload.text("azp")?) {
        (Some(id), Some(azp)) if id != azp => return Err(Flaw::ClientAmbiguous),
        (Some(id), _) | (None, Some(id)) => Some(id),
        (None, None) => subject,
    };
    client.filter(|id| !id.is_empty()).ok_or(Flaw::ClientMissing)
}

fn check_audience(payload: &Object, audience: &str) -> Result<(), Flaw> {
    let named = match payload.get("aud") {
        Some(Json::Text(one)) => one == audience,
        Some(Json::List(_)) => payload.texts("aud")?.is_some_and(|all| all.contains(&audience)),
        None => false,
        Some(Json::Null | Json::Bool(_) | Json::Number(_) | Json::Object(_)) => return Err(Flaw::WrongClaimType),
    };
    if named { Ok(()) } else { Err(Flaw::AudienceWrong) }
}

/// A NumericDate, which may have a fraction (RFC 7519 section 2), in milliseconds, rounded down.
pub(super) fn date(payload: &Object, name: &str) -> Result<Option<UnixTime>, Flaw> {
    match payload.number(name)? {
        None => Ok(None),
        Some(secs) if (0.0..=DATE_SECS_MAX).contains(&secs) => Ok(Some(UnixTime::from_millis((secs * 1000.0) as u64))),
        Some(_) => Err(Flaw::DateOutOfRange),
    }
}

fn scopes(payload: &Object) -> Result<ScopeSet, Flaw> {
    match (scope_member(payload, "scope")?, scope_member(payload, "scp")?) {
        (Some(scope), Some(scp)) if scope != scp => Err(Flaw::ScopeMalformed),
        (Some(set), _) | (None, Some(set)) => Ok(set),
        (None, None) => Ok(ScopeSet::default()),
    }
}

/// Issuers write scopes as a string or as an array; an array's member is one scope, never a list.
fn scope_member(payload: &Object, name: &str) -> Result<Option<ScopeSet>, Flaw> {
    let set = match payload.get(name) {
        None => return Ok(None),
        Some(Json::Text(text)) => ScopeSet::parse(text),
        Some(Json::List(_)) => payload.texts(name)?.unwrap_or_default().into_iter().map(Scope::parse).collect(),
        Some(Json::Null | Json::Bool(_) | Json::Number(_) | Json::Object(_)) => return Err(Flaw::WrongClaimType),
    };
    let set = set.map_err(|_| Flaw::ScopeMalformed)?;
    if set.iter().count() > SCOPES_MAX { Err(Flaw::ScopeMalformed) } else { Ok(Some(set)) }
}

struct Confirmation {
    certificate: Option<[u8; 32]>,
    proof_key: Option<[u8; 32]>,
}

/// A bond that we cannot check is refused: ignoring it would turn a bound token into a bearer token.
fn confirmation(payload: &Object) -> Result<Confirmation, Flaw> {
    let cnf = match payload.get("cnf") {
        None => return Ok(Confirmation { certificate: None, proof_key: None }),
        Some(Json::Object(cnf)) => cnf,
        Some(_) => return Err(Flaw::ConfirmationMalformed),
    };
    let (certificate, proof_key) = (thumbprint(cnf, "x5t#S256")?, thumbprint(cnf, "jkt")?);
    if certificate.is_none() && proof_key.is_none() {
        return Err(Flaw::ConfirmationMalformed);
    }
    Ok(Confirmation { certificate, proof_key })
}

fn thumbprint(cnf: &Object, name: &str) -> Result<Option<[u8; 32]>, Flaw> {
    match cnf.text(name).map_err(|_| Flaw::ConfirmationMalformed)? {
        None => Ok(None),
        Some(text) => decode_digest(text).map(Some).ok_or(Flaw::ConfirmationMalformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = r#""client_id":"c","aud":"https://api","iat":100,"exp":200"#;

    fn check(members: &str) -> Result<Claims, Flaw> {
        let payload = Object::parse(format!("{{{members}}}").as_bytes()).expect("an object");
        read(&payload, "https://api", None)
    }

    fn with(more: &str) -> Result<Claims, Flaw> {
        check(&format!("{BASE},{more}"))
    }

    #[test]
    fn the_client_is_the_most_specific_name() {
        let name = |text: &str| {
            let payload = Object::parse(text.as_bytes()).expect("an object");
            client(&payload).map(str::to_owned)
        };
        assert_eq!(name(r#"{"client_id":"a","azp":"a","sub":"s"}"#), Ok("a".into()));
        assert_eq!(name(r#"{"azp":"b","sub":"s"}"#), Ok("b".into()));
        assert_eq!(name(r#"{"sub":"s"}"#), Ok("s".into()));
        assert_eq!(name(r#"{"client_id":"a","azp":"b"}"#), Err(Flaw::ClientAmbiguous));
        assert_eq!(name(r#"{"client_id":""}"#), Err(Flaw::ClientMissing));
        assert_eq!(name("{}"), Err(Flaw::ClientMissing));
        assert_eq!(name(r#"{"client_id":"a","sub":1}"#), Err(Flaw::WrongClaimType));
    }

    #[test]
    fn dates_may_have_fractions_and_nothing_else() {
        let claims = check(r#""sub":"c","aud":["x","https://api"],"iat":100.25,"exp":2e2,"nbf":0"#).expect("good");
        assert_eq!((claims.issued_at.as_millis(), claims.expires_at.as_millis()), (100_250, 200_000));
        assert_eq!(claims.not_before, Some(UnixTime::default()));
        for (dates, flaw) in [
            (r#""iat":100"#, Flaw::ExpiryMissing),
            (r#""exp":200"#, Flaw::IssueTimeMissing),
            (r#""iat":"100","exp":200"#, Flaw::WrongClaimType),
            (r#""iat":null,"exp":200"#, Flaw::WrongClaimType),
            (r#""iat":100,"exp":1e300"#, Flaw::DateOutOfRange),
            (r#""iat":-1,"exp":200"#, Flaw::DateOutOfRange),
            (r#""iat":100,"exp":[200]"#, Flaw::WrongClaimType),
            (r#""iat":100,"exp":200,"nbf":"0""#, Flaw::WrongClaimType),
        ] {
            assert_eq!(check(&format!(r#""sub":"c","aud":"https://api",{dates}"#)).err(), Some(flaw), "{dates}");
        }
    }

    #[test]
    fn the_audience_is_matched_whole() {
        for aud in [r#""https://api/""#, r#""https://ap""#, r#""HTTPS://API""#, r#"["x"]"#, "[]", r#""""#] {
            let members = format!(r#""sub":"c","iat":1,"exp":2,"aud":{aud}"#);
            assert_eq!(check(&members).err(), Some(Flaw::AudienceWrong), "{aud}");
        }
        for aud in ["1", "null", "{}", r#"["https://api",1]"#] {
            let members = format!(r#""sub":"c","iat":1,"exp":2,"aud":{aud}"#);
            assert_eq!(check(&members).err(), Some(Flaw::WrongClaimType), "{aud}");
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
            assert_eq!(text(more), Err(Flaw::ScopeMalformed), "{more}");
        }
        for more in [r#""scope":1"#, r#""scope":null"#, r#""scope":["a",1]"#, r#""scope":{"a":1}"#] {
            assert_eq!(text(more), Err(Flaw::WrongClaimType), "{more}");
        }
    }

    #[test]
    fn a_bond_that_cannot_be_checked_is_refused() {
        let thumb = "A".repeat(43);
        let claims = with(&format!(r#""cnf":{{"x5t#S256":"{thumb}","jkt":"{thumb}"}}"#)).expect("good");
        assert_eq!((claims.certificate_thumbprint, claims.proof_key_thumbprint), (Some([0; 32]), Some([0; 32])));
        for cnf in ["{}", "[]", "null", r#"{"jwk":{}}"#, r#"{"jkt":"AA"}"#, r#"{"x5t#S256":1}"#, r#"{"jkt":null}"#] {
            assert_eq!(with(&format!(r#""cnf":{cnf}"#)).err(), Some(Flaw::ConfirmationMalformed), "{cnf}");
        }
    }
}

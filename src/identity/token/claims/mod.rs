//! From a payload's members to [`Claims`]: required ones present, each of its exact JSON type, none guessed.
//!
//! RFC 7519 section 4.1, RFC 9068 section 2.2, RFC 8693 section 4.2, RFC 7800. Dates are only read here; they are
//! checked on each request. Text is compared byte by byte, never by prefix and never normalised.

use std::sync::Arc;

use crate::bounds::SCOPES_MAX;
use crate::identity::error::AuthError;
use crate::identity::json::{Json, Object};
use crate::model::{Claims, ClientId, Scope, ScopeSet, UnixTime};

use super::claim_names::{ClaimNames, ClaimPath};
use super::jwt::decode_digest;

/// 9999-12-31T23:59:59Z: the last second that RFC 3339 can write.
const DATE_SECS_MAX: f64 = 253_402_300_799.0;

/// What a payload must have by its contract.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequiredClaims<'a> {
    pub(crate) names: &'a ClaimNames,
    pub(crate) audience: Option<&'a str>,
    pub(crate) issue_time: bool,
    pub(crate) expiry: bool,
}

/// Reads the claims of a payload whose signature has been verified, or of an issuer's answer. The caller adds the
/// thumbprint of the key.
pub(crate) fn read(
    payload: &Object,
    wanted: RequiredClaims<'_>,
    key_id: Option<Arc<str>>,
) -> Result<Claims, AuthError> {
    let RequiredClaims { names, audience, issue_time, expiry } = wanted;
    if let Some(audience) = audience {
        check_audience(payload, names.audience.as_ref(), audience)?;
    }
    names.required.iter().try_for_each(|(path, text)| check_required(path.find(payload)?, text))?;
    let confirmation = confirmation(payload)?;
    let (issued_at, expires_at) = (date(payload, "iat")?, date(payload, "exp")?);
    if expires_at.is_none() && expiry {
        return Err(AuthError::ExpiryMissing);
    }
    if issued_at.is_none() && issue_time {
        return Err(AuthError::IssueTimeMissing);
    }
    Ok(Claims {
        client: ClientId::new(client(payload, &names.client)?),
        issued_at,
        expires_at,
        not_before: date(payload, "nbf")?,
        token_id: payload.text("jti")?.map(Arc::from),
        scopes: scopes(payload, &names.scopes)?,
        key_id,
        key_thumbprint: None,
        certificate_thumbprint: confirmation.certificate,
        proof_key_thumbprint: confirmation.proof_key,
    })
}

/// The claims that the contract names, else `client_id`, `azp`, else `sub`. Those that are present must agree.
pub(crate) fn client<'a>(payload: &'a Object, named: &[ClaimPath]) -> Result<&'a str, AuthError> {
    let client = if named.is_empty() {
        let subject = payload.text("sub")?;
        agreeing(["client_id", "azp"].into_iter().map(|name| Ok(payload.text(name)?)))?.or(subject)
    } else {
        agreeing(named.iter().map(|path| path.text(payload)))?
    };
    client.filter(|id| !id.is_empty()).ok_or(AuthError::ClientMissing)
}

fn agreeing<'a>(texts: impl Iterator<Item = Result<Option<&'a str>, AuthError>>) -> Result<Option<&'a str>, AuthError> {
    let mut agreed = None;
    for text in texts {
        match (agreed, text?) {
            (Some(one), Some(other)) if one != other => return Err(AuthError::ClientAmbiguous),
            (before, found) => agreed = before.or(found),
        }
    }
    Ok(agreed)
}

fn check_audience(payload: &Object, named: Option<&ClaimPath>, audience: &str) -> Result<(), AuthError> {
    let found = named.map_or_else(|| Ok(payload.get("aud")), |path| path.find(payload))?;
    let found = found.ok_or(AuthError::AudienceMissing)?;
    if holds(found, audience)? { Ok(()) } else { Err(AuthError::AudienceWrong) }
}

fn check_required(found: Option<&Json>, text: &str) -> Result<(), AuthError> {
    let holds = found.map_or(Ok(false), |found| holds(found, text))?;
    if holds { Ok(()) } else { Err(AuthError::ClaimRequired) }
}

/// Whether a claim is this text, or an array of texts with it; compared byte by byte.
fn holds(claim: &Json, text: &str) -> Result<bool, AuthError> {
    match claim {
        Json::Text(one) => Ok(one == text),
        Json::List(items) => {
            let texts: Option<Vec<&str>> = items.iter().map(Json::as_text).collect();
            Ok(texts.ok_or(AuthError::WrongClaimType)?.contains(&text))
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Object(_) => Err(AuthError::WrongClaimType),
    }
}

/// A NumericDate, which may have a fraction (RFC 7519 section 2), in milliseconds, rounded down.
pub(crate) fn date(payload: &Object, name: &str) -> Result<Option<UnixTime>, AuthError> {
    match payload.number(name)? {
        None => Ok(None),
        Some(secs) if (0.0..=DATE_SECS_MAX).contains(&secs) => Ok(Some(UnixTime::from_millis((secs * 1000.0) as u64))),
        Some(_) => Err(AuthError::DateOutOfRange),
    }
}

fn scopes(payload: &Object, named: &[ClaimPath]) -> Result<ScopeSet, AuthError> {
    if !named.is_empty() {
        return named_scopes(payload, named);
    }
    match (scope_member(payload, "scope")?, scope_member(payload, "scp")?) {
        (Some(scope), Some(scp)) if scope != scp => Err(AuthError::ScopeMalformed),
        (Some(set), _) | (None, Some(set)) => Ok(set),
        (None, None) => Ok(ScopeSet::default()),
    }
}

/// Reads scopes from the claims that the contract names. Such a claim may hold roles whose names are no scopes: they
/// are left out, since no contract can list them and so they could grant nothing.
fn named_scopes(payload: &Object, named: &[ClaimPath]) -> Result<ScopeSet, AuthError> {
    let mut scopes = Vec::new();
    for path in named {
        match path.find(payload)? {
            None => {}
            Some(Json::Text(text)) => scopes.extend(text.split(' ').filter_map(|word| Scope::parse(word).ok())),
            Some(Json::List(items)) => {
                for item in items {
                    scopes.extend(Scope::parse(item.as_text().ok_or(AuthError::WrongClaimType)?).ok());
                }
            }
            Some(Json::Null | Json::Bool(_) | Json::Number(_) | Json::Object(_)) => {
                return Err(AuthError::WrongClaimType);
            }
        }
    }
    within(scopes.into_iter().collect())
}

/// Issuers write scopes as a string or as an array; an array's member is one scope, never a list.
fn scope_member(payload: &Object, name: &str) -> Result<Option<ScopeSet>, AuthError> {
    let set = match payload.get(name) {
        None => return Ok(None),
        Some(Json::Text(text)) => ScopeSet::parse(text),
        Some(Json::List(_)) => payload.texts(name)?.unwrap_or_default().into_iter().map(Scope::parse).collect(),
        Some(Json::Null | Json::Bool(_) | Json::Number(_) | Json::Object(_)) => return Err(AuthError::WrongClaimType),
    };
    set.map_err(|_| AuthError::ScopeMalformed).and_then(within).map(Some)
}

fn within(set: ScopeSet) -> Result<ScopeSet, AuthError> {
    if set.iter().count() > SCOPES_MAX { Err(AuthError::ScopeMalformed) } else { Ok(set) }
}

struct Confirmation {
    certificate: Option<[u8; 32]>,
    proof_key: Option<[u8; 32]>,
}

/// Reads `cnf`. A binding that we cannot check is refused, since ignoring it would turn a bound token into a bearer
/// token.
fn confirmation(payload: &Object) -> Result<Confirmation, AuthError> {
    let cnf = match payload.get("cnf") {
        None => return Ok(Confirmation { certificate: None, proof_key: None }),
        Some(Json::Object(cnf)) => cnf,
        Some(_) => return Err(AuthError::ConfirmationMalformed),
    };
    let (certificate, proof_key) = (thumbprint(cnf, "x5t#S256")?, thumbprint(cnf, "jkt")?);
    if certificate.is_none() && proof_key.is_none() {
        return Err(AuthError::ConfirmationMalformed);
    }
    Ok(Confirmation { certificate, proof_key })
}

fn thumbprint(cnf: &Object, name: &str) -> Result<Option<[u8; 32]>, AuthError> {
    match cnf.text(name).map_err(|_| AuthError::ConfirmationMalformed)? {
        None => Ok(None),
        Some(text) => decode_digest(text).map(Some).ok_or(AuthError::ConfirmationMalformed),
    }
}

#[cfg(test)]
mod tests;

//! DPoP, proof of possession (RFC 9449): a fresh signature over this request, by the key that the token is bound to.
//!
//! Checked on every request, whether its token is cached or not. The key in a proof is not trusted by itself: it counts
//! only because its thumbprint is in a token that the issuer signed.

use sha2::{Digest as _, Sha256};

use crate::bounds::{DPOP_WINDOW, KEY_ID_BYTES_MAX, TOKEN_BYTES_MAX};
use crate::identity::caller::cache::{FingerprintKind, TokenCache};
use crate::identity::error::AuthError;
use crate::identity::json::Object;
use crate::identity::keys::jwk;
use crate::identity::replay::{ReplayCache, ReplayOutcome};
use crate::model::Moment;

use super::claims;
use super::credentials::{AuthScheme, Credentials, PresentedRequest};
use super::jwt::{self, TokenType, UnverifiedSignature, decode_digest};

/// What a proof must be for.
pub(crate) struct ExpectedProof<'a> {
    pub(crate) presented: &'a PresentedRequest<'a>,
    pub(crate) credentials: Credentials<'a>,
    /// `cnf.jkt` of the token.
    pub(crate) key_thumbprint: &'a [u8; 32],
    pub(crate) now: Moment,
}

/// Checks the request's proof (RFC 9449 section 4.3) and records its `jti` as used.
pub(crate) fn check(expected: &ExpectedProof<'_>, replays: &ReplayCache, cache: &TokenCache) -> Result<(), AuthError> {
    let text = header(expected)?;
    let proof = jwt::read_proof(text).map_err(|_| AuthError::ProofMalformed)?;
    verify(&proof.signed, expected.key_thumbprint)?;
    check_target(&proof.payload, expected)?;
    check_time(&proof.payload, expected.now, replays)?;
    let id = member(&proof.payload, "jti")?;
    if id.is_empty() || id.len() > KEY_ID_BYTES_MAX {
        return Err(AuthError::ProofMalformed);
    }
    let thing = cache.fingerprint(FingerprintKind::Proof, &[&expected.key_thumbprint[..], id.as_bytes()].concat())?;
    // A proof dated at the far end of the window is accepted for twice the window.
    match replays.take(&[thing], DPOP_WINDOW * 2, expected.now) {
        ReplayOutcome::First => Ok(()),
        ReplayOutcome::UnderWay | ReplayOutcome::Settled | ReplayOutcome::Full => Err(AuthError::ProofReplayed),
    }
}

/// Whether a text is a proof for `GET https://a/` that the key inside it signed. Whose key that is, and whether the
/// proof is fresh, is not checked.
#[cfg(feature = "internals")]
pub fn inspect_proof(text: &str) -> bool {
    let Ok(proof) = jwt::read_proof(text) else { return false };
    let Some(Ok(keys)) = proof.signed.header.jwk.as_ref().map(jwk::read) else { return false };
    let presented = PresentedRequest {
        headers: &http::HeaderMap::new(),
        method: &http::Method::GET,
        scheme: "https",
        authority: "a",
        path: "/",
        query: None,
        peer_certificate: None,
    };
    let named = member(&proof.payload, "htu").is_ok_and(|htu| names_target(htu, &presented));
    let dated = claims::date(&proof.payload, "iat").is_ok_and(|date| date.is_some());
    named && dated && keys.iter().any(|key| verify(&proof.signed, &key.thumbprint).is_ok())
}

fn header<'a>(expected: &ExpectedProof<'a>) -> Result<&'a str, AuthError> {
    let mut values = expected.presented.headers.get_all("dpop").iter();
    let (Some(value), None, AuthScheme::Dpop) = (values.next(), values.next(), expected.credentials.scheme) else {
        return Err(AuthError::ProofMissing);
    };
    let text = value.to_str().map_err(|_| AuthError::ProofMalformed)?;
    if text.len() > TOKEN_BYTES_MAX { Err(AuthError::ProofMalformed) } else { Ok(text) }
}

fn verify(proof: &UnverifiedSignature<'_>, thumbprint: &[u8; 32]) -> Result<(), AuthError> {
    let jwk = proof
        .header
        .jwk
        .as_ref()
        .filter(|_| proof.header.typ == TokenType::DpopProof)
        .ok_or(AuthError::ProofMalformed)?;
    let keys = jwk::read(jwk).map_err(|_| AuthError::ProofMalformed)?;
    let fits = |key: &&jwk::VerificationKey| key.algorithm == proof.header.algorithm && key.thumbprint == *thumbprint;
    let key = keys.iter().find(fits).ok_or(AuthError::ProofWrong)?;
    key.verify(proof).map_err(|_| AuthError::ProofWrong)
}

fn check_target(payload: &Object, expected: &ExpectedProof<'_>) -> Result<(), AuthError> {
    let method = member(payload, "htm")? == expected.presented.method.as_str();
    let target = names_target(member(payload, "htu")?, expected.presented);
    let token = Sha256::digest(expected.credentials.token);
    let token = decode_digest(member(payload, "ath")?).is_some_and(|said| said[..] == token[..]);
    if method && target && token { Ok(()) } else { Err(AuthError::ProofWrong) }
}

/// Whether `htu` is this request's address without query and fragment; scheme and host are compared without case, and
/// a default port may be left out (RFC 3986 sections 6.2.2 and 6.2.3).
fn names_target(htu: &str, presented: &PresentedRequest<'_>) -> bool {
    let bare = htu.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = bare.split_once("://") else { return false };
    let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    scheme.eq_ignore_ascii_case(presented.scheme)
        && without_port(authority, scheme).eq_ignore_ascii_case(without_port(presented.authority, presented.scheme))
        && path == presented.path
}

fn without_port<'a>(authority: &'a str, scheme: &str) -> &'a str {
    let default = if scheme.eq_ignore_ascii_case("https") { ":443" } else { ":80" };
    authority.strip_suffix(default).unwrap_or(authority)
}

fn check_time(payload: &Object, now: Moment, replays: &ReplayCache) -> Result<(), AuthError> {
    let issued = claims::date(payload, "iat").ok().flatten().ok_or(AuthError::ProofMalformed)?;
    let near = now.wall.since(issued) <= DPOP_WINDOW && issued.since(now.wall) <= DPOP_WINDOW;
    if near && replays.covers(issued, now) { Ok(()) } else { Err(AuthError::ProofStale) }
}

fn member<'a>(payload: &'a Object, name: &str) -> Result<&'a str, AuthError> {
    payload.text(name).ok().flatten().ok_or(AuthError::ProofMalformed)
}

#[cfg(test)]
mod tests;

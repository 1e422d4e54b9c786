//! Reads a signed token in compact form (RFC 7515 section 7.1) strictly: its parts, header, payload and signature.
//!
//! Knows no key and decides nothing about claims. What it returns is **not verified**: the payload serves to find whose
//! keys to try, and counts only after
//! [`crate::identity::keys::jwk::VerificationKey::verify`] has accepted the signature. Refuses
//! whatever could make two readers disagree (RFC 8725 section 3): spare bits and padding in base64url, repeated
//! members, unknown critical extensions, keys or key addresses inside the token.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::bounds::{KEY_ID_BYTES_MAX, TOKEN_BYTES_MAX};
use crate::identity::error::AuthError;
use crate::identity::json::Object;
use crate::model::Algorithm;

use super::claim_names::HeaderMember;

/// The token's type by its `typ`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TokenType {
    /// `at+jwt` (RFC 9068 section 2.1).
    AccessToken,
    /// `JWT`, which ID tokens have as well.
    PlainJwt,
    /// No `typ` at all.
    Absent,
    /// `dpop+jwt` (RFC 9449 section 4.2).
    DpopProof,
    /// Any other, in lower case and without `application/`: refused, unless a contract lists it.
    Other(Box<str>),
}

/// A token's protected header: the members that are used, and the suspicious ones.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TokenHeader {
    pub(crate) algorithm: Algorithm,
    pub(crate) typ: TokenType,
    pub(crate) key_id: Option<Arc<str>>,
    /// The key of a DPoP proof; always absent in an access token.
    pub(crate) jwk: Option<Object>,
    /// Members that refuse the token unless its contract says that its issuer sends them.
    pub(crate) suspicious: Vec<HeaderMember>,
}

impl TokenHeader {
    /// Checks the header where no contract says otherwise.
    pub(crate) fn check_alone(&self) -> Result<(), AuthError> {
        match (self.suspicious.first(), &self.typ) {
            (Some(member), _) => Err(member.error()),
            (None, TokenType::Other(_)) => Err(AuthError::TypeRefused),
            (None, TokenType::AccessToken | TokenType::PlainJwt | TokenType::Absent | TokenType::DpopProof) => Ok(()),
        }
    }
}

/// A token's header and signature, decoded but not verified.
#[derive(Debug)]
pub(crate) struct UnverifiedSignature<'a> {
    pub(crate) header: TokenHeader,
    /// What the signature covers: the first two parts and the dot between them.
    pub(crate) message: &'a [u8],
    pub(crate) signature: Vec<u8>,
}

/// A whole token, decoded but not verified.
#[derive(Debug)]
pub(crate) struct UnverifiedToken<'a> {
    pub(crate) signed: UnverifiedSignature<'a>,
    pub(crate) payload: Object,
    /// The whole token's length.
    pub(crate) bytes: usize,
}

/// Whether a text looks like a signed token; every other token is treated as opaque.
pub(crate) fn is_compact(token: &str) -> bool {
    token.starts_with("eyJ") && memchr::memchr_iter(b'.', token.as_bytes()).count() >= 2
}

/// Whether a text is a well-formed signed token; its signature and its claims are not checked.
#[cfg(feature = "internals")]
pub fn inspect_token(token: &str) -> bool {
    read(token).is_ok()
}

/// Reads an access token.
pub(crate) fn read(token: &str) -> Result<UnverifiedToken<'_>, AuthError> {
    let read = read_whole(token)?;
    if read.signed.header.jwk.is_some() { Err(AuthError::EmbeddedKey) } else { Ok(read) }
}

/// Reads a DPoP proof, whose header must carry the public key (RFC 9449 section 4.2).
pub(crate) fn read_proof(token: &str) -> Result<UnverifiedToken<'_>, AuthError> {
    let read = read_whole(token)?;
    read.signed.header.check_alone().map(|()| read)
}

fn read_whole(token: &str) -> Result<UnverifiedToken<'_>, AuthError> {
    let parts = split(token)?;
    let signed = parts.signed()?;
    let payload = decode(parts.payload).and_then(|payload| Ok(Object::parse(&payload)?));
    // If the payload is no object, but the header would be refused too, the error is the header's.
    let payload = payload.map_err(|error| signed.header.check_alone().err().unwrap_or(error))?;
    Ok(UnverifiedToken { signed, payload, bytes: token.len() })
}

/// Reads all but the payload, which a JWS need not have in JSON.
#[cfg(test)]
pub(crate) fn read_signed(token: &str) -> Result<UnverifiedSignature<'_>, AuthError> {
    let parts = split(token)?;
    decode(parts.payload)?;
    parts.signed()
}

/// Decodes canonical base64url without padding: one text for each byte string (RFC 7515 section 2).
pub(crate) fn decode(part: &str) -> Result<Vec<u8>, AuthError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| AuthError::NotCanonicalBase64)
}

/// Decodes a SHA-256 digest in base64url, the form of every thumbprint here.
pub(crate) fn decode_digest(text: &str) -> Option<[u8; 32]> {
    decode(text).ok()?.try_into().ok()
}

struct TokenParts<'a> {
    header: &'a str,
    payload: &'a str,
    signature: &'a str,
    message: &'a [u8],
}

fn split(token: &str) -> Result<TokenParts<'_>, AuthError> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(AuthError::TooLong);
    }
    let mut parts = token.split('.');
    let (Some(header), Some(payload), Some(signature), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(AuthError::NotThreeParts);
    };
    if header.is_empty() || payload.is_empty() || signature.is_empty() {
        return Err(AuthError::NotThreeParts);
    }
    let message = &token.as_bytes()[..header.len() + 1 + payload.len()];
    Ok(TokenParts { header, payload, signature, message })
}

impl<'a> TokenParts<'a> {
    fn signed(&self) -> Result<UnverifiedSignature<'a>, AuthError> {
        let header = check_header(&Object::parse(&decode(self.header)?)?)?;
        Ok(UnverifiedSignature { header, message: self.message, signature: decode(self.signature)? })
    }
}

fn check_header(header: &Object) -> Result<TokenHeader, AuthError> {
    let present = |names: &[&str]| names.iter().any(|name| header.get(name).is_some());
    if present(&["crit", "b64"]) {
        return Err(AuthError::CriticalExtension);
    }
    if present(&["enc", "zip", "epk", "p2c"]) {
        return Err(AuthError::NestedOrEncrypted);
    }
    let algorithm = Algorithm::parse(header.text("alg")?.ok_or(AuthError::AlgorithmMissing)?)?;
    let suspicious = HeaderMember::ALL.into_iter().filter(|member| header.get(member.as_str()).is_some()).collect();
    let (typ, key_id, jwk) = (read_type(header.text("typ")?), read_key_id(header)?, read_jwk(header)?);
    Ok(TokenHeader { algorithm, typ, key_id, jwk, suspicious })
}

/// Media types are compared without case, and `application/` may be left out (RFC 7515 section 4.1.9).
fn read_type(typ: Option<&str>) -> TokenType {
    let Some(typ) = typ else { return TokenType::Absent };
    let short = match typ.get(..12) {
        Some(prefix) if prefix.eq_ignore_ascii_case("application/") => &typ[12..],
        _ => typ,
    };
    match short.to_ascii_lowercase().as_str() {
        "at+jwt" => TokenType::AccessToken,
        "jwt" => TokenType::PlainJwt,
        "dpop+jwt" => TokenType::DpopProof,
        other => TokenType::Other(other.into()),
    }
}

fn read_key_id(header: &Object) -> Result<Option<Arc<str>>, AuthError> {
    match header.text("kid")? {
        Some(kid) if kid.len() > KEY_ID_BYTES_MAX => Err(AuthError::KeyIdTooLong),
        kid => Ok(kid.map(Arc::from)),
    }
}

fn read_jwk(header: &Object) -> Result<Option<Object>, AuthError> {
    use crate::identity::json::Json;
    match header.get("jwk") {
        None => Ok(None),
        Some(Json::Object(jwk)) => Ok(Some(jwk.clone())),
        Some(Json::Null | Json::Bool(_) | Json::Number(_) | Json::Text(_) | Json::List(_)) => {
            Err(AuthError::WrongClaimType)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compact(header: &str, payload: &str) -> String {
        format!("{}.{}.AA", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload))
    }

    fn check(header: &str) -> Result<TokenHeader, AuthError> {
        let header = read(&compact(header, "{}"))?.signed.header;
        header.check_alone().map(|()| header)
    }

    #[test]
    fn a_header_may_hold_what_is_harmless() {
        let header =
            check(r#"{"alg":"ES256","typ":"application/AT+jwt","kid":"k1","x5t":"abc","extra":[1]}"#).expect("good");
        assert_eq!(
            (header.algorithm, header.typ, header.key_id.as_deref()),
            (Algorithm::ES256, TokenType::AccessToken, Some("k1"))
        );
        assert_eq!(check(r#"{"alg":"EdDSA"}"#).map(|h| h.typ), Ok(TokenType::Absent));
        assert_eq!(check(r#"{"alg":"EdDSA","typ":"jwt"}"#).map(|h| h.typ), Ok(TokenType::PlainJwt));
    }

    #[test]
    fn a_header_may_not_choose_keys_or_rules() {
        let cases = [
            (r#"{"alg":"none"}"#, AuthError::AlgorithmNone),
            (r#"{"alg":"HS256"}"#, AuthError::AlgorithmSymmetric),
            (r#"{"alg":"es256"}"#, AuthError::AlgorithmUnsupported),
            (r#"{"alg":"ES256K"}"#, AuthError::AlgorithmUnsupported),
            (r#"{"alg":["ES256"]}"#, AuthError::WrongClaimType),
            ("{}", AuthError::AlgorithmMissing),
            (r#"{"alg":"ES256","crit":["exp"]}"#, AuthError::CriticalExtension),
            (r#"{"alg":"ES256","crit":[]}"#, AuthError::CriticalExtension),
            (r#"{"alg":"ES256","b64":true}"#, AuthError::CriticalExtension),
            (r#"{"alg":"ES256","jwk":{}}"#, AuthError::EmbeddedKey),
            (r#"{"alg":"ES256","jku":"https://a"}"#, AuthError::EmbeddedKey),
            (r#"{"alg":"ES256","\u006aku":"https://a"}"#, AuthError::EmbeddedKey),
            (r#"{"alg":"ES256","x5u":null}"#, AuthError::EmbeddedKey),
            (r#"{"alg":"ES256","x5c":[]}"#, AuthError::EmbeddedKey),
            (r#"{"alg":"ES256","cty":"JWT"}"#, AuthError::NestedOrEncrypted),
            (r#"{"alg":"ES256","typ":"secevent+jwt"}"#, AuthError::TypeRefused),
            (r#"{"alg":"ES256","typ":"at+jwt "}"#, AuthError::TypeRefused),
            (r#"{"alg":"ES256","kid":7}"#, AuthError::WrongClaimType),
            (r#"{"alg":"ES256","alg":"ES256"}"#, AuthError::AmbiguousObject),
            (r#"{"alg":"ES256","\u0061lg":"RS256"}"#, AuthError::AmbiguousObject),
        ];
        for (header, error) in cases {
            assert_eq!(check(header).err(), Some(error), "{header}");
        }
    }

    #[test]
    fn a_token_has_exactly_three_canonical_parts() {
        let good = compact(r#"{"alg":"ES256"}"#, "{}");
        assert!(read(&good).is_ok());
        let (head, rest) = good.split_once('.').expect("parts");
        // `{}` is `e30`; the two spare bits of its last letter must be zero, so `e31` is the same bytes written
        // wrongly.
        let cases = [
            (format!("{head}.e31.AA"), AuthError::NotCanonicalBase64),
            (format!("{head}.e30=.AA"), AuthError::NotCanonicalBase64),
            (format!("{head}.e30.AB"), AuthError::NotCanonicalBase64),
            (format!("{head}.e30.A+"), AuthError::NotCanonicalBase64),
            (format!("{head}.e30.A"), AuthError::NotCanonicalBase64),
            (format!("{head}. e30.AA"), AuthError::NotCanonicalBase64),
            (format!("{head}.e30."), AuthError::NotThreeParts),
            (format!("{head}.e30"), AuthError::NotThreeParts),
            (format!("{head}..AA"), AuthError::NotThreeParts),
            (format!(".{rest}"), AuthError::NotThreeParts),
            (format!("{good}."), AuthError::NotThreeParts),
            (format!("{good}.AA.AA"), AuthError::NotThreeParts),
            (format!("{head}.e30.{}", "A".repeat(TOKEN_BYTES_MAX)), AuthError::TooLong),
        ];
        for (token, error) in cases {
            assert_eq!(read(&token).err(), Some(error), "{token}");
        }
    }

    proptest::proptest! {
                /// Any text is read or refused without a panic, and what is read is exactly what was sent.
        #[test]
        fn any_text_is_read_or_refused(header in ".{0,80}", payload in ".{0,80}", tail in "[A-Za-z0-9_.=-]{0,80}") {
            let token = format!("{}.{}.{tail}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
            for text in [token.as_str(), &tail] {
                if let Ok(read) = read(text) {
                    let again = URL_SAFE_NO_PAD.encode(&read.signed.signature);
                    proptest::prop_assert_eq!([read.signed.message, b".", again.as_bytes()].concat(), text.as_bytes());
                }
            }
        }
    }
}

//! Everything that can be wrong with credentials: a closed list, each with its public reason and its text for the log.
//!
//! The texts are constants, so nothing that a stranger sent can reach a log line through them.

use crate::identity::json::JsonError;
use crate::model::{AlgorithmError, Denial, Reason};

/// Why the credentials of a request are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum AuthError {
    NoCredentials,
    SeveralAuthorizations,
    TokenInUrl,
    NotATokenText,
    TooLong,
    NotThreeParts,
    NotCanonicalBase64,
    NotAnObject,
    AmbiguousObject,
    WrongClaimType,
    AlgorithmMissing,
    AlgorithmNone,
    AlgorithmSymmetric,
    AlgorithmUnsupported,
    CriticalExtension,
    EmbeddedKey,
    NestedOrEncrypted,
    KeyIdTooLong,
    TypeRefused,
    AlgorithmNotInContract,
    IssuerMissing,
    ClientMissing,
    ClientAmbiguous,
    VendorUnknown,
    KeyUnknown,
    SignatureWrong,
    AudienceMissing,
    AudienceWrong,
    ClaimRequired,
    IssuerOther,
    ExpiryMissing,
    IssueTimeMissing,
    DateOutOfRange,
    ScopeMalformed,
    ConfirmationMalformed,
    IssuedInFuture,
    Expired,
    NotYetValid,
    NoKeys,
    NotActive,
    IssuerSilent,
    Lifetime,
    Age,
    Superseded,
    KeyTooOld,
    Revoked,
    CertificateMissing,
    CertificateNotBound,
    CertificateExpired,
    CertificateRevoked,
    TokenNotBound,
    ProofMissing,
    ProofMalformed,
    ProofWrong,
    ProofStale,
    ProofReplayed,
    SignatureHeaders,
    WebhookStale,
    WebhookNoSecret,
    WebhookUnderWay,
    WebhookFull,
    WebhookSignature,
    TermsChanged,
    KeyWithdrawn,
}

impl AuthError {
    /// The public reason and the text for the log.
    pub(crate) const fn parts(self) -> (Reason, &'static str) {
        use Reason as R;
        match self {
            Self::NoCredentials => (R::TokenMissing, "no bearer token and no certificate of a known vendor"),
            Self::SeveralAuthorizations => (R::RequestMalformed, "more than one Authorization header"),
            Self::TokenInUrl => (R::RequestMalformed, "an access token in the URL"),
            Self::NotATokenText => (R::TokenMalformed, "the credentials hold a byte that no token has"),
            Self::TooLong => (R::TokenMalformed, "the token is longer than the contract's token_bytes_max"),
            Self::NotThreeParts => (R::TokenMalformed, "not three parts"),
            Self::NotCanonicalBase64 => (R::TokenMalformed, "a part is not canonical unpadded base64url"),
            Self::NotAnObject => (R::TokenMalformed, "header or payload is not a JSON object"),
            Self::AmbiguousObject => (R::TokenMalformed, "a repeated member, or more or deeper ones than allowed"),
            Self::WrongClaimType => (R::TokenInvalid, "a member has the wrong JSON type"),
            Self::AlgorithmMissing => (R::TokenInvalid, "alg is missing"),
            Self::AlgorithmNone => (R::TokenInvalid, "alg is none: the token is not signed"),
            Self::AlgorithmSymmetric => (R::TokenInvalid, "alg is symmetric: whoever verifies with it could sign"),
            Self::AlgorithmUnsupported => (R::TokenInvalid, "alg is not supported here"),
            Self::CriticalExtension => (R::TokenInvalid, "crit or b64 is present"),
            Self::EmbeddedKey => (R::TokenInvalid, "the header carries a key or a key's address"),
            Self::NestedOrEncrypted => (R::TokenInvalid, "nested, compressed or encrypted"),
            Self::KeyIdTooLong => (R::TokenInvalid, "kid is longer than the bound"),
            Self::TypeRefused => (R::TokenInvalid, "typ is not that of an access token"),
            Self::AlgorithmNotInContract => (R::TokenInvalid, "the contract does not list this alg"),
            Self::IssuerMissing => (R::TokenInvalid, "iss is missing"),
            Self::ClientMissing => (R::TokenInvalid, "no claim names the client"),
            Self::ClientAmbiguous => (R::TokenInvalid, "the claims that name the client differ"),
            Self::VendorUnknown => (R::VendorUnknown, "no contract names this issuer and client"),
            Self::KeyUnknown => (R::TokenInvalid, "no key with this kid and alg"),
            Self::SignatureWrong => (R::TokenInvalid, "the signature does not verify"),
            Self::AudienceMissing => (R::TokenInvalid, "the audience claim is missing"),
            Self::ClaimRequired => (R::TokenInvalid, "a claim does not have the text that claims.require asks for"),
            Self::IssuerOther => (R::TokenInvalid, "the introspection answer is about another issuer's token"),
            Self::AudienceWrong => (R::TokenInvalid, "aud does not hold the contract's audience"),
            Self::ExpiryMissing => (R::TokenInvalid, "exp is missing"),
            Self::IssueTimeMissing => {
                (R::TokenInvalid, "iat is missing, and at+jwt or a rotation rule of the contract needs it")
            }
            Self::DateOutOfRange => (R::TokenInvalid, "a date is out of range"),
            Self::ScopeMalformed => (R::TokenInvalid, "the scopes are malformed, too many, or scope and scp differ"),
            Self::ConfirmationMalformed => (R::TokenInvalid, "cnf is malformed"),
            Self::IssuedInFuture => (R::TokenInvalid, "iat lies in the future"),
            Self::Expired => (R::TokenExpired, "past exp"),
            Self::NotYetValid => (R::TokenExpired, "before nbf"),
            Self::NoKeys => (R::IssuerUnavailable, "no keys of the issuer are held"),
            Self::NotActive => (R::TokenInvalid, "the issuer says that the token is not active"),
            Self::IssuerSilent => (R::IssuerUnavailable, "the issuer has not answered for this token"),
            Self::Lifetime => (R::TokenLifetime, "issued for longer than the contract's max_lifetime"),
            Self::Age => (R::TokenAge, "issued longer ago than the contract's max_age"),
            Self::Superseded => (R::TokenSuperseded, "the client has used a newer token, and superseded_grace is over"),
            Self::KeyTooOld => (R::KeyTooOld, "the signing key is older than the contract's max_key_age"),
            Self::Revoked => (R::TokenRevoked, "revoked by token, client, key or time of issue"),
            Self::CertificateMissing => (R::TokenUnbound, "a certificate is needed and none was presented"),
            Self::CertificateNotBound => (R::TokenUnbound, "the certificate is not the one the token is bound to"),
            Self::CertificateExpired => (R::TokenExpired, "the client certificate is outside its dates"),
            Self::CertificateRevoked => (R::TokenRevoked, "the client certificate is revoked, or its CRL is stale"),
            Self::TokenNotBound => (R::TokenUnbound, "the contract asks for a bound token"),
            Self::ProofMissing => (R::TokenUnbound, "exactly one DPoP proof under the DPoP scheme is needed"),
            Self::ProofMalformed => (R::TokenUnbound, "the DPoP proof is malformed"),
            Self::ProofWrong => (R::TokenUnbound, "the DPoP proof is for another key, token, method or address"),
            Self::ProofStale => (R::TokenUnbound, "the DPoP proof is outside its time window"),
            Self::ProofReplayed => (R::TokenUnbound, "the DPoP proof was used before"),
            Self::SignatureHeaders => (R::TokenMissing, "a webhook signature header is missing or malformed"),
            Self::WebhookStale => (R::TokenExpired, "the webhook's timestamp is outside the tolerance"),
            Self::WebhookNoSecret => (R::TokenInvalid, "no secret for this webhook could be read from its files"),
            Self::WebhookUnderWay => (R::Overloaded, "the same webhook message is being delivered"),
            Self::WebhookFull => (R::Overloaded, "no more webhook messages of this vendor can be remembered"),
            Self::WebhookSignature => (R::TokenInvalid, "no live secret gives this webhook signature"),
            Self::TermsChanged => (R::TokenInvalid, "the contract's identity section takes such a token no longer"),
            Self::KeyWithdrawn => (R::TokenInvalid, "the issuer has withdrawn the key that signed"),
        }
    }
}

impl From<AuthError> for Denial {
    fn from(error: AuthError) -> Self {
        let (reason, words) = error.parts();
        Self::new(reason, words)
    }
}

impl From<JsonError> for AuthError {
    fn from(error: JsonError) -> Self {
        match error {
            JsonError::Malformed => Self::NotAnObject,
            JsonError::Ambiguous => Self::AmbiguousObject,
            JsonError::WrongType => Self::WrongClaimType,
        }
    }
}

impl From<AlgorithmError> for AuthError {
    fn from(why: AlgorithmError) -> Self {
        match why {
            AlgorithmError::Unsigned => Self::AlgorithmNone,
            AlgorithmError::Symmetric => Self::AlgorithmSymmetric,
            AlgorithmError::Unsupported => Self::AlgorithmUnsupported,
        }
    }
}

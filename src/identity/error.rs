//! Everything that can be wrong with credentials: a closed list, each with its public reason and its text for the log.
//!
//! The texts are constants, so nothing that a stranger sent can reach a log line through them.

use crate::identity::json::JsonError;
use crate::model::{AlgorithmError, Denial, Reason};

/// Declares the list: `Variant = Reason "text for the log"`.
macro_rules! auth_errors {
    ($($variant:ident = $reason:ident $words:literal;)+) => {
        /// Why the credentials of a request are refused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(crate) enum AuthError {
            $($variant,)+
        }

        impl AuthError {
            /// The public reason and the text for the log.
            pub(crate) const fn parts(self) -> (Reason, &'static str) {
                match self { $(Self::$variant => (Reason::$reason, $words),)+ }
            }
        }
    };
}

auth_errors! {
    NoCredentials = TokenMissing "no bearer token and no certificate of a known vendor";
    SeveralAuthorizations = RequestMalformed "more than one Authorization header";
    TokenInUrl = RequestMalformed "an access token in the URL";
    NotATokenText = TokenMalformed "the credentials hold a byte that no token has";
    TooLong = TokenMalformed "the token is longer than the contract's token_bytes_max";
    NotThreeParts = TokenMalformed "not three parts";
    NotCanonicalBase64 = TokenMalformed "a part is not canonical unpadded base64url";
    NotAnObject = TokenMalformed "header or payload is not a JSON object";
    AmbiguousObject = TokenMalformed "a repeated member, or more or deeper ones than allowed";
    WrongClaimType = TokenInvalid "a member has the wrong JSON type";
    AlgorithmMissing = TokenInvalid "alg is missing";
    AlgorithmNone = TokenInvalid "alg is none: the token is not signed";
    AlgorithmSymmetric = TokenInvalid "alg is symmetric: whoever verifies with it could sign";
    AlgorithmUnsupported = TokenInvalid "alg is not supported here";
    CriticalExtension = TokenInvalid "crit or b64 is present";
    EmbeddedKey = TokenInvalid "the header carries a key or a key's address";
    NestedOrEncrypted = TokenInvalid "nested, compressed or encrypted";
    KeyIdTooLong = TokenInvalid "kid is longer than the bound";
    TypeRefused = TokenInvalid "typ is not that of an access token";
    AlgorithmNotInContract = TokenInvalid "the contract does not list this alg";
    IssuerMissing = TokenInvalid "iss is missing";
    ClientMissing = TokenInvalid "no claim names the client";
    ClientAmbiguous = TokenInvalid "the claims that name the client differ";
    VendorUnknown = VendorUnknown "no contract names this issuer and client";
    KeyUnknown = TokenInvalid "no key with this kid and alg";
    SignatureWrong = TokenInvalid "the signature does not verify";
    AudienceMissing = TokenInvalid "the audience claim is missing";
    AudienceWrong = TokenInvalid "aud does not hold the contract's audience";
    ClaimRequired = TokenInvalid "a claim does not have the text that claims.require asks for";
    IssuerOther = TokenInvalid "the introspection answer is about another issuer's token";
    ExpiryMissing = TokenInvalid "exp is missing";
    IssueTimeMissing = TokenInvalid "iat is missing, and at+jwt or a rotation rule of the contract needs it";
    DateOutOfRange = TokenInvalid "a date is out of range";
    ScopeMalformed = TokenInvalid "the scopes are malformed, too many, or scope and scp differ";
    ConfirmationMalformed = TokenInvalid "cnf is malformed";
    IssuedInFuture = TokenInvalid "iat lies in the future";
    Expired = TokenExpired "past exp";
    NotYetValid = TokenExpired "before nbf";
    NoKeys = IssuerUnavailable "no keys of the issuer are held";
    NotActive = TokenInvalid "the issuer says that the token is not active";
    IssuerSilent = IssuerUnavailable "the issuer has not answered for this token";
    Lifetime = TokenLifetime "issued for longer than the contract's max_lifetime";
    Age = TokenAge "issued longer ago than the contract's max_age";
    Superseded = TokenSuperseded "the client has used a newer token, and superseded_grace is over";
    KeyTooOld = KeyTooOld "the signing key is older than the contract's max_key_age";
    Revoked = TokenRevoked "revoked by token, client, key or time of issue";
    CertificateMissing = TokenUnbound "a certificate is needed and none was presented";
    CertificateNotBound = TokenUnbound "the certificate is not the one the token is bound to";
    CertificateExpired = TokenExpired "the client certificate is outside its dates";
    CertificateRevoked = TokenRevoked "the client certificate is revoked, or its CRL is stale";
    TokenNotBound = TokenUnbound "the contract asks for a bound token";
    ProofMissing = TokenUnbound "exactly one DPoP proof under the DPoP scheme is needed";
    ProofMalformed = TokenUnbound "the DPoP proof is malformed";
    ProofWrong = TokenUnbound "the DPoP proof is for another key, token, method or address";
    ProofStale = TokenUnbound "the DPoP proof is outside its time window";
    ProofReplayed = TokenUnbound "the DPoP proof was used before";
    SignatureHeaders = TokenMissing "a webhook signature header is missing or malformed";
    WebhookStale = TokenExpired "the webhook's timestamp is outside the tolerance";
    WebhookNoSecret = TokenInvalid "no secret for this webhook could be read from its files";
    WebhookUnderWay = Overloaded "the same webhook message is being delivered";
    WebhookFull = Overloaded "no more webhook messages of this vendor can be remembered";
    WebhookSignature = TokenInvalid "no live secret gives this webhook signature";
    TermsChanged = TokenInvalid "the contract's identity section takes such a token no longer";
    KeyWithdrawn = TokenInvalid "the issuer has withdrawn the key that signed";
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

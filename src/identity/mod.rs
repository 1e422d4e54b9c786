//! Who is calling: from credentials to a [`crate::model::Caller`].
//!
//! One [`IdentityState`] lives as long as the process and keeps what a reload must not lose: keys, verified tokens, marks,
//! revocations. From it each config's [`Directory`] is built, which decides about requests: [`Directory::authenticate`]
//! is synchronous and never fetches. Where a no could become a yes by waiting (a key or an opaque token seen for the first
//! time), the no carries a [`AuthWait`]; whoever asked may await it, once, and ask again.
//!
//! Takes the algorithm and key from the contract and its keys, never from the token. Read in this order: `authenticate`
//! (the decision), `jwt`, `claims`, `jwk` and `keyset` (what a token is), `ring` and `refresh` (where keys come from),
//! `rotation`, `marks` and `revocation` (what is judged anew each time), `recheck` (what is asked while something runs), `dpop`, `judge`, `introspection` and `webhook`
//! (the other proofs).

mod authenticate;
mod authority;
mod cache;
mod certificate;
mod claims;
mod credentials;
mod directory;
mod dpop;
mod explain;
mod file_status;
mod files;
mod flaw;
mod inspect;
mod introspection;
mod issuer;
mod json;
mod judge;
mod jwk;
mod jwt;
mod keyset;
mod looks;
mod marks;
mod naming;
mod outage;
#[cfg(test)]
mod published;
mod recheck;
mod refresh;
mod replay;
mod revocation;
mod ring;
mod roca;
pub mod rotation;
mod seen;
mod settings;
mod signing;
#[cfg(test)]
mod stand;
mod verified;
mod watched;
mod webhook;

pub use crate::model::{Algorithm, AlgorithmError};
pub use authenticate::{AuthWait, Rejected};
pub use authority::IdentityState;
pub use cache::CacheStatus;
pub use certificate::{CertificateError, PeerCertificate, SubjectAltName};
pub use credentials::PresentedRequest;
pub use directory::{Directory, DirectoryError, IdentityContract};
pub use dpop::inspect_proof;
pub use explain::{IdentityStep, TokenExplanation};
pub use file_status::FileStatus;
pub use files::FileError;
pub use inspect::{inspect_authorities, inspect_client_secret};
pub use introspection::{IntrospectionOutcome, IntrospectionStatus};
pub use json::JsonError;
pub use jwt::inspect_token;
pub use keyset::{KeysetError, inspect_keys};
pub use marks::{NullIdentityStore, RotationRecord, RotationStore};
pub use naming::{ClaimNames, ClaimPath, HeaderMember, TokenShape};
pub use refresh::RefreshError;
pub use revocation::{
    DistrustedKey, Revocation, RevocationStore, RevocationTarget, Revocations, VendorRevocations, keep_until,
};
pub use ring::{KeyStatus, RefreshOutcome};
pub use seen::CredentialName;
pub use settings::{
    CertificateSettings, FetchSettings, IdentitySettings, IntrospectionSettings, KeySource, RotationRules,
    SenderBinding, SupersededBy, TokenSettings,
};
pub use signing::{SigningError, SigningKey};
pub use verified::VerifiedCaller;
pub use watched::FileKind;
pub use webhook::{
    AcceptedWebhook, HandshakeReply, HeaderPart, PendingWebhook, SecretFingerprint, SignatureEncoding,
    SignatureTemplate, TemplatePart, TimestampFormat, WEBHOOK_CLIENT, WebhookHandshake, WebhookOutcome, WebhookPreset,
    WebhookProof, WebhookRecipe, WebhookRequest, WebhookSecretEncoding, WebhookSettings, WebhookVerifier,
    inspect_secret, inspect_signature,
};

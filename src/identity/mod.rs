//! Who is calling: from credentials to a [`crate::model::Caller`].
//!
//! One [`IdentityState`] lives as long as the process and keeps what a reload must not lose: keys, verified tokens,
//! marks, revocations. From it each config's [`Directory`] is built, which decides about requests:
//! [`Directory::authenticate`] is synchronous and never fetches. Where a no could become a yes by waiting (a key or an
//! opaque token seen for the first time), the no carries a [`AuthWait`]; whoever asked may await it, once, and ask
//! again.
//!
//! Takes the algorithm and key from the contract and its keys, never from the token. Read in this order: `authenticate`
//! (the decision), `jwt`, `claims`, `jwk` and `keyset` (what a token is), `ring` and `refresh` (where keys come from),
//! `rotation`, `marks` and `revocation` (what is judged anew each time), `recheck` (what is asked while something
//! runs), `dpop`, `judge`, `introspection` and `webhook` (the other proofs).

mod caller;
mod certificate;
mod directory;
mod error;
mod files;
#[cfg(test)]
mod fixture;
mod inspect;
mod introspection;
mod json;
mod keys;
mod outage;
mod replay;
mod revocation;
mod settings;
mod state;
mod token;
mod webhook;

pub use crate::model::{Algorithm, AlgorithmError};
pub use caller::authenticate::{AuthWait, Rejected};
pub use caller::names::CredentialName;
pub use caller::verified::VerifiedCaller;
pub use certificate::peer::{PeerCertificate, SubjectAltName};
pub use directory::{Directory, DirectoryError, IdentityContract};
pub use files::status::FileStatus;
pub use inspect::{inspect_authorities, inspect_client_secret};
pub use introspection::IntrospectionOutcome;
pub use keys::issuer_keys::RefreshOutcome;
pub use keys::key_set::inspect_keys;
pub use keys::signing::{SigningError, SigningKey};
pub use revocation::{DistrustedKey, Revocation, RevocationStore, RevocationTarget, keep_until};
pub use settings::{
    CertificateSettings, FetchSettings, IdentitySettings, IntrospectionSettings, KeySource, RotationRules,
    SenderBinding, SupersededBy, TokenSettings,
};
pub use state::IdentityState;
pub use token::claim_names::{ClaimNames, ClaimPath, HeaderMember, TokenShape};
pub use token::credentials::PresentedRequest;
#[cfg(feature = "internals")]
pub use token::history::NullIdentityStore;
pub use token::history::{RotationRecord, RotationStore};
pub use webhook::{
    AcceptedWebhook, HandshakeReply, HeaderPart, PendingWebhook, SecretFingerprint, SignatureEncoding,
    SignatureTemplate, TemplatePart, TimestampFormat, WEBHOOK_CLIENT, WebhookHandshake, WebhookOutcome, WebhookPreset,
    WebhookProof, WebhookRecipe, WebhookRequest, WebhookSecretEncoding, WebhookSettings, WebhookVerifier,
    inspect_secret,
};
/// What fuzz targets call.
#[cfg(feature = "internals")]
pub use {token::dpop::inspect_proof, token::jwt::inspect_token, webhook::inspect_signature};

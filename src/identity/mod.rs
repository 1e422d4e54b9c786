//! Who is calling: from credentials to a [`crate::model::Caller`].
//!
//! One [`IdentityState`] lives as long as the process and keeps what a reload must not lose: keys, verified callers,
//! the newest token of each client, revocations. From it each config's [`Directory`] is built, which decides about
//! requests: [`Directory::authenticate`] is synchronous and never fetches. Where a refusal could become a success by
//! waiting (for a key or an opaque token that is seen for the first time), it carries an [`AuthWait`]: the gateway may
//! await that once and then try again.
//!
//! Algorithm and key are taken from the contract and the issuer's key set, never from the token.
//!
//! | folder | what is in it |
//! | --- | --- |
//! | `caller` | the decision about a request, the cache of verified callers, checks of requests in flight, `explain` |
//! | `token` | what a token is: credentials, JWT, claims, rotation rules, DPoP |
//! | `keys` | where an issuer's keys come from: JWK, key set, refresh |
//! | `certificate` | vendors that are known by a client certificate |
//! | `webhook` | vendors that sign their webhooks |
//! | `introspection` | opaque tokens, about which the issuer is asked |
//! | `revocation` | what an operator has revoked |
//! | `services` | our own services, which call vendors |
//! | `files` | secrets, authorities and key files that may be replaced at any time |

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
mod services;
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
pub(crate) use files::read::read_in_background;
pub use files::status::FileStatus;
pub(crate) use files::watched::{FileKind, WatchedFiles};
pub use inspect::{inspect_authorities, inspect_client_secret};
pub use introspection::IntrospectionOutcome;
pub use keys::issuer_keys::RefreshOutcome;
pub use keys::key_set::inspect_keys;
pub(crate) use keys::schedule::FetchQuota;
pub use keys::signing::{SigningError, SigningKey};
pub(crate) use outage::{OutageChange, OutageLog};
pub use revocation::{DistrustedKey, Revocation, RevocationStore, RevocationTarget, Revocations, keep_until};
pub use services::{IdentifiedService, PresentedService, ServiceDirectory, ServiceProof, ServiceSettings};
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
pub use token::issuer_profile::IssuerProfile;
pub(crate) use webhook::decode_secret;
pub use webhook::{
    AcceptedWebhook, HandshakeReply, HeaderPart, PendingWebhook, SecretFingerprint, SignatureEncoding,
    SignatureTemplate, TemplatePart, TimestampFormat, WEBHOOK_CLIENT, WebhookHandshake, WebhookOutcome, WebhookPreset,
    WebhookProof, WebhookRecipe, WebhookRequest, WebhookSecretEncoding, WebhookSettings, WebhookVerifier,
    inspect_secret, split_template,
};
/// What fuzz targets call.
#[cfg(feature = "internals")]
pub use {token::dpop::inspect_proof, token::jwt::inspect_token, webhook::inspect_signature};

//! Who is calling: from credentials to a [`crate::model::Caller`].
//!
//! Takes the algorithm and key from the contract and its keys, never from the token. Never fetches while deciding.

mod authenticate;
mod authority;
mod cache;
mod certificate;
mod claims;
mod credentials;
mod directory;
mod dpop;
mod explain;
mod files;
mod flaw;
mod introspection;
mod json;
mod judge;
mod jwk;
mod jwt;
mod keyset;
mod marks;
#[cfg(test)]
mod published;
mod refresh;
mod replay;
mod revocation;
mod ring;
mod roca;
pub mod rotation;
mod settings;
mod signing;
mod verified;
mod watched;
mod webhook;

pub use authenticate::{Rejected, Wait};
pub use authority::Authority;
pub use cache::CacheStatus;
pub use certificate::{CertificateError, PeerCertificate, SubjectAltName};
pub use credentials::Presented;
pub use directory::{Contract, Directory, DirectoryError};
pub use explain::Step;
pub use files::FileError;
pub use introspection::IntrospectionStatus;
pub use json::JsonError;
pub use keyset::{KeysetError, inspect_keys};
pub use marks::{Forgetful, MarkRecord, Marks};
pub use refresh::RefreshError;
pub use revocation::{Revocation, RevocationStore, Revocations, Revoked, VendorRevocations, keep_until};
pub use ring::{KeyFacts, KeyStatus, RefreshOutcome};
pub use settings::{
    Algorithm, CertificateSettings, FetchSettings, Identity, IntrospectionSettings, KeySource, Rotation, Sender,
    Settings, WebhookScheme, WebhookSettings,
};
pub use signing::{SigningError, SigningKey};
pub use verified::Verified;
pub use webhook::{Check, Taken, Webhook};

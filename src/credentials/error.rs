//! Why a request cannot be given the credential that its vendor asks for. No text holds any part of a secret.

use std::borrow::Cow;
use std::time::Duration;

use crate::model::{Denial, Reason};

/// Why a request has no credential. It is then refused and never sent without one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// The token or the secret could not be had; trying again may help.
    #[error("{detail}")]
    Unavailable {
        /// What went wrong last.
        detail: Cow<'static, str>,
        /// When the next try is.
        retry_after: Option<Duration>,
    },
    /// A secret is older than its `max_age`.
    #[error("the {0} is older than its max_age")]
    Expired(&'static str),
    /// The calling service has sent no token to exchange.
    #[error("the caller sent no bearer token to exchange")]
    SubjectMissing,
    /// The vendor's server has refused the token of the calling service.
    #[error("the vendor's token endpoint refused the caller's token")]
    SubjectRefused,
    /// The body must be signed and is too large to be held.
    #[error("the body is too large to be signed")]
    BodyTooLarge,
    /// The secret cannot stand where it must.
    #[error("{0}")]
    Unusable(&'static str),
}

impl CredentialError {
    pub(super) fn unavailable(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::Unavailable { detail: detail.into(), retry_after: None }
    }

    /// The denial that the caller gets.
    pub fn denial(&self) -> Denial {
        let text = self.to_string();
        match self {
            Self::Unavailable { retry_after, .. } => {
                let denial = Denial::new(Reason::CredentialUnavailable, text);
                retry_after.map_or(denial.clone(), |wait| denial.retry_after(wait))
            }
            Self::Unusable(_) => Denial::new(Reason::CredentialUnavailable, text),
            Self::Expired(_) => Denial::new(Reason::CredentialExpired, text),
            Self::SubjectMissing | Self::SubjectRefused => Denial::new(Reason::SubjectTokenRefused, text),
            Self::BodyTooLarge => {
                const TOLD: &str = "The body must be signed, so it must be known whole, and be at most 64 KiB.";
                Denial::with_public_text(Reason::BodyTooLarge, TOLD)
            }
        }
    }
}

//! What a token is: where a request carries it, its text, its claims, its age, and the proofs bound to it.

pub(super) mod claim_names;
pub(super) mod claims;
pub(super) mod credentials;
pub(super) mod dpop;
pub(super) mod history;
pub(super) mod issuer_profile;
pub(super) mod jwt;
#[cfg(test)]
mod published;
pub(super) mod rotation;

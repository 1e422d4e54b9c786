//! What one request is given: a secret that is held, or a token that was fetched.

use std::sync::Arc;

use http::HeaderValue;

use super::exchange::ExchangedToken;
use super::keeper::KeptValue;
use super::secret::HeldValue;

/// What one request is given.
#[derive(Debug)]
pub struct ObtainedCredential(pub(super) Obtained);

#[derive(Debug)]
pub(super) enum Obtained {
    Secret(HeldValue),
    Aws(HeldValue, Option<HeldValue>),
    Token(Arc<KeptValue<HeaderValue>>),
    Exchanged(ExchangedToken),
}

impl ObtainedCredential {
    /// Whether a request would be given the same.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Obtained::Secret(one), Obtained::Secret(other)) => one.bytes() == other.bytes(),
            (Obtained::Aws(one, session), Obtained::Aws(other, theirs)) => {
                let session = session.as_ref().map(HeldValue::bytes);
                one.bytes() == other.bytes() && session == theirs.as_ref().map(HeldValue::bytes)
            }
            (Obtained::Token(one), Obtained::Token(other)) => one.value == other.value,
            (Obtained::Exchanged(one), Obtained::Exchanged(other)) => one.authorization == other.authorization,
            (Obtained::Secret(_) | Obtained::Aws(..) | Obtained::Token(_) | Obtained::Exchanged(_), _) => false,
        }
    }
}

/// The token behind its scheme.
pub(super) fn token_of(authorization: &HeaderValue) -> &[u8] {
    let bytes = authorization.as_bytes();
    bytes.strip_prefix(b"Bearer ").unwrap_or(bytes)
}

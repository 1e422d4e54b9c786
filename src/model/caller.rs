//! Who a request was proven to come from.

use std::sync::Arc;

use super::{ScopeSet, UnixTime, VendorId};

/// An OAuth client's id, or the identity that a certificate or signature proved.
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(transparent)]
#[schemars(inline, description = "")]
pub struct ClientId(Arc<str>);

impl ClientId {
    /// Takes a client's id as the issuer wrote it; any non-empty text is one.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The id as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The claims of a verified token that are checked again on each request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// The claim that the contract names, or `client_id`, else `azp`, else `sub`.
    pub client: ClientId,
    /// `iat`, where present: a rule that counts from it refuses a token without.
    pub issued_at: Option<UnixTime>,
    /// `exp`; absent only from an issuer's answer about an opaque token, where the contract takes that.
    pub expires_at: Option<UnixTime>,
    /// `nbf`, where present.
    pub not_before: Option<UnixTime>,
    /// `jti`, where present.
    pub token_id: Option<Arc<str>>,
    /// `scope`, `scp` or what the contract names, exactly as granted; the contract's ceiling is applied later.
    pub scopes: ScopeSet,
    /// The `kid` of the key that signed, where it has one; also where the token does not name it.
    pub key_id: Option<Arc<str>>,
    /// The thumbprint of the key that signed (RFC 7638); absent for tokens that the issuer vouches for itself.
    pub key_thumbprint: Option<[u8; 32]>,
    /// `cnf.x5t#S256` (RFC 8705), where present.
    pub certificate_thumbprint: Option<[u8; 32]>,
    /// `cnf.jkt` (RFC 9449), where present.
    pub proof_key_thumbprint: Option<[u8; 32]>,
}

/// Who a request was proven to come from: a vendor, and how it proved it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The vendor whose contract the credentials belong to.
    pub vendor: VendorId,
    /// The client within that vendor.
    pub client: ClientId,
    /// The verified token; absent for vendors known by certificate or signature alone.
    pub claims: Option<Arc<Claims>>,
}

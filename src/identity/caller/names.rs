//! Whether a name that an operator's order uses is known here: the name of a client, a token or a key.
//!
//! An order with a misspelt name would have no effect. The order is kept all the same, and the operator is warned.
//! Searches the whole cache: for orders, never for requests.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::identity::directory::Directory;
use crate::identity::revocation::DistrustedKey;
use crate::identity::webhook::WEBHOOK_CLIENT;
use crate::model::{Claims, ClientId, VendorId};

use super::verified::VerifiedCaller;

/// The name of a client, a token or a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialName<'a> {
    /// A client.
    Client(&'a str),
    /// A token, by its `jti`.
    Token(&'a str),
    /// A signing key, by its `kid`, or by its thumbprint (RFC 7638).
    Key(&'a str),
}

impl Directory {
    /// Whether the vendor's contract has this name, or one of its cached callers does.
    ///
    /// Tokens are cached since the process started, and not all of them: the cache is bounded and drops the least used.
    pub fn has_seen(&self, vendor: &VendorId, name: CredentialName<'_>) -> bool {
        self.is_declared(vendor, name)
            || self.cache.holds(|known| known.caller().vendor == *vendor && known.is_named(name))
    }

    /// The keys that an order to distrust this name covers, as far as they are known now.
    pub fn distrusted(&self, vendor: &VendorId, name: &str) -> DistrustedKey {
        let keys = self
            .index_of(vendor)
            .and_then(|index| self.vendor(index))
            .map(|vendor| vendor.issuer_keys.thumbprints(name));
        let mut thumbprints = keys.unwrap_or_default();
        thumbprints.extend(thumbprint(name));
        DistrustedKey { name: name.into(), thumbprints }
    }

    /// Whether the contract or the issuer's key set has this name.
    fn is_declared(&self, vendor: &VendorId, name: CredentialName<'_>) -> bool {
        let by_token = self.index_of(vendor).and_then(|index| self.vendor(index));
        match name {
            CredentialName::Client(client) => {
                let listed = by_token.is_some_and(|vendor| vendor.settings.clients.contains(&ClientId::new(client)));
                let certified = self.certified.get(vendor).is_some_and(|known| known.client.as_str() == client);
                let signs = client == WEBHOOK_CLIENT && self.webhooks().iter().any(|known| known.vendor() == vendor);
                listed || certified || signs
            }
            CredentialName::Token(_) => false,
            CredentialName::Key(key) => by_token.is_some_and(|vendor| !vendor.issuer_keys.thumbprints(key).is_empty()),
        }
    }
}

impl VerifiedCaller {
    /// Whether its credentials have this name.
    pub fn is_named(&self, name: CredentialName<'_>) -> bool {
        let claimed = |is_it: &dyn Fn(&Claims) -> bool| self.claims().is_some_and(is_it);
        match name {
            CredentialName::Client(client) => self.caller().client.as_str() == client,
            CredentialName::Token(id) => claimed(&|claims| claims.token_id.as_deref() == Some(id)),
            CredentialName::Key(key) => claimed(&|claims| {
                claims.key_id.as_deref() == Some(key)
                    || thumbprint(key).is_some_and(|key| claims.key_thumbprint == Some(key))
            }),
        }
    }
}

/// Reads a thumbprint as RFC 7638 section 3.1 writes it: base64url of 32 bytes.
pub(crate) fn thumbprint(text: &str) -> Option<[u8; 32]> {
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

//! Whether a name has been seen: a client, a token or a key that an order names.
//!
//! A misspelt name makes an order that nothing will ever meet. It is kept all the same, and whoever gave it is told. Looks
//! through everything that is remembered: for orders, never for requests.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::identity::directory::Directory;
use crate::identity::revocation::DistrustedKey;
use crate::identity::webhook::WEBHOOK_CLIENT;
use crate::model::{Claims, ClientId, VendorId};

use super::verified::VerifiedCaller;

/// What an order names.
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
    /// Whether a vendor's contract names it, or one of its credentials that are remembered carries it.
    ///
    /// Tokens are remembered since the process started, and not all of them: a bounded memory forgets the least used.
    pub fn has_seen(&self, vendor: &VendorId, name: CredentialName<'_>) -> bool {
        self.is_declared(vendor, name)
            || self.cache.holds(|known| known.caller().vendor == *vendor && known.is_named(name))
    }

    /// The keys that an order to distrust one is about, as far as they are known now.
    pub fn distrusted(&self, vendor: &VendorId, name: &str) -> DistrustedKey {
        let keys = self
            .index_of(vendor)
            .and_then(|index| self.vendor(index))
            .map(|vendor| vendor.issuer_keys.thumbprints(name));
        let mut thumbprints = keys.unwrap_or_default();
        thumbprints.extend(thumbprint(name));
        DistrustedKey { name: name.into(), thumbprints }
    }

    /// Whether contract or issuer name it.
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
    /// Whether its credentials carry the name.
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

/// A thumbprint as RFC 7638 section 3.1 writes it.
pub(crate) fn thumbprint(text: &str) -> Option<[u8; 32]> {
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

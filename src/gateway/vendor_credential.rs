//! The credential by which one vendor knows us, as the config in force has it.

use std::sync::Arc;

use super::assemble::VendorBuilder;
use super::snapshot::VendorRuntime;
use crate::credentials::{AskPermission, CredentialContext, CredentialSettings, VendorCredential};
use crate::http::AddressCheck;
use crate::model::Secret;
use crate::pii::VendorKeys;
use crate::pii::keys::VendorSalt;
use crate::upstream::AllowedNetworks;

impl VendorBuilder<'_> {
    /// The credential is kept, with its tokens, while the setting and the vendor's keys stay the same.
    pub(super) fn held_credential(
        &self,
        salt: &VendorSalt,
        keys: &Arc<VendorKeys>,
        before: Option<&Arc<VendorRuntime>>,
    ) -> Option<Arc<VendorCredential>> {
        let settings = self.contract.credentials.as_ref()?;
        let same = before.and_then(|vendor| vendor.credential.as_ref()).filter(|known| known.settings() == settings);
        if let Some(same) = same {
            return Some(Arc::clone(same));
        }
        let gate = self.services.switch.gate(&self.contract.vendor);
        let permission = AskPermission::new(gate, self.contract.calendar());
        let context = CredentialContext {
            vendor: self.contract.vendor.clone(),
            keys: Arc::clone(keys),
            fingerprint_key: Secret::new(blake3::derive_key("vendorgate 2026 credential", salt.expose())),
            store: Arc::clone(&self.services.credentials),
            clock: self.services.clock.clone(),
            addresses: endpoint_addresses(settings),
            permission: Some(permission),
        };
        Some(VendorCredential::open(settings, context))
    }
}

/// Which addresses a token endpoint may have: those that the vendor's own API may, and the one that its URL names.
fn endpoint_addresses(settings: &CredentialSettings) -> AddressCheck {
    let CredentialSettings::OAuth2(oauth) = settings else { return Arc::new(|_| false) };
    let networks = AllowedNetworks::PublicAnd(oauth.networks.clone().into());
    let (named, is_local) = (oauth.token_url.address(), oauth.token_url.bare_host() == "localhost");
    Arc::new(move |address| named == Some(address) || is_local && address.is_loopback() || networks.allows(address))
}

//! Every vendor of one config and how it proves itself: found by issuer and client, by certificate or by webhook
//! signature. Immutable.
//!
//! Two vendors can never be found by the same credentials: such a config is refused. Never fetches.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::bounds::TOKEN_BYTES_DEFAULT;
use crate::http::{Url, UrlError};
use crate::identity::caller::cache::TokenCache;
use crate::identity::caller::issuer_clients::IssuerClients;
use crate::identity::certificate::peer::{PeerCertificate, SubjectAltName};
use crate::identity::certificate::vendor::CertificateVendor;
use crate::identity::error::AuthError;
use crate::identity::introspection::{IntrospectionStatus, Introspector};
use crate::identity::keys::issuer_keys::{IssuerKeys, IssuerKeysId, KeyStatus};
use crate::identity::keys::refresh;
use crate::identity::replay::ReplayCache;
use crate::identity::revocation::RevocationSlot;
use crate::identity::settings::{
    CertificateSettings, IdentitySettings, IntrospectionSettings, KeySource, TokenSettings,
};
use crate::identity::state::IdentityState;
use crate::identity::token::history::{NewestToken, RotationHistory};
use crate::identity::token::jwt::{self, UnverifiedToken};
use crate::identity::webhook::{WebhookSettings, WebhookVerifier};
use crate::model::{ClientId, VendorId};

/// One contract's identity section, with the index of its vendor in the config.
#[derive(Debug, Clone)]
pub struct IdentityContract {
    /// The vendor's index, chosen by the caller: small, and without large gaps.
    pub index: u32,
    /// The vendor.
    pub vendor: VendorId,
    /// How it proves itself.
    pub identity: IdentitySettings,
}

/// A contradiction between identity sections.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// One issuer's client is named by two vendors.
    #[error("client {client:?} of issuer {issuer:?} is named by both {first} and {second}")]
    ClientTwice {
        /// The issuer.
        issuer: String,
        /// The client.
        client: String,
        /// The vendor that was read first.
        first: VendorId,
        /// The other.
        second: VendorId,
    },
    /// A section names no client.
    #[error("{0}: identity.clients must name at least one client")]
    NoClients(VendorId),
    /// A section allows no algorithm.
    #[error("{0}: identity.algorithms must name at least one algorithm")]
    NoAlgorithms(VendorId),
    /// The issuer's address cannot be asked.
    #[error("{vendor}: the issuer's address cannot be asked")]
    Address {
        /// The vendor with that address.
        vendor: VendorId,
        /// Why it cannot be asked.
        #[source]
        source: UrlError,
    },
    /// Two issuers would be asked about the same opaque tokens.
    #[error("{vendor}: another issuer is asked about tokens that start with {prefix:?} already")]
    PrefixTwice {
        /// The vendor that was read second.
        vendor: VendorId,
        /// The prefix.
        prefix: String,
    },
    /// Two vendors would be named by one certificate.
    #[error("{first} and {second} have the same identity.certificate.subject_alt_name")]
    NameTwice {
        /// The vendor that was read first.
        first: VendorId,
        /// The other.
        second: VendorId,
    },
    /// Revocation lists need the authority that signs them.
    #[error("{0}: identity.certificate.crl_files needs ca_file")]
    ListsWithoutAuthority(VendorId),
    /// A webhook needs one live secret, or two while one is being replaced.
    #[error("{0}: identity.webhook.secret_files must name one or two files")]
    Secrets(VendorId),
}

/// Every vendor of one config.
#[derive(Debug)]
pub struct Directory {
    pub(crate) cache: Arc<TokenCache>,
    /// The longest token that any contract takes.
    pub(crate) token_bytes_max: usize,
    /// By vendor index.
    vendors: Vec<Option<Arc<TokenVendor>>>,
    by_id: HashMap<VendorId, u32>,
    by_issuer: HashMap<String, IssuerClients>,
    by_name: HashMap<SubjectAltName, Arc<CertificateVendor>>,
    pub(crate) certified: HashMap<VendorId, Arc<CertificateVendor>>,
    webhooks: Vec<Arc<WebhookVerifier>>,
    /// Longest prefix first.
    introspectors: Vec<Arc<Introspector>>,
}

/// The vendor of a client, and the record of its newest token.
#[derive(Debug, Clone)]
pub(crate) struct ClientEntry {
    pub(crate) vendor: u32,
    pub(crate) newest_token: Option<Arc<NewestToken>>,
}

/// A vendor that proves itself by tokens.
#[derive(Debug)]
pub(crate) struct TokenVendor {
    pub(crate) id: VendorId,
    pub(crate) index: u32,
    pub(crate) settings_version: u64,
    pub(crate) settings: Arc<TokenSettings>,
    pub(crate) issuer_keys: Arc<IssuerKeys>,
    pub(crate) revocations: RevocationSlot,
    pub(crate) replays: Arc<ReplayCache>,
    pub(crate) history: Arc<RotationHistory>,
}

impl Directory {
    /// Starts the background tasks that keep keys fresh. Tasks of the config before that are still needed continue.
    pub fn start(&self, runtime: &tokio::runtime::Handle) {
        self.vendors().for_each(|vendor| refresh::start(&vendor.issuer_keys, runtime));
        self.by_name.values().filter_map(|vendor| vendor.authorities.as_ref()).for_each(|files| files.start(runtime));
        self.webhooks.iter().for_each(|webhook| webhook.start_watching(runtime));
        self.introspectors.iter().filter_map(|one| one.secret.as_ref()).for_each(|secret| secret.start(runtime));
    }

    /// Vendors that are known by signatures over their bodies. For a request without token and certificate the gateway
    /// tries those whose routes match.
    pub fn webhooks(&self) -> &[Arc<WebhookVerifier>] {
        &self.webhooks
    }

    /// The state of introspection at a vendor's issuer; `None` for vendors whose tokens are verified by keys.
    pub fn introspection_status(&self, vendor_index: u32) -> Option<IntrospectionStatus> {
        let id = &self.vendor(vendor_index)?.issuer_keys.id;
        self.introspector_of(id).map(|one| one.status())
    }

    /// Waits until every issuer has been asked once, or for the deadline; the results are in [`Self::key_status`].
    pub async fn warm(&self, deadline: Duration) {
        let asked = async {
            for vendor in self.vendors().filter(|vendor| !matches!(vendor.settings.keys, KeySource::Introspection(_))) {
                let mut refreshes = vendor.issuer_keys.ended_refreshes();
                // The sender lives in the keys, which this directory holds.
                let _ = refreshes.wait_for(|count| *count > 0).await;
            }
        };
        let _ = tokio::time::timeout(deadline, asked).await;
    }

    /// The state of the keys of a vendor's issuer; `None` for vendors whose tokens are not verified by keys.
    pub fn key_status(&self, vendor_index: u32) -> Option<KeyStatus> {
        let by_keys = |vendor: &&Arc<TokenVendor>| !matches!(vendor.settings.keys, KeySource::Introspection(_));
        self.vendor(vendor_index).filter(by_keys).map(|vendor| vendor.issuer_keys.status())
    }

    /// The settings of a vendor with tokens; `None` for every other.
    #[cfg(test)]
    pub fn settings(&self, vendor_index: u32) -> Option<&TokenSettings> {
        self.vendor(vendor_index).map(|vendor| &*vendor.settings)
    }

    #[inline]
    pub(crate) fn vendor(&self, index: u32) -> Option<&Arc<TokenVendor>> {
        self.vendors.get(index as usize)?.as_ref()
    }

    pub(crate) fn index_of(&self, vendor: &VendorId) -> Option<u32> {
        self.by_id.get(vendor).copied()
    }

    /// The issuer that a token names. The token is not verified yet: good only for finding whose keys to try.
    ///
    /// # Errors
    /// When no contract names it. If the token's header would be refused from any issuer, that error comes first.
    pub(crate) fn issuer_of(&self, token: &UnverifiedToken<'_>) -> Result<&IssuerClients, AuthError> {
        let name = token.payload.text("iss")?.ok_or(AuthError::IssuerMissing)?;
        match self.issuer(name) {
            Some(issuer) => Ok(issuer),
            None => token.signed.header.check_alone().and(Err(AuthError::VendorUnknown)),
        }
    }

    pub(crate) fn issuer(&self, name: &str) -> Option<&IssuerClients> {
        self.by_issuer.get(name)
    }

    /// The one vendor that a certificate names; none when it names several.
    pub(crate) fn by_certificate(&self, certificate: &PeerCertificate) -> Option<&Arc<CertificateVendor>> {
        let mut named = certificate.names().iter().filter_map(|name| self.by_name.get(name));
        let first = named.next()?;
        if named.all(|other| Arc::ptr_eq(other, first)) { Some(first) } else { None }
    }

    /// The introspector of the issuer that can be asked about this token, if it is opaque.
    pub(crate) fn introspector(&self, token: &str) -> Option<&Arc<Introspector>> {
        let fits = |one: &&Arc<Introspector>| {
            let prefix = &one.settings.token_prefix;
            token.starts_with(prefix.as_str()) && !(prefix.is_empty() && jwt::is_compact(token))
        };
        self.introspectors.iter().find(fits)
    }

    /// The introspector for this issuer.
    pub(crate) fn introspector_of(&self, keys: &IssuerKeysId) -> Option<&Arc<Introspector>> {
        self.introspectors.iter().find(|one| one.id == *keys)
    }

    fn vendors(&self) -> impl Iterator<Item = &Arc<TokenVendor>> {
        self.vendors.iter().flatten()
    }
}

/// Builds a directory, or returns everything that is wrong with the identity sections.
pub(crate) fn build(state: &IdentityState, contracts: Vec<IdentityContract>) -> Result<Directory, Vec<DirectoryError>> {
    let directory = Directory {
        cache: Arc::clone(&state.cache),
        token_bytes_max: TOKEN_BYTES_DEFAULT,
        vendors: Vec::new(),
        by_id: HashMap::new(),
        by_issuer: HashMap::new(),
        by_name: HashMap::new(),
        certified: HashMap::new(),
        webhooks: Vec::new(),
        introspectors: Vec::new(),
    };
    let mut builder = DirectoryBuilder { state, directory, faults: Vec::new() };
    for contract in contracts {
        builder.add(contract);
    }
    builder.directory.introspectors.sort_by_key(|one| std::cmp::Reverse(one.settings.token_prefix.len()));
    if builder.faults.is_empty() { Ok(builder.directory) } else { Err(builder.faults) }
}

struct DirectoryBuilder<'a> {
    state: &'a IdentityState,
    directory: Directory,
    faults: Vec<DirectoryError>,
}

impl DirectoryBuilder<'_> {
    fn add(&mut self, contract: IdentityContract) {
        let version = self.state.settings_version(&contract.vendor, &contract.identity);
        let (index, id) = (contract.index, contract.vendor);
        match contract.identity {
            IdentitySettings::Token(settings) => self.add_token(index, id, version, *settings),
            IdentitySettings::Certificate(settings) => self.add_certificate(index, id, version, settings),
            IdentitySettings::Webhook(settings) => self.add_webhook(index, id, *settings),
        }
    }

    fn add_token(&mut self, index: u32, id: VendorId, version: u64, settings: TokenSettings) {
        self.check(&id, &settings);
        self.name_clients(index, &id, &settings);
        let keys = self.state.issuer_keys(IssuerKeysId {
            issuer: settings.issuer.clone(),
            source: settings.keys.clone(),
            fetch: settings.fetch.clone(),
        });
        match &settings.keys {
            KeySource::File(path) => read_once(&keys, path),
            KeySource::Introspection(asked) => self.add_introspector(&id, &keys.id, asked),
            KeySource::Url { .. } | KeySource::Discovery { .. } => {}
        }
        let revocations = self.state.revocations.slot(&id);
        let replays = self.state.replays(&id);
        self.directory.by_id.insert(id.clone(), index);
        let history = Arc::clone(&self.state.history);
        self.directory.token_bytes_max = self.directory.token_bytes_max.max(settings.shape.bytes_max);
        let settings = Arc::new(settings);
        self.place(
            index,
            Arc::new(TokenVendor {
                id,
                index,
                settings_version: version,
                settings,
                issuer_keys: keys,
                revocations,
                replays,
                history,
            }),
        );
    }

    /// Two issuers that could both be asked about one token would each learn the other's tokens.
    fn add_introspector(&mut self, id: &VendorId, keys: &IssuerKeysId, settings: &IntrospectionSettings) {
        let known = &mut self.directory.introspectors;
        if known.iter().any(|one| one.id == *keys) {
            return;
        }
        if known.iter().any(|one| one.settings.token_prefix == settings.token_prefix) {
            let prefix = settings.token_prefix.clone();
            self.faults.push(DirectoryError::PrefixTwice { vendor: id.clone(), prefix });
            return;
        }
        known.push(self.state.introspector(keys, settings));
    }

    fn add_certificate(&mut self, index: u32, id: VendorId, version: u64, settings: CertificateSettings) {
        if settings.ca_file.is_none() && !settings.crl_files.is_empty() {
            self.faults.push(DirectoryError::ListsWithoutAuthority(id.clone()));
        }
        let name = settings.subject_alt_name.clone();
        let revocations = self.state.revocations.slot(&id);
        let vendor = Arc::new(CertificateVendor::open(id.clone(), index, version, settings, revocations));
        self.directory.certified.insert(id.clone(), Arc::clone(&vendor));
        if let Some(first) = self.directory.by_name.insert(name, vendor) {
            self.faults.push(DirectoryError::NameTwice { first: first.id.clone(), second: id });
        }
    }

    fn add_webhook(&mut self, index: u32, id: VendorId, settings: WebhookSettings) {
        if !(1..=2).contains(&settings.secret_files.len()) {
            self.faults.push(DirectoryError::Secrets(id.clone()));
        }
        let replays = self.state.replays(&id);
        let revocations = self.state.revocations.slot(&id);
        let webhook = WebhookVerifier::open(id, index, settings, replays, revocations, Arc::clone(&self.state.cache));
        self.directory.webhooks.push(Arc::new(webhook));
    }

    fn check(&mut self, id: &VendorId, settings: &TokenSettings) {
        if settings.clients.is_empty() {
            self.faults.push(DirectoryError::NoClients(id.clone()));
        }
        let asked_about = matches!(settings.keys, KeySource::Introspection(_));
        if settings.algorithms.is_empty() && !asked_about {
            self.faults.push(DirectoryError::NoAlgorithms(id.clone()));
        }
        let address = match &settings.keys {
            KeySource::File(_) => None,
            KeySource::Url { url, .. } => Some(url),
            KeySource::Discovery { .. } => Some(&settings.issuer),
            KeySource::Introspection(asked) => Some(&asked.url),
        };
        let checked = address.map(|url| Url::parse_protected(url, settings.fetch.allow_plain_http));
        if let Some(Err(source)) = checked {
            self.faults.push(DirectoryError::Address { vendor: id.clone(), source });
        }
    }

    fn name_clients(&mut self, index: u32, id: &VendorId, settings: &TokenSettings) {
        for client in &settings.clients {
            let newest_token = settings.rotation.superseded_grace.map(|_| self.state.history.client(id, client));
            let issuer =
                self.directory.by_issuer.entry(settings.issuer.clone()).or_insert_with(|| IssuerClients::of(index));
            let clients = issuer.by_claims(&settings.claims.client);
            let before = clients.insert(client.as_str().into(), ClientEntry { vendor: index, newest_token });
            if let Some(other) = before.filter(|before| before.vendor != index) {
                self.clash(&settings.issuer, client, other.vendor, id);
            }
        }
    }

    fn clash(&mut self, issuer: &str, client: &ClientId, first: u32, second: &VendorId) {
        let first = self.directory.vendor(first).map_or_else(|| second.clone(), |vendor| vendor.id.clone());
        self.faults.push(DirectoryError::ClientTwice {
            issuer: issuer.to_owned(),
            client: client.as_str().to_owned(),
            first,
            second: second.clone(),
        });
    }

    fn place(&mut self, index: u32, vendor: Arc<TokenVendor>) {
        let index = index as usize;
        if self.directory.vendors.len() <= index {
            self.directory.vendors.resize(index + 1, None);
        }
        self.directory.vendors[index] = Some(vendor);
    }
}

/// Reads the key file, unless another config already uses these keys.
fn read_once(keys: &IssuerKeys, path: &Path) {
    if keys.status().tried_at.is_none() {
        refresh::read_file_now(keys, path);
    }
}

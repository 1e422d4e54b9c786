//! The certificates that the gateway shows or signs with, as a config names them.
//!
//! A certificate that ends stops the traffic that needs it, so its end is a metric.

use std::path::Path;

use super::{Contract, GatewaySettings};
use crate::credentials::{ClientAuthentication, CredentialSettings};
use crate::identity::IdentitySettings;

/// The PEM file of a certificate chain, and its place in the config.
#[derive(Debug)]
pub struct NamedCertificate<'a> {
    /// The key in the main file; for a contract, the vendor's id and the key in its file.
    pub place: String,
    /// The file.
    pub file: &'a Path,
}

impl GatewaySettings {
    /// All certificates of the gateway's own that this config names.
    pub fn certificates(&self) -> Vec<NamedCertificate<'_>> {
        let listeners = [
            ("listeners.ingress.tls", &self.listeners.ingress),
            ("listeners.egress.tls", &self.listeners.egress),
            ("listeners.admin.tls", &self.listeners.admin),
        ];
        let served = listeners.into_iter().filter_map(|(place, listener)| {
            Some(NamedCertificate { place: place.to_owned(), file: &listener.as_ref()?.tls.as_ref()?.cert })
        });
        let authority = self.egress.interception.iter().map(|authority| NamedCertificate {
            place: "listeners.egress.interception".to_owned(),
            file: &authority.ca,
        });
        let upstreams = self.upstreams.iter().filter_map(|upstream| {
            let (file, _) = upstream.tls.identity.as_ref()?;
            Some(NamedCertificate { place: format!("upstreams.{}.tls", upstream.id), file })
        });
        served.chain(authority).chain(upstreams).chain(self.contracts.iter().flat_map(|c| of_contract(c))).collect()
    }
}

fn of_contract(contract: &Contract) -> impl Iterator<Item = NamedCertificate<'_>> {
    let upstream = contract.egress.as_slice().first().and_then(|route| route.upstream.tls.identity.as_ref());
    let found = [
        ("egress.upstream.tls", upstream.map(|(cert, _)| cert.as_path())),
        ("egress.credentials.oauth2", contract.credentials.as_ref().and_then(token_endpoint)),
        ("identity.fetch", contract.identity.as_ref().and_then(issuer)),
    ];
    let named = move |(key, file): (&str, Option<_>)| {
        Some(NamedCertificate { place: format!("{}: {key}", contract.vendor), file: file? })
    };
    found.into_iter().filter_map(named)
}

fn token_endpoint(credentials: &CredentialSettings) -> Option<&Path> {
    match credentials {
        CredentialSettings::OAuth2(oauth) => match &oauth.client_auth {
            ClientAuthentication::TlsCertificate { cert, .. } => Some(cert),
            ClientAuthentication::None
            | ClientAuthentication::SecretBasic(_)
            | ClientAuthentication::SecretPost(_)
            | ClientAuthentication::PrivateKeyJwt(_) => None,
        },
        CredentialSettings::Bearer(_)
        | CredentialSettings::ApiKey(..)
        | CredentialSettings::Basic(..)
        | CredentialSettings::Hmac(_)
        | CredentialSettings::AwsSigV4(_) => None,
    }
}

fn issuer(identity: &IdentitySettings) -> Option<&Path> {
    match identity {
        IdentitySettings::Token(token) => token.fetch.client_certificate.as_ref().map(|(cert, _)| cert.as_path()),
        IdentitySettings::Certificate(_) | IdentitySettings::Webhook(_) => None,
    }
}

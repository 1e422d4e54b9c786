//! What the tokens of well-known issuers are like: a set of defaults for a contract, which written keys override.
//!
//! Made after the issuers' public documentation. A profile only names claims, types and algorithms; it trusts no key
//! and no issuer by itself.

use super::claim_names::ClaimPath;
use crate::identity::settings::{SenderBinding, TokenSettings};
use crate::model::{Algorithm, words};

words! {
    /// An issuer whose tokens have a known form.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
    #[serde(rename_all = "snake_case")]
    pub enum IssuerProfile {
        /// Microsoft Entra ID, tokens of version 1.0 and 2.0.
        Entra = "entra",
        /// Okta, tokens of a custom authorization server.
        Okta = "okta",
        /// Auth0, in its own token profile and in that of RFC 9068.
        Auth0 = "auth0",
        /// Keycloak, with roles of the realm and of the client that the audience names.
        Keycloak = "keycloak",
        /// Access tokens of an Amazon Cognito user pool.
        Cognito = "cognito",
        /// PingOne and PingFederate.
        Ping = "ping",
        /// Google: ID tokens of service accounts, made for the contract's audience.
        Google = "google",
    }
}

impl IssuerProfile {
    /// The claims that name the client, which must agree where several are there.
    pub(crate) fn client(self) -> Vec<ClaimPath> {
        let names: &[&str] = match self {
            Self::Entra => &["azp", "appid"],
            Self::Okta => &["cid"],
            Self::Auth0 => &["azp", "client_id"],
            Self::Keycloak => &["azp"],
            Self::Cognito | Self::Ping => &["client_id"],
            // A person's ID token has another `sub` than `azp`, so only a service account's token names a client.
            Self::Google => &["azp", "sub"],
        };
        paths(names)
    }

    /// The claims that hold scopes and roles. `audience`: the contract's own, where it has one.
    pub(crate) fn scopes(self, audience: Option<&str>) -> Vec<ClaimPath> {
        match self {
            Self::Entra => paths(&["scp", "roles"]),
            Self::Okta => paths(&["scp"]),
            Self::Auth0 => paths(&["scope", "permissions"]),
            Self::Keycloak => {
                let realm = paths(&["scope"]).into_iter().chain([ClaimPath::of(&["realm_access", "roles"])]);
                realm.chain(audience.map(|client| ClaimPath::of(&["resource_access", client, "roles"]))).collect()
            }
            Self::Cognito => paths(&["scope", "cognito:groups"]),
            Self::Ping => paths(&["scope"]),
            Self::Google => Vec::new(),
        }
    }

    /// What tells this issuer's access tokens from its other tokens.
    pub(crate) fn required(self, sender: SenderBinding) -> Vec<(ClaimPath, String)> {
        let claim = match (self, sender) {
            (Self::Cognito, _) => ("token_use", "access"),
            (Self::Keycloak, SenderBinding::Dpop) => ("typ", "DPoP"),
            (Self::Keycloak, SenderBinding::None | SenderBinding::Mtls) => ("typ", "Bearer"),
            (Self::Entra | Self::Okta | Self::Auth0 | Self::Ping | Self::Google, _) => return Vec::new(),
        };
        vec![(ClaimPath::of(&[claim.0]), claim.1.to_owned())]
    }

    /// The algorithms that the issuer signs with unless it is told otherwise.
    pub(crate) const fn algorithms(self) -> [Algorithm; 1] {
        match self {
            Self::Entra | Self::Okta | Self::Auth0 | Self::Keycloak | Self::Cognito | Self::Ping | Self::Google => {
                [Algorithm::RS256]
            }
        }
    }

    /// Whether the issuer's tokens may lack an audience.
    pub(crate) const fn lacks_audience(self) -> bool {
        matches!(self, Self::Cognito)
    }

    /// What is wrong with an issuer's or an audience's text, and what to write: it could never be in a token.
    pub(crate) fn misfit(self, issuer: &str, audience: Option<&str>) -> Option<ProfileMisfit> {
        let misfit = |key, wrong, instead| Some(ProfileMisfit { key, wrong, instead });
        let (host, path) = parts(issuer);
        match self {
            Self::Entra if ["common", "organizations", "consumers"].iter().any(|name| path.starts_with(name)) => {
                misfit("issuer", "is an endpoint for all tenants, and a token names its own", ENTRA_ISSUER)
            }
            Self::Entra if host.starts_with("login.microsoftonline.") && !path.ends_with("/v2.0") => {
                misfit("issuer", "is the issuer of no token", ENTRA_ISSUER)
            }
            Self::Entra if path.ends_with("/v2.0") && audience.is_some_and(|it| it.contains("://")) => {
                let wrong = "is no audience of a token of version 2.0, which names the API by its application id";
                misfit("audience", wrong, "the API's application (client) id, a GUID")
            }
            Self::Okta if !path.starts_with("oauth2/") => {
                let wrong = "is an organization's own server, whose tokens only Okta can check";
                misfit("issuer", wrong, "a custom authorization server's, such as https://acme.okta.com/oauth2/default")
            }
            Self::Auth0 if !issuer.ends_with('/') => {
                misfit("issuer", "lacks the slash with which Auth0 ends it", "such as https://acme.eu.auth0.com/")
            }
            Self::Keycloak if issuer.ends_with('/') || !path.contains("realms/") => {
                misfit("issuer", "is no realm's address", "such as https://id.example.com/realms/vendors")
            }
            Self::Cognito if host.ends_with(".amazoncognito.com") => {
                let wrong = "is the pool's sign-in domain, which is the issuer of no token";
                misfit("issuer", wrong, "such as https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEf123")
            }
            Self::Ping if host.starts_with("auth.pingone.") && !path.ends_with("/as") => {
                let wrong = "lacks the /as with which PingOne ends it";
                misfit("issuer", wrong, "such as https://auth.pingone.eu/ENVIRONMENT/as")
            }
            Self::Google if issuer != GOOGLE_ISSUER => misfit("issuer", "is not Google's", GOOGLE_ISSUER),
            Self::Entra | Self::Okta | Self::Auth0 | Self::Keycloak | Self::Cognito | Self::Ping | Self::Google => None,
        }
    }
}

const ENTRA_ISSUER: &str =
    "https://login.microsoftonline.com/TENANT/v2.0, or https://sts.windows.net/TENANT/ for tokens of version 1.0";
const GOOGLE_ISSUER: &str = "https://accounts.google.com";

/// A text in a contract that no token of the issuer can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProfileMisfit {
    /// The key under `identity`.
    pub(crate) key: &'static str,
    pub(crate) wrong: &'static str,
    /// What to write in its place.
    pub(crate) instead: &'static str,
}

/// The host of an issuer's address, and the path without its first slash.
fn parts(issuer: &str) -> (&str, &str) {
    let rest = issuer.split_once("://").map_or(issuer, |(_, rest)| rest);
    rest.split_once('/').unwrap_or((rest, ""))
}

fn paths(names: &[&str]) -> Vec<ClaimPath> {
    names.iter().map(|name| ClaimPath::of(&[name])).collect()
}

impl TokenSettings {
    /// The profile and what is in force under it, as one could write it in the contract.
    pub fn profile_in_force(&self) -> Option<String> {
        let list = |paths: &[ClaimPath]| paths.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let claims = &self.claims;
        let scopes =
            if claims.scopes.is_empty() { String::new() } else { format!(", scopes: [{}]", list(&claims.scopes)) };
        let required: Vec<String> = claims.required.iter().map(|(path, text)| format!("{path}: {text}")).collect();
        let required =
            if required.is_empty() { String::new() } else { format!(", require: {{ {} }}", required.join(", ")) };
        let mut types = vec!["at+jwt"];
        types.extend(self.shape.accept_plain_jwt.then_some("JWT"));
        types.extend(self.shape.other_types.iter().map(String::as_str));
        let algorithms: Vec<&str> = self.algorithms.iter().map(|algorithm| algorithm.as_str()).collect();
        Some(format!(
            "{}: claims: {{ client: [{}]{scopes}{required} }}, audience: {}, typ: [{}], algorithms: [{}]",
            self.profile?.as_str(),
            list(&claims.client),
            self.audience.as_deref().unwrap_or("none"),
            types.join(", "),
            algorithms.join(", "),
        ))
    }
}

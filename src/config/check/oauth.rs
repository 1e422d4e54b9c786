//! Checks `egress.credentials.oauth2` of a contract: the token endpoint, the grant, and by what we are known there.

use ipnet::IpNet;

use super::secret_sources::{protected_url, secret, secret_of};
use super::{files, values};
use crate::bounds::{CREDENTIAL_DEADLINE, CREDENTIAL_DEADLINE_MAX};
use crate::config::file::credentials as written;
use crate::config::file::credentials::{ClientAuthenticationConfig, OAuthGrantConfig};
use crate::config::source::Cursor;
use crate::credentials::{
    AssertionSettings, ClientAuthentication, CredentialSettings, OAuthGrant, OAuthSettings, inspect_private_key,
};
use crate::model::Algorithm;

/// The type of an access token (RFC 8693 section 3).
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// Checks what is written under `oauth2:`.
pub(super) fn oauth(at: &Cursor<'_>, written: &written::OAuthConfig, networks: &[IpNet]) -> Option<CredentialSettings> {
    let example = "https://id.acme.example/oauth2/token";
    let token_url = written.token_url.as_deref().and_then(|text| protected_url(&at.key("token_url"), text, example));
    let client_id = written.client_id.clone();
    if client_id.as_deref().is_some_and(|id| id.is_empty() || id.chars().any(char::is_control)) {
        at.key("client_id").invalid("must be our id at the vendor", "our-company");
    }
    let (grant, client_auth) = (grant(at, written), client_auth(at, written));
    let scopes = written.scopes.clone().unwrap_or_default();
    for (i, scope) in scopes.iter().enumerate() {
        // RFC 6749 section 3.3.
        let is_token = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
        if scope.is_empty() || !scope.bytes().all(is_token) {
            at.key("scopes").item(i).invalid("must be one scope, without spaces", "events:write");
        }
    }
    let deadline = values::duration(&at.key("deadline"), written.deadline.as_ref(), CREDENTIAL_DEADLINE_MAX);
    Some(CredentialSettings::OAuth2(Box::new(OAuthSettings {
        token_url: token_url?,
        grant: grant?,
        client_id: client_id?,
        client_auth: client_auth?,
        scopes,
        audience: written.audience.clone(),
        resource: written.resource.clone(),
        ca_file: written.ca.as_ref().map(|text| files::authorities(&at.key("ca"), text)),
        networks: networks.to_vec(),
        deadline: deadline.unwrap_or(CREDENTIAL_DEADLINE),
    })))
}

fn grant(at: &Cursor<'_>, written: &written::OAuthConfig) -> Option<OAuthGrant> {
    let grant = written.grant.unwrap_or(OAuthGrantConfig::ClientCredentials);
    let own = [
        ("refresh_token", written.refresh_token.is_some(), OAuthGrantConfig::RefreshToken),
        ("subject_token_type", written.subject_token_type.is_some(), OAuthGrantConfig::TokenExchange),
        ("requested_token_type", written.requested_token_type.is_some(), OAuthGrantConfig::TokenExchange),
    ];
    for (key, _, _) in own.into_iter().filter(|(_, is_there, of)| *is_there && *of != grant) {
        at.key(key).fault("belongs to another grant", "take it out, or write that grant");
    }
    match grant {
        OAuthGrantConfig::ClientCredentials => Some(OAuthGrant::ClientCredentials),
        OAuthGrantConfig::RefreshToken => {
            let Some(token) = &written.refresh_token else {
                at.key("refresh_token").fault("is missing", "write refresh_token: { file: secrets/acme-refresh }");
                return None;
            };
            secret(&at.key("refresh_token"), token).map(OAuthGrant::RefreshToken)
        }
        OAuthGrantConfig::TokenExchange => Some(OAuthGrant::TokenExchange {
            subject_token_type: written.subject_token_type.clone().unwrap_or_else(|| ACCESS_TOKEN.to_owned()),
            requested_token_type: written.requested_token_type.clone(),
        }),
    }
}

fn client_auth(at: &Cursor<'_>, written: &written::OAuthConfig) -> Option<ClientAuthentication> {
    use ClientAuthenticationConfig::{
        ClientSecretBasic, ClientSecretPost, None as Nothing, PrivateKeyJwt, TlsClientAuth,
    };
    let auth = written.client_auth.unwrap_or(ClientSecretBasic);
    let own: [(&str, bool, &[ClientAuthenticationConfig]); 7] = [
        ("secret", written.secret.is_some(), &[ClientSecretBasic, ClientSecretPost]),
        ("private_key", written.private_key.is_some(), &[PrivateKeyJwt]),
        ("algorithm", written.algorithm.is_some(), &[PrivateKeyJwt]),
        ("key_id", written.key_id.is_some(), &[PrivateKeyJwt]),
        ("assertion_audience", written.assertion_audience.is_some(), &[PrivateKeyJwt]),
        ("cert", written.cert.is_some(), &[TlsClientAuth]),
        ("key", written.key.is_some(), &[TlsClientAuth]),
    ];
    for (key, _, _) in own.into_iter().filter(|(_, is_there, of)| *is_there && !of.contains(&auth)) {
        at.key(key).fault("belongs to another client_auth", "take it out, or write that client_auth");
    }
    let missing = |key: &str, instead: &str| {
        at.key(key).fault("is missing", instead);
        None
    };
    match (auth, &written.secret, &written.private_key) {
        (ClientSecretBasic, Some(own), _) => secret(&at.key("secret"), own).map(ClientAuthentication::SecretBasic),
        (ClientSecretPost, Some(own), _) => secret(&at.key("secret"), own).map(ClientAuthentication::SecretPost),
        (ClientSecretBasic | ClientSecretPost, None, _) => {
            missing("secret", "write secret: { file: secrets/acme-client }, or another client_auth")
        }
        (PrivateKeyJwt, _, Some(key)) => {
            let algorithm = algorithm(&at.key("algorithm"), written.algorithm.as_deref())?;
            let judge = |content: &[u8]| inspect_private_key(content, algorithm);
            let key = secret_of(&at.key("private_key"), key, &judge)?;
            Some(ClientAuthentication::PrivateKeyJwt(Box::new(AssertionSettings {
                key,
                algorithm,
                key_id: written.key_id.clone(),
                audience: written.assertion_audience.clone(),
            })))
        }
        (PrivateKeyJwt, _, None) => missing("private_key", "write private_key: { file: keys/acme-client.pem }"),
        (TlsClientAuth, ..) => match (&written.cert, &written.key) {
            (Some(cert), Some(key)) => {
                let (cert, key) = files::identity(&at.key("cert"), cert, &at.key("key"), key);
                Some(ClientAuthentication::TlsCertificate { cert, key })
            }
            (None, _) => missing("cert", "write cert: tls/acme-client.pem"),
            (Some(_), None) => missing("key", "write key: tls/acme-client.key"),
        },
        (Nothing, ..) => Some(ClientAuthentication::None),
    }
}

fn algorithm(at: &Cursor<'_>, text: Option<&str>) -> Option<Algorithm> {
    let Some(text) = text else { return Some(Algorithm::ES256) };
    let read = Algorithm::parse(text);
    if read.is_err() {
        at.invalid("must be one of ES256, ES384, ES512, RS256, PS256, EdDSA and their like", "ES256");
    }
    read.ok()
}

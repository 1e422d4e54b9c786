//! Where a credential stands in a request: what a calling service has sent there is removed, in any spelling.
//!
//! `Authorization` is removed for every kind, so that no service can choose another identity towards the vendor.

use http::header::AUTHORIZATION;
use http::uri::{self, PathAndQuery};
use http::{HeaderMap, HeaderName, Uri};
use percent_encoding::percent_decode_str;

use super::settings::{ApiKeyPlace, CredentialSettings};

/// The fields of AWS's signature in the query (a presigned URL).
const AWS_QUERY: [&str; 7] = [
    "x-amz-algorithm",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-expires",
    "x-amz-signature",
    "x-amz-signedheaders",
    "x-amz-security-token",
];
/// The fields that the gateway's own AWS signature sets.
const AWS_HEADERS: [&str; 3] = ["x-amz-date", "x-amz-security-token", "x-amz-content-sha256"];

impl CredentialSettings {
    /// Removes the header fields that the credential takes the place of.
    pub fn strip_headers(&self, headers: &mut HeaderMap) {
        let named: Vec<HeaderName> = headers.keys().filter(|name| self.is_ours(name.as_str())).cloned().collect();
        for name in named {
            headers.remove(name);
        }
    }

    fn is_ours(&self, name: &str) -> bool {
        if folds_to(name, AUTHORIZATION.as_str()) {
            return true;
        }
        match self {
            Self::ApiKey(ApiKeyPlace::Header(own, _), _) => folds_to(name, own.as_str()),
            Self::Hmac(hmac) => {
                let time = hmac.timestamp.as_ref().map(|(own, _)| own);
                let id = hmac.key_id.as_ref().map(|(own, _)| own);
                let all = [Some(&hmac.header.0), time, id];
                all.into_iter().flatten().any(|own| folds_to(name, own.as_str()))
            }
            Self::AwsSigV4(_) => AWS_HEADERS.iter().any(|own| folds_to(name, own)),
            Self::OAuth2(_) | Self::Bearer(_) | Self::Basic(..) | Self::ApiKey(ApiKeyPlace::Query(_), _) => false,
        }
    }

    /// The target without the query parameters that the credential takes the place of; `None` where it has none.
    pub fn strip_query(&self, target: &Uri) -> Option<Uri> {
        let query = target.query()?;
        let is_ours = |parameter: &&str| {
            let name = parameter.split('=').next().unwrap_or_default();
            let name = percent_decode_str(&name.replace('+', " ")).decode_utf8_lossy().into_owned();
            match self {
                Self::ApiKey(ApiKeyPlace::Query(own), _) => name.eq_ignore_ascii_case(own),
                Self::AwsSigV4(_) => AWS_QUERY.iter().any(|own| name.eq_ignore_ascii_case(own)),
                Self::OAuth2(_) => name.eq_ignore_ascii_case("access_token"),
                Self::Bearer(_) => name.eq_ignore_ascii_case("access_token"),
                Self::Basic(..) | Self::Hmac(_) | Self::ApiKey(ApiKeyPlace::Header(..), _) => false,
            }
        };
        // Some servers also separate parameters by a semicolon.
        let has_ours = query.split(['&', ';']).any(|parameter| is_ours(&parameter));
        if !has_ours {
            return None;
        }
        let rest: Vec<&str> =
            query.split('&').filter(|parameter| !parameter.split(';').any(|one| is_ours(&one))).collect();
        with_query(target, &rest.join("&"))
    }
}

/// A target with another query.
pub(super) fn with_query(target: &Uri, query: &str) -> Option<Uri> {
    let path = target.path();
    let text = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
    let mut parts = uri::Parts::default();
    parts.path_and_query = Some(PathAndQuery::try_from(text).ok()?);
    Uri::from_parts(parts).ok()
}

/// Whether a server might read a name as `own`: CGI, PHP and others take any mark for a hyphen.
fn folds_to(name: &str, own: &str) -> bool {
    let fold = |byte: u8| if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' };
    name.len() == own.len() && name.bytes().map(fold).eq(own.bytes().map(fold))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::settings::{SecretSettings, SecretSource, SigV4Settings};
    use crate::identity::WebhookSecretEncoding;

    fn secret() -> SecretSettings {
        let source = SecretSource::Environment("X".into());
        SecretSettings { source, encoding: WebhookSecretEncoding::Raw, max_age: None }
    }

    fn left(settings: &CredentialSettings, names: &[&'static str]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for name in names {
            headers.append(HeaderName::from_static(name), "a".parse().expect("a value"));
            headers.append(HeaderName::from_static(name), "b".parse().expect("a value"));
        }
        settings.strip_headers(&mut headers);
        let mut left: Vec<String> = headers.keys().map(|name| name.as_str().to_owned()).collect();
        left.sort();
        left
    }

    #[test]
    fn what_a_service_sends_in_the_place_of_the_credential_is_removed_in_any_spelling() {
        let key =
            CredentialSettings::ApiKey(ApiKeyPlace::Header("x-api-key".parse().unwrap(), String::new()), secret());
        let names = ["authorization", "x-api-key", "x_api_key", "x.api_key", "x-api-keys", "cookie"];
        assert_eq!(left(&key, &names), ["cookie", "x-api-keys"]);
        let bearer = CredentialSettings::Bearer(secret());
        assert_eq!(left(&bearer, &["authorization", "x-api-key"]), ["x-api-key"]);
        let aws = CredentialSettings::AwsSigV4(Box::new(SigV4Settings {
            access_key_id: "A".into(),
            secret: secret(),
            session_token: None,
            region: "eu-west-1".into(),
            service: "s3".into(),
        }));
        assert_eq!(left(&aws, &["x-amz-date", "x-amz-security-token", "x-amz-acl", "host"]), ["host", "x-amz-acl"]);
    }

    #[test]
    fn a_parameter_in_the_place_of_the_credential_is_removed_however_it_is_written() {
        let key = CredentialSettings::ApiKey(ApiKeyPlace::Query("api_key".into()), secret());
        for (target, left) in [
            ("/a?api_key=x&b=1", Some("/a?b=1")),
            ("/a?b=1&%61pi_key=x&API_KEY=y&api%5Fkey=z", Some("/a?b=1")),
            ("/a?api_key", Some("/a")),
            ("/a?b=1;api_key=x&c=2", Some("/a?c=2")),
            ("/a?my_api_key=x&b=api_key", None),
            ("/a", None),
        ] {
            let stripped = key.strip_query(&target.parse().expect(target));
            assert_eq!(stripped.map(|uri| uri.to_string()).as_deref(), left, "{target}");
        }
    }
}

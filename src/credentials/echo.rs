//! What of a credential stands in a request, and its removal from the response: some servers print what they were sent.
//!
//! A field is removed when it holds the credential as it was sent, also percent-encoded as a URL or a cookie has it,
//! more than once too: a service that may not see the credential must not read it in a redirect or an error.

use std::borrow::Cow;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use memchr::memmem;
use percent_encoding::percent_decode;

use super::obtained::{Obtained, token_of};
use super::settings::CredentialSettings;
use crate::model::Secret;

/// A shorter text occurs by chance.
const ECHO_BYTES_MIN: usize = 8;
/// How often a text may be percent-encoded: once for the parameter, once more where that is a URL in a URL.
const DECODINGS_MAX: usize = 3;

/// What of a credential stands in one request.
#[derive(Debug)]
pub struct CredentialTrace(Vec<Secret<Vec<u8>>>);

impl CredentialTrace {
    /// Of a request that was given its credential.
    pub(super) fn of(settings: &CredentialSettings, obtained: &Obtained, sent: &HeaderMap) -> Self {
        let field = |name: &HeaderName| sent.get(name).map_or(&b""[..], HeaderValue::as_bytes);
        let behind = |mark: &str, value| match memmem::rfind(value, mark.as_bytes()) {
            Some(at) => &value[at + mark.len()..],
            None => value,
        };
        let texts = match (settings, obtained) {
            (_, Obtained::Token(kept)) => [token_of(&kept.value), b""],
            (_, Obtained::Exchanged(token)) => [token_of(&token.authorization), b""],
            (_, Obtained::Aws(_, session)) => {
                let session = session.as_ref().map_or(&b""[..], |session| session.bytes().trim_ascii_end());
                [behind("Signature=", field(&AUTHORIZATION)), session]
            }
            (CredentialSettings::Basic(..), Obtained::Secret(secret)) => {
                [secret.bytes(), behind("Basic ", field(&AUTHORIZATION))]
            }
            (CredentialSettings::Hmac(hmac), Obtained::Secret(secret)) => {
                let (name, prefix) = &hmac.header;
                [secret.bytes(), field(name).get(prefix.len()..).unwrap_or_default()]
            }
            (_, Obtained::Secret(secret)) => [secret.bytes(), b""],
        };
        let texts = texts.into_iter().filter(|text| text.len() >= ECHO_BYTES_MIN);
        Self(texts.map(|text| Secret::new(text.to_vec())).collect())
    }

    /// Removes the fields of a response, or of its trailers, that repeat the credential.
    pub fn remove_echoes(&self, headers: &mut HeaderMap) {
        let finders: Vec<_> = self.0.iter().map(|text| memmem::Finder::new(text.expose())).collect();
        let has = |text: &[u8]| finders.iter().any(|finder| finder.find(text).is_some());
        let repeats = |value: &HeaderValue| any_reading(value.as_bytes(), has);
        let named: Vec<_> = headers.iter().filter(|(_, value)| repeats(value)).map(|(name, _)| name.clone()).collect();
        for name in named {
            headers.remove(name);
        }
    }
}

/// Whether a value is such a one, as it is or percent-decoded.
fn any_reading(value: &[u8], is_it: impl Fn(&[u8]) -> bool) -> bool {
    let mut text = Cow::Borrowed(value);
    for _ in 0..DECODINGS_MAX {
        if is_it(&text) {
            return true;
        }
        let decoded: Cow<'_, [u8]> = percent_decode(&text).into();
        let Cow::Owned(decoded) = decoded else { return false };
        text = Cow::Owned(decoded);
    }
    is_it(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_goes_that_holds_the_credential_in_any_encoding_of_a_url() {
        let trace = CredentialTrace(vec![Secret::new(b"S3cr3t+/=&".to_vec())]);
        for (value, stays) in [
            ("S3cr3t+/=&", false),
            ("a S3cr3t+/=& b", false),
            ("S3cr3t%2B%2F%3D%26", false),
            ("S3cr3t%2b%2f=%26", false),
            ("%533cr3t+/=%26", false),
            ("S3cr3t%252B%252F%253D%2526", false),
            ("S3cr3t%25252B%25252F%25253D%252526", false),
            ("S3cr3t+/=", true),
            ("%", true),
            ("%zz%S3cr3t", true),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("x", HeaderValue::from_static(value));
            trace.remove_echoes(&mut headers);
            assert_eq!(headers.contains_key("x"), stays, "{value}");
        }
        assert_eq!(format!("{trace:?}"), "CredentialTrace([[redacted]])");
    }
}

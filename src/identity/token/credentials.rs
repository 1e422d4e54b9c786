//! Reads the credentials of a request: exactly one `Authorization` header, and no token in the URL.
//!
//! RFC 6750 section 2.1, RFC 9449 section 7.1. Reads only; never decides.

use http::header::AUTHORIZATION;
use http::{HeaderMap, Method};
use percent_encoding::percent_decode_str;

use crate::identity::certificate::peer::PeerCertificate;
use crate::identity::error::AuthError;
use crate::model::debug_fields;

/// The parts of a request by which its caller proves itself, as the gateway has already read and cleaned them.
#[derive(Clone, Copy)]
pub struct PresentedRequest<'a> {
    /// Its header fields.
    pub headers: &'a HeaderMap,
    /// Its method, which a DPoP proof names.
    pub method: &'a Method,
    /// `https`, or `http`: how the caller reached us.
    pub scheme: &'a str,
    /// The host (and port) that the caller asked for.
    pub authority: &'a str,
    /// The canonical path.
    pub path: &'a str,
    /// The query, without `?`.
    pub query: Option<&'a str>,
    /// The certificate of the connection, where it presented one.
    pub peer_certificate: Option<&'a PeerCertificate>,
}

// Headers hold the token, and a path may hold a person's name: neither is printed.
debug_fields!(PresentedRequest<'_>: method);

/// The authentication scheme of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AuthScheme {
    Bearer,
    Dpop,
}

/// A token as it was presented.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Credentials<'a> {
    pub(crate) scheme: AuthScheme,
    /// Its raw bytes, not checked yet: a token in the cache was checked before.
    pub(crate) token: &'a [u8],
}

impl<'a> Credentials<'a> {
    /// The token as text, if it is one: `b64token` of RFC 6750 section 2.1.
    pub(crate) fn text(&self, bytes_max: usize) -> Result<&'a str, AuthError> {
        if self.token.len() > bytes_max {
            return Err(AuthError::TooLong);
        }
        let good = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/');
        let padding = self.token.iter().rev().take_while(|byte| **byte == b'=').count();
        let body = &self.token[..self.token.len() - padding];
        if body.is_empty() || !body.iter().all(good) {
            return Err(AuthError::NotATokenText);
        }
        std::str::from_utf8(self.token).map_err(|_| AuthError::NotATokenText)
    }
}

/// The request's token; `None` when it has none.
pub(crate) fn read<'a>(presented: &PresentedRequest<'a>) -> Result<Option<Credentials<'a>>, AuthError> {
    if presented.query.is_some_and(names_a_token) {
        return Err(AuthError::TokenInUrl);
    }
    let mut values = presented.headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(AuthError::SeveralAuthorizations);
    }
    let text = value.as_bytes();
    let at = memchr::memchr(b' ', text).unwrap_or(text.len());
    let (scheme, rest) = text.split_at(at);
    let scheme = if scheme.eq_ignore_ascii_case(b"Bearer") {
        AuthScheme::Bearer
    } else if scheme.eq_ignore_ascii_case(b"DPoP") {
        AuthScheme::Dpop
    } else {
        return Ok(None);
    };
    let spaces = rest.iter().take_while(|byte| **byte == b' ').count();
    Ok(Some(Credentials { scheme, token: &rest[spaces..] }))
}

/// Whether a query has a parameter `access_token`, however it is spelt: a later reader may decode it.
fn names_a_token(query: &str) -> bool {
    query.split(['&', ';']).any(|pair| {
        let name = pair.split_once('=').map_or(pair, |(name, _)| name);
        name.eq_ignore_ascii_case("access_token")
            || name.contains('%') && percent_decode_str(name).decode_utf8_lossy().eq_ignore_ascii_case("access_token")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bounds::TOKEN_BYTES_MAX;
    use crate::identity::fixture::presented;

    fn check(values: &[&[u8]], query: Option<&str>) -> Result<Option<(AuthScheme, String)>, AuthError> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, http::HeaderValue::from_bytes(value).expect("a value"));
        }
        read(&PresentedRequest { query, ..presented(&headers) })?
            .map(|one| one.text(TOKEN_BYTES_MAX).map(|token| (one.scheme, token.to_owned())))
            .transpose()
    }

    #[test]
    fn exactly_one_authorization_header_with_one_token_is_read() {
        let bearer = |token: &str| Ok(Some((AuthScheme::Bearer, token.to_owned())));
        assert_eq!(check(&[b"Bearer a.b-c_d~e+f/g=="], None), bearer("a.b-c_d~e+f/g=="));
        assert_eq!(check(&[b"bEARER   abc"], None), bearer("abc"));
        assert_eq!(check(&[b"DPoP abc"], None), Ok(Some((AuthScheme::Dpop, "abc".into()))));
        assert_eq!(check(&[], None), Ok(None));
        assert_eq!(check(&[b"Basic abc"], None), Ok(None));
        assert_eq!(check(&[b"Bearerabc"], None), Ok(None));
        assert_eq!(check(&[b"Bearer\ta"], None), Ok(None));
        for (values, error) in [
            (&[b"Bearer a".as_slice(), b"Bearer a"][..], AuthError::SeveralAuthorizations),
            (&[b"Basic a", b"Bearer a"], AuthError::SeveralAuthorizations),
            (&[b"Bearer"], AuthError::NotATokenText),
            (&[b"Bearer "], AuthError::NotATokenText),
            (&[b"Bearer ==="], AuthError::NotATokenText),
            (&[b"Bearer a b"], AuthError::NotATokenText),
            (&[b"Bearer a "], AuthError::NotATokenText),
            (&[b"Bearer a,Bearer b"], AuthError::NotATokenText),
            (&[b"Bearer a=b"], AuthError::NotATokenText),
            (&[b"Bearer \xc3\xa4"], AuthError::NotATokenText),
        ] {
            assert_eq!(check(values, None), Err(error), "{values:?}");
        }
        assert_eq!(
            check(&[&[b"Bearer ".as_slice(), &[b'a'; TOKEN_BYTES_MAX + 1]].concat()], None),
            Err(AuthError::TooLong)
        );
    }

    #[test]
    fn a_token_in_the_url_is_refused_however_it_is_spelt() {
        for query in [
            "access_token=x",
            "a=1&access_token",
            "ACCESS_TOKEN=",
            "access%5ftoken=x",
            "%61ccess_token=x",
            "a;access_token=x",
        ] {
            assert_eq!(check(&[b"Bearer a"], Some(query)), Err(AuthError::TokenInUrl), "{query}");
        }
        assert!(check(&[b"Bearer a"], Some("page=access_token&my_access_token=1")).is_ok());
    }
}

//! The header fields of a request.

use http::header::{HeaderMap, HeaderName};

use super::{AllowList, ForbiddenParameter, OtherNames, ParameterRules, not_listed};

/// Fields that need not be listed: HTTP itself needs them to carry a message, to negotiate its form or to prove who
/// sends it, or clients add them without being asked, or they end at the gateway in any case.
const ALWAYS: [&str; 45] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-language",
    "content-length",
    "content-type",
    "date",
    "dpop",
    "expect",
    "forwarded",
    "host",
    "http2-settings",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "keep-alive",
    "pragma",
    "priority",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "sec-fetch-mode",
    "sec-websocket-extensions",
    "sec-websocket-key",
    "sec-websocket-protocol",
    "sec-websocket-version",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-request-id",
    "x-vendorgate-caller-token",
];

impl ParameterRules {
    /// Checks the names of a request's header fields.
    ///
    /// # Errors
    /// [`ForbiddenParameter`] where others than those listed are refused and there is one.
    pub fn check_headers(&self, headers: &HeaderMap) -> Result<(), ForbiddenParameter> {
        let Some(list) = self.headers.as_ref().filter(|list| list.other == OtherNames::Refuse) else { return Ok(()) };
        match headers.keys().find(|name| !is_allowed(list, name.as_str())) {
            Some(name) => Err(not_listed("headers.allow", "the field", name.as_str())),
            None => Ok(()),
        }
    }

    /// Whether a header field of this lower-case name goes on.
    pub fn lets_field_pass(&self, name: &str) -> bool {
        self.headers.as_ref().is_none_or(|list| is_allowed(list, name))
    }

    /// Takes out the header fields that are not listed.
    pub fn drop_headers(&self, headers: &mut HeaderMap) {
        let Some(list) = &self.headers else { return };
        let others: Vec<HeaderName> = headers.keys().filter(|name| !is_allowed(list, name.as_str())).cloned().collect();
        for name in others {
            headers.remove(name);
        }
    }
}

fn is_allowed(list: &AllowList, name: &str) -> bool {
    ALWAYS.binary_search(&name).is_ok() || list.has(name)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn fields_that_are_not_listed_are_refused_or_dropped() {
        assert!(ALWAYS.is_sorted());
        let rules = |other| ParameterRules {
            headers: Some(AllowList { names: vec!["x-tenant".into()], other }),
            ..ParameterRules::default()
        };
        let mut headers = HeaderMap::new();
        for name in ["host", "user-agent", "x-tenant", "x-tenant"] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static("a"));
        }
        assert_eq!(rules(OtherNames::Refuse).check_headers(&headers), Ok(()));
        for name in ["cookie", "x_tenant", "x-tenants", "x-forwarded-user", "x-vendorgate-vendor", "referer"] {
            let mut headers = headers.clone();
            headers.append(HeaderName::from_static(name), HeaderValue::from_static("a"));
            assert!(rules(OtherNames::Refuse).check_headers(&headers).is_err(), "{name}");
            assert_eq!(rules(OtherNames::Drop).check_headers(&headers), Ok(()));
            rules(OtherNames::Drop).drop_headers(&mut headers);
            assert!(!headers.contains_key(name) && headers.get_all("x-tenant").iter().count() == 2, "{name}");
        }
    }
}

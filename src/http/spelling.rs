//! Which header fields may not pass from one hop to the next, in any spelling that a server might read.
//!
//! CGI, WSGI, PHP and many servers read `X-Forwarded-For`, `X_Forwarded_For` and `X.Forwarded.For` as one name. A field
//! that the gateway sets or interprets passes in its own spelling only; any other spelling of it is removed.

/// Fields by which a front server informs the one behind it, or which name another target or method. A caller's copies
/// are removed, so that no server behind the gateway can act on them.
const RESERVED_NAMES: &[&str] = &[
    "cf-connecting-ip",
    "cf-connecting-ipv6",
    "client-cert",
    "client-cert-chain",
    "fastly-client-ip",
    "forwarded",
    "front-end-https",
    "proxy",
    "ssl-client-cert",
    "true-client-ip",
    "via",
    "x-client-cert",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-forwarded",
    "x-host",
    "x-http-host-override",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-proxyuser-ip",
    "x-real-ip",
    "x-request-id",
    "x-sendfile-type",
    "x-url-scheme",
];

/// Prefixes of such names.
const RESERVED_PREFIXES: &[&str] =
    &["x-accel-", "x-envoy-", "x-forwarded-", "x-original-", "x-rewrite-", "x-ssl-client-", "x-vendorgate-"];

/// Fields that the gateway interprets to frame, treat and authorise a message. In their own spelling other rules decide
/// about them.
const INTERPRETED_NAMES: &[&str] = &[
    "accept-encoding",
    "authorization",
    "connection",
    "content-disposition",
    "content-encoding",
    "content-length",
    "content-location",
    "content-range",
    "content-type",
    "cookie",
    "dpop",
    "expect",
    "host",
    "if-range",
    "keep-alive",
    "location",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Longest name that is compared as a whole. All names in the lists above are shorter.
const FOLDED_BYTES_MAX: usize = 40;

/// Whether a field is removed from a request. Names are in lower case, as [`http::HeaderName`] keeps them.
pub(super) fn is_withheld_from_request(name: &str) -> bool {
    if is_plain(name) {
        is_reserved(name)
    } else {
        matches_folded(name, |name| is_reserved(name) || is_interpreted(name))
    }
}

/// Whether a field is removed from an answer: what the gateway tells the internal API, and other spellings of fields
/// that are interpreted.
pub(super) fn is_withheld_from_answer(name: &str) -> bool {
    let tells = |name: &str| name == "proxy" || name.starts_with("x-vendorgate-");
    if is_plain(name) {
        tells(name)
    } else {
        matches_folded(name, |name| tells(name) || is_interpreted(name) || is_reserved(name))
    }
}

/// Whether a field is meant for the final reader of the message, so that `Connection` cannot have it removed (RFC 9110
/// section 7.6.1).
pub(super) fn is_end_to_end(name: &str) -> bool {
    const NAMES: [&str; 8] =
        ["host", "authorization", "cookie", "set-cookie", "cache-control", "date", "location", "www-authenticate"];
    name.starts_with("content-") || NAMES.contains(&name)
}

/// Whether a name has only letters, digits and hyphens, as nearly all names do.
fn is_plain(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn is_reserved(name: &str) -> bool {
    // A quick test: most names begin with another letter than any reserved one.
    match name.as_bytes().first() {
        Some(b'x') => RESERVED_NAMES.contains(&name) || RESERVED_PREFIXES.iter().any(|family| name.starts_with(family)),
        Some(b'c' | b'f' | b'p' | b's' | b't' | b'v') => RESERVED_NAMES.contains(&name),
        Some(_) | None => false,
    }
}

fn is_interpreted(name: &str) -> bool {
    INTERPRETED_NAMES.contains(&name)
}

/// Tests a name with each byte that is not a letter or digit replaced by a hyphen.
fn matches_folded(name: &str, ask: impl Fn(&str) -> bool) -> bool {
    let mut bytes = [0; FOLDED_BYTES_MAX];
    let length = name.len().min(FOLDED_BYTES_MAX);
    for (to, from) in bytes.iter_mut().zip(name.bytes()) {
        *to = if from.is_ascii_alphanumeric() { from } else { b'-' };
    }
    std::str::from_utf8(&bytes[..length]).is_ok_and(|name| ask(name.trim_matches('-')))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that may be in a name and are neither letter nor digit (RFC 9110 section 5.6.2).
    const SEPARATORS: &str = "!#$%&'*+-.^_`|~";

    #[test]
    fn every_spelling_of_a_reserved_name_is_removed() {
        let families =
            RESERVED_PREFIXES.iter().map(|family| format!("{family}anything-at-all-however-long-the-rest-of-it-is"));
        for name in RESERVED_NAMES.iter().map(|name| (*name).to_owned()).chain(families) {
            assert!(is_withheld_from_request(&name), "{name}");
            for separator in SEPARATORS.chars() {
                let spelled = name.replace('-', &separator.to_string());
                assert!(is_withheld_from_request(&spelled), "{spelled}");
            }
        }
        assert!(is_withheld_from_request("x-vendorgate_client") && is_withheld_from_request("_proxy"));
    }

    #[test]
    fn an_interpreted_field_passes_in_its_own_spelling_only() {
        for name in INTERPRETED_NAMES {
            assert!(!is_withheld_from_request(name) && !is_withheld_from_answer(name), "{name}");
            for separator in SEPARATORS.chars().filter(|separator| *separator != '-') {
                let spelled = name.replace('-', &separator.to_string());
                if spelled != *name {
                    assert!(is_withheld_from_request(&spelled) && is_withheld_from_answer(&spelled), "{spelled}");
                }
            }
        }
    }

    #[test]
    fn other_names_pass() {
        for name in ["accept", "client_id", "x-api-key", "x-original", "proxy-status", "x_signature", "user-agent", "_"]
        {
            assert!(!is_withheld_from_request(name) && !is_withheld_from_answer(name), "{name}");
        }
        assert!(is_withheld_from_answer("x-vendorgate-client") && !is_withheld_from_answer("via"));
    }
}

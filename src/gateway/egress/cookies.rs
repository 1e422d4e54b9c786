//! A vendor's cookies, brought to the way that the caller came.
//!
//! A caller who speaks in clear to the gateway does not store a cookie that is for TLS only, although what leaves is
//! under TLS: `Secure` is taken out for it. By path, all vendors have one host, so that a cookie must keep to the paths
//! of its vendor: without that, the caller would send it to every other one.

/// Another form of a `Set-Cookie` value (RFC 6265 section 4.1); `None` where it is right as it is. `prefix` is the
/// vendor's name in the caller's paths, with the upstream's path, where the caller names it so.
pub(super) fn for_caller(text: &str, is_clear: bool, prefix: Option<(&str, &str)>) -> Option<String> {
    let mut parts = text.split(';');
    let mut new = parts.next().unwrap_or_default().to_owned();
    let mut path = None;
    for part in parts {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let name = name.trim().to_ascii_lowercase();
        match (name.as_str(), prefix) {
            ("secure", _) if is_clear => {}
            ("domain", Some(_)) => {}
            // Of two, the last one counts.
            ("path", Some(_)) => path = Some(value.trim()),
            (_, _) => {
                new.push(';');
                new.push_str(part);
            }
        }
    }
    if let Some((vendor, base)) = prefix {
        new.push_str("; Path=/");
        new.push_str(vendor);
        // A path that is not absolute counts as the directory of the request, whose first segment is the vendor's.
        let below = path.filter(|path| path.starts_with('/')).map(|path| path.strip_prefix(base).unwrap_or(path));
        new.push_str(below.filter(|below| below.starts_with('/')).unwrap_or_default().trim_end_matches('/'));
    }
    Some(new).filter(|new| new != text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_fits_the_way_of_the_caller() {
        let acme = Some(("acme", "/v2"));
        for (text, is_clear, prefix, expected) in [
            ("a=b; Secure; HttpOnly", true, None, "a=b; HttpOnly"),
            ("a=b; Secure", false, None, "a=b; Secure"),
            ("a=b;SECURE ;Path=/", true, None, "a=b;Path=/"),
            ("secure=1; Path=/x", true, None, "secure=1; Path=/x"),
            ("a=b", true, acme, "a=b; Path=/acme"),
            ("a=b; Path=/; Domain=acme.example", true, acme, "a=b; Path=/acme"),
            ("a=b; path=/v2/x; Max-Age=5", true, acme, "a=b; Max-Age=5; Path=/acme/x"),
            ("a=b; Path=/other", true, acme, "a=b; Path=/acme/other"),
            ("a=b; Path=x; Path=/v2", true, acme, "a=b; Path=/acme"),
        ] {
            assert_eq!(for_caller(text, is_clear, prefix).unwrap_or_else(|| text.to_owned()), expected, "{text}");
        }
    }
}

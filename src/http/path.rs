//! The canonical form of a path: the one string that is routed, authorised and forwarded.
//!
//! A path that two servers could read differently is refused. Any other is brought to a form that does not change when
//! it is normalised again. Never decodes a byte whose decoded form would mean something else to a server that decodes
//! once more.

use std::borrow::Cow;
use std::fmt::Write;

use super::malformed;
use crate::model::Denial;

/// A path in canonical form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CanonicalPath<'a> {
    pub(super) path: Cow<'a, str>,
    /// Whether a segment holds a slash as `%2F`.
    pub(super) encoded_slash: bool,
}

/// Brings a path to its canonical form: percent-encoding in capitals and only where it is needed, no dot segments.
///
/// # Errors
/// A path that can be read in two ways; the denial says which rule it breaks. The caller decides about an encoded
/// slash.
pub(super) fn canonicalize(path: &str) -> Result<CanonicalPath<'_>, Denial> {
    let bytes = path.as_bytes();
    if bytes.iter().all(|b| is_path_byte(*b)) && !has_dot_segment(bytes) {
        return Ok(CanonicalPath { path: Cow::Borrowed(path), encoded_slash: false });
    }
    let once = normalize(path)?;
    // The decoded text may itself look percent-encoded: then a server that decodes once more would read another path.
    if normalize(&once)? != once {
        return Err(double_encoding_denial());
    }
    let encoded_slash = once.contains("%2F");
    if encoded_slash && has_dot_segment(once.replace("%2F", "/").as_bytes()) {
        return Err(malformed("The path has dot segments behind an encoded slash (%2F)."));
    }
    Ok(CanonicalPath { path: Cow::Owned(once), encoded_slash })
}

/// Whether a path is in canonical form, so that it can be sent as it is. `encoded_slash` says whether `%2F` is allowed
/// in it.
pub fn is_canonical(path: &str, encoded_slash: bool) -> bool {
    let is_same = |found: CanonicalPath<'_>| found.path == path && (encoded_slash || !found.encoded_slash);
    path.starts_with('/') && canonicalize(path).is_ok_and(is_same)
}

fn normalize(path: &str) -> Result<String, Denial> {
    remove_dot_segments(&normalize_percent(path.as_bytes())?)
}

fn double_encoding_denial() -> Denial {
    malformed("The path is percent-encoded twice (% followed by two hexadecimal digits, once decoded). Encode it once.")
}

/// Bytes that mean themselves in a path. `;`, `%`, `\` and control characters are checked one by one.
const fn is_path_byte(b: u8) -> bool {
    is_unreserved(b)
        || matches!(b, b'/' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b'=' | b':' | b'@')
}

const fn is_unreserved(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~')
}

fn has_dot_segment(path: &[u8]) -> bool {
    path.split(|b| *b == b'/').any(|segment| segment == b"." || segment == b"..")
}

fn normalize_percent(path: &[u8]) -> Result<String, Denial> {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    let mut encoded = Vec::new();
    while let [first, tail @ ..] = rest {
        rest = match first {
            b'%' => {
                let (byte, tail) = percent_byte(tail)?;
                screen_decoded(byte, tail)?;
                push_byte(byte, &mut out);
                encoded.push(byte);
                tail
            }
            b';' if tail.contains(&b'/') => {
                return Err(malformed(
                    "The path has parameters (;) before a slash, which some servers cut off and others keep. Leave them out.",
                ));
            }
            b if is_path_byte(*b) || *b == b';' => {
                out.push(char::from(*b));
                tail
            }
            b => return Err(raw_byte_denial(*b)),
        };
        if !rest.starts_with(b"%") {
            // Each run of encoded bytes must be whole UTF-8 in its shortest form.
            std::str::from_utf8(&encoded).map_err(|_| {
                malformed("The path's percent-encoding is not UTF-8 in its shortest form. Encode the text as UTF-8.")
            })?;
            encoded.clear();
        }
    }
    Ok(out)
}

fn raw_byte_denial(byte: u8) -> Denial {
    malformed(match byte {
        b'\\' => "The path holds a backslash, which some servers read as a slash. Leave it out.",
        0x80.. => "The path holds raw bytes that are not ASCII. Send them percent-encoded, as UTF-8.",
        _ => "The path holds a character that a path cannot hold as it is. Send it percent-encoded.",
    })
}

fn percent_byte(tail: &[u8]) -> Result<(u8, &[u8]), Denial> {
    let broken =
        || malformed("The path has a % that two hexadecimal digits do not follow. Write %25 for a percent sign.");
    let [high, low, tail @ ..] = tail else { return Err(broken()) };
    match (char::from(*high).to_digit(16), char::from(*low).to_digit(16)) {
        (Some(high), Some(low)) => Ok(((high * 16 + low) as u8, tail)),
        _ => Err(broken()),
    }
}

fn screen_decoded(byte: u8, tail: &[u8]) -> Result<(), Denial> {
    match byte {
        b'\\' => Err(malformed("The path holds an encoded backslash (%5C), which some servers read as a slash.")),
        0..=0x1f | 0x7f => Err(malformed("The path holds an encoded control character.")),
        b'%' if tail.iter().take(2).filter(|b| b.is_ascii_hexdigit()).count() == 2 => Err(double_encoding_denial()),
        _ => Ok(()),
    }
}

fn push_byte(byte: u8, out: &mut String) {
    if is_unreserved(byte) {
        out.push(char::from(byte));
    } else {
        let _ = write!(out, "%{byte:02X}");
    }
}

/// Removes dot segments (RFC 3986 section 5.2.4). A path that climbs above its root is refused, not clipped.
fn remove_dot_segments(path: &str) -> Result<String, Denial> {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path[1..].split('/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            ".." => {
                kept.pop().ok_or_else(|| malformed("The path's dot segments (..) leave its root."))?;
                if last {
                    kept.push("");
                }
            }
            "." if last => kept.push(""),
            "." => {}
            other => kept.push(other),
        }
    }
    Ok(format!("/{}", kept.join("/")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path(text: &str) -> Option<String> {
        canonicalize(text).ok().map(|canonical| canonical.path.into_owned())
    }

    #[test]
    fn a_path_is_brought_to_its_canonical_form() {
        for (raw, form) in [
            ("/v1/customers", "/v1/customers"),
            ("/v1/%63ustomers", "/v1/customers"),
            ("/v1/./customers/../orders", "/v1/orders"),
            ("/v1/%2e/customers/%2E%2e/orders", "/v1/orders"),
            ("/v1/a/..", "/v1/"),
            ("/v1/a/.", "/v1/a/"),
            ("/v1/%e2%82%ac", "/v1/%E2%82%AC"),
            ("/a%20b", "/a%20b"),
            ("/a;v=1", "/a;v=1"),
            ("/100%25", "/100%25"),
            ("/100%25/a", "/100%25/a"),
            ("/a%2fb", "/a%2Fb"),
            ("/", "/"),
        ] {
            let once = path(raw).unwrap_or_default();
            assert_eq!(once, form, "{raw}");
            assert_eq!(path(&once).as_deref(), Some(form), "the form is stable: {raw}");
        }
        assert!(canonicalize("/a%2fb").is_ok_and(|found| found.encoded_slash));
        assert!(canonicalize("/a%20b").is_ok_and(|found| !found.encoded_slash));
    }

    #[test]
    fn each_path_with_two_readings_is_refused_with_its_own_sentence() {
        for (name, raws) in [
            ("backslash", &["/a%5Cb", "/a\\b"][..]),
            ("control character", &["/a%00", "/a%0d%0a", "/a%7f"]),
            ("twice", &["/%252e", "/v1/a/%25%32%65%25%32%65/b", "/%2525%32e", "/%25%35c", "/%25%32f", "/a%25%30%30"]),
            ("parameters", &["/a;x/../b", "/a;/b"]),
            ("behind an encoded slash", &["/a%2f..%2fb", "/a/..%2fb", "/a/b%2F%2e"]),
            ("leave its root", &["/../a", "/a/../../b", "/%2e%2e/a"]),
            ("UTF-8 in its shortest", &["/%c0%af", "/%ff", "/%e2%82/b", "/%ed%a0%80", "/%c0%ae%c0%ae/"]),
            ("hexadecimal digits do not follow", &["/a%", "/a%4", "/a%zz", "/%%32%65"]),
            ("cannot hold", &["/a|b", "/a\"b", "/a<b", "/a^b", "/a{b}"]),
            ("not ASCII", &["/é", "/\u{ff0e}\u{ff0e}/"]),
        ] {
            for raw in raws {
                let denial = canonicalize(raw).expect_err(raw);
                assert!(denial.public_text.is_some_and(|text| text.contains(name)), "{raw}: {denial:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn a_canonical_path_does_not_change_when_normalised_again(
            pieces in proptest::collection::vec("[/%.;a25eEfFcC0\\\\ é~-]|%25|%2[eEfF5]|%32|%65|\\.\\.|//", 0..24)
        ) {
            let raw = format!("/{}", pieces.concat());
            if let Ok(found) = canonicalize(&raw) {
                let path = found.path.into_owned();
                let again = canonicalize(&path).expect("what is forwarded is not refused when it is sent as such");
                prop_assert_eq!(&*again.path, &path, "{}", raw);
                prop_assert_eq!(again.encoded_slash, found.encoded_slash);
                // A server that decodes the path once more finds no dot segment, no slash that was not reported and no
                // control character.
                let decoded: Vec<u8> = percent_encoding::percent_decode_str(&path).collect();
                prop_assert!(!has_dot_segment(&decoded), "{} is forwarded as {}", raw, path);
                prop_assert!(!decoded.iter().any(|b| b.is_ascii_control() || *b == b'\\'), "{}", path);
                let slashes = |bytes: &[u8]| bytes.iter().filter(|b| **b == b'/').count();
                prop_assert!(slashes(&decoded) == slashes(path.as_bytes()) || found.encoded_slash);
            }
        }
    }
}

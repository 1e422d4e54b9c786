//! Media types (RFC 9110, section 8.3.1).
//!
//! Read strictly: a `Content-Type` that two parsers could take for two types is refused.

use super::charset::Charset;
use super::{RewriteError, RewriteResult};

/// Most parameters: no media type in use has more.
const PARAMETERS_MAX: usize = 8;

/// A parsed `Content-Type`, borrowed from its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MediaType<'a> {
    kind: &'a str,
    subtype: &'a str,
    parameters: &'a str,
}

impl<'a> MediaType<'a> {
    /// The media type of a body without a content type.
    pub(super) const NONE: MediaType<'static> = MediaType { kind: "", subtype: "", parameters: "" };

    /// Parses a header value.
    ///
    /// # Errors
    /// [`RewriteError::Opaque`] when it is malformed or repeats a parameter.
    pub(super) fn parse(value: &'a str) -> RewriteResult<Self> {
        let (essence, parameters) = value.split_once(';').unwrap_or((value, ""));
        let (kind, subtype) = trim(essence).split_once('/').unwrap_or(("", ""));
        let media = Self { kind, subtype, parameters };
        if !is_token(kind) || !is_token(subtype) || !media.has_good_parameters() {
            return Err(RewriteError::Opaque { what: "a body with a malformed content type" });
        }
        Ok(media)
    }

    /// The charset that it declares; UTF-8 where it declares none.
    pub(super) fn charset(&self) -> Charset {
        self.parameter("charset").map_or(Charset::Utf8, Charset::of)
    }

    /// The same type in UTF-8, as a header value.
    pub(super) fn with_utf8_charset(&self) -> String {
        let mut text = format!("{}/{}", self.kind, self.subtype);
        for piece in self.parameters.split(';').map(trim).filter(|piece| !piece.is_empty()) {
            let charset = piece.split_once('=').is_some_and(|(name, _)| name.eq_ignore_ascii_case("charset"));
            text.push_str("; ");
            text.push_str(if charset { "charset=utf-8" } else { piece });
        }
        text
    }

    /// Whether type and subtype are these, in any case.
    pub(super) fn is(&self, kind: &str, subtype: &str) -> bool {
        self.kind.eq_ignore_ascii_case(kind) && self.subtype.eq_ignore_ascii_case(subtype)
    }

    /// Whether type and subtype are these, with or without a structured-syntax suffix such as `+proto`.
    pub(super) fn is_or_extends(&self, kind: &str, subtype: &str) -> bool {
        let base = self.subtype.split_once('+').map_or(self.subtype, |(base, _)| base);
        self.kind.eq_ignore_ascii_case(kind) && base.eq_ignore_ascii_case(subtype)
    }

    /// Whether it is of this type, whatever the subtype.
    pub(super) fn has_type(&self, kind: &str) -> bool {
        self.kind.eq_ignore_ascii_case(kind)
    }

    /// Whether the subtype ends with this structured-syntax suffix (RFC 6838, section 4.2.8), given with its `+`.
    pub(super) fn has_suffix(&self, suffix: &str) -> bool {
        let from = self.subtype.len().checked_sub(suffix.len()).filter(|from| *from > 0);
        from.and_then(|from| self.subtype.get(from..)).is_some_and(|end| end.eq_ignore_ascii_case(suffix))
    }

    /// The value of a parameter, without its quotes.
    pub(super) fn parameter(&self, name: &str) -> Option<&'a str> {
        self.pairs().find_map(|pair| pair.filter(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value))
    }

    fn has_good_parameters(&self) -> bool {
        let mut names = [""; PARAMETERS_MAX];
        for (count, pair) in self.pairs().enumerate() {
            let Some((name, _)) = pair else { return false };
            let repeated = names[..count.min(PARAMETERS_MAX)].iter().any(|own| own.eq_ignore_ascii_case(name));
            let Some(slot) = names.get_mut(count).filter(|_| !repeated) else { return false };
            *slot = name;
        }
        true
    }

    /// Each `name=value`; `None` for one that cannot be read, such as a quoted value with an escape or a `;` in it.
    fn pairs(&self) -> impl Iterator<Item = Option<(&'a str, &'a str)>> {
        let pieces = self.parameters.split(';').map(trim).filter(|piece| !piece.is_empty());
        pieces.map(|piece| {
            let (name, value) = piece.split_once('=')?;
            let inner = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
            let good = inner.map_or_else(|| is_token(value), |text| !text.contains(['"', '\\']) && !text.is_empty());
            (is_token(name) && good).then_some((name, inner.unwrap_or(value)))
        })
    }
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// Whether the text is a token (RFC 9110, section 5.6.2).
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_type_that_could_be_read_in_two_ways_is_refused() {
        for good in
            ["application/json", " Application/JSON ; Charset=\"UTF-8\"", "text/csv;header=present; charset=utf-8;"]
        {
            assert!(MediaType::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "json",
            "/json",
            "application/",
            "application/json/x",
            "application/json, text/plain",
            "application/json; charset",
            "application/json; charset =utf-8",
            "application/json; charset=utf-8; CHARSET=latin1",
            "application/json; charset=\"utf-8",
            "application/json; charset=\"utf\\-8\"",
            "application/json; x=\"a;charset=utf-16\"",
            "application/jsön",
            "a/b;a=1;b=1;c=1;d=1;e=1;f=1;g=1;h=1;i=1",
        ] {
            assert!(matches!(MediaType::parse(bad), Err(RewriteError::Opaque { .. })), "{bad}");
        }
    }

    #[test]
    fn the_charset_of_a_type_is_read_and_replaced() {
        let media = |text| MediaType::parse(text).unwrap();
        assert_eq!(media("a/b").charset(), Charset::Utf8);
        assert_eq!(media("a/b; Charset=\"UTF8\"").charset(), Charset::Utf8);
        assert_eq!(media("a/b; charset=klingon").charset(), Charset::Unknown);
        let latin = media("text/csv;header=present; Charset=\"latin1\" ;x=y");
        assert_eq!(latin.with_utf8_charset(), "text/csv; header=present; charset=utf-8; x=y");
    }

    #[test]
    fn types_suffixes_and_parameters_are_found() {
        let media = MediaType::parse("application/vnd.acme+JSON; Boundary=\"a b\"").unwrap();
        assert!(media.has_suffix("+json") && !media.is("application", "json"));
        assert_eq!((media.parameter("boundary"), media.parameter("charset")), (Some("a b"), None));
        assert!(!MediaType::parse("application/+json").unwrap().has_suffix("+json"));
        assert!(!MediaType::parse("application/json").unwrap().has_suffix("+json"));
    }
}

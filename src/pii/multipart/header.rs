//! The header fields of one part (RFC 7578, section 4; RFC 6266 for the disposition's parameters).
//!
//! Read so strictly that no two parsers can see two different names in it. Never trusts a part's own length.

use crate::pii::form::decode_segment;
use crate::pii::{Replacement, RewriteError, RewriteObserver, RewriteResult, SelectedValue, Transform, ValueKind};

/// The header of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PartHeader {
    pub(super) name: String,
    pub(super) content: PartContent,
    /// The fields as they came, each with its line end; without the length, which a treatment may change.
    pub(super) lines: Vec<u8>,
    pub(super) length: Vec<u8>,
}

/// What a part holds, by its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PartContent {
    Text,
    Json,
    /// A file, or anything else that is not text or JSON.
    File,
}

/// What the detectors' rule makes of a text in the header: its replacement, or `None` when the text stays.
type DetectedText = RewriteResult<Option<String>>;

impl PartHeader {
    /// Keeps of the fields only what the part needs: its name, that it is a file, its type and charset. A file's name
    /// and all other fields are dropped, since they are not the value that a rule or an allow-list names.
    pub(super) fn strip_to_needed(&mut self) {
        let text = String::from_utf8_lossy(&self.lines).into_owned();
        self.lines.clear();
        for (name, value) in text.split("\r\n").filter_map(field) {
            let line = match name.to_ascii_lowercase().as_str() {
                "content-disposition" => {
                    let file = named(value).is_some_and(|(_, file)| file);
                    format!(
                        "{name}: form-data; name=\"{}\"{}",
                        self.name,
                        if file { "; filename=\"file\"" } else { "" }
                    )
                }
                "content-type" => {
                    let essence = value.split(';').next().unwrap_or_default().trim();
                    format!(
                        "{name}: {essence}{}",
                        if self.content == PartContent::File { "" } else { "; charset=utf-8" }
                    )
                }
                _ => continue,
            };
            self.lines.extend_from_slice(line.as_bytes());
            self.lines.extend_from_slice(b"\r\n");
        }
    }

    /// Lets the detectors' rule treat every text of the fields.
    pub(super) fn treat(
        &mut self,
        rule: usize,
        transform: &dyn Transform,
        observer: &mut dyn RewriteObserver,
    ) -> RewriteResult {
        let mut made = Vec::new();
        self.rewrite_texts(|text| {
            made.clear();
            let value = SelectedValue { kind: ValueKind::String, text: text.as_bytes() };
            let replacement = transform.transform(rule, value, &mut made)?;
            if replacement != (Replacement::Unchanged { counted: false }) {
                observer.on_treated(rule);
            }
            let is_unchanged = matches!(replacement, Replacement::Unchanged { .. });
            Ok(if is_unchanged { None } else { String::from_utf8(made.clone()).ok() })
        })
    }

    /// Hands every text of the fields to `detect`, and writes what it returns: the part's name, a file's name in each
    /// of its encodings, and all other values.
    fn rewrite_texts(&mut self, mut detect: impl FnMut(&str) -> DetectedText) -> RewriteResult {
        let text = String::from_utf8_lossy(&self.lines).into_owned();
        self.lines.clear();
        for line in text.split_terminator("\r\n") {
            let Some((name, value)) = field(line) else { continue };
            let value =
                match parameters(value, "form-data").filter(|_| name.eq_ignore_ascii_case("content-disposition")) {
                    Some(parameters) => rewrite_disposition(value, &parameters, &mut detect)?,
                    None => detect(value)?.unwrap_or_else(|| value.to_owned()),
                };
            let name = detect(name)?.map_or(name, |_| "X-Redacted");
            self.lines.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        Ok(())
    }

    /// Reads the fields, given without the empty line after them.
    ///
    /// # Errors
    /// [`RewriteError::Malformed`] at the offset `at`, or [`RewriteError::Opaque`] for a charset or an encoding that
    /// cannot be read.
    pub(super) fn parse(head: &[u8], at: u64) -> RewriteResult<Self> {
        let malformed = |what| RewriteError::Malformed { what, at };
        let text = simdutf8::basic::from_utf8(head).map_err(|_| malformed("a part whose header is not UTF-8"))?;
        let (mut lines, mut length) = (Vec::new(), Vec::new());
        let (mut disposition, mut media) = (None, None);
        for line in text.split("\r\n") {
            let (name, value) = field(line).ok_or(malformed("a header field that cannot be read"))?;
            let keep = if name.eq_ignore_ascii_case("content-length") { &mut length } else { &mut lines };
            keep.extend_from_slice(line.as_bytes());
            keep.extend_from_slice(b"\r\n");
            let slot = match name.to_ascii_lowercase().as_str() {
                "content-disposition" => &mut disposition,
                "content-type" => &mut media,
                "content-transfer-encoding" => {
                    check_encoding(value)?;
                    continue;
                }
                _ => continue,
            };
            if slot.replace(value).is_some() {
                return Err(malformed("a repeated header field"));
            }
        }
        let (name, file) = disposition.and_then(named).ok_or(malformed("a part without one clear name"))?;
        let content = media.map_or(Ok(PartContent::Text), content)?;
        let content = if file && content == PartContent::Text { PartContent::File } else { content };
        if name == "_charset_" {
            return Err(RewriteError::Opaque { what: "a form that chooses its charset" });
        }
        Ok(Self { name: name.to_owned(), content, lines, length })
    }
}

fn field(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once(':')?;
    let good = is_token(name) && !value.contains(|c: char| c.is_control() && c != '\t');
    good.then(|| (name, value.trim_matches([' ', '\t'])))
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

fn check_encoding(value: &str) -> RewriteResult {
    let plain = ["7bit", "8bit", "binary"].iter().any(|plain| value.eq_ignore_ascii_case(plain));
    if plain { Ok(()) } else { Err(RewriteError::Opaque { what: "the transfer encoding of a part" }) }
}

fn rewrite_disposition(
    came: &str,
    parameters: &[(&str, &str)],
    detect: &mut impl FnMut(&str) -> DetectedText,
) -> RewriteResult<String> {
    let (mut made, mut changed) = (String::from("form-data"), false);
    for &(key, value) in parameters {
        // An encoded value (RFC 8187) follows its charset and language.
        let (plain, coded) = match key.strip_suffix('*') {
            Some(plain) => (plain, value.splitn(3, '\'').last().unwrap_or(value)),
            None => (key, value),
        };
        let mut text = Vec::new();
        let decoded = decode_segment(coded.as_bytes(), &mut text).unwrap_or(coded);
        let new = match detect(decoded)? {
            None if decoded != value => detect(value)?,
            new => new,
        };
        changed |= new.is_some();
        let (key, value) = new.as_deref().map_or((key, value), |new| (plain, new));
        made.push_str(&format!("; {key}=\"{value}\""));
    }
    Ok(if changed { made } else { came.to_owned() })
}

/// The part's name in a disposition, and whether the part is a file.
fn named(disposition: &str) -> Option<(&str, bool)> {
    let (mut name, mut file) = (None, false);
    for (key, value) in parameters(disposition, "form-data")? {
        if key.eq_ignore_ascii_case("name") {
            if name.replace(value).is_some() {
                return None;
            }
        } else if key.eq_ignore_ascii_case("filename") || key.eq_ignore_ascii_case("filename*") {
            file = true;
        } else if key.to_ascii_lowercase().starts_with("name") {
            return None;
        }
    }
    Some((name?, file))
}

fn content(media: &str) -> RewriteResult<PartContent> {
    let essence = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence.starts_with("multipart/") || essence.starts_with("message/") {
        return Err(RewriteError::Opaque { what: "a part that has parts" });
    }
    let json = essence == "application/json" || essence.ends_with("+json");
    if !json && essence != "text/plain" {
        return Ok(PartContent::File);
    }
    let unread = RewriteError::Opaque { what: "the content type of a part" };
    for (key, value) in parameters(media, &essence).ok_or(unread)? {
        let utf8 = ["utf-8", "utf8", "us-ascii"].iter().any(|known| value.eq_ignore_ascii_case(known));
        if key.eq_ignore_ascii_case("charset") && !utf8 {
            return Err(RewriteError::Opaque { what: "the charset of a part" });
        }
    }
    Ok(if json { PartContent::Json } else { PartContent::Text })
}

/// The parameters after the first word. A backslash in a quoted value is refused: some parsers take the next
/// character literally, and some do not.
fn parameters<'a>(value: &'a str, first: &str) -> Option<Vec<(&'a str, &'a str)>> {
    let mut rest = value.get(first.len()..).filter(|_| value[..first.len()].eq_ignore_ascii_case(first))?;
    let mut parameters = Vec::new();
    loop {
        rest = rest.trim_start_matches([' ', '\t']);
        if rest.is_empty() {
            return Some(parameters);
        }
        rest = rest.strip_prefix(';')?.trim_start_matches([' ', '\t']);
        let (key, after) = rest.split_once('=')?;
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_at(after.find([';', ' ', '\t']).unwrap_or(after.len())),
        };
        if !is_token(key) || value.contains(['\\', '"']) {
            return None;
        }
        parameters.push((key, value));
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(head: &str) -> RewriteResult<(String, PartContent)> {
        PartHeader::parse(head.as_bytes(), 0).map(|head| (head.name, head.content))
    }

    #[test]
    fn the_header_of_a_part_has_its_name_and_content() {
        for (head, name, content) in [
            ("Content-Disposition: form-data; name=\"a b\"", "a b", PartContent::Text),
            ("content-disposition:form-data;name=a", "a", PartContent::Text),
            ("X: y\r\nContent-Disposition: FORM-DATA; Name=\"\u{e9}\"", "\u{e9}", PartContent::Text),
            ("Content-Disposition: form-data; name=\"a\"; filename=\"x;name=b.txt\"", "a", PartContent::File),
            ("Content-Disposition: form-data; filename*=utf-8''x; name=\"a\"", "a", PartContent::File),
            (
                "Content-Disposition: form-data; name=\"a\"\r\nContent-Type: application/json; charset=UTF-8",
                "a",
                PartContent::Json,
            ),
            (
                "Content-Disposition: form-data; name=\"a\"\r\nContent-Type: text/plain;charset=\"utf-8\"",
                "a",
                PartContent::Text,
            ),
            ("Content-Disposition: form-data; name=\"a\"\r\nContent-Type: image/png", "a", PartContent::File),
            (
                "Content-Disposition: form-data; name=\"a\"; filename=b\r\nContent-Type: application/x+json",
                "a",
                PartContent::Json,
            ),
            ("Content-Disposition: form-data; name=\"a\"\r\nContent-Transfer-Encoding: 8BIT", "a", PartContent::Text),
        ] {
            assert_eq!(parse(head), Ok((name.to_owned(), content)), "{head}");
        }
    }

    #[test]
    fn what_two_parsers_read_in_two_ways_is_refused() {
        for head in [
            "",
            "Content-Type: text/plain",
            "Content-Disposition: form-data",
            "Content-Disposition: attachment; name=a",
            "Content-Disposition: form-data; name=\"a\"; name=\"b\"",
            "Content-Disposition: form-data; name=\"a\"; name*=utf-8''b",
            "Content-Disposition: form-data; name=\"a\\\"; filename=\\\"x\"",
            "Content-Disposition: form-data; name=\"a",
            "Content-Disposition: form-data; name=a\"b",
            "Content-Disposition: form-data name=a",
            "Content-Disposition: form-data; name=a\r\nContent-Disposition: form-data; name=b",
            "Content-Disposition : form-data; name=a",
            " Content-Disposition: form-data; name=a",
            "Content-Disposition: form-data;\r\n name=a",
            "Content-Disposition: form-data; name=a\nX: y",
            "Content-Disposition: form-data; name=a\rX: y",
            "Content-Disposition: form-data; name=\"a\0\"",
        ] {
            assert!(matches!(parse(head), Err(RewriteError::Malformed { .. })), "{head:?}");
        }
        for tail in [
            "Content-Type: text/plain; charset=utf-16",
            "Content-Type: application/json; charset=latin1",
            "Content-Type: multipart/mixed; boundary=x",
            "Content-Transfer-Encoding: base64",
            "Content-Transfer-Encoding: quoted-printable",
            "Content-Type: text/plain; charset",
        ] {
            let head = format!("Content-Disposition: form-data; name=a\r\n{tail}");
            assert!(matches!(parse(&head), Err(RewriteError::Opaque { .. })), "{head:?}");
        }
        assert!(matches!(parse("Content-Disposition: form-data; name=_charset_"), Err(RewriteError::Opaque { .. })));
    }
}

//! The lines of a head: what each may look like, and what they say together about the body that follows.

use super::FramingError;

/// What the fields of a head say about the body.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct FramingFields {
    pub(super) count: usize,
    pub(super) length: Option<u64>,
    pub(super) chunked: bool,
    /// Whether the message asks for an upgrade (RFC 9110 section 7.8).
    pub(super) upgrade: bool,
    /// Whether it asks for a tunnel (RFC 9110 section 9.3.6).
    pub(super) connect: bool,
}

/// The content of a status line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StatusLine {
    pub(super) code: u16,
    pub(super) version: HttpVersion,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HttpVersion {
    Http10,
    Http11,
}

/// Refuses control characters in a line whose CR LF is already cut off.
pub(super) fn check_controls(line: &[u8]) -> Result<(), FramingError> {
    const fn is_bad(byte: u8) -> bool {
        (byte < b' ' && byte != b'\t') || byte == 0x7f
    }
    // Branch-free, so that the compiler checks many bytes at a time.
    if !line.iter().fold(false, |bad, byte| bad | is_bad(*byte)) {
        return Ok(());
    }
    let first = line.iter().find(|byte| is_bad(**byte));
    Err(if first == Some(&b'\r') { FramingError::BareCr } else { FramingError::Control })
}

/// Reads a request line (RFC 9112 section 3).
pub(super) fn parse_request_line(line: &[u8]) -> Result<HttpVersion, FramingError> {
    let mut words = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(FramingError::RequestLine);
    };
    if method.is_empty() || target.is_empty() || !method.iter().all(|byte| is_token(*byte)) {
        return Err(FramingError::RequestLine);
    }
    check_request_target(method, target)?;
    parse_version(version).ok_or(FramingError::Version)
}

/// Whether a target has one of the forms of RFC 9112 section 3.2 and holds only bytes that hyper accepts in a URL.
fn check_request_target(method: &[u8], target: &[u8]) -> Result<(), FramingError> {
    let mut in_query = false;
    for byte in target {
        match byte {
            b'?' => in_query = true,
            b'#' | b'<' | b'>' | b'\t' | 0x80.. => return Err(FramingError::TargetBytes),
            b'`' if !in_query => return Err(FramingError::TargetBytes),
            b'"' if in_query => return Err(FramingError::TargetBytes),
            _ => {}
        }
    }
    let is_absolute = || target.windows(3).any(|bytes| bytes == b"://");
    let has_form = target[0] == b'/' || target == b"*" || method == b"CONNECT" || is_absolute();
    if has_form { Ok(()) } else { Err(FramingError::TargetForm) }
}

/// Reads a status line (RFC 9112 section 4). Where there is no reason phrase, the space before it may be missing too.
pub(super) fn parse_status_line(line: &[u8]) -> Result<StatusLine, FramingError> {
    let (version, rest) = line.split_at_checked(8).ok_or(FramingError::StatusLine)?;
    let version = parse_version(version).ok_or(FramingError::StatusLine)?;
    let [b' ', a @ b'1'..=b'5', b @ b'0'..=b'9', c @ b'0'..=b'9', reason @ ..] = rest else {
        return Err(FramingError::StatusLine);
    };
    if !matches!(reason, [] | [b' ', ..]) {
        return Err(FramingError::StatusLine);
    }
    let code = [a, b, c].iter().fold(0, |code, digit| code * 10 + u16::from(**digit - b'0'));
    Ok(StatusLine { code, version })
}

fn parse_version(text: &[u8]) -> Option<HttpVersion> {
    match text {
        b"HTTP/1.1" => Some(HttpVersion::Http11),
        b"HTTP/1.0" => Some(HttpVersion::Http10),
        _ => None,
    }
}

/// Reads a field line (RFC 9112 section 5) and notes what it says about the body.
pub(super) fn parse_field(line: &[u8], fields: &mut FramingFields, count_max: usize) -> Result<(), FramingError> {
    let name = parse_name(line)?;
    fields.count += 1;
    if fields.count > count_max {
        return Err(FramingError::ManyFields);
    }
    let value = || line[name.len() + 1..].trim_ascii();
    match name.len() {
        14 if name.eq_ignore_ascii_case(b"content-length") => {
            let length = parse_length(value()).ok_or(FramingError::Length)?;
            if fields.length.replace(length).is_some() {
                return Err(FramingError::RepeatedLength);
            }
        }
        17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
            if fields.chunked || !value().eq_ignore_ascii_case(b"chunked") {
                return Err(FramingError::Coding);
            }
            fields.chunked = true;
        }
        7 if name.eq_ignore_ascii_case(b"upgrade") => fields.upgrade = true,
        _ => {}
    }
    if fields.chunked && fields.length.is_some() { Err(FramingError::LengthAndCoding) } else { Ok(()) }
}

/// Reads the name of a field line.
pub(super) fn parse_name(line: &[u8]) -> Result<&[u8], FramingError> {
    if matches!(line.first(), Some(b' ' | b'\t')) {
        return Err(FramingError::Fold);
    }
    let colon = memchr::memchr(b':', line).ok_or(FramingError::FieldName)?;
    let name = &line[..colon];
    if matches!(name.last(), Some(b' ' | b'\t')) {
        return Err(FramingError::SpacedName);
    }
    if !name.is_empty() && name.iter().all(|byte| is_token(*byte)) { Ok(name) } else { Err(FramingError::FieldName) }
}

/// Reads a plain decimal number of at most 18 digits, which fit in 64 bits. Leading zeros are refused: some servers
/// read such a number as octal.
fn parse_length(text: &[u8]) -> Option<u64> {
    let is_plain = matches!(text, [b'0'] | [b'1'..=b'9', ..]) && text.len() <= 18;
    let digits = text.iter().map(|byte| byte.is_ascii_digit().then(|| u64::from(byte - b'0')));
    digits.fold(is_plain.then_some(0), |length, digit| Some(length? * 10 + digit?))
}

/// Reads the size of a chunk (RFC 9112 section 7.1). Chunk extensions are ignored.
pub(super) fn parse_chunk_size(line: &[u8]) -> Result<u64, FramingError> {
    let end = line.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(line.len());
    let (digits, extension) = line.split_at(end);
    if digits.is_empty() || digits.len() > 15 || !matches!(extension, [] | [b';', ..]) {
        return Err(FramingError::Chunk);
    }
    let digit = |byte: &u8| u64::from(char::from(*byte).to_digit(16).unwrap_or_default());
    Ok(digits.iter().fold(0, |size, byte| size * 16 + digit(byte)))
}

/// Whether a byte may be in a token (RFC 9110 section 5.6.2).
fn is_token(byte: u8) -> bool {
    const TOKEN: [bool; 256] = {
        let mut table = [false; 256];
        let mut byte = 0;
        while byte < 128 {
            table[byte] = (byte as u8).is_ascii_alphanumeric();
            byte += 1;
        }
        let marks = *b"!#$%&'*+-.^_`|~";
        let mut at = 0;
        while at < marks.len() {
            table[marks[at] as usize] = true;
            at += 1;
        }
        table
    };
    TOKEN[usize::from(byte)]
}

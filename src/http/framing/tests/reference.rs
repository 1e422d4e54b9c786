//! A second, plain reader of requests over the whole input: the validator must agree with it.

use super::super::FramingError;

/// A request that was read whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) line: String,
    pub(super) body: Vec<u8>,
    pub(super) upgrade: bool,
}

/// What the input holds: its whole requests, and what is wrong after them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) messages: Vec<Message>,
    pub(super) error: Option<FramingError>,
}

enum End {
    /// More bytes are needed.
    Short,
    Bad(FramingError),
}

pub(super) fn read(mut input: &[u8]) -> Reading {
    let mut reading = Reading::default();
    loop {
        match message(input) {
            Ok((message, rest)) => {
                reading.messages.push(message);
                input = rest;
            }
            Err(End::Short) => return reading,
            Err(End::Bad(error)) => return Reading { error: Some(error), ..reading },
        }
    }
}

fn message(input: &[u8]) -> Result<(Message, &[u8]), End> {
    let (mut first, mut rest) = line(input)?;
    if first.is_empty() {
        (first, rest) = line(rest)?;
    }
    let text = String::from_utf8_lossy(first).into_owned();
    let words: Vec<&str> = text.split(' ').collect();
    let is_token = |word: &str| !word.is_empty() && word.chars().all(token);
    let [method, target, version] = words[..] else { return Err(End::Bad(FramingError::RequestLine)) };
    if !is_token(method) || target.is_empty() {
        return Err(End::Bad(FramingError::RequestLine));
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    if !target.is_ascii() || target.contains(['#', '<', '>', '\t']) || path.contains('`') || query.contains('"') {
        return Err(End::Bad(FramingError::TargetBytes));
    }
    if !target.starts_with('/') && target != "*" && method != "CONNECT" && !target.contains("://") {
        return Err(End::Bad(FramingError::TargetForm));
    }
    if version != "HTTP/1.1" && version != "HTTP/1.0" {
        return Err(End::Bad(FramingError::Version));
    }
    let (mut lengths, mut codings, mut upgrade) = (Vec::new(), Vec::new(), false);
    loop {
        let (one, after) = line(rest)?;
        rest = after;
        if one.is_empty() {
            break;
        }
        let (name, value) = field(one)?;
        match name.as_str() {
            "content-length" if value.starts_with('0') && value != "0" => return Err(End::Bad(FramingError::Length)),
            "content-length" if value.is_empty() || value.len() > 18 || !value.chars().all(|c| c.is_ascii_digit()) => {
                return Err(End::Bad(FramingError::Length));
            }
            "content-length" => lengths.push(value.parse::<usize>().expect("digits")),
            "transfer-encoding" => codings.push(value.to_lowercase()),
            "upgrade" => upgrade = true,
            _ => {}
        }
        if codings.len() > 1 || codings.iter().any(|coding| coding != "chunked") {
            return Err(End::Bad(FramingError::Coding));
        }
        if lengths.len() > 1 {
            return Err(End::Bad(FramingError::RepeatedLength));
        }
        if lengths.len() + codings.len() > 1 {
            return Err(End::Bad(FramingError::LengthAndCoding));
        }
    }
    if version == "HTTP/1.0" && !codings.is_empty() {
        return Err(End::Bad(FramingError::CodingUnexpected));
    }
    let upgrade = upgrade && version == "HTTP/1.1" && lengths.is_empty() && codings.is_empty();
    let (body, rest) = match lengths.first() {
        _ if !codings.is_empty() => chunks(rest)?,
        Some(length) if *length > rest.len() => return Err(End::Short),
        Some(length) => (rest[..*length].to_vec(), &rest[*length..]),
        None => (Vec::new(), rest),
    };
    Ok((Message { line: text, body, upgrade }, rest))
}

fn chunks(mut rest: &[u8]) -> Result<(Vec<u8>, &[u8]), End> {
    let mut body = Vec::new();
    loop {
        let (one, after) = line(rest)?;
        let text = String::from_utf8_lossy(one).into_owned();
        let digits = text.split(';').next().unwrap_or_default();
        if digits.is_empty() || digits.len() > 15 || !digits.chars().all(|c| c.is_ascii_hexdigit()) {
            return Err(End::Bad(FramingError::Chunk));
        }
        let size = usize::from_str_radix(digits, 16).expect("digits");
        rest = after;
        if size == 0 {
            break;
        }
        body.extend_from_slice(rest.get(..size).ok_or(End::Short)?);
        rest = match &rest[size..] {
            [b'\r', b'\n', rest @ ..] => rest,
            [] | [b'\r'] => return Err(End::Short),
            _ => return Err(End::Bad(FramingError::Chunk)),
        };
    }
    loop {
        let (one, after) = line(rest)?;
        rest = after;
        if one.is_empty() {
            return Ok((body, rest));
        }
        field(one)?;
    }
}

fn field(line: &[u8]) -> Result<(String, String), End> {
    let text: String = line.iter().map(|byte| char::from(*byte)).collect();
    if text.starts_with([' ', '\t']) {
        return Err(End::Bad(FramingError::Fold));
    }
    let Some((name, value)) = text.split_once(':') else { return Err(End::Bad(FramingError::FieldName)) };
    if name.ends_with([' ', '\t']) {
        return Err(End::Bad(FramingError::SpacedName));
    }
    if name.is_empty() || !name.chars().all(token) {
        return Err(End::Bad(FramingError::FieldName));
    }
    Ok((name.to_lowercase(), value.trim_matches([' ', '\t']).to_owned()))
}

fn token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

/// The next line and what follows it.
fn line(input: &[u8]) -> Result<(&[u8], &[u8]), End> {
    for (at, byte) in input.iter().enumerate() {
        match (byte, input.get(at + 1)) {
            (b'\r', Some(b'\n')) => return Ok((&input[..at], &input[at + 2..])),
            (b'\r', None) => return Err(End::Short),
            (b'\r', Some(_)) => return Err(End::Bad(FramingError::BareCr)),
            (b'\n', _) => return Err(End::Bad(FramingError::BareLf)),
            (b'\t', _) => {}
            (0..=0x1f | 0x7f, _) => return Err(End::Bad(FramingError::Control)),
            _ => {}
        }
    }
    Err(End::Short)
}

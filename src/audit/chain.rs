//! The format of a line, and the codes that chain lines.
//!
//! A line is `{"seq":N,"time":…,"actor":…,"act":…,"subject":…,"reason":…,"detail":{…},"prev":"HEX","mac":"HEX"}` and a
//! line feed. `mac` is HMAC-SHA-256 over every byte of the line before `,"mac":`, and `prev` is the `mac` of the line
//! before, or 64 zeros. So any line can be checked by itself with ordinary tools: `openssl dgst -sha256 -mac HMAC`.

use std::fmt;
use std::io::Write;

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::record::AuditRecord;
use crate::bounds::AUDIT_TEXT_BYTES_MAX;
use crate::model::{Secret, escape_unprintable, hex};

const MAC_KEY: &[u8] = b",\"mac\":\"";
const PREV_KEY: &[u8] = b",\"prev\":\"";
const SEQ_KEY: &[u8] = b"{\"seq\":";
const END: &[u8] = b"\"}";
const HEX: usize = 64;

/// The key of the trail's codes. Keep it apart from the trail.
#[derive(Debug, Clone)]
pub struct AuditKey(Secret<[u8; 32]>);

impl AuditKey {
    /// A key of 256 random or derived bits.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(Secret::new(bytes))
    }

    pub(super) fn code(&self, parts: &[&[u8]]) -> [u8; 32] {
        self.keyed(parts).finalize().into_bytes().into()
    }

    fn is_code(&self, parts: &[&[u8]], code: &[u8; 32]) -> bool {
        self.keyed(parts).verify_slice(code).is_ok()
    }

    fn keyed(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        // The key is padded to the digest's block of 64 bytes, so the constructor takes it by its type and cannot fail.
        let mut padded = [0; 64];
        padded[..32].copy_from_slice(self.0.expose());
        let mut mac = Hmac::<Sha256>::new(&padded.into());
        parts.iter().for_each(|part| mac.update(part));
        mac
    }
}

/// A position in the chain: a line's number and code.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ChainPosition {
    /// The line's number; 0 before the first.
    pub seq: u64,
    /// The line's code.
    pub mac: [u8; 32],
}

impl ChainPosition {
    /// Before the first line.
    pub const START: Self = Self { seq: 0, mac: [0; 32] };

    /// The code in hexadecimal.
    pub fn hex(&self) -> String {
        hex(&self.mac)
    }
}

impl fmt::Debug for ChainPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.seq, self.hex())
    }
}

/// Writes an entry as the line after `last`, and returns the new line's position.
pub(super) fn append(entry: &AuditRecord, last: ChainPosition, key: &AuditKey, out: &mut Vec<u8>) -> ChainPosition {
    let seq = last.seq + 1;
    let start = out.len();
    out.extend_from_slice(SEQ_KEY);
    // Writing to memory cannot fail.
    let _ = write!(out, "{seq},\"time\":\"{}\"", entry.at);
    text("actor", &entry.actor, out);
    text("act", entry.act.as_str(), out);
    text("subject", &entry.subject, out);
    text("reason", &entry.reason, out);
    detail(entry, out);
    out.extend_from_slice(PREV_KEY);
    out.extend_from_slice(last.hex().as_bytes());
    out.push(b'"');
    let mac = key.code(&[&out[start..]]);
    out.extend_from_slice(MAC_KEY);
    out.extend_from_slice(hex(&mac).as_bytes());
    out.extend_from_slice(END);
    out.push(b'\n');
    ChainPosition { seq, mac }
}

/// A line whose own code is right.
pub(super) struct ChainLink {
    pub(super) position: ChainPosition,
    pub(super) prev: [u8; 32],
    pub(super) fields: LinkFields,
}

/// What verification reads of a line.
#[derive(Deserialize)]
pub(super) struct LinkFields {
    pub(super) time: String,
    pub(super) act: String,
}

/// Reads a line without its line feed; `None` where its code does not fit, so some byte was changed.
pub(super) fn read(line: &[u8], key: &AuditKey) -> Option<ChainLink> {
    let body = line.strip_suffix(END)?;
    let (covered, mac) = split_hex(body, MAC_KEY)?;
    if !key.is_code(&[covered], &mac) {
        return None;
    }
    let (content, prev) = split_hex(covered.strip_suffix(b"\"")?, PREV_KEY)?;
    let digits = content.strip_prefix(SEQ_KEY)?.split(|byte| *byte == b',').next()?;
    let seq = std::str::from_utf8(digits).ok()?.parse().ok()?;
    let fields = serde_json::from_slice(line).ok()?;
    Some(ChainLink { position: ChainPosition { seq, mac }, prev, fields })
}

/// The sealed head: the position of the trail's last line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SealedHead {
    seq: u64,
    mac: String,
    seal: String,
}

/// The head as its file holds it.
pub(super) fn head(position: ChainPosition, key: &AuditKey) -> Vec<u8> {
    let seal = hex(&seal(position, key));
    format!("{{\"seq\":{},\"mac\":\"{}\",\"seal\":\"{seal}\"}}\n", position.seq, position.hex()).into_bytes()
}

/// Reads a head; `None` where it was not sealed with this key.
pub(super) fn read_head(bytes: &[u8], key: &AuditKey) -> Option<ChainPosition> {
    let text: SealedHead = serde_json::from_slice(bytes).ok()?;
    let position = ChainPosition { seq: text.seq, mac: unhex(text.mac.as_bytes())? };
    let sealed = unhex(text.seal.as_bytes())?;
    key.is_code(&seal_parts(&text.seq.to_be_bytes(), &position.mac), &sealed).then_some(position)
}

fn seal(position: ChainPosition, key: &AuditKey) -> [u8; 32] {
    key.code(&seal_parts(&position.seq.to_be_bytes(), &position.mac))
}

/// The bytes that a seal covers. No line begins like them, so no line's code can be used as a seal.
fn seal_parts<'a>(seq: &'a [u8], mac: &'a [u8]) -> [&'a [u8]; 3] {
    [b"head", seq, mac]
}

fn text(name: &str, value: &str, out: &mut Vec<u8>) {
    let mut end = value.len().min(AUDIT_TEXT_BYTES_MAX);
    while !value.is_char_boundary(end) {
        end -= 1;
    }
    // A text always has a JSON form.
    let json = serde_json::to_string(&value[..end]).unwrap_or_default();
    let _ = write!(out, ",\"{name}\":{}", escape_unprintable(&json));
}

/// A detail that is too long is replaced by its length, so that a line stays a line.
fn detail(entry: &AuditRecord, out: &mut Vec<u8>) {
    if entry.detail.is_null() {
        return;
    }
    let json = entry.detail.to_string();
    if json.len() <= 4 * AUDIT_TEXT_BYTES_MAX {
        let _ = write!(out, ",\"detail\":{}", escape_unprintable(&json));
    } else {
        let _ = write!(out, ",\"detail\":{{\"omitted_bytes\":{}}}", json.len());
    }
}

fn split_hex<'a>(body: &'a [u8], key: &[u8]) -> Option<(&'a [u8], [u8; 32])> {
    let (rest, digits) = body.split_at_checked(body.len().checked_sub(HEX)?)?;
    Some((rest.strip_suffix(key)?, unhex(digits)?))
}

/// Reads 64 hexadecimal digits. Only lower case is read, so that there is one way to write a code.
fn unhex(digits: &[u8]) -> Option<[u8; 32]> {
    let digits: &[u8; HEX] = digits.try_into().ok()?;
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

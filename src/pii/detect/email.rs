//! Finds e-mail addresses: reads from the `@` to both sides (RFC 5321, section 4.5.3.1, for the lengths).
//!
//! Reads at most the longest local part before the `@` and the longest domain after it.

use super::{Detector, Hit, PiiKind};

const LOCAL_BYTES_MAX: usize = 64;
const DOMAIN_BYTES_MAX: usize = 253;

/// The first address that begins at `from` or later.
pub(super) fn next_email(detector: &Detector, text: &[u8], from: usize) -> Option<Hit> {
    if !detector.looks_for(PiiKind::Email) {
        return None;
    }
    memchr::memchr_iter(b'@', text.get(from..)?).find_map(|at| {
        let at = from + at;
        let start = local_start(text, from, at)?;
        Some(Hit::whole(start, domain_end(text, at + 1)?, PiiKind::Email))
    })
}

fn local_start(text: &[u8], from: usize, at: usize) -> Option<usize> {
    let least = from.max(at.saturating_sub(LOCAL_BYTES_MAX));
    let run = text[least..at].iter().rev().take_while(|&&b| is_local(b)).count();
    let mut start = at - run;
    // The bound may have split a character: begin with the next one.
    while start < at && matches!(text[start], 0x80..=0xbf) {
        start += 1;
    }
    (start < at).then_some(start)
}

/// The end of the longest domain: labels that end in a name of letters.
fn domain_end(text: &[u8], from: usize) -> Option<usize> {
    let (mut end, mut label, mut labels) = (None, from, 0);
    for at in from..=text.len().min(from + DOMAIN_BYTES_MAX) {
        if text.get(at).is_some_and(|&b| is_label(b)) {
            continue;
        }
        let name = &text[label..at];
        if name.is_empty() || name[0] == b'-' || name.ends_with(b"-") {
            break;
        }
        labels += 1;
        if labels > 1 && is_top(name) {
            end = Some(at);
        }
        if text.get(at) != Some(&b'.') {
            break;
        }
        label = at + 1;
    }
    end
}

fn is_top(name: &[u8]) -> bool {
    name.len() >= 2 && (name.starts_with(b"xn--") || name.iter().all(|b| b.is_ascii_alphabetic() || *b >= 0x80))
}

/// The characters of a local part, except those that occur around addresses more often than in them.
const fn is_local(b: u8) -> bool {
    b.is_ascii_alphanumeric()
        || b >= 0x80
        || matches!(b, b'.' | b'_' | b'%' | b'+' | b'-' | b'\'' | b'~' | b'#' | b'$' | b'!' | b'*')
}

const fn is_label(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b >= 0x80 || b == b'-'
}

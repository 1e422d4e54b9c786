//! The delimiter before each part of a form (RFC 2046, section 5.1.1), and how much of it has just been read.

use std::sync::Arc;

use crate::pii::{RewriteError, RewriteResult};

/// A delimiter that is being looked for.
pub(super) struct Delimiter {
    /// LF, two hyphens and the boundary. The CR before them is handled apart, since some parsers do without it.
    bytes: Arc<[u8]>,
    /// How many of these bytes have just been read.
    matched: usize,
    /// Whether a CR has been read before them, and is held back.
    pub(super) holds_cr: bool,
}

impl Delimiter {
    /// The delimiter with this boundary; its LF counts as read, since a form begins with the hyphens.
    ///
    /// # Errors
    /// [`RewriteError::Malformed`] when the boundary is not valid.
    pub(super) fn new(boundary: &str) -> RewriteResult<Self> {
        let good = |b: u8| b.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&b);
        if !(1..=70).contains(&boundary.len()) || !boundary.bytes().all(good) || boundary.ends_with(' ') {
            return Err(RewriteError::Malformed { what: "an invalid boundary", at: 0 });
        }
        Ok(Self { bytes: [b"\n--", boundary.as_bytes()].concat().into(), matched: 1, holds_cr: false })
    }

    /// Whether a part of it has just been read.
    pub(super) const fn is_begun(&self) -> bool {
        self.matched > 0
    }

    pub(super) fn is_complete(&self) -> bool {
        self.matched == self.bytes.len()
    }

    /// Notes whether an LF, with which it begins, has just been read.
    pub(super) fn begin(&mut self, has_lf: bool) {
        self.matched = usize::from(has_lf);
    }

    /// Whether this byte is its next one, which then counts as read.
    pub(super) fn take(&mut self, byte: u8) -> bool {
        let is_next = self.bytes.get(self.matched) == Some(&byte);
        self.matched += usize::from(is_next);
        is_next
    }

    /// Goes back to before its first byte.
    pub(super) fn reset(&mut self) {
        (self.matched, self.holds_cr) = (0, false);
    }

    /// Appends what has been read of it, from the byte at `from` on: it was content after all.
    pub(super) fn give_up(&mut self, from: usize, content: &mut Vec<u8>) {
        if std::mem::take(&mut self.holds_cr) {
            content.push(b'\r');
        }
        content.extend_from_slice(&self.bytes[from..self.matched]);
        self.matched = 0;
    }

    /// The boundary, as the content type declares it.
    pub(super) fn boundary(&self) -> &[u8] {
        &self.bytes[3..]
    }

    /// Whether it is in a text, where some parsers would see it even without a line end before it.
    pub(super) fn is_in(&self, text: &[u8]) -> bool {
        memchr::memmem::find(text, &self.bytes[1..]).is_some()
    }
}

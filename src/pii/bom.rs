//! A byte order mark before a body (U+FEFF in UTF-8), which some writers put there and some readers stumble over.
//!
//! Engines begin behind it. In front of a table it leaves as it came, since spreadsheets read a table without one in
//! another charset; in front of JSON, XML and events it stays behind (RFC 8259, section 8.1). Never skips a second one.

use super::{RewriteError, RewriteObserver, Rewriter};

const MARK: &[u8; 3] = b"\xef\xbb\xbf";

/// An engine that begins behind a byte order mark, where there is one.
pub(super) struct BomFilter<E> {
    engine: E,
    keeps: bool,
    /// How much of the mark has come; none when it is behind us.
    seen: Option<usize>,
}

impl<E> BomFilter<E> {
    /// With `keeps`, a mark leaves as it came.
    pub(super) const fn new(engine: E, keeps: bool) -> Self {
        Self { engine, keeps, seen: Some(0) }
    }
}

impl<E: Rewriter> BomFilter<E> {
    /// Reads on at the mark; returns what stands behind it.
    fn skip<'a>(
        &mut self,
        mut seen: usize,
        input: &'a [u8],
        observer: &mut dyn RewriteObserver,
        out: &mut Vec<u8>,
    ) -> Result<&'a [u8], RewriteError> {
        let alike = input.iter().zip(&MARK[seen..]).take_while(|(a, b)| a == b).count();
        seen += alike;
        self.seen = None;
        if seen == MARK.len() {
            out.extend_from_slice(if self.keeps { MARK } else { b"" });
        } else if alike == input.len() {
            self.seen = Some(seen);
        } else {
            self.engine.feed(&MARK[..seen], observer, out)?;
        }
        Ok(&input[alike..])
    }
}

impl<E: Rewriter> Rewriter for BomFilter<E> {
    fn feed(
        &mut self,
        input: &[u8],
        observer: &mut dyn RewriteObserver,
        out: &mut Vec<u8>,
    ) -> Result<(), RewriteError> {
        let rest = match self.seen {
            None => input,
            Some(seen) => self.skip(seen, input, observer, out)?,
        };
        if rest.is_empty() { Ok(()) } else { self.engine.feed(rest, observer, out) }
    }

    fn finish(&mut self, observer: &mut dyn RewriteObserver, out: &mut Vec<u8>) -> Result<(), RewriteError> {
        if let Some(seen @ 1..) = self.seen.take() {
            self.engine.feed(&MARK[..seen], observer, out)?;
        }
        self.engine.finish(observer, out)
    }
}

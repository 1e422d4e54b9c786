//! A byte order mark (U+FEFF in UTF-8) before a body: some writers put one there, and some readers refuse it.
//!
//! The engine does not see it. Before a table it passes, because spreadsheets take a table without one for another
//! charset. Before JSON, XML and events it is removed (RFC 8259, section 8.1). Never skips a second one.

use super::{RewriteObserver, RewriteResult, Rewriter};

const MARK: &[u8; 3] = b"\xef\xbb\xbf";

/// Skips a byte order mark before its engine reads the body.
pub(super) struct BomFilter<E> {
    engine: E,
    keeps: bool,
    /// Bytes of the mark that have come; `None` once the engine reads.
    seen: Option<usize>,
}

impl<E> BomFilter<E> {
    /// With `keeps`, the mark passes to the output.
    pub(super) const fn new(engine: E, keeps: bool) -> Self {
        Self { engine, keeps, seen: Some(0) }
    }
}

impl<E: Rewriter> BomFilter<E> {
    /// Reads more of the mark; returns the input after it.
    fn skip<'a>(
        &mut self,
        mut seen: usize,
        input: &'a [u8],
        observer: &mut dyn RewriteObserver,
        out: &mut Vec<u8>,
    ) -> RewriteResult<&'a [u8]> {
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
    fn feed(&mut self, input: &[u8], observer: &mut dyn RewriteObserver, out: &mut Vec<u8>) -> RewriteResult {
        let rest = match self.seen {
            None => input,
            Some(seen) => self.skip(seen, input, observer, out)?,
        };
        if rest.is_empty() { Ok(()) } else { self.engine.feed(rest, observer, out) }
    }

    fn finish(&mut self, observer: &mut dyn RewriteObserver, out: &mut Vec<u8>) -> RewriteResult {
        if let Some(seen @ 1..) = self.seen.take() {
            self.engine.feed(&MARK[..seen], observer, out)?;
        }
        self.engine.finish(observer, out)
    }
}

//! Where the bytes go that are being read: to the output, into the pending separator, or nowhere.

use crate::pii::{RewriteError, RewriteResult};

/// Where bytes go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::pii::json) enum ByteSink {
    /// To the output, unchanged.
    #[default]
    Out,
    /// Into the pending separator.
    Pending,
    /// The output is thrown away.
    Discard,
}

/// The present sink, and what waits for a decision.
#[derive(Default)]
pub(in crate::pii::json) struct OutputRoute {
    sink: ByteSink,
    /// The pending separator: a comma, a key and the space around them, until their value's action is decided.
    separator: Vec<u8>,
    /// Bytes of the present chunk from here on have not yet gone to the sink.
    from: usize,
}

impl OutputRoute {
    /// Goes back to the state before the first byte of a document.
    pub(super) fn reset(&mut self) {
        self.sink = ByteSink::Out;
        self.separator.clear();
    }

    /// A new chunk begins: all of the one before has gone to its sink.
    pub(super) fn begin_chunk(&mut self) {
        self.from = 0;
    }

    #[inline]
    pub(super) fn sink(&self) -> ByteSink {
        self.sink
    }

    /// Sends the bytes of the chunk before `at` to the present sink, and those from there on to another one.
    #[inline]
    pub(super) fn switch(&mut self, sink: ByteSink, at: usize, chunk: &[u8], out: &mut Vec<u8>) {
        let span = &chunk[self.from..at];
        match self.sink {
            ByteSink::Out => out.extend_from_slice(span),
            ByteSink::Pending => self.separator.extend_from_slice(span),
            ByteSink::Discard => {}
        }
        self.from = at;
        self.sink = sink;
    }

    /// Drops the pending separator, and all that follows up to the next switch.
    pub(super) fn discard(&mut self, at: usize) {
        self.separator.clear();
        self.from = at;
        self.sink = ByteSink::Discard;
    }

    /// Puts out the pending separator; without its comma, where its value is the first that the container keeps.
    pub(super) fn release(&mut self, comes_first: bool, out: &mut Vec<u8>) {
        let separator = self.separator.as_slice();
        let separator = if comes_first { separator.strip_prefix(b",").unwrap_or(separator) } else { separator };
        out.extend_from_slice(separator);
        self.separator.clear();
    }

    /// Checks that the pending separator, up to the byte at `at`, is within a limit.
    ///
    /// # Errors
    /// [`RewriteError::Bound`] when it is longer.
    pub(super) fn check(&self, at: usize, limit: usize) -> RewriteResult {
        if self.sink == ByteSink::Pending && self.separator.len() + at - self.from > limit {
            return Err(RewriteError::Bound { bound: "space around a member", limit: limit as u64 });
        }
        Ok(())
    }
}

//! The text of a container that identifies a subject.

use crate::bounds::VALUE_BYTES_MAX;

use super::secret_buffer::SecretBuffer;

/// Keeps the first [`VALUE_BYTES_MAX`] bytes of the container that identifies a subject, while it is open.
#[derive(Default)]
pub(in crate::pii::json) struct SubjectCapture {
    /// The depth of the container; `None` when none is open.
    depth: Option<usize>,
    /// What has been read of it.
    buffer: SecretBuffer,
    /// Bytes of the present chunk from here on are not yet in the buffer.
    from: usize,
}

impl SubjectCapture {
    pub(super) fn reset(&mut self) {
        self.depth = None;
        self.buffer.clear();
    }

    /// The depth of the open container; what is in it is no subject of its own.
    #[inline]
    pub(in crate::pii::json) fn depth(&self) -> Option<usize> {
        self.depth
    }

    /// A container that identifies a subject begins at `at`.
    pub(super) fn begin(&mut self, depth: usize, at: usize) {
        self.depth = Some(depth);
        self.buffer.clear();
        self.from = at;
    }

    /// A new chunk begins.
    pub(super) fn begin_chunk(&mut self) {
        self.from = 0;
    }

    /// Keeps the bytes of the chunk before `end`, as far as the bound allows.
    pub(super) fn hold(&mut self, end: usize, chunk: &[u8]) {
        if self.depth.is_some() {
            let room = VALUE_BYTES_MAX - self.buffer.len();
            let part = &chunk[self.from..end];
            self.buffer.push(&part[..part.len().min(room)]);
            self.from = end;
        }
    }

    /// The container ends before `end`: hands its text to `report`.
    pub(super) fn finish(&mut self, end: usize, chunk: &[u8], report: impl FnOnce(&[u8])) {
        self.hold(end, chunk);
        self.depth = None;
        report(self.buffer.as_slice());
        self.buffer.clear();
    }
}

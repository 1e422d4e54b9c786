//! The open event of a stream, and how its lines are put out.

use crate::bounds::KEY_BYTES_MAX;
use crate::pii::{RewriteError, RewriteResult};

/// Which rewriter reads the data of the open event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum EventData {
    /// The event has no data yet, or the end marker.
    #[default]
    Nothing,
    /// The JSON rewriter.
    Json,
    /// The detectors.
    Text,
}

/// The event that is being read.
#[derive(Default)]
pub(super) struct SseEvent {
    pub(super) open: EventData,
    /// Offset of its data in the body.
    pub(super) start: u64,
    /// Whether a space follows `data:` in its first data line; further data lines are written alike.
    pub(super) spaced: bool,
    /// The line end of its first data line; further data lines are written alike.
    pub(super) ending: Vec<u8>,
    /// The start of its data, as long as that may be the end marker.
    pub(super) probe: Vec<u8>,
    /// The lines that follow its data: they are put out after it.
    pub(super) tail: Vec<u8>,
    /// Where the last line end was put.
    pub(super) last: LineDestination,
}

/// Where bytes of a line are put.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum LineDestination {
    #[default]
    Out,
    /// [`SseEvent::tail`]: after the data.
    Tail,
    /// [`SseEvent::ending`]: the line end that further data lines are written with.
    Ending,
    /// Nowhere: a line end between two data lines is written anew, and a dropped line is not put out.
    Nowhere,
}

impl SseEvent {
    /// Puts out, as data lines, what the inner rewriters have made of the data.
    pub(super) fn put_data(&self, made: &mut Vec<u8>, out: &mut Vec<u8>) {
        let mut rest = made.as_slice();
        while let Some(end) = memchr::memchr(b'\n', rest) {
            out.extend_from_slice(&rest[..end]);
            out.extend_from_slice(&self.ending);
            out.extend_from_slice(if self.spaced { b"data: " } else { b"data:" });
            rest = &rest[end + 1..];
        }
        out.extend_from_slice(rest);
        made.clear();
    }

    /// Puts bytes of a line where they go.
    ///
    /// # Errors
    /// [`RewriteError::Bound`] when the lines that are held after the data are too long.
    pub(super) fn put(&mut self, to: LineDestination, bytes: &[u8], out: &mut Vec<u8>) -> RewriteResult {
        match to {
            LineDestination::Out => out.extend_from_slice(bytes),
            LineDestination::Ending => self.ending.extend_from_slice(bytes),
            LineDestination::Nowhere => {}
            LineDestination::Tail if self.tail.len() + bytes.len() > KEY_BYTES_MAX => {
                let bound = "the lines after an event's data";
                return Err(RewriteError::Bound { bound, limit: KEY_BYTES_MAX as u64 });
            }
            LineDestination::Tail => self.tail.extend_from_slice(bytes),
        }
        Ok(())
    }
}

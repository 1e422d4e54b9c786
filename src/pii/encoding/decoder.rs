//! The decoders of all codings, as one trait.
//!
//! Each takes as much input as it can, puts out as much as fits, and can be called again at once. None spawns a
//! thread or blocks.

use super::{ContentCoding, zstd};
use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use flate2::{Decompress, FlushDecompress, Status};

/// A decoder into which the body is pushed piece by piece.
pub(super) trait PushDecoder: Send {
    /// Takes bytes off the front of `input`, and returns how many it has put into `output`. When it takes none and
    /// gives none, it needs more input.
    ///
    /// # Errors
    /// A constant text that says what is wrong with the body.
    fn step(&mut self, input: &mut &[u8], output: &mut [u8]) -> Result<usize, &'static str>;

    /// Whether the body may end here.
    fn is_done(&self) -> bool;
}

/// The decoder of a coding.
pub(super) fn of(coding: ContentCoding) -> Box<dyn PushDecoder> {
    match coding {
        ContentCoding::Gzip => Box::new(InflateDecoder::new(true)),
        ContentCoding::Deflate => Box::new(InflateDecoder::new(false)),
        ContentCoding::Brotli => Box::new(BrotliDecoder::new()),
        ContentCoding::Zstd => Box::new(zstd::ZstdDecoder::default()),
    }
}

/// The decoder of gzip and of zlib.
struct InflateDecoder {
    gzip: bool,
    state: Decompress,
    done: bool,
}

impl InflateDecoder {
    fn new(gzip: bool) -> Self {
        Self { gzip, state: Self::start(gzip), done: false }
    }

    fn start(gzip: bool) -> Decompress {
        const WINDOW_BITS: u8 = 15;
        if gzip { Decompress::new_gzip(WINDOW_BITS) } else { Decompress::new(true) }
    }
}

impl PushDecoder for InflateDecoder {
    fn step(&mut self, input: &mut &[u8], output: &mut [u8]) -> Result<usize, &'static str> {
        if self.done && !input.is_empty() {
            if !self.gzip {
                return Err("bytes after the end of a zlib stream");
            }
            // A gzip body may have further members (RFC 1952, section 2.2).
            (self.state, self.done) = (Self::start(true), false);
        }
        if self.done {
            return Ok(0);
        }
        let (taken, given) = (self.state.total_in(), self.state.total_out());
        let status = self.state.decompress(input, output, FlushDecompress::None);
        let status = status.map_err(|_| if self.gzip { "not a gzip body" } else { "not a zlib body" })?;
        self.done = status == Status::StreamEnd;
        let taken = usize::try_from(self.state.total_in() - taken).unwrap_or(usize::MAX);
        *input = input.get(taken..).unwrap_or_default();
        Ok(usize::try_from(self.state.total_out() - given).unwrap_or(usize::MAX).min(output.len()))
    }

    fn is_done(&self) -> bool {
        self.done
    }
}

/// The decoder of Brotli.
struct BrotliDecoder {
    state: BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>,
    done: bool,
}

impl BrotliDecoder {
    fn new() -> Self {
        let alloc = StandardAlloc::default;
        Self { state: BrotliState::new_strict(alloc(), alloc(), alloc()), done: false }
    }
}

impl PushDecoder for BrotliDecoder {
    fn step(&mut self, input: &mut &[u8], output: &mut [u8]) -> Result<usize, &'static str> {
        if self.done {
            return if input.is_empty() { Ok(0) } else { Err("bytes after the end of a brotli stream") };
        }
        let (mut available_in, mut taken) = (input.len(), 0);
        let (mut available_out, mut given, mut total) = (output.len(), 0, 0);
        let result = BrotliDecompressStream(
            &mut available_in,
            &mut taken,
            input,
            &mut available_out,
            &mut given,
            output,
            &mut total,
            &mut self.state,
        );
        *input = &input[taken..];
        match result {
            BrotliResult::ResultFailure => Err("not a brotli body"),
            BrotliResult::ResultSuccess => {
                self.done = true;
                Ok(given)
            }
            BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => Ok(given),
        }
    }

    fn is_done(&self) -> bool {
        self.done
    }
}

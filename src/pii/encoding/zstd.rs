//! The framing of zstd (RFC 8878, section 3.1.1), so that one block is decoded at a time.
//!
//! Four bytes can encode a block of 128 KiB, so a decoder that took all blocks of a chunk at once would hold all that
//! a zip bomb expands to. Never lets a frame have a larger window than the bound, or a dictionary.

use super::decoder::PushDecoder;
use crate::bounds::ZSTD_WINDOW_BYTES_MAX;
use ruzstd::decoding::FrameDecoder;
use std::io::Read;

const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// The magic number and the descriptor: they determine the length of the header.
const HEADER_BYTES_MIN: usize = 5;
const BLOCK_HEADER_BYTES: usize = 3;
const BLOCK_BYTES_MAX: usize = 128 * 1024;
const CHECKSUM_BYTES: usize = 4;

/// The decoder of zstd.
pub(super) struct ZstdDecoder {
    frame: FrameDecoder,
    /// The frame header or block that is not complete: at most one.
    held: Vec<u8>,
    state: ZstdState,
    /// Whether the frame ends with a checksum.
    checksum: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ZstdState {
    /// Before or in a frame header.
    Header,
    /// Before or in a block.
    Block,
    /// The last block is decoded: the rest of the window is put out.
    Ending,
}

impl Default for ZstdDecoder {
    fn default() -> Self {
        Self { frame: FrameDecoder::new(), held: Vec::new(), state: ZstdState::Header, checksum: false }
    }
}

impl PushDecoder for ZstdDecoder {
    fn step(&mut self, input: &mut &[u8], output: &mut [u8]) -> Result<usize, &'static str> {
        if self.state != ZstdState::Header {
            let given = self.frame.read(output).map_err(|_| NOT_ZSTD)?;
            if given > 0 {
                return Ok(given);
            }
        }
        if self.state == ZstdState::Ending {
            if self.checksum && self.frame.get_checksum_from_data() != self.frame.get_calculated_checksum() {
                return Err("a zstd body that its checksum does not fit");
            }
            self.state = ZstdState::Header;
        }
        match self.state {
            ZstdState::Header => self.header(input)?,
            ZstdState::Block | ZstdState::Ending => self.block(input)?,
        }
        Ok(0)
    }

    fn is_done(&self) -> bool {
        self.held.is_empty() && self.state == ZstdState::Header
    }
}

const NOT_ZSTD: &str = "not a zstd body";

impl ZstdDecoder {
    fn header(&mut self, input: &mut &[u8]) -> Result<(), &'static str> {
        if !self.fill(HEADER_BYTES_MIN, input) {
            return Ok(());
        }
        if self.held[..4] != MAGIC {
            return Err(NOT_ZSTD);
        }
        let header = ZstdFrameHeader::of(self.held[4]);
        if !self.fill(HEADER_BYTES_MIN + header.more, input) {
            return Ok(());
        }
        if header.window(&self.held) > ZSTD_WINDOW_BYTES_MAX {
            return Err("a zstd body with too large a window");
        }
        if header.dictionary > 0 {
            return Err("a zstd body with a dictionary");
        }
        self.checksum = header.checksum;
        self.frame.init(self.held.as_slice()).map_err(|_| NOT_ZSTD)?;
        self.held.clear();
        self.state = ZstdState::Block;
        Ok(())
    }

    fn block(&mut self, input: &mut &[u8]) -> Result<(), &'static str> {
        if !self.fill(BLOCK_HEADER_BYTES, input) {
            return Ok(());
        }
        let bits = u32::from_le_bytes([self.held[0], self.held[1], self.held[2], 0]);
        let (last, repeated, size) = (bits & 1 == 1, bits >> 1 & 3 == 1, (bits >> 3) as usize);
        if size > BLOCK_BYTES_MAX {
            return Err(NOT_ZSTD);
        }
        let content = if repeated { 1 } else { size };
        let tail = if last && self.checksum { CHECKSUM_BYTES } else { 0 };
        if !self.fill(BLOCK_HEADER_BYTES + content + tail, input) {
            return Ok(());
        }
        let (taken, _) = self.frame.decode_from_to(&self.held, &mut []).map_err(|_| NOT_ZSTD)?;
        if taken != self.held.len() {
            return Err(NOT_ZSTD);
        }
        self.held.clear();
        self.state = if last { ZstdState::Ending } else { ZstdState::Block };
        Ok(())
    }

    /// Takes input until `wanted` bytes are held; says whether they are.
    fn fill(&mut self, wanted: usize, input: &mut &[u8]) -> bool {
        let take = wanted.saturating_sub(self.held.len()).min(input.len());
        let (piece, rest) = input.split_at(take);
        self.held.extend_from_slice(piece);
        *input = rest;
        self.held.len() >= wanted
    }
}

/// The lengths in a frame header, by its descriptor byte (RFC 8878, section 3.1.1.1.1).
struct ZstdFrameHeader {
    /// The frame has one segment: its window is as large as its content.
    single: bool,
    checksum: bool,
    /// Bytes of the field with the dictionary's number.
    dictionary: usize,
    /// Bytes of the field with the content's size.
    size: usize,
    /// Bytes of the header after the descriptor.
    more: usize,
}

impl ZstdFrameHeader {
    fn of(descriptor: u8) -> Self {
        let single = descriptor & 0x20 != 0;
        let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
        let size = [usize::from(single), 2, 4, 8][usize::from(descriptor >> 6)];
        Self { single, checksum: descriptor & 4 != 0, dictionary, size, more: usize::from(!single) + dictionary + size }
    }

    /// The window's size, in bytes.
    fn window(&self, bytes: &[u8]) -> u64 {
        if !self.single {
            let (exponent, mantissa) = (bytes[HEADER_BYTES_MIN] >> 3, u64::from(bytes[HEADER_BYTES_MIN] & 7));
            let base = 1_u64 << (10 + u32::from(exponent));
            return base + base / 8 * mantissa;
        }
        let mut size = [0; 8];
        let from = HEADER_BYTES_MIN + self.dictionary;
        size[..self.size].copy_from_slice(&bytes[from..from + self.size]);
        u64::from_le_bytes(size) + if self.size == 2 { 256 } else { 0 }
    }
}

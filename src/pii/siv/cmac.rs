//! CMAC (RFC 4493) and the last step of S2V: the authenticating half of AES-SIV.
//!
//! Each runs inside one dispatch to the machine's AES instructions. Computes tags and never compares them.

use aes::cipher::array::Array;
use aes::cipher::common::BlockSizeUser;
use aes::cipher::consts::U16;
use aes::cipher::{BlockCipherEncBackend, BlockCipherEncClosure, BlockCipherEncrypt};
use zeroize::Zeroize;

use super::{AesBlock, BLOCK_BYTES, SivHeader, encrypt_block, padded_tail, tail_of};

/// CMAC (RFC 4493) with its two subkeys: `whole` for a last block that is full, `padded` for one that is not. The
/// lowest byte is the first.
pub(super) struct Cmac<C> {
    pub(super) cipher: C,
    whole: u128,
    padded: u128,
}

impl<C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>> Cmac<C> {
    pub(super) fn new(cipher: C) -> Self {
        let mut zero = Array([0; BLOCK_BYTES]);
        cipher.encrypt_block(&mut zero);
        let whole = double(u128::from_be_bytes(zero.0));
        Self { cipher, whole: whole.swap_bytes(), padded: double(whole).swap_bytes() }
    }

    pub(super) fn tag(&self, text: &[u8]) -> AesBlock {
        let mut tag = 0;
        self.cipher.encrypt_with_backend(MacRun { mac: self, header: None, text, tag: &mut tag });
        tag.to_le_bytes()
    }
}

impl<C> Cmac<C> {
    /// The last step of S2V (RFC 5297 section 2.4): the tag of a text after its header.
    #[inline(always)]
    pub(super) fn s2v<B: BlockCipherEncBackend<BlockSize = U16>>(
        &self,
        backend: &B,
        header: &SivHeader,
        text: &[u8],
    ) -> u128 {
        if text.len() >= BLOCK_BYTES {
            self.run(backend, header.sum, text)
        } else {
            encrypt_block(backend, header.doubled ^ padded_tail(text, text) ^ self.whole)
        }
    }

    /// The tag of `text`, whose last 16 bytes are XORed with `end`. The text must have 16 bytes unless `end` is 0.
    #[inline(always)]
    fn run<B: BlockCipherEncBackend<BlockSize = U16>>(&self, backend: &B, end: u128, text: &[u8]) -> u128 {
        let tail_bytes = text.len() - text.len().saturating_sub(1) / BLOCK_BYTES * BLOCK_BYTES;
        let (blocks, tail) = text.split_at(text.len() - tail_bytes);
        let (last, before) = self.ends(end, tail.len());
        let mut state = 0;
        let mut blocks = blocks.as_chunks::<BLOCK_BYTES>().0.iter().peekable();
        while let Some(block) = blocks.next() {
            let end = if blocks.peek().is_none() { before } else { 0 };
            state = encrypt_block(backend, state ^ u128::from_le_bytes(*block) ^ end);
        }
        encrypt_block(backend, state ^ last ^ tail_of(text, tail))
    }

    /// The numbers to XOR with the last block, of which `filled` bytes are text, and with the block before it.
    #[inline(always)]
    fn ends(&self, end: u128, filled: usize) -> (u128, u128) {
        if filled == BLOCK_BYTES {
            return (self.whole ^ end, 0);
        }
        let bits = 8 * filled as u32;
        (self.padded ^ 0x80 << bits ^ end.checked_shr(128 - bits).unwrap_or(0), end << bits)
    }
}

impl<C> Drop for Cmac<C> {
    fn drop(&mut self) {
        self.whole.zeroize();
        self.padded.zeroize();
    }
}

/// One CMAC, after a header or alone, run inside the dispatch of the cipher so that its round keys stay in registers.
pub(super) struct MacRun<'a, C> {
    pub(super) mac: &'a Cmac<C>,
    pub(super) header: Option<&'a SivHeader>,
    pub(super) text: &'a [u8],
    pub(super) tag: &'a mut u128,
}

impl<C> BlockSizeUser for MacRun<'_, C> {
    type BlockSize = U16;
}

impl<C> BlockCipherEncClosure for MacRun<'_, C> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        *self.tag = match self.header {
            Some(header) => self.mac.s2v(backend, header, self.text),
            None => self.mac.run(backend, 0, self.text),
        };
    }
}

/// Doubles a block in GF(2^128) (RFC 5297 section 2.3). Its first byte is highest.
pub(super) const fn double(value: u128) -> u128 {
    (value << 1) ^ ((value >> 127) * 0x87)
}

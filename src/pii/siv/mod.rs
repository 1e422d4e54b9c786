//! AES-SIV (RFC 5297): deterministic authenticated encryption.
//!
//! Equal texts under one key and header give equal bytes, so that tables can be joined by them. A ciphertext with a
//! changed byte does not open. The part of S2V for the header is computed once, when keys are derived. A value then
//! costs one CMAC and one CTR pass, each inside one dispatch to the machine's AES instructions. Never allocates, and
//! never returns a text that did not authenticate.

mod cmac;

use aes::Aes256Enc;
use aes::cipher::array::Array;
use aes::cipher::common::BlockSizeUser;
use aes::cipher::consts::U16;
use aes::cipher::inout::InOutBuf;
use aes::cipher::{BlockCipherEncBackend, BlockCipherEncClosure, BlockCipherEncrypt, KeyInit};
use cmac::{Cmac, MacRun, double};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Bytes of a block, and of the synthetic IV before a ciphertext.
pub(super) const BLOCK_BYTES: usize = 16;

/// The bits of an IV that counter mode begins with (RFC 5297 section 2.5), the first byte highest. The highest bits of
/// the last two words of four bytes are cleared, so that the counter of no text overflows into the next word.
const COUNTER_MASK: u128 = !(1 << 63 | 1 << 31);

type AesBlock = [u8; BLOCK_BYTES];

/// AES-256-SIV: a 64-byte key.
pub(super) type Siv256 = Siv<Aes256Enc>;

/// A SIV key, expanded. `C` is AES-256 in the product, AES-128 for the RFC's own vectors.
pub(super) struct Siv<C> {
    mac: Cmac<C>,
    ctr: C,
}

/// The state of S2V after the associated data, before the plaintext, so that a value costs its own blocks alone.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(super) struct SivHeader {
    sum: u128,
    doubled: u128,
}

impl Siv256 {
    /// Expands the two halves of a key: the first authenticates, the second encrypts.
    pub(super) fn new(mac: &[u8; 32], ctr: &[u8; 32]) -> Self {
        Self::of(Aes256Enc::new(mac.into()), Aes256Enc::new(ctr.into()))
    }
}

impl<C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>> Siv<C> {
    fn of(mac: C, ctr: C) -> Self {
        Self { mac: Cmac::new(mac), ctr }
    }

    /// S2V (RFC 5297 section 2.4) over the associated data, without the plaintext.
    pub(super) fn header(&self, parts: &[&[u8]]) -> SivHeader {
        let mut sum = u128::from_be_bytes(self.mac.tag(&[0; BLOCK_BYTES]));
        for part in parts {
            sum = double(sum) ^ u128::from_be_bytes(self.mac.tag(part));
        }
        SivHeader { sum: sum.swap_bytes(), doubled: double(sum).swap_bytes() }
    }

    /// The synthetic IV of a text, and the ciphertext of its first 32 bytes, with zeros after the end of the text. The
    /// first byte of each block is highest.
    #[inline]
    pub(super) fn encrypt_start(&self, header: &SivHeader, text: &[u8]) -> [u128; 3] {
        let mut begun = [0; 3];
        self.mac.cipher.encrypt_with_backend(SivBegin { siv: self, header, text, begun: &mut begun });
        begun.map(u128::swap_bytes)
    }

    /// The synthetic IV of a text: its authentication tag.
    #[inline]
    fn iv(&self, header: &SivHeader, text: &[u8]) -> AesBlock {
        let mut tag = 0;
        self.mac.cipher.encrypt_with_backend(MacRun { mac: &self.mac, header: Some(header), text, tag: &mut tag });
        tag.to_le_bytes()
    }

    /// Encrypts or decrypts in place a part of a text, which begins `first_block` blocks after the start of the text.
    #[inline]
    pub(super) fn apply_keystream(&self, iv: &AesBlock, first_block: usize, text: &mut [u8]) {
        let counter = counter(iv).wrapping_add(first_block as u128);
        self.ctr.encrypt_with_backend(Keystream { counter, text });
    }

    /// Decrypts in place, and returns whether the text is authentic. If it is not, the text has been wiped.
    #[must_use]
    pub(super) fn open(&self, header: &SivHeader, iv: &AesBlock, text: &mut [u8]) -> bool {
        self.apply_keystream(iv, 0, text);
        let genuine = bool::from(self.iv(header, text).ct_eq(iv));
        if !genuine {
            text.zeroize();
        }
        genuine
    }
}

/// The first counter for an IV.
#[inline(always)]
const fn counter(iv: &AesBlock) -> u128 {
    u128::from_be_bytes(*iv) & COUNTER_MASK
}

/// Computes the IV of a text and then the start of its ciphertext. The dispatch of the second cipher is inside that of
/// the first, so that the IV stays in a register.
struct SivBegin<'a, C> {
    siv: &'a Siv<C>,
    header: &'a SivHeader,
    text: &'a [u8],
    /// The IV and two blocks of ciphertext, the first byte of each lowest.
    begun: &'a mut [u128; 3],
}

impl<C> BlockSizeUser for SivBegin<'_, C> {
    type BlockSize = U16;
}

impl<C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>> BlockCipherEncClosure for SivBegin<'_, C> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        let iv = self.siv.mac.s2v(backend, self.header, self.text);
        self.siv.ctr.encrypt_with_backend(FirstBlocks { iv, text: self.text, begun: self.begun });
    }
}

struct FirstBlocks<'a> {
    iv: u128,
    text: &'a [u8],
    begun: &'a mut [u128; 3],
}

impl BlockSizeUser for FirstBlocks<'_> {
    type BlockSize = U16;
}

impl BlockCipherEncClosure for FirstBlocks<'_> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        let counter = self.iv & COUNTER_MASK.swap_bytes();
        self.begun[0] = self.iv;
        let (first, rest) = self.text.split_at(self.text.len().min(BLOCK_BYTES));
        self.begun[1] = (encrypt_block(backend, counter) ^ tail_of(first, first)) & low_bytes_mask(first.len());
        if !rest.is_empty() {
            let second = &rest[..rest.len().min(BLOCK_BYTES)];
            let counter = (counter.swap_bytes() + 1).swap_bytes();
            let text = tail_of(&self.text[..BLOCK_BYTES + second.len()], second);
            self.begun[2] = (encrypt_block(backend, counter) ^ text) & low_bytes_mask(second.len());
        }
    }
}

/// A mask of the first `bytes` bytes of a block.
#[inline(always)]
const fn low_bytes_mask(bytes: usize) -> u128 {
    if bytes == 0 { 0 } else { u128::MAX >> (8 * (BLOCK_BYTES - bytes)) }
}

/// Counter mode over a text in place; the counter is a 128-bit big-endian number.
struct Keystream<'a> {
    counter: u128,
    text: &'a mut [u8],
}

impl BlockSizeUser for Keystream<'_> {
    type BlockSize = U16;
}

impl BlockCipherEncClosure for Keystream<'_> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        let mut counter = self.counter;
        let (blocks, tail) = self.text.as_chunks_mut::<BLOCK_BYTES>();
        for block in blocks {
            *block = (u128::from_le_bytes(*block) ^ encrypt_block(backend, counter.to_be())).to_le_bytes();
            counter = counter.wrapping_add(1);
        }
        if !tail.is_empty() {
            let pad = encrypt_block(backend, counter.to_be()).to_le_bytes();
            tail.iter_mut().zip(pad).for_each(|(byte, pad)| *byte ^= pad);
        }
    }
}

/// Encrypts one block, given as a number whose lowest byte is the first one.
#[inline(always)]
fn encrypt_block<B: BlockCipherEncBackend<BlockSize = U16>>(backend: &B, block: u128) -> u128 {
    let mut block = Array(block.to_le_bytes());
    backend.encrypt_block_inplace(&mut block);
    u128::from_le_bytes(block.0)
}

/// Encrypts independent blocks, as many in parallel as the machine can.
#[inline(always)]
pub(super) fn encrypt_blocks<B: BlockCipherEncBackend<BlockSize = U16>>(backend: &B, blocks: &mut [Array<u8, U16>]) {
    if let [one] = blocks {
        return backend.encrypt_block_inplace(one);
    }
    let (together, rest) = InOutBuf::from(blocks).into_chunks();
    for blocks in together {
        backend.encrypt_par_blocks(blocks);
    }
    backend.encrypt_tail_blocks(rest);
}

/// The last bytes of a text, fewer than a block, with the bit 1 after them that begins the padding.
#[inline(always)]
pub(super) fn padded_tail(text: &[u8], tail: &[u8]) -> u128 {
    tail_of(text, tail) | 0x80 << (8 * tail.len())
}

/// The last bytes of a text, at most a block, as a number whose lowest byte is the first one.
#[inline(always)]
fn tail_of(text: &[u8], tail: &[u8]) -> u128 {
    if let (Some(last), false) = (text.last_chunk::<BLOCK_BYTES>(), tail.is_empty()) {
        return u128::from_le_bytes(*last) >> (8 * (BLOCK_BYTES - tail.len()));
    }
    // Two reads that overlap, instead of a copy of unknown length.
    if let (Some(first), Some(last)) = (tail.first_chunk::<8>(), tail.last_chunk::<8>()) {
        let last = u128::from(u64::from_le_bytes(*last));
        return u128::from(u64::from_le_bytes(*first)) | last << (8 * (tail.len() - 8));
    }
    if let (Some(first), Some(last)) = (tail.first_chunk::<4>(), tail.last_chunk::<4>()) {
        let last = u128::from(u32::from_le_bytes(*last));
        return u128::from(u32::from_le_bytes(*first)) | last << (8 * (tail.len() - 4));
    }
    tail.iter().rev().fold(0, |value, byte| value << 8 | u128::from(*byte))
}

#[cfg(test)]
mod tests {
    use aes::Aes128Enc;
    use aes_siv::siv::Aes256Siv;
    use proptest::prelude::*;

    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
    }

    fn siv_128(mac: &str, ctr: &str) -> Siv<Aes128Enc> {
        let cipher = |key: &str| Aes128Enc::new_from_slice(&hex(key)).unwrap();
        Siv::of(cipher(mac), cipher(ctr))
    }

    /// The IV and the ciphertext. [`Siv::encrypt_start`] must give the start of them.
    fn seal<C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>>(
        siv: &Siv<C>,
        header: &SivHeader,
        text: &[u8],
    ) -> Vec<u8> {
        let iv = siv.iv(header, text);
        let mut sealed = [&iv[..], text].concat();
        siv.apply_keystream(&iv, 0, &mut sealed[BLOCK_BYTES..]);
        let mut begun = siv.encrypt_start(header, text).map(u128::to_be_bytes).concat();
        let length = sealed.len().min(begun.len());
        assert!(begun.drain(length..).all(|byte| byte == 0), "there are zeros after the end of a text");
        assert_eq!(begun, sealed[..length]);
        sealed
    }

    fn check_against_the_aes_siv_crate(key: [u8; 32], ad: &[u8], text: &[u8]) {
        let other = key.map(|b| b ^ 0x5a);
        let siv = Siv256::new(&key, &other);
        let theirs = Aes256Siv::new_from_slice(&[key, other].concat()).unwrap().encrypt([ad], text).unwrap();
        assert_eq!(seal(&siv, &siv.header(&[ad]), text), theirs, "{} bytes", text.len());
    }

    #[test]
    fn texts_of_every_length_equal_the_aes_siv_crate() {
        let text: Vec<u8> = (1..=200).collect();
        (0..=text.len()).for_each(|length| check_against_the_aes_siv_crate([7; 32], b"a header", &text[..length]));
    }

    #[test]
    fn the_example_of_rfc_5297_a1_gives_its_published_result() {
        let siv = siv_128("fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0", "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff");
        let header = siv.header(&[&hex("101112131415161718191a1b1c1d1e1f 2021222324252627")]);
        let sealed = seal(&siv, &header, &hex("112233445566778899aabbccddee"));
        assert_eq!(sealed, hex("85632d07c6e8f37f950acd320a2ecc93 40c02b9690c4dc04daef7f6afe5c"));
    }

    #[test]
    fn the_example_of_rfc_5297_a2_gives_its_published_result() {
        let siv = siv_128("7f7e7d7c7b7a79787776757473727170", "404142434445464748494a4b4c4d4e4f");
        let header = siv.header(&[
            &hex("00112233445566778899aabbccddeeff deaddadadeaddadaffeeddccbbaa9988 7766554433221100"),
            &hex("102030405060708090a0"),
            &hex("09f911029d74e35bd84156c5635688c0"),
        ]);
        let text = b"this is some plaintext to encrypt using SIV-AES";
        let expected = "7bdb6e3b432667eb06f4d14bff2fbd0f cb900f2fddbe404326601965c889bf17
            dba77ceb094fa663b7a3f748ba8af829 ea64ad544a272e9c485b62a3fd5c0d";
        assert_eq!(seal(&siv, &header, text), hex(expected));
    }

    proptest! {
        #[test]
        fn any_text_equals_the_aes_siv_crate(key in any::<[u8; 32]>(), ad in any::<[u8; 20]>(), text in prop::collection::vec(any::<u8>(), 0..200)) {
            check_against_the_aes_siv_crate(key, &ad, &text);
        }

        #[test]
        fn the_keystream_can_be_applied_in_parts(text in prop::collection::vec(any::<u8>(), 0..200), cut in 0_usize..12) {
            let siv = Siv256::new(&[7; 32], &[8; 32]);
            let (iv, cut) = ([0xff; BLOCK_BYTES], (cut * BLOCK_BYTES).min(text.len()) / BLOCK_BYTES * BLOCK_BYTES);
            let (mut whole, mut parts) = (text.clone(), text);
            siv.apply_keystream(&iv, 0, &mut whole);
            let (left, right) = parts.split_at_mut(cut);
            siv.apply_keystream(&iv, 0, left);
            siv.apply_keystream(&iv, cut / BLOCK_BYTES, right);
            prop_assert_eq!(whole, parts);
        }

        #[test]
        fn a_ciphertext_with_a_changed_byte_does_not_open_and_leaves_no_text(text in prop::collection::vec(1_u8.., 1..60), at in any::<prop::sample::Index>(), flip in 1_u8..) {
            let siv = Siv256::new(&[9; 32], &[7; 32]);
            let header = siv.header(&[b"header"]);
            let mut sealed = seal(&siv, &header, &text);
            let at = at.index(sealed.len());
            sealed[at] ^= flip;
            let (iv, body) = sealed.split_at_mut(BLOCK_BYTES);
            let iv: AesBlock = (&*iv).try_into().unwrap();
            prop_assert!(!siv.open(&header, &iv, body));
            prop_assert!(body.iter().all(|b| *b == 0));
        }
    }
}

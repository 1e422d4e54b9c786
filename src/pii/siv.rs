//! AES-SIV (RFC 5297): deterministic authenticated encryption.
//!
//! Equal texts under one key and header give equal bytes, so joins work; a changed byte never opens. The header's part
//! of S2V is computed once, at config load, which leaves one CMAC and one CTR pass per value, each inside a single
//! dispatch to the machine's AES instructions. Never allocates; never returns a text that did not authenticate.

use aes::Aes256Enc;
use aes::cipher::array::Array;
use aes::cipher::common::BlockSizeUser;
use aes::cipher::consts::U16;
use aes::cipher::inout::InOut;
use aes::cipher::{BlockCipherEncBackend, BlockCipherEncClosure, BlockCipherEncrypt, KeyInit};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Bytes of a block, and of the synthetic IV that stands before a ciphertext.
pub(super) const BLOCK: usize = 16;

type Block = [u8; BLOCK];

/// AES-256-SIV: a 64-byte key.
pub(super) type Siv256 = Siv<Aes256Enc>;

/// A SIV key, expanded. `C` is AES-256 in the product, AES-128 for the RFC's own vectors.
pub(super) struct Siv<C> {
    mac: Cmac<C>,
    ctr: C,
}

/// S2V over everything that stands before the plaintext, so that a value costs only its own blocks.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(super) struct Header {
    sum: Block,
    doubled: Block,
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

    /// Sums up the associated data (RFC 5297 section 2.4), all but the plaintext.
    pub(super) fn header(&self, parts: &[&[u8]]) -> Header {
        let mut sum = self.mac.tag(&[0; BLOCK]);
        for part in parts {
            sum = double(sum);
            xor(&mut sum, &self.mac.tag(part));
        }
        Header { sum, doubled: double(sum) }
    }

    /// The synthetic IV of a text: its authentication tag.
    #[inline]
    pub(super) fn iv(&self, header: &Header, text: &[u8]) -> Block {
        if text.len() >= BLOCK {
            self.mac.tag_xor_end(&header.sum, text)
        } else {
            let mut padded = header.doubled;
            xor_start(&mut padded, text);
            padded[text.len()] ^= 0x80;
            self.mac.tag(&padded)
        }
    }

    /// Encrypts or decrypts in place: the part of a text that begins `first_block` blocks after its start.
    #[inline]
    pub(super) fn apply_keystream(&self, iv: &Block, first_block: usize, text: &mut [u8]) {
        let mut counter = *iv;
        counter[8] &= 0x7f;
        counter[12] &= 0x7f;
        let counter = u128::from_be_bytes(counter).wrapping_add(first_block as u128);
        self.ctr.encrypt_with_backend(Keystream { counter, text });
    }

    /// Decrypts in place and says whether the text is genuine. When it is not, the text has been wiped.
    #[must_use]
    pub(super) fn open(&self, header: &Header, iv: &Block, text: &mut [u8]) -> bool {
        self.apply_keystream(iv, 0, text);
        let genuine = bool::from(self.iv(header, text).ct_eq(iv));
        if !genuine {
            text.zeroize();
        }
        genuine
    }
}

/// CMAC (RFC 4493) with its two subkeys.
struct Cmac<C> {
    cipher: C,
    whole: Block,
    padded: Block,
}

impl<C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>> Cmac<C> {
    fn new(cipher: C) -> Self {
        let mut zero = Array::from([0; BLOCK]);
        cipher.encrypt_block(&mut zero);
        let whole = double(zero.0);
        Self { cipher, whole, padded: double(whole) }
    }

    #[inline]
    fn tag(&self, text: &[u8]) -> Block {
        self.run(None, text)
    }

    /// The tag of `text` with `end` xored onto its last 16 bytes; there must be that many.
    #[inline]
    fn tag_xor_end(&self, end: &Block, text: &[u8]) -> Block {
        self.run(Some(end), text)
    }

    #[inline]
    fn run(&self, end: Option<&Block>, text: &[u8]) -> Block {
        let mut tag = [0; BLOCK];
        self.cipher.encrypt_with_backend(CmacRun {
            whole: &self.whole,
            padded: &self.padded,
            end,
            text,
            tag: &mut tag,
        });
        tag
    }
}

impl<C> Drop for Cmac<C> {
    fn drop(&mut self) {
        self.whole.zeroize();
        self.padded.zeroize();
    }
}

/// One CMAC, run inside the cipher's own dispatch so that round keys stay in registers.
struct CmacRun<'a> {
    whole: &'a Block,
    padded: &'a Block,
    end: Option<&'a Block>,
    text: &'a [u8],
    tag: &'a mut Block,
}

impl BlockSizeUser for CmacRun<'_> {
    type BlockSize = U16;
}

impl BlockCipherEncClosure for CmacRun<'_> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        let mut state = [0; BLOCK];
        let mut rest = self.text;
        // What `end` touches lies within the last 32 bytes, so everything before them is absorbed as it is.
        while rest.len() > 2 * BLOCK {
            let (block, after) = rest.split_at(BLOCK);
            xor_start(&mut state, block);
            encrypt(backend, &mut state);
            rest = after;
        }
        let mut tail = [0; 2 * BLOCK];
        tail[..rest.len()].copy_from_slice(rest);
        if let (Some(end), Some(from)) = (self.end, rest.len().checked_sub(BLOCK)) {
            xor_start(&mut tail[from..from + BLOCK], end);
        }
        let mut last = &mut tail[..];
        if rest.len() > BLOCK {
            xor_start(&mut state, &last[..BLOCK]);
            encrypt(backend, &mut state);
            last = &mut last[BLOCK..];
        }
        let filled = if rest.len() > BLOCK { rest.len() - BLOCK } else { rest.len() };
        if filled < BLOCK {
            last[filled] = 0x80;
        }
        xor_start(&mut state, if filled == BLOCK { self.whole } else { self.padded });
        xor_start(&mut state, &last[..BLOCK]);
        encrypt(backend, &mut state);
        *self.tag = state;
        tail.zeroize();
    }
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
        for piece in self.text.chunks_mut(BLOCK) {
            let mut pad = counter.to_be_bytes();
            encrypt(backend, &mut pad);
            xor_start(piece, &pad);
            counter = counter.wrapping_add(1);
        }
    }
}

#[inline(always)]
fn encrypt<B: BlockCipherEncBackend<BlockSize = U16>>(backend: &B, block: &mut Block) {
    backend.encrypt_block(InOut::from(Array::cast_from_core_mut(block)));
}

/// Doubling in GF(2^128) (RFC 5297 section 2.3).
fn double(block: Block) -> Block {
    let value = u128::from_be_bytes(block);
    ((value << 1) ^ ((value >> 127) * 0x87)).to_be_bytes()
}

#[inline(always)]
fn xor(into: &mut Block, other: &Block) {
    for (a, b) in into.iter_mut().zip(other) {
        *a ^= b;
    }
}

/// Xors as many bytes as the shorter side has.
#[inline(always)]
fn xor_start(into: &mut [u8], other: &[u8]) {
    for (a, b) in into.iter_mut().zip(other) {
        *a ^= b;
    }
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

    fn seal<C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>>(
        siv: &Siv<C>,
        header: &Header,
        text: &[u8],
    ) -> Vec<u8> {
        let iv = siv.iv(header, text);
        let mut sealed = [&iv[..], text].concat();
        siv.apply_keystream(&iv, 0, &mut sealed[BLOCK..]);
        sealed
    }

    #[test]
    fn rfc_5297_a1_deterministic() {
        let siv = siv_128("fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0", "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff");
        let header = siv.header(&[&hex("101112131415161718191a1b1c1d1e1f 2021222324252627")]);
        let sealed = seal(&siv, &header, &hex("112233445566778899aabbccddee"));
        assert_eq!(sealed, hex("85632d07c6e8f37f950acd320a2ecc93 40c02b9690c4dc04daef7f6afe5c"));
    }

    #[test]
    fn rfc_5297_a2_nonce_based() {
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
        fn equals_the_aes_siv_crate(key in any::<[u8; 32]>(), ad in any::<[u8; 20]>(), text in prop::collection::vec(any::<u8>(), 0..200)) {
            let other = key.map(|b| b ^ 0x5a);
            let siv = Siv256::new(&key, &other);
            let sealed = seal(&siv, &siv.header(&[&ad]), &text);
            let theirs = Aes256Siv::new_from_slice(&[key, other].concat()).unwrap().encrypt([&ad[..]], &text).unwrap();
            prop_assert_eq!(sealed, theirs);
        }

        #[test]
        fn the_keystream_can_be_applied_in_parts(text in prop::collection::vec(any::<u8>(), 0..200), cut in 0_usize..12) {
            let siv = Siv256::new(&[7; 32], &[8; 32]);
            let (iv, cut) = ([0xff; BLOCK], (cut * BLOCK).min(text.len()) / BLOCK * BLOCK);
            let (mut whole, mut parts) = (text.clone(), text);
            siv.apply_keystream(&iv, 0, &mut whole);
            let (left, right) = parts.split_at_mut(cut);
            siv.apply_keystream(&iv, 0, left);
            siv.apply_keystream(&iv, cut / BLOCK, right);
            prop_assert_eq!(whole, parts);
        }

        #[test]
        fn a_changed_byte_never_opens_and_leaves_nothing(text in prop::collection::vec(1_u8.., 1..60), at in any::<prop::sample::Index>(), flip in 1_u8..) {
            let siv = Siv256::new(&[9; 32], &[7; 32]);
            let header = siv.header(&[b"header"]);
            let mut sealed = seal(&siv, &header, &text);
            let at = at.index(sealed.len());
            sealed[at] ^= flip;
            let (iv, body) = sealed.split_at_mut(BLOCK);
            let iv: Block = (&*iv).try_into().unwrap();
            prop_assert!(!siv.open(&header, &iv, body));
            prop_assert!(body.iter().all(|b| *b == 0));
        }
    }
}

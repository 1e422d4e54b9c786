//! The two alphabets that tokens and hashes are spelled in: base32 in lower case, and unpadded base64url.
//!
//! Both of RFC 4648. Neither has a character that JSON, a URL, a form, a header or XML must encode.

const BASE64URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Spells the low `5 * N` bits of a number.
pub(super) const fn base32<const N: usize>(value: u32) -> [u8; N] {
    let mut text = [0; N];
    let mut i = 0;
    while i < N {
        text[i] = BASE32[(value >> (5 * (N - 1 - i)) & 31) as usize];
        i += 1;
    }
    text
}

/// The number that so many characters of base32 spell, if that is what they are.
pub(super) fn base32_value(text: &[u8]) -> Option<u32> {
    text.iter().try_fold(0, |value, byte| {
        let digit = match byte {
            b'a'..=b'z' => byte - b'a',
            b'2'..=b'7' => byte - b'2' + 26,
            _ => return None,
        };
        Some(value << 5 | u32::from(digit))
    })
}

/// Characters of unpadded base64 for so many bytes.
pub(super) const fn base64_length(bytes: usize) -> usize {
    (bytes * 4).div_ceil(3)
}

/// Characters of 128 bits.
pub(super) const HALF_TAG_CHARACTERS: usize = base64_length(16);
/// Bytes that [`encode`] takes at once, and characters it makes of them.
pub(super) const STEP_BYTES: usize = 48;
pub(super) const STEP_CHARACTERS: usize = base64_length(STEP_BYTES);

/// Base64url of 48 bytes, in numbers of sixteen, the first byte highest.
#[inline(always)]
pub(super) fn encode_48_bytes(blocks: [u128; 3]) -> [u8; STEP_CHARACTERS] {
    let [a, b, c] = blocks;
    let mut text = [0; STEP_CHARACTERS];
    let bits = [
        (a >> 80) as u64,
        (a >> 32) as u64,
        (a << 16) as u64 | (b >> 112) as u64,
        (b >> 64) as u64,
        (b >> 16) as u64,
        (b << 32) as u64 | (c >> 96) as u64,
        (c >> 48) as u64,
        c as u64,
    ];
    for (eight, bits) in text.as_chunks_mut().0.iter_mut().zip(bits) {
        *eight = eight_characters(bits).to_le_bytes();
    }
    text
}

/// Unpadded base64url of 128 bits.
#[inline(always)]
pub(super) fn encode_16_bytes(bits: u128) -> [u8; HALF_TAG_CHARACTERS] {
    let mut text = [0; HALF_TAG_CHARACTERS];
    let (eights, last) = text.as_chunks_mut();
    for (eight, bits) in eights.iter_mut().zip([(bits >> 80) as u64, (bits >> 32) as u64]) {
        *eight = eight_characters(bits).to_le_bytes();
    }
    last.copy_from_slice(&eight_characters((bits << 16) as u64).to_le_bytes()[..6]);
    text
}

/// The characters of the lowest 48 bits of a number, the first lowest.
#[inline(always)]
fn eight_characters(bits: u64) -> u64 {
    let pair = |shift: u32| u64::from(PAIRS[(bits >> shift & 0xfff) as usize]);
    pair(36) | pair(24) << 16 | pair(12) << 32 | pair(0) << 48
}

/// The two characters of twelve bits, the first lowest: half the look-ups, for 8 KiB.
static PAIRS: [u16; 1 << 12] = {
    let mut pairs = [0; 1 << 12];
    let mut bits = 0;
    while bits < pairs.len() {
        pairs[bits] = u16::from_le_bytes([BASE64URL[bits >> 6], BASE64URL[bits & 63]]);
        bits += 1;
    }
    pairs
};

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use proptest::prelude::*;

    use super::*;

    fn check(bytes: &[u8; STEP_BYTES]) {
        let mut blocks = [0; 3];
        blocks.iter_mut().zip(bytes.as_chunks().0).for_each(|(block, bytes)| *block = u128::from_be_bytes(*bytes));
        assert_eq!(encode_48_bytes(blocks).to_vec(), URL_SAFE_NO_PAD.encode(bytes).into_bytes());
        assert_eq!(encode_16_bytes(blocks[0]).to_vec(), URL_SAFE_NO_PAD.encode(&bytes[..16]).into_bytes());
    }

    #[test]
    fn every_character_in_every_place() {
        for (place, six) in (0..STEP_CHARACTERS).flat_map(|place| (0..64_u8).map(move |six| (place, six))) {
            for others in [b'A', b'_'] {
                let mut text = [others; STEP_CHARACTERS];
                text[place] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[usize::from(six)];
                check(&URL_SAFE_NO_PAD.decode(text).unwrap().try_into().unwrap());
            }
        }
    }

    proptest! {
        #[test]
        fn base64url_equals_the_base64_crate(bytes in any::<[[u8; 16]; 3]>()) {
            check(&bytes.concat().try_into().unwrap());
        }
    }
}

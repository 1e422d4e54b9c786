//! The two encodings in which tokens and hashes are written: base32 in lower case, and unpadded base64url (RFC 4648).
//!
//! Neither uses a character that JSON, a URL, a form, a header or XML must escape.

const BASE64URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// The low `5 * N` bits of a number, in base32.
pub(super) const fn base32<const N: usize>(value: u32) -> [u8; N] {
    let mut text = [0; N];
    let mut i = 0;
    while i < N {
        text[i] = BASE32[(value >> (5 * (N - 1 - i)) & 31) as usize];
        i += 1;
    }
    text
}

/// The number that these characters of base32 encode; `None` when one of them is not base32.
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

/// The length of the unpadded base64 of so many bytes, in characters.
pub(super) const fn base64_length(bytes: usize) -> usize {
    (bytes * 4).div_ceil(3)
}

/// The length of 128 bits in base64, in characters.
pub(super) const HALF_TAG_CHARACTERS: usize = base64_length(16);
/// Bytes that [`encode_48_bytes`] encodes at once.
pub(super) const STEP_BYTES: usize = 48;
/// Characters that [`encode_48_bytes`] makes of them.
pub(super) const STEP_CHARACTERS: usize = base64_length(STEP_BYTES);

/// Base64url of 48 bytes, given as three big-endian numbers of sixteen bytes.
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

/// The base64url characters of the lowest 48 bits of a number, the first one in the lowest byte.
#[inline(always)]
fn eight_characters(bits: u64) -> u64 {
    let pair = |shift: u32| u64::from(PAIRS[(bits >> shift & 0xfff) as usize]);
    pair(36) | pair(24) << 16 | pair(12) << 32 | pair(0) << 48
}

/// The two characters of each twelve bits, the first one in the lower byte. A table of pairs (8 KiB) takes half as many
/// look-ups as one of single characters.
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
    fn each_base64_character_is_encoded_right_at_each_position() {
        for (position, six) in (0..STEP_CHARACTERS).flat_map(|position| (0..64_u8).map(move |six| (position, six))) {
            for others in [b'A', b'_'] {
                let mut text = [others; STEP_CHARACTERS];
                text[position] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[usize::from(six)];
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

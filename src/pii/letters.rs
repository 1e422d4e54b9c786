//! The two alphabets that tokens and hashes are spelled in: base32 in lower case, and unpadded base64url.
//!
//! Both of RFC 4648. Neither has a character that JSON, a URL, a form, a header or XML must encode.

const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
const BASE64URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

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
pub(super) const fn encoded_length(bytes: usize) -> usize {
    (bytes * 4).div_ceil(3)
}

/// Appends unpadded base64url: by a table, as values are too short for a general encoder to pay.
pub(super) fn encode(bytes: &[u8], out: &mut Vec<u8>) {
    let (start, length) = (out.len(), encoded_length(bytes.len()));
    let (groups, rest) = bytes.as_chunks::<3>();
    out.resize(start + groups.len() * 4, 0);
    for (four, [a, b, c]) in out[start..].as_chunks_mut::<4>().0.iter_mut().zip(groups) {
        *four = spell(u32::from_be_bytes([0, *a, *b, *c]).into());
    }
    let mut last = [0; 4];
    last[1..=rest.len()].copy_from_slice(rest);
    let last: [u8; 4] = spell(u32::from_be_bytes(last).into());
    out.extend_from_slice(&last[..length - groups.len() * 4]);
}

/// Unpadded base64url of 128 bits: of one length, so that no loop is left of it.
pub(super) fn encode_half(bytes: &[u8; 16]) -> [u8; 22] {
    let number = u128::from_be_bytes(*bytes);
    let mut text = [0; 22];
    for (place, character) in text.iter_mut().enumerate() {
        let six = if place < 21 { number >> (122 - 6 * place) } else { number << 4 };
        *character = BASE64URL[(six & 63) as usize];
    }
    text
}

/// The characters of the lowest groups of six bits of a number.
#[inline(always)]
fn spell<const N: usize>(number: u128) -> [u8; N] {
    let mut text = [0; N];
    for (place, character) in text.iter_mut().rev().enumerate() {
        *character = BASE64URL[(number >> (6 * place) & 63) as usize];
    }
    text
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn base64url_equals_the_base64_crate(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let mut out = Vec::new();
            encode(&bytes, &mut out);
            prop_assert_eq!(out.len(), encoded_length(bytes.len()));
            prop_assert_eq!(&out, &URL_SAFE_NO_PAD.encode(&bytes).into_bytes());
            if let Some(half) = bytes.first_chunk() {
                prop_assert_eq!(encode_half(half).to_vec(), URL_SAFE_NO_PAD.encode(half).into_bytes());
            }
        }
    }
}

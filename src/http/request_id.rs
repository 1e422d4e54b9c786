//! Request ids: 128 random-looking bits that name one exchange in answers, logs and the audit trail.
//!
//! The gateway alone makes ids, so no caller can choose one. An id is a name, not a secret.

use std::cell::Cell;
use std::fmt;

use ::http::HeaderValue;

/// The id of one exchange.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RequestId(u128);

impl RequestId {
    /// The id as 32 hexadecimal digits.
    pub fn to_hex(self) -> [u8; 32] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut hex = [0; 32];
        for (i, byte) in self.0.to_be_bytes().iter().enumerate() {
            hex[2 * i] = DIGITS[usize::from(byte >> 4)];
            hex[2 * i + 1] = DIGITS[usize::from(byte & 15)];
        }
        hex
    }

    /// The id as a header value.
    pub fn to_header(self) -> HeaderValue {
        HeaderValue::from_bytes(&self.to_hex()).unwrap_or_else(|_| HeaderValue::from_static(""))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Makes ids: seeded at random, then a counter through a bijective mix, so that none repeats.
#[derive(Debug)]
pub struct RequestIds {
    seed: u64,
    next: u64,
}

impl RequestIds {
    fn seeded() -> Self {
        let mut seed = [0; 8];
        // Without randomness the ids repeat from one start to the next, which harms only a search in the logs.
        let _ = aws_lc_rs::rand::fill(&mut seed);
        Self { seed: u64::from_ne_bytes(seed), next: 0 }
    }

    /// The next id of this thread.
    pub fn next() -> RequestId {
        thread_local! {
            static IDS: Cell<Option<RequestIds>> = const { Cell::new(None) };
        }
        IDS.with(|ids| {
            let mut source = ids.take().unwrap_or_else(Self::seeded);
            source.next = source.next.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let id = RequestId(u128::from(source.seed) << 64 | u128::from(mix(source.next ^ source.seed)));
            ids.set(Some(source));
            id
        })
    }
}

/// The finalizer of SplitMix64: a bijection that scatters neighbours.
const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_and_print_the_same_in_each_form() {
        let (a, b) = (RequestIds::next(), RequestIds::next());
        assert_ne!(a, b);
        assert_eq!(a.to_string().as_bytes(), a.to_hex());
        assert_eq!(a.to_header().as_bytes(), a.to_hex());
    }
}

//! Leaps over bytes that mean nothing, many at a time.
//!
//! Never looks further than one block behind what it leaps over, so that no input makes it look twice at much.

/// A block: one or two vectors of any machine.
const BLOCK_BYTES: usize = 64;

/// How many bytes stand before the first special one.
#[inline]
pub(super) fn length_before(input: &[u8], special: impl Fn(u8) -> bool) -> usize {
    let mut at = 0;
    for block in input.chunks(BLOCK_BYTES) {
        // Without a branch on each byte, compilers do this in vectors.
        if block.iter().fold(false, |found, &b| found | special(b)) {
            return at + block.iter().position(|&b| special(b)).unwrap_or(block.len());
        }
        at += block.len();
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_ends_at_the_first_special_byte() {
        for length in [0, 1, 63, 64, 65, 200] {
            let clear = vec![b'a'; length];
            assert_eq!(length_before(&clear, |b| b == b'x'), length);
            for at in 0..length {
                let mut marked = clear.clone();
                marked[at..].fill(b'x');
                assert_eq!(length_before(&marked, |b| b == b'x'), at);
            }
        }
    }
}

//! Skips bytes that need no attention, a block at a time.
//!
//! Reads at most one block beyond what it skips, so that no input makes an engine read much of it twice.

/// Size of a block: one or two vectors on any machine.
const BLOCK_BYTES: usize = 64;

/// The number of bytes before the first special one.
#[inline]
pub(super) fn length_before(input: &[u8], special: impl Fn(u8) -> bool) -> usize {
    let mut at = 0;
    for block in input.chunks(BLOCK_BYTES) {
        // The fold has no branch, so that compilers turn it into vector instructions.
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
    fn the_bytes_before_the_first_special_one_are_counted() {
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

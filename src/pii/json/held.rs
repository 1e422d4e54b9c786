//! Bytes of an open token, held until it is complete: plaintext, so wiped wherever it goes.

use zeroize::Zeroize;

/// Larger buffers are given back after use, so that one long value does not stay a stream's size.
const KEPT_BYTES_MAX: usize = 4 * 1024;

/// A growing buffer that leaves nothing behind in memory when it grows, shrinks or is dropped.
#[derive(Default)]
pub(super) struct SecretBuffer(Vec<u8>);

impl SecretBuffer {
    pub(super) fn as_slice(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        let needed = self.0.len() + bytes.len();
        if needed > self.0.capacity() {
            let mut larger = Vec::with_capacity(needed.next_power_of_two().max(64));
            larger.extend_from_slice(&self.0);
            self.0.zeroize();
            self.0 = larger;
        }
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn clear(&mut self) {
        if self.0.capacity() > KEPT_BYTES_MAX {
            self.0.zeroize();
            self.0 = Vec::new();
        }
        self.0.clear();
    }
}

impl Drop for SecretBuffer {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_and_gives_back() {
        let mut held = SecretBuffer::default();
        (0..5000).for_each(|_| held.push(b"ab"));
        assert_eq!(held.len(), 10_000);
        assert!(held.as_slice().chunks(2).all(|pair| pair == b"ab"));
        held.clear();
        assert_eq!((held.len(), held.0.capacity()), (0, 0));
        held.push(b"x");
        held.clear();
        assert_eq!((held.len(), held.0.capacity()), (0, 64));
    }
}

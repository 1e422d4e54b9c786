//! A buffer for the bytes of an open token. They are personal data in plain text, so each memory that held them is
//! wiped.

use zeroize::Zeroize;

/// Larger buffers are freed after use, so that one long value does not enlarge its stream for good.
const KEPT_BYTES_MAX: usize = 4 * 1024;

/// A growing buffer that wipes its memory when it moves to a larger one, and when it is dropped.
#[derive(Default)]
pub(in crate::pii::json) struct SecretBuffer(Vec<u8>);

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

    /// Drops the first bytes, and moves the others to the front.
    pub(super) fn drop_front(&mut self, count: usize) {
        let left = self.0.len() - count;
        self.0.copy_within(count.., 0);
        self.0[left..].zeroize();
        self.0.truncate(left);
        if left == 0 {
            self.clear();
        }
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
    fn a_large_buffer_is_freed_when_it_is_cleared() {
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

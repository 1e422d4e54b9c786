//! The person whom a record is about (the subject), as a keyed hash: it counts different persons and names none.

use std::fmt;

use super::Secret;

/// The key under which subjects are hashed. Each vendor has its own, and it stays the same over restarts.
#[derive(Debug, Clone)]
pub struct SubjectKey(Secret<[u8; 32]>);

/// 64 bits of BLAKE3 of a subject's identifier under a vendor's key: two subjects out of a million share one with a
/// chance of one in 37 million.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SubjectHash(u64);

impl SubjectKey {
    /// Takes a key, which must be uniformly random or derived.
    pub const fn new(key: Secret<[u8; 32]>) -> Self {
        Self(key)
    }

    /// Hashes an identifier. Equal identifiers of one vendor have equal hashes; hashes of two vendors cannot be
    /// compared.
    pub fn hash(&self, identifier: &[u8]) -> SubjectHash {
        let hash = blake3::keyed_hash(self.0.expose(), identifier);
        let [a, b, c, d, e, f, g, h, ..] = *hash.as_bytes();
        SubjectHash(u64::from_le_bytes([a, b, c, d, e, f, g, h]))
    }
}

impl SubjectHash {
    /// From its bits, for tests and stores.
    #[cfg(any(test, feature = "internals"))]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Its 64 bits, uniformly spread.
    pub const fn bits(self) -> u64 {
        self.0
    }
}

/// Does not print the hash: with the key it would identify its subject.
impl fmt::Debug for SubjectHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SubjectHash")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_depends_on_key_and_identifier_and_is_not_printed() {
        let (acme, other) = (SubjectKey::new(Secret::new([1; 32])), SubjectKey::new(Secret::new([2; 32])));
        assert_eq!(acme.hash(b"c-17"), acme.hash(b"c-17"));
        assert_ne!(acme.hash(b"c-17"), acme.hash(b"c-18"));
        assert_ne!(acme.hash(b"c-17"), other.hash(b"c-17"));
        assert_eq!(format!("{:?} {acme:?}", acme.hash(b"c-17")), "SubjectHash SubjectKey([redacted])");
    }
}

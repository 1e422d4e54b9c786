//! Where an issuer's public keys come from: one key, a set of keys, and how the set is kept fresh.

pub(super) mod issuer_keys;
pub(super) mod jwk;
pub(super) mod key_set;
pub(super) mod refresh;
pub(super) mod roca;
pub(super) mod schedule;
pub(super) mod signing;

//! Client certificates: how one is read, and the vendors that are known by theirs alone.

pub(super) mod peer;
pub(super) mod vendor;

//! What is kept of calls for `contract suggest`.

/// Most patterns of one vendor and direction that `contract suggest` is made from: an API that a contract lists by hand
/// has a few dozen routes.
pub const OBSERVED_ROUTES_MAX: usize = 100;
/// Most words at the end of otherwise equal patterns: more of them are values.
pub const OBSERVED_SIBLINGS_MAX: usize = 20;
/// Most segments of a pattern: what is below is its tail.
pub const OBSERVED_SEGMENTS_MAX: usize = 16;
/// Most names of one kind that are kept of a pattern: parameters, header fields, callers, scopes.
pub const OBSERVED_NAMES_MAX: usize = 32;
/// Most fields that are kept of the bodies of one message of a pattern.
pub const OBSERVED_FIELDS_MAX: usize = 64;
/// Bodies of a pattern that are looked at, and after those every one of this number: as [`super::CLEAR_BODIES`], but not
/// by the hour, since the names of fields change with releases.
pub const OBSERVED_BODIES: u64 = 50;
/// See [`OBSERVED_BODIES`].
pub const OBSERVED_BODY_EVERY: u64 = 64;

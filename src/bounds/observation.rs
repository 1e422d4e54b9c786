//! How much is looked at and kept of the fields of bodies in clear, and of calls for `contract suggest`.

/// Bodies of a route that are sampled for fields in clear at the start of each hour: a rare field needs many.
pub const CLEAR_BODIES: u64 = 100;
/// After those, every body of this number is sampled: sampling one costs a few times as much as treating it.
pub const CLEAR_EVERY: u64 = 256;
/// Most different names of one container among the paths in clear of a route: a container with more is a map by id.
pub const CLEAR_NAMES_MAX: usize = 100;
/// Most different steps of all paths in clear of a route in an hour, at some 80 bytes each.
pub const CLEAR_PLACES_MAX: usize = 400;
/// The same two for `pii test`, which a person waits for.
pub const CLEAR_TRIAL_NAMES_MAX: usize = 1_000;
/// See [`CLEAR_TRIAL_NAMES_MAX`].
pub const CLEAR_TRIAL_PLACES_MAX: usize = 20_000;
/// Longest name in a path in clear: longer ones are data.
pub const CLEAR_NAME_BYTES_MAX: usize = 64;
/// Most steps of a path in clear, as of a path in a contract: a deeper value is reported under the path above it.
pub const CLEAR_STEPS_MAX: usize = 32;
/// Most paths of one `clear:` list.
pub const CLEAR_LISTED_MAX: usize = 1_000;
/// Most patterns of one vendor and direction that `contract suggest` is made from: an API that a contract lists by hand
/// has a few dozen routes.
pub const OBSERVED_ROUTES_MAX: usize = 100;
/// Most words at the end of otherwise equal patterns: more of them are values.
pub const OBSERVED_SIBLINGS_MAX: usize = 20;
/// Most segments of a pattern: what is below is its tail.
pub const OBSERVED_SEGMENTS_MAX: usize = 16;
/// Most names of one kind that are kept of a pattern: parameters, header fields, callers, scopes.
pub const OBSERVED_NAMES_MAX: usize = 32;
/// Longest path of a field that is kept: a deeper one is data, or is meant to fill the memory.
pub const OBSERVED_PATH_BYTES_MAX: usize = 256;
/// Most fields that are kept of the bodies of one message of a pattern.
pub const OBSERVED_FIELDS_MAX: usize = 64;
/// Bodies of a pattern that are looked at, and after those every one of [`OBSERVED_BODY_EVERY`]: as [`CLEAR_BODIES`],
/// but not by the hour, since the names of fields change with releases.
pub const OBSERVED_BODIES: u64 = 50;
/// See [`OBSERVED_BODIES`].
pub const OBSERVED_BODY_EVERY: u64 = 64;

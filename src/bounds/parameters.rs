//! The bounds of what routes check in requests' targets and header fields.

/// Most parameters of a query that a route checks: real calls have a few dozen.
pub const QUERY_PARAMETERS_MAX: usize = 256;
/// Longest parameter that a route checks: it takes half of the longest target.
pub const PARAMETER_BYTES_MAX: usize = 4 * 1024;
/// Largest compiled pattern of a parameter: `[a-z.-]{1,254}` takes some tens of kilobytes, and time grows with it.
pub const PARAMETER_PATTERN_BYTES_MAX: usize = 128 * 1024;
/// Most that the search for one pattern remembers between requests, on each thread.
pub const PARAMETER_PATTERN_CACHE_BYTES_MAX: usize = 128 * 1024;
/// Longest text of a pattern: what a person can still review.
pub const PARAMETER_PATTERN_TEXT_BYTES_MAX: usize = 1024;
/// Most names in one list of a route, and most parameters with a form.
pub const PARAMETER_NAMES_MAX: usize = 100;

//! JSON (RFC 8259), treated while it streams.
//!
//! Paths compile to a [`Matcher`]; a [`JsonRewriter`] reads a document in chunks of any size and puts out the same
//! document with its selected values replaced or left out. Bytes that nothing selects leave as they came. What is
//! not strictly JSON in UTF-8 is refused, because a laxer reader behind the gateway would see other fields in it. Only
//! of a container that is dropped or replaced as a whole nothing but its end is looked for (`fast/skip.rs`).
//!
//! # Three speeds, one state
//! ```text
//! 1 scan         fast/bits.rs      64 bytes at a time: is this window JSON, and where are its brackets and keys?
//! 2 fast path    fast/path.rs      from bracket to bracket, over everything that no path selects
//! 3 exact step   exact/reader.rs   byte by byte: the grammar; every decision about a value (exact/values.rs)
//! ```
//! The exact reader alone can read any document. The fast path begins only where the reader is between two tokens, and
//! hands back to it, with the state that it would have had there, at each value that is selected, at each container
//! whose keys are held, before a window that breaks the grammar and at the end of a chunk. So both put out the same by
//! construction, and tests compare them on random documents, damages and splits.
//!
//! Four positions in a chunk matter:
//! ```text
//!   …"x":1,"list":[{"id":7},{"id":8},{"email":"jane@example.com","id":9},{"email":"jo
//!   ^      ^                          ^                                   ^          ^
//!   from   base                       safe                                end        end of the chunk
//! ```
//! * `from` (`OutputRoute`): bytes before it have gone where they go: to the output, into the pending separator, or
//!   nowhere.
//! * `base` (`FastPath`): the scanned window begins there. Before it, the exact reader stopped.
//! * `safe` (`FastPath`): up to there the reader's state is true: which containers are open, and what may come next.
//!   Each fallback to the exact reader begins at this place. `pos` (`ExactReader`) is set to it when the fast path
//!   ends.
//! * `end` (`FastPath`): behind the last comma or bracket of the window. What follows may be half a token, so the next
//!   window begins there.
//!
//! Never holds more than one open token and its key, and never lets a piece of a selected value leave.

mod compile;
mod exact;
mod fast;
mod matcher;
mod names;
mod path_readings;
mod records_path;
mod rewriter;

#[cfg(test)]
mod tests;

#[cfg(feature = "internals")]
pub use fast::JsonEngine;
pub(super) use matcher::PathRoot;
pub use matcher::{Matcher, MatcherError, MatcherSpec, TreatedPath};
pub use rewriter::JsonRewriter;

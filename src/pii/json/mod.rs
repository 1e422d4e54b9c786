//! JSON (RFC 8259), treated while it streams.
//!
//! Paths compile to a [`Matcher`]; a [`JsonRewriter`] reads a document in chunks of any size and puts out the same
//! document with its selected values replaced or left out. Bytes that nothing selects leave as they came. What is
//! not strictly JSON in UTF-8 is refused, as a reader that is laxer than the engine would see other fields in it; only
//! of a container that is left out or replaced whole no more is asked than where it ends (`skim.rs`).
//!
//! Two engines do this, with one state. The byte engine (`engine.rs`, `fate.rs`) reads every byte and takes every
//! decision. The fast one (`bits.rs`, `leap.rs`) judges the grammar of a window of text 64 bytes to a word, goes from
//! bracket to bracket and from key to key of interest, and hands each value that is selected, each window with a
//! mistake in it and each rest of a chunk to the byte engine. So the two put out the same by construction, and tests
//! hold them to it.
//!
//! Never holds more than one open token and its key, and never lets a piece of a selected value leave.

mod bits;
mod compile;
mod engine;
mod fate;
mod held;
mod leap;
mod long;
mod machine;
mod matcher;
mod names;
mod path_readings;
mod portable;
mod records_path;
mod rewriter;
mod scalar;
mod simd;
mod skim;
mod text;
mod utf8;
mod window;

#[cfg(test)]
mod tests;

pub(super) use matcher::PathRoot;
pub use matcher::{Matcher, MatcherError, MatcherSpec, TreatedPath};
pub use rewriter::JsonRewriter;
#[cfg(feature = "internals")]
pub use simd::JsonEngine;

//! JSON (RFC 8259), treated while it streams.
//!
//! Paths compile to a [`Matcher`]; a [`JsonRewriter`] reads a document in chunks of any size and puts out the same
//! document with its selected values replaced or left out. Bytes that nothing selects leave as they came. What is
//! not strictly JSON in UTF-8 is refused, as a reader that is laxer than the engine would see other fields in it.
//!
//! Never holds more than one open token and its key, and never lets a piece of a selected value leave.

mod bits;
mod compile;
mod engine;
mod fate;
mod held;
mod leap;
mod machine;
mod matcher;
mod names;
mod portable;
mod rewriter;
mod scalar;
mod simd;
mod text;
mod utf8;
mod window;

#[cfg(test)]
mod tests;

pub use matcher::{Matcher, MatcherError, Spec, Target};
pub use rewriter::JsonRewriter;
pub use simd::Engine;

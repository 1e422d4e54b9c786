//! The fast path: what nothing selects is checked 64 bytes at a time, and skipped.
//!
//! The scan ([`bits`]) turns a window of text into bits and says whether it is JSON; [`path`] goes through its
//! brackets and keys, and leaves to the exact reader whatever needs a decision; [`skip`] finds the end of a container
//! that is dropped or replaced as a whole. Vector instructions are in [`simd`] alone. Nothing here decides about a
//! value.

mod bits;
mod path;
mod portable;
mod simd;
mod skip;
mod window;

pub(super) use path::read_to;
pub use simd::JsonEngine;
pub(super) use skip::{ContainerSkip, SkipEnd};

//! Small files that an operator may replace at any time: read within a bound, watched, and reported when unreadable.

pub(super) mod read;
pub(super) mod status;
pub(super) mod watched;

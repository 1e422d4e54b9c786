//! Methods and path patterns, inside one contract.
//!
//! Answers which of a vendor's own routes a request is, or that it is none. Knows no vendor, scope or upstream, decodes
//! nothing (a path has been made canonical before it comes here) and never falls back to a looser match.

mod methods;
mod pattern;
mod table;

pub use methods::MethodSet;
pub use pattern::RoutePattern;
pub use table::{Captures, RouteConflict, RouteIndex, RouteOverlap, RouteTable};

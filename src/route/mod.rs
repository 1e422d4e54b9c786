//! Route patterns of one contract, and the table that finds the route of a request.
//!
//! Knows no vendor, scope or upstream. Decodes nothing: the path of a request was made canonical before it comes here.
//! Never falls back to a looser match.

mod methods;
mod pattern;
mod table;

pub use methods::MethodSet;
pub use pattern::RoutePattern;
pub use table::{Captures, RouteConflict, RouteIndex, RouteOverlap, RouteTable};

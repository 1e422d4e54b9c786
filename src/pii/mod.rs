//! Personal data: bytes in, bytes out.
//!
//! Takes personal data out of a body, a URL and headers while they stream. Knows no HTTP, no async, no clock and
//! no vendor beyond its keys. Never lets a raw value of a treated field leave, whole or in part.

pub mod json;
mod rewriter;
mod rule;

pub use rewriter::{Cut, Kind, Rewriter, Shape, Stop, Treat, Value, Watch};
pub use rule::{Class, ClassError, Format, Generalize, Place, Rule, Rules, Treatment, ValueType};

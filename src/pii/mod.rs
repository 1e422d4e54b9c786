//! Personal data: bytes in, bytes out.
//!
//! Takes personal data out of a body, a URL and headers while they stream. Knows no HTTP, no async, no clock and
//! no vendor beyond its keys. Never lets a raw value of a treated field leave, whole or in part.

mod encoding;
mod ff1;
mod fields;
mod form;
pub mod json;
pub mod keys;
mod media;
mod plan;
mod prf;
mod reveal;
mod rewriter;
mod rule;
mod siv;
mod token;
mod treatment;
#[cfg(test)]
mod trial;
mod url;
mod utf8;

pub use encoding::{Coding, Decoding};
pub use fields::Fields;
pub use form::Form;
pub use keys::{KeyRing, VendorKeys, VendorSalt};
pub use plan::{Plan, PlanError, RuleName};
pub use reveal::{RevealCounts, Revealer};
pub use rewriter::{Cut, Kind, Rewriter, Shape, Stop, Treat, Value, Watch};
pub use rule::{Class, ClassError, Format, Generalize, Place, Rule, Rules, Treatment, ValueType};
pub use token::{TOKEN_PREFIX, TokenKind, Unopened, tokens};
pub use treatment::{REDACTED, Treater, TreatmentError};
pub use url::{Places, Scene};

//! Personal data: bytes in, bytes out.
//!
//! Takes personal data out of a body, a URL and headers while they stream. Knows no HTTP, no async, no clock and
//! no vendor beyond its keys. Never lets a raw value of a treated field leave, whole or in part.

mod body;
mod csv;
mod detect;
mod encoding;
mod ff1;
mod fields;
mod form;
pub mod json;
pub mod keys;
mod lines;
mod media;
mod multipart;
mod plan;
mod prf;
mod reveal;
mod rewriter;
mod rule;
mod run;
mod siv;
mod sse;
mod text;
mod token;
mod treatment;
#[cfg(test)]
mod trial;
mod url;
mod utf8;
mod xml;

pub use csv::Csv;
pub use detect::{Action, Detector, Guard, GuardStream, Sort, Span};
pub use encoding::{Coding, Decoding};
pub use fields::Fields;
pub use form::Form;
pub use keys::{KeyRing, VendorKeys, VendorSalt};
pub use lines::{Documents, Framing, Lines, Restart};
pub use multipart::{Files, Multipart};
pub use plan::{Plan, PlanError, RuleName};
pub use reveal::{RevealCounts, Revealer};
pub use rewriter::{Cut, Kind, Rewriter, Shape, Stop, Treat, Value, Watch};
pub use rule::{Class, ClassError, Format, Generalize, Place, Rule, Rules, Treatment, ValueType};
pub use sse::Events;
pub use text::Text;
pub use token::{TOKEN_PREFIX, TokenKind, Unopened, tokens};
pub use treatment::{Batch, REDACTED, Treater, TreatmentError};
pub use url::{Places, Scene};
pub use xml::{Xml, XmlPaths};

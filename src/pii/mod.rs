//! Personal data: bytes in, bytes out.
//!
//! Takes personal data out of a body, a URL and headers while they stream. Knows no HTTP, no async, no clock and
//! no vendor beyond its keys. Never lets a raw value of a treated field leave, whole or in part.
//!
//! # Without the gateway
//! Four steps: [`Rules`] say what to do, [`VendorKeys`] do it for one recipient, a [`Plan`] is both compiled, once, and shared
//! between threads; [`Plan::body_rewriter`] makes a fresh [`Rewriter`] for each body, into which bytes are pushed as they come.
//!
//! ```
//! use std::sync::Arc;
//! use vendorgate::model::{FieldPath, VendorId};
//! use vendorgate::pii::{Class, Cut, KeyRing, Place, Plan, Rule, Rules, Treatment, VendorSalt, Watch};
//!
//! /// Told of each value and record; an error from `record` ends the body.
//! struct Count(u64);
//! impl Watch for Count {
//!     fn record(&mut self) -> Result<(), Cut> { Ok(()) }
//!     fn treated(&mut self, _rule: usize) { self.0 += 1 }
//!     fn subject(&mut self, _value: &[u8]) {}
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Keep these two: `keys::FileSource` loads the one, `keys::SaltFolder` the other. Without either, no token opens.
//! let (ring, salt) = (KeyRing::generate()?, VendorSalt::generate()?);
//! let place = Place::Field(FieldPath::parse("$.customers[*].email")?);
//! let rule = Rule { place, treatment: Treatment::Tokenize, class: Class::parse("email")?, only_type: None };
//! let outward = Rules { treat: vec![rule], ..Rules::default() };
//! let keys = Arc::new(ring.vendor_keys(&VendorId::parse("acme")?, &salt, outward.classes()));
//! let plan = Plan::compile(&outward, Arc::clone(&keys))?;
//!
//! let (mut count, mut sent) = (Count(0), Vec::new());
//! let mut body = plan.body(Some("application/json"), None)?;
//! for chunk in [&b"{\"customers\": [{\"email\": \"jane@exam"[..], b"ple.com\", \"id\": 7}]}"] {
//!     // On an error nothing more may leave, and what has left must look cut off.
//!     body.feed(chunk, &mut count, &mut sent)?;
//! }
//! body.finish(&mut count, &mut sent)?;
//! let sent = String::from_utf8(sent)?;
//! assert!(sent.starts_with("{\"customers\": [{\"email\": \"tok1_") && sent.ends_with("\", \"id\": 7}]}"));
//! assert_eq!(count.0, 1);
//!
//! // The way back: tokens of this recipient, in the listed fields only.
//! let inward = Rules { reveal: vec![FieldPath::parse("$..email")?], ..Rules::default() };
//! let plan = Plan::compile(&inward, keys)?;
//! let (mut body, mut back) = (plan.body(Some("application/json"), None)?, Vec::new());
//! body.feed(sent.as_bytes(), &mut count, &mut back)?;
//! body.finish(&mut count, &mut back)?;
//! assert!(String::from_utf8(back)?.contains("jane@example.com"));
//! assert_eq!(plan.reveal_counts().opened(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! `examples/treat_stream.rs` treats standard input by rules from its arguments. URLs, headers and cookies go through
//! [`Plan::head_rewriter`]; one value alone through a [`Transformer`] or [`VendorKeys::tokenize`]; a key service implements
//! [`keys::MasterKeySource`]. Engines are not `async` and hold no more than one open value: call them from any runtime.

mod accept;
mod alphabets;
mod body;
mod body_settings;
mod bom;
mod charset;
mod clear;
mod clear_scanner;
mod csv;
mod detect;
mod encoding;
mod ff1;
mod fields;
mod form;
mod graphql;
pub mod json;
pub mod keys;
#[cfg(test)]
mod lengths;
mod lines;
mod media;
mod multipart;
mod plan;
mod prf;
mod reveal;
mod rewriter;
mod rule;
mod siv;
mod skip;
mod sse;
#[cfg(test)]
mod testing;
mod text;
mod token;
mod treatment;
mod url;
mod utf8;
mod xml;

pub use body::BodyFormat;
pub use body_settings::{BodySettings, FileHandling};
pub use clear::{ClearList, ClearPathCounts};
pub use clear_scanner::ClearScanner;
pub use csv::{CsvDialect, CsvRewriter};
pub use detect::{DetectAction, DetectRule, DetectStream, Detector, PiiKind, PiiSpan};
pub use encoding::{ContentCoding, DecodingRewriter};
pub use fields::FieldRules;
pub use form::FormRewriter;
pub use keys::{MasterKeys, VendorKeys, VendorSalt};
pub use lines::{DocumentRules, Restart, SequenceFraming, SequenceRewriter};
pub use multipart::MultipartRewriter;
pub use plan::{DETECT, Plan, PlanError, RuleName};
pub use reveal::{RevealCounts, Revealer};
pub use rewriter::{
    RecordBudgetSpent, Replacement, RewriteError, RewriteObserver, Rewriter, SelectedValue, Transform, ValueKind,
};
pub use rule::{
    DigitFormat, Generalization, OnUnexpectedShape, Rule, Rules, TokenClass, TokenClassError, Treatment, TreatmentKind,
    ValueLocation, ValueType,
};
pub use sse::{EventStreamRewriter, EventStreamRules};
pub use text::TextRewriter;
pub use token::{TOKEN_PREFIX, TokenError, TokenKind, find_tokens};
pub use treatment::{DeferredBatch, PieceTransform, REDACTED, Transformer, TreatmentError};
pub use url::{HeadRewriter, HeadRules};
pub use xml::{XmlPaths, XmlRewriter};

//! Personal data: bytes in, bytes out.
//!
//! Treats personal data in a body, a URL and headers while they stream. Knows no HTTP client or server, no async, no
//! clock, and no vendor beyond its keys. No raw byte of a treated value ever leaves.
//!
//! # As a library
//! Four steps:
//!
//! 1. [`Rules`] list which values are treated and how. A [`Rule`] has the [`ValueLocation`] of a value, such as the
//!    [`FieldPath`] `$.customers[*].email`, and its [`Treatment`].
//! 2. [`VendorKeys`] are the keys of one recipient. They come from [`MasterKeys`], which a [`keys::MasterKeySource`]
//!    loads, and a [`VendorSalt`], which a [`keys::SaltFolder`] keeps. Equal values become equal tokens only under the
//!    same keys, and without them no token opens.
//! 3. A [`Plan`] is both, compiled. Make it once and share it between threads.
//! 4. [`Plan::body_rewriter`] makes a [`Rewriter`] for one body; [`Plan::head_rewriter`] treats the URL, headers and
//!    cookies of one message. A [`RewriteObserver`] receives each record and treated value.
//!
//! ```
//! use std::sync::Arc;
//! use vendorgate::pii::{
//!     FieldPath, MasterKeys, Plan, RecordBudgetSpent, RewriteObserver, Rule, Rules, TokenClass, Treatment,
//!     ValueLocation, VendorId, VendorSalt,
//! };
//!
//! /// Counts treated values. An error from `on_record` would end the body.
//! struct Count(u64);
//! impl RewriteObserver for Count {
//!     fn on_record(&mut self) -> Result<(), RecordBudgetSpent> { Ok(()) }
//!     fn on_treated(&mut self, _rule: usize) { self.0 += 1 }
//!     fn on_subject(&mut self, _value: &[u8]) {}
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Keys for this run only: a program keeps them, with `keys::KeyFileSource` and `keys::SaltFolder`.
//! let (master, salt) = (MasterKeys::generate()?, VendorSalt::generate()?);
//! let email = Rule {
//!     location: ValueLocation::Field(FieldPath::parse("$.customers[*].email")?),
//!     treatment: Treatment::Tokenize,
//!     class: TokenClass::parse("email")?,
//!     only_type: None,
//!     category: None,
//! };
//! let outward = Rules { treat: vec![email], ..Rules::default() };
//! let keys = Arc::new(master.vendor_keys(&VendorId::parse("acme")?, &salt, outward.token_classes()));
//! let plan = Plan::compile(&outward, Arc::clone(&keys))?;
//!
//! let (mut count, mut sent) = (Count(0), Vec::new());
//! let mut body = plan.body_rewriter(Some("application/json"), None)?;
//! for chunk in [&b"{\"customers\": [{\"email\": \"jane@exam"[..], b"ple.com\", \"id\": 7}]}"] {
//!     // After an error nothing more may leave, and the receiver must see that the body was cut off.
//!     body.feed(chunk, &mut count, &mut sent)?;
//! }
//! body.finish(&mut count, &mut sent)?;
//! let sent = String::from_utf8(sent)?;
//! assert!(sent.starts_with("{\"customers\": [{\"email\": \"tok1_") && sent.ends_with("\", \"id\": 7}]}"));
//! assert_eq!(count.0, 1);
//!
//! // The way back: tokens of this recipient become values again, in the listed fields only.
//! let inward = Rules { reveal: vec![FieldPath::parse("$..email")?], ..Rules::default() };
//! let plan = Plan::compile(&inward, keys)?;
//! let (mut body, mut back) = (plan.body_rewriter(Some("application/json"), None)?, Vec::new());
//! body.feed(sent.as_bytes(), &mut count, &mut back)?;
//! body.finish(&mut count, &mut back)?;
//! assert!(String::from_utf8(back)?.contains("jane@example.com"));
//! assert_eq!(plan.reveal_counts().opened(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! [`VendorKeys::tokenize`], [`VendorKeys::open`] and [`VendorKeys::decrypt_format`] work on one value.
//! `examples/pii.rs` is a whole program. Engines are not `async` and can be called from any runtime. An engine holds at
//! most one value (64 KiB) or one row of a table (256 KiB), and refuses a body with a longer one.
//!
//! # To add a body format
//! 1. A folder here with an engine: a type that implements [`Rewriter`]. Its bounds go to `bounds`.
//! 2. In `body/mod.rs`: a variant of [`BodyFormat`], whose name in lower case is its word for `format:` in a contract,
//!    its rows in `MEDIA_TYPES`, and its arms in `Engines::engine` and `Engines::structure_of`.
//! 3. Its rows in the tables of `body/tests.rs` and `lengths.rs`, which hold what every format must do; a target in
//!    `fuzz/targets.rs`; a row in `benches/formats.rs`.
//!
//! # To add a treatment
//! 1. In `model/treatment.rs`: a row for its [`TreatmentKind`], with the word in contracts and metrics and what it
//!    leaves of a value. The row is repeated in `tests/golden/treatments.tsv`, which holds that no word ever changes.
//! 2. In `treatment/mod.rs`: a variant of [`Treatment`] and of `CompiledTreatment`, the arms that the compiler then
//!    asks for, and a column in the table at the head of the file.
//! 3. In `config/check/rules.rs`: the arm that makes a [`Treatment`] of its settings.

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
mod field_scanner;
mod fields;
mod form;
mod graphql;
mod grpc;
mod json;
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
mod transform;
mod treatment;
mod url;
mod utf8;
mod xml;

pub use crate::model::{Category, CategoryError, FieldPath, FieldPathError, IdError, TreatmentKind, VendorId};
pub use body::BodyFormat;
pub use body_settings::{BodySettings, FileHandling};
pub use clear::{ClearList, ClearPathCounts};
pub(crate) use clear_scanner::ClearScanner;
pub use detect::{DetectAction, DetectRule, Detector, PiiKind, PiiSpan};
pub use field_scanner::FieldScanner;
pub use json::MatcherError;
pub use keys::{MasterKeys, VendorKeys, VendorSalt};
pub use plan::{DETECT, Plan, PlanError, RuleName};
pub use reveal::RevealCounts;
pub use rewriter::{RecordBudgetSpent, RewriteError, RewriteObserver, RewriteResult, Rewriter};
pub use rule::{OnUnexpectedShape, Rule, Rules, TokenClass, TokenClassError, ValueLocation, ValueType};
pub use token::{TokenError, TokenKind};
pub use treatment::{DigitFormat, Generalization, Treatment, TreatmentError};
pub use url::HeadRewriter;

use detect::DetectStream;
use fields::FieldRules;
use transform::{Replacement, SelectedValue, Transform, ValueKind};
use treatment::{DeferredBatch, PieceTransform};

/// The parts of engines that the benchmarks and fuzz targets measure alone. Not a part of the interface: it may change
/// in any release.
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals {
    pub use super::encoding::{ContentCoding, DecodingRewriter};
    pub use super::json::{JsonEngine, JsonRewriter, Matcher, MatcherSpec, TreatedPath};
    pub use super::reveal::Revealer;
    pub use super::text::TextRewriter;
    pub use super::transform::{Replacement, SelectedValue, Transform, ValueKind};
    pub use super::treatment::{DeferredBatch, PieceTransform, Transformer};
}

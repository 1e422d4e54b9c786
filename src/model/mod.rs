//! The basic types of the gateway. Each is made by parsing, so every value of a type is valid.
//!
//! Does no I/O and imports no other room. Nothing here may ever print a secret.

mod algorithm;
mod caller;
mod category;
mod causes;
mod confirmed_clock;
mod denial;
mod field_path;
mod figures;
mod id;
mod lock;
mod macros;
mod printable;
mod reason;
mod reason_set;
mod scope;
mod secret;
mod subject;
mod time;
mod treatment;

pub use algorithm::{Algorithm, AlgorithmError};
pub use caller::{Caller, Claims, ClientId};
pub use category::{Category, CategoryError};
pub use causes::with_causes;
pub use confirmed_clock::ConfirmedClock;
pub use denial::Denial;
pub use field_path::{FieldPath, FieldPathError, PathSelector, PathStep};
pub use figures::{decimal_bytes, hex, is_default, milliseconds, thousands};
pub use id::{Direction, IdError, UpstreamId, VendorId};
pub use lock::{Lock, ReadWriteLock};
pub(crate) use macros::{debug_fields, words};
pub use printable::{escape_unprintable, is_printable, push_escape};
pub use reason::{Reason, RefusalText, RetryAdvice};
pub use reason_set::ReasonSet;
pub use scope::{Scope, ScopeSet};
pub use secret::Secret;
pub use subject::{SubjectHash, SubjectKey};
pub use time::{Clock, Moment, UnixTime, parse_rfc3339};
pub use treatment::TreatmentKind;

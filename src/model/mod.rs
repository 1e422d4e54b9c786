//! The words of the product as types: each is built only by parsing, so whoever holds one holds a valid one.
//!
//! Knows no I/O and no other room. Nothing here may ever print a secret.

mod algorithm;
mod caller;
mod causes;
mod denial;
mod field_path;
mod id;
mod printable;
mod scope;
mod secret;
mod settled;
mod subject;
mod time;

pub use algorithm::{Algorithm, NoAlgorithm};
pub use caller::{Caller, Claims, ClientId};
pub use causes::with_causes;
pub use denial::{Denial, Reason};
pub use field_path::{FieldPath, FieldPathError, Selector, Step};
pub use id::{Direction, IdError, UpstreamId, VendorId};
pub use printable::{escape_unprintable, is_printable, push_escape};
pub use scope::{Scope, ScopeError, ScopeSet};
pub use secret::Secret;
pub use settled::Settled;
pub use subject::{SubjectHash, SubjectKey};
pub use time::{Clock, Moment, UnixTime};

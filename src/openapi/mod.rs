//! Contracts from descriptions of APIs: OpenAPI 3.0 and 3.1, in YAML or JSON.
//!
//! A description says what an API can do, and a contract what one vendor may. So an import is a draft under which
//! nothing passes, for a person to narrow; what cannot be said in a contract is left out and named, never guessed. A
//! description comes from outside: its size, depth and references are bounded, and nothing that it names is fetched.
//!
//! | file | what is in it |
//! | --- | --- |
//! | `document` | reads a description and follows its references |
//! | `operation` | one operation: route, parameters, scopes, bodies |
//! | `path` | from a path template to a route |
//! | `parameter` | the parameters of an operation, and their forms |
//! | `security` | the scopes of an operation |
//! | `fields` | the fields of a body, from its schema |
//! | `classification` | what a schema says of personal data |
//! | `draft` | the draft of a contract |
//! | `drift` | where a contract and a description differ |
//! | `export`, `odcs` | a contract as a description, and as a data contract |

mod classification;
mod document;
mod draft;
mod drift;
mod export;
mod fields;
mod odcs;
mod operation;
mod parameter;
mod path;
mod security;

pub(crate) use document::ApiDocument;
pub(crate) use draft::{DraftOptions, draft};
pub(crate) use drift::{Drift, drifts};
pub(crate) use export::openapi;
pub(crate) use odcs::odcs;
pub(crate) use operation::OperationFilter;

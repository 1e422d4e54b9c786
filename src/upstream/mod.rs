//! Connections to internal APIs and to vendors, one pool per vendor and worker.

mod settings;

pub use settings::{BaseUrl, BaseUrlError, Networks, Scheme, Settings};

//! From YAML to a checked configuration, with every fault at once.

mod contract;
mod file;
mod nearest;
mod schema;
mod settings;
mod tree;
mod units;

pub use contract::{Contract, Mode, Route, Routes};
pub use schema::{Document, schema};
pub use settings::{
    ClientCertificate, Config, Drain, Keys, Listener, Listeners, Log, LogFormat, LogLevel, Operator, Role, State, Tls,
};

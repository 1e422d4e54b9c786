//! From YAML to a checked configuration, with every fault at once.

mod build;
mod contract;
mod environment;
mod fault;
mod file;
mod in_force;
mod later;
mod load;
mod nearest;
mod places;
mod schema;
mod secrecy;
mod settings;
mod shape;
mod source;
mod suggest;
mod tree;
mod units;

pub use build::read_hook_secret;
pub use contract::{Contract, Route, Routes, Trip};
pub use environment::Environment;
pub use fault::{Fault, Faults, Severity};
pub use in_force::{LimitInForce, LimitSource};
pub use load::{Loaded, Loader};
pub use places::Places;
pub use schema::{Document, schema};
pub use settings::{
    Audit, ClientCertificate, Config, Drain, Hook, HookAction, Keys, Listener, Listeners, MasterKeyPlace, Operator,
    Role, State, Tls,
};

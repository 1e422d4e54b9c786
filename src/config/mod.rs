//! From YAML to a checked configuration, with every fault at once.

mod contract;
mod settings;

pub use contract::{Contract, Mode, Route, Routes};
pub use settings::{
    ClientCertificate, Config, Drain, Keys, Listener, Listeners, Log, LogFormat, LogLevel, Operator, Role, State, Tls,
};

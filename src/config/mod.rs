//! Reads the YAML files into checked settings, and reports every fault at once.
//!
//! `file` is what is written, `validate` compares it with the schema, `check` makes settings of it.

mod certificates;
mod check;
mod contract;
mod contract_head;
mod diff;
mod environment;
mod fault;
mod file;
mod in_force;
mod load;
mod load_contracts;
mod nearest;
mod planned;
mod reach;
mod residency;
mod schema;
mod secrecy;
mod settings;
mod source;
mod source_map;
mod suggest;
mod tree;
mod undeclared;
mod units;
mod validate;

pub use certificates::NamedCertificate;
pub use check::read_hook_secret;
pub use contract::{Contract, ContractRoute, FallbackSettings, ObserveSettings, StaticAnswer};
pub use diff::{Widening, widenings};
pub use fault::{ConfigFaults, FaultSeverity};
pub use load::{ConfigLoader, LoadedConfig};
pub use reach::{ReachSettings, TunnelMode};
pub use schema::{ConfigFileKind, schema};
pub use settings::{
    AuditSettings, ClientCertificateSettings, GatewaySettings, HookActionSettings, HookSettings, ListenerSettings,
    MasterKeyLocation, Operator, OperatorRole, TlsSettings,
};
pub use source_map::ContractSourceMap;
pub(crate) use tree::parse_yaml_value;
pub use undeclared::UNDECLARED;

//! The settings of the gateway: the main file, the contracts and the operators after all checks.
//!
//! A [`GatewaySettings`] is only made of a config without faults. It is data: it opens no socket and reads no secret.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::Contract;
use crate::audit;
use crate::fleet::FleetSettings;
use crate::identity::ServiceSettings;
use crate::interception::InterceptionSettings;
use crate::model::{UnixTime, VendorId, words};
use crate::pii::keys::{EnvironmentKeySource, KeyFileSource, MasterKeySource};
use crate::telemetry::log;
use crate::upstream;

/// All settings of one gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewaySettings {
    /// Where the gateway listens.
    pub listeners: ListenersSettings,
    /// Who may call through the egress listener.
    pub egress: EgressSettings,
    /// Where durable state is kept.
    pub state: StateSettings,
    /// Where key material is.
    pub keys: KeysSettings,
    /// The internal APIs, in the order of the file.
    pub upstreams: Vec<Arc<upstream::UpstreamSettings>>,
    /// One contract for each vendor, sorted by vendor id. A reload compares them to see which vendors changed.
    pub contracts: Vec<Arc<Contract>>,
    /// The digest of each contract's file, by the vendor's id.
    pub contract_digests: std::collections::BTreeMap<String, String>,
    /// Who may use the admin listener.
    pub operators: Vec<Operator>,
    /// How the audit trail is kept.
    pub audit: AuditSettings,
    /// The hooks that are notified of kills and restores, in the order of the file.
    pub hooks: Vec<HookSettings>,
    /// The fleet that it belongs to, if any.
    pub fleet: Option<FleetSettings>,
    /// How the gateway stops.
    pub drain: DrainSettings,
    /// The form and level of its logs.
    pub log: log::LogSettings,
    /// Whether a changed config is put in force by itself.
    pub watch: bool,
}

impl GatewaySettings {
    /// The contract of a vendor.
    pub fn contract(&self, vendor: &VendorId) -> Option<&Arc<Contract>> {
        let place = self.contracts.binary_search_by(|contract| contract.vendor.cmp(vendor)).ok()?;
        self.contracts.get(place)
    }
}

/// The listeners. At least one of `ingress` and `egress` is present.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenersSettings {
    /// Where vendors call.
    pub ingress: Option<ListenerSettings>,
    /// Where our services call vendors.
    pub egress: Option<ListenerSettings>,
    /// Where operators and probes call.
    pub admin: Option<ListenerSettings>,
    /// Whether the dashboard is served there.
    pub admin_page: bool,
}

/// One socket to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerSettings {
    /// The address; port 0 asks the system for a free one.
    pub bind: SocketAddr,
    /// Its certificate; `None` for plain HTTP.
    pub tls: Option<TlsSettings>,
    /// Whether HTTP/2 is spoken beside HTTP/1.1.
    pub http2: bool,
    /// Time for a whole request head.
    pub head_timeout: Duration,
    /// How long a connection with a proven caller may be idle between two requests.
    pub idle_timeout: Duration,
    /// Most connections of one network whose caller is not proven yet.
    pub unproven_per_address: NonZeroU32,
    /// Whether the connections are redirected here by the kernel.
    pub transparent: bool,
}

/// Who may call through the egress listener. A reload puts it in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EgressSettings {
    /// Whether a caller that proves nothing may call.
    pub anonymous: bool,
    /// Our services.
    pub callers: Vec<ServiceSettings>,
    /// The Unix socket that is listened on instead of the listener's address.
    pub socket: Option<PathBuf>,
    /// The authority for hosts of contracts that intercept.
    pub interception: Option<InterceptionSettings>,
    /// With `Some`, what no contract lists passes for a time.
    pub undeclared: Option<UndeclaredSettings>,
}

/// A roll-out in which destinations that no contract lists pass and are reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UndeclaredSettings {
    /// The first instant at which they are refused again.
    pub until: UnixTime,
    /// How they are called; the URL is each destination's own.
    pub upstream: Arc<upstream::UpstreamSettings>,
}

/// TLS of a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSettings {
    /// The certificate chain, PEM.
    pub cert: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// Whether a peer must show a certificate, and who may have signed it.
    pub client: ClientCertificateSettings,
}

/// What a listener asks of its peers' certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientCertificateSettings {
    /// None is asked for.
    None,
    /// One is asked for; a peer without passes the handshake, a peer with a bad one does not.
    Optional {
        /// The authorities, PEM.
        ca: PathBuf,
    },
    /// One is demanded.
    Required {
        /// The authorities, PEM.
        ca: PathBuf,
    },
}

/// Where durable state is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateSettings {
    /// A folder that only the gateway uses; the admin Unix socket is in it.
    pub path: PathBuf,
}

/// Where key material is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeysSettings {
    /// The master key. Always there when a contract tokenizes, hashes, encrypts, reveals or counts subjects.
    pub master: Option<MasterKeyLocation>,
}

/// Where the master key comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MasterKeyLocation {
    /// A key file.
    File(PathBuf),
    /// An environment variable, by its name.
    Environment(String),
}

impl MasterKeyLocation {
    /// What fetches it, at start and at each reload.
    pub fn source(&self) -> Box<dyn MasterKeySource> {
        match self {
            Self::File(path) => Box::new(KeyFileSource::new(path)),
            Self::Environment(name) => Box::new(EnvironmentKeySource::new(name)),
        }
    }
}

/// How the audit trail is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditSettings {
    /// The file, and what happens when it is full or cannot be written.
    pub trail: audit::AuditTrailSettings,
    /// The file of the hash chain's key; made when there is none.
    pub key: PathBuf,
}

/// A hook: a webhook or a command that is called at a kill or a restore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookSettings {
    /// Unique among the hooks.
    pub name: String,
    /// Whether it is called at kills.
    pub on_kill: bool,
    /// Whether it is called at restores.
    pub on_restore: bool,
    /// What it does.
    pub action: HookActionSettings,
    /// How long one attempt may take.
    pub deadline: Duration,
}

/// What a hook does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookActionSettings {
    /// Sends a signed POST.
    Webhook {
        /// Its address.
        url: String,
        /// The file of the signature's key.
        secret: PathBuf,
    },
    /// Runs a program.
    Command {
        /// The program, by path or by name in `PATH`.
        program: String,
        /// Its arguments.
        arguments: Vec<String>,
    },
}

/// A named person or machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    /// The name that the audit trail shows.
    pub name: String,
    /// What it may do.
    pub role: OperatorRole,
    /// SHA-256 of its token, so that the file holds no secret.
    pub token_sha256: [u8; 32],
}

impl Operator {
    /// Whether a text can be an operator's name: 1 to 64 of letters, digits, `-`, `_`, `.` and `@`.
    pub fn is_name(text: &str) -> bool {
        let good = |c: char| c.is_ascii_alphanumeric() || "-_.@".contains(c);
        (1..=64).contains(&text.len()) && text.chars().all(good)
    }
}

words! {
    /// What an operator may do.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
    #[serde(rename_all = "snake_case")]
    pub enum OperatorRole {
        /// May read.
        Viewer = "viewer",
        /// May also kill, drill and revoke.
        Operator = "operator",
        /// May also restore and reload.
        Admin = "admin",
        /// May read and reveal tokens, and nothing else.
        Privacy = "privacy",
    }
}

impl OperatorRole {
    /// The role with this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }

    /// Whether an operator of this role may do what asks for `needed`.
    pub const fn permits(self, needed: Self) -> bool {
        match needed {
            Self::Viewer => true,
            Self::Operator => matches!(self, Self::Operator | Self::Admin),
            Self::Admin => matches!(self, Self::Admin),
            Self::Privacy => matches!(self, Self::Privacy),
        }
    }
}

impl std::fmt::Display for OperatorRole {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How the gateway stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrainSettings {
    /// Time that in-flight requests get to end.
    pub deadline: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn privacy_permits_reading_and_revealing_only() {
        let may = |role: OperatorRole| OperatorRole::ALL.map(|needed| role.permits(needed));
        assert_eq!(may(OperatorRole::Viewer), [true, false, false, false]);
        assert_eq!(may(OperatorRole::Operator), [true, true, false, false]);
        assert_eq!(may(OperatorRole::Admin), [true, true, true, false]);
        assert_eq!(may(OperatorRole::Privacy), [true, false, false, true]);
    }
}

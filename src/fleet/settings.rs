//! Where the engine is, how this gateway proves itself there, and what happens without it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::bounds::FLEET_SERVERS_MAX;
use crate::http::HostPort;
use crate::model::words;

/// The fleet that a gateway belongs to, after all checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetSettings {
    /// The servers of the engine.
    pub engine: EngineUrl,
    /// The fleet's name: all gateways of one fleet have the same one, and it begins every key.
    pub name: String,
    /// This gateway's name, which no other gateway of the fleet has.
    pub node: String,
    /// TLS beyond the machine's own authorities.
    pub tls: FleetTlsSettings,
    /// The user at the engine; without one, its default user.
    pub user: Option<String>,
    /// The file of the password, read anew for each connection.
    pub password_file: Option<PathBuf>,
    /// What a start does when it has waited in vain for the first sync.
    pub on_start: OnFleetStart,
    /// How long a start waits for it.
    pub start_wait: Duration,
    /// What is left of budgets while the engine is away.
    pub on_loss: OnFleetLoss,
}

/// What is particular about TLS with the engine. Files are read anew for each connection.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FleetTlsSettings {
    /// The authorities that may vouch for the engine, PEM; without them, those of the machine.
    pub ca: Option<PathBuf>,
    /// Our certificate chain and its private key, PEM.
    pub identity: Option<(PathBuf, PathBuf)>,
}

words! {
    /// What a gateway that starts does when it has waited in vain for the first sync.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
    #[serde(rename_all = "snake_case")]
    pub enum OnFleetStart {
        /// It serves by the state that its own disk has.
        #[default]
        LastState = "last_state",
        /// It does not start.
        Refuse = "refuse",
    }
}

words! {
    /// What is left of a budget while the engine is away and the lease is used up.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
    #[serde(rename_all = "snake_case")]
    pub enum OnFleetLoss {
        /// This gateway's share of it: what was left, divided by the gateways that were last known.
        #[default]
        Share = "share",
        /// Nothing: the request is refused.
        Deny = "deny",
    }
}

/// How the servers of an engine belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EngineTopology {
    /// One server, or one name behind which a service swaps servers.
    Standalone,
    /// Sentinels that know the master of this name.
    Sentinel {
        /// The master's name.
        master: String,
    },
    /// A cluster; all our keys are in one slot.
    Cluster,
}

/// The place of an engine: `redis://host`, `redis+sentinel://host,host/master` or `redis+cluster://host,host`, and the
/// same with `rediss` for TLS. Never holds a user name or a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineUrl {
    /// Whether TLS is spoken.
    pub tls: bool,
    /// How the servers belong together.
    pub topology: EngineTopology,
    /// The servers, or the sentinels.
    pub servers: Vec<HostPort<'static>>,
    /// The number of the database.
    pub database: u8,
}

/// Why a text is not the place of an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EngineUrlError {
    /// The scheme is none of ours.
    #[error(
        "must begin with redis://, rediss://, redis+sentinel://, rediss+sentinel://, redis+cluster:// or rediss+cluster://"
    )]
    Scheme,
    /// It has `user:password@`.
    #[error("must not hold a user or a password")]
    UserInfo,
    /// A server is no host and port.
    #[error("must name a host, or hosts joined by commas, each with its port where that is not the usual one")]
    Server,
    /// There are several servers, and the scheme has one.
    #[error("names several servers, and only sentinels and clusters have several")]
    OneServer,
    /// More servers than any engine has.
    #[error("names too many servers")]
    TooMany,
    /// Sentinels are asked for a master, and none is named.
    #[error("must name the master behind the sentinels, as in redis+sentinel://host/mymaster")]
    Master,
    /// What follows the servers is no database.
    #[error("must end with its servers or with the number of a database from 0 to 15")]
    Database,
    /// A cluster has the database 0 alone.
    #[error("must end with its servers: a cluster has one database")]
    ClusterDatabase,
}

impl EngineUrl {
    /// Parses a place.
    ///
    /// # Errors
    /// [`EngineUrlError`] says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, EngineUrlError> {
        let (scheme, rest) = text.split_once("://").ok_or(EngineUrlError::Scheme)?;
        if rest.contains('@') {
            return Err(EngineUrlError::UserInfo);
        }
        let (base, kind) = scheme.split_once('+').unwrap_or((scheme, ""));
        let tls = match base {
            "redis" => false,
            "rediss" => true,
            _ => return Err(EngineUrlError::Scheme),
        };
        let (servers, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (port, topology, database) = match kind {
            "" => (6379, EngineTopology::Standalone, database(path)?),
            "sentinel" => {
                let (master, number) = path.split_once('/').unwrap_or((path, ""));
                (26379, EngineTopology::Sentinel { master: master_name(master)? }, database(number)?)
            }
            "cluster" if path.is_empty() => (6379, EngineTopology::Cluster, 0),
            "cluster" => return Err(EngineUrlError::ClusterDatabase),
            _ => return Err(EngineUrlError::Scheme),
        };
        let servers = servers_of(servers, port)?;
        if servers.len() > 1 && topology == EngineTopology::Standalone {
            return Err(EngineUrlError::OneServer);
        }
        Ok(Self { tls, topology, servers, database })
    }
}

fn servers_of(text: &str, default_port: u16) -> Result<Vec<HostPort<'static>>, EngineUrlError> {
    let parse = |text: &str| {
        let server = HostPort::parse(text.trim(), default_port)?;
        (!server.host.is_empty()).then(|| server.into_owned())
    };
    let servers: Option<Vec<_>> = text.split(',').map(parse).collect();
    let servers = servers.ok_or(EngineUrlError::Server)?;
    if servers.len() > FLEET_SERVERS_MAX { Err(EngineUrlError::TooMany) } else { Ok(servers) }
}

fn master_name(text: &str) -> Result<String, EngineUrlError> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if text.is_empty() || !text.chars().all(is_plain) { Err(EngineUrlError::Master) } else { Ok(text.to_owned()) }
}

fn database(text: &str) -> Result<u8, EngineUrlError> {
    if text.is_empty() {
        return Ok(0);
    }
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| is_number && *number < 16).ok_or(EngineUrlError::Database)
}

impl fmt::Display for EngineUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, path) = match &self.topology {
            EngineTopology::Standalone => ("", String::new()),
            EngineTopology::Sentinel { master } => ("+sentinel", format!("/{master}")),
            EngineTopology::Cluster => ("+cluster", String::new()),
        };
        let servers: Vec<_> = self.servers.iter().map(ToString::to_string).collect();
        write!(f, "{}{kind}://{}{path}", if self.tls { "rediss" } else { "redis" }, servers.join(","))?;
        if self.database > 0 { write!(f, "/{}", self.database) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_printed_as_it_is_read() {
        for (text, printed) in [
            ("redis://127.0.0.1", "redis://127.0.0.1:6379"),
            ("rediss://Redis.Internal:6380/3", "rediss://redis.internal:6380/3"),
            ("redis://[::1]:7000/0", "redis://[::1]:7000"),
            ("rediss+sentinel://a, b:7/mymaster", "rediss+sentinel://a:26379,b:7/mymaster"),
            ("redis+sentinel://a/my-master/2", "redis+sentinel://a:26379/my-master/2"),
            ("rediss+cluster://a,b,c:7001", "rediss+cluster://a:6379,b:6379,c:7001"),
        ] {
            let place = EngineUrl::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(place.to_string(), printed, "{text}");
        }
    }

    #[test]
    fn what_is_no_place_says_why() {
        use EngineUrlError::{ClusterDatabase, Database, Master, OneServer, Scheme, Server, TooMany, UserInfo};
        let many = format!("redis+cluster://{}", vec!["a"; FLEET_SERVERS_MAX + 1].join(","));
        for (text, expected) in [
            ("", Scheme),
            ("127.0.0.1:6379", Scheme),
            ("http://a", Scheme),
            ("redis+gossip://a", Scheme),
            ("unix:///run/redis.sock", Scheme),
            ("redis://user:pa55word@a", UserInfo),
            ("redis://", Server),
            ("redis://a:0", Server),
            ("redis+cluster://a,,b", Server),
            ("redis://a,b", OneServer),
            (&many, TooMany),
            ("redis+sentinel://a", Master),
            ("redis+sentinel://a/my master", Master),
            ("redis://a/16", Database),
            ("redis://a/+1", Database),
            ("redis+sentinel://a/m/x", Database),
            ("redis+cluster://a/1", ClusterDatabase),
        ] {
            assert_eq!(EngineUrl::parse(text), Err(expected), "{text}");
        }
    }
}

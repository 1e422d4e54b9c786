//! Finds the server that has our keys, and connects to it.
//!
//! All keys of a fleet are in one slot, so in a cluster, too, there is exactly one server to talk to. What it says is
//! checked: a replica, or a server that sends us on, is never taken for the master.

use std::io;
use std::path::Path;
use std::sync::Arc;

use redis::cmd;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::EngineValue;
use super::connection::{CommandFailure, EngineConnection, EngineLogin};
use crate::bounds::{FLEET_CONNECT_DEADLINE, FLEET_REDIRECTS_MAX, FLEET_RESPONSE_DEADLINE};
use crate::fleet::{EngineTopology, FleetError, FleetSettings};
use crate::http::{ByteStream, HostPort, client_tls, native_roots, pem};
use crate::model::Secret;

/// Opens connections to the server that has our keys.
#[derive(Debug)]
pub(super) struct EngineConnector {
    settings: Arc<FleetSettings>,
    /// Any key of ours: by it a cluster says which server has them.
    key: String,
}

impl EngineConnector {
    pub(super) const fn new(settings: Arc<FleetSettings>, key: String) -> Self {
        Self { settings, key }
    }

    /// Connects to the server that has our keys.
    pub(super) async fn connect(&self) -> Result<EngineConnection, FleetError> {
        match &self.settings.engine.topology {
            EngineTopology::Standalone | EngineTopology::Cluster => self.connect_first().await,
            EngineTopology::Sentinel { master } => {
                let server = self.ask_sentinels(master).await?;
                self.connect_master(server).await
            }
        }
    }

    /// Whether the sentinels still name this server; true where there are none, or none answers.
    pub(super) async fn is_still_master(&self, server: &HostPort<'_>) -> bool {
        match &self.settings.engine.topology {
            EngineTopology::Standalone | EngineTopology::Cluster => true,
            EngineTopology::Sentinel { master } => {
                self.ask_sentinels(master).await.map_or(true, |named| named == *server)
            }
        }
    }

    /// The first server of the list that leads to ours. The others may be down.
    async fn connect_first(&self) -> Result<EngineConnection, FleetError> {
        let mut last = FleetError::Away;
        for server in &self.settings.engine.servers {
            match self.connect_master(server.clone()).await {
                Ok(connection) => return Ok(connection),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Follows redirections to the server that has our keys.
    async fn connect_master(&self, server: HostPort<'static>) -> Result<EngineConnection, FleetError> {
        let mut server = server;
        for _ in 0..FLEET_REDIRECTS_MAX {
            let connection = self.open(server, self.login(self.settings.engine.database)?).await?;
            match connection.send(cmd("HGET").arg(&self.key).arg("version"), FLEET_RESPONSE_DEADLINE).await {
                Ok(_) => return require_master(connection).await,
                Err(CommandFailure::Moved(other)) => server = other,
                Err(failure) => return Err(failure.into()),
            }
        }
        Err(FleetError::Redirects)
    }

    /// Asks each sentinel in turn; the first that knows the master is believed.
    async fn ask_sentinels(&self, master: &str) -> Result<HostPort<'static>, FleetError> {
        let mut last = FleetError::NoMaster(master.to_owned());
        for sentinel in &self.settings.engine.servers {
            match self.ask_sentinel(sentinel.clone(), master).await {
                Ok(Some(server)) => return Ok(server),
                Ok(None) => {}
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn ask_sentinel(
        &self,
        sentinel: HostPort<'static>,
        master: &str,
    ) -> Result<Option<HostPort<'static>>, FleetError> {
        let connection = self.open(sentinel, self.login(0)?).await?;
        let mut question = cmd("SENTINEL");
        question.arg("get-master-addr-by-name").arg(master);
        let answer = connection.send(&question, FLEET_RESPONSE_DEADLINE).await?;
        let [host, port] = answer.as_list() else { return Ok(None) };
        let (Some(host), Some(port)) = (host.as_text(), port.as_text()) else { return Ok(None) };
        let text = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        Ok(HostPort::parse(&text, 6379).map(HostPort::into_owned))
    }

    /// Connects to one server within the deadline: all of its addresses, TLS and the login.
    async fn open(&self, server: HostPort<'static>, login: EngineLogin) -> Result<EngineConnection, FleetError> {
        let opened = async {
            let failed = |source| FleetError::Connect { server: server.clone(), source };
            let stream = TcpStream::connect((&*server.host, server.port)).await.map_err(failed)?;
            stream.set_nodelay(true).map_err(failed)?;
            let stream: Box<dyn ByteStream> = if self.settings.engine.tls {
                let name = ServerName::try_from(server.host.clone().into_owned());
                let name = name.map_err(|error| failed(io::Error::other(error)))?;
                Box::new(self.tls()?.connect(name, stream).await.map_err(failed)?)
            } else {
                Box::new(stream)
            };
            EngineConnection::log_in(server.clone(), stream, &login).await
        };
        timeout(FLEET_CONNECT_DEADLINE, opened).await.unwrap_or(Err(FleetError::Timeout))
    }

    /// The files are read anew each time, so that a renewed certificate or password is used from then on.
    fn tls(&self) -> Result<TlsConnector, FleetError> {
        let tls = &self.settings.tls;
        let roots = match &tls.ca {
            Some(path) => pem::certificate_authorities(&read(path)?).map_err(|source| bad(path, source))?.roots,
            None => native_roots(),
        };
        let identity = match &tls.identity {
            Some((cert, key)) => Some((
                pem::certificate_chain(&read(cert)?).map_err(|source| bad(cert, source))?,
                pem::private_key(&read(key)?).map_err(|source| bad(key, source))?,
            )),
            None => None,
        };
        client_tls(roots, identity).map(|config| Arc::new(config).into()).map_err(FleetError::Tls)
    }

    fn login(&self, database: u8) -> Result<EngineLogin, FleetError> {
        let password = match &self.settings.password_file {
            Some(path) => {
                let content = read(path)?;
                let text = std::str::from_utf8(&content).map_err(|_| FleetError::Unreadable)?;
                Some(Secret::new(text.trim_end_matches(['\r', '\n']).to_owned()))
            }
            None => None,
        };
        Ok(EngineLogin { user: self.settings.user.clone(), password, database })
    }
}

async fn require_master(connection: EngineConnection) -> Result<EngineConnection, FleetError> {
    let role = connection.send(&cmd("ROLE"), FLEET_RESPONSE_DEADLINE).await?;
    match role.as_list().first().and_then(EngineValue::as_text) {
        Some("master") => Ok(connection),
        Some(_) => Err(FleetError::NotMaster(connection.server)),
        None => Err(FleetError::Unreadable),
    }
}

fn read(path: &Path) -> Result<zeroize::Zeroizing<Vec<u8>>, FleetError> {
    let read = std::fs::read(path).map(zeroize::Zeroizing::new);
    read.map_err(|source| FleetError::File { path: path.to_owned(), source })
}

fn bad(path: &Path, source: pem::PemError) -> FleetError {
    FleetError::Pem { path: path.to_owned(), source }
}

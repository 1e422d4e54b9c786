//! One connection to a server of the engine, and the commands on it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, ErrorKind, RedisError, ServerErrorKind};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::EngineValue;
use crate::fleet::FleetError;
use crate::http::{ByteStream, HostPort};
use crate::model::{Secret, debug_fields};

/// Who we are at the engine.
#[derive(Debug, Clone)]
pub(super) struct EngineLogin {
    pub(super) user: Option<String>,
    pub(super) password: Option<Secret<String>>,
    pub(super) database: u8,
}

/// An open connection. Commands of several tasks share it; dropping the last clone closes it.
#[derive(Clone)]
pub(super) struct EngineConnection {
    pub(super) server: HostPort<'static>,
    commands: MultiplexedConnection,
    driver: Arc<EngineDriver>,
}

/// The task that moves the connection's bytes.
struct EngineDriver {
    task: JoinHandle<()>,
    ended: watch::Receiver<bool>,
}

impl Drop for EngineDriver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

debug_fields!(EngineConnection: server);

/// Why a command has no answer.
#[derive(Debug)]
pub(super) enum CommandFailure {
    /// The connection is of no use any more, or never was.
    Broken(FleetError),
    /// The keys are at another server.
    Moved(HostPort<'static>),
    /// The script is not known to the server.
    NoScript,
    /// The engine has answered that it will not.
    Refused(FleetError),
}

impl From<CommandFailure> for FleetError {
    fn from(failure: CommandFailure) -> Self {
        match failure {
            CommandFailure::Broken(error) | CommandFailure::Refused(error) => error,
            CommandFailure::Moved(_) => Self::Redirects,
            CommandFailure::NoScript => Self::Refused("the script is not known".to_owned()),
        }
    }
}

impl EngineConnection {
    /// Logs in on an open stream. Call it on the runtime that is to move the bytes.
    pub(super) async fn log_in(
        server: HostPort<'static>,
        stream: Box<dyn ByteStream>,
        login: &EngineLogin,
    ) -> Result<Self, FleetError> {
        let mut info = redis::RedisConnectionInfo::default()
            .set_protocol(redis::ProtocolVersion::RESP2)
            .set_lib_name("vendorgate", env!("CARGO_PKG_VERSION"))
            .set_db(i64::from(login.database));
        if let Some(user) = &login.user {
            info = info.set_username(user);
        }
        if let Some(password) = &login.password {
            info = info.set_password(password.expose());
        }
        // Each command has a deadline of its own.
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let opened = MultiplexedConnection::new_with_config(&info, stream, config).await;
        let (commands, driver) = opened.map_err(|error| FleetError::Refused(shown(&error)))?;
        let (ends, ended) = watch::channel(false);
        let task = tokio::spawn(async move {
            driver.await;
            // Without a receiver nobody asks.
            let _ = ends.send(true);
        });
        Ok(Self { server, commands, driver: Arc::new(EngineDriver { task, ended }) })
    }

    /// Waits until the connection has ended.
    pub(super) async fn ended(&self) {
        let mut ended = self.driver.ended.clone();
        // An error is the end of the task, and so of the connection.
        let _ = ended.wait_for(|ended| *ended).await;
    }

    /// Sends a command and waits for its answer.
    pub(super) async fn send(&self, command: &Cmd, deadline: Duration) -> Result<EngineValue, CommandFailure> {
        let mut commands = self.commands.clone();
        match timeout(deadline, commands.send_packed_command(command)).await {
            Err(_) => Err(CommandFailure::Broken(FleetError::Timeout)),
            Ok(Ok(redis::Value::ServerError(error))) => Err(self.failure(&RedisError::from(error))),
            Ok(Ok(value)) => Ok(value.into()),
            Ok(Err(error)) => Err(self.failure(&error)),
        }
    }

    fn failure(&self, error: &RedisError) -> CommandFailure {
        let refused = || FleetError::Refused(shown(error));
        match error.kind() {
            ErrorKind::Server(ServerErrorKind::NoScript) => CommandFailure::NoScript,
            ErrorKind::Server(ServerErrorKind::Moved) => match self.redirect(error) {
                Some(server) => CommandFailure::Moved(server),
                None => CommandFailure::Broken(refused()),
            },
            // A demoted master takes no writes; one that loads its file, or has lost its cluster, takes none for long.
            ErrorKind::Server(
                ServerErrorKind::ReadOnly
                | ServerErrorKind::MasterDown
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::BusyLoading,
            ) => CommandFailure::Broken(refused()),
            ErrorKind::Server(_) => CommandFailure::Refused(refused()),
            ErrorKind::Io => {
                let source = io::Error::other(shown(error));
                CommandFailure::Broken(FleetError::Connect { server: self.server.clone(), source })
            }
            _ => CommandFailure::Broken(refused()),
        }
    }

    /// The server of a redirection; one without a host means another port of the same.
    fn redirect(&self, error: &RedisError) -> Option<HostPort<'static>> {
        let (host, port) = error.redirect_node()?;
        let host = if host.is_empty() { self.server.host.clone().into_owned() } else { host.to_owned() };
        let text = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        Some(HostPort::parse(&text, port)?.into_owned())
    }
}

/// The code and the text of an error, as the engine wrote them: it never quotes a password.
fn shown(error: &RedisError) -> String {
    let text = match (error.code(), error.detail()) {
        (Some(code), Some(detail)) => format!("{code} {detail}"),
        _ => error.to_string(),
    };
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

//! The engine: a Redis or Valkey server, and the one connection through which this gateway gives it commands.
//!
//! The only folder that knows the crate `redis`. A task keeps the connection: it connects again, with pauses drawn at
//! random, as soon as the old connection has ended, has answered too late several times in a row, or turns out to lead
//! to a server that is not the master. While there is none, a command fails at once.

mod connect;
mod connection;
mod inspect;
mod reader;
mod script;
mod value;

pub use reader::{NewsEntry, NewsReader};
pub use script::FleetScript;
pub use value::EngineValue;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use redis::{Cmd, cmd};
use tokio::sync::{Notify, watch};
use tokio::time::sleep;

use self::connect::EngineConnector;
use self::connection::{CommandFailure, EngineConnection};
use super::{FleetError, FleetSettings};
use crate::bounds::{FLEET_FAILURES_MAX, FLEET_RECONNECT_DELAYS, FLEET_RESPONSE_DEADLINE};
use crate::model::{debug_fields, with_causes};

/// How often the sentinels are asked whether the master is still the same.
const MASTER_CHECK_INTERVAL: Duration = Duration::from_secs(2);

/// The engine as this gateway reaches it.
pub struct FleetEngine {
    /// What every key begins with. The braces are a cluster's hash tag: all keys of a fleet are in one slot.
    prefix: String,
    connector: EngineConnector,
    connection: ArcSwapOption<EngineConnection>,
    /// Failures in a row on the connection that is in use.
    failures: AtomicU32,
    /// Wakes the task that keeps the connection.
    lost: Notify,
    /// How many connections there have been.
    opened: watch::Sender<u64>,
    /// Why there is no connection.
    why: ArcSwapOption<String>,
}

debug_fields!(FleetEngine: prefix);

impl FleetEngine {
    /// The engine of a fleet; nothing is connected yet.
    pub fn new(settings: &Arc<FleetSettings>) -> Self {
        let prefix = format!("vg:{{{}}}:", settings.name);
        Self {
            connector: EngineConnector::new(Arc::clone(settings), format!("{prefix}m")),
            prefix,
            connection: ArcSwapOption::empty(),
            failures: AtomicU32::new(0),
            lost: Notify::new(),
            opened: watch::Sender::new(0),
            why: ArcSwapOption::empty(),
        }
    }

    /// Says each time that a connection was opened.
    pub fn connections(&self) -> watch::Receiver<u64> {
        self.opened.subscribe()
    }

    /// Why there is no connection, in words for a person.
    pub fn why_away(&self) -> Option<Arc<String>> {
        self.why.load_full()
    }

    /// A key of this fleet: its name behind the fleet's prefix.
    pub fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Runs a script with these keys, which get the fleet's prefix, and these arguments. It is waited for half a second
    /// at most; without a connection it fails at once.
    ///
    /// # Errors
    /// [`FleetError`]. After [`FleetError::Timeout`] the script may have run, so it must be such that it can run again.
    pub async fn run_script(
        &self,
        script: &FleetScript,
        keys: &[&str],
        arguments: &[&[u8]],
    ) -> Result<EngineValue, FleetError> {
        let call = |name: &str, what: &str| {
            let mut call = cmd(name);
            call.arg(what).arg(keys.len());
            keys.iter().for_each(|key| _ = call.arg(self.key(key)));
            arguments.iter().for_each(|argument| _ = call.arg(*argument));
            call
        };
        match self.send(&call("EVALSHA", script.digest())).await {
            // The engine has started anew and forgotten its scripts.
            Err(CommandFailure::NoScript) => Ok(self.send(&call("EVAL", script.text())).await?),
            answer => Ok(answer?),
        }
    }

    /// Waits until a replica has what was written on this connection, within the time; returns how many have. None
    /// where the engine has no replica.
    ///
    /// The number is told, not relied upon: it does not make the engine consistent.
    ///
    /// # Errors
    /// [`FleetError`] where the engine does not answer.
    pub async fn wait_for_replicas(&self, within: Duration) -> Result<Option<u64>, FleetError> {
        let role = self.send(&cmd("ROLE")).await?;
        if role.as_list().get(2).is_none_or(|replicas| replicas.as_list().is_empty()) {
            return Ok(None);
        }
        let within_ms = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
        let deadline = FLEET_RESPONSE_DEADLINE + within;
        let mut on_disk = cmd("WAITAOF");
        on_disk.arg(0).arg(1).arg(within_ms);
        if let Ok(answer) = self.send_within(&on_disk, deadline).await {
            return Ok(answer.as_list().get(1).and_then(EngineValue::as_count));
        }
        // The engine is older than 7.2, or has no append-only file: the replicas' memory is what there is.
        let mut wait = cmd("WAIT");
        wait.arg(1).arg(within_ms);
        let answer = self.send_within(&wait, deadline).await?;
        Ok(answer.as_count())
    }

    async fn send(&self, command: &Cmd) -> Result<EngineValue, CommandFailure> {
        self.send_within(command, FLEET_RESPONSE_DEADLINE).await
    }

    async fn send_within(&self, command: &Cmd, deadline: Duration) -> Result<EngineValue, CommandFailure> {
        let Some(connection) = self.connection.load_full() else {
            return Err(CommandFailure::Broken(FleetError::Away));
        };
        let answer = connection.send(command, deadline).await;
        match &answer {
            Ok(_) | Err(CommandFailure::NoScript | CommandFailure::Refused(_)) => {
                self.failures.store(0, Ordering::Relaxed);
            }
            Err(CommandFailure::Broken(FleetError::Timeout)) => {
                if self.failures.fetch_add(1, Ordering::Relaxed) + 1 >= FLEET_FAILURES_MAX {
                    self.give_up(&connection, "the engine has not answered in time, several times in a row");
                }
            }
            Err(CommandFailure::Broken(error)) => self.give_up(&connection, &with_causes(error)),
            Err(CommandFailure::Moved(server)) => {
                self.give_up(&connection, &format!("the keys have moved to {server}"))
            }
        }
        answer
    }

    /// Closes the connection, unless another one has taken its place.
    fn give_up(&self, connection: &Arc<EngineConnection>, why: &str) {
        let is_it =
            |current: &Option<Arc<EngineConnection>>| current.as_ref().is_some_and(|it| Arc::ptr_eq(it, connection));
        self.why.store(Some(Arc::new(why.to_owned())));
        self.connection.rcu(|current| if is_it(current) { None } else { current.clone() });
        self.lost.notify_one();
    }

    /// Keeps the connection until the future is dropped.
    pub async fn keep_connected(&self) {
        let mut pause = FLEET_RECONNECT_DELAYS[0];
        loop {
            match self.connector.connect().await {
                Ok(connection) => {
                    tracing::info!(server = %connection.server, "connected to the fleet's engine");
                    let connection = Arc::new(connection);
                    self.failures.store(0, Ordering::Relaxed);
                    self.connection.store(Some(Arc::clone(&connection)));
                    self.why.store(None);
                    self.opened.send_modify(|count| *count += 1);
                    self.watch(&connection).await;
                    pause = FLEET_RECONNECT_DELAYS[0];
                    tracing::warn!(why = ?self.why_away(), "the connection to the fleet's engine has ended");
                }
                Err(error) => {
                    self.why.store(Some(Arc::new(with_causes(&error))));
                    pause = (pause * 2).min(FLEET_RECONNECT_DELAYS[1]);
                }
            }
            sleep(drawn(pause)).await;
        }
    }

    /// Waits until a connection is of no use any more.
    async fn watch(&self, connection: &Arc<EngineConnection>) {
        loop {
            tokio::select! {
                () = connection.ended() => self.give_up(connection, "the engine has closed the connection"),
                () = self.lost.notified() => {}
                () = sleep(MASTER_CHECK_INTERVAL) => {
                    if !self.connector.is_still_master(&connection.server).await {
                        self.give_up(connection, "the sentinels name another master");
                    }
                }
            }
            let current = self.connection.load();
            if !current.as_ref().is_some_and(|current| Arc::ptr_eq(current, connection)) {
                return;
            }
        }
    }
}

/// A pause between half of this and the whole: gateways that lost the engine together do not come back together.
pub(super) fn drawn(pause: Duration) -> Duration {
    let mut bytes = [0; 4];
    // Without randomness the pause is the shortest.
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    pause / 2 + (pause / 2).mul_f64(f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX))
}

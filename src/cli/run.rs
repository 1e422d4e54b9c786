//! `vendorgate run`: runs the gateway until a signal ends it.
//!
//! SIGTERM and SIGINT drain: requests in flight may finish. A second signal ends at once. SIGHUP reloads the config.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;

use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::client::block_on;
use super::error::{CliError, Exit};
use super::{ConfigFile, loader, service_manager};
use crate::config::{FaultSeverity, GatewaySettings};
use crate::listener::PassedSockets;
use crate::model::Clock;
use crate::server::{ListenAddresses, Server, ServerOptions, ServerPulse};
use crate::telemetry::{ExchangeLog, log};

/// Run the gateway
///
/// Logs go to standard error; one line for each exchange goes to standard output. SIGHUP reloads the config, and
/// changes nothing if it has faults. SIGTERM lets requests in flight finish, then ends.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  vendorgate run --config config/vendorgate.yaml\n  kill -HUP $(pidof vendorgate)     # load the config again\n  kill -TERM $(pidof vendorgate)    # finish what is in flight, then end"
)]
pub(super) struct RunArgs {
    #[command(flatten)]
    config: ConfigFile,
}

impl RunArgs {
    pub(super) fn run(&self) -> Result<Exit, CliError> {
        let sockets = PassedSockets::from_environment()?;
        let loaded = loader(FaultSeverity::Fault).load(&self.config.path).map_err(CliError::Config)?;
        eprint!("{}", loaded.warnings.with_snippets());
        let _events = log::start(&loaded.config.log).map_err(CliError::Log)?;
        block_on(serve(loaded.config, self.config.path.clone(), sockets))
    }
}

async fn serve(config: GatewaySettings, main: PathBuf, sockets: PassedSockets) -> Result<Exit, CliError> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut hang_up = signal(SignalKind::hangup())?;
    // Exchange lines have the level INFO.
    let exchange_log = match config.log.level >= log::LevelFilter::INFO {
        true => ExchangeLog::start(config.log.format, duplicate_handle(std::io::stdout())?).map_err(CliError::Log)?,
        false => ExchangeLog::off(),
    };
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let options = ServerOptions { main, workers, exchange_log, clock: Clock::system(), sockets };
    let server = Server::start(config, options).await.map_err(CliError::Start)?;
    log_addresses(server.addresses(), workers);
    service_manager::ready();
    let watchdog = tokio::spawn(watch(server.pulse()));
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hang_up.recv() => reload(&server).await,
        }
    }
    watchdog.abort();
    service_manager::stopping();
    tracing::info!("draining: what is in flight may finish; a second signal ends at once");
    tokio::select! {
        () = server.drain() => Ok(Exit::Yes),
        () = wait_for_either(&mut terminate, &mut interrupt) => Ok(Exit::No),
    }
}

/// The reload itself logs and counts its result.
async fn reload(server: &Server) {
    service_manager::reloading();
    service_manager::reloaded(server.reload().await.is_ok());
}

/// Tells the service manager that the gateway is alive, as long as this thread runs and each worker answers.
async fn watch(pulse: ServerPulse) {
    let Some(mut interval) = service_manager::watchdog() else { return };
    loop {
        interval.tick().await;
        pulse.answers().await;
        service_manager::alive();
    }
}

/// A second handle on the same file. The log's thread can block on a slow reader, so it must not hold the lock of
/// standard output, which the end of the program takes.
fn duplicate_handle(stream: impl AsFd) -> io::Result<File> {
    Ok(stream.as_fd().try_clone_to_owned()?.into())
}

async fn wait_for_either(one: &mut Signal, other: &mut Signal) {
    tokio::select! {
        _ = one.recv() => {}
        _ = other.recv() => {}
    }
}

fn log_addresses(addresses: ListenAddresses, workers: usize) {
    for (name, address) in [("ingress", addresses.ingress), ("egress", addresses.egress), ("admin", addresses.admin)] {
        if let Some(address) = address {
            tracing::info!(listener = name, %address, "listening");
        }
    }
    tracing::info!(workers, version = env!("CARGO_PKG_VERSION"), "serving");
}

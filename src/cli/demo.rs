//! `vendorgate demo`: plays a short story with the whole product on this machine.

use std::io::{IsTerminal as _, Write};

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::client::block_on;
use super::error::{CliError, Exit};
use crate::demo::{self, DemoOptions};

/// Play the whole product on this machine, with nothing to install or write
///
/// Starts a sample internal API full of personal data, a sample vendor, an OAuth issuer and the gateway, all on
/// loopback and free ports. Plays a short story over real HTTP and checks each step, then keeps running for you to try.
/// All files are in a private folder that is removed at the end.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  vendorgate demo            # plays, then keeps running until Ctrl-C\n  vendorgate demo --once     # plays and ends; exits 0 when every check held, else 1"
)]
pub(super) struct DemoArgs {
    /// End after the story
    #[arg(long)]
    once: bool,
}

impl DemoArgs {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<Exit, CliError> {
        let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|it| it.is_empty());
        let program = std::env::args().next().unwrap_or_else(|| "vendorgate".to_owned());
        let options = DemoOptions { once: self.once, colour, program };
        block_on(async {
            let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
            let stop = async {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
            };
            demo::play(options, out, stop).await.map(Exit::of).map_err(CliError::Demo)
        })
    }
}

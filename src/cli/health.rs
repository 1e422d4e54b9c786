//! `vendorgate health`: an exit code for the probes of containers and service managers.

use serde_json::json;

use super::client::{ConnectionArgs, RemoteCall};
use super::error::{CliError, Exit};
use super::layout::printable;

/// Ask whether the gateway is ready to serve; needs no token
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
Examples:
  vendorgate health
  vendorgate health --live --admin http://127.0.0.1:9901

Exits 0 when the gateway is ready (with --live: when it answers at all), 1 otherwise.")]
pub(super) struct HealthArgs {
    /// Only ask whether the process answers at all
    #[arg(long)]
    pub(super) live: bool,
    /// Where the gateway is
    #[command(flatten)]
    pub(super) connection: ConnectionArgs,
}

pub(super) async fn execute(args: &HealthArgs, call: &mut RemoteCall<'_>) -> Result<Exit, CliError> {
    let (status, text) = call.client.probe(if args.live { "/livez" } else { "/readyz?verbose" }).await?;
    let lines: Vec<&str> = text.lines().collect();
    let words = |_: &_| lines.iter().map(|line| printable(line) + "\n").collect();
    call.print(&json!({ "well": status.is_success(), "said": lines }), words)?;
    Ok(Exit::of(status.is_success()))
}

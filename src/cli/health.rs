//! `vendorgate health`: an exit code for probes of images and service managers.

use std::io::Write;

use super::client::{Client, Reach, block_on};
use super::error::{CliError, Exit};
use super::layout::plain;

/// Ask whether the gateway can do its work; needs no token
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
Examples:
  vendorgate health
  vendorgate health --live --admin http://127.0.0.1:9901

Exits 0 when the gateway is ready (with --live: when it answers at all), 1 otherwise.")]
pub struct Args {
    /// Only ask whether the process lives
    #[arg(long)]
    pub live: bool,
    /// Where the gateway is
    #[command(flatten)]
    pub reach: Reach,
}

/// Runs the verb, and prints its answer to `out`.
///
/// # Errors
/// [`CliError`] when the address cannot be used or the gateway is not reached.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<Exit, CliError> {
    let client = args.reach.client()?;
    block_on(execute(args, &client, out))
}

pub(super) async fn execute(args: &Args, client: &Client, out: &mut dyn Write) -> Result<Exit, CliError> {
    let (status, text) = client.probe(if args.live { "/livez" } else { "/readyz?verbose" }).await?;
    if args.reach.json {
        let lines: Vec<&str> = text.lines().collect();
        writeln!(out, "{}", serde_json::json!({ "well": status.is_success(), "said": lines }))?;
    } else {
        for line in text.lines() {
            writeln!(out, "{}", plain(line))?;
        }
    }
    Ok(if status.is_success() { Exit::Yes } else { Exit::No })
}

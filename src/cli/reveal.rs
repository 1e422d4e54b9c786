//! `vendorgate reveal`: one token back to its value.

use std::io::Write;

use super::client::{Client, Reach, block_on};
use super::error::{CliError, Exit};
use super::kill::print;
use super::layout::plain;
use crate::admin::{RevealOrder, RevealReport};

/// Turn one token back into its value
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
Example:
  vendorgate reveal tok1_dab3xa7g2_42mZ9Q --reason 'ticket 4711: access request'

Needs the role 'privacy'. Who asked, why and whose token it was is in the audit trail; the value is not.
Exits 0 when the token was opened, 1 otherwise.")]
pub struct Args {
    /// The token, whole
    pub token: String,
    /// Why, for the audit trail
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Where the gateway is
    #[command(flatten)]
    pub reach: Reach,
}

/// Runs the verb, and prints the value to `out`.
///
/// # Errors
/// [`CliError`] when an argument cannot be used, or the gateway is not reached or says no.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<Exit, CliError> {
    let client = args.reach.client()?;
    block_on(execute(args, &client, out))
}

pub(super) async fn execute(args: &Args, client: &Client, out: &mut dyn Write) -> Result<Exit, CliError> {
    let order = RevealOrder { token: args.token.clone(), reason: args.reason.clone() };
    order.check().map_err(|error| CliError::Unusable { what: "the order", why: error.to_string() })?;
    let report: RevealReport = client.post("/v1/reveal", &order).await?;
    print(args.reach.json, &report, out)?;
    if !args.reach.json {
        writeln!(out, "{}", plain(&report.value))?;
    }
    Ok(Exit::Yes)
}

//! `vendorgate reveal`: turns one token back into its value.

use super::client::{ConnectionArgs, RemoteCall};
use super::error::{CliError, Exit};
use super::layout::printable;
use crate::admin::{RevealOrder, RevealReport};

/// Turn one token back into its value
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
Example:
  vendorgate reveal tok1_dab3xa7g2_42mZ9Q --reason 'ticket 4711: access request'

Needs the role 'privacy'. The audit trail records who asked, why and the token's vendor, but not the value.
Exits 0 when the token was opened, 1 otherwise.")]
pub(super) struct RevealArgs {
    /// The whole token
    pub(super) token: String,
    /// Why, for the audit trail
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: String,
    /// Where the gateway is
    #[command(flatten)]
    pub(super) connection: ConnectionArgs,
}

pub(super) async fn execute(args: &RevealArgs, call: &mut RemoteCall<'_>) -> Result<Exit, CliError> {
    let order = RevealOrder { token: args.token.clone(), reason: args.reason.clone() };
    order.check().map_err(|error| CliError::invalid_argument("the order", error))?;
    let report: RevealReport = call.post("/v1/reveal", &order).await?;
    call.print(&report, |report| printable(&report.value) + "\n")?;
    Ok(Exit::Yes)
}

//! `vendorgate contract suggest`: a contract from what the gateway saw of a vendor's calls.

use super::client::{ConnectionArgs, RemoteCall};
use super::error::{CliError, Exit};
use super::kill::parse_direction;
use crate::admin::ContractSuggestion;
use crate::model::{Direction, VendorId};

/// Suggest a least-privilege contract from what a vendor was seen to do
///
/// What a contract with `mode: observe` let pass, and calls that were refused, by pattern: routes, scopes, fields with
/// the kinds of personal data that detectors found in them, rates. No value is kept. Read it and tighten it.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
Examples:
  vendorgate contract suggest acme-analytics > contracts/acme-analytics.yaml
  vendorgate contract suggest acme-analytics --direction egress

Exits 0 when the gateway answered, 1 when it did not or the vendor is unknown.")]
pub(super) struct SuggestArgs {
    /// The vendor's id
    #[arg(value_parser = VendorId::parse)]
    pub(super) vendor: VendorId,
    /// Only the calls of one direction
    #[arg(long, value_parser = parse_direction)]
    pub(super) direction: Option<Direction>,
    /// Where the gateway is
    #[command(flatten)]
    pub(super) connection: ConnectionArgs,
}

pub(super) async fn execute(args: &SuggestArgs, call: &mut RemoteCall<'_>) -> Result<Exit, CliError> {
    let direction = args.direction.map_or_else(String::new, |way| format!("&direction={}", way.as_str()));
    let target = format!("/v1/suggestion?vendor={}{direction}", args.vendor);
    let suggestion: ContractSuggestion = call.get(&target).await?;
    call.print(&suggestion, |suggestion| suggestion.contract.clone())?;
    Ok(Exit::Yes)
}

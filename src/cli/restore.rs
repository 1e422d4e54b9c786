//! `vendorgate restore`: undoes a kill of a vendor or of a part of its traffic.

use super::client::{ConnectionArgs, RemoteCall};
use super::error::{CliError, Exit};
use super::kill::{SelectorArgs, vendor_text};
use super::layout::printable;
use super::scheduled::selector_text;
use crate::kill::{KillSelector, RestoreReport, VendorState};
use crate::model::VendorId;

/// Undo a kill: let a vendor's traffic pass again, or the part of it that the kill named
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
Examples:
  vendorgate restore acme-analytics --reason 'ticket 4711: new key in use'
  vendorgate restore acme-analytics --direction egress --reason 'they are back'
  vendorgate restore --all --reason 'our issuer is clean'

Exits 0 when the vendor is back, 1 while another person must approve or the state is not on disk.")]
pub(super) struct RestoreArgs {
    /// The vendor's id
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    #[arg(value_parser = VendorId::parse)]
    pub(super) vendor: Option<VendorId>,
    /// Undo the kill of every vendor
    #[arg(long)]
    pub(super) all: bool,
    /// Why, for the audit trail
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: String,
    /// Which part of the traffic; all of it when no part is named
    #[command(flatten)]
    pub(super) selector: SelectorArgs,
    /// Where the gateway is
    #[command(flatten)]
    pub(super) connection: ConnectionArgs,
}

pub(super) async fn execute(args: &RestoreArgs, call: &mut RemoteCall<'_>) -> Result<Exit, CliError> {
    let order = args.selector.order(&args.reason)?;
    let target = match &args.vendor {
        Some(vendor) => format!("/v1/vendors/{vendor}/restore"),
        None => "/v1/restore".to_owned(),
    };
    let report: RestoreReport = call.post(&target, &order).await?;
    call.print(&report, report_text)?;
    let approved = report.approvals.given >= report.approvals.needed;
    Ok(Exit::of(approved && report.persisted))
}

fn report_text(report: &RestoreReport) -> String {
    let vendor = vendor_text(&report.vendor);
    let missing = report.approvals.needed.saturating_sub(report.approvals.given);
    if missing > 0 {
        return format!("{vendor} stays cut off: {missing} more must approve, each with the same restore\n");
    }
    let state = match report.state {
        VendorState::Live => "is back",
        VendorState::PartlyKilled => "is back in part: 'vendorgate status' lists what is still cut off",
        VendorState::Killed => "is still cut off: 'vendorgate status' lists why",
        VendorState::NotStarted => "is no longer cut off, but its contract has not started",
        VendorState::ReadOnly => "is no longer cut off, but its contract has ended: only reading passes",
        VendorState::Ended => "is no longer cut off, but its contract has ended",
    };
    let disk = if report.persisted { "" } else { "\n  NOT ON DISK: a restart will cut it off again" };
    let part = |selector: &&KillSelector| !selector.is_whole();
    let line = |selector: &KillSelector| format!("\n  let back: {}", printable(&selector_text(selector)));
    let lifted: String = report.selectors.iter().filter(part).map(line).collect();
    format!("{vendor} {state} (generation {}){lifted}{disk}\n", report.generation)
}

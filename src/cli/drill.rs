//! `vendorgate drill`: kills and restores a vendor as an exercise, and measures how long each step takes.

use super::client::{ConnectionArgs, RemoteCall};
use super::error::{CliError, Exit};
use super::layout::{printable, table};
use crate::admin::DrillOrder;
use crate::kill::{DrillReport, VendorState};
use crate::model::{VendorId, milliseconds, thousands};

/// Practise the kill switch: kill, measure, restore; severs the vendor's requests in flight unless --shadow is given
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
Examples:
  vendorgate drill acme-analytics --reason 'quarterly exercise'
  vendorgate drill acme-analytics --shadow

Exits 0 when the kill was on disk and the vendor is in the state that it had before, 1 otherwise.")]
pub(super) struct DrillArgs {
    /// The vendor's id
    #[arg(value_parser = VendorId::parse)]
    pub(super) vendor: VendorId,
    /// Sever only stand-ins, not the vendor's requests
    #[arg(long)]
    pub(super) shadow: bool,
    /// Why, for the audit trail
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: Option<String>,
    /// Where the gateway is
    #[command(flatten)]
    pub(super) connection: ConnectionArgs,
}

pub(super) async fn execute(args: &DrillArgs, call: &mut RemoteCall<'_>) -> Result<Exit, CliError> {
    let order = DrillOrder { shadow: args.shadow, reason: args.reason.clone() };
    order.check().map_err(|error| CliError::invalid_argument("--reason", error))?;
    let report: DrillReport = call.post(&format!("/v1/vendors/{}/drill", args.vendor), &order).await?;
    call.print(&report, report_text)?;
    Ok(Exit::of(is_restored(&report) && report.persisted))
}

fn is_restored(report: &DrillReport) -> bool {
    report.state != VendorState::Killed && report.state != VendorState::PartlyKilled
}

fn report_text(report: &DrillReport) -> String {
    let row = |step: &str, micros: u64, note: String| vec![step.to_owned(), milliseconds(micros), note];
    let what = if report.shadow { " stand-ins" } else { "" };
    let severed = format!("{}{what} severed", thousands(report.severed));
    let disk = if report.persisted { "" } else { "NOT ON DISK" };
    let rows = [
        row("new requests refused", report.refuse_micros, String::new()),
        row("requests in flight ended", report.sever_micros, severed),
        row("kill on disk", report.persist_micros, disk.to_owned()),
    ];
    let end = if is_restored(report) {
        "back as it was"
    } else {
        "NOT RESTORED: another kill was ordered meanwhile and is in force; 'vendorgate status' lists it"
    };
    let steps = table(&["AFTER THE ORDER", ">TIME", ""], &rows, Vec::clone);
    format!("{steps}{} is {end}\n", printable(&report.vendor))
}

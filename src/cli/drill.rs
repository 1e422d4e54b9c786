//! `vendorgate drill`: cuts a vendor off on purpose, measures, and lets it back.

use std::io::Write;

use super::client::{Client, Reach, block_on};
use super::error::{CliError, Exit};
use super::kill::{print, vendor_id};
use super::layout::{Side, count, millis, plain, table};
use crate::admin::{DrillOrder, DrillReport, VendorState};

/// Kill, measure, restore: cuts what the vendor has in flight, unless --shadow is given
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
Examples:
  vendorgate drill acme-analytics --reason 'quarterly exercise'
  vendorgate drill acme-analytics --shadow

Exits 0 when the kill reached the disk and the vendor is back as it was, 1 otherwise.")]
pub struct Args {
    /// The vendor's id
    pub vendor: String,
    /// Cut stand-ins, and nothing of the vendor's
    #[arg(long)]
    pub shadow: bool,
    /// Why, for the audit trail
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Where the gateway is
    #[command(flatten)]
    pub reach: Reach,
}

/// Runs the verb, and prints its answer to `out`.
///
/// # Errors
/// [`CliError`] when an argument cannot be used, or the gateway is not reached or says no.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<Exit, CliError> {
    let client = args.reach.client()?;
    block_on(execute(args, &client, out))
}

pub(super) async fn execute(args: &Args, client: &Client, out: &mut dyn Write) -> Result<Exit, CliError> {
    let order = DrillOrder { shadow: args.shadow, reason: args.reason.clone() };
    order.check().map_err(|error| CliError::Unusable { what: "--reason", why: error.to_string() })?;
    let report: DrillReport = client.post(&format!("/v1/vendors/{}/drill", vendor_id(&args.vendor)?), &order).await?;
    print(args.reach.json, &report, out)?;
    if !args.reach.json {
        write!(out, "{}", words(&report))?;
    }
    Ok(if is_back(&report) && report.persisted { Exit::Yes } else { Exit::No })
}

fn is_back(report: &DrillReport) -> bool {
    report.state != VendorState::Killed && report.state != VendorState::PartlyKilled
}

fn words(report: &DrillReport) -> String {
    let row = |step: &str, micros: u64, note: String| vec![step.to_owned(), millis(micros), note];
    let what = if report.shadow { " stand-ins" } else { "" };
    let severed = format!("{}{what} severed", count(report.severed));
    let disk = if report.persisted { "" } else { "NOT ON DISK" };
    let rows = [
        row("new requests refused", report.refuse_micros, String::new()),
        row("requests in flight ended", report.sever_micros, severed),
        row("kill on disk", report.persist_micros, disk.to_owned()),
    ];
    let end = if is_back(report) { "back as it was" } else { "NOT BACK: restore it by hand" };
    let steps = table(&[("AFTER THE ORDER", Side::Left), ("TIME", Side::Right), ("", Side::Left)], &rows);
    format!("{steps}{} is {end}\n", plain(&report.vendor))
}

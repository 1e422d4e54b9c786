//! `vendorgate drill`: cuts a vendor off on purpose, measures, and lets it back.

use std::io::Write;

use super::client::{Client, Reach, block_on};
use super::error::{CliError, Exit};
use super::kill::{print, vendor_id};
use super::layout::{Side, count, millis, plain, table};
use crate::admin::{DrillOrder, DrillReport};

/// Kill, measure, restore; its requests in flight are really severed
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
Example:
  vendorgate drill acme-analytics --reason 'quarterly exercise'

Exits 0 when the vendor is back as it was, 1 otherwise.")]
pub struct Args {
    /// The vendor's id
    pub vendor: String,
    /// Why, for the audit trail
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Where the gateway is
    #[command(flatten)]
    pub reach: Reach,
}

/// Runs the verb.
///
/// # Errors
/// [`CliError`] when an argument cannot be used, or the gateway is not reached or says no.
pub fn run(args: &Args) -> Result<Exit, CliError> {
    let client = args.reach.client()?;
    block_on(execute(args, &client, &mut std::io::stdout()))
}

pub(super) async fn execute(args: &Args, client: &Client, out: &mut impl Write) -> Result<Exit, CliError> {
    let order = DrillOrder { reason: args.reason.clone() };
    order.check().map_err(|error| CliError::Unusable { what: "--reason", why: error.to_string() })?;
    let report: DrillReport = client.post(&format!("/v1/vendors/{}/drill", vendor_id(&args.vendor)?), &order).await?;
    print(args.reach.json, &report, out)?;
    if !args.reach.json {
        write!(out, "{}", words(&report))?;
    }
    Ok(if report.restored { Exit::Yes } else { Exit::No })
}

fn words(report: &DrillReport) -> String {
    let row = |step: &str, micros: u64, note: String| vec![step.to_owned(), millis(micros), note];
    let severed = format!("{} severed", count(report.severed));
    let rows = [
        row("new requests refused", report.refuse_micros, String::new()),
        row("requests in flight ended", report.sever_micros, severed),
        row("kill on disk", report.persist_micros, String::new()),
        row("let back", report.restore_micros, String::new()),
    ];
    let end = if report.restored { "back as it was" } else { "NOT BACK: restore it by hand" };
    let steps = table(&[("AFTER THE ORDER", Side::Left), ("TIME", Side::Right), ("", Side::Left)], &rows);
    format!("{steps}{} is {end}\n", plain(&report.vendor))
}

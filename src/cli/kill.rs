//! `vendorgate kill`: cuts off a vendor, or a part of it, now.

use std::io::Write;

use super::client::{Client, Reach, block_on};
use super::error::{CliError, Exit};
use super::layout::{count, millis, plain};
use crate::admin::{KillAllReport, KillPreview, KillReport, Order, OrderError};
use crate::model::{Direction, VendorId};

/// Cut off a vendor, or a part of it, now: new requests are refused, those in flight are severed
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
Examples:
  vendorgate kill acme-analytics --reason 'ticket 4711: their key leaked'
  vendorgate kill acme-analytics --direction egress --reason 'they ask us to stop'
  vendorgate kill acme-analytics --reason 'would it hurt?' --dry-run
  vendorgate kill --all --reason 'our issuer is compromised'

Exits 0 when the vendor is cut off and the state is on disk, 1 otherwise; the vendor is cut off
first and the disk comes second, so a full disk never lets anything pass.")]
pub struct Args {
    /// The vendor's id
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub vendor: Option<String>,
    /// Every vendor
    #[arg(long)]
    pub all: bool,
    /// Why, for the audit trail
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Only say what would be cut, and cut nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Which part; all of it when none is named
    #[command(flatten)]
    pub part: Part,
    /// Where the gateway is
    #[command(flatten)]
    pub reach: Reach,
}

/// A part of a vendor's traffic: all that every given option matches.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Part {
    /// Only this direction: ingress or egress
    #[arg(long, value_parser = direction)]
    pub direction: Option<Direction>,
    /// Only this route, as the contract writes it
    #[arg(long, value_name = "'METHOD PATH'")]
    pub route: Option<String>,
    /// Only this client of the vendor
    #[arg(long, value_name = "ID")]
    pub client: Option<String>,
}

impl Part {
    /// The order for this part, checked before it is sent.
    ///
    /// # Errors
    /// [`CliError::Unusable`] when there is no reason, or an option is empty.
    pub(super) fn order(&self, reason: &str) -> Result<Order, CliError> {
        let Self { direction, route, client } = self.clone();
        let order = Order { reason: reason.to_owned(), direction, route, client, dry_run: false };
        order.check().map_err(|error| match error {
            OrderError::Reason => CliError::Unusable { what: "--reason", why: error.to_string() },
            OrderError::Empty(_) | OrderError::OneOf | OrderError::Time | OrderError::DryRun => {
                CliError::Unusable { what: "an option", why: error.to_string() }
            }
        })?;
        Ok(order)
    }
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
    let order = Order { dry_run: args.dry_run, ..args.part.order(&args.reason)? };
    if args.dry_run {
        return preview(args, client, &order, out).await;
    }
    let reports = match &args.vendor {
        Some(vendor) => {
            let report: KillReport = client.post(&format!("/v1/vendors/{}/kill", vendor_id(vendor)?), &order).await?;
            print(args.reach.json, &report, out)?;
            vec![report]
        }
        None => {
            let all: KillAllReport = client.post("/v1/kill", &order).await?;
            print(args.reach.json, &all, out)?;
            all.vendors
        }
    };
    if !args.reach.json {
        for report in &reports {
            write!(out, "{}", words(report))?;
        }
    }
    Ok(if reports.iter().all(|report| report.persisted) { Exit::Yes } else { Exit::No })
}

async fn preview(args: &Args, client: &Client, order: &Order, out: &mut dyn Write) -> Result<Exit, CliError> {
    let target = match &args.vendor {
        Some(vendor) => format!("/v1/vendors/{}/kill", vendor_id(vendor)?),
        None => "/v1/kill".to_owned(),
    };
    let preview: KillPreview = client.post(&target, order).await?;
    print(args.reach.json, &preview, out)?;
    if !args.reach.json {
        let KillPreview { vendor, ingress, egress, .. } = &preview;
        let vendor = if vendor == "*" { "every vendor".to_owned() } else { plain(vendor) };
        writeln!(out, "{vendor}: {} calls of theirs and {} of ours would be cut", count(*ingress), count(*egress))?;
    }
    Ok(Exit::Yes)
}

/// A vendor's id out of an argument.
pub(super) fn vendor_id(text: &str) -> Result<VendorId, CliError> {
    VendorId::parse(text).map_err(|error| CliError::Unusable { what: "the vendor's id", why: error.to_string() })
}

/// Prints an answer as JSON, where that was asked for.
pub(super) fn print(json: bool, answer: &impl serde::Serialize, out: &mut dyn Write) -> Result<(), CliError> {
    if json {
        let text = serde_json::to_string_pretty(answer).map_err(std::io::Error::from)?;
        writeln!(out, "{text}")?;
    }
    Ok(())
}

/// A direction out of an argument.
pub(super) fn direction(text: &str) -> Result<Direction, &'static str> {
    Direction::ALL.into_iter().find(|known| known.as_str() == text).ok_or("write ingress or egress")
}

fn words(report: &KillReport) -> String {
    let vendor = plain(&report.vendor);
    let state = if report.scope.is_whole() { "is cut off" } else { "is cut off in part" };
    let plural = if report.severed == 1 { "" } else { "s" };
    let mut text = format!(
        "{vendor} {state}: {} request{plural} severed in {}, {}, generation {}\n",
        count(report.severed),
        millis(report.sever_micros),
        if report.persisted { "kept on disk" } else { "NOT ON DISK" },
        report.generation,
    );
    if !report.persisted {
        text.push_str("  it stands until the gateway stops: mend the disk, then kill again\n");
    }
    if report.lingering > 0 {
        text.push_str(&format!(
            "  {} had not ended by the deadline: their bytes may still leave\n",
            count(report.lingering)
        ));
    }
    if report.fleet.acked < report.fleet.of {
        text.push_str(&format!("  {} of {} gateways have confirmed\n", report.fleet.acked, report.fleet.of));
    }
    text
}

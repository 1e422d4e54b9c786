//! `vendorgate exposure`: what left to a vendor.

use super::client::{ConnectionArgs, RemoteCall, parse_time};
use super::error::{CliError, Exit};
use super::layout::printable;
use crate::exposure::{ExposureGrouping, ExposureReport};
use crate::model::VendorId;

/// Show what left to a vendor: records, people, fields, and how each field was treated
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
Examples:
  vendorgate exposure acme-analytics
  vendorgate exposure acme-analytics --by caller                  # by which client or service
  vendorgate exposure acme-analytics --since 30d --md > acme.md   # what GDPR Article 33 asks for

Exits 0 when the gateway answered, 1 when it did not or the vendor is unknown.")]
pub(super) struct ExposureArgs {
    /// The vendor's id
    #[arg(value_parser = VendorId::parse)]
    pub(super) vendor: VendorId,
    /// Only from this time on (RFC 3339), or from so long ago: 24h, 30d [default: all that is kept]
    #[arg(long, value_name = "TIME")]
    pub(super) since: Option<String>,
    /// Lay the text out by route or by caller; Markdown and JSON have both
    #[arg(long, value_enum, default_value_t, value_name = "WHAT")]
    pub(super) by: LayoutArg,
    /// Answer in Markdown, for a report
    #[arg(long, conflicts_with = "json")]
    pub(super) md: bool,
    /// Where the gateway is
    #[command(flatten)]
    pub(super) connection: ConnectionArgs,
}

/// By what the text is laid out.
#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
pub(super) enum LayoutArg {
    /// By route, with people and what was seen in clear
    #[default]
    Route,
    /// By the vendor's client, or by the service of ours, by whom it left
    Caller,
}

pub(super) async fn execute(args: &ExposureArgs, call: &mut RemoteCall<'_>) -> Result<Exit, CliError> {
    let since = args.since.as_deref().map(|since| parse_time("--since", since, call.now)).transpose()?;
    let and_since = since.map_or_else(String::new, |since| format!("&since={since}"));
    let report: ExposureReport = call.get(&format!("/v1/exposure?vendor={}{and_since}", args.vendor)).await?;
    let grouping = match args.by {
        LayoutArg::Route => ExposureGrouping::Route,
        LayoutArg::Caller => ExposureGrouping::Caller,
    };
    let page = if args.md { report.to_markdown() } else { report.to_text(grouping) };
    call.print(&report, |_| page.split_inclusive('\n').map(printable_line).collect())?;
    Ok(Exit::Yes)
}

/// The line with every unprintable symbol replaced.
fn printable_line(line: &str) -> String {
    match line.strip_suffix('\n') {
        Some(text) => printable(text) + "\n",
        None => printable(line),
    }
}

//! `vendorgate exposure`: what left to a vendor.

use std::io::Write;

use super::client::{Client, Reach, block_on};
use super::error::{CliError, Exit};
use super::kill::{print, vendor_id};
use super::layout::plain;
use crate::admin::{ExposureReport, parse_since};
use crate::exposure::Report;
use crate::model::{Clock, UnixTime};

/// Show what left to a vendor: records, people, fields and how they were treated
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
Examples:
  vendorgate exposure acme-analytics
  vendorgate exposure acme-analytics --since 30d --md > acme.md   # what GDPR Article 33 asks for

Exits 0 when the gateway answered, 1 when it did not or the vendor is unknown.")]
pub struct Args {
    /// The vendor's id
    pub vendor: String,
    /// From this time on (RFC 3339), or so long ago: 24h, 30d; all that is kept when left out
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Answer in Markdown, for a report
    #[arg(long, conflicts_with = "json")]
    pub md: bool,
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
    block_on(execute(args, &client, Clock::system().now().wall, out))
}

pub(super) async fn execute(
    args: &Args,
    client: &Client,
    now: UnixTime,
    out: &mut dyn Write,
) -> Result<Exit, CliError> {
    let since = since(args.since.as_deref(), now)?;
    let and_since = since.map_or_else(String::new, |since| format!("&since={since}"));
    let report: ExposureReport =
        client.get(&format!("/v1/exposure?vendor={}{and_since}", vendor_id(&args.vendor)?)).await?;
    print(args.reach.json, &report, out)?;
    if !args.reach.json {
        let report = readable(&report)?;
        let page = if args.md { report.to_markdown() } else { report.to_text() };
        page.split_inclusive('\n').try_for_each(|line| write!(out, "{}", tame(line)))?;
    }
    Ok(Exit::Yes)
}

/// A time out of `--since`.
pub(super) fn since(text: Option<&str>, now: UnixTime) -> Result<Option<UnixTime>, CliError> {
    let Some(text) = text else { return Ok(None) };
    parse_since(text, now).map(Some).ok_or(CliError::Unusable {
        what: "--since",
        why: "write a time such as 2026-11-21T20:00:00Z, or how long ago, such as 24h".into(),
    })
}

/// The answer in the form that knows how to be read by people.
fn readable(report: &ExposureReport) -> Result<Report, CliError> {
    let json = serde_json::to_value(report).map_err(std::io::Error::from)?;
    Ok(serde_json::from_value(json).map_err(std::io::Error::from)?)
}

/// A line without what would move a terminal's cursor.
fn tame(line: &str) -> String {
    match line.strip_suffix('\n') {
        Some(text) => plain(text) + "\n",
        None => plain(line),
    }
}

//! `vendorgate exposure`: what left to a vendor.

use std::io::Write;

use super::client::{Client, Reach, block_on};
use super::error::{CliError, Exit};
use super::kill::{print, vendor_id};
use super::layout::{Side, count, plain, table};
use crate::admin::{ExposureReport, RouteExposure, parse_since};
use crate::model::{Clock, UnixTime};

/// Show what left to a vendor: records, people, fields and how they were treated
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
Examples:
  vendorgate exposure acme-analytics
  vendorgate exposure acme-analytics --since 30d --md > acme.md

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

/// Runs the verb.
///
/// # Errors
/// [`CliError`] when an argument cannot be used, or the gateway is not reached or says no.
pub fn run(args: &Args) -> Result<Exit, CliError> {
    let client = args.reach.client()?;
    block_on(execute(args, &client, Clock::system().now().wall, &mut std::io::stdout()))
}

pub(super) async fn execute(
    args: &Args,
    client: &Client,
    now: UnixTime,
    out: &mut impl Write,
) -> Result<Exit, CliError> {
    let since = since(args.since.as_deref(), now)?;
    let and_since = since.map_or_else(String::new, |since| format!("&since={since}"));
    let report: ExposureReport =
        client.get(&format!("/v1/exposure?vendor={}{and_since}", vendor_id(&args.vendor)?)).await?;
    print(args.reach.json, &report, out)?;
    if !args.reach.json {
        write!(out, "{}", if args.md { markdown(&report) } else { text(&report) })?;
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

fn text(report: &ExposureReport) -> String {
    const HEAD: [(&str, Side); 6] = [
        ("ROUTE", Side::Left),
        ("RECORDS", Side::Right),
        ("PEOPLE", Side::Right),
        ("FIELD", Side::Left),
        ("TREATMENT", Side::Left),
        ("VALUES", Side::Right),
    ];
    let mut rows = Vec::new();
    for route in &report.routes {
        let lead = [title(route), count(route.records), format!("~{}", count(route.subjects))];
        let mut fields =
            route.fields.iter().map(|field| [field.field.clone(), field.treatment.clone(), count(field.values)]);
        let first = fields.next().unwrap_or_else(|| ["-".into(), "-".into(), "-".into()]);
        rows.push(lead.into_iter().chain(first).collect());
        rows.extend(
            fields.map(|field| [String::new(), String::new(), String::new()].into_iter().chain(field).collect()),
        );
    }
    format!(
        "{}: {} records of about {} people left from {} to {}\n\n{}",
        plain(&report.vendor),
        count(report.records),
        count(report.subjects),
        report.since.0,
        report.until.0,
        table(&HEAD, &rows)
    )
}

fn markdown(report: &ExposureReport) -> String {
    let mut page = format!(
        "# What left to {}\n\nFrom {} to {}: **{}** records of about **{}** people.\n",
        cell(&report.vendor),
        report.since.0,
        report.until.0,
        count(report.records),
        count(report.subjects)
    );
    for route in &report.routes {
        page.push_str(&format!(
            "\n## {}\n\n{} records of about {} people.\n\n| field | treatment | values |\n| --- | --- | --: |\n",
            cell(&title(route)),
            count(route.records),
            count(route.subjects)
        ));
        for field in &route.fields {
            page.push_str(&format!(
                "| {} | {} | {} |\n",
                cell(&field.field),
                cell(&field.treatment),
                count(field.values)
            ));
        }
    }
    page
}

fn title(route: &RouteExposure) -> String {
    format!("{} {}", route.direction.as_str(), route.route)
}

/// Text that stays within its cell and is no markup.
fn cell(text: &str) -> String {
    plain(text).chars().fold(String::new(), |mut out, symbol| {
        if "\\`*_[]<>|#".contains(symbol) {
            out.push('\\');
        }
        out.push(symbol);
        out
    })
}

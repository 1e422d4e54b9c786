//! `vendorgate exposure`: what left to a vendor.

use std::io::Write;

use super::client::{Client, Reach, block_on};
use super::error::{CliError, Exit};
use super::kill::{print, vendor_id};
use super::layout::{Side, bytes, count, plain, table};
use crate::admin::{Approximate, ExposureReport, FieldExposure, RouteExposure, parse_since};
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
    const HEAD: [(&str, Side); 5] = [
        ("ROUTE", Side::Left),
        ("RECORDS", Side::Right),
        ("PEOPLE", Side::Right),
        ("FIELD", Side::Left),
        ("LEFT AS", Side::Left),
    ];
    let mut rows = Vec::new();
    for route in &report.routes {
        let mut lead = [title(route), count(route.records), people(route.subjects)];
        let treated = route
            .treated
            .iter()
            .map(|field| [field.field.clone(), format!("{} ({})", field.treatment, count(field.values))]);
        for field in treated.chain(clear(route).into_iter().map(|field| [field, "in clear".to_owned()])) {
            rows.push(std::mem::take(&mut lead).into_iter().chain(field).collect());
        }
    }
    format!("{}\n\n{}", plain(&summary(report)), table(&HEAD, &rows))
}

fn markdown(report: &ExposureReport) -> String {
    let mut page = format!("# What left to {}\n\n{}\n", cell(&report.vendor), cell(&summary(report)));
    for route in &report.routes {
        page.push_str(&format!(
            "\n## {}\n\n{} records ({}) of {} people, from {} to {}.\n\n\
             | field | treatment | left as | values |\n| --- | --- | --- | --: |\n",
            cell(&title(route)),
            count(route.records),
            bytes(route.bytes),
            cell(&people(route.subjects)),
            cell(&route.first),
            cell(&route.last),
        ));
        for FieldExposure { field, treatment, left_as, values } in &route.treated {
            page.push_str(&format!(
                "| {} | {} | {} | {} |\n",
                cell(field),
                cell(treatment),
                cell(left_as),
                count(*values)
            ));
        }
        for field in clear(route) {
            page.push_str(&format!("| {} | none | the value itself | |\n", cell(&field)));
        }
    }
    page
}

fn summary(report: &ExposureReport) -> String {
    let more = if report.subjects_incomplete { ", and others on routes that name nobody" } else { "" };
    format!(
        "{}: {} records ({}) of {} people{more} left from {} to {}",
        report.vendor,
        count(report.records),
        bytes(report.bytes),
        people(report.subjects),
        report.since,
        report.until
    )
}

/// How many people, and between which bounds.
fn people(subjects: Option<Approximate>) -> String {
    let about =
        |sure: Approximate| format!("~{} ({}-{})", count(sure.about), count(sure.at_least), count(sure.at_most));
    subjects.map_or_else(|| "an unknown number of".to_owned(), about)
}

/// The fields that could leave in clear.
fn clear(route: &RouteExposure) -> Vec<String> {
    route.clear.clone().unwrap_or_else(|| vec!["every other field".to_owned()])
}

fn title(route: &RouteExposure) -> String {
    format!("{} {}", route.direction, route.route)
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

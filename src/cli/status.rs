//! `vendorgate status`: an overview of all vendors, or one vendor in full.

use std::io::Write;

use super::client::{AdminClient, ConnectionArgs};
use super::error::{CliError, Exit};
use super::layout::{Align, ago, duration, key_values, table};
use super::scheduled::{rows, selector_text};
use super::upstream_tables;
use crate::admin::{
    IssuerStatus, JourneyReport, Traffic, UnexpectedShape, UnmatchedRule, VendorLimit, VendorList, VendorStatus,
};
use crate::kill::{ApprovalAnswer, KillStatus};
use crate::model::{Direction, Rfc3339Time, UnixTime, VendorId, decimal_bytes, thousands};

/// Show an overview of all vendors, or one vendor in full
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
Examples:
  vendorgate status
  vendorgate status acme-analytics
  vendorgate status --journey
  vendorgate status --json | jq '.vendors[] | select(.state != \"live\")'

Exits 0 when the gateway answered, 1 when it did not or the vendor is unknown.")]
pub(super) struct StatusArgs {
    /// The vendor's id; all vendors when left out
    #[arg(value_parser = VendorId::parse)]
    pub(super) vendor: Option<VendorId>,
    /// The stages of the customers' journey instead, and which of them are degraded
    #[arg(long, conflicts_with = "vendor")]
    pub(super) journey: bool,
    /// Where the gateway is
    #[command(flatten)]
    pub(super) connection: ConnectionArgs,
}

pub(super) async fn execute(
    args: &StatusArgs,
    client: &AdminClient,
    now: UnixTime,
    out: &mut dyn Write,
) -> Result<Exit, CliError> {
    if args.journey {
        let report: JourneyReport = client.get("/v1/journey").await?;
        args.connection.print(&report, upstream_tables::journey, out)?;
        return Ok(Exit::Yes);
    }
    match &args.vendor {
        Some(vendor) => {
            let status: VendorStatus = client.get(&format!("/v1/vendors/{vendor}")).await?;
            args.connection.print(&status, |status| vendor_details(status, now), out)?;
        }
        None => {
            let all: VendorList = client.get("/v1/vendors").await?;
            args.connection.print(&all, |all| overview_text(all, now), out)?;
        }
    }
    Ok(Exit::Yes)
}

fn overview_text(all: &VendorList, now: UnixTime) -> String {
    const HEAD: [(&str, Align); 10] = [
        ("VENDOR", Align::Left),
        ("STATE", Align::Left),
        ("DAYS LEFT", Align::Right),
        ("REQUESTS", Align::Right),
        ("DENIED", Align::Right),
        ("IN FLIGHT", Align::Right),
        ("RECORDS", Align::Right),
        ("SENT", Align::Right),
        ("TOKEN AGE", Align::Right),
        ("LAST DENIAL", Align::Left),
    ];
    if all.vendors.is_empty() {
        return "no vendor has a contract: write one into the folder that 'contracts' names, then reload\n".into();
    }
    let row = |status: &VendorStatus| {
        let sum = |part: fn(&Traffic) -> u64| status.traffic.iter().map(part).sum::<u64>();
        vec![
            status.vendor.clone(),
            status.state.as_str().to_owned(),
            status.days_left.map_or_else(none, |days| days.to_string()),
            thousands(sum(|traffic| traffic.requests)),
            thousands(sum(|traffic| traffic.denials)),
            thousands(sum(|traffic| traffic.in_flight)),
            thousands(sum(|traffic| traffic.records)),
            decimal_bytes(sum(|traffic| traffic.bytes)),
            status.token_age_secs.map_or_else(none, duration),
            denial(status, now),
        ]
    };
    table(&HEAD, &all.vendors.iter().map(row).collect::<Vec<_>>())
}

fn vendor_details(status: &VendorStatus, now: UnixTime) -> String {
    let day = |time: &Option<Rfc3339Time>| time.map_or_else(none, |time| time.0.to_string());
    let mut text = key_values(&[
        ("vendor", format!("{} ({})", status.vendor, status.name)),
        ("state", status.state.as_str().to_owned()),
        ("owner", status.owner.clone().unwrap_or_else(none)),
        ("security contact", status.security_contact.clone().unwrap_or_else(none)),
        ("starts", day(&status.starts)),
        ("ends", day(&status.ends)),
        ("days left", status.days_left.map_or_else(none, |days| days.to_string())),
        ("newest token", status.token_age_secs.map_or_else(none, |age| format!("{} old", duration(age)))),
        ("oldest key", status.key_age_secs.map_or_else(none, |age| format!("{} old", duration(age)))),
        ("issuer", status.issuer.as_ref().map_or_else(none, issuer)),
        ("last denial", denial(status, now)),
        ("last drill", drill(status, now)),
    ]);
    if !status.degraded.is_empty() && !status.journey.is_empty() {
        let (stages, why) = (status.journey.join(", "), status.degraded.join(", "));
        text.push_str(&format!("\nwarning: degraded: {stages} ({why})\n"));
    }
    for fault in &status.files {
        text.push_str(&format!("\nwarning: {} cannot be used as it is: {}\n", fault.file, fault.error));
    }
    text.push('\n');
    text.push_str(&traffic(&status.traffic));
    if !status.limits.is_empty() {
        text.push('\n');
        text.push_str(&limits(&status.limits));
    }
    if !status.upstreams.is_empty() {
        text.push('\n');
        text.push_str(&upstream_tables::upstreams(&status.upstreams));
    }
    if !status.unexpected_shapes.is_empty() {
        text.push('\n');
        text.push_str(&shapes(&status.unexpected_shapes));
    }
    if !status.unmatched_rules.is_empty() {
        text.push('\n');
        text.push_str(&unmatched(&status.unmatched_rules));
    }
    if !status.kills.is_empty() {
        text.push('\n');
        text.push_str(&kills(&status.kills, now));
    }
    if !status.approvals.is_empty() {
        text.push('\n');
        text.push_str(&approvals(&status.approvals, now));
    }
    if !status.scheduled.is_empty() {
        text.push('\n');
        text.push_str(&rows(&status.scheduled, now));
    }
    text
}

fn issuer(issuer: &IssuerStatus) -> String {
    let keys = issuer.keys.map(|keys| format!("{keys} keys; "));
    let outcomes: Vec<_> = issuer.outcomes.iter().map(|(name, times)| format!("{name} {times}")).collect();
    let error = issuer.last_error.as_ref().map(|error| format!("; last failure: {error}"));
    [keys.unwrap_or_default(), outcomes.join(", "), error.unwrap_or_default()].concat()
}

fn traffic(traffic: &[Traffic]) -> String {
    const HEAD: [(&str, Align); 6] = [
        ("DIRECTION", Align::Left),
        ("REQUESTS", Align::Right),
        ("DENIED", Align::Right),
        ("IN FLIGHT", Align::Right),
        ("RECORDS", Align::Right),
        ("SENT", Align::Right),
    ];
    let row = |way: &Traffic| {
        let direction = way.direction.as_str().to_owned();
        vec![
            direction,
            thousands(way.requests),
            thousands(way.denials),
            thousands(way.in_flight),
            thousands(way.records),
            decimal_bytes(way.bytes),
        ]
    };
    table(&HEAD, &traffic.iter().map(row).collect::<Vec<_>>())
}

fn limits(limits: &[VendorLimit]) -> String {
    const HEAD: [(&str, Align); 5] = [
        ("LIMIT", Align::Left),
        ("DIRECTION", Align::Left),
        ("IN FORCE", Align::Left),
        ("LEFT", Align::Right),
        ("FROM", Align::Left),
    ];
    let row = |limit: &VendorLimit| {
        vec![
            limit.limit.clone(),
            limit.direction.map_or("both", Direction::as_str).to_owned(),
            limit.value.clone(),
            limit.remaining.map_or_else(none, |left| format!("{:.0} %", left * 100.0)),
            limit.source.clone(),
        ]
    };
    table(&HEAD, &limits.iter().map(row).collect::<Vec<_>>())
}

fn shapes(shapes: &[UnexpectedShape]) -> String {
    const HEAD: [(&str, Align); 3] =
        [("UNEXPECTED SHAPE", Align::Left), ("ROUTE", Align::Left), ("BODIES", Align::Right)];
    let row = |shape: &UnexpectedShape| {
        vec![shape.direction.as_str().to_owned(), shape.route.clone(), thousands(shape.bodies)]
    };
    table(&HEAD, &shapes.iter().map(row).collect::<Vec<_>>())
}

fn unmatched(rules: &[UnmatchedRule]) -> String {
    const HEAD: [(&str, Align); 5] = [
        ("NEVER MATCHED", Align::Left),
        ("AS", Align::Left),
        ("ROUTE", Align::Left),
        ("SIDE", Align::Left),
        ("REQUESTS", Align::Right),
    ];
    let row = |never: &UnmatchedRule| {
        let route = format!("{} {}", never.direction.as_str(), never.route);
        vec![never.rule.clone(), never.treatment.clone(), route, never.side.clone(), thousands(never.requests)]
    };
    table(&HEAD, &rules.iter().map(row).collect::<Vec<_>>())
}

fn kills(kills: &[KillStatus], now: UnixTime) -> String {
    const HEAD: [(&str, Align); 4] =
        [("CUT OFF", Align::Left), ("SINCE", Align::Left), ("BY", Align::Left), ("REASON", Align::Left)];
    let row = |kill: &KillStatus| {
        vec![selector_text(&kill.selector), ago(kill.at.0, now), kill.by.clone(), kill.reason.clone()]
    };
    table(&HEAD, &kills.iter().map(row).collect::<Vec<_>>())
}

fn approvals(given: &[ApprovalAnswer], now: UnixTime) -> String {
    const HEAD: [(&str, Align); 4] =
        [("RESTORE APPROVED", Align::Left), ("WHEN", Align::Left), ("BY", Align::Left), ("REASON", Align::Left)];
    let row = |given: &ApprovalAnswer| {
        vec![selector_text(&given.selector), ago(given.at.0, now), given.by.clone(), given.reason.clone()]
    };
    table(&HEAD, &given.iter().map(row).collect::<Vec<_>>())
}

fn denial(status: &VendorStatus, now: UnixTime) -> String {
    status.last_denial.as_ref().map_or_else(none, |denial| format!("{}, {}", denial.reason, ago(denial.at.0, now)))
}

fn drill(status: &VendorStatus, now: UnixTime) -> String {
    let last = status.last_drill.map_or_else(|| "never".to_owned(), |time| ago(time.0, now));
    if status.drill_overdue == Some(true) { format!("{last}: the next is OVERDUE") } else { last }
}

fn none() -> String {
    "-".to_owned()
}

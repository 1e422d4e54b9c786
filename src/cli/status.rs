//! `vendorgate status`: an overview of all vendors, or one vendor in full.

use super::categories::categories_text;
use super::client::{ConnectionArgs, RemoteCall};
use super::error::{CliError, Exit};
use super::fleet::fleet_text;
use super::layout::{ago, duration, key_values, section, table};
use super::scheduled::{self, selector_text};
use super::shadow::shadow_text;
use super::upstream_tables;
use crate::admin::{
    CredentialAnswer, FleetReport, IssuerStatus, JourneyReport, ShadowReport, Traffic, VendorList, VendorStatus,
};
use crate::anomaly::AnomalyScore;
use crate::exposure::CategoryReport;
use crate::model::{Direction, UnixTime, VendorId, decimal_bytes, thousands};

/// Show an overview of all vendors, or one vendor in full
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
Examples:
  vendorgate status
  vendorgate status acme-analytics
  vendorgate status --shadow
  vendorgate status --fleet
  vendorgate status --journey
  vendorgate status --categories
  vendorgate status --json | jq '.vendors[] | select(.state != \"live\")'

Exits 0 when the gateway answered, 1 when it did not or the vendor is unknown.")]
pub(super) struct StatusArgs {
    /// The vendor's id; all vendors when left out
    #[arg(value_parser = VendorId::parse)]
    pub(super) vendor: Option<VendorId>,
    /// The stages of the customers' journey instead, and which of them are degraded
    #[arg(long, conflicts_with = "vendor")]
    pub(super) journey: bool,
    /// The destinations that our services asked for and no contract lists
    #[arg(long, conflicts_with = "vendor")]
    pub(super) shadow: bool,
    /// The gateways of the fleet, and which of them differ
    #[arg(long, conflicts_with = "vendor")]
    pub(super) fleet: bool,
    /// Which categories of personal data left to which vendor today, treated and in clear
    #[arg(long, conflicts_with_all = ["vendor", "journey", "shadow", "fleet"])]
    pub(super) categories: bool,
    /// Where the gateway is
    #[command(flatten)]
    pub(super) connection: ConnectionArgs,
}

pub(super) async fn execute(args: &StatusArgs, call: &mut RemoteCall<'_>) -> Result<Exit, CliError> {
    let now = call.now;
    if args.journey {
        let report: JourneyReport = call.get("/v1/journey").await?;
        call.print(&report, upstream_tables::journey)?;
        return Ok(Exit::Yes);
    }
    if args.shadow {
        let report: ShadowReport = call.get("/v1/shadow").await?;
        call.print(&report, |report| shadow_text(report, now))?;
        return Ok(Exit::Yes);
    }
    if args.fleet {
        let report: FleetReport = call.get("/v1/fleet").await?;
        call.print(&report, fleet_text)?;
        return Ok(Exit::Yes);
    }
    if args.categories {
        let report: CategoryReport = call.get("/v1/categories").await?;
        call.print(&report, categories_text)?;
        return Ok(Exit::Yes);
    }
    match &args.vendor {
        Some(vendor) => {
            let status: VendorStatus = call.get(&format!("/v1/vendors/{vendor}")).await?;
            call.print(&status, |status| vendor_details(status, now))?;
        }
        None => {
            let all: VendorList = call.get("/v1/vendors").await?;
            call.print(&all, |all| {
                let fault = all.config_fault.iter().map(|fault| format!("NOT IN FORCE: {fault}\n"));
                fault.chain([overview_text(all, now)]).collect()
            })?;
        }
    }
    Ok(Exit::Yes)
}

fn overview_text(all: &VendorList, now: UnixTime) -> String {
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
    let titles = [
        "VENDOR",
        "STATE",
        ">DAYS LEFT",
        ">REQUESTS",
        ">DENIED",
        ">IN FLIGHT",
        ">RECORDS",
        ">SENT",
        ">TOKEN AGE",
        "LAST DENIAL",
    ];
    table(&titles, &all.vendors, row)
}

/// The signals that are above the usual.
fn anomalies(all: &[AnomalyScore]) -> String {
    let above: Vec<_> = all.iter().filter(|found| found.score >= 1.0).collect();
    let row = |found: &&AnomalyScore| {
        vec![
            found.signal.as_str().to_owned(),
            format!("{:.1}", found.score),
            thousands(found.last_minute),
            found.usual.map_or_else(none, thousands),
        ]
    };
    section(&["ABOVE THE USUAL OF THIS HOUR", ">SCORE", ">LAST MINUTE", ">USUAL AT MOST"], &above, row)
}

fn vendor_details(status: &VendorStatus, now: UnixTime) -> String {
    let day = |time: &Option<UnixTime>| time.map_or_else(none, |time| time.to_string());
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
        ("credential", status.credential.as_ref().map_or_else(none, credential)),
        ("last denial", denial(status, now)),
        ("last drill", drill(status, now)),
    ]);
    if !status.degraded.is_empty() && !status.journey.is_empty() {
        let (stages, why) = (status.journey.join(", "), status.degraded.join(", "));
        text.push_str(&format!("\nwarning: degraded: {stages} ({why})\n"));
    }
    if status.anomalies.iter().any(|found| found.score >= 1.0) {
        text.push_str(&anomalies(&status.anomalies));
    }
    if let Some(until) = status.observes_until {
        text.push_str(&format!("\nWARNING: observes until {until}: nothing is refused or treated, raw data passes\n"));
    }
    for fault in &status.files {
        text.push_str(&format!("\nwarning: {} cannot be used as it is: {}\n", fault.file, fault.error));
    }
    text.push('\n');
    text += &table(&["DIRECTION", ">REQUESTS", ">DENIED", ">IN FLIGHT", ">RECORDS", ">SENT"], &status.traffic, |way| {
        let counts = [way.requests, way.denials, way.in_flight, way.records].map(thousands);
        let direction = way.direction.as_str().to_owned();
        [direction].into_iter().chain(counts).chain([decimal_bytes(way.bytes)]).collect()
    });
    let would_deny = status.traffic.iter().flat_map(|way| way.would_deny.iter().map(move |it| (way.direction, it)));
    let would_deny: Vec<_> = would_deny.collect();
    text += &section(&["WOULD BE REFUSED", "DIRECTION", ">REQUESTS"], &would_deny, |(direction, (reason, count))| {
        vec![(*reason).clone(), direction.as_str().to_owned(), thousands(**count)]
    });
    text += &section(&["LIMIT", "DIRECTION", "IN FORCE", ">LEFT", "FROM"], &status.limits, |limit| {
        let direction = limit.direction.map_or("both", Direction::as_str).to_owned();
        let left = limit.remaining.map_or_else(none, |left| format!("{:.0} %", left * 100.0));
        vec![limit.limit.clone(), direction, limit.value.clone(), left, limit.source.clone()]
    });
    text += &upstream_tables::upstreams(&status.upstreams);
    text += &section(&["UNEXPECTED SHAPE", "ROUTE", ">BODIES"], &status.unexpected_shapes, |shape| {
        vec![shape.direction.as_str().to_owned(), shape.route.clone(), thousands(shape.bodies)]
    });
    text += &section(&["NEVER MATCHED", "AS", "ROUTE", "SIDE", ">REQUESTS"], &status.unmatched_rules, |never| {
        let route = format!("{} {}", never.direction.as_str(), never.route);
        vec![never.rule.clone(), never.treatment.clone(), route, never.side.clone(), thousands(never.requests)]
    });
    text += &section(&["CUT OFF", "SINCE", "BY", "REASON"], &status.kills, |kill| {
        vec![selector_text(&kill.selector), ago(kill.at, now), kill.by.clone(), kill.reason.clone()]
    });
    text += &section(&["RESTORE APPROVED", "WHEN", "BY", "REASON"], &status.approvals, |given| {
        vec![selector_text(&given.selector), ago(given.at, now), given.by.clone(), given.reason.clone()]
    });
    text + &section(&scheduled::TITLES, &status.scheduled, |kill| scheduled::row(kill, now))
}

fn issuer(issuer: &IssuerStatus) -> String {
    let keys = issuer.keys.map(|keys| format!("{keys} keys; "));
    let outcomes: Vec<_> = issuer.outcomes.iter().map(|(name, times)| format!("{name} {times}")).collect();
    let error = issuer.last_error.as_ref().map(|error| format!("; last failure: {error}"));
    [keys.unwrap_or_default(), outcomes.join(", "), error.unwrap_or_default()].concat()
}

fn credential(own: &CredentialAnswer) -> String {
    let state = if own.ready { "ready" } else { "NOT READY" };
    let mut text = format!("{} ({}), {state}", own.kind, own.does);
    for secret in &own.secrets {
        let age = secret.age_secs.map_or_else(|| "not read".to_owned(), |age| format!("{} old", duration(age)));
        let end = secret.expires.map(|end| format!(", may be used until {}", end)).unwrap_or_default();
        text.push_str(&format!("; {} from {}: {age}{end}", secret.purpose, secret.source));
    }
    let error = own.last_error.as_ref().map(|error| format!("; last failure: {error}"));
    text + &error.unwrap_or_default()
}

fn denial(status: &VendorStatus, now: UnixTime) -> String {
    status.last_denial.as_ref().map_or_else(none, |denial| format!("{}, {}", denial.reason, ago(denial.at, now)))
}

fn drill(status: &VendorStatus, now: UnixTime) -> String {
    let last = status.last_drill.map_or_else(|| "never".to_owned(), |time| ago(time, now));
    if status.drill_overdue == Some(true) { format!("{last}: the next is OVERDUE") } else { last }
}

fn none() -> String {
    "-".to_owned()
}

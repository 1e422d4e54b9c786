//! `vendorgate kill`: cuts off a vendor or a part of its traffic, now or at a given time.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::client::{ConnectionArgs, RemoteCall};
use super::error::{CliError, Exit};
use super::layout::printable;
use super::scheduled::{self, selector_text};
use crate::admin::{OperatorOrder, OrderError};
use crate::kill::{KillAllReport, KillPreview, KillReport, KillSelector, KillTarget, Unseen};
use crate::model::{ClientId, Clock, Direction, VendorId, milliseconds, thousands, with_causes};
use crate::server::{OfflineKill, leave_offline_kill};

/// Cut off a vendor or a part of its traffic: new requests are refused, requests in flight are severed
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
Examples:
  vendorgate kill acme-analytics --reason 'ticket 4711: their key leaked'
  vendorgate kill acme-analytics --direction egress --reason 'they ask us to stop'
  vendorgate kill acme-analytics --reason 'would it hurt?' --dry-run
  vendorgate kill --all --reason 'our issuer is compromised'
  vendorgate kill acme-analytics --at 2026-12-31T18:00:00Z --reason 'notice given'
  vendorgate kill acme-analytics --reason 'ticket 4711' --wait 5s
  vendorgate kill acme-analytics --reason 'the engine is gone' --direct https://gw-1:9901,https://gw-2:9901
  vendorgate kill --list
  vendorgate kill --cancel 3 --reason 'they signed again'
  vendorgate kill acme-analytics --offline --state /var/lib/vendorgate --reason 'the gateway hangs'

Exits 0 when the vendor is cut off and the kill is on disk, 1 otherwise. The vendor is cut off
before the disk is written, so a full disk never lets anything pass. A scheduled kill is on disk
before the answer, and is carried out within about a second of its time. Exits 1 also when the
order names something that the gateway has never seen in traffic, unless --unseen is given: a
kill of a client or a direction is in force all the same, one of a vendor or a route is not. With
--offline the order is written to disk and no gateway is asked: one that is down reads the order
when it starts, one that runs within about a second.",
group = clap::ArgGroup::new("what").required(true).args(["vendor", "all", "list", "cancel"]))]
pub(super) struct KillArgs {
    /// The vendor's id
    #[arg(value_parser = VendorId::parse)]
    pub(super) vendor: Option<VendorId>,
    /// Every vendor
    #[arg(long)]
    pub(super) all: bool,
    /// Why, for the audit trail
    #[arg(long, value_name = "TEXT", required_unless_present = "list", default_value = "", hide_default_value = true)]
    pub(super) reason: String,
    /// Only show what would be cut off
    #[arg(long, conflicts_with_all = ["list", "cancel"])]
    pub(super) dry_run: bool,
    /// Cut off at this time (RFC 3339) instead of now
    #[arg(long, value_name = "TIME", conflicts_with_all = ["dry_run", "list", "cancel"])]
    pub(super) at: Option<String>,
    /// Cut off after this time instead of now: 90m, 2h, 7d
    #[arg(long = "in", value_name = "SPAN", conflicts_with_all = ["at", "dry_run", "list", "cancel"])]
    pub(super) after: Option<String>,
    /// Wait until every gateway of the fleet has confirmed, and exit 1 while one is missing: 5s, at most 20s
    #[arg(long, value_name = "SPAN", conflicts_with_all = ["dry_run", "at", "after", "offline", "list", "cancel"])]
    pub(super) wait: Option<String>,
    /// Give the order to each of these gateways instead, separated by commas: when the fleet's engine is gone
    #[arg(long, value_name = "URL,…", value_delimiter = ',', conflicts_with_all = ["dry_run", "at", "after", "offline", "list", "cancel", "wait"])]
    pub(super) direct: Vec<String>,
    /// Exit 0 although the gateway has never seen the named client, route or direction in traffic
    #[arg(long, conflicts_with_all = ["list", "cancel"])]
    pub(super) unseen: bool,
    /// Write the order into the state folder of a gateway that is down or hangs
    #[arg(long, requires = "state", conflicts_with_all = ["dry_run", "at", "after", "list", "cancel"])]
    pub(super) offline: bool,
    /// The gateway's state folder, for --offline
    #[arg(long, value_name = "FOLDER", requires = "offline")]
    pub(super) state: Option<PathBuf>,
    /// Who gives the order, for the audit trail of --offline
    #[arg(long, value_name = "NAME", env = "USER", default_value = "unknown", hide_env_values = true)]
    pub(super) by: String,
    /// List the scheduled kills
    #[arg(long)]
    pub(super) list: bool,
    /// Cancel a scheduled kill, by its number in the list
    #[arg(long, value_name = "ID")]
    pub(super) cancel: Option<u64>,
    /// Which part of the traffic; all of it when no part is named
    #[command(flatten)]
    pub(super) selector: SelectorArgs,
    /// Where the gateway is
    #[command(flatten)]
    pub(super) connection: ConnectionArgs,
}

/// A part of a vendor's traffic: what matches every option that is given.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct SelectorArgs {
    /// Only this direction: ingress or egress
    #[arg(long, value_parser = parse_direction)]
    pub(super) direction: Option<Direction>,
    /// Only this route, written as in the contract
    #[arg(long, value_name = "'METHOD PATH'")]
    pub(super) route: Option<String>,
    /// Only this client of the vendor; if its credentials leaked, use 'vendorgate revoke' instead
    #[arg(long, value_name = "ID")]
    pub(super) client: Option<String>,
}

impl SelectorArgs {
    /// The order for this part, checked before it is sent.
    ///
    /// # Errors
    /// [`CliError::InvalidArgument`] when there is no reason, or an option is empty.
    pub(super) fn order(&self, reason: &str) -> Result<OperatorOrder, CliError> {
        let Self { direction, route, client } = self.clone();
        let order = OperatorOrder { reason: reason.to_owned(), direction, route, client, ..OperatorOrder::default() };
        order.check().map_err(|error| match error {
            OrderError::Reason => CliError::invalid_argument("--reason", error),
            other => CliError::invalid_argument("an option", other),
        })?;
        Ok(order)
    }

    /// The same part as a selector of the kill switch.
    pub(super) fn to_selector(&self) -> KillSelector {
        KillSelector {
            direction: self.direction,
            route: self.route.as_deref().map(Into::into),
            client: self.client.as_deref().map(ClientId::new),
        }
    }
}

/// Runs the verb and prints the answer.
pub(super) async fn execute(args: &KillArgs, call: &mut RemoteCall<'_>) -> Result<Exit, CliError> {
    if args.list {
        return scheduled::list(call).await;
    }
    if let Some(id) = args.cancel {
        return scheduled::cancel(id, args, call).await;
    }
    let at = args.at.clone().or_else(|| args.after.clone());
    let wait = args.wait.clone();
    let order =
        OperatorOrder { dry_run: args.dry_run, unseen: args.unseen, at, wait, ..args.selector.order(&args.reason)? };
    order.wait().map_err(|error| CliError::invalid_argument("--wait", error))?;
    if order.at.is_some() {
        return scheduled::schedule(args, &order, call).await;
    }
    if args.dry_run {
        return preview(args, &order, call).await;
    }
    let mut all_well = true;
    if args.direct.is_empty() {
        return give(args, &order, call).await;
    }
    for place in &args.direct {
        all_well &= direct(args, &order, place, call).await? == Exit::Yes;
    }
    Ok(Exit::of(all_well))
}

/// Gives the order to one gateway of a list. One that cannot be reached does not keep the others from it.
async fn direct(
    args: &KillArgs,
    order: &OperatorOrder,
    place: &str,
    call: &mut RemoteCall<'_>,
) -> Result<Exit, CliError> {
    let connection = ConnectionArgs { admin: Some(place.to_owned()), ..call.connection.clone() };
    if !args.connection.json {
        writeln!(call.out, "{}:", printable(place))?;
    }
    let given = match connection.client() {
        Ok(client) => {
            let mut theirs = RemoteCall { client, connection: &connection, now: call.now, out: &mut *call.out };
            give(args, order, &mut theirs).await
        }
        Err(error) => Err(error),
    };
    given.or_else(|error| {
        writeln!(call.out, "  NOT CUT OFF at {}: {}", printable(place), with_causes(&error))?;
        Ok(Exit::No)
    })
}

async fn give(args: &KillArgs, order: &OperatorOrder, call: &mut RemoteCall<'_>) -> Result<Exit, CliError> {
    let reports = match &args.vendor {
        Some(_) => {
            let report: KillReport = call.post(&endpoint(args), order).await?;
            call.print(&report, report_text)?;
            vec![report]
        }
        None => {
            let all: KillAllReport = call.post(&endpoint(args), order).await?;
            call.print(&all, |all| all.vendors.iter().map(report_text).collect())?;
            all.vendors
        }
    };
    let kept = reports.iter().all(|report| report.persisted);
    let seen = reports.is_empty() || reports.iter().any(|report| report.unseen.is_empty());
    let heard = args.wait.is_none() || reports.iter().all(|report| report.fleet.missing.is_empty());
    Ok(Exit::of(kept && heard && (seen || args.unseen)))
}

/// Writes the order into the state folder of a gateway that may be down or hang.
pub(super) fn leave_offline_order(args: &KillArgs, out: &mut dyn Write) -> Result<Exit, CliError> {
    let state = args.state.as_deref().unwrap_or(Path::new(""));
    let order = args.selector.order(&args.reason)?;
    let subject = args.vendor.clone().map_or(KillTarget::Everything, KillTarget::Vendor);
    if subject == KillTarget::Everything {
        order.check_for_all().map_err(|error| CliError::invalid_argument("--all", error))?;
    }
    let whom = vendor_text(subject.as_str());
    let left = OfflineKill {
        at_ms: Clock::system().now().wall.as_millis(),
        by: args.by.clone(),
        selector: order.selector(),
        reason: order.reason,
        vendor: subject.as_str().to_owned(),
    };
    let path =
        leave_offline_kill(state, &left).map_err(|source| CliError::OfflineOrder { path: state.to_owned(), source })?;
    let (part, path) = (selector_text(&args.selector.to_selector()), path.display());
    let said = format!(
        "{whom} ({part}) will be cut off when the gateway starts, or within a second if it runs: kept on disk in {path}\n"
    );
    args.connection.print(&left, |_| said, out)?;
    Ok(Exit::Yes)
}

async fn preview(args: &KillArgs, order: &OperatorOrder, call: &mut RemoteCall<'_>) -> Result<Exit, CliError> {
    let preview: KillPreview = call.post(&endpoint(args), order).await?;
    call.print(&preview, preview_text)?;
    Ok(Exit::of(preview.unseen.is_empty() || args.unseen))
}

fn preview_text(KillPreview { vendor, ingress, egress, selector, unseen, .. }: &KillPreview) -> String {
    let (theirs, ours) = (thousands(*ingress), thousands(*egress));
    let mut text =
        format!("{}: {theirs} calls of theirs and {ours} of ours would be cut\n", selected_text(vendor, selector));
    text.push_str(&unseen_text(unseen, "nothing would be cut"));
    text
}

/// One line for each name in an order that the gateway has never seen in traffic.
pub(super) fn unseen_text(unseen: &[Unseen], then: &str) -> String {
    let line = |unseen: &Unseen| match unseen {
        Unseen::Vendor => format!("  no vendor by that name has been seen; {then}\n"),
        Unseen::Direction => format!("  it has no traffic in that direction; {then}\n"),
        Unseen::Route => format!("  no route by that name has been seen; {then}\n"),
        Unseen::Client => format!("  no client by that name has been seen; {then}\n"),
    };
    unseen.iter().map(line).collect()
}

/// The vendor that an answer is about, and the part of its traffic.
pub(super) fn selected_text(vendor: &str, selector: &KillSelector) -> String {
    if selector.is_whole() {
        vendor_text(vendor)
    } else {
        format!("{} ({})", vendor_text(vendor), printable(&selector_text(selector)))
    }
}

/// The path of the admin API that takes the order.
pub(super) fn endpoint(args: &KillArgs) -> String {
    args.vendor.as_ref().map_or_else(|| "/v1/kill".to_owned(), |vendor| format!("/v1/vendors/{vendor}/kill"))
}

/// The vendor that an answer is about.
pub(super) fn vendor_text(vendor: &str) -> String {
    if vendor == "*" { "every vendor".to_owned() } else { printable(vendor) }
}

/// Parses an argument that is a direction.
pub(super) fn parse_direction(text: &str) -> Result<Direction, &'static str> {
    Direction::ALL.into_iter().find(|known| known.as_str() == text).ok_or("write ingress or egress")
}

fn report_text(report: &KillReport) -> String {
    let vendor = selected_text(&report.vendor, &report.selector);
    let state = if report.selector.is_whole() { "is cut off" } else { "is cut off in part" };
    let plural = if report.severed == 1 { "" } else { "s" };
    let mut text = format!(
        "{vendor} {state}: {} request{plural} severed in {}, {}, generation {}\n",
        thousands(report.severed),
        milliseconds(report.sever_micros),
        if report.persisted { "kept on disk" } else { "NOT ON DISK" },
        report.generation,
    );
    if !report.persisted {
        text.push_str("  it holds until the gateway stops: repair the disk, then kill again\n");
    }
    text.push_str(&unseen_text(&report.unseen, "the order holds all the same"));
    if report.lingering > 0 {
        text.push_str(&format!(
            "  {} had not ended by the deadline: their bytes may still leave\n",
            thousands(report.lingering)
        ));
    }
    if report.fleet.acked < report.fleet.of {
        let missing: Vec<_> = report.fleet.missing.iter().map(|name| printable(name)).collect();
        let missing = if missing.is_empty() { String::new() } else { format!(", not {}", missing.join(", ")) };
        text.push_str(&format!("  {} of {} gateways have confirmed{missing}\n", report.fleet.acked, report.fleet.of));
    }
    text
}

//! The part of `vendorgate kill` for scheduled kills: schedule, list, cancel.

use std::io::Write;

use super::client::AdminClient;
use super::error::{CliError, Exit};
use super::kill::{KillArgs, endpoint, selected_text, unseen_text, vendor_text};
use super::layout::{Align, duration, table};
use crate::admin::{OperatorOrder, UnscheduleOrder};
use crate::kill::{KillSelector, ScheduledKill, ScheduledKills};
use crate::model::{ClientId, Direction, UnixTime};

/// Schedules a kill.
pub(super) async fn schedule(
    args: &KillArgs,
    client: &AdminClient,
    order: &OperatorOrder,
    now: UnixTime,
    out: &mut dyn Write,
) -> Result<Exit, CliError> {
    let kill: ScheduledKill = client.post(&endpoint(args), order).await?;
    let words = |kill: &ScheduledKill| {
        let when = time_text(kill, now);
        let vendor = selected_text(&kill.vendor, &kill.selector);
        let said = format!("{vendor} will be cut off {when}: kill {}, kept on disk\n", kill.id);
        said + &unseen_text(&kill.unseen, "the order holds all the same")
    };
    args.connection.print(&kill, words, out)?;
    Ok(Exit::of(kill.unseen.is_empty() || args.unseen))
}

/// Lists the scheduled kills.
pub(super) async fn list(
    args: &KillArgs,
    client: &AdminClient,
    now: UnixTime,
    out: &mut dyn Write,
) -> Result<Exit, CliError> {
    let all: ScheduledKills = client.get("/v1/scheduled-kills").await?;
    let words = |all: &ScheduledKills| match all.scheduled.as_slice() {
        [] => "no kill is scheduled\n".to_owned(),
        kills => rows(kills, now),
    };
    args.connection.print(&all, words, out)?;
    Ok(Exit::Yes)
}

/// Cancels a scheduled kill.
pub(super) async fn cancel(
    id: u64,
    args: &KillArgs,
    client: &AdminClient,
    out: &mut dyn Write,
) -> Result<Exit, CliError> {
    let order = UnscheduleOrder { id, reason: args.reason.clone() };
    order.check().map_err(|error| CliError::invalid_argument("--reason", error))?;
    let kill: ScheduledKill = client.post("/v1/scheduled-kills/cancel", &order).await?;
    let words = |kill: &ScheduledKill| {
        let vendor = selected_text(&kill.vendor, &kill.selector);
        format!("{vendor} will not be cut off at {}: kill {} is cancelled\n", kill.at.0, kill.id)
    };
    args.connection.print(&kill, words, out)?;
    Ok(Exit::Yes)
}

/// A table of scheduled kills.
pub(super) fn rows(kills: &[ScheduledKill], now: UnixTime) -> String {
    const HEAD: [(&str, Align); 6] = [
        ("KILL", Align::Right),
        ("VENDOR", Align::Left),
        ("WILL CUT OFF", Align::Left),
        ("WHEN", Align::Left),
        ("BY", Align::Left),
        ("REASON", Align::Left),
    ];
    let row = |kill: &ScheduledKill| {
        let (by, reason) = (kill.by.clone(), kill.reason.clone());
        vec![
            kill.id.to_string(),
            vendor_text(&kill.vendor),
            selector_text(&kill.selector),
            time_text(kill, now),
            by,
            reason,
        ]
    };
    table(&HEAD, &kills.iter().map(row).collect::<Vec<_>>())
}

/// The part of a vendor's traffic that an order names.
pub(super) fn selector_text(selector: &KillSelector) -> String {
    let client = selector.client.as_ref().map(ClientId::as_str);
    let named = [selector.direction.map(Direction::as_str), selector.route.as_deref(), client];
    let named: Vec<&str> = named.into_iter().flatten().collect();
    if named.is_empty() { "everything".to_owned() } else { named.join(", ") }
}

fn time_text(kill: &ScheduledKill, now: UnixTime) -> String {
    format!("at {} (in {})", kill.at.0, duration(kill.at.0.since(now).as_secs()))
}

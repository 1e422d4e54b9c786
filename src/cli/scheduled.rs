//! The part of `vendorgate kill` for scheduled kills: schedule, list, cancel.

use super::client::RemoteCall;
use super::error::{CliError, Exit};
use super::kill::{KillArgs, endpoint, selected_text, unseen_text, vendor_text};
use super::layout::{duration, table};
use crate::admin::{OperatorOrder, UnscheduleOrder};
use crate::kill::{KillSelector, ScheduledKill, ScheduledKills};
use crate::model::{ClientId, Direction, UnixTime};

/// Schedules a kill.
pub(super) async fn schedule(
    args: &KillArgs,
    order: &OperatorOrder,
    call: &mut RemoteCall<'_>,
) -> Result<Exit, CliError> {
    let (kill, now): (ScheduledKill, _) = (call.post(&endpoint(args), order).await?, call.now);
    let words = |kill: &ScheduledKill| {
        let when = time_text(kill, now);
        let vendor = selected_text(&kill.vendor, &kill.selector);
        let said = format!("{vendor} will be cut off {when}: kill {}, kept on disk\n", kill.id);
        said + &unseen_text(&kill.unseen, "the order holds all the same")
    };
    call.print(&kill, words)?;
    Ok(Exit::of(kill.unseen.is_empty() || args.unseen))
}

/// Lists the scheduled kills.
pub(super) async fn list(call: &mut RemoteCall<'_>) -> Result<Exit, CliError> {
    let (all, now): (ScheduledKills, _) = (call.get("/v1/scheduled-kills").await?, call.now);
    let words = |all: &ScheduledKills| match all.scheduled.as_slice() {
        [] => "no kill is scheduled\n".to_owned(),
        kills => table(&TITLES, kills, |kill| row(kill, now)),
    };
    call.print(&all, words)?;
    Ok(Exit::Yes)
}

/// Cancels a scheduled kill.
pub(super) async fn cancel(id: u64, args: &KillArgs, call: &mut RemoteCall<'_>) -> Result<Exit, CliError> {
    let order = UnscheduleOrder { id, reason: args.reason.clone() };
    order.check().map_err(|error| CliError::invalid_argument("--reason", error))?;
    let kill: ScheduledKill = call.post("/v1/scheduled-kills/cancel", &order).await?;
    let words = |kill: &ScheduledKill| {
        let vendor = selected_text(&kill.vendor, &kill.selector);
        format!("{vendor} will not be cut off at {}: kill {} is cancelled\n", kill.at, kill.id)
    };
    call.print(&kill, words)?;
    Ok(Exit::Yes)
}

/// The columns of scheduled kills.
pub(super) const TITLES: [&str; 6] = [">KILL", "VENDOR", "WILL CUT OFF", "WHEN", "BY", "REASON"];

/// The row of a scheduled kill.
pub(super) fn row(kill: &ScheduledKill, now: UnixTime) -> Vec<String> {
    let (part, when) = (selector_text(&kill.selector), time_text(kill, now));
    vec![kill.id.to_string(), vendor_text(&kill.vendor), part, when, kill.by.clone(), kill.reason.clone()]
}

/// The part of a vendor's traffic that an order names.
pub(super) fn selector_text(selector: &KillSelector) -> String {
    let client = selector.client.as_ref().map(ClientId::as_str);
    let named = [selector.direction.map(Direction::as_str), selector.route.as_deref(), client];
    let named: Vec<&str> = named.into_iter().flatten().collect();
    if named.is_empty() { "everything".to_owned() } else { named.join(", ") }
}

fn time_text(kill: &ScheduledKill, now: UnixTime) -> String {
    format!("at {} (in {})", kill.at, duration(kill.at.since(now).as_secs()))
}

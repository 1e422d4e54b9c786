//! The part of `vendorgate kill` that is about kills to come: order, list, take back.

use std::io::Write;

use super::client::Client;
use super::error::{CliError, Exit};
use super::kill::{Args, named, target, unseen_words, whom};
use super::layout::{Side, span, table};
use crate::admin::{Order, Part, ScheduledKill, ScheduledKills, UnscheduleOrder};
use crate::model::{Direction, UnixTime};

/// Orders a kill for later.
pub(super) async fn order(
    args: &Args,
    client: &Client,
    order: &Order,
    now: UnixTime,
    out: &mut dyn Write,
) -> Result<Exit, CliError> {
    let kill: ScheduledKill = client.post(&target(args), order).await?;
    let words = |kill: &ScheduledKill| {
        let when = in_words(kill, now);
        let vendor = named(&kill.vendor, &kill.scope);
        let said = format!("{vendor} will be cut off {when}: kill {}, kept on disk\n", kill.id);
        said + &unseen_words(&kill.unseen, "kept all the same")
    };
    args.reach.print(&kill, words, out)?;
    Ok(Exit::of(kill.unseen.is_empty() || args.unseen))
}

/// Lists the kills to come.
pub(super) async fn list(args: &Args, client: &Client, now: UnixTime, out: &mut dyn Write) -> Result<Exit, CliError> {
    let all: ScheduledKills = client.get("/v1/scheduled-kills").await?;
    let words = |all: &ScheduledKills| match all.scheduled.as_slice() {
        [] => "no kill is to come\n".to_owned(),
        kills => rows(kills, now),
    };
    args.reach.print(&all, words, out)?;
    Ok(Exit::Yes)
}

/// Takes a kill to come back.
pub(super) async fn cancel(id: u64, args: &Args, client: &Client, out: &mut dyn Write) -> Result<Exit, CliError> {
    let order = UnscheduleOrder { id, reason: args.reason.clone() };
    order.check().map_err(|error| CliError::unusable("--reason", error))?;
    let kill: ScheduledKill = client.post("/v1/scheduled-kills/cancel", &order).await?;
    let words = |kill: &ScheduledKill| {
        let vendor = named(&kill.vendor, &kill.scope);
        format!("{vendor} will not be cut off at {}: kill {} is taken back\n", kill.at.0, kill.id)
    };
    args.reach.print(&kill, words, out)?;
    Ok(Exit::Yes)
}

/// Kills to come, a line each.
pub(super) fn rows(kills: &[ScheduledKill], now: UnixTime) -> String {
    const HEAD: [(&str, Side); 6] = [
        ("KILL", Side::Right),
        ("VENDOR", Side::Left),
        ("WILL CUT OFF", Side::Left),
        ("WHEN", Side::Left),
        ("BY", Side::Left),
        ("REASON", Side::Left),
    ];
    let row = |kill: &ScheduledKill| {
        let (by, reason) = (kill.by.clone(), kill.reason.clone());
        vec![kill.id.to_string(), whom(&kill.vendor), parts(&kill.scope), in_words(kill, now), by, reason]
    };
    table(&HEAD, &kills.iter().map(row).collect::<Vec<_>>())
}

/// What of a vendor an order names.
pub(super) fn parts(scope: &Part) -> String {
    let Part { direction, route, client } = scope;
    let named = [direction.map(Direction::as_str), route.as_deref(), client.as_deref()];
    let named: Vec<&str> = named.into_iter().flatten().collect();
    if named.is_empty() { "everything".to_owned() } else { named.join(", ") }
}

fn in_words(kill: &ScheduledKill, now: UnixTime) -> String {
    format!("at {} (in {})", kill.at.0, span(kill.at.0.since(now).as_secs()))
}

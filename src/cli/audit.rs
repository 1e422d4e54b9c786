//! `vendorgate audit tail`: follows the audit trail of a running gateway.

use std::io::Write;
use std::time::Duration;

use super::client::{Client, Reach, block_on};
use super::error::{CliError, Exit};
use super::exposure::since;
use super::layout::plain;
use crate::admin::{AuditEntry, AuditPage};
use crate::model::{Clock, UnixTime};

/// How often the trail is asked for what is new.
const FOLLOW_INTERVAL: Duration = Duration::from_secs(1);

/// Follow the audit trail of a running gateway
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
Examples:
  vendorgate audit tail
  vendorgate audit tail --since 24h --once --json > audit.jsonl

Follows until it is interrupted; exits 1 when the gateway goes away.")]
pub struct Tail {
    /// From this time on (RFC 3339), or so long ago: 24h, 7d
    #[arg(long, value_name = "TIME", default_value = "1h")]
    pub since: String,
    /// Print what there is and end
    #[arg(long)]
    pub once: bool,
    /// Where the gateway is; with --json, one entry a line
    #[command(flatten)]
    pub reach: Reach,
}

/// Runs the verb, and prints its answer to `out`.
///
/// # Errors
/// [`CliError`] when an argument cannot be used, or the gateway is not reached or says no.
pub fn tail(args: &Tail, out: &mut dyn Write) -> Result<Exit, CliError> {
    let client = args.reach.client()?;
    block_on(execute(args, &client, Clock::system().now().wall, out))
}

pub(super) async fn execute(
    args: &Tail,
    client: &Client,
    now: UnixTime,
    out: &mut dyn Write,
) -> Result<Exit, CliError> {
    let from = since(Some(&args.since), now)?.unwrap_or(now);
    let mut after: Option<u64> = None;
    loop {
        let and_after = after.map_or_else(String::new, |after| format!("&after={after}"));
        let page: AuditPage = client.get(&format!("/v1/audit?limit=1000&since={from}{and_after}")).await?;
        for entry in &page.entries {
            writeln!(out, "{}", line(entry, args.reach.json)?)?;
        }
        out.flush()?;
        after = page.entries.last().map(|entry| entry.seq).or(after);
        match (page.more, args.once) {
            (true, _) => {}
            (false, true) => return Ok(Exit::Yes),
            (false, false) => tokio::time::sleep(FOLLOW_INTERVAL).await,
        }
    }
}

fn line(entry: &AuditEntry, json: bool) -> Result<String, CliError> {
    if json {
        return Ok(serde_json::to_string(entry).map_err(std::io::Error::from)?);
    }
    let detail = match &entry.detail {
        serde_json::Value::Object(members) => members.iter().map(|(key, value)| format!(" {key}={value}")).collect(),
        other => {
            if other.is_null() {
                String::new()
            } else {
                format!(" {other}")
            }
        }
    };
    let AuditEntry { seq, time, actor, act, subject, reason, .. } = entry;
    Ok(plain(&format!("{time} #{seq} {act} {subject} by {actor}: {reason}{detail}")))
}

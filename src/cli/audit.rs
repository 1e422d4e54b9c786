//! `vendorgate audit`: follows the audit trail of a running gateway, and verifies the trail's files.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use super::client::{ConnectionArgs, RemoteCall, parse_time};
use super::error::{CliError, Exit};
use super::layout::printable;
use crate::admin::{AuditEntry, AuditPage};
use crate::audit::{TrailSummary, head_path, verify_files};
use crate::model::with_causes;
use crate::server::audit_key;

/// How often the gateway is asked for new entries.
const FOLLOW_INTERVAL: Duration = Duration::from_secs(1);

/// Follow the audit trail of a running gateway
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
Examples:
  vendorgate audit tail
  vendorgate audit tail --since 24h --once --json > audit.jsonl

Follows until it is interrupted; exits 1 when the gateway goes away.")]
pub(super) struct AuditTailArgs {
    /// Only from this time on (RFC 3339), or from so long ago: 24h, 7d
    #[arg(long, value_name = "TIME", default_value = "1h")]
    pub(super) since: String,
    /// Print the entries that exist, then end
    #[arg(long)]
    pub(super) once: bool,
    /// Where the gateway is; with --json, one entry on each line
    #[command(flatten)]
    pub(super) connection: ConnectionArgs,
}

/// Follow or verify the audit trail
#[derive(Debug, Clone, clap::Subcommand)]
#[command(
    after_help = "Examples:\n  vendorgate audit tail --since 24h\n  vendorgate audit verify /var/lib/vendorgate/audit/audit.jsonl"
)]
pub(super) enum AuditCommand {
    /// Follow the audit trail of a running gateway
    Tail(AuditTailArgs),
    /// Check that no line of a trail is missing, moved or changed
    Verify(AuditVerifyArgs),
}

/// Check that no line of a trail is missing, moved or changed
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
Examples:
  vendorgate audit verify /var/lib/vendorgate/audit/audit.jsonl
  vendorgate audit verify copy/audit.jsonl --key vault/audit.key --json
  vendorgate audit verify archive/audit.jsonl.000000004711 --key vault/audit.key
  vendorgate audit verify /var/lib/vendorgate/audit/audit.jsonl --from 4712

Reads the file, the rotated files beside it and the sealed head; needs no running gateway. A rotated file is checked
together with the older ones beside it; its name ends with the number of its last line.
Exits 0 when no line is missing, moved or changed, else 1: the first wrong line is printed.")]
pub(super) struct AuditVerifyArgs {
    /// The newest file of the trail
    pub(super) file: PathBuf,
    /// The key of the trail's hash chain [default: audit.key in the folder above the file's folder]
    #[arg(long, value_name = "FILE")]
    pub(super) key: Option<PathBuf>,
    /// The number of the first line that must be there, if older files were moved away on purpose
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) from: u64,
    /// Answer in JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// Verifies a trail.
pub(super) fn verify(args: &AuditVerifyArgs, out: &mut dyn Write) -> Result<Exit, CliError> {
    // If the sealed head exists without its file, the whole trail was removed: that is for the verification to report.
    let known =
        std::fs::metadata(&args.file).or_else(|error| std::fs::metadata(head_path(&args.file)).map_err(|_| error));
    known.map_err(|error| CliError::invalid_argument("FILE", error))?;
    let beside = || args.file.parent().unwrap_or(Path::new("")).join("../audit.key");
    let path = args.key.clone().unwrap_or_else(beside);
    let key = audit_key(&path).map_err(|error| CliError::invalid_argument("--key", with_causes(&error)))?;
    let checked = verify_files(&args.file, &key, args.from);
    if args.json {
        let said = match &checked {
            Ok(whole) => json!({
                "whole": true, "lines": whole.lines, "first": whole.first, "last": whole.position.seq,
                "from": whole.from, "to": whole.to, "mac": whole.position.hex(),
            }),
            Err(broken) => json!({
                "whole": false, "file": broken.file, "line": broken.line, "why": broken.why.to_string(),
            }),
        };
        writeln!(out, "{said}")?;
        return Ok(Exit::of(checked.is_ok()));
    }
    match checked {
        Ok(TrailSummary { lines, first, position, from, to, .. }) => {
            let last = position.seq;
            writeln!(out, "whole: {lines} lines, number {first} to {last}, from {from} to {to}")?;
            writeln!(
                out,
                "note this elsewhere, so that an older or shorter trail in its place can be detected: {last} {}",
                position.hex()
            )?;
            Ok(Exit::Yes)
        }
        Err(broken) => {
            writeln!(out, "BROKEN: {}", printable(&broken.to_string()))?;
            Ok(Exit::No)
        }
    }
}

pub(super) async fn execute(args: &AuditTailArgs, call: &mut RemoteCall<'_>) -> Result<Exit, CliError> {
    let from = parse_time("--since", &args.since, call.now)?;
    let (mut since, mut after) = (format!("&since={from}"), String::new());
    loop {
        let page: AuditPage = call.get(&format!("/v1/audit?limit=1000{since}{after}")).await?;
        for entry in &page.entries {
            writeln!(call.out, "{}", entry_text(entry, args.connection.json)?)?;
        }
        if page.unreadable > 0 && !args.connection.json {
            let count = page.unreadable;
            writeln!(
                call.out,
                "damaged lines left out here: {count}; `vendorgate audit verify FILE` says what is wrong"
            )?;
        }
        call.out.flush()?;
        if let Some(seen) = page.seen.or(page.entries.last().map(|entry| entry.seq)) {
            after = format!("&after={seen}");
        }
        match (page.more, args.once) {
            (true, _) => {}
            (false, true) => return Ok(Exit::Yes),
            (false, false) => {
                // From here on ask by number only: if the clock was set back, new entries can have an older date.
                since.clear();
                tokio::time::sleep(FOLLOW_INTERVAL).await;
            }
        }
    }
}

fn entry_text(entry: &AuditEntry, json: bool) -> Result<String, CliError> {
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
    Ok(printable(&format!("{time} #{seq} {act} {subject} by {actor}: {reason}{detail}")))
}

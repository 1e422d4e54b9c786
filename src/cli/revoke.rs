//! `vendorgate revoke`: refuses tokens of a vendor from now on.

use std::io::Write;

use super::client::{Client, Reach, block_on};
use super::error::{CliError, Exit};
use super::kill::{print, vendor_id};
use super::layout::plain;
use crate::admin::{RevokeOrder, RevokeReport, parse_since};
use crate::model::{Clock, UnixTime};

/// Refuse a token, all tokens of a client, or all that were issued before a time
#[derive(Debug, Clone, clap::Args)]
#[command(
    group = clap::ArgGroup::new("what").required(true).args(["jti", "client", "issued_before"]),
    after_help = "\
Examples:
  vendorgate revoke acme-analytics --jti 5f0c9a --reason 'seen in a public log'
  vendorgate revoke acme-analytics --client acme-batch --reason 'machine stolen'
  vendorgate revoke acme-analytics --issued-before 1h --reason 'their issuer was breached'

Exits 0 when the revocation holds and is on disk, 1 otherwise."
)]
pub struct Args {
    /// The vendor's id
    pub vendor: String,
    /// The id of one token
    #[arg(long, value_name = "ID")]
    pub jti: Option<String>,
    /// All tokens of this client
    #[arg(long, value_name = "ID")]
    pub client: Option<String>,
    /// All tokens issued before this time (RFC 3339), or so long ago: 1h, 7d
    #[arg(long, value_name = "TIME")]
    pub issued_before: Option<String>,
    /// Why, for the audit trail
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
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
    let order = order(args, now)?;
    let report: RevokeReport =
        client.post(&format!("/v1/vendors/{}/revocations", vendor_id(&args.vendor)?), &order).await?;
    print(args.reach.json, &report, out)?;
    if !args.reach.json {
        let disk = if report.persisted { "kept on disk" } else { "NOT ON DISK: it holds until the gateway stops" };
        writeln!(out, "{}: revoked, {disk}", plain(&report.vendor))?;
    }
    Ok(if report.persisted { Exit::Yes } else { Exit::No })
}

fn order(args: &Args, now: UnixTime) -> Result<RevokeOrder, CliError> {
    let time = |text: &String| {
        parse_since(text, now).map(|time| time.to_string()).ok_or(CliError::Unusable {
            what: "--issued-before",
            why: "write a time such as 2026-11-21T20:00:00Z, or how long ago, such as 1h".into(),
        })
    };
    let order = RevokeOrder {
        jti: args.jti.clone(),
        client: args.client.clone(),
        issued_before: args.issued_before.as_ref().map(time).transpose()?,
        reason: args.reason.clone(),
    };
    let checked = order.revocation();
    checked.map_err(|error| CliError::Unusable { what: "the order", why: error.to_string() })?;
    Ok(order)
}

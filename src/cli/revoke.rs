//! `vendorgate revoke`: refuses tokens of a vendor from now on.

use std::io::Write;

use super::client::{Client, Reach, time};
use super::error::{CliError, Exit};
use super::layout::plain;
use crate::admin::{RevokeOrder, RevokeReport};
use crate::model::{UnixTime, VendorId};

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
pub(super) struct Args {
    /// The vendor's id
    #[arg(value_parser = VendorId::parse)]
    pub(super) vendor: VendorId,
    /// The id of one token
    #[arg(long, value_name = "ID")]
    pub(super) jti: Option<String>,
    /// All tokens of this client
    #[arg(long, value_name = "ID")]
    pub(super) client: Option<String>,
    /// All tokens issued before this time (RFC 3339), or so long ago: 1h, 7d
    #[arg(long, value_name = "TIME")]
    pub(super) issued_before: Option<String>,
    /// Why, for the audit trail
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: String,
    /// Where the gateway is
    #[command(flatten)]
    pub(super) reach: Reach,
}

pub(super) async fn execute(
    args: &Args,
    client: &Client,
    now: UnixTime,
    out: &mut dyn Write,
) -> Result<Exit, CliError> {
    let order = order(args, now)?;
    let report: RevokeReport = client.post(&format!("/v1/vendors/{}/revocations", args.vendor), &order).await?;
    args.reach.print(&report, words, out)?;
    Ok(Exit::of(report.persisted))
}

fn words(report: &RevokeReport) -> String {
    let disk = if report.persisted { "kept on disk" } else { "NOT ON DISK: it holds until the gateway stops" };
    format!("{}: revoked, {disk}\n", plain(&report.vendor))
}

fn order(args: &Args, now: UnixTime) -> Result<RevokeOrder, CliError> {
    let time = |text: &String| time("--issued-before", text, now).map(|time| time.to_string());
    let order = RevokeOrder {
        jti: args.jti.clone(),
        client: args.client.clone(),
        issued_before: args.issued_before.as_ref().map(time).transpose()?,
        reason: args.reason.clone(),
    };
    let checked = order.revocation();
    checked.map_err(|error| CliError::unusable("the order", error))?;
    Ok(order)
}

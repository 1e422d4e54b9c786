//! `vendorgate revoke`: takes back a token, a client or a signing key, says what is taken back, and lifts it.

use std::io::Write;

use super::client::{AdminClient, ConnectionArgs, parse_time};
use super::error::{CliError, Exit};
use super::layout::{Align, printable, table};
use crate::admin::{LiftReport, RevocationList, RevokeOrder, RevokeReport, RevokedItem};
use crate::model::{UnixTime, VendorId, milliseconds, thousands};

/// Take back a token, a client or a signing key: what is new is refused, what runs on it is severed
#[derive(Debug, Clone, clap::Args)]
#[command(
    group = clap::ArgGroup::new("what").required(true).args(["jti", "client", "key", "issued_before", "list"]),
    after_help = "\
Examples:
  vendorgate revoke acme-analytics --jti 5f0c9a --reason 'seen in a public log'
  vendorgate revoke acme-analytics --client acme-batch --reason 'its credentials leaked'
  vendorgate revoke acme-analytics --client acme-batch --lift --reason 'new credentials are out'
  vendorgate revoke acme-analytics --key 2026-a --reason 'their signing key leaked'
  vendorgate revoke acme-analytics --issued-before 1h --reason 'their issuer was breached'
  vendorgate revoke acme-analytics --list

--client and --key hold for tokens that exist and tokens to come, until an admin lifts them. --jti and
--issued-before end by themselves when no such token can be valid any more. After a lift, tokens that were
made meanwhile pass until they expire: where a thief may hold some, add --issued-before 0s before.

'kill --client' cuts a client off too, for what it does: it can name a route or a direction, tells the
hooks, and is undone by 'restore', by as many people as the contract asks for. Revoke when credentials are
in wrong hands; kill when a vendor or its machine does wrong. Both stand until a person undoes them.

Exits 0 when the order is in force and on disk. Exits 1 where it is not on disk, and where nobody by that
name has been seen, unless --unseen: it is kept all the same. Exits 2 where the order would do nothing."
)]
pub(super) struct RevokeArgs {
    /// The vendor's id
    #[arg(value_parser = VendorId::parse)]
    pub(super) vendor: VendorId,
    /// The id of one token
    #[arg(long, value_name = "ID")]
    pub(super) jti: Option<String>,
    /// A client: all that it was given and will be given
    #[arg(long, value_name = "ID")]
    pub(super) client: Option<String>,
    /// A signing key, by its kid or thumbprint, also while the issuer publishes it
    #[arg(long, value_name = "KID")]
    pub(super) key: Option<String>,
    /// All tokens issued before this time (RFC 3339), or so long ago: 1h, 7d
    #[arg(long, value_name = "TIME")]
    pub(super) issued_before: Option<String>,
    /// List what is taken back now
    #[arg(long)]
    pub(super) list: bool,
    /// Let it be used again
    #[arg(long, conflicts_with = "list")]
    pub(super) lift: bool,
    /// The name is right although nobody by it has been seen
    #[arg(long, conflicts_with_all = ["list", "lift"])]
    pub(super) unseen: bool,
    /// Why, for the audit trail
    #[arg(long, value_name = "TEXT", required_unless_present = "list", default_value = "", hide_default_value = true)]
    pub(super) reason: String,
    /// Where the gateway is
    #[command(flatten)]
    pub(super) connection: ConnectionArgs,
}

pub(super) async fn execute(
    args: &RevokeArgs,
    client: &AdminClient,
    now: UnixTime,
    out: &mut dyn Write,
) -> Result<Exit, CliError> {
    if args.list {
        return list(args, client, out).await;
    }
    let order = order(args, now)?;
    let call = format!("/v1/vendors/{}/revocations", args.vendor);
    if args.lift {
        let report: LiftReport = client.post(&format!("{call}/lift"), &order).await?;
        args.connection.print(&report, lift_text, out)?;
        return Ok(Exit::of(report.persisted));
    }
    let report: RevokeReport = client.post(&call, &order).await?;
    args.connection.print(&report, report_text, out)?;
    Ok(Exit::of(report.persisted && (report.seen || args.unseen)))
}

async fn list(args: &RevokeArgs, client: &AdminClient, out: &mut dyn Write) -> Result<Exit, CliError> {
    let mut all: RevocationList = client.get("/v1/revocations").await?;
    all.revocations.retain(|one| one.vendor == args.vendor.as_str());
    args.connection.print(&all, rows, out)?;
    Ok(Exit::Yes)
}

fn report_text(report: &RevokeReport) -> String {
    let plural = if report.severed == 1 { "" } else { "s" };
    let mut text = format!(
        "{}: {} revoked, {} request{plural} severed in {}, {}\n",
        printable(&report.vendor),
        revoked_text(&report.revoked),
        thousands(report.severed),
        milliseconds(report.sever_micros),
        if report.persisted { "kept on disk" } else { "NOT ON DISK: it holds until the gateway stops" },
    );
    if !report.seen {
        text.push_str("  nobody by that name has been seen; kept all the same\n");
    }
    if report.lingering > 0 {
        let lingering = thousands(report.lingering);
        text.push_str(&format!("  {lingering} had not ended by the deadline: their bytes may still leave\n"));
    }
    if report.revoked.client.is_some() || report.revoked.key.is_some() {
        text.push_str("  it holds until an admin lifts it: the same order with --lift\n");
    }
    text
}

fn lift_text(report: &LiftReport) -> String {
    let disk = if report.persisted { "kept on disk" } else { "NOT ON DISK" };
    format!("{}: {} may be used again, {disk}\n", printable(&report.vendor), revoked_text(&report.lifted))
}

fn rows(all: &RevocationList) -> String {
    const HEAD: [(&str, Align); 4] =
        [("REVOKED", Align::Left), ("SINCE", Align::Left), ("UNTIL", Align::Left), ("REASON", Align::Left)];
    let row = |one: &crate::admin::ActiveRevocation| {
        let until = one.until.as_ref().map_or_else(|| "lifted".to_owned(), |until| until.0.to_string());
        vec![revoked_text(&one.revoked), one.at.0.to_string(), until, printable(&one.reason)]
    };
    match &all.revocations[..] {
        [] => "nothing is revoked\n".to_owned(),
        some => table(&HEAD, &some.iter().map(row).collect::<Vec<_>>()),
    }
}

fn revoked_text(taken: &RevokedItem) -> String {
    let named = [("token", &taken.jti), ("client", &taken.client), ("key", &taken.key)];
    let named = named.into_iter().find_map(|(kind, name)| Some(format!("{kind} {}", printable(name.as_ref()?))));
    let dated = || taken.issued_before.as_ref().map(|time| format!("tokens issued before {}", time.0));
    named.or_else(dated).unwrap_or_default()
}

fn order(args: &RevokeArgs, now: UnixTime) -> Result<RevokeOrder, CliError> {
    let time = |text: &String| parse_time("--issued-before", text, now).map(|time| time.to_string());
    let order = RevokeOrder {
        jti: args.jti.clone(),
        client: args.client.clone(),
        key: args.key.clone(),
        issued_before: args.issued_before.as_ref().map(time).transpose()?,
        reason: args.reason.clone(),
    };
    let checked = order.revocation();
    checked.map_err(|error| CliError::invalid_argument("the order", error))?;
    Ok(order)
}

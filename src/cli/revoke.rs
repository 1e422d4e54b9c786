//! `vendorgate revoke`: revokes tokens, a client or a signing key, lists what is revoked, and lifts a revocation.

use super::client::{ConnectionArgs, RemoteCall, parse_time};
use super::error::{CliError, Exit};
use super::layout::{printable, table};
use crate::admin::{LiftReport, RevocationList, RevokeOrder, RevokeReport, RevokedItem};
use crate::model::{UnixTime, VendorId, milliseconds, thousands};

/// Revoke tokens, a client or a signing key: new requests with it are refused, those in flight are severed
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

--client and --key apply to existing and future tokens, until an admin lifts them. --jti and --issued-before
end by themselves once no such token can be valid any more. After a lift, tokens that were issued in the
meantime are valid until they expire: if a thief may hold some, revoke with --issued-before 0s first.

'kill --client' also cuts off a client. It can name a route or a direction, calls the hooks, and is undone
by 'restore', with as many approvals as the contract asks for. Revoke when credentials are in the wrong
hands; kill when a vendor or its machine misbehaves. Both hold until a person undoes them.

Exits 0 when the revocation is in force and on disk, 1 when it is not on disk. Exits 1 also when the gateway
has never seen the name in traffic, unless --unseen is given: the revocation is in force all the same. Exits
2 when the order would do nothing."
)]
pub(super) struct RevokeArgs {
    /// The vendor's id
    #[arg(value_parser = VendorId::parse)]
    pub(super) vendor: VendorId,
    /// The id (jti) of one token
    #[arg(long, value_name = "ID")]
    pub(super) jti: Option<String>,
    /// A client: all of its tokens, now and later
    #[arg(long, value_name = "ID")]
    pub(super) client: Option<String>,
    /// A signing key, by its kid or thumbprint, even while the issuer still publishes it
    #[arg(long, value_name = "KID")]
    pub(super) key: Option<String>,
    /// All tokens issued before this time (RFC 3339), or so long ago: 1h, 7d
    #[arg(long, value_name = "TIME")]
    pub(super) issued_before: Option<String>,
    /// List what is revoked
    #[arg(long)]
    pub(super) list: bool,
    /// Lift the revocation instead
    #[arg(long, conflicts_with = "list")]
    pub(super) lift: bool,
    /// Exit 0 although the gateway has never seen that name in traffic
    #[arg(long, conflicts_with_all = ["list", "lift"])]
    pub(super) unseen: bool,
    /// Why, for the audit trail
    #[arg(long, value_name = "TEXT", required_unless_present = "list", default_value = "", hide_default_value = true)]
    pub(super) reason: String,
    /// Where the gateway is
    #[command(flatten)]
    pub(super) connection: ConnectionArgs,
}

pub(super) async fn execute(args: &RevokeArgs, call: &mut RemoteCall<'_>) -> Result<Exit, CliError> {
    if args.list {
        return list(args, call).await;
    }
    let order = order(args, call.now)?;
    let target = format!("/v1/vendors/{}/revocations", args.vendor);
    if args.lift {
        let report: LiftReport = call.post(&format!("{target}/lift"), &order).await?;
        call.print(&report, lift_text)?;
        return Ok(Exit::of(report.persisted));
    }
    let report: RevokeReport = call.post(&target, &order).await?;
    call.print(&report, report_text)?;
    Ok(Exit::of(report.persisted && (report.seen || args.unseen)))
}

async fn list(args: &RevokeArgs, call: &mut RemoteCall<'_>) -> Result<Exit, CliError> {
    let mut all: RevocationList = call.get("/v1/revocations").await?;
    all.revocations.retain(|one| one.vendor == args.vendor.as_str());
    call.print(&all, rows)?;
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
        text.push_str("  nothing by that name has been seen; the order holds all the same\n");
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
    let row = |one: &crate::admin::ActiveRevocation| {
        let until = one.until.as_ref().map_or_else(|| "lifted".to_owned(), |until| until.to_string());
        vec![revoked_text(&one.revoked), one.at.to_string(), until, printable(&one.reason)]
    };
    match &all.revocations[..] {
        [] => "nothing is revoked\n".to_owned(),
        some => table(&["REVOKED", "SINCE", "UNTIL", "REASON"], some, row),
    }
}

fn revoked_text(taken: &RevokedItem) -> String {
    let named = [("token", &taken.jti), ("client", &taken.client), ("key", &taken.key)];
    let named = named.into_iter().find_map(|(kind, name)| Some(format!("{kind} {}", printable(name.as_ref()?))));
    let dated = || taken.issued_before.as_ref().map(|time| format!("tokens issued before {time}"));
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

//! `vendorgate why`: why one request failed.

use super::client::{ConnectionArgs, RemoteCall};
use super::error::{CliError, Exit};
use super::layout::key_values;
use crate::telemetry::FailedRequest;

/// Say why a request was refused or broke off, by its id
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
Example:
  vendorgate why 0af7651916cd43dd8448eb211c80319c

The gateway keeps the last few thousand failures in memory. Older ones, and those from before its last start, are in the
exchange log and in the audit trail under the same id.
Exits 0 when the request is known, 1 otherwise.")]
pub(super) struct WhyArgs {
    /// The request's id: request_id in the problem document, or the answer's X-Request-Id
    #[arg(value_parser = parse_request_id)]
    pub(super) request_id: String,
    /// Where the gateway is
    #[command(flatten)]
    pub(super) connection: ConnectionArgs,
}

fn parse_request_id(text: &str) -> Result<String, &'static str> {
    let id = text.trim().to_ascii_lowercase();
    let is_id = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_id { Ok(id) } else { Err("a request's id is 32 hexadecimal digits") }
}

pub(super) async fn execute(args: &WhyArgs, call: &mut RemoteCall<'_>) -> Result<Exit, CliError> {
    let failed: FailedRequest = call.get(&format!("/v1/requests?id={}", args.request_id)).await?;
    call.print(&failed, report_text)?;
    Ok(Exit::Yes)
}

fn report_text(failed: &FailedRequest) -> String {
    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let status = if failed.status == 0 { "none was sent".to_owned() } else { failed.status.to_string() };
    key_values(&[
        ("request", failed.request_id.clone()),
        ("time", failed.time.clone()),
        ("cause", failed.cause.clone()),
        ("reason", or_none(&failed.reason)),
        ("status", status),
        ("ended", failed.ended.clone().unwrap_or_else(|| "with its last byte".to_owned())),
        ("vendor", or_none(&failed.vendor)),
        ("client", or_none(&failed.client)),
        ("peer", failed.peer.clone()),
        ("direction", failed.direction.as_str().to_owned()),
        ("route", format!("{} {}", failed.method, or_none(&failed.route))),
        ("upstream", or_none(&failed.upstream)),
        ("sent", format!("{} bytes in {} us", failed.bytes_out, failed.duration_us)),
    ])
}

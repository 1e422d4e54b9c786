//! Every call of the admin listener, in one table: what dispatch, roles and the API's description are made of.

use crate::config::OperatorRole;

/// What a call does, and who may make it; each has one arm in dispatch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AdminCall {
    /// For whoever reaches the listener.
    Open(ProbeCall),
    /// About the vendor in the path, for operators whose role permits this one.
    OnVendor(OperatorRole, VendorCall),
    /// About the gateway, for operators whose role permits this one.
    OnGateway(OperatorRole, GatewayCall),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProbeCall {
    Live,
    Ready,
    Metrics,
    OpenApi,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum VendorCall {
    Status,
    Kill,
    Drill,
    Revoke,
    Lift,
    Restore,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GatewayCall {
    Vendors,
    Exposure,
    Audit,
    Why,
    KillAll,
    Revocations,
    Scheduled,
    Unschedule,
    Reveal,
    RestoreAll,
    Reload,
}

impl AdminCall {
    /// The role that the caller's must permit; `None` for calls that are open.
    pub(super) const fn role(self) -> Option<OperatorRole> {
        match self {
            Self::Open(_) => None,
            Self::OnVendor(role, _) | Self::OnGateway(role, _) => Some(role),
        }
    }
}

/// A method of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AdminMethod {
    Get,
    Post,
}

impl AdminMethod {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// A query parameter.
#[derive(Debug)]
pub(super) struct QueryParameter {
    pub(super) name: &'static str,
    pub(super) required: bool,
    pub(super) description: &'static str,
}

/// One line of the table.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) verb: AdminMethod,
    /// The path; `{vendor}` is one segment.
    pub(super) path: &'static str,
    /// Method and path, as the audit trail shows them.
    pub(super) name: &'static str,
    pub(super) call: AdminCall,
    pub(super) parameters: &'static [QueryParameter],
    pub(super) description: &'static str,
}

impl Endpoint {
    /// Whether the call needs no body: an empty one says the same as `{}`.
    pub(super) const fn needs_no_body(&self) -> bool {
        matches!(self.call, AdminCall::OnGateway(_, GatewayCall::Reload))
    }
}

macro_rules! calls {
    ($($verb:ident $method:literal $path:literal $call:expr, [$($parameter:expr),*] $says:literal;)+) => {
        /// The table, in the order of the API's description.
        pub(super) const TABLE: &[Endpoint] = &[$(Endpoint {
            verb: AdminMethod::$verb,
            path: $path,
            name: concat!($method, " ", $path),
            call: $call,
            parameters: &[$($parameter),*],
            description: $says,
        }),+];
    };
}

const fn optional(name: &'static str, says: &'static str) -> QueryParameter {
    QueryParameter { name, required: false, description: says }
}

const VERBOSE: QueryParameter = optional("verbose", "List what was looked at");
const VENDOR: QueryParameter = QueryParameter { name: "vendor", required: true, description: "The vendor's id" };
const REQUEST: QueryParameter =
    QueryParameter { name: "id", required: true, description: "The request's id: 32 hexadecimal digits" };
const SINCE: QueryParameter = optional("since", "A time (RFC 3339), or how long ago: 24h, 7d");
const AFTER: QueryParameter = optional("after", "Only entries after this sequence number");
const LIMIT: QueryParameter = optional("limit", "At most so many entries, up to 1000");

use AdminCall::{OnGateway, OnVendor, Open};
use OperatorRole::{Admin, Operator, Privacy, Viewer};

calls! {
    Get "GET" "/healthz" Open(ProbeCall::Live), [] "Whether the process lives; the same as /livez";
    Get "GET" "/livez" Open(ProbeCall::Live), [] "Whether the process lives";
    Get "GET" "/readyz" Open(ProbeCall::Ready), [VERBOSE] "Whether the gateway can do its work";
    Get "GET" "/metrics" Open(ProbeCall::Metrics), [] "Metrics, as Prometheus text or OpenMetrics";
    Get "GET" "/openapi.json" Open(ProbeCall::OpenApi), [] "This description";
    Get "GET" "/v1/vendors" OnGateway(Viewer, GatewayCall::Vendors), [] "Every vendor at a glance";
    Get "GET" "/v1/vendors/{vendor}" OnVendor(Viewer, VendorCall::Status), [] "One vendor at a glance";
    Get "GET" "/v1/exposure" OnGateway(Viewer, GatewayCall::Exposure), [VENDOR, SINCE] "What left to a vendor";
    Get "GET" "/v1/audit" OnGateway(Viewer, GatewayCall::Audit), [SINCE, AFTER, LIMIT]
        "The audit trail, oldest first";
    Get "GET" "/v1/requests" OnGateway(Viewer, GatewayCall::Why), [REQUEST]
        "Why a request was refused or broke off, while the gateway remembers it";
    Post "POST" "/v1/vendors/{vendor}/kill" OnVendor(Operator, VendorCall::Kill), []
        "Cuts off a vendor, or a part of it: now, or at a time to come";
    Post "POST" "/v1/kill" OnGateway(Operator, GatewayCall::KillAll), []
        "Cuts off every vendor, or a part of each: now, or at a time to come";
    Get "GET" "/v1/scheduled-kills" OnGateway(Viewer, GatewayCall::Scheduled), []
        "Kills to come, the next one first";
    Post "POST" "/v1/scheduled-kills/cancel" OnGateway(Admin, GatewayCall::Unschedule), []
        "Takes a kill to come back";
    Post "POST" "/v1/vendors/{vendor}/drill" OnVendor(Operator, VendorCall::Drill), []
        "Kills, measures and restores";
    Post "POST" "/v1/vendors/{vendor}/revocations" OnVendor(Operator, VendorCall::Revoke), []
        "Takes a token, a client or a signing key back: refuses what is new, severs what runs on it";
    Post "POST" "/v1/vendors/{vendor}/revocations/lift" OnVendor(Admin, VendorCall::Lift), []
        "Lets be used again what was taken back";
    Get "GET" "/v1/revocations" OnGateway(Viewer, GatewayCall::Revocations), []
        "What is taken back, oldest first";
    Post "POST" "/v1/vendors/{vendor}/restore" OnVendor(Admin, VendorCall::Restore), []
        "Lets a vendor back, or a part of it";
    Post "POST" "/v1/restore" OnGateway(Admin, GatewayCall::RestoreAll), []
        "Lifts what was cut off by an order for every vendor";
    Post "POST" "/v1/reveal" OnGateway(Privacy, GatewayCall::Reveal), []
        "Turns one token back into its value";
    Post "POST" "/v1/reload" OnGateway(Admin, GatewayCall::Reload), []
        "Loads the config again, wholly or not at all";
}

/// What a path and method lead to.
#[derive(Debug)]
pub(super) enum CallMatch<'a> {
    /// A call, and what stands for `{vendor}` in its path; nothing where its path has none.
    Call(&'static Endpoint, &'a str),
    /// A path of the table, by another method than it takes.
    OtherMethod(&'static str),
    /// Nothing.
    Nothing,
}

/// Looks a request up; HEAD is GET without the body. Paths are compared as they are sent: no case folding, no decoding, no trailing slash.
pub(super) fn match_call<'a>(method: &str, path: &'a str) -> CallMatch<'a> {
    let method = if method == "HEAD" { "GET" } else { method };
    let mut other = CallMatch::Nothing;
    for endpoint in TABLE {
        let Some(vendor) = captured(endpoint.path, path) else { continue };
        if endpoint.verb.as_str() == method {
            return CallMatch::Call(endpoint, vendor);
        }
        other = CallMatch::OtherMethod(endpoint.verb.as_str());
    }
    other
}

/// What stands for `{vendor}`, where the path matches.
fn captured<'a>(pattern: &str, path: &'a str) -> Option<&'a str> {
    let Some((before, after)) = pattern.split_once("{vendor}") else {
        return (pattern == path).then_some("");
    };
    let vendor = path.strip_prefix(before)?.strip_suffix(after)?;
    let one_segment = !vendor.is_empty() && !vendor.contains('/');
    one_segment.then_some(vendor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_the_columns_say() {
        for endpoint in TABLE {
            assert_eq!(endpoint.name, format!("{} {}", endpoint.verb.as_str(), endpoint.path));
            assert_eq!(endpoint.path.contains("{vendor}"), matches!(endpoint.call, OnVendor(..)), "{}", endpoint.name);
            assert!(
                matches!(match_call(endpoint.verb.as_str(), endpoint.path), CallMatch::Call(found, _) if found.name == endpoint.name)
            );
        }
    }

    #[test]
    fn only_what_is_in_the_table_is_found() {
        let found = |method, path| match match_call(method, path) {
            CallMatch::Call(endpoint, vendor) => format!("{} {vendor}", endpoint.name),
            CallMatch::OtherMethod(allow) => allow.to_owned(),
            CallMatch::Nothing => "nothing".to_owned(),
        };
        for (method, path, expected) in [
            ("GET", "/v1/vendors/acme", "GET /v1/vendors/{vendor} acme"),
            ("POST", "/v1/vendors/acme/kill", "POST /v1/vendors/{vendor}/kill acme"),
            ("POST", "/v1/kill", "POST /v1/kill "),
            ("GET", "/v1/vendors/acme/kill", "POST"),
            ("DELETE", "/v1/vendors/acme", "GET"),
            ("get", "/livez", "GET"),
            ("HEAD", "/livez", "GET /livez "),
            ("POST", "/v1/vendors//kill", "nothing"),
            ("POST", "/v1/vendors/a/b/kill", "nothing"),
            ("GET", "/v1/vendors/", "nothing"),
            ("GET", "/v1/vendors/acme/", "nothing"),
            ("GET", "/V1/vendors", "nothing"),
            ("GET", "//v1/vendors", "nothing"),
        ] {
            assert_eq!(found(method, path), expected, "{method} {path}");
        }
    }
}

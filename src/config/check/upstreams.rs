//! `upstreams:` and a contract's `egress.upstream`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::values;
use crate::bounds::{
    BODY_IDLE_DEADLINE, BODY_PACE_BYTES, BODY_PACE_BYTES_MAX, BODY_PACE_PER, CONNECT_DEADLINE, RESPONSE_DEADLINE,
    UPSTREAM_DEADLINE_MAX,
};
use crate::config::file;
use crate::config::file::route::VendorUpstreamConfig;
use crate::config::source::Cursor;
use crate::config::{suggest, units};
use crate::http::{Url, UrlError, UrlScheme};
use crate::model::{UpstreamId, VendorId};
use crate::upstream::{AllowedNetworks, BodyLimits, MinRate, UpstreamSettings};

/// The internal APIs by name.
pub(in crate::config) type Upstreams = BTreeMap<String, Arc<UpstreamSettings>>;

/// `upstreams:`
pub(in crate::config) fn upstreams(
    at: &Cursor<'_>,
    written: Option<&BTreeMap<String, file::UpstreamConfig>>,
) -> Upstreams {
    let mut upstreams = Upstreams::new();
    for (name, upstream) in written.into_iter().flatten() {
        let at = at.key(name);
        match UpstreamId::parse(name) {
            Err(error) => at.fault(format!("the name of an upstream {error}"), "rename it"),
            Ok(id) => {
                let base = upstream.url.as_deref().and_then(|text| base_url(&at.key("url"), text));
                let base = base.unwrap_or_else(unknown_base);
                let deadlines = deadlines(
                    &at,
                    &WrittenDeadlines {
                        connect: upstream.connect_timeout.as_ref(),
                        response: upstream.response_timeout.as_ref(),
                        idle: upstream.body_idle_timeout.as_ref(),
                        pace: upstream.body_pace.as_ref(),
                    },
                );
                upstreams.insert(name.clone(), Arc::new(settings(id, base, deadlines, AllowedNetworks::Any)));
            }
        }
    }
    upstreams
}

/// A contract's `egress.upstream`.
pub(super) fn vendor_upstream(
    at: &Cursor<'_>,
    vendor: &VendorId,
    written: &VendorUpstreamConfig,
) -> Arc<UpstreamSettings> {
    let listed = networks(&at.key("allow_networks"), written.allow_networks.as_deref().unwrap_or_default());
    let networks = AllowedNetworks::PublicAnd(listed.into());
    let base = written.url.as_deref().and_then(|text| base_url(&at.key("url"), text));
    base.iter().for_each(|base| check_reachable(&at.key("url"), base, &networks));
    let base = base.unwrap_or_else(unknown_base);
    let deadlines = deadlines(
        at,
        &WrittenDeadlines {
            connect: written.connect_timeout.as_ref(),
            response: written.response_timeout.as_ref(),
            idle: written.body_idle_timeout.as_ref(),
            pace: written.body_pace.as_ref(),
        },
    );
    // A vendor's id is an upstream's id: both have one alphabet.
    let id = UpstreamId::parse(vendor.as_str()).unwrap_or_else(|_| unknown_id());
    Arc::new(settings(id, base, deadlines, networks))
}

/// What stands for an upstream that could not be read, or is not looked for.
pub(super) fn unknown() -> Arc<UpstreamSettings> {
    Arc::new(settings(unknown_id(), unknown_base(), DEFAULT_DEADLINES, AllowedNetworks::Any))
}

fn unknown_id() -> UpstreamId {
    UpstreamId::parse("unknown").expect("a constant id")
}

fn unknown_base() -> Url {
    Url::parse_base("http://upstream.invalid").expect("a constant URL")
}

fn settings(id: UpstreamId, base: Url, deadlines: UpstreamDeadlines, networks: AllowedNetworks) -> UpstreamSettings {
    let UpstreamDeadlines { connect, response, body } = deadlines;
    UpstreamSettings { id, base, connect_deadline: connect, response_deadline: response, body, networks }
}

/// How long an upstream, and whoever sends a body to or from it, may take.
struct UpstreamDeadlines {
    connect: Duration,
    response: Duration,
    body: BodyLimits,
}

/// The same as it is written, for either kind of upstream.
struct WrittenDeadlines<'a> {
    connect: Option<&'a file::DurationText>,
    response: Option<&'a file::DurationText>,
    idle: Option<&'a file::DurationText>,
    pace: Option<&'a file::PaceText>,
}

const DEFAULT_DEADLINES: UpstreamDeadlines = UpstreamDeadlines {
    connect: CONNECT_DEADLINE,
    response: RESPONSE_DEADLINE,
    body: BodyLimits { idle: BODY_IDLE_DEADLINE, min_rate: MinRate { bytes: BODY_PACE_BYTES, per: BODY_PACE_PER } },
};

fn deadlines(at: &Cursor<'_>, written: &WrittenDeadlines<'_>) -> UpstreamDeadlines {
    let read = |name: &str, written: Option<&file::DurationText>, default| {
        values::duration(&at.key(name), written, UPSTREAM_DEADLINE_MAX).unwrap_or(default)
    };
    UpstreamDeadlines {
        connect: read("connect_timeout", written.connect, DEFAULT_DEADLINES.connect),
        response: read("response_timeout", written.response, DEFAULT_DEADLINES.response),
        body: BodyLimits {
            idle: read("body_idle_timeout", written.idle, DEFAULT_DEADLINES.body.idle),
            min_rate: pace(&at.key("body_pace"), written.pace).unwrap_or(DEFAULT_DEADLINES.body.min_rate),
        },
    }
}

fn pace(at: &Cursor<'_>, written: Option<&file::PaceText>) -> Option<MinRate> {
    match units::parse_pace(&written?.0) {
        Ok((bytes, per)) if bytes <= BODY_PACE_BYTES_MAX => return Some(MinRate { bytes, per }),
        Ok(_) => at.invalid("must be at most 1MiB", "1MiB/s"),
        Err(error) => at.invalid_unit(error),
    }
    None
}

fn base_url(at: &Cursor<'_>, text: &str) -> Option<Url> {
    let read = Url::parse_base(text);
    match &read {
        Ok(_) => {}
        Err(error @ UrlError::UserInfo) => {
            at.fault_without_line(error.to_string(), "take it out of the URL, and change the password");
        }
        Err(error @ (UrlError::Query | UrlError::Fragment)) => {
            at.invalid(error.to_string(), text.split(['?', '#']).next().unwrap_or_default());
        }
        Err(error @ UrlError::Path) => at.invalid(error.to_string(), "https://api.acme.example/v2"),
        Err(error @ (UrlError::Scheme | UrlError::Unreadable | UrlError::PlainText)) => {
            at.invalid_with_guess(error.to_string(), suggest::url(text), "http://127.0.0.1:9000");
        }
    }
    read.ok()
}

/// What leaves to a vendor goes under TLS, unless it stays in a network that the contract names.
fn check_reachable(at: &Cursor<'_>, base: &Url, networks: &AllowedNetworks) {
    let listed = match networks {
        AllowedNetworks::Any => true,
        AllowedNetworks::PublicAnd(listed) => !listed.is_empty(),
    };
    if let Some(address) = base.address().filter(|address| !networks.allows(*address)) {
        let net = if address.is_ipv4() { format!("{address}/32") } else { format!("{address}/128") };
        at.invalid("is not a public address", format!("allow_networks: [\"{net}\"] beside it if it is meant"));
    } else if base.scheme() == UrlScheme::Http && !listed {
        let instead = format!("https://{}, or allow_networks for a private network", base.authority());
        at.invalid("would send data to the vendor in clear", instead);
    }
}

fn networks(at: &Cursor<'_>, written: &[String]) -> Vec<ipnet::IpNet> {
    let mut networks = Vec::new();
    for (i, text) in written.iter().enumerate() {
        match text.parse::<ipnet::IpNet>() {
            Ok(net) if net.prefix_len() == 0 => at
                .item(i)
                .invalid_with_remedy("would allow every address", "write the network that the vendor's API is in"),
            Ok(net) if net.trunc() != net => at.item(i).invalid("has bits beyond its prefix", net.trunc().to_string()),
            Ok(net) => networks.push(net),
            Err(_) => {
                let one = text.trim().parse::<std::net::IpAddr>().ok().map(|ip| ipnet::IpNet::from(ip).to_string());
                at.item(i).invalid_with_guess("must be a network in CIDR form", one, "10.2.0.0/16");
            }
        }
    }
    networks
}

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
use crate::config::file::route::VendorUpstream;
use crate::config::source::At;
use crate::config::{suggest, units};
use crate::model::{UpstreamId, VendorId};
use crate::upstream::{BaseUrl, BaseUrlError, BodyPatience, Networks, Pace, Scheme, Settings};

/// The internal APIs by name.
pub(in crate::config) type Upstreams = BTreeMap<String, Arc<Settings>>;

/// `upstreams:`
pub(in crate::config) fn upstreams(at: &At<'_>, written: Option<&BTreeMap<String, file::Upstream>>) -> Upstreams {
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
                    &Written {
                        connect: upstream.connect_timeout.as_ref(),
                        response: upstream.response_timeout.as_ref(),
                        idle: upstream.body_idle_timeout.as_ref(),
                        pace: upstream.body_pace.as_ref(),
                    },
                );
                upstreams.insert(name.clone(), Arc::new(settings(id, base, deadlines, Networks::Any)));
            }
        }
    }
    upstreams
}

/// A contract's `egress.upstream`.
pub(super) fn vendor_upstream(at: &At<'_>, vendor: &VendorId, written: &VendorUpstream) -> Arc<Settings> {
    let listed = networks(&at.key("allow_networks"), written.allow_networks.as_deref().unwrap_or_default());
    let networks = Networks::PublicAnd(listed.into());
    let base = written.url.as_deref().and_then(|text| base_url(&at.key("url"), text));
    base.iter().for_each(|base| check_reachable(&at.key("url"), base, &networks));
    let base = base.unwrap_or_else(unknown_base);
    let deadlines = deadlines(
        at,
        &Written {
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
pub(super) fn unknown() -> Arc<Settings> {
    Arc::new(settings(unknown_id(), unknown_base(), DEFAULTS, Networks::Any))
}

fn unknown_id() -> UpstreamId {
    UpstreamId::parse("unknown").expect("a constant id")
}

fn unknown_base() -> BaseUrl {
    BaseUrl::parse("http://upstream.invalid").expect("a constant URL")
}

fn settings(id: UpstreamId, base: BaseUrl, deadlines: Deadlines, networks: Networks) -> Settings {
    let Deadlines { connect, response, body } = deadlines;
    Settings { id, base, connect_deadline: connect, response_deadline: response, body, networks }
}

/// How long an upstream, and whoever sends a body to or from it, may take.
struct Deadlines {
    connect: Duration,
    response: Duration,
    body: BodyPatience,
}

/// The same as it is written, for either kind of upstream.
struct Written<'a> {
    connect: Option<&'a file::Duration>,
    response: Option<&'a file::Duration>,
    idle: Option<&'a file::Duration>,
    pace: Option<&'a file::Pace>,
}

const DEFAULTS: Deadlines = Deadlines {
    connect: CONNECT_DEADLINE,
    response: RESPONSE_DEADLINE,
    body: BodyPatience { idle: BODY_IDLE_DEADLINE, least: Pace { bytes: BODY_PACE_BYTES, per: BODY_PACE_PER } },
};

fn deadlines(at: &At<'_>, written: &Written<'_>) -> Deadlines {
    let read = |name: &str, written: Option<&file::Duration>, default| {
        values::duration(&at.key(name), written, UPSTREAM_DEADLINE_MAX).unwrap_or(default)
    };
    Deadlines {
        connect: read("connect_timeout", written.connect, DEFAULTS.connect),
        response: read("response_timeout", written.response, DEFAULTS.response),
        body: BodyPatience {
            idle: read("body_idle_timeout", written.idle, DEFAULTS.body.idle),
            least: pace(&at.key("body_pace"), written.pace).unwrap_or(DEFAULTS.body.least),
        },
    }
}

fn pace(at: &At<'_>, written: Option<&file::Pace>) -> Option<Pace> {
    match units::pace(&written?.0) {
        Ok((bytes, per)) if bytes <= BODY_PACE_BYTES_MAX => return Some(Pace { bytes, per }),
        Ok(_) => at.bad("must be at most 1MiB", "1MiB/s"),
        Err(error) => at.bad_unit(error),
    }
    None
}

fn base_url(at: &At<'_>, text: &str) -> Option<BaseUrl> {
    let read = BaseUrl::parse(text);
    match &read {
        Ok(_) => {}
        Err(error @ BaseUrlError::UserInfo) => {
            at.fault_unshown(error.to_string(), "take it out of the URL, and change the password");
        }
        Err(error @ (BaseUrlError::Query | BaseUrlError::Fragment)) => {
            at.bad(error.to_string(), text.split(['?', '#']).next().unwrap_or_default());
        }
        Err(error @ BaseUrlError::Path) => at.bad(error.to_string(), "https://api.acme.example/v2"),
        Err(error @ (BaseUrlError::Scheme | BaseUrlError::Unreadable)) => {
            at.bad_or(error.to_string(), suggest::url(text), "http://127.0.0.1:9000");
        }
    }
    read.ok()
}

/// What leaves to a vendor goes under TLS, unless it stays in a network that the contract names.
fn check_reachable(at: &At<'_>, base: &BaseUrl, networks: &Networks) {
    let listed = match networks {
        Networks::Any => true,
        Networks::PublicAnd(listed) => !listed.is_empty(),
    };
    if let Some(address) = base.address().filter(|address| !networks.permit(*address)) {
        let net = if address.is_ipv4() { format!("{address}/32") } else { format!("{address}/128") };
        at.bad("is not a public address", format!("allow_networks: [\"{net}\"] beside it if it is meant"));
    } else if base.scheme() == Scheme::Http && !listed {
        let instead = format!("https://{}, or allow_networks for a private network", base.authority());
        at.bad("would send data to the vendor in clear", instead);
    }
}

fn networks(at: &At<'_>, written: &[String]) -> Vec<ipnet::IpNet> {
    let mut networks = Vec::new();
    for (i, text) in written.iter().enumerate() {
        match text.parse::<ipnet::IpNet>() {
            Ok(net) if net.prefix_len() == 0 => {
                at.item(i).bad_so("would allow every address", "write the network that the vendor's API is in")
            }
            Ok(net) if net.trunc() != net => at.item(i).bad("has bits beyond its prefix", net.trunc().to_string()),
            Ok(net) => networks.push(net),
            Err(_) => {
                let one = text.trim().parse::<std::net::IpAddr>().ok().map(|ip| ipnet::IpNet::from(ip).to_string());
                at.item(i).bad_or("must be a network in CIDR form", one, "10.2.0.0/16");
            }
        }
    }
    networks
}

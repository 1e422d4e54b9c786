//! Checks `upstreams:` of the main file and `egress.upstream` of a contract.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::upstream_tls::upstream_tls;
use super::{upstream_group, values};
use crate::bounds::{
    BODY_IDLE_DEADLINE, BODY_PACE_BYTES, BODY_PACE_BYTES_MAX, BODY_PACE_PER, CONNECT_DEADLINE, RESPONSE_DEADLINE,
    UPSTREAM_DEADLINE_MAX,
};
use crate::config::file;
use crate::config::file::route::VendorUpstreamConfig;
use crate::config::source::Cursor;
use crate::config::undeclared::UNDECLARED;
use crate::config::{suggest, units};
use crate::http::{Url, UrlError, UrlScheme};
use crate::model::{UpstreamId, VendorId};
use crate::upstream::{
    AllowedNetworks, BodyLimits, GroupSettings, HttpProtocol, MinRate, UpstreamSettings, UpstreamTlsSettings,
};

/// The internal APIs by name.
pub(in crate::config) type Upstreams = BTreeMap<String, Arc<UpstreamSettings>>;

/// Checks what is written under `upstreams:`.
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
                upstreams.insert(name.clone(), settings(&at, id, upstream, AllowedNetworks::Any));
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
    // A vendor's id is a valid upstream's id: both have the same alphabet.
    let id = UpstreamId::parse(vendor.as_str()).unwrap_or_else(|_| unknown_id());
    settings(at, id, &written.without_networks(), AllowedNetworks::PublicAnd(listed.into()))
}

/// How destinations that no contract lists are called. The URL is each destination's own.
pub(super) fn undeclared_upstream(at: &Cursor<'_>, written: &[String]) -> Arc<UpstreamSettings> {
    let id = UpstreamId::parse(UNDECLARED).unwrap_or_else(|_| unknown_id());
    Arc::new(defaults(id, AllowedNetworks::PublicAnd(networks(at, written).into())))
}

/// Takes the place of an upstream that is invalid, or that is not known because the main file was not read.
/// The settings of an internal API of which only the name is known, because the main file is not read.
pub(super) fn unread(name: &str) -> Arc<UpstreamSettings> {
    UpstreamId::parse(name).map_or_else(|_| unknown(), |id| Arc::new(defaults(id, AllowedNetworks::Any)))
}

pub(super) fn unknown() -> Arc<UpstreamSettings> {
    Arc::new(defaults(unknown_id(), AllowedNetworks::Any))
}

fn unknown_id() -> UpstreamId {
    UpstreamId::parse("unknown").expect("a constant id")
}

fn defaults(id: UpstreamId, networks: AllowedNetworks) -> UpstreamSettings {
    UpstreamSettings {
        id,
        base: Url::parse_base("http://upstream.invalid").expect("a constant URL"),
        connect_deadline: CONNECT_DEADLINE,
        response_deadline: RESPONSE_DEADLINE,
        body: BodyLimits { idle: BODY_IDLE_DEADLINE, min_rate: MinRate { bytes: BODY_PACE_BYTES, per: BODY_PACE_PER } },
        networks,
        protocol: HttpProtocol::default(),
        tls: UpstreamTlsSettings::default(),
        group: GroupSettings::default(),
    }
}

fn settings(
    at: &Cursor<'_>,
    id: UpstreamId,
    written: &file::UpstreamConfig,
    networks: AllowedNetworks,
) -> Arc<UpstreamSettings> {
    let mut settings = defaults(id, networks);
    let read = |name: &str, written: &Option<file::DurationText>, to: &mut Duration| {
        *to = values::duration(&at.key(name), written.as_ref(), UPSTREAM_DEADLINE_MAX).unwrap_or(*to);
    };
    read("connect_timeout", &written.connect_timeout, &mut settings.connect_deadline);
    read("response_timeout", &written.response_timeout, &mut settings.response_deadline);
    read("body_idle_timeout", &written.body_idle_timeout, &mut settings.body.idle);
    if let Some(pace) = pace(&at.key("body_pace"), written.body_pace.as_ref()) {
        settings.body.min_rate = pace;
    }
    settings.protocol = written.protocol.unwrap_or_default();
    let base = written.url.as_deref().and_then(|text| base_url(&at.key("url"), text));
    settings.group = upstream_group::group(at, written, base.as_ref(), settings.response_deadline);
    if let Some(base) = base {
        if settings.group.targets.is_empty() {
            check_reachable(&at.key("url"), &base, &settings.networks);
        }
        for (i, target) in settings.group.targets.iter().enumerate() {
            check_reachable(&at.key("targets").item(i), target, &settings.networks);
        }
        if let Some(tls) = &written.tls {
            settings.tls = upstream_tls(&at.key("tls"), tls, base.scheme());
        }
        settings.base = base;
    }
    Arc::new(settings)
}

fn pace(at: &Cursor<'_>, written: Option<&file::PaceText>) -> Option<MinRate> {
    let (bytes, per) = at.parsed(units::parse_pace(&written?.0))?;
    if bytes > BODY_PACE_BYTES_MAX {
        at.invalid("must be at most 1MiB", "1MiB/s");
        return None;
    }
    Some(MinRate { bytes, per })
}

pub(super) fn base_url(at: &Cursor<'_>, text: &str) -> Option<Url> {
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

/// Refuses plain HTTP and private addresses towards a vendor, unless the contract allows the network.
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

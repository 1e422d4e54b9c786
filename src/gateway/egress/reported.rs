//! Destinations that no contract lists, while the config lets them pass for a roll-out.
//!
//! They are called as any vendor is: admitted by policies of their own, counted, limited, killed. Each is a route,
//! named by its host, with connections of its own. None of them is an address, or a host that a contract lists at any
//! port: what has rules is never called around them.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use rustls::ClientConfig;

use super::super::assemble::VendorBuilder;
use super::super::snapshot::{RouteRuntime, Snapshot, VendorRuntime};
use super::super::state::Gateway;
use super::super::undeclared::unlisted_route;
use super::{MAIL_PORT, unknown_host};
use crate::bounds::UNDECLARED_DESTINATIONS_MAX;
use crate::exposure::{ExposureCounters, ExposureProfile};
use crate::http::{HostPort, Url, UrlScheme};
use crate::meter::UsageLedger;
use crate::model::{ClientId, Denial, Direction, Lock as _, Reason, VendorId, with_causes};
use crate::pii::ClearList;
use crate::telemetry::{RouteMetrics, TrafficMetrics};
use crate::upstream::{
    ConnectError, OwnAddresses, SocketBudget, TunnelConnector, UpstreamConnector, UpstreamGroup, UpstreamSettings,
};

/// The line in the exposure report of hosts beyond the first [`UNDECLARED_DESTINATIONS_MAX`] of a config.
const OTHER_HOSTS: &str = "_other";

/// A destination, as connections to it are shared.
type DestinationKey = (UrlScheme, HostPort<'static>);

/// The destinations that were called, and what each new one is made with.
#[derive(Debug)]
pub(in crate::gateway) struct ReportedDestinations {
    vendor: VendorId,
    settings: Arc<UpstreamSettings>,
    tls: Arc<ClientConfig>,
    own_addresses: Arc<OwnAddresses>,
    sockets: Arc<SocketBudget>,
    workers: usize,
    ledger: Arc<UsageLedger>,
    metrics: Arc<RouteMetrics>,
    exposure: Arc<ExposureCounters>,
    known: Mutex<KnownDestinations>,
}

#[derive(Debug, Default)]
struct KnownDestinations {
    routes: HashMap<DestinationKey, Arc<RouteRuntime>>,
    /// The hosts that have a line of their own in the exposure report.
    exposed: HashSet<Box<str>>,
}

/// A destination that no contract lists and that may pass now.
#[derive(Debug)]
pub(in crate::gateway) struct ReportedDestination<'s> {
    pub(in crate::gateway) vendor: &'s Arc<VendorRuntime>,
    pub(in crate::gateway) route: Arc<RouteRuntime>,
    all: &'s ReportedDestinations,
    named: String,
}

/// Lets a destination pass that no contract lists, where the config does so at this time. What became of it is noted by
/// [`ReportedDestination::note`].
///
/// # Errors
/// [`Reason::DestinationUnknown`] where it may not pass, which is noted.
pub(in crate::gateway) fn pass_unlisted<'s>(
    (gateway, service): (&Gateway, Option<&ClientId>),
    snapshot: &'s Snapshot,
    scheme: UrlScheme,
    destination: &HostPort<'_>,
) -> Result<ReportedDestination<'s>, Denial> {
    let refused = || unknown_host(gateway, destination, service);
    let (vendor, all) = snapshot.reporting(gateway.clock.now().wall).ok_or_else(refused)?;
    let has_name = destination.address().is_none() && destination.port != MAIL_PORT;
    if !has_name || snapshot.hosts.has_host(&destination.host) || gateway.own_addresses.are_named(destination) {
        return Err(refused());
    }
    Ok(ReportedDestination { vendor, route: all.route(scheme, destination)?, all, named: destination.to_string() })
}

impl ReportedDestination<'_> {
    /// What is denied of it when the roll-out is over.
    pub(in crate::gateway) fn would_deny(&self) -> Denial {
        Denial::new(Reason::DestinationUnknown, format!("no contract has the host {}", self.named))
    }

    /// Notes that it was asked for, and whether its policies let it pass. The log tells of the first time.
    pub(in crate::gateway) fn note(&self, gateway: &Gateway, service: Option<&ClientId>, passes: bool) {
        let (now, caller) = (gateway.clock.now().wall, service.map(ClientId::as_str));
        if !passes {
            return gateway.unknown_destinations.note(self.named.clone(), caller, now);
        }
        if gateway.unknown_destinations.note_passed(self.named.clone(), caller, now) {
            let caller = caller.unwrap_or("-");
            tracing::warn!(destination = self.named, caller, "no contract lists a destination that passes for a time");
        }
    }

    /// Opens connections to the destination for the caller's own TLS.
    ///
    /// # Errors
    /// [`Reason::DestinationUnknown`] for what can be no host.
    pub(in crate::gateway) fn tunnels(&self, destination: &HostPort<'_>) -> Result<TunnelConnector, Denial> {
        let settings = self.all.settings_of(UrlScheme::Http, destination)?;
        let connector = self.all.connector(&settings).map_err(|error| unusable(&error))?;
        Ok(TunnelConnector::new(connector, Arc::clone(&self.all.sockets)))
    }
}

impl ReportedDestinations {
    /// The route of a destination, made with its first call.
    fn route(&self, scheme: UrlScheme, destination: &HostPort<'_>) -> Result<Arc<RouteRuntime>, Denial> {
        let key = (scheme, destination.clone().into_owned());
        let mut all = self.known.locked();
        let KnownDestinations { routes, exposed } = &mut *all;
        if let Some(known) = routes.get(&key) {
            return Ok(Arc::clone(known));
        }
        if routes.len() >= UNDECLARED_DESTINATIONS_MAX {
            // Those that nothing calls now lose their idle connections.
            routes.retain(|_, route| Arc::strong_count(route) > 1);
        }
        if routes.len() >= UNDECLARED_DESTINATIONS_MAX {
            let detail = format!("more than {UNDECLARED_DESTINATIONS_MAX} destinations of no contract at once");
            return Err(Denial::new(Reason::Overloaded, detail));
        }
        let has_own = exposed.len() < UNDECLARED_DESTINATIONS_MAX || exposed.contains(&*destination.host);
        if has_own {
            exposed.insert(destination.host.as_ref().into());
        }
        let route = Arc::new(self.new_route(scheme, destination, has_own)?);
        routes.insert(key, Arc::clone(&route));
        Ok(route)
    }

    /// `is_exposed` says whether the host has a line of its own in the exposure report.
    fn new_route(
        &self,
        scheme: UrlScheme,
        destination: &HostPort<'_>,
        is_exposed: bool,
    ) -> Result<RouteRuntime, Denial> {
        let settings = self.settings_of(scheme, destination)?;
        let connector = || self.connector(&settings);
        let checked = |_: &Url| Arc::default();
        let group = UpstreamGroup::new(connector, &settings, self.workers, &self.sockets, checked, None);
        let name: &str = &destination.host;
        let profile = ExposureProfile {
            vendor: self.vendor.clone(),
            direction: Direction::Egress,
            route: if is_exposed { name } else { OTHER_HOSTS }.into(),
            rules: Vec::new(),
            clear: None,
            listed: ClearList::default(),
        };
        let upstream = (Arc::new(group.map_err(|error| unusable(&error))?), &settings.id);
        // One series for all: the names are the services' to choose.
        let counters = (&self.metrics, self.exposure.handle(profile));
        Ok(unlisted_route(name, upstream, &self.ledger, counters))
    }

    fn connector(&self, settings: &UpstreamSettings) -> Result<UpstreamConnector, ConnectError> {
        Ok(UpstreamConnector::new(settings, &self.tls)?.avoiding(&self.own_addresses))
    }

    fn settings_of(&self, scheme: UrlScheme, destination: &HostPort<'_>) -> Result<UpstreamSettings, Denial> {
        let base =
            Url::parse_base(&format!("{}://{destination}", scheme.as_str())).map_err(|error| unusable(&error))?;
        Ok(UpstreamSettings { base, ..UpstreamSettings::clone(&self.settings) })
    }
}

fn unusable(error: &dyn std::error::Error) -> Denial {
    Denial::new(Reason::DestinationUnknown, with_causes(error))
}

impl VendorBuilder<'_> {
    /// Where calls go that no contract lists, where this contract stands for them.
    pub(in crate::gateway) fn reported(
        &self,
        direction: Direction,
        ledger: &Arc<UsageLedger>,
        traffic: &TrafficMetrics,
    ) -> Option<ReportedDestinations> {
        let settings = self.contract.reach.undeclared.clone().filter(|_| direction == Direction::Egress)?;
        Some(ReportedDestinations {
            vendor: self.contract.vendor.clone(),
            settings,
            tls: Arc::clone(&self.services.tls),
            own_addresses: Arc::clone(&self.services.own_addresses),
            sockets: Arc::clone(&self.services.sockets),
            workers: self.services.workers,
            ledger: Arc::clone(ledger),
            metrics: Arc::clone(traffic.unmatched()),
            exposure: Arc::clone(&self.services.exposure),
            known: Mutex::default(),
        })
    }
}

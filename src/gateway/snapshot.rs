//! The config in force, in the form that requests read: every vendor with its routes, policies, limits and counters.
//!
//! Immutable: a reload makes a new snapshot and swaps it, and a request reads one snapshot from start to end. What
//! outlives a reload (registered requests, used limits, metrics, keys) is shared by both.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use ::http::{HeaderValue, Method};

use super::egress::{HostIndex, ReportedDestinations};
use super::route_fallback::RouteFallback;
use super::rule_matches::RuleMatchCounts;
use crate::config::{Contract, UNDECLARED};
use crate::credentials::VendorCredential;
use crate::exposure::{self, CallerCounters};
use crate::http::HostPort;
use crate::identity::{Directory, ServiceDirectory};
use crate::kill::{DenialBurst, RouteTag, VendorGate};
use crate::meter::{UsageLedger, VendorLedgers};
use crate::model::{ClientId, Denial, Direction, Reason, TreatmentKind, UnixTime, VendorId};
use crate::observation::VendorSeen;
use crate::parameters::ParameterRules;
use crate::pii::{OnUnexpectedShape, Plan, RevealCounts, VendorKeys};
use crate::policy::{PolicyChain, RouteTerms};
use crate::route::Captures;
use crate::telemetry::{RouteMetrics, TrafficMetrics, UNMATCHED_ROUTE, VendorMetrics};
use crate::upstream::{TunnelConnector, UpstreamGroup};

/// All vendors of one config.
#[derive(Debug)]
pub struct Snapshot {
    /// The number of configs that were put in force so far, this one included.
    pub generation: u64,
    pub(super) directory: Directory,
    /// Our own services.
    pub(super) services: ServiceDirectory,
    pub(super) vendors: Box<[Arc<VendorRuntime>]>,
    pub(super) by_id: HashMap<VendorId, u32>,
    pub(super) hosts: HostIndex,
}

/// One vendor at run time.
#[derive(Debug)]
pub struct VendorRuntime {
    /// The contract of the vendor.
    pub contract: Arc<Contract>,
    /// The vendor's requests in flight, and the kills that cover them.
    pub kill_gate: Arc<VendorGate>,
    /// What is used of the vendor's limits, in each direction.
    pub ledgers: VendorLedgers,
    /// The metrics of the vendor.
    pub metrics: Arc<VendorMetrics>,
    /// The generation of the config since which this contract is in force.
    pub(super) since: u64,
    /// The client that the company's own services count as.
    pub(super) own_client: ClientId,
    pub(super) keys: Arc<VendorKeys>,
    /// By what the vendor knows us, where the gateway holds it.
    pub(super) credential: Option<Arc<VendorCredential>>,
    /// What became of the vendor's tokens, where rules reveal them.
    pub(super) reveals: Arc<RevealCounts>,
    pub(super) header: HeaderValue,
    pub(super) burst: Option<Arc<DenialBurst>>,
    /// With `Some`, this was made to observe until then.
    pub(super) observe_until: Option<UnixTime>,
    /// What was seen of the vendor's calls, while it observes or refuses them.
    pub(super) seen: Arc<VendorSeen>,
    pub(super) directions: [DirectionRuntime; Direction::ALL.len()],
}

/// One direction of one vendor at run time.
#[derive(Debug)]
pub(super) struct DirectionRuntime {
    pub(super) chain: PolicyChain,
    pub(super) routes: Box<[Arc<RouteRuntime>]>,
    /// Where calls go that no route covers, while the contract observes.
    pub(super) undeclared: Option<Arc<RouteRuntime>>,
    pub(super) traffic: Arc<TrafficMetrics>,
    /// What there is for tunnels, where the contract lets their bytes pass unread.
    pub(super) tunnel: Option<TunnelRuntime>,
    /// Destinations that no contract lists, where this stands for them.
    pub(super) reported: Option<ReportedDestinations>,
}

/// Tunnels to one vendor whose bytes pass unread.
#[derive(Debug)]
pub(super) struct TunnelRuntime {
    /// Stands for all of them in policies, counters and kills.
    pub(super) route: Arc<RouteRuntime>,
    pub(super) connector: TunnelConnector,
}

/// One route at run time.
#[derive(Debug)]
pub struct RouteRuntime {
    /// Methods and path, as the contract has them.
    pub name: Box<str>,
    /// The names of the captures, in the order of the path.
    pub(super) captures: Box<[Box<str>]>,
    pub(super) tag: RouteTag,
    /// What policies see of the route.
    pub(super) terms: RouteTerms,
    /// What is used of the limits of the route's direction.
    pub(super) ledger: Arc<UsageLedger>,
    pub(super) upstream: Arc<UpstreamGroup>,
    pub(super) upstream_name: Box<str>,
    /// By what the upstream knows us, where the gateway holds it. Only on egress.
    pub(super) credential: Option<Arc<VendorCredential>>,
    /// Whether a request may become a WebSocket.
    pub(super) websocket: bool,
    /// Whether a segment of the path may hold a slash as `%2F`.
    pub(super) allow_encoded_slash: bool,
    /// What a caller gets where the upstream gives no answer.
    pub(super) fallback: Option<RouteFallback>,
    /// Which parameters and header fields pass, also while the contract observes; `None` where all do.
    pub(super) parameters: Option<Box<ParameterRules>>,
    pub(super) request: Option<MessageRules>,
    pub(super) response: Option<MessageRules>,
    /// While the contract observes: the rules that only count what they would do. Then the two above are `None`.
    pub(super) observed: Option<ObservedRules>,
    pub(super) metrics: Arc<RouteMetrics>,
    /// The counters of what left through the route.
    pub(super) exposure: exposure::RouteCounters,
    /// The `RateLimit-Policy` field of responses; made with the first response.
    pub(super) rate_policy: OnceLock<HeaderValue>,
}

/// The rules of a route whose contract observes: they are run beside the messages, which pass as they are.
#[derive(Debug, Default)]
pub(super) struct ObservedRules {
    pub(super) request: Option<MessageRules>,
    pub(super) response: Option<MessageRules>,
}

/// What the contract asks for one message, request or response, of a route.
#[derive(Debug)]
pub(super) struct MessageRules {
    pub(super) plan: Plan,
    /// How often each rule has matched.
    pub(super) matched: RuleMatchCounts,
    /// What is done with a body of another shape than the path of its records describes.
    pub(super) on_shape: OnUnexpectedShape,
    pub(super) counts_records: bool,
    pub(super) names_subject: bool,
    /// Whether the message leaves the company, so that what is in it counts as exposed.
    pub(super) counts_as_exposure: bool,
    /// Whether the contract observes, so that every value that a rule selects leaves as it is.
    pub(super) observes: bool,
}

impl MessageRules {
    /// Where the values count that leave with a message of this caller; `None` where they stay within the company.
    pub(super) fn exposure(&self, route: &RouteRuntime, caller: Option<&ClientId>) -> Option<CallerCounters> {
        self.counts_as_exposure.then(|| route.exposure.by(caller))
    }

    /// Counts values that the rule of this index has treated: in the route's metrics and, where the message leaves the
    /// company, in its exposure. Both know the rules by their index in the plan.
    pub(super) fn count(&self, route: &RouteRuntime, exposure: Option<&CallerCounters>, rule: usize, values: u64) {
        let treatment = if self.observes { TreatmentKind::Report } else { self.plan.rules()[rule].treatment };
        route.metrics.pii_values(treatment, values);
        self.matched.add(rule, values);
        if let Some(exposure) = exposure {
            exposure.add_treated(rule, values);
        }
    }
}

impl RouteRuntime {
    /// Whether anything of either message is treated or counted by rules.
    pub(super) const fn has_rules(&self) -> bool {
        self.request.is_some() || self.response.is_some()
    }

    /// Whether a rule reads the body of either message.
    pub(super) fn reads_bodies(&self) -> bool {
        [&self.request, &self.response].into_iter().flatten().any(|rules| rules.plan.reads_body())
    }

    /// The rules by which the request is counted, in force or observed.
    pub(super) fn request_counts(&self) -> Option<&MessageRules> {
        self.request.as_ref().or_else(|| self.observed.as_ref()?.request.as_ref())
    }

    /// Whether this stands for the calls that no route covers.
    pub(super) fn is_undeclared(&self) -> bool {
        self.observed.is_some() && &*self.name == UNMATCHED_ROUTE
    }

    /// The rules by which the response is counted, in force or observed.
    pub(super) fn response_counts(&self) -> Option<&MessageRules> {
        self.response.as_ref().or_else(|| self.observed.as_ref()?.response.as_ref())
    }
}

impl Snapshot {
    /// The vendor of this name.
    pub fn vendor(&self, id: &str) -> Option<&Arc<VendorRuntime>> {
        self.vendors.get(*self.by_id.get(id)? as usize)
    }

    /// The vendor that a destination of our services is.
    pub(super) fn vendor_at(&self, destination: &HostPort<'_>) -> Option<&Arc<VendorRuntime>> {
        self.vendors.get(self.hosts.find(destination)? as usize)
    }

    /// What stands for destinations that no contract lists, where they may pass at this time.
    pub(super) fn reporting(&self, now: UnixTime) -> Option<(&Arc<VendorRuntime>, &ReportedDestinations)> {
        let vendor = self.vendor(UNDECLARED).filter(|vendor| now < vendor.contract.ends)?;
        Some((vendor, vendor.direction(Direction::Egress).reported.as_ref()?))
    }

    /// Whether one of our own services has this name.
    pub fn has_service(&self, name: &str) -> bool {
        self.services.has(name)
    }

    /// The callers, and the keys that prove them.
    pub const fn directory(&self) -> &Directory {
        &self.directory
    }

    /// The number of usable signing keys of each vendor whose callers have signed tokens.
    pub fn issuers(&self) -> impl Iterator<Item = (&VendorId, usize)> {
        let vendors = self.vendors.iter().zip(0..);
        vendors.filter_map(|(vendor, index)| Some((vendor.id(), self.directory.key_status(index)?.keys)))
    }

    /// Starts what keeps the credentials up to date.
    pub fn start_credentials(&self, runtime: &tokio::runtime::Handle) {
        for vendor in &self.vendors {
            if let Some(own) = &vendor.credential {
                own.start(runtime, vendor.contract.calendar());
            }
        }
    }

    /// All vendors, by name.
    pub fn vendors(&self) -> &[Arc<VendorRuntime>] {
        &self.vendors
    }
}

impl VendorRuntime {
    /// The id of the vendor.
    pub fn id(&self) -> &VendorId {
        &self.contract.vendor
    }

    /// The value of one whole token of this vendor; `None` when the vendor's keys do not open it.
    pub fn reveal(&self, token: &str) -> Option<String> {
        let mut value = Vec::new();
        self.keys.open(token.as_bytes(), &mut value).ok()?;
        String::from_utf8(value).ok()
    }

    /// What became of the vendor's tokens on its routes, since the start of the process.
    pub fn reveals(&self) -> &RevealCounts {
        &self.reveals
    }

    /// By what the vendor knows us, where the gateway holds it.
    pub fn credential(&self) -> Option<&Arc<VendorCredential>> {
        self.credential.as_ref()
    }

    /// The count of denials; `None` where the contract does not have the vendor killed for a burst of them.
    pub fn burst(&self) -> Option<&DenialBurst> {
        self.burst.as_deref()
    }

    pub(super) fn direction(&self, direction: Direction) -> &DirectionRuntime {
        &self.directions[direction.index()]
    }

    /// The upstream of this name that routes of a direction have.
    pub(super) fn upstream(&self, direction: Direction, name: &str) -> Option<&Arc<UpstreamGroup>> {
        let mut routes = self.direction(direction).routes.iter();
        routes.find(|route| *route.upstream_name == *name).map(|route| &route.upstream)
    }

    /// Every upstream of the vendor's routes, with its name, once.
    pub fn upstreams(&self) -> Vec<(Direction, &str, &Arc<UpstreamGroup>)> {
        let mut found: Vec<(Direction, &str, &Arc<UpstreamGroup>)> = Vec::new();
        for direction in Direction::ALL {
            for route in &self.direction(direction).routes {
                if !found.iter().any(|(_, _, known)| Arc::ptr_eq(known, &route.upstream)) {
                    found.push((direction, &route.upstream_name, &route.upstream));
                }
            }
        }
        found
    }

    /// The route of a request, and the ranges of its captures in the path.
    pub(super) fn find(
        &self,
        direction: Direction,
        method: &Method,
        path: &str,
    ) -> Option<(&Arc<RouteRuntime>, Captures)> {
        let (index, _, captures) = self.contract.routes(direction).find(method, path)?;
        Some((self.direction(direction).routes.get(index.get())?, captures))
    }

    /// The route of a request; where none covers it and the contract observes, the place where such requests go. No
    /// route covers a tunnel.
    pub(super) fn find_or_undeclared(
        &self,
        direction: Direction,
        method: &Method,
        path: &str,
    ) -> Option<(&Arc<RouteRuntime>, Captures)> {
        self.find(direction, method, path).or_else(|| {
            let is_call = !matches!(*method, Method::CONNECT | Method::TRACE);
            let undeclared = self.direction(direction).undeclared.as_ref().filter(|_| is_call);
            Some((undeclared?, Captures::default()))
        })
    }

    /// Whether this was made to observe: nothing of the contract but identity, days and kills holds.
    pub fn observes(&self) -> bool {
        self.observe_until.is_some()
    }

    /// Whether this was made to observe, for a time that is over: the contract is to be enforced.
    pub fn has_observed(&self, now: UnixTime) -> bool {
        self.observe_until.is_some_and(|until| now >= until)
    }
}

/// The denial of a request that matches no route.
pub(super) fn unknown_route(direction: Direction) -> Denial {
    match direction {
        Direction::Ingress => Denial::new(Reason::RouteUnknown, "no route has this method and path"),
        Direction::Egress => Denial::new(Reason::DestinationUnknown, "no egress route has this method and path"),
    }
}

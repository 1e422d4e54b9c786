//! What one request reads from start to end: every vendor, ready to be decided on.
//!
//! Immutable; a reload makes a new one and swaps it. What outlives a reload (kill lines, ledgers, metrics, keys) is
//! shared by both.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use ::http::{HeaderValue, Method};

use super::rule_matches::RuleMatchCounts;
use crate::config::Contract;
use crate::exposure;
use crate::identity::Directory;
use crate::kill::{DenialBurst, RouteTag, VendorGate};
use crate::meter::{UsageLedger, VendorLedgers};
use crate::model::{ClientId, Direction, ScopeSet, VendorId};
use crate::pii::{OnUnexpectedShape, Plan, RevealCounts, VendorKeys};
use crate::policy::PolicyChain;
use crate::route::Captures;
use crate::telemetry::{RouteMetrics, TrafficMetrics, VendorMetrics};
use crate::upstream::UpstreamPool;

/// Every vendor, as one config has them.
#[derive(Debug)]
pub struct Snapshot {
    /// Counts the configs that were put in force.
    pub generation: u64,
    pub(super) directory: Directory,
    pub(super) vendors: Box<[Arc<VendorRuntime>]>,
    pub(super) by_id: HashMap<VendorId, u32>,
}

/// One vendor, ready to be decided on.
#[derive(Debug)]
pub struct VendorRuntime {
    /// Its contract.
    pub contract: Arc<Contract>,
    /// Its line at the kill switch.
    pub kill_gate: Arc<VendorGate>,
    /// What is used of its limits, in each direction.
    pub ledgers: VendorLedgers,
    /// What is counted of it.
    pub metrics: Arc<VendorMetrics>,
    /// The client that our own services count as.
    pub(super) own_client: ClientId,
    pub(super) keys: Arc<VendorKeys>,
    /// What became of its tokens, where rules reveal them.
    pub(super) reveals: Arc<RevealCounts>,
    pub(super) header: HeaderValue,
    pub(super) burst: Option<Arc<DenialBurst>>,
    pub(super) directions: [DirectionRuntime; Direction::ALL.len()],
}

/// One vendor in one direction.
#[derive(Debug)]
pub(super) struct DirectionRuntime {
    pub(super) chain: PolicyChain,
    pub(super) routes: Box<[Arc<RouteRuntime>]>,
    pub(super) traffic: Arc<TrafficMetrics>,
}

/// One route, ready to be forwarded on.
#[derive(Debug)]
pub struct RouteRuntime {
    /// As the contract writes it.
    pub name: Box<str>,
    /// The names of its captures, in the order of the path.
    pub(super) captures: Box<[Box<str>]>,
    pub(super) tag: RouteTag,
    pub(super) scopes: ScopeSet,
    /// What is used of the limits that hold for it.
    pub(super) ledger: Arc<UsageLedger>,
    /// Its place in the ledger.
    pub(super) ledger_index: usize,
    pub(super) upstream: Arc<UpstreamPool>,
    pub(super) upstream_name: Box<str>,
    /// Whether a request may go on as a WebSocket.
    pub(super) websocket: bool,
    /// Whether a segment of its path may hold a slash as `%2F`.
    pub(super) allow_encoded_slash: bool,
    pub(super) request: Option<MessageRules>,
    pub(super) response: Option<MessageRules>,
    pub(super) metrics: Arc<RouteMetrics>,
    /// What left through it.
    pub(super) exposure: exposure::RouteCounters,
    /// What its rates are, for the callers; written with the first answer.
    pub(super) rate_policy: OnceLock<HeaderValue>,
}

/// What is asked of one body of a route.
#[derive(Debug)]
pub(super) struct MessageRules {
    pub(super) plan: Plan,
    /// How often each rule has matched.
    pub(super) matched: RuleMatchCounts,
    /// What becomes of a body of another shape than its records' path describes.
    pub(super) on_shape: OnUnexpectedShape,
    pub(super) counts_records: bool,
    pub(super) names_subject: bool,
    /// Whether what it treats leaves the house, and counts as exposed.
    pub(super) counts_as_exposure: bool,
}

impl MessageRules {
    /// Counts values that a rule of the plan has treated: in the route's metrics and, where they leave, in the exposure. Both
    /// have the plan's own list of rules.
    pub(super) fn count(&self, route: &RouteRuntime, rule: usize, values: u64) {
        route.metrics.pii_values(self.plan.rules()[rule].treatment, values);
        self.matched.add(rule, values);
        if self.counts_as_exposure {
            route.exposure.add_treated(rule, values);
        }
    }
}

impl Snapshot {
    /// The vendor of this name.
    pub fn vendor(&self, id: &str) -> Option<&Arc<VendorRuntime>> {
        self.vendors.get(*self.by_id.get(id)? as usize)
    }

    /// Who may call, and by which keys.
    pub const fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Each vendor's usable signing keys, for those that prove themselves by signed tokens.
    pub fn issuers(&self) -> impl Iterator<Item = (&VendorId, usize)> {
        let vendors = self.vendors.iter().zip(0..);
        vendors.filter_map(|(vendor, index)| Some((vendor.id(), self.directory.key_status(index)?.keys)))
    }

    /// All vendors, by name.
    pub fn vendors(&self) -> &[Arc<VendorRuntime>] {
        &self.vendors
    }
}

impl VendorRuntime {
    /// Its id.
    pub fn id(&self) -> &VendorId {
        &self.contract.vendor
    }

    /// The value of one whole token of this vendor; `None` when its keys do not open it.
    pub fn reveal(&self, token: &str) -> Option<String> {
        let mut value = Vec::new();
        self.keys.open(token.as_bytes(), &mut value).ok()?;
        String::from_utf8(value).ok()
    }

    /// What became of its tokens on its routes, since the start of the process.
    pub fn reveals(&self) -> &RevealCounts {
        &self.reveals
    }

    /// Its count of denials, where enough of them suspend it.
    pub fn burst(&self) -> Option<&DenialBurst> {
        self.burst.as_deref()
    }

    pub(super) fn direction(&self, direction: Direction) -> &DirectionRuntime {
        &self.directions[direction.index()]
    }

    /// The route of a request, and where its captures stand in the path.
    pub(super) fn find(
        &self,
        direction: Direction,
        method: &Method,
        path: &str,
    ) -> Option<(&Arc<RouteRuntime>, Captures)> {
        let (index, _, captures) = self.contract.routes(direction).find(method, path)?;
        Some((self.direction(direction).routes.get(index.get())?, captures))
    }
}

impl RouteRuntime {
    /// What is asked of the body that leaves in this direction: the answer inward, the request outward.
    pub(super) fn leaving(&self, direction: Direction) -> Option<&MessageRules> {
        match direction {
            Direction::Ingress => self.response.as_ref(),
            Direction::Egress => self.request.as_ref(),
        }
    }
}

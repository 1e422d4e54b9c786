//! What one vendor may do: a contract file after all its checks.
//!
//! Two contracts are equal when they ask the same of the gateway, so a reload leaves an unchanged vendor alone.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};

use super::reach::ReachSettings;
use crate::anomaly::AnomalyTrip;
use crate::credentials::CredentialSettings;
use crate::identity;
use crate::meter::{AfterEnd, Calendar, Limits, VendorLimits};
use crate::model::{ClientId, Direction, ScopeSet, UnixTime, VendorId};
use crate::parameters::ParameterRules;
use crate::pii::Rules;
use crate::route::{Captures, RouteConflict, RouteIndex, RoutePattern, RouteTable};
use crate::upstream;

/// One vendor's contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contract {
    /// The unit of identity, limits, metrics and kill.
    pub vendor: VendorId,
    /// The name that people know.
    pub name: String,
    /// Who answers for this vendor within the company.
    pub owner: String,
    /// Whom to reach at the vendor when something has happened.
    pub security_contact: String,
    /// Where customers meet this vendor.
    pub journey: Vec<String>,
    /// Where the vendor processes data; empty when the contract does not say.
    pub region: String,
    /// What the vendor uses data for.
    pub purpose: Vec<String>,
    /// Whether the contract is only a draft: nothing passes under it.
    pub is_draft: bool,
    /// With `Some`, the contract only reports what it would do, for a time.
    pub observe: Option<ObserveSettings>,
    /// The first instant: 00:00 UTC of the first day.
    pub starts: UnixTime,
    /// The first instant after the contract: 00:00 UTC of the day after its last day.
    pub ends: UnixTime,
    /// What happens after the last day.
    pub after_end: AfterEnd,
    /// How long before the end warnings begin.
    pub warn_before: Duration,
    /// How the vendor proves who it is. Always present when there are ingress routes.
    pub identity: Option<identity::IdentitySettings>,
    /// The most scopes this vendor can ever have.
    pub scopes: ScopeSet,
    /// How much may pass in each direction, as written; what is not written is the default of the product.
    pub limits: VendorLimits,
    /// The circuit breaker: how many denials in how short a time suspend the vendor.
    pub trip: Option<TripSettings>,
    /// Longest time between two exercises of the kill switch.
    pub drill_every: Option<Duration>,
    /// How many different people must agree to a restore.
    pub approvals: NonZeroU32,
    /// What the vendor may call.
    pub ingress: ContractRoutes,
    /// Our services that may call it; `None` is everyone whom the listener lets in.
    pub callers: Option<Arc<[ClientId]>>,
    /// What we may send it: every route's upstream is the vendor's own API.
    pub egress: ContractRoutes,
    /// How our services reach it.
    pub reach: ReachSettings,
    /// By what the vendor knows us, where the gateway holds it.
    pub credentials: Option<CredentialSettings>,
}

/// A roll-out in which the contract reports what it would do, and lets everything pass that is proven to be the
/// vendor's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObserveSettings {
    /// The first instant at which the contract is enforced again.
    pub until: UnixTime,
    /// Where calls go that no route covers, by [`Direction::index`]; `None` refuses them.
    pub undeclared: [Option<Arc<upstream::UpstreamSettings>>; Direction::ALL.len()],
}

/// On what the gateway kills the vendor by itself, until a person restores it. At least one of the two is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TripSettings {
    /// On many denials in a short time.
    pub burst: Option<BurstSettings>,
    /// On traffic that is far above the usual.
    pub anomaly: Option<AnomalyTrip>,
}

/// This many denials in this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BurstSettings {
    /// The number of denials.
    pub denials: NonZeroU32,
    /// The time in which they must happen.
    pub window: Duration,
}

/// One route, of either direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContractRoute {
    /// Methods and path; its text is the route's name everywhere.
    pub pattern: RoutePattern,
    /// The scopes that a token must hold; empty on egress, where we are the caller.
    pub scopes: ScopeSet,
    /// Where requests go.
    pub upstream: Arc<upstream::UpstreamSettings>,
    /// Limits of this route beside the vendor's; `None` in a field adds none.
    pub limits: Limits,
    /// Whether a request may go on as a WebSocket; then no rule reads a body.
    pub websocket: bool,
    /// Whether a path segment may hold a slash as `%2F`. Only on egress.
    pub allow_encoded_slash: bool,
    /// What a caller gets where the upstream gives no answer; `None` for a refusal.
    pub fallback: Option<FallbackSettings>,
    /// Which parameters and header fields of a request pass, and in which form.
    pub parameters: ParameterRules,
    /// The rules of the request.
    pub request: Rules,
    /// The rules of the response.
    pub response: Rules,
}

/// What a caller gets where an upstream gives no answer. At least one of the two is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FallbackSettings {
    /// The answer that the contract writes.
    pub answer: Option<StaticAnswer>,
    /// The age up to which the last good answer is given instead.
    pub last_good: Option<Duration>,
}

/// A whole answer in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaticAnswer {
    /// The status.
    pub status: StatusCode,
    /// The header fields; none of the framing.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// The routes of one direction with their look-up table. Two are equal when their lists are.
#[derive(Clone, Default)]
pub struct ContractRoutes {
    list: Arc<[ContractRoute]>,
    table: Arc<RouteTable>,
}

impl Contract {
    /// The routes of a direction.
    pub const fn routes(&self, direction: Direction) -> &ContractRoutes {
        match direction {
            Direction::Ingress => &self.ingress,
            Direction::Egress => &self.egress,
        }
    }

    /// What the contract only reports at this time; `None` where it is enforced.
    pub fn observes(&self, now: UnixTime) -> Option<&ObserveSettings> {
        self.observe.as_ref().filter(|observe| now < observe.until)
    }

    /// The contract's dates, and what happens around them.
    pub fn calendar(&self) -> Calendar {
        const DAY: Duration = Duration::from_secs(86_400);
        Calendar {
            is_draft: self.is_draft,
            starts: Some(self.starts),
            ends: Some(self.ends.minus(DAY)),
            warn_before: self.warn_before,
            after_end: self.after_end,
        }
    }
}

impl ContractRoutes {
    /// Builds the look-up table of a list.
    ///
    /// # Errors
    /// Every pair of routes between which a request could not choose.
    pub fn new(list: Vec<ContractRoute>) -> Result<Self, Vec<RouteConflict>> {
        let table = RouteTable::new(list.iter().map(|route| &route.pattern))?;
        Ok(Self { list: list.into(), table: Arc::new(table) })
    }

    /// The route of a request, by its canonical path without query.
    pub fn find(&self, method: &Method, path: &str) -> Option<(RouteIndex, &ContractRoute, Captures)> {
        let (index, captures) = self.table.find(method, path)?;
        Some((index, self.list.get(index.get())?, captures))
    }

    /// All routes, in the order of the contract.
    pub fn as_slice(&self) -> &[ContractRoute] {
        &self.list
    }

    /// Whether the contract has a route with this text.
    pub fn has(&self, pattern: &str) -> bool {
        self.list.iter().any(|route| route.pattern.as_str() == pattern)
    }

    /// Whether the contract has none in this direction.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

impl PartialEq for ContractRoutes {
    fn eq(&self, other: &Self) -> bool {
        self.list == other.list
    }
}

impl Eq for ContractRoutes {}

impl fmt::Debug for ContractRoutes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.list.iter()).finish()
    }
}

//! From a checked config to a snapshot: joins each contract with the rooms that outlive it.
//!
//! A reload goes through the same door: what a vendor has used of its limits, its kill line and its metrics go along.
//! Changes nothing unless all of it succeeds.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use ::http::HeaderValue;
use rustls::ClientConfig;

use super::rule_matches::RuleMatchCounts;
use super::snapshot::{DirectionRuntime, MessageRules, RouteRuntime, Snapshot, VendorRuntime};
use crate::config::{self, Contract, GatewaySettings};
use crate::exposure::{self, ExposureProfile};
use crate::identity::{self, DirectoryError, IdentityState};
use crate::kill::{DenialBurst, KillSwitch, RouteTag};
use crate::meter::{RouteLimits, VendorLedgers};
use crate::model::{ClientId, Direction, FieldPath, Moment, Secret, SubjectKey, VendorId};
use crate::pii::keys::{KeyError, SaltFolder};
use crate::pii::{ClearList, MasterKeys, Plan, PlanError, RevealCounts, Rules, TokenClass, VendorKeys};
use crate::policy::{ContractTerms, PolicyChain};
use crate::telemetry::{Metrics, VendorMetrics};
use crate::upstream::{ConnectError, SocketBudget, UpstreamConnector, UpstreamPool};

/// What outlives a config.
#[derive(Debug)]
pub struct GatewayServices {
    /// The kill switch.
    pub switch: Arc<KillSwitch>,
    /// What is counted.
    pub metrics: Metrics,
    /// What left, to whom.
    pub exposure: Arc<exposure::ExposureCounters>,
    /// Issuers' keys, verified tokens, revocations.
    pub authority: IdentityState,
    /// Each vendor's salt.
    pub salts: SaltFolder,
    /// TLS towards upstreams.
    pub tls: Arc<ClientConfig>,
    /// The sockets towards them.
    pub sockets: Arc<SocketBudget>,
    /// Threads that serve.
    pub workers: usize,
}

/// Why a config that has no fault cannot be put in force.
#[derive(Debug, thiserror::Error)]
pub enum AssembleError {
    /// Two contracts contradict each other.
    #[error("identity sections contradict each other")]
    Identity(#[source] DirectoryError),
    /// A vendor's key material is not to be had.
    #[error("the keys of {vendor} cannot be made")]
    Keys {
        /// Whose.
        vendor: VendorId,
        /// Why.
        #[source]
        source: KeyError,
    },
    /// A route's rules cannot be compiled.
    #[error("the rules of {vendor}, {route} cannot be compiled")]
    Rules {
        /// Whose.
        vendor: VendorId,
        /// Which route.
        route: String,
        /// Why.
        #[source]
        source: PlanError,
    },
    /// An upstream cannot be dialled at all.
    #[error("the upstream {upstream} of {vendor} cannot be dialled")]
    Upstream {
        /// Whose.
        vendor: VendorId,
        /// Which.
        upstream: String,
        /// Why.
        #[source]
        source: ConnectError,
    },
}

/// Makes the snapshot of a config. `previous` is the one in force, whose vendors' consumption goes along.
///
/// # Errors
/// [`AssembleError`]; nothing has changed then.
pub fn assemble(
    config: &GatewaySettings,
    keys: &MasterKeys,
    rooms: &GatewayServices,
    previous: Option<&Snapshot>,
    now: Moment,
) -> Result<Snapshot, AssembleError> {
    let directory = rooms.authority.directory(identities(config)).map_err(first_error)?;
    let vendors: Box<[Arc<VendorRuntime>]> = config
        .contracts
        .iter()
        .map(|contract| {
            let before = previous.and_then(|snapshot| snapshot.vendor(contract.vendor.as_str()));
            VendorBuilder { contract, keys, rooms, now }.vendor(before).map(Arc::new)
        })
        .collect::<Result<_, _>>()?;
    let by_id = vendors.iter().zip(0..).map(|(vendor, index)| (vendor.id().clone(), index)).collect();
    let generation = previous.map_or(1, |snapshot| snapshot.generation + 1);
    Ok(Snapshot { generation, directory, vendors, by_id })
}

pub(super) fn identities(config: &GatewaySettings) -> Vec<identity::IdentityContract> {
    let contracts = config.contracts.iter().zip(0..);
    contracts
        .filter_map(|(contract, index)| {
            let identity = contract.identity.clone()?;
            Some(identity::IdentityContract { index, vendor: contract.vendor.clone(), identity })
        })
        .collect()
}

fn first_error(mut errors: Vec<DirectoryError>) -> AssembleError {
    AssembleError::Identity(errors.swap_remove(0))
}

/// Makes one vendor of one contract.
struct VendorBuilder<'a> {
    contract: &'a Arc<Contract>,
    keys: &'a MasterKeys,
    rooms: &'a GatewayServices,
    now: Moment,
}

impl VendorBuilder<'_> {
    fn vendor(&self, before: Option<&Arc<VendorRuntime>>) -> Result<VendorRuntime, AssembleError> {
        let contract = self.contract;
        let id = &contract.vendor;
        let salt = self.rooms.salts.open_or_create(id).map_err(|source| self.keys_error(source))?;
        let subject_key = SubjectKey::new(Secret::new(blake3::derive_key("vendorgate 2026 subject", salt.expose())));
        let keys = Arc::new(self.keys.vendor_keys(id, &salt, classes(contract)));
        let reveals = before.map(|vendor| Arc::clone(&vendor.reveals)).unwrap_or_default();
        let shared = PlanContext { keys, reveals, before };
        let limits = route_limits(contract);
        let ledgers = match before {
            Some(vendor) => vendor.ledgers.renew(&contract.limits, &limits, &subject_key, self.now),
            None => VendorLedgers::new(&contract.limits, &limits, &subject_key),
        };
        let metrics = self.rooms.metrics.vendor(id);
        metrics.contract_ends_at(contract.ends);
        let mut pools = UpstreamPools::default();
        let sides = [
            self.side(Direction::Ingress, &ledgers, &metrics, &shared, &mut pools)?,
            self.side(Direction::Egress, &ledgers, &metrics, &shared, &mut pools)?,
        ];
        Ok(VendorRuntime {
            contract: Arc::clone(contract),
            kill_gate: self.rooms.switch.gate(id),
            ledgers,
            metrics,
            own_client: ClientId::new("vendorgate"),
            keys: shared.keys,
            reveals: shared.reveals,
            header: HeaderValue::try_from(id.as_str()).unwrap_or(HeaderValue::from_static("")),
            burst: self.burst(before),
            directions: sides,
        })
    }

    fn side(
        &self,
        direction: Direction,
        ledgers: &VendorLedgers,
        metrics: &VendorMetrics,
        shared: &PlanContext<'_>,
        pools: &mut UpstreamPools,
    ) -> Result<DirectionRuntime, AssembleError> {
        let (contract, ledger) = (self.contract, ledgers.of(direction));
        let traffic = Arc::clone(metrics.traffic(direction));
        let routes = contract.routes(direction).as_slice().iter().map(|route| {
            let name = route.pattern.as_str();
            let before = shared.route_before(direction, name);
            let (asked, answered) = (before.map(|route| &route.request), before.map(|route| &route.response));
            let request = self.treats(name, &route.request, direction == Direction::Egress, shared, asked)?;
            let response = self.treats(name, &route.response, direction == Direction::Ingress, shared, answered)?;
            let (rules, leaving) = match direction {
                Direction::Ingress => (&route.response, &response),
                Direction::Egress => (&route.request, &request),
            };
            let profile = self.profile(direction, name, rules, leaving.as_ref());
            Ok(Arc::new(RouteRuntime {
                name: name.into(),
                captures: route.pattern.capture_names().map(Into::into).collect(),
                tag: RouteTag::of(name),
                scopes: route.scopes.clone(),
                ledger: Arc::clone(ledger),
                ledger_index: ledger.place(direction, name).unwrap_or(usize::MAX),
                upstream: self.upstream(route, pools)?,
                upstream_name: route.upstream.id.as_str().into(),
                websocket: route.websocket,
                allow_encoded_slash: route.allow_encoded_slash,
                request,
                response,
                metrics: traffic.route(name),
                exposure: self.rooms.exposure.handle(profile),
                rate_policy: OnceLock::new(),
            }))
        });
        let routes = routes.collect::<Result<_, _>>()?;
        let terms = ContractTerms {
            direction,
            calendar: contract.calendar(),
            ceiling: contract.scopes.clone(),
            ledger: Arc::clone(ledger),
        };
        Ok(DirectionRuntime { chain: PolicyChain::new(&terms), routes, traffic })
    }

    /// The count of denials goes along while the rule is the same.
    fn burst(&self, before: Option<&Arc<VendorRuntime>>) -> Option<Arc<DenialBurst>> {
        let trip = self.contract.trip?;
        let same = before.filter(|vendor| vendor.contract.trip == Some(trip)).and_then(|vendor| vendor.burst.clone());
        Some(same.unwrap_or_else(|| Arc::new(DenialBurst::new(trip.denials, trip.window))))
    }

    /// What can leave on a route: the rules of the plan that treats it, in its order.
    fn profile(
        &self,
        direction: Direction,
        route: &str,
        rules: &Rules,
        leaving: Option<&MessageRules>,
    ) -> ExposureProfile {
        let named: Vec<_> = rules.treat.iter().map(|rule| rule.location.to_string()).collect();
        let clear = |only: &Vec<FieldPath>| {
            let in_clear = only.iter().map(ToString::to_string).filter(|field| !named.contains(field));
            in_clear.map(Arc::from).collect()
        };
        ExposureProfile {
            vendor: self.contract.vendor.clone(),
            direction,
            route: route.into(),
            rules: leaving.map(|treats| treats.plan.rules().to_vec()).unwrap_or_default(),
            clear: rules.only.as_ref().map(clear),
            listed: ClearList::of(rules),
        }
    }

    fn treats(
        &self,
        route: &str,
        rules: &Rules,
        leaves: bool,
        shared: &PlanContext<'_>,
        before: Option<&Option<MessageRules>>,
    ) -> Result<Option<MessageRules>, AssembleError> {
        let plan = Plan::compile_with_counts(rules, Arc::clone(&shared.keys), Arc::clone(&shared.reveals));
        let plan = plan.map_err(|source| AssembleError::Rules {
            vendor: self.contract.vendor.clone(),
            route: route.to_owned(),
            source,
        })?;
        if !plan.reads_body() && !plan.reads_head() {
            return Ok(None);
        }
        let (counts_records, names_subject) = (rules.records.is_some(), rules.subject.is_some());
        let matched = RuleMatchCounts::of(&plan, before.and_then(Option::as_ref));
        let on_shape = rules.on_unexpected_shape;
        Ok(Some(MessageRules { plan, matched, on_shape, counts_records, names_subject, counts_as_exposure: leaves }))
    }

    /// One pool for each upstream of the vendor, whichever routes lead to it.
    fn upstream(
        &self,
        route: &config::ContractRoute,
        pools: &mut UpstreamPools,
    ) -> Result<Arc<UpstreamPool>, AssembleError> {
        let settings = &route.upstream;
        if let Some(upstream) = pools.0.get(settings.id.as_str()) {
            return Ok(Arc::clone(upstream));
        }
        let connector =
            UpstreamConnector::new(settings, &self.rooms.tls).map_err(|source| AssembleError::Upstream {
                vendor: self.contract.vendor.clone(),
                upstream: settings.id.as_str().to_owned(),
                source,
            })?;
        let sockets = Arc::clone(&self.rooms.sockets);
        let upstream = Arc::new(UpstreamPool::new(connector, settings, self.rooms.workers, sockets));
        pools.0.insert(settings.id.as_str().to_owned(), Arc::clone(&upstream));
        Ok(upstream)
    }

    fn keys_error(&self, source: KeyError) -> AssembleError {
        AssembleError::Keys { vendor: self.contract.vendor.clone(), source }
    }
}

/// What all plans of a vendor share.
struct PlanContext<'a> {
    keys: Arc<VendorKeys>,
    reveals: Arc<RevealCounts>,
    /// The vendor as the config before had it.
    before: Option<&'a Arc<VendorRuntime>>,
}

impl PlanContext<'_> {
    fn route_before(&self, direction: Direction, name: &str) -> Option<&RouteRuntime> {
        let routes = &self.before?.direction(direction).routes;
        routes.iter().find(|route| *route.name == *name).map(|route| &**route)
    }
}

#[derive(Default)]
struct UpstreamPools(HashMap<String, Arc<UpstreamPool>>);

pub(super) fn route_limits(contract: &Contract) -> Vec<RouteLimits> {
    let of = |direction| {
        contract.routes(direction).as_slice().iter().map(move |route| RouteLimits {
            direction,
            route: route.pattern.as_str().into(),
            limits: route.limits.clone(),
        })
    };
    of(Direction::Ingress).chain(of(Direction::Egress)).collect()
}

fn classes(contract: &Contract) -> Vec<TokenClass> {
    let routes = Direction::ALL.into_iter().flat_map(|direction| contract.routes(direction).as_slice());
    routes.flat_map(|route| route.request.token_classes().chain(route.response.token_classes())).collect()
}

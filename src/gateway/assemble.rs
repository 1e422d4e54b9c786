//! Makes a snapshot of a checked config: joins each contract with the services that outlive it.
//!
//! A reload is made in the same way: what a vendor has used of its limits, its kills and its metrics are kept. Changes
//! nothing unless all of it succeeds.

use std::sync::{Arc, OnceLock};

use ::http::HeaderValue;
use rustls::ClientConfig;

use super::egress::{HostIndex, tunnel_runtime};
use super::last_good::LastGoodStore;
use super::policy_input::{contract_terms, own_client, route_limits, route_terms};
use super::route_fallback::RouteFallback;
use super::rule_matches::RuleMatchCounts;
use super::snapshot::{DirectionRuntime, MessageRules, ObservedRules, RouteRuntime, Snapshot, VendorRuntime};
use super::vendor_upstreams::{ConnectionServices, SharedChecks, VendorUpstreams};
use crate::config::{self, Contract, GatewaySettings, ObserveSettings};
use crate::credentials::{self, CredentialStore, VendorCredential};
use crate::exposure::{self, ExposureProfile};
use crate::identity::{self, DirectoryError, IdentityState};
use crate::kill::{DenialBurst, KillSwitch, RouteTag};
use crate::meter::VendorLedgers;
use crate::model::{Clock, Direction, FieldPath, Moment, Secret, SubjectKey, TreatmentKind, VendorId};
use crate::observation::Observations;
use crate::pii::keys::{KeyError, SaltFolder};
use crate::pii::{ClearList, MasterKeys, Plan, PlanError, RevealCounts, Rules, TokenClass, VendorKeys};
use crate::policy::PolicyChain;
use crate::telemetry::{Metrics, VendorMetrics};
use crate::upstream::{ConnectError, OwnAddresses, SocketBudget, UpstreamGroup, UpstreamSettings};

/// The services that outlive a config.
#[derive(Debug)]
pub struct GatewayServices {
    /// The kill switch.
    pub switch: Arc<KillSwitch>,
    /// The metrics of the process.
    pub metrics: Metrics,
    /// The counters of what left.
    pub exposure: Arc<exposure::ExposureCounters>,
    /// What was seen of the vendors' calls.
    pub observations: Arc<Observations>,
    /// The keys of issuers, verified tokens, revocations.
    pub authority: IdentityState,
    /// The folder with the salt of each vendor.
    pub salts: SaltFolder,
    /// The TLS settings for upstreams.
    pub tls: Arc<ClientConfig>,
    /// The number of sockets for upstreams.
    pub sockets: Arc<SocketBudget>,
    /// The addresses that the gateway listens on, which no upstream may be.
    pub own_addresses: Arc<OwnAddresses>,
    /// The last good answers of vendors.
    pub last_good: Arc<LastGoodStore>,
    /// The number of worker threads.
    pub workers: usize,
    /// What credentials remember across restarts.
    pub credentials: Arc<dyn CredentialStore>,
    /// The clock of all decisions.
    pub clock: Clock,
}

/// Why a config that has no fault cannot be put in force.
#[derive(Debug, thiserror::Error)]
pub enum AssembleError {
    /// Two contracts contradict each other.
    #[error("identity sections contradict each other")]
    Identity(#[source] DirectoryError),
    /// The keys of a vendor cannot be made.
    #[error("the keys of {vendor} cannot be made")]
    Keys {
        /// The vendor.
        vendor: VendorId,
        /// The cause.
        #[source]
        source: KeyError,
    },
    /// A route's rules cannot be compiled.
    #[error("the rules of {vendor}, {route} cannot be compiled")]
    Rules {
        /// The vendor.
        vendor: VendorId,
        /// The route.
        route: String,
        /// The cause.
        #[source]
        source: PlanError,
    },
    /// An upstream can never be connected to.
    #[error("the upstream {upstream} of {vendor} cannot be connected to")]
    Upstream {
        /// The vendor.
        vendor: VendorId,
        /// The upstream.
        upstream: String,
        /// The cause.
        #[source]
        source: ConnectError,
    },
}

/// Makes the snapshot of a config. `previous` is the one in force: what its vendors have used is kept.
///
/// # Errors
/// [`AssembleError`]; nothing has changed then.
pub fn assemble(
    config: &GatewaySettings,
    keys: &MasterKeys,
    services: &GatewayServices,
    previous: Option<&Snapshot>,
    now: Moment,
) -> Result<Snapshot, AssembleError> {
    let directory = services.authority.directory(identities(config)).map_err(first_error)?;
    let checks = SharedChecks::default();
    let generation = previous.map_or(1, |snapshot| snapshot.generation + 1);
    let vendors: Box<[Arc<VendorRuntime>]> = config
        .contracts
        .iter()
        .map(|contract| {
            let before = previous.and_then(|snapshot| snapshot.vendor(contract.vendor.as_str()));
            let unchanged = before.filter(|vendor| vendor.contract == *contract);
            let since = unchanged.map_or(generation, |vendor| vendor.since);
            VendorBuilder { contract, keys, services, checks: &checks, since, now }.vendor(before).map(Arc::new)
        })
        .collect::<Result<_, _>>()?;
    let by_id = vendors.iter().zip(0..).map(|(vendor, index)| (vendor.id().clone(), index)).collect();
    let hosts = HostIndex::new(&config.contracts);
    let services = identity::ServiceDirectory::new(&config.egress.callers, config.egress.anonymous);
    Ok(Snapshot { generation, directory, services, vendors, by_id, hosts })
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

/// Makes the run-time state of one vendor from its contract.
pub(super) struct VendorBuilder<'a> {
    pub(super) contract: &'a Arc<Contract>,
    keys: &'a MasterKeys,
    pub(super) services: &'a GatewayServices,
    checks: &'a SharedChecks,
    /// The generation since which the contract is in force.
    since: u64,
    now: Moment,
}

impl VendorBuilder<'_> {
    fn vendor(&self, before: Option<&Arc<VendorRuntime>>) -> Result<VendorRuntime, AssembleError> {
        let contract = self.contract;
        let id = &contract.vendor;
        let salt = self.services.salts.open_or_create(id).map_err(|source| self.keys_error(source))?;
        let subject_key = SubjectKey::new(Secret::new(blake3::derive_key("vendorgate 2026 subject", salt.expose())));
        let keys = Arc::new(self.keys.vendor_keys(id, &salt, classes(contract)));
        let reveals = before.map(|vendor| Arc::clone(&vendor.reveals)).unwrap_or_default();
        let credential = self.held_credential(&salt, &keys, before);
        let context = PlanContext { keys, reveals, credential, before };
        let limits = route_limits(contract);
        let ledgers = match before {
            Some(vendor) => vendor.ledgers.renew(&contract.limits, &limits, &subject_key, self.now),
            None => VendorLedgers::new(&contract.limits, &limits, &subject_key),
        };
        let metrics = self.services.metrics.vendor(id);
        metrics.contract_ends_at(contract.ends);
        metrics.observes(self.observed().is_some());
        let mut upstreams = VendorUpstreams::new(self.connections(), self.checks, before.map(Arc::as_ref));
        let directions = [
            self.direction(Direction::Ingress, &ledgers, &metrics, &context, &mut upstreams)?,
            self.direction(Direction::Egress, &ledgers, &metrics, &context, &mut upstreams)?,
        ];
        Ok(VendorRuntime {
            contract: Arc::clone(contract),
            kill_gate: self.services.switch.gate(id),
            ledgers,
            metrics,
            since: self.since,
            own_client: own_client(),
            keys: context.keys,
            credential: context.credential,
            reveals: context.reveals,
            header: HeaderValue::try_from(id.as_str()).unwrap_or(HeaderValue::from_static("")),
            burst: self.burst(before),
            observe_until: self.observed().map(|observe| observe.until),
            seen: self.services.observations.vendor(id),
            directions,
        })
    }

    fn direction(
        &self,
        direction: Direction,
        ledgers: &VendorLedgers,
        metrics: &VendorMetrics,
        context: &PlanContext<'_>,
        upstreams: &mut VendorUpstreams<'_>,
    ) -> Result<DirectionRuntime, AssembleError> {
        let (contract, ledger) = (self.contract, ledgers.of(direction));
        let traffic = Arc::clone(metrics.traffic(direction));
        let routes = contract.routes(direction).as_slice().iter().map(|route| {
            let name = route.pattern.as_str();
            let before = context.route_before(direction, name);
            let before =
                (before.and_then(|route| route.request_counts()), before.and_then(|route| route.response_counts()));
            let leaves = direction == Direction::Egress;
            let request = self.message_rules(name, &route.request, leaves, context, before.0)?;
            let response = self.message_rules(name, &route.response, !leaves, context, before.1)?;
            let (rules, leaving) = match direction {
                Direction::Ingress => (&route.response, &response),
                Direction::Egress => (&route.request, &request),
            };
            let profile = self.profile(direction, name, rules, leaving.as_ref());
            let (request, response, observed) = match self.observed() {
                Some(_) => (None, None, Some(ObservedRules { request, response })),
                None => (request, response, None),
            };
            Ok(Arc::new(RouteRuntime {
                name: name.into(),
                captures: route.pattern.capture_names().map(Into::into).collect(),
                tag: RouteTag::of(name),
                terms: route_terms(route, direction, ledger),
                ledger: Arc::clone(ledger),
                upstream: self.group(direction, &route.upstream, upstreams)?,
                upstream_name: route.upstream.id.as_str().into(),
                credential: context.credential.clone().filter(|_| direction == Direction::Egress),
                websocket: route.websocket,
                allow_encoded_slash: route.allow_encoded_slash,
                fallback: route.fallback.clone().and_then(|settings| self.fallback(settings)),
                parameters: Some(&route.parameters).filter(|rules| !rules.is_empty()).cloned().map(Box::new),
                request,
                response,
                observed,
                metrics: traffic.route(name),
                exposure: self.services.exposure.handle(profile),
                rate_policy: OnceLock::new(),
            }))
        });
        let routes: Box<[Arc<RouteRuntime>]> = routes.collect::<Result<_, _>>()?;
        let chain = PolicyChain::new(&contract_terms(contract, direction, ledger, self.now.wall));
        let first = routes.first().filter(|_| direction == Direction::Egress);
        let tunnel = match first.zip(contract.egress.as_slice().first()) {
            None => None,
            Some((first, route)) => {
                let counters = (&*traffic, &*self.services.exposure);
                let made = tunnel_runtime(contract, &self.connections(), counters, first);
                made.map_err(|source| AssembleError::Upstream {
                    vendor: contract.vendor.clone(),
                    upstream: route.upstream.id.as_str().to_owned(),
                    source,
                })?
            }
        };
        let undeclared = self.undeclared((direction, context.credential.as_ref()), ledger, &traffic, upstreams)?;
        let reported = self.reported(direction, ledger, &traffic);
        Ok(DirectionRuntime { chain, routes, undeclared, traffic, tunnel, reported })
    }

    /// What the contract only reports, where it observes.
    pub(super) fn observed(&self) -> Option<&ObserveSettings> {
        self.contract.observes(self.now.wall)
    }

    /// The count of denials is kept while the setting stays the same. A contract that observes kills nobody.
    fn burst(&self, before: Option<&Arc<VendorRuntime>>) -> Option<Arc<DenialBurst>> {
        let of = |contract: &Contract| contract.trip.and_then(|trip| trip.burst);
        let rule = of(self.contract).filter(|_| self.observed().is_none())?;
        let same = before.filter(|vendor| of(&vendor.contract) == Some(rule)).and_then(|vendor| vendor.burst.clone());
        Some(same.unwrap_or_else(|| Arc::new(DenialBurst::new(rule.denials, rule.window))))
    }

    /// What can leave on a route: the rules of the plan that treats the message that leaves, in their order.
    pub(super) fn profile(
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
        let observes = self.observed().is_some();
        let mut counted = leaving.map(|rules| rules.plan.rules().to_vec()).unwrap_or_default();
        // What a rule selects leaves as it is, and the report must say so.
        counted.iter_mut().filter(|_| observes).for_each(|rule| rule.treatment = TreatmentKind::Report);
        ExposureProfile {
            vendor: self.contract.vendor.clone(),
            direction,
            route: route.into(),
            rules: counted,
            clear: rules.only.as_ref().filter(|_| !observes).map(clear),
            listed: ClearList::of(rules),
        }
    }

    /// The compiled rules of one message of a route; `None` where nothing of the message is read. `before` are those of
    /// the config in force, whose counts are kept.
    fn message_rules(
        &self,
        route: &str,
        rules: &Rules,
        leaves: bool,
        context: &PlanContext<'_>,
        before: Option<&MessageRules>,
    ) -> Result<Option<MessageRules>, AssembleError> {
        let plan = Plan::compile_with_counts(rules, Arc::clone(&context.keys), Arc::clone(&context.reveals));
        let plan = plan.map_err(|source| AssembleError::Rules {
            vendor: self.contract.vendor.clone(),
            route: route.to_owned(),
            source,
        })?;
        if !plan.reads_body() && !plan.reads_head() {
            return Ok(None);
        }
        Ok(Some(MessageRules {
            matched: RuleMatchCounts::new(&plan, before.map(|rules| (&rules.plan, &rules.matched))),
            plan,
            on_shape: rules.on_unexpected_shape,
            counts_records: rules.records.is_some(),
            names_subject: rules.subject.is_some(),
            counts_as_exposure: leaves,
            observes: self.observed().is_some(),
        }))
    }

    fn connections(&self) -> ConnectionServices<'_> {
        let GatewayServices { tls, own_addresses, sockets, workers, .. } = self.services;
        ConnectionServices { tls, own_addresses, sockets, workers: *workers }
    }

    /// A contract that observes keeps no answer: it is raw, and could be given when the contract is enforced.
    fn fallback(&self, mut settings: config::FallbackSettings) -> Option<RouteFallback> {
        settings.last_good = settings.last_good.filter(|_| self.observed().is_none());
        let store = Arc::clone(&self.services.last_good);
        let is_any = settings.answer.is_some() || settings.last_good.is_some();
        is_any.then(|| RouteFallback { settings, store, contract: self.since })
    }

    pub(super) fn group(
        &self,
        direction: Direction,
        settings: &UpstreamSettings,
        upstreams: &mut VendorUpstreams<'_>,
    ) -> Result<Arc<UpstreamGroup>, AssembleError> {
        upstreams.group(direction, settings).map_err(|source| {
            let upstream = settings.id.as_str().to_owned();
            AssembleError::Upstream { vendor: self.contract.vendor.clone(), upstream, source }
        })
    }

    fn keys_error(&self, source: KeyError) -> AssembleError {
        AssembleError::Keys { vendor: self.contract.vendor.clone(), source }
    }
}

/// What all plans of a vendor are compiled with.
struct PlanContext<'a> {
    keys: Arc<VendorKeys>,
    reveals: Arc<RevealCounts>,
    /// The vendor as the config in force has it.
    before: Option<&'a Arc<VendorRuntime>>,
    /// By what the vendor knows us.
    credential: Option<Arc<VendorCredential>>,
}

impl PlanContext<'_> {
    fn route_before(&self, direction: Direction, name: &str) -> Option<&RouteRuntime> {
        let routes = &self.before?.direction(direction).routes;
        routes.iter().find(|route| *route.name == *name).map(|route| &**route)
    }
}

fn classes(contract: &Contract) -> Vec<TokenClass> {
    let routes = Direction::ALL.into_iter().flat_map(|direction| contract.routes(direction).as_slice());
    let of_rules = routes.flat_map(|route| route.request.token_classes().chain(route.response.token_classes()));
    of_rules.chain(credentials::token_classes(contract.credentials.as_ref())).collect()
}

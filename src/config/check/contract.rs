//! Checks one contract file as a whole.

use super::upstreams::Upstreams;
use super::{
    callers, category, credentials, identity, issuer_profile, lifecycle, limits, observe, reach, routes,
    upstream_group, upstreams, values,
};
use crate::bounds::JOURNEY_STAGES_MAX;
use crate::config::contract::{Contract, ContractRoutes};
use crate::config::file::contract as written;
use crate::config::reach::ReachSettings;
use crate::config::source::Cursor;
use crate::config::suggest;
use crate::config::undeclared::UNDECLARED;
use crate::config::units;
use crate::credentials::CredentialSettings;
use crate::identity::ServiceSettings;
use crate::model::{Direction, ScopeSet, UnixTime, VendorId};
use crate::upstream::AllowedNetworks;

/// What a contract is checked against: the main file and the time.
#[derive(Debug, Clone, Copy)]
pub(in crate::config) struct ContractContext<'a> {
    /// The internal APIs; `None` when a contract is checked by itself.
    pub(in crate::config) upstreams: Option<&'a Upstreams>,
    /// The number of authorities whose client certificates the ingress listener accepts: 0 if it asks for none, `None`
    /// where it is not known.
    pub(in crate::config) client_ca: Option<usize>,
    /// Our services, where they are known.
    pub(in crate::config) callers: Option<&'a [ServiceSettings]>,
    /// Whether each direction has a listener, where it is known.
    pub(in crate::config) listeners: Option<[bool; Direction::ALL.len()]>,
    /// The time by which to tell whether a contract has ended.
    pub(in crate::config) now: UnixTime,
}

/// One contract; `None` when a required key is missing, which is reported.
pub(in crate::config) fn contract(
    at: &Cursor<'_>,
    written: &written::ContractConfig,
    context: &ContractContext<'_>,
) -> Option<Contract> {
    let vendor = written.vendor.as_deref().and_then(|text| vendor(&at.key("vendor"), text));
    let line = |name: &str, text: &Option<String>| values::line(&at.key(name), text.as_deref());
    let owner = line("owner", &written.owner);
    let security_contact = line("security_contact", &written.security_contact);
    let (name, region) = (line("name", &written.name), line("region", &written.region));
    let journey = journey(&at.key("journey"), written.journey.as_deref().unwrap_or_default());
    let purpose = category::purposes(&at.key("purpose"), written.purpose.as_deref().unwrap_or_default());
    let (starts, ends) = days(at, written);
    let scopes = values::scopes(&at.key("scopes"), written.scopes.as_deref().unwrap_or_default());
    let has_services = context.callers.is_none_or(|callers| !callers.is_empty());
    let limits = limits::of_vendor(&at.key("limits"), written.limits.as_ref(), has_services);
    let identity =
        written.identity.as_ref().map(|identity| identity::identity(&at.key("identity"), identity, context.client_ca));
    let ingress = ingress(at, written, &scopes, context);
    issuer_profile::check_scopes(at, identity.as_ref().and_then(Option::as_ref), &ingress);
    let (egress, reach, credentials) = egress(at, written, vendor.as_ref());
    let written_callers = written.egress.as_ref().and_then(|egress| egress.callers.as_ref());
    let callers = callers::listed(&at.key("egress").key("callers"), written_callers, context.callers);
    limits::check_effect(&at.key("limits"), written.limits.as_ref(), &ingress, &egress);
    check_served(at, [&ingress, &egress], context);
    if let Some(ends) = ends.filter(|ends| *ends <= context.now) {
        let days = context.now.since(ends).as_secs() / 86_400;
        let wrong = format!("the contract ended {days} days ago: what `after_end` says is all that passes");
        at.key("ends").warning(wrong, "write a later day once it is renewed, or remove the contract");
    }
    let observe = observe::observe(at, written, [&ingress, &egress], context);
    let vendor = vendor?;
    Some(Contract {
        name: if name.is_empty() { vendor.to_string() } else { name },
        vendor,
        owner,
        security_contact,
        journey,
        region,
        purpose,
        is_draft: matches!(written.mode, Some(written::ContractMode::Draft)),
        observe,
        starts: starts?,
        ends: ends?,
        after_end: lifecycle::after_end(at, written),
        warn_before: lifecycle::warn_before(at, written),
        identity: identity.flatten(),
        scopes,
        limits,
        trip: lifecycle::trip(&at.key("trip"), written.trip.as_ref()),
        drill_every: lifecycle::drill_every(&at.key("drills"), written.drills.as_ref()),
        approvals: lifecycle::approvals(written.restore.as_ref()),
        ingress,
        callers,
        egress,
        reach,
        credentials,
    })
}

fn vendor(at: &Cursor<'_>, text: &str) -> Option<VendorId> {
    let parsed = VendorId::parse(text);
    match &parsed {
        Ok(id) if id.as_str() == UNDECLARED => {
            let wrong = "is kept for destinations that no contract lists (listeners.egress.unknown: report)";
            at.invalid_with_remedy(wrong, "give the vendor another id");
        }
        Ok(_) => {}
        Err(error) => at.invalid_with_guess(error.to_string(), suggest::id(text), "acme-analytics"),
    }
    parsed.ok()
}

fn journey(at: &Cursor<'_>, written: &[String]) -> Vec<String> {
    if written.len() > JOURNEY_STAGES_MAX {
        at.fault(format!("names more than {JOURNEY_STAGES_MAX} stages"), "name the stages, not the pages");
    }
    written.iter().enumerate().map(|(i, text)| values::line(&at.item(i), Some(text))).collect()
}

/// `starts:` as its first instant, and `ends:` as the first instant after that day.
fn days(at: &Cursor<'_>, written: &written::ContractConfig) -> (Option<UnixTime>, Option<UnixTime>) {
    let read = |name: &str, date: &Option<written::DateText>| at.key(name).parsed(units::parse_date(&date.as_ref()?.0));
    let (starts, ends) = (read("starts", &written.starts), read("ends", &written.ends));
    if let (Some(first), Some(last)) = (starts, ends)
        && last < first
    {
        at.key("ends").invalid_with_remedy(
            "is before starts: the contract would never be in force",
            "write a later day, or an earlier starts",
        );
    }
    (starts, ends.map(units::next_day))
}

/// Warns of routes that no listener serves.
fn check_served(at: &Cursor<'_>, routes: [&ContractRoutes; Direction::ALL.len()], context: &ContractContext<'_>) {
    for direction in Direction::ALL {
        let served = context.listeners.is_none_or(|listeners| listeners[direction.index()]);
        if !served && !routes[direction.index()].is_empty() {
            let name = direction.as_str();
            let wrong = format!("no request can reach these routes: the main file has no listeners.{name}");
            at.key(name)
                .warning(wrong, format!("add listeners: {{ {name}: {{ bind: … }} }}, or run them in another gateway"));
        }
    }
}

fn ingress(
    at: &Cursor<'_>,
    written: &written::ContractConfig,
    scopes: &ScopeSet,
    context: &ContractContext<'_>,
) -> ContractRoutes {
    let Some(routes) = written.ingress.as_deref() else { return ContractRoutes::default() };
    if !routes.is_empty() && written.identity.is_none() {
        let instead = "write identity: { issuer: …, audience: …, clients: […], jwks: { url: … } }";
        at.key("identity").fault("is missing: without it no call on the ingress routes can be this vendor's", instead);
    }
    // With scopes that could not be read, every route's scopes would be reported as not granted.
    let ceiling = Some(scopes).filter(|_| !at.key("scopes").is_suppressed());
    routes::ingress(&at.key("ingress"), routes, ceiling, context)
}

fn egress(
    at: &Cursor<'_>,
    written: &written::ContractConfig,
    vendor: Option<&VendorId>,
) -> (ContractRoutes, ReachSettings, Option<CredentialSettings>) {
    let Some(egress) = &written.egress else { return Default::default() };
    let at = at.key("egress");
    let upstream = match (&egress.upstream, vendor) {
        (Some(upstream), Some(vendor)) => upstreams::vendor_upstream(&at.key("upstream"), vendor, upstream),
        (Some(_) | None, Some(_) | None) => upstreams::unknown(),
    };
    let routes = egress.routes.as_ref().map(|routes| routes::egress(&at.key("routes"), routes, &upstream));
    let routes = routes.unwrap_or_default();
    upstream_group::check_retried(
        &at.key("upstream").key("retry"),
        upstream.group.retry.as_ref(),
        routes.as_slice().iter(),
    );
    let reach = reach::reach(&at, egress, &upstream.base, &routes);
    let networks = match &upstream.networks {
        AllowedNetworks::Any => &[][..],
        AllowedNetworks::PublicAnd(networks) => networks,
    };
    let credentials = egress.credentials.as_ref();
    let credentials =
        credentials.and_then(|written| credentials::credentials(&at.key("credentials"), written, networks));
    (routes, reach, credentials)
}

//! What would happen to a request, rule by rule, without sending one: `vendorgate explain`.
//!
//! Runs the rules that requests must satisfy, in the same order, and spends nothing. Sends nothing and remembers
//! nothing.

use ::http::header::{AUTHORIZATION, HOST};
use ::http::{HeaderValue, Method, Request, Uri};

use super::assemble::identities;
use super::egress;
use super::parameters::captured;
use super::policy_input::{contract_terms, own_client, route_limits, route_terms};
use super::snapshot::unknown_route;
use crate::config::{Contract, ContractRoute, GatewaySettings, TunnelMode};
use crate::http::{RequestTarget, screen};
use crate::identity::{Directory, DirectoryError, IdentitySettings, IdentityState, PresentedRequest};
use crate::kill::{KillSwitch, RouteTag};
use crate::meter::VendorLedgers;
use crate::model::{Caller, ClientId, Denial, Direction, Moment, Reason, Secret, SubjectKey};
use crate::parameters::{AllowList, ForbiddenParameter, OtherNames};
use crate::policy::{PolicyChain, PolicyStep, RequestFacts};
use crate::route::Captures;

/// Explains requests under one config.
#[derive(Debug)]
pub struct Explainer<'a> {
    /// The callers, and the keys that prove them.
    pub directory: Directory,
    switch: &'a KillSwitch,
}

/// The request to be explained.
#[derive(Debug, Clone, Copy)]
pub struct ExplainQuery<'a> {
    /// The contract that decides.
    pub contract: &'a Contract,
    /// The direction of the request.
    pub direction: Direction,
    /// The method.
    pub method: &'a Method,
    /// Path and query.
    pub target: &'a Uri,
    /// The token, where the request has one.
    pub token: Option<&'a str>,
    /// The service of ours that sends it.
    pub service: Option<&'a ClientId>,
    /// The time of the request.
    pub now: Moment,
}

/// One rule, and its outcome for the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// What the rule is about: `request`, `token`, `route`, the name of a policy, or what would follow.
    pub step: &'static str,
    /// The key of the rule in the contract; empty where the rule is not in the contract.
    pub rule: String,
    /// The outcome.
    pub outcome: ExplainOutcome,
}

/// The outcome of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExplainOutcome {
    /// The request may pass.
    Allowed(String),
    /// The request is denied.
    Denied(Denial),
    /// Only the gateway itself can tell; it refuses the request where the rule is not satisfied.
    Unknown(String),
    /// What would follow, which decides nothing.
    Note(String),
}

impl<'a> Explainer<'a> {
    /// Joins a config with what is stored of tokens and kills.
    ///
    /// # Errors
    /// Two contracts contradict each other.
    pub fn new(
        config: &GatewaySettings,
        authority: &IdentityState,
        switch: &'a KillSwitch,
    ) -> Result<Self, Vec<DirectoryError>> {
        Ok(Self { directory: authority.directory(identities(config))?, switch })
    }

    /// The outcomes of all rules, in the order in which a request meets them. Goes on after a denial, so that all are
    /// seen.
    pub fn explain(&self, query: &ExplainQuery<'_>) -> Vec<Explanation> {
        let mut steps = Vec::new();
        let Some(head) = head(query) else {
            let denial = Denial::new(Reason::RequestMalformed, "the token cannot be sent in a header");
            return vec![Explanation::denied("request", "", denial)];
        };
        let target = match screen(&head, query.direction) {
            Ok(target) => target,
            Err(denial) => return vec![Explanation::denied("request", "", denial)],
        };
        steps.push(Explanation::allowed("request", "", format!("read as {} {}", query.method, target.path)));
        let caller = match query.direction {
            Direction::Ingress => self.identify(query, &head.headers, &target, &mut steps),
            Direction::Egress => query.service.map(|service| Caller {
                vendor: query.contract.vendor.clone(),
                client: service.clone(),
                claims: None,
            }),
        };
        self.route(query, &target, caller.as_ref(), &mut steps);
        steps
    }

    fn identify(
        &self,
        query: &ExplainQuery<'_>,
        headers: &::http::HeaderMap,
        target: &RequestTarget<'_>,
        steps: &mut Vec<Explanation>,
    ) -> Option<Caller> {
        let token = match (query.contract.identity.as_ref()?, query.token) {
            (IdentitySettings::Token(_), Some(token)) => token,
            (IdentitySettings::Token(_), None) => {
                let denial = Denial::new(Reason::TokenMissing, "no token was given");
                steps.push(Explanation::denied("token", "identity", denial));
                return None;
            }
            (IdentitySettings::Certificate(_), _) => {
                let why = "known by the certificate of its connection alone";
                steps.push(Explanation::unknown("certificate", "identity.certificate", why));
                return None;
            }
            (IdentitySettings::Webhook(_), _) => {
                let why = "known by the signature over each body";
                steps.push(Explanation::unknown("signature", "identity.webhook", why));
                return None;
            }
        };
        let presented = PresentedRequest {
            headers,
            method: query.method,
            scheme: "https",
            authority: "",
            path: &target.path,
            query: target.query,
            peer_certificate: None,
        };
        let explained = self.directory.explain(token, &presented, query.now);
        steps.extend(explained.steps.into_iter().map(|step| match (step.outcome, step.checked) {
            (Ok(why), true) => Explanation::allowed("token", step.rule, why),
            (Ok(why), false) => Explanation::unknown("token", step.rule, why),
            (Err(denial), _) => Explanation::denied("token", step.rule, denial),
        }));
        let caller = explained.caller?;
        if caller.vendor != query.contract.vendor {
            let denial =
                Denial::new(Reason::VendorUnknown, format!("the token is {}'s, not this vendor's", caller.vendor));
            steps.push(Explanation::denied("token", "identity.clients", denial));
        }
        Some(caller)
    }

    fn route(
        &self,
        query: &ExplainQuery<'_>,
        target: &RequestTarget<'_>,
        caller: Option<&Caller>,
        steps: &mut Vec<Explanation>,
    ) {
        let ExplainQuery { contract, direction, method, .. } = *query;
        let place = place_of(direction);
        let observed = contract.observes(query.now.wall);
        steps.extend(observed.map(|observe| {
            let text = format!("until {} what follows is only reported, but for kills and days", observe.until);
            Explanation::note("observe", "mode", text)
        }));
        let Some((index, route, captures)) = contract.routes(direction).find(method, &target.path) else {
            let known = observed.and_then(|observe| observe.undeclared[direction.index()].as_ref());
            return steps.push(Explanation::denied_or_reported(
                "route",
                place,
                unknown_route(direction),
                known.is_some(),
            ));
        };
        let place = format!("{place}[{}]", index.get());
        if direction == Direction::Egress && !route.allow_encoded_slash && target.encoded_slash {
            let key = format!("{place}.allow_encoded_slash");
            steps.push(Explanation::denied_or_reported("route", key, egress::encoded_slash(), observed.is_some()));
        }
        steps.push(Explanation::allowed("route", place.clone(), route.pattern.as_str()));
        steps.extend(explain_parameters(route, (target, &captures), &place, observed.is_some()));
        steps.extend(self.policies(query, route, caller, &place));
        steps.push(Explanation::note("limits", "limits", limits(contract, direction, route)));
        steps.push(Explanation::note("upstream", format!("{place}.upstream"), destination(route, target)));
        if direction == Direction::Egress {
            steps.push(Explanation::note("tunnel", "egress.tunnel", tunnel_text(contract.reach.tunnel)));
        }
        if let Some(own) = contract.credentials.as_ref().filter(|_| direction == Direction::Egress) {
            let says = format!("{}; what the caller sends in its place is removed", own.describe());
            steps.push(Explanation::note("credential", format!("egress.credentials.{}", own.kind()), says));
        }
        for (message, rules) in [("request", &route.request), ("response", &route.response)] {
            let text = treatments_text(rules);
            steps.extend(text.map(|text| Explanation::note(message, format!("{place}.{message}"), text)));
        }
    }

    fn policies(
        &self,
        query: &ExplainQuery<'_>,
        route: &ContractRoute,
        caller: Option<&Caller>,
        place: &str,
    ) -> Vec<Explanation> {
        let ExplainQuery { contract, direction, .. } = *query;
        let ledgers =
            VendorLedgers::new(&contract.limits, &route_limits(contract), &SubjectKey::new(Secret::new([0; 32])));
        let ledger = ledgers.of(direction);
        let gate = self.switch.gate(&contract.vendor);
        let client = caller.map(|caller| &caller.client);
        let in_flight = gate.register(direction, RouteTag::of(route.pattern.as_str()), client);
        let steps =
            PolicyChain::new(&contract_terms(contract, direction, ledger, query.now.wall)).explain(&RequestFacts {
                now: query.now,
                in_flight: &in_flight,
                caller,
                own_client: &own_client(),
                route: &route_terms(route, direction, ledger),
                is_safe: query.method.is_safe(),
            });
        // Without a token that can be read there are no scopes to compare.
        let is_known = |step: &PolicyStep| step.policy != "scope" || caller.is_some();
        let explanation = |step: PolicyStep| {
            let rule = rule_of(step.policy, step.denial.as_ref(), route, contract, place);
            match step.denial {
                Some(denial) => Explanation::denied_or_reported(step.policy, rule, denial, step.is_reported),
                None => Explanation::allowed(step.policy, rule, reason_allowed(step.policy, route, contract)),
            }
        };
        steps.into_iter().filter(is_known).map(explanation).collect()
    }
}

/// What a route's lists and forms say of a request that is only explained, which has no header fields.
fn explain_parameters(
    route: &ContractRoute,
    (target, captures): (&RequestTarget<'_>, &Captures),
    place: &str,
    is_observed: bool,
) -> Vec<Explanation> {
    let rules = &route.parameters;
    if rules.is_empty() {
        return Vec::new();
    }
    let values = captured(route.pattern.capture_names(), captures, &target.path);
    let mut steps = vec![match rules.check_target(values, target.query) {
        Ok(None) => Explanation::allowed("parameters", place, "those that it has are allowed"),
        Ok(Some(_)) => {
            Explanation::note("parameters", format!("{place}.query"), "those that are not listed are dropped")
        }
        Err(forbidden) => {
            let ForbiddenParameter { key, .. } = &forbidden;
            let key = format!("{place}.{key}");
            Explanation::denied_or_reported("parameters", key, forbidden.into(), is_observed)
        }
    }];
    steps.extend(rules.headers.as_ref().map(|AllowList { names, other }| {
        let others = match other {
            OtherNames::Refuse => "with any other the request is refused",
            OtherNames::Drop => "any other is dropped",
        };
        let text = format!("[{}] go on beside those that HTTP needs; {others}", names.join(", "));
        Explanation::note("headers", format!("{place}.headers"), text)
    }));
    steps
}

impl Explanation {
    fn new(step: &'static str, rule: impl Into<String>, outcome: ExplainOutcome) -> Self {
        Self { step, rule: rule.into(), outcome }
    }

    fn allowed(step: &'static str, rule: impl Into<String>, why: impl Into<String>) -> Self {
        Self::new(step, rule, ExplainOutcome::Allowed(why.into()))
    }

    fn denied(step: &'static str, rule: impl Into<String>, denial: Denial) -> Self {
        Self::new(step, rule, ExplainOutcome::Denied(denial))
    }

    /// A denial, or a note of it where the contract only observes.
    fn denied_or_reported(step: &'static str, rule: impl Into<String>, denial: Denial, is_reported: bool) -> Self {
        match is_reported {
            true => Self::note(step, rule, format!("would be denied: {}: {}", denial.reason.as_str(), denial.detail)),
            false => Self::denied(step, rule, denial),
        }
    }

    fn unknown(step: &'static str, rule: impl Into<String>, why: impl Into<String>) -> Self {
        Self::new(step, rule, ExplainOutcome::Unknown(why.into()))
    }

    fn note(step: &'static str, rule: impl Into<String>, text: impl Into<String>) -> Self {
        Self::new(step, rule, ExplainOutcome::Note(text.into()))
    }
}

/// The head of the request, as a client would send it.
fn head(query: &ExplainQuery<'_>) -> Option<::http::request::Parts> {
    let mut head = Request::new(()).into_parts().0;
    head.method = query.method.clone();
    head.uri = query.target.clone();
    head.headers.insert(HOST, HeaderValue::from_static("gateway"));
    if let Some(token) = query.token {
        head.headers.insert(AUTHORIZATION, HeaderValue::try_from(format!("Bearer {token}")).ok()?);
    }
    Some(head)
}

/// The key of a direction's routes in a contract.
const fn place_of(direction: Direction) -> &'static str {
    match direction {
        Direction::Ingress => "ingress",
        Direction::Egress => "egress.routes",
    }
}

/// The key in a contract that a policy's outcome comes from.
fn rule_of(policy: &str, denial: Option<&Denial>, route: &ContractRoute, contract: &Contract, place: &str) -> String {
    let reason = denial.map(|denial| denial.reason);
    match policy {
        "contract" if reason == Some(Reason::ContractNotStarted) => "starts".to_owned(),
        "contract" => "ends".to_owned(),
        "scope" if route.scopes.iter().any(|scope| !contract.scopes.contains(scope)) => "scopes".to_owned(),
        "scope" => format!("{place}.scopes"),
        "callers" => "egress.callers".to_owned(),
        _ => String::new(),
    }
}

fn reason_allowed(policy: &str, route: &ContractRoute, contract: &Contract) -> String {
    match policy {
        "kill" => "not killed".to_owned(),
        "callers" => "the contract lists the service".to_owned(),
        "contract" => format!("in force from {} until {}", contract.starts, contract.ends),
        "scope" if route.scopes.is_empty() => "the route needs none".to_owned(),
        "scope" => format!("the token grants {}", route.scopes),
        _ => "it lets the request pass".to_owned(),
    }
}

/// The limits of the vendor and those of the route, each with its source.
fn limits(contract: &Contract, direction: Direction, route: &ContractRoute) -> String {
    let all = contract.limits_in_force(direction).into_iter().chain(route.limits_in_force());
    let all: Vec<_> = all.map(|it| format!("{} {} ({})", it.limit, it.value, it.source.as_str())).collect();
    format!("not checked, since they depend on what is used: {}", all.join("; "))
}

fn destination(route: &ContractRoute, target: &RequestTarget<'_>) -> String {
    format!("{} at {}{}", route.upstream.id.as_str(), route.upstream.base, target.path)
}

/// What becomes of a service that calls with `https://` through the gateway as its proxy.
const fn tunnel_text(mode: TunnelMode) -> &'static str {
    match mode {
        TunnelMode::Refuse => "TLS in a tunnel is refused: call by path, or http:// through HTTP_PROXY",
        TunnelMode::Intercept => {
            "TLS in a tunnel is ended by the gateway. A client that pins the vendor's certificate cannot be intercepted: it must call by path, or http:// through HTTP_PROXY"
        }
        TunnelMode::Opaque => "TLS in a tunnel passes unread",
    }
}

/// What would be treated, in words; `None` where the message passes as it is.
fn treatments_text(rules: &crate::pii::Rules) -> Option<String> {
    let mut said: Vec<String> =
        rules.treat.iter().map(|rule| format!("{} {}", rule.treatment.as_str(), rule.location)).collect();
    said.extend(rules.only.as_ref().map(|only| {
        let fields: Vec<String> = only.iter().map(ToString::to_string).collect();
        format!("only {}", fields.join(" "))
    }));
    said.extend(rules.records.as_ref().map(|records| format!("count {records}")));
    if said.is_empty() { None } else { Some(said.join(", ")) }
}

//! What would happen to a request, rule by rule, without one: for people who ask why.
//!
//! Asks the rules that requests are judged by, in the same order, and spends nothing. Sends nothing, remembers nothing.

use std::sync::Arc;

use ::http::header::{AUTHORIZATION, HOST};
use ::http::{HeaderValue, Method, Request, Uri};

use super::assemble::{identities, route_limits};
use super::handle::ENCODED_SLASH;
use crate::config::{Contract, ContractRoute, GatewaySettings};
use crate::http::{RequestTarget, screen};
use crate::identity::{Directory, DirectoryError, IdentitySettings, IdentityState, PresentedRequest};
use crate::kill::{KillSwitch, RouteTag};
use crate::meter::VendorLedgers;
use crate::model::{Caller, ClientId, Denial, Direction, Moment, Reason, Secret, SubjectKey};
use crate::policy::{ContractTerms, PolicyChain, RequestFacts};

/// A config, ready to be asked about.
#[derive(Debug)]
pub struct Explainer<'a> {
    /// Who may call at all.
    pub directory: Directory,
    switch: &'a KillSwitch,
}

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct ExplainQuery<'a> {
    /// Whose contract.
    pub contract: &'a Contract,
    /// Which way.
    pub direction: Direction,
    /// The method.
    pub method: &'a Method,
    /// Path and query.
    pub target: &'a Uri,
    /// The token, where one is presented.
    pub token: Option<&'a str>,
    /// When.
    pub now: Moment,
}

/// One rule, and what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// What was looked at: `request`, `token`, `route`, a policy, or what would follow.
    pub step: &'static str,
    /// The rule's key in the contract; empty where none stands behind it.
    pub rule: String,
    /// What it says.
    pub outcome: ExplainOutcome,
}

/// What a rule says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExplainOutcome {
    /// Nothing against it.
    Allowed(String),
    /// No.
    Denied(Denial),
    /// It cannot be said from here, and a request would be refused if it were no.
    Unknown(String),
    /// What would follow; decides nothing.
    Note(String),
}

impl<'a> Explainer<'a> {
    /// Joins a config with what is remembered of tokens and kills.
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

    /// Every rule in the order in which a request meets them. Goes on after a no, so that all of them are seen.
    pub fn explain(&self, question: &ExplainQuery<'_>) -> Vec<Explanation> {
        let mut told = Vec::new();
        let Some(head) = head(question) else {
            let denial = Denial::new(Reason::RequestMalformed, "the token cannot stand in a header");
            return vec![explanation("request", "", ExplainOutcome::Denied(denial))];
        };
        let target = match screen(&head, question.direction) {
            Ok(target) => target,
            Err(denial) => return vec![explanation("request", "", ExplainOutcome::Denied(denial))],
        };
        told.push(explanation(
            "request",
            "",
            ExplainOutcome::Allowed(format!("read as {} {}", question.method, target.path)),
        ));
        let caller = match question.direction {
            Direction::Ingress => self.identify(question, &head.headers, &target, &mut told),
            Direction::Egress => None,
        };
        self.route(question, &target, caller.as_ref(), &mut told);
        told
    }

    fn identify(
        &self,
        question: &ExplainQuery<'_>,
        headers: &::http::HeaderMap,
        target: &RequestTarget<'_>,
        told: &mut Vec<Explanation>,
    ) -> Option<Caller> {
        let token = match (question.contract.identity.as_ref()?, question.token) {
            (IdentitySettings::Token(_), Some(token)) => token,
            (IdentitySettings::Token(_), None) => {
                let denial = Denial::new(Reason::TokenMissing, "no token was given");
                told.push(explanation("token", "identity", ExplainOutcome::Denied(denial)));
                return None;
            }
            (IdentitySettings::Certificate(_), _) => {
                let why = "known by the certificate of its connection alone";
                told.push(explanation("certificate", "identity.certificate", ExplainOutcome::Unknown(why.to_owned())));
                return None;
            }
            (IdentitySettings::Webhook(_), _) => {
                let why = "known by the signature over each body";
                told.push(explanation("signature", "identity.webhook", ExplainOutcome::Unknown(why.to_owned())));
                return None;
            }
        };
        let presented = PresentedRequest {
            headers,
            method: question.method,
            scheme: "https",
            authority: "",
            path: &target.path,
            query: target.query,
            peer_certificate: None,
        };
        let explained = self.directory.explain(token, &presented, question.now);
        told.extend(explained.steps.into_iter().map(|step| {
            let outcome = match (step.outcome, step.checked) {
                (Ok(said), true) => ExplainOutcome::Allowed(said),
                (Ok(why), false) => ExplainOutcome::Unknown(why),
                (Err(denial), _) => ExplainOutcome::Denied(denial),
            };
            explanation("token", step.rule, outcome)
        }));
        let caller = explained.caller?;
        if caller.vendor != question.contract.vendor {
            let denial =
                Denial::new(Reason::VendorUnknown, format!("the token is {}'s, not this vendor's", caller.vendor));
            told.push(explanation("token", "identity.clients", ExplainOutcome::Denied(denial)));
        }
        Some(caller)
    }

    fn route(
        &self,
        question: &ExplainQuery<'_>,
        target: &RequestTarget<'_>,
        caller: Option<&Caller>,
        told: &mut Vec<Explanation>,
    ) {
        let ExplainQuery { contract, direction, method, .. } = *question;
        let place = place_of(direction);
        let Some((index, route, _)) = contract.routes(direction).find(method, &target.path) else {
            let (reason, what) = match direction {
                Direction::Ingress => (Reason::RouteUnknown, "no route has this method and path"),
                Direction::Egress => (Reason::DestinationUnknown, "no egress route has this method and path"),
            };
            return told.push(explanation("route", place, ExplainOutcome::Denied(Denial::new(reason, what))));
        };
        let place = format!("{place}[{}]", index.get());
        if direction == Direction::Egress && !route.allow_encoded_slash && target.encoded_slash {
            let denial = Denial::with_public_text(Reason::RequestMalformed, ENCODED_SLASH);
            told.push(explanation("route", format!("{place}.allow_encoded_slash"), ExplainOutcome::Denied(denial)));
        }
        let name = route.pattern.as_str();
        told.push(explanation("route", place.clone(), ExplainOutcome::Allowed(name.to_owned())));
        told.extend(self.policies(question, route, caller, &place));
        told.push(explanation("limits", "limits", ExplainOutcome::Note(limits(contract, direction, route))));
        told.push(explanation(
            "upstream",
            format!("{place}.upstream"),
            ExplainOutcome::Note(destination(route, target)),
        ));
        for (what, rules) in [("request", &route.request), ("response", &route.response)] {
            told.extend(
                treatments_text(rules)
                    .map(|said| explanation(what, format!("{place}.{what}"), ExplainOutcome::Note(said))),
            );
        }
    }

    fn policies(
        &self,
        question: &ExplainQuery<'_>,
        route: &ContractRoute,
        caller: Option<&Caller>,
        place: &str,
    ) -> Vec<Explanation> {
        let ExplainQuery { contract, direction, .. } = *question;
        let ledgers =
            VendorLedgers::new(&contract.limits, &route_limits(contract), &SubjectKey::new(Secret::new([0; 32])));
        let terms = ContractTerms {
            direction,
            calendar: contract.calendar(),
            ceiling: contract.scopes.clone(),
            ledger: Arc::clone(ledgers.of(direction)),
        };
        let ourselves = ClientId::new("vendorgate");
        let client = caller.map(|caller| &caller.client);
        let line = self.switch.gate(&contract.vendor);
        let in_flight = line.register(direction, RouteTag::of(route.pattern.as_str()), client);
        let steps = PolicyChain::new(&terms).explain(&RequestFacts {
            now: question.now,
            in_flight: &in_flight,
            caller,
            client: client.unwrap_or(&ourselves),
            ledger_index: 0,
            scopes: &route.scopes,
            is_safe: question.method.is_safe(),
            counts_records: false,
        });
        let said = |step: crate::policy::PolicyStep| {
            let rule = rule_of(step.policy, step.denial.as_ref(), route, contract, place);
            let outcome = step.denial.map_or_else(
                || ExplainOutcome::Allowed(reason_allowed(step.policy, route, contract)),
                ExplainOutcome::Denied,
            );
            explanation(step.policy, rule, outcome)
        };
        // Without a token that can be read there is nobody whose scopes could be compared.
        let known = |step: &crate::policy::PolicyStep| step.policy != "scope" || caller.is_some();
        steps.into_iter().filter(known).map(said).collect()
    }
}

fn explanation(step: &'static str, rule: impl Into<String>, outcome: ExplainOutcome) -> Explanation {
    Explanation { step, rule: rule.into(), outcome }
}

/// The request's head, as a client would send it.
fn head(question: &ExplainQuery<'_>) -> Option<::http::request::Parts> {
    let mut head = Request::new(()).into_parts().0;
    head.method = question.method.clone();
    head.uri = question.target.clone();
    head.headers.insert(HOST, HeaderValue::from_static("gateway"));
    if let Some(token) = question.token {
        head.headers.insert(AUTHORIZATION, HeaderValue::try_from(format!("Bearer {token}")).ok()?);
    }
    Some(head)
}

/// The key of a direction's routes.
const fn place_of(direction: Direction) -> &'static str {
    match direction {
        Direction::Ingress => "ingress",
        Direction::Egress => "egress.routes",
    }
}

/// The key that a policy's answer comes from.
fn rule_of(policy: &str, denial: Option<&Denial>, route: &ContractRoute, contract: &Contract, place: &str) -> String {
    let reason = denial.map(|denial| denial.reason);
    match policy {
        "contract" if reason == Some(Reason::ContractNotStarted) => "starts".to_owned(),
        "contract" => "ends".to_owned(),
        "scope" if route.scopes.iter().any(|scope| !contract.scopes.contains(scope)) => "scopes".to_owned(),
        "scope" => format!("{place}.scopes"),
        _ => String::new(),
    }
}

fn reason_allowed(policy: &str, route: &ContractRoute, contract: &Contract) -> String {
    match policy {
        "kill" => "not killed".to_owned(),
        "contract" => format!("in force from {} until {}", contract.starts, contract.ends),
        "scope" if route.scopes.is_empty() => "the route needs none".to_owned(),
        "scope" => format!("the token grants {}", route.scopes),
        _ => "nothing against it".to_owned(),
    }
}

/// The vendor's limits and the route's own, each with where it comes from.
fn limits(contract: &Contract, direction: Direction, route: &ContractRoute) -> String {
    let all = contract.limits_in_force(direction).into_iter().chain(route.limits_in_force());
    let all: Vec<_> = all.map(|it| format!("{} {} ({})", it.limit, it.value, it.source.as_str())).collect();
    format!("not asked, since they depend on what is used: {}", all.join("; "))
}

fn destination(route: &ContractRoute, target: &RequestTarget<'_>) -> String {
    format!("{} at {}{}", route.upstream.id.as_str(), route.upstream.base, target.path)
}

/// What would be treated, in words; `None` where a body passes as it is.
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

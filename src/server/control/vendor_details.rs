//! One vendor in detail: out of its contract in force, the requests that are remembered, and the audit trail.

use super::GatewayControl;
use super::decisive::{decisive_key, place_of};
use crate::admin::{
    AuditEntry, ContractOutline, ControlError, ControlResult, DecidedDenial, DenialList, MessageOutline, RouteOutline,
    TreatedPlace, VendorDetailControl, VendorHistory, VendorLimit,
};
use crate::audit::{AuditAct, newest};
use crate::bounds::{VENDOR_DENIALS_MAX, VENDOR_HISTORY_BYTES_MAX, VENDOR_HISTORY_MAX};
use crate::config::{ConfigLoader, Contract, ContractRoute, ContractSourceMap, FallbackSettings, FaultSeverity};
use crate::model::{Clock, Direction, FieldPath, VendorId};
use crate::pii::{DetectAction, Rules};
use crate::telemetry::FailedRequest;

impl VendorDetailControl for GatewayControl {
    async fn contract(&self, vendor: &VendorId) -> ControlResult<ContractOutline> {
        let runtime = self.known(vendor)?;
        let places = self.places(vendor).await?;
        Ok(outline(&runtime.contract, places.as_ref()))
    }

    async fn denials(&self, vendor: &VendorId) -> ControlResult<DenialList> {
        let runtime = self.known(vendor)?;
        let failed = self.gateway.failures.of_vendor(vendor.as_str(), VENDOR_DENIALS_MAX);
        let places = self.places(vendor).await?;
        let decided = |request| decided(request, &runtime.contract, places.as_ref());
        Ok(DenialList { denials: failed.into_iter().map(decided).collect() })
    }

    async fn history(&self, vendor: Option<&VendorId>) -> ControlResult<VendorHistory> {
        let (path, vendor) = (self.audit_reader.path().to_owned(), vendor.map(ToString::to_string));
        let read = move || {
            newest(&path, |line| is_about(line, vendor.as_deref()), VENDOR_HISTORY_MAX, VENDOR_HISTORY_BYTES_MAX)
        };
        let found = tokio::task::spawn_blocking(read).await.map_err(|_| ControlError::State)?;
        let found = found.map_err(|_| ControlError::State)?;
        let entries: Vec<AuditEntry> =
            found.lines.iter().rev().filter_map(|line| serde_json::from_str(line).ok()).collect();
        Ok(VendorHistory { entries, more: found.more })
    }
}

impl GatewayControl {
    /// The lines of a vendor's contract, as its file is now.
    async fn places(&self, vendor: &VendorId) -> ControlResult<Option<ContractSourceMap>> {
        let (main, wanted) = (self.main.clone(), vendor.clone());
        let read = move || {
            let environment = |name: &str| std::env::var(name).ok();
            let (missing_secrets, now) = (FaultSeverity::Warning, Clock::system().now().wall);
            ConfigLoader { environment: &environment, missing_secrets, now }.source_map(&main, wanted.as_str())
        };
        tokio::task::spawn_blocking(read).await.map_err(|_| ControlError::State)
    }
}

/// Whether a line of the trail is an act: about this vendor or about all, where one is named. Requests that were
/// refused are none. Quotes in a line's texts are escaped, so that no text can look like a key.
fn is_about(line: &str, vendor: Option<&str>) -> bool {
    const REFUSED: [AuditAct; 6] = [
        AuditAct::Denied,
        AuditAct::Denials,
        AuditAct::WouldDeny,
        AuditAct::WouldDenials,
        AuditAct::AdminRefused,
        AuditAct::AdminRefusals,
    ];
    let is_act = |act: &AuditAct| line.contains(&format!(",\"act\":\"{act}\","));
    let is_of = |subject: &str| line.contains(&format!(",\"subject\":\"{subject}\","));
    vendor.is_none_or(|vendor| is_of(vendor) || is_of("*")) && !REFUSED.iter().any(is_act)
}

fn decided(request: FailedRequest, contract: &Contract, places: Option<&ContractSourceMap>) -> DecidedDenial {
    let rule = decisive_key(&request, contract);
    let at = rule.as_deref().and_then(|rule| Some(places?.line_of(rule)));
    DecidedDenial { request, rule, at }
}

fn outline(contract: &Contract, places: Option<&ContractSourceMap>) -> ContractOutline {
    let routes = Direction::ALL.into_iter().flat_map(|direction| {
        let listed = contract.routes(direction).as_slice().iter().enumerate();
        listed.map(move |(index, route)| {
            let key = format!("{}[{index}]", place_of(direction));
            route_outline(direction, route, places.map(|places| places.line_of(&key)))
        })
    });
    ContractOutline {
        vendor: contract.vendor.to_string(),
        purpose: contract.purpose.clone(),
        region: contract.region.clone(),
        scopes: contract.scopes.iter().map(|scope| scope.as_str().to_owned()).collect(),
        approvals: contract.approvals.get(),
        drill_every_secs: contract.drill_every.map(|every| every.as_secs()),
        routes: routes.collect(),
    }
}

fn route_outline(direction: Direction, route: &ContractRoute, at: Option<String>) -> RouteOutline {
    let limits = route.limits_in_force().map(|it| VendorLimit {
        direction: Some(direction),
        limit: it.limit.to_owned(),
        value: it.value,
        source: it.source.as_str().to_owned(),
        remaining: None,
    });
    RouteOutline {
        direction,
        route: route.pattern.as_str().to_owned(),
        at,
        scopes: route.scopes.iter().map(|scope| scope.as_str().to_owned()).collect(),
        upstream: route.upstream.id.as_str().to_owned(),
        limits: limits.collect(),
        fallback: route.fallback.as_ref().map(fallback_words).unwrap_or_default(),
        websocket: route.websocket,
        request: message_outline(&route.request),
        response: message_outline(&route.response),
    }
}

fn fallback_words(fallback: &FallbackSettings) -> Vec<String> {
    let (last_good, answer) = (fallback.last_good.is_some(), fallback.answer.is_some());
    let words = [("last_good", last_good), ("answer", answer)];
    words.into_iter().filter(|(_, is_set)| *is_set).map(|(word, _)| word.to_owned()).collect()
}

fn message_outline(rules: &Rules) -> MessageOutline {
    let texts = |fields: &[FieldPath]| fields.iter().map(ToString::to_string).collect();
    let treated = rules.treat.iter().map(|rule| TreatedPlace {
        place: rule.location.to_string(),
        treatment: rule.treatment.as_str().to_owned(),
        category: rule.category.as_ref().map(ToString::to_string),
    });
    let detects = rules.detect.iter().flat_map(|detect| {
        detect.kinds().map(|kind| format!("{}: {}", kind.as_str(), action_word(detect.action_for(kind))))
    });
    MessageOutline {
        treated: treated.collect(),
        only: rules.only.as_deref().map(texts),
        clear: texts(&rules.clear),
        reveal: texts(&rules.reveal),
        detects: detects.collect(),
        records: rules.records.as_ref().map(ToString::to_string),
        subject: rules.subject.as_ref().map(ToString::to_string),
    }
}

const fn action_word(action: DetectAction) -> &'static str {
    match action {
        DetectAction::Mask => "mask",
        DetectAction::Redact => "redact",
        DetectAction::Report => "report",
    }
}

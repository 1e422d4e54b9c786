//! The contract that stands for all destinations that no contract lists, while the config lets them pass. It has no
//! file.

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;
use std::time::Duration;

use super::contract::{Contract, ContractRoutes};
use super::reach::ReachSettings;
use super::settings::UndeclaredSettings;
use crate::bounds::{
    BUDGET_WINDOW_DEFAULT, CONTRACT_WARN_BEFORE, UNDECLARED_BYTES, UNDECLARED_CONCURRENCY,
    UNDECLARED_REQUESTS_PER_SECOND,
};
use crate::meter::{AfterEnd, Budget, Limits, OverrunAction, RequestRate, VendorLimits};
use crate::model::{ScopeSet, UnixTime, VendorId};

/// Its vendor, by which it is counted, limited and killed. No file can take this id.
pub const UNDECLARED: &str = "undeclared";

/// The contract. Its days are those of the roll-out.
pub(super) fn contract(settings: &UndeclaredSettings) -> Option<Contract> {
    Some(Contract {
        vendor: VendorId::parse(UNDECLARED).ok()?,
        name: "destinations that no contract lists".to_owned(),
        owner: "listeners.egress.unknown".to_owned(),
        security_contact: String::new(),
        journey: Vec::new(),
        region: String::new(),
        purpose: Vec::new(),
        is_draft: false,
        observe: None,
        starts: UnixTime::default(),
        ends: settings.until,
        after_end: AfterEnd::Block,
        warn_before: CONTRACT_WARN_BEFORE,
        identity: None,
        scopes: ScopeSet::default(),
        limits: VendorLimits { egress: limits(), ..VendorLimits::default() },
        trip: None,
        drill_every: None,
        approvals: NonZeroU32::MIN,
        ingress: ContractRoutes::default(),
        callers: None,
        egress: ContractRoutes::default(),
        reach: ReachSettings { undeclared: Some(Arc::clone(&settings.upstream)), ..ReachSettings::default() },
        credentials: None,
    })
}

fn limits() -> Limits {
    let (count, per) = (UNDECLARED_REQUESTS_PER_SECOND, Duration::from_secs(1));
    let budget = |budget: NonZeroU64| Budget { budget, window: BUDGET_WINDOW_DEFAULT, over: OverrunAction::Refuse };
    Limits {
        requests: Some(RequestRate { count, per, burst: count }),
        concurrency: Some(UNDECLARED_CONCURRENCY),
        bytes: Some(budget(UNDECLARED_BYTES)),
        ..Limits::default()
    }
}

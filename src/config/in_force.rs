//! The limits that hold for a vendor, as text: those of its contract, or the product's defaults.
//!
//! `status` and `explain` show them, so that a refusal can be understood without knowing the defaults.

use super::contract::{Contract, ContractRoute};
use super::units;
use crate::bounds::TOKEN_LIFETIME_DEFAULT;
use crate::identity::IdentitySettings;
use crate::meter::{Budget, Limits, RequestRate};
use crate::model::{Direction, words};

/// One limit in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitInForce {
    /// Its key in the contract, such as `records`.
    pub limit: &'static str,
    /// Its value as a contract writes it, such as `50000 in 10s, over: sever`.
    pub value: String,
    /// Whether the contract, the route or the product sets it.
    pub source: LimitSource,
}

words! {
    /// Who sets a limit.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum LimitSource {
        /// The contract's `limits`.
        Contract = "contract",
        /// The route's own `limits`, beside the vendor's.
        Route = "route",
        /// The product, because the contract does not set it.
        Default = "default",
    }
}

impl Contract {
    /// The limits in force of a direction.
    pub fn limits_in_force(&self, direction: Direction) -> Vec<LimitInForce> {
        let limits = self.limits.of(direction);
        let complete = Limits {
            requests: Some(limits.requests_or_default()),
            concurrency: Some(limits.concurrency_or_default()),
            records: Some(limits.records_or_default()),
            bytes: Some(limits.bytes_or_default()),
            ..limits.clone()
        };
        let is_written = |name| written(limits, LimitSource::Contract).any(|own| own.limit == name);
        let all = written(&complete, LimitSource::Default).map(|limit| match is_written(limit.limit) {
            true => LimitInForce { source: LimitSource::Contract, ..limit },
            false => limit,
        });
        all.chain(self.token_lifetime().filter(|_| direction == Direction::Ingress)).collect()
    }

    /// The longest lifetime of a token, where the vendor is known by tokens.
    fn token_lifetime(&self) -> Option<LimitInForce> {
        let IdentitySettings::Token(settings) = self.identity.as_ref()? else { return None };
        let longest = settings.rotation.max_lifetime?;
        let source = if longest == TOKEN_LIFETIME_DEFAULT { LimitSource::Default } else { LimitSource::Contract };
        Some(LimitInForce { limit: "rotation.max_lifetime", value: units::format_duration(longest), source })
    }
}

impl ContractRoute {
    /// The route's own limits in force, beside the vendor's.
    pub fn limits_in_force(&self) -> impl Iterator<Item = LimitInForce> {
        written(&self.limits, LimitSource::Route)
    }
}

/// The limits that a contract or a route itself sets.
fn written(limits: &Limits, source: LimitSource) -> impl Iterator<Item = LimitInForce> {
    let all = [
        ("requests", limits.requests.map(rate)),
        ("concurrency", limits.concurrency.map(|count| count.to_string())),
        ("records", limits.records.map(budget)),
        ("bytes", limits.bytes.map(bytes)),
        ("subjects", limits.subjects.map(budget)),
        ("client_requests", limits.client_requests.map(rate)),
    ];
    all.into_iter().filter_map(move |(limit, value)| Some(LimitInForce { limit, value: value?, source }))
}

fn rate(rate: RequestRate) -> String {
    let per = units::format_duration(rate.per);
    let per = per.strip_prefix('1').filter(|unit| unit.bytes().all(|b| b.is_ascii_alphabetic())).unwrap_or(&per);
    format!("{}/{per}, burst {}", rate.count, rate.burst)
}

fn budget(budget: Budget) -> String {
    format!("{} in {}, over: {}", budget.budget, units::format_duration(budget.window), budget.over.as_str())
}

fn bytes(budget: Budget) -> String {
    let size = units::format_size(budget.budget.get());
    format!("{size} in {}, over: {}", units::format_duration(budget.window), budget.over.as_str())
}

#[cfg(test)]
mod tests {
    use std::num::{NonZeroU32, NonZeroU64};
    use std::time::Duration;

    use super::*;
    use crate::meter::OverrunAction;

    #[test]
    fn a_limit_is_shown_as_a_contract_writes_it() {
        let (five, window) = (NonZeroU32::new(5).unwrap(), Duration::from_secs(90));
        assert_eq!(rate(RequestRate { count: five, per: Duration::from_secs(60), burst: five }), "5/m, burst 5");
        let of = |budget, over| Budget { budget: NonZeroU64::new(budget).unwrap(), window, over };
        assert_eq!(budget(of(50_000, OverrunAction::Sever)), "50000 in 90s, over: sever");
        assert_eq!(bytes(of(1 << 30, OverrunAction::Refuse)), "1GiB in 90s, over: refuse");
        assert_eq!(bytes(of(200_000_000, OverrunAction::Kill)), "200MB in 90s, over: kill");
        assert_eq!(bytes(of(1_500_001, OverrunAction::Kill)), "1500001B in 90s, over: kill");
    }
}

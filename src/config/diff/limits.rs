//! Compares limits: how much may pass.

use super::WideningReport;
use crate::config::units::format_duration;
use crate::meter::{Budget, Limits, RequestRate, VendorLimits};
use crate::model::Direction;

/// The limits of a whole contract, in each direction.
pub(super) fn of_vendor(report: &mut WideningReport<'_>, old: &VendorLimits, new: &VendorLimits) {
    if old.shared && !new.shared {
        report.add("limits.shared", "one budget for both directions", "a budget for each");
    }
    for direction in Direction::ALL {
        let (old, new) = (in_force(old.of(direction)), in_force(new.of(direction)));
        compare(report, &format!("limits.{}", direction.as_str()), &old, &new);
    }
}

/// Limits of a route, beside those of its vendor: none is no limit.
pub(super) fn compare(report: &mut WideningReport<'_>, key: &str, old: &Limits, new: &Limits) {
    let Limits { requests, concurrency, records, bytes, subjects, client_requests } = new;
    for (name, old, new) in
        [("requests", old.requests, *requests), ("client_requests", old.client_requests, *client_requests)]
    {
        if let Some(before) = old
            && new.is_none_or(|new| is_faster(before, new))
        {
            report.add(format!("{key}.{name}"), rate_text(before), new.map(rate_text).unwrap_or_default());
        }
    }
    if let Some(before) = old.concurrency
        && concurrency.is_none_or(|concurrency| concurrency > before)
    {
        report.add(format!("{key}.concurrency"), before, concurrency.map(|most| most.to_string()).unwrap_or_default());
    }
    for (name, old, new) in
        [("records", old.records, *records), ("bytes", old.bytes, *bytes), ("subjects", old.subjects, *subjects)]
    {
        if let Some(before) = old
            && new.is_none_or(|new| is_larger(before, new))
        {
            report.add(format!("{key}.{name}"), budget_text(before), new.map(budget_text).unwrap_or_default());
        }
    }
}

/// A vendor's limits, with the product's own where the contract names none.
fn in_force(limits: &Limits) -> Limits {
    Limits {
        requests: Some(limits.requests_or_default()),
        concurrency: Some(limits.concurrency_or_default()),
        records: Some(limits.records_or_default()),
        bytes: Some(limits.bytes_or_default()),
        ..limits.clone()
    }
}

/// Whether the new rate lets more pass in some span: by a larger burst, or in the long run.
fn is_faster(old: RequestRate, new: RequestRate) -> bool {
    let in_the_long_run =
        u128::from(new.count.get()) * old.per.as_nanos() > u128::from(old.count.get()) * new.per.as_nanos();
    new.burst > old.burst || in_the_long_run
}

/// Whether the new budget lets more pass in some span, or has a milder consequence.
fn is_larger(old: Budget, new: Budget) -> bool {
    new.budget > old.budget || new.window < old.window || new.over < old.over
}

fn rate_text(rate: RequestRate) -> String {
    format!("{} in {}, burst {}", rate.count, format_duration(rate.per), rate.burst)
}

fn budget_text(budget: Budget) -> String {
    format!("{} in {}, over: {}", budget.budget, format_duration(budget.window), budget.over.as_str())
}

//! Compares which parameters and header fields pass, and in which form.

use super::WideningReport;
use crate::config::contract::ContractRoute;
use crate::parameters::{ParameterForm, ParameterRules, form_of};
use crate::route::RoutePattern;

/// Reports the parameters and fields that pass newly, or in a wider form. Whether others are refused or dropped lets
/// none of them pass.
pub(super) fn compare(
    report: &mut WideningReport<'_>,
    old: &ContractRoute,
    (new, pattern): (&ParameterRules, &RoutePattern),
) {
    let ParameterRules { query, headers, captures, parameters } = new;
    let before = &old.parameters;
    for (key, had_list, has_list) in [
        ("query.allow", before.query.is_some(), query.is_some()),
        ("headers.allow", before.headers.is_some(), headers.is_some()),
    ] {
        if had_list && !has_list {
            report.add(key, "listed names alone", "every name");
        }
    }
    let listed = query.iter().flat_map(|list| &list.names);
    for name in listed.chain(parameters.iter().map(|(name, _)| name)).filter(|name| !before.lets_pass(name)) {
        report.add("query.allow", "", name);
    }
    let fields = headers.iter().flat_map(|list| &list.names);
    fields.filter(|name| !before.lets_field_pass(name)).for_each(|name| report.add("headers.allow", "", name));
    for (name, form) in before.parameters.iter().filter(|(name, _)| new.lets_pass(name)) {
        compare_form(report, name, form, form_of(parameters, name));
    }
    for (name, form) in &before.captures {
        // A capture is known by its place: its own name says nothing.
        let place = old.pattern.capture_place(name);
        let same = captures.iter().find(|(name, _)| place.is_some() && pattern.capture_place(name) == place);
        compare_form(report, name, form, same.map(|(_, form)| form));
    }
}

fn compare_form(report: &mut WideningReport<'_>, name: &str, old: &ParameterForm, new: Option<&ParameterForm>) {
    if !new.is_some_and(|new| new.is_within(old)) {
        report.add(format!("params.{name}"), old, new.map(ToString::to_string).unwrap_or_default());
    }
}

//! A report for people: as text for a terminal, and as Markdown for a file that goes to a supervisory authority.
//!
//! Both hold the same figures. Never rounds a count; only subjects are approximate, and are marked so.

use std::fmt::Write as _;

use super::{
    Approximate, CallerExposure, CategoryExposure, ClearCount, ExposureReport, FieldExposure, InClear, RouteExposure,
};
use crate::model::{Category, thousands};

/// Adds a line to a `String`, which cannot fail.
macro_rules! line {
    ($out:ident, $($text:tt)+) => {{
        let _ = writeln!($out, $($text)+);
    }};
}

impl ExposureReport {
    /// The report as text for a terminal, route by route or caller by caller.
    pub fn to_text(&self, grouping: ExposureGrouping) -> String {
        let mut out = format!(
            "What left to {}, {} to {}\n\n",
            self.vendor,
            to_the_second(&self.since),
            to_the_second(&self.until)
        );
        if self.routes.is_empty() {
            out.push_str("Nothing left.\n");
            return out;
        }
        for (name, value) in self.totals() {
            line!(out, "  {name:<18}  {value}");
        }
        text_categories(&mut out, &self.categories);
        match grouping {
            ExposureGrouping::Route => self.routes.iter().for_each(|route| text_route(&mut out, route)),
            ExposureGrouping::Caller => self.callers.iter().for_each(|caller| text_caller(&mut out, caller)),
        }
        line!(out, "\n{}", self.caveats(grouping).join("\n"));
        out
    }

    /// The report as Markdown, laid out by what Article 33(3)(a) GDPR asks for.
    pub fn to_markdown(&self) -> String {
        let mut out = format!("# Exposure of personal data to {}\n\n", self.vendor);
        line!(out, "Period: {} to {}. All times are UTC.\n", to_the_second(&self.since), to_the_second(&self.until));
        if self.routes.is_empty() {
            out.push_str("Nothing left in this period.\n");
            return out;
        }
        out.push_str("## Extent (GDPR Article 33(3)(a))\n\n| what | how much |\n| --- | --- |\n");
        for (name, value) in self.totals() {
            line!(out, "| {name} | {value} |");
        }
        markdown_categories(&mut out, &self.categories);
        out.push_str("\n## Fields, route by route\n");
        for route in &self.routes {
            markdown_route(&mut out, route);
        }
        markdown_callers(&mut out, &self.callers);
        line!(out, "\n## How to read this\n\n- {}", self.caveats(ExposureGrouping::Caller).join("\n- "));
        out.push_str(LEFT_TO_SAY);
        out
    }

    fn totals(&self) -> Vec<(&'static str, String)> {
        let time = |time: &Option<String>| time.as_deref().map(to_the_second).unwrap_or_default();
        let raw = (self.left_raw > 0)
            .then(|| ("LEFT RAW", format!("{} values that detectors found and let pass", thousands(self.left_raw))));
        let rest = [
            ("records", thousands(self.records)),
            ("different subjects", self.subjects.map_or_else(|| "not counted".to_owned(), spelled)),
            ("body bytes", thousands(self.bytes)),
            ("first", time(&self.first)),
            ("last", time(&self.last)),
        ];
        raw.into_iter().chain(rest).collect()
    }

    fn caveats(&self, grouping: ExposureGrouping) -> Vec<&'static str> {
        let mut caveats = vec!["Records, bytes and values are counted as they leave, by the hour.", RETENTION];
        if self.subjects.is_some() {
            caveats.push("Different subjects are an estimate with a standard error of 1.63 %; the range holds in 95 of 100 cases.");
            caveats.push("In days whose hours have been joined, subjects of the whole first day are among them.");
        }
        if self.routes.iter().any(|route| route.in_clear.is_some()) {
            caveats.push(LOOKED_AT);
        }
        if self.subjects_incomplete {
            caveats.push("Some routes name no subject: the people whom their records are about are in no number here.");
        }
        if grouping == ExposureGrouping::Caller {
            caveats.push("By caller, joined days count as a whole.");
            if self.callers_incomplete {
                caveats.push("Some of what left was counted before callers were, and is under none of them.");
            }
        }
        caveats
    }
}

/// By what the text of a report is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExposureGrouping {
    /// By route, with people and what was seen in clear.
    Route,
    /// By the client of the vendor, or the service of ours, by whom it left.
    Caller,
}

/// Kept in step with [`crate::bounds::CLEAR_BODIES`] and [`crate::bounds::CLEAR_EVERY`] by a test.
const LOOKED_AT: &str = "Paths in clear are those of the bodies that were looked at: of each route the first 100 of an hour, then every 256th; counts are of these.";

/// Kept in step with [`crate::bounds::EXPOSURE_RETENTION`] by a test.
const RETENTION: &str =
    "Counts are kept for 400 days, and then deleted; no value, and no identifier of a person, is kept at all.";

/// What the gateway cannot know and a notification must hold.
const LEFT_TO_SAY: &str = "
## Left for the controller to say

- Categories of data subjects, and what the records are about (Article 33(3)(a)).
- Name and contact of the data protection officer (Article 33(3)(b)).
- Likely consequences (Article 33(3)(c)).
- Measures taken or proposed (Article 33(3)(d)); the treatments above, a kill and a cut are such measures.
";

fn text_route(out: &mut String, route: &RouteExposure) {
    line!(out, "\n{} {}", route.direction, route.route);
    line!(out, "  {} records, {} bytes, {}", thousands(route.records), thousands(route.bytes), subjects_of(route));
    line!(out, "  {} to {}", to_the_second(&route.first), to_the_second(&route.last));
    text_fields(out, "  ", &route.treated);
    match &route.clear {
        Some(fields) if fields.is_empty() => line!(out, "  in clear: nothing"),
        Some(fields) => line!(out, "  in clear: {}", fields.join(", ")),
        None => line!(out, "  in clear: {ALL_OTHERS}"),
    }
    if let Some(in_clear) = &route.in_clear {
        text_clear(out, in_clear);
    }
}

fn text_fields(out: &mut String, indent: &str, treated: &[FieldExposure]) {
    let width = |of: fn(&FieldExposure) -> usize| treated.iter().map(of).max().unwrap_or(0);
    let (field_width, treatment_width) = (width(|line| line.field.chars().count()), width(|line| line.treatment.len()));
    let values_width = width(|line| thousands(line.values).len());
    for FieldExposure { field, treatment, values, left_as, .. } in treated {
        let values = thousands(*values);
        line!(out, "{indent}{field:<field_width$}  {treatment:<treatment_width$}  {values:>values_width$}  {left_as}");
    }
}

fn text_caller(out: &mut String, caller: &CallerExposure) {
    line!(out, "\n{} by {}", caller.direction, caller.caller);
    line!(out, "  {} records, {} bytes", thousands(caller.records), thousands(caller.bytes));
    line!(out, "  {} to {}", to_the_second(&caller.first), to_the_second(&caller.last));
    for route in &caller.routes {
        line!(out, "  {}: {} records, {} bytes", route.route, thousands(route.records), thousands(route.bytes));
        text_fields(out, "    ", &route.treated);
    }
}

fn markdown_callers(out: &mut String, callers: &[CallerExposure]) {
    out.push_str("\n## By whom\n\n");
    if callers.is_empty() {
        out.push_str("No caller was counted.\n");
        return;
    }
    out.push_str("| direction | caller | route | records | bytes | treated values |\n");
    out.push_str("| --- | --- | --- | ---: | ---: | --- |\n");
    for caller in callers {
        let (direction, name) = (&caller.direction, code(&caller.caller));
        for route in &caller.routes {
            let (records, bytes) = (thousands(route.records), thousands(route.bytes));
            let treated = route
                .treated
                .iter()
                .map(|line| format!("`{}` {} {}", code(&line.field), code(&line.treatment), thousands(line.values)));
            let treated = treated.collect::<Vec<_>>().join(", ");
            line!(out, "| {direction} | `{name}` | `{}` | {records} | {bytes} | {treated} |", code(&route.route));
        }
    }
}

fn text_categories(out: &mut String, categories: &[CategoryExposure]) {
    if categories.is_empty() {
        return;
    }
    line!(out, "\nby category");
    let width = |of: fn(&CategoryExposure) -> usize| categories.iter().map(of).max().unwrap_or(0);
    let (category_width, treatment_width) = (width(|line| line.category.len()), width(|line| line.treatment.len()));
    let values_width = width(|line| thousands(line.values).len());
    for CategoryExposure { category, treatment, left_as, values } in categories {
        let values = thousands(*values);
        line!(out, "  {category:<category_width$}  {treatment:<treatment_width$}  {values:>values_width$}  {left_as}");
    }
}

fn markdown_categories(out: &mut String, categories: &[CategoryExposure]) {
    out.push_str("\n## Categories of data (GDPR Article 33(3)(a))\n\n");
    if categories.is_empty() {
        out.push_str("No rule and no field in clear tells a category.\n");
        return;
    }
    out.push_str("| category | key | treatment | left as | values |\n| --- | --- | --- | --- | ---: |\n");
    for CategoryExposure { category, treatment, left_as, values } in categories {
        let (name, key, values) = (code(Category::name_of(category)), code(category), thousands(*values));
        line!(out, "| {name} | `{key}` | {} | {left_as} | {values} |", code(treatment));
    }
}

fn text_clear(out: &mut String, in_clear: &InClear) {
    line!(out, "  seen in clear, in {}:", looked_at(in_clear));
    let width = in_clear.paths.iter().map(|line| line.path.chars().count()).max().unwrap_or(0);
    let values_width = in_clear.paths.iter().map(|line| thousands(line.values).len()).max().unwrap_or(0);
    for ClearCount { path, values, listed } in &in_clear.paths {
        let (values, mark) =
            (thousands(*values), if *listed { "listed under clear" } else { "NOT LISTED under clear" });
        line!(out, "    {path:<width$}  {values:>values_width$}  {mark}");
    }
    if in_clear.paths.is_empty() {
        line!(out, "    nothing");
    }
    if in_clear.others > 0 {
        line!(out, "    other paths  {}", thousands(in_clear.others));
    }
}

fn looked_at(in_clear: &InClear) -> String {
    format!("{} of {} bodies", thousands(in_clear.looked_at), thousands(in_clear.bodies))
}

fn markdown_clear(out: &mut String, in_clear: &InClear) {
    line!(out, "\nSeen in clear, in {}:\n", looked_at(in_clear));
    out.push_str("| path | values | listed under `clear` |\n| --- | ---: | --- |\n");
    for ClearCount { path, values, listed } in &in_clear.paths {
        let mark = if *listed { "yes" } else { "**no**" };
        line!(out, "| `{}` | {} | {mark} |", code(path), thousands(*values));
    }
    if in_clear.others > 0 {
        line!(out, "| other paths | {} | **no** |", thousands(in_clear.others));
    }
}

fn markdown_route(out: &mut String, route: &RouteExposure) {
    line!(out, "\n### {} `{}`\n", route.direction, code(&route.route));
    let (records, bytes) = (thousands(route.records), thousands(route.bytes));
    line!(out, "{records} records, {bytes} bytes, {}.", subjects_of(route));
    line!(out, "From {} to {}.\n", to_the_second(&route.first), to_the_second(&route.last));
    out.push_str("| field | treatment | left as | values |\n| --- | --- | --- | ---: |\n");
    for field in &route.treated {
        let (name, values) = (code(&field.field), thousands(field.values));
        line!(out, "| `{name}` | {} | {} | {values} |", field.treatment, field.left_as);
    }
    for name in route.clear.iter().flatten() {
        line!(out, "| `{}` | none | **in clear** | up to one a record |", code(name));
    }
    if route.clear.is_none() {
        line!(out, "| {ALL_OTHERS} | none | **in clear** | not counted |");
    }
    if let Some(in_clear) = &route.in_clear {
        markdown_clear(out, in_clear);
    }
}

const ALL_OTHERS: &str = "every field that no rule names";

fn subjects_of(route: &RouteExposure) -> String {
    route.subjects.map_or_else(
        || "subjects not counted".to_owned(),
        |subjects| format!("{} different subjects", spelled(subjects)),
    )
}

fn spelled(count: Approximate) -> String {
    if count.at_least == count.at_most {
        return format!("about {}", thousands(count.about));
    }
    format!("about {} ({} to {})", thousands(count.about), thousands(count.at_least), thousands(count.at_most))
}

/// `2026-11-20T08:00:00.123Z` without its milliseconds.
fn to_the_second(time: &str) -> String {
    time.split_once('.').map_or_else(|| time.to_owned(), |(seconds, _)| format!("{seconds}Z"))
}

/// A name from a contract, without what could end its table cell or code span.
fn code(name: &str) -> String {
    name.chars().filter(|c| !c.is_control() && *c != '`').collect::<String>().replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bounds;

    #[test]
    fn the_note_names_the_retention() {
        let days = bounds::EXPOSURE_RETENTION.as_secs() / 86_400;
        assert!(RETENTION.contains(&format!(" {days} days")));
    }

    #[test]
    fn the_note_names_how_many_bodies_are_looked_at() {
        let (first, then) = (bounds::CLEAR_BODIES, bounds::CLEAR_EVERY);
        assert!(LOOKED_AT.contains(&format!(" first {first} of an hour, then every {then}th")));
    }
}

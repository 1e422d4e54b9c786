//! Compares the rules of a message: which values leave, and how treated.

use super::paths::{any_covers, covers, overlaps};
use super::{WideningReport, treatments};
use crate::model::{Category, FieldPath};
use crate::pii::{
    BodyFormat, BodySettings, DetectAction, DetectRule, FileHandling, OnUnexpectedShape, PiiKind, Rule, Rules,
    ValueLocation,
};

/// Reports the values that the new rules of `request` or `response` let pass, or pass in a clearer form.
pub(super) fn compare(report: &mut WideningReport<'_>, side: &str, old: &Rules, new: &Rules) {
    let Rules {
        treat,
        only,
        clear,
        categories,
        reveal,
        detect,
        files,
        graphql,
        body_settings,
        records,
        subject,
        on_unexpected_shape,
    } = new;
    for before in &old.treat {
        compare_rule(report, side, before, treat, only.as_deref());
    }
    match (&old.only, only) {
        (Some(_), None) => report.add(format!("{side}.only"), "listed fields alone", "every field"),
        (Some(before), Some(only)) => {
            for path in only.iter().filter(|path| !any_covers(before, path)) {
                report.add(format!("{side}.only"), "", path);
            }
        }
        (None, _) => {}
    }
    for path in clear.iter().filter(|path| !any_covers(&old.clear, path)) {
        report.add(format!("{side}.clear"), "", path);
    }
    for (path, category) in categories.iter().filter(|line| !old.categories.contains(line)) {
        let was = old.categories.iter().find(|(before, _)| before == path);
        let shown = |category: &Option<Category>| category.as_ref().map_or("none", Category::as_str).to_owned();
        let now = shown(category);
        report.add(format!("{side}.categories {path}"), was.map(|(_, was)| shown(was)).unwrap_or_default(), now);
    }
    for path in reveal.iter().filter(|path| !any_covers(&old.reveal, path)) {
        report.add(format!("{side}.reveal"), "", path);
    }
    compare_detectors(report, side, old.detect.as_ref(), detect.as_ref());
    if old.files == FileHandling::Refuse && *files == FileHandling::Pass && old.reads_body() {
        report.add(format!("{side}.allow_files"), "false", "true");
    }
    if old.graphql.is_some() && graphql.is_none() {
        report.add("graphql", "true", "false");
    }
    if old.reads_body() {
        compare_settings(report, side, &old.body_settings, body_settings);
    }
    let shown = |path: &Option<FieldPath>| path.as_ref().map(ToString::to_string).unwrap_or_default();
    for (key, old, new) in [("records", &old.records, records), ("subject", &old.subject, subject)] {
        if old.is_some() && old != new {
            report.add(key, shown(old), shown(new));
        }
    }
    if old.records.is_some()
        && old.on_unexpected_shape == OnUnexpectedShape::Refuse
        && *on_unexpected_shape != OnUnexpectedShape::Refuse
    {
        report.add("on_shape", "refuse", "pass");
    }
}

/// Follows a rule of the old version through the rules of the new one: the first that selects a value wins. One that
/// selects a container of it redacts or drops the whole.
fn compare_rule(report: &mut WideningReport<'_>, side: &str, old: &Rule, new: &[Rule], only: Option<&[FieldPath]>) {
    let key = || format!("{side}.pii {}", old.location);
    if let (Some(path), Some(only)) = (old.location.field(), only)
        && !only
            .iter()
            .any(|kept| covers(kept, path) || covers(path, kept) || has_any_depth(kept) || has_any_depth(path))
    {
        return;
    }
    for rule in new {
        let is_same = can_select_same(&rule.location, &old.location);
        if is_same && treatments::is_weaker(&old.treatment, &rule.treatment) {
            report.add(key(), treatments::text(&old.treatment), treatments::text(&rule.treatment));
            return;
        }
        if is_same && rule.treatment.kind().is_keyed() && rule.treatment == old.treatment && rule.class != old.class {
            report.add(format!("{}.class", key()), old.class.as_str(), rule.class.as_str());
        }
        if rule.location == old.location && old.category.is_some() && rule.category != old.category {
            let now = rule.category.as_ref().map(ToString::to_string).unwrap_or_default();
            let was = old.category.as_ref().map(ToString::to_string).unwrap_or_default();
            report.add(format!("{}.category", key()), was, now);
        }
        let same_type = rule.only_type.is_none() || rule.only_type == old.only_type;
        if same_type && selects_all(&rule.location, &old.location) {
            return;
        }
    }
    report.add(key(), treatments::text(&old.treatment), "");
}

fn has_any_depth(path: &FieldPath) -> bool {
    path.steps().iter().any(|step| step.descends)
}

/// Whether a rule at `new` may take a value from a rule at `old`.
fn can_select_same(new: &ValueLocation, old: &ValueLocation) -> bool {
    match (new, old) {
        (ValueLocation::Field(new), ValueLocation::Field(old)) => overlaps(new, old),
        (new, old) => new == old,
    }
}

/// Whether a rule at `new` selects every value that one at `old` does.
fn selects_all(new: &ValueLocation, old: &ValueLocation) -> bool {
    match (new, old) {
        (ValueLocation::Field(new), ValueLocation::Field(old)) => covers(new, old),
        (new, old) => new == old,
    }
}

fn compare_detectors(report: &mut WideningReport<'_>, side: &str, old: Option<&DetectRule>, new: Option<&DetectRule>) {
    let Some(old) = old else { return };
    let kinds = |rule: &DetectRule| -> Vec<PiiKind> { rule.kinds().collect() };
    let kept = new.map(kinds).unwrap_or_default();
    for kind in old.kinds().filter(|kind| !kept.contains(kind)) {
        report.add(format!("{side}.detect.find"), kind.as_str(), "");
    }
    if let Some(new) = new
        && new.action().leaves() > old.action().leaves()
    {
        report.add(format!("{side}.detect.as"), word(old.action()), word(new.action()));
    }
}

const fn word(action: DetectAction) -> &'static str {
    match action {
        DetectAction::Redact => "redact",
        DetectAction::Mask => "mask",
        DetectAction::Report => "report",
    }
}

/// How bodies are read: another way may select other values.
fn compare_settings(report: &mut WideningReport<'_>, side: &str, old: &BodySettings, new: &BodySettings) {
    let BodySettings { format, decode_charsets: _, delimiter, columns, optional_rules } = new;
    if old.format != *format {
        let is_counted = [old.format, *format].contains(&Some(BodyFormat::GrpcMessages));
        let key = if is_counted { "records".to_owned() } else { format!("{side}.as") };
        report.add(key, "one format", "another");
    }
    if old.delimiter != *delimiter {
        report.add(format!("{side}.delimiter"), "one separator", "another");
    }
    if old.columns != *columns {
        report.add(format!("{side}.columns"), "some columns", "others");
    }
    if optional_rules.len() > old.optional_rules.len() {
        report.add(format!("{side}.pii.optional"), "a table has the column", "a table may lack it");
    }
}

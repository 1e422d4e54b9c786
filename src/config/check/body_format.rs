//! Checks `as:`, `decode_charsets:`, `delimiter:` and `columns:` of a message, and `optional:` of a rule: how bodies
//! are read.

use crate::bounds::TABLE_COLUMNS_MAX;
use crate::config::file::route::MessageRulesConfig;
use crate::config::source::Cursor;
use crate::pii::{BodyFormat, Rules, ValueLocation};

/// Adds the format of bodies to `rules`, which must be complete but for `records` and `subject`.
pub(super) fn build(at: &Cursor<'_>, written: &MessageRulesConfig, rules: &mut Rules) {
    rules.body_settings.format = written.format;
    rules.body_settings.decode_charsets = written.decode_charsets.unwrap_or(false);
    rules.body_settings.delimiter = written.delimiter.as_deref().and_then(|text| delimiter(&at.key("delimiter"), text));
    rules.body_settings.columns = written.columns.as_deref().map(|names| columns(&at.key("columns"), names, rules));
    let table = matches!(written.format, None | Some(BodyFormat::Csv | BodyFormat::Tsv));
    for (name, is_written, fits) in [
        ("columns", written.columns.is_some(), table),
        ("delimiter", written.delimiter.is_some(), table && written.format != Some(BodyFormat::Tsv)),
    ] {
        if is_written && !fits {
            at.key(name).fault("belongs to tables, and as names another format", "take one of them out");
        }
    }
    if written.format == Some(BodyFormat::Text) && (rules.needs_names() || rules.detect.is_none()) {
        let wrong = "cannot be text: only detectors read it, since its values have no names";
        at.key("as").fault(wrong, "write detect, and take out rules that name fields");
    }
}

/// Whether the rule's column may be missing from a table.
pub(super) fn is_optional(at: &Cursor<'_>, written: Option<bool>, place: &ValueLocation) -> bool {
    let field = matches!(place, ValueLocation::Field(_));
    if written.is_some() && !field {
        at.key("optional").fault("belongs to a field: it is about the columns of tables", "take it out");
    }
    written == Some(true) && field
}

/// Reports settings for reading bodies where no rule reads one. Called when `records` and `subject` are known.
pub(super) fn check_read(at: &Cursor<'_>, written: Option<&MessageRulesConfig>, rules: &Rules) {
    let Some(written) = written.filter(|_| !rules.reads_body()) else { return };
    for (name, is_written) in [
        ("as", written.format.is_some()),
        ("decode_charsets", written.decode_charsets == Some(true)),
        ("delimiter", written.delimiter.is_some()),
        ("columns", written.columns.is_some()),
    ] {
        if is_written {
            at.key(name).fault("has no effect: no rule reads the body, so everything passes", "take it out");
        }
    }
}

fn delimiter(at: &Cursor<'_>, text: &str) -> Option<u8> {
    match text {
        "," | ";" | "|" | "\t" => text.bytes().next(),
        "tab" => Some(b'\t'),
        _ => {
            at.invalid("must be \",\", \";\", \"|\" or tab", ";");
            None
        }
    }
}

fn columns(at: &Cursor<'_>, written: &[String], rules: &Rules) -> Box<[Box<str>]> {
    if written.is_empty() {
        at.fault("must name every column of the table, in their order", "write [id, email]");
    }
    if written.len() > TABLE_COLUMNS_MAX {
        at.fault(format!("names more than {TABLE_COLUMNS_MAX} columns"), "name the columns of one table");
    }
    for (i, name) in written.iter().enumerate() {
        let at = at.item(i);
        if name.trim().is_empty() || name.chars().any(char::is_control) {
            at.fault("must be a name: a column that no rule needs can be called _3", "write a name");
        } else if written[..i].contains(name) {
            at.invalid_with_remedy("is named twice", "give each column its own name");
        }
    }
    let names: Box<[Box<str>]> = written.iter().map(|name| name.as_str().into()).collect();
    if let Some(lacking) = rules.missing_column(&names).filter(|_| !written.is_empty()) {
        at.fault(
            format!("lacks {lacking}, which a rule selects: in such a table it would select nothing"),
            format!("add {lacking} at its place, or write optional: true on the rule"),
        );
    }
    names
}

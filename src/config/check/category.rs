//! Checks `category:` and `purpose:`, and what a category is where a rule writes none.

use crate::config::nearest::nearest;
use crate::config::source::Cursor;
use crate::model::{Category, FieldPath};
use crate::pii::ValueLocation;

/// The purposes of fideslang, each of which stands for those below it too.
const PURPOSES: [&str; 12] = [
    "analytics",
    "collect",
    "employment",
    "essential",
    "finance",
    "functional",
    "marketing",
    "operations",
    "personalize",
    "sales",
    "third_party_sharing",
    "train_ai_system",
];

/// A category; `None` where the text is none, which is reported.
pub(super) fn parsed(at: &Cursor<'_>, text: &str) -> Option<Category> {
    Category::parse(text)
        .map_err(|error| {
            let meant = nearest(text, Category::keys()).unwrap_or("user.contact.email");
            at.fault(format!("{error} (got {text})"), format!("write {meant}"));
        })
        .ok()
}

/// A line of `categories:`: a field, and its category or `none`.
pub(super) fn of_listed(at: &Cursor<'_>, path: &str, key: &str) -> Option<(FieldPath, Option<Category>)> {
    let path = match FieldPath::parse(path) {
        Ok(path) => path,
        Err(error) => {
            at.fault(format!("{error} (got {path})"), "write a field as in only, such as \"$.products[*].name\"");
            return None;
        }
    };
    let category = if key == "none" { None } else { Some(parsed(at, key)?) };
    Some((path, category))
}

/// The category of a rule: as written, or that of its class or of the name of the place.
pub(super) fn of_rule(
    at: &Cursor<'_>,
    written: Option<&str>,
    class: Option<&str>,
    place: &ValueLocation,
) -> Option<Category> {
    if let Some(text) = written {
        return parsed(at, text);
    }
    class.and_then(Category::of_field).or_else(|| match place {
        ValueLocation::Field(path) => Category::of_path(path),
        ValueLocation::Query(name)
        | ValueLocation::Header(name)
        | ValueLocation::Cookie(name)
        | ValueLocation::Segment(name) => Category::of_field(name),
    })
}

/// What a vendor uses data for.
pub(super) fn purposes(at: &Cursor<'_>, written: &[String]) -> Vec<String> {
    for (i, text) in written.iter().enumerate() {
        let at = at.item(i);
        let first = text.split('.').next().unwrap_or_default();
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '.';
        if !text.chars().all(good) || !(PURPOSES.contains(&first) || first == "x" && text.len() > 2) {
            let meant = nearest(text, PURPOSES).unwrap_or("analytics");
            at.invalid("must be a data use of fideslang, or one of your own that begins with x.", meant);
        }
        if written[..i].contains(text) {
            at.invalid_with_remedy("is listed twice", "take one of them out");
        }
    }
    written.to_vec()
}

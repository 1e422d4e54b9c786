//! `vendorgate status --categories`: which categories of personal data left to which vendor today.

use super::layout::table;
use crate::exposure::CategoryReport;
use crate::model::thousands;

/// The widest name of a vendor, and of a category, in a table of 80 columns; the JSON has them whole.
const VENDOR_WIDTH: usize = 20;
/// See [`VENDOR_WIDTH`].
const CATEGORY_WIDTH: usize = 26;

/// The report as a person reads it.
pub(super) fn categories_text(report: &CategoryReport) -> String {
    if report.categories.is_empty() {
        return "nothing of a known category has left today (UTC)\n".into();
    }
    table(&["VENDOR", "CATEGORY", ">TREATED", ">IN CLEAR"], &report.categories, |line| {
        let vendor = cut(&line.vendor, VENDOR_WIDTH, false);
        let category = cut(&line.category, CATEGORY_WIDTH, true);
        vec![vendor, category, thousands(line.treated), thousands(line.clear)]
    })
}

/// The text in at most so many characters: its end, which says most of a category, or its beginning.
fn cut(text: &str, width: usize, keep_end: bool) -> String {
    let count = text.chars().count();
    if count <= width {
        return text.to_owned();
    }
    match keep_end {
        true => format!("…{}", text.chars().skip(count + 1 - width).collect::<String>()),
        false => format!("{}…", text.chars().take(width - 1).collect::<String>()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_longest_names_and_numbers_fit_80_columns() {
        let (vendor, category) = ("v".repeat(63), format!("user.{}.end", "c".repeat(60)));
        let line = json!({ "vendor": vendor, "category": category, "treated": 99_999_999_999_u64, "clear": 9_999_999_999_u64 });
        let report = json!({ "since": "2026-11-29T00:00:00.000Z", "categories": [line] });
        let text = categories_text(&serde_json::from_value(report).unwrap());
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert!(text.contains("cccc.end  ") && text.contains("vvvv…  …cccc"), "{text}");
    }
}

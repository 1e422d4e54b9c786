//! Which categories of personal data left to whom, treated or in clear: the short form of many reports.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ExposureReport;
use crate::pii::TreatmentKind;

/// The categories of personal data that left since a time, vendor by vendor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CategoryReport {
    /// From when: the beginning of the day, in UTC.
    pub since: String,
    /// Vendor by vendor, and in the order of the categories.
    pub categories: Vec<VendorCategory>,
}

/// How much of one category left to one vendor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VendorCategory {
    /// The vendor's id.
    pub vendor: String,
    /// The key, such as `user.contact.email`.
    pub category: String,
    /// Values that left in a treated form.
    pub treated: u64,
    /// Values that left as they were. Of fields that no rule names, those in the bodies that were looked at.
    pub clear: u64,
}

impl CategoryReport {
    /// The categories of these reports, which are of one time and of a vendor each.
    pub fn of(since: String, reports: impl IntoIterator<Item = ExposureReport>) -> Self {
        let mut sums: BTreeMap<(String, String), (u64, u64)> = BTreeMap::new();
        for report in reports {
            for line in report.categories {
                let (treated, clear) = sums.entry((report.vendor.clone(), line.category)).or_default();
                let sum = if is_treated(&line.treatment) { treated } else { clear };
                *sum += line.values;
            }
        }
        let line = |((vendor, category), (treated, clear))| VendorCategory { vendor, category, treated, clear };
        Self { since, categories: sums.into_iter().map(line).collect() }
    }
}

/// Whether the receiver of a value that was treated so does not have the value. A word of a later version is none that
/// this one can vouch for.
fn is_treated(treatment: &str) -> bool {
    let kind = TreatmentKind::from_word(treatment);
    kind.is_some_and(|kind| !matches!(kind, TreatmentKind::Report | TreatmentKind::Reveal))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposure::CategoryExposure;

    #[test]
    fn what_left_as_it_was_is_in_clear_and_all_else_treated() {
        let report = |vendor: &str, lines: &[(&str, &str, u64)]| {
            let now = crate::model::UnixTime::from_secs(0);
            let id = crate::model::VendorId::parse(vendor).unwrap();
            let line = |(category, treatment, values): &(&str, &str, u64)| CategoryExposure {
                category: (*category).to_owned(),
                treatment: (*treatment).to_owned(),
                left_as: "".into(),
                values: *values,
            };
            ExposureReport { categories: lines.iter().map(line).collect(), ..ExposureReport::of(&id, now, now, []) }
        };
        let email = "user.contact.email";
        let acme = [(email, "tokenize", 3), (email, "mask", 4), (email, "none", 5), (email, "reveal", 1)];
        let beta = [("user.name", "report", 2), (email, "shredded", 6)];
        let all = CategoryReport::of("now".to_owned(), [report("beta", &beta), report("acme", &acme)]);
        let told: Vec<_> =
            all.categories.iter().map(|one| (&*one.vendor, &*one.category, one.treated, one.clear)).collect();
        assert_eq!(told, [("acme", email, 7, 6), ("beta", email, 0, 6), ("beta", "user.name", 0, 2)]);
    }
}

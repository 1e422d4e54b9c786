//! The fields that bodies had, with the kinds that detectors found in them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::maps;
use crate::bounds::{OBSERVED_FIELDS_MAX, OBSERVED_PATH_BYTES_MAX};
use crate::model::FieldPath;
use crate::pii::PiiKind;

/// The fields of the bodies of one message of a route.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenFields {
    /// Bodies that were looked at.
    pub(super) bodies: u64,
    /// By path: how many values were seen, and the kinds found in them, a bit for each.
    pub(super) fields: BTreeMap<String, (u64, u8)>,
    /// Whether there were more fields than are kept.
    pub(super) more: bool,
}

impl SeenFields {
    /// A body is looked at.
    pub fn begin_body(&mut self) {
        self.bodies += 1;
    }

    /// A value was seen at a path, with these kinds.
    pub fn add(&mut self, path: &str, kinds: u8, values: u64) {
        if path.len() > OBSERVED_PATH_BYTES_MAX {
            self.more = true;
        } else if let Some((count, found)) = self.fields.get_mut(path) {
            (*count, *found) = (*count + values, *found | kinds);
        } else if self.has_room() {
            self.fields.insert(path.to_owned(), (values, kinds));
        } else {
            self.more = true;
        }
    }

    /// Whether another field is kept. The fields of a map are one pattern, which makes room once.
    fn has_room(&mut self) -> bool {
        if self.fields.len() >= OBSERVED_FIELDS_MAX && !self.more {
            maps::collapse(&mut self.fields);
        }
        self.fields.len() < OBSERVED_FIELDS_MAX
    }

    /// Adds what another has seen, without the names of maps.
    pub(super) fn absorb(&mut self, other: &Self) {
        self.bodies += other.bodies;
        self.more |= other.more;
        other.fields.iter().for_each(|(path, (values, kinds))| self.add(path, *kinds, *values));
        maps::collapse(&mut self.fields);
    }

    /// The list whose elements are most likely the records: the outermost one of which most fields are.
    pub(super) fn records(&self) -> Option<String> {
        let mut lists: BTreeMap<&str, usize> = BTreeMap::new();
        for path in self.fields.keys() {
            if let Some(end) = path.find("[*]") {
                *lists.entry(&path[..end + "[*]".len()]).or_default() += 1;
            }
        }
        lists.into_iter().max_by_key(|(_, fields)| *fields).map(|(path, _)| path.to_owned())
    }

    /// The paths that a contract can name.
    pub(super) fn paths(&self) -> impl Iterator<Item = (&str, u64, u8)> {
        let fields = self.fields.iter().map(|(path, (values, kinds))| (path.as_str(), *values, *kinds));
        fields.filter(|(path, ..)| *path != "$" && FieldPath::parse(path).is_ok())
    }

    /// Whether a body could not be read as a document.
    pub(super) fn has_opaque(&self) -> bool {
        self.fields.contains_key("$")
    }
}

/// The words of the kinds that were found, and of what the field's name says that no detector finds.
pub(super) fn likely_kinds(path: &str, kinds: u8) -> BTreeSet<&'static str> {
    let mut likely: BTreeSet<_> =
        PiiKind::ALL.into_iter().filter(|kind| kinds & 1 << *kind as u8 != 0).map(PiiKind::as_str).collect();
    let name = path.rsplit(['.', '"']).find(|part| !part.is_empty() && *part != "]").unwrap_or_default();
    let name: String = name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    for (part, kind) in NAMES {
        if name.contains(part) {
            likely.insert(kind);
        }
    }
    likely
}

/// Parts of the names of fields that hold personal data.
const NAMES: [(&str, &str); 21] = [
    ("email", "email"),
    ("phone", "phone"),
    ("mobile", "phone"),
    ("firstname", "name"),
    ("lastname", "name"),
    ("fullname", "name"),
    ("surname", "name"),
    ("birth", "date of birth"),
    ("dob", "date of birth"),
    ("street", "address"),
    ("address", "address"),
    ("zip", "address"),
    ("postcode", "address"),
    ("iban", "iban"),
    ("card", "card"),
    ("ssn", "ssn"),
    ("passport", "government id"),
    ("taxid", "government id"),
    ("password", "secret"),
    ("secret", "secret"),
    ("token", "secret"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_the_list_of_most_fields_and_kinds_follow_from_finds_and_names() {
        let mut seen = SeenFields::default();
        for path in ["$.total", "$.people[*].id", "$.people[*].tags[*]", "$.links[*]"] {
            seen.add(path, 0, 1);
        }
        assert_eq!(seen.records().as_deref(), Some("$.people[*]"));
        let email = 1 << PiiKind::Email as u8;
        assert_eq!(likely_kinds("$.people[*].contact", email).into_iter().collect::<Vec<_>>(), ["email"]);
        assert_eq!(likely_kinds("$.people[*].first_name", 0).into_iter().collect::<Vec<_>>(), ["name"]);
        assert_eq!(likely_kinds("$.a[\"Street Address\"]", 0).into_iter().collect::<Vec<_>>(), ["address"]);
        assert!(likely_kinds("$.people[*].id", 0).is_empty());
        (0..1_000).for_each(|i| seen.add(&format!("$.x{i}"), 0, 1));
        assert!(seen.fields.len() <= OBSERVED_FIELDS_MAX && seen.more);
    }
}

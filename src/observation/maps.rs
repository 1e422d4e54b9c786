//! Objects that are maps: their names are values, such as the names of people, and must not be kept.
//!
//! Told by shape. Objects side by side of which most fields are the same are entries of a map, and so is an object
//! below a name in the plural. Their names are written `.*`. An object that was no map, such as two addresses side by
//! side, loses a little precision by it; a map whose entries are plain values cannot be told from an object.

use std::collections::{BTreeMap, BTreeSet};

const ELEMENTS: &str = "[*]";
const MEMBERS: &str = ".*";

/// The fields below one place.
#[derive(Debug, Default)]
struct FieldNode {
    /// How many values were seen here, and the kinds found in them.
    seen: Option<(u64, u8)>,
    children: BTreeMap<String, FieldNode>,
}

/// Writes the names of maps as `.*`.
pub(super) fn collapse(fields: &mut BTreeMap<String, (u64, u8)>) {
    let mut root = FieldNode::default();
    for (path, seen) in &*fields {
        root.insert(path.strip_prefix('$').unwrap_or(path), *seen);
    }
    if root.collapse(false) {
        fields.clear();
        root.list("$", fields);
    }
}

impl FieldNode {
    fn insert(&mut self, path: &str, seen: (u64, u8)) {
        match split_step(path) {
            None => self.seen = Some(seen),
            Some((step, rest)) => self.children.entry(step.to_owned()).or_default().insert(rest, seen),
        }
    }

    /// Merges the entries of maps, from below; whether there were any. `is_plural` says it of this node's name.
    fn collapse(&mut self, is_plural: bool) -> bool {
        let mut changed = false;
        for (step, child) in &mut self.children {
            changed |= child.collapse(names_many(step));
        }
        let entries = self.entries(is_plural);
        for step in entries.iter().filter(|step| *step != MEMBERS) {
            if let Some(entry) = self.children.remove(step) {
                self.children.entry(MEMBERS.to_owned()).or_default().merge(entry);
                changed = true;
            }
        }
        changed
    }

    /// The names of the objects in it that are entries of a map.
    fn entries(&self, is_plural: bool) -> Vec<String> {
        let objects = self.children.iter().filter(|(step, node)| *step != ELEMENTS && !node.children.is_empty());
        let shapes: Vec<_> = objects.map(|(step, node)| (step, node.shape())).collect();
        let is_entry = |at: usize| {
            let (_, shape) = &shapes[at];
            is_plural || shapes.iter().enumerate().any(|(other, (_, like))| other != at && are_alike(shape, like))
        };
        (0..shapes.len()).filter(|at| is_entry(*at)).map(|at| shapes[at].0.clone()).collect()
    }

    /// The paths of the values below.
    fn shape(&self) -> BTreeSet<String> {
        let mut all = BTreeMap::new();
        self.list("", &mut all);
        all.into_keys().collect()
    }

    fn merge(&mut self, other: Self) {
        self.seen = match (self.seen, other.seen) {
            (Some((count, kinds)), Some((more, others))) => Some((count + more, kinds | others)),
            (one, other) => one.or(other),
        };
        for (step, node) in other.children {
            self.children.entry(step).or_default().merge(node);
        }
    }

    fn list(&self, path: &str, all: &mut BTreeMap<String, (u64, u8)>) {
        if let Some(seen) = self.seen {
            all.insert(path.to_owned(), seen);
        }
        for (step, node) in &self.children {
            node.list(&format!("{path}{step}"), all);
        }
    }
}

/// Whether most of their fields are the same, or all fields of one are fields of the other.
fn are_alike(one: &BTreeSet<String>, other: &BTreeSet<String>) -> bool {
    let same = one.intersection(other).count();
    let all = one.len() + other.len() - same;
    2 * same > all || (same > 0 && same == one.len().min(other.len()))
}

/// Whether a step is the name of many things.
fn names_many(step: &str) -> bool {
    let name = step.trim_start_matches('.').to_ascii_lowercase();
    name.len() > 3 && name.ends_with('s') && !["ss", "us", "is"].iter().any(|end| name.ends_with(end))
}

/// The first step of a path that is written as [`crate::pii::FieldScanner`] writes it, and the rest.
fn split_step(path: &str) -> Option<(&str, &str)> {
    let end = match path.strip_prefix("[\"") {
        Some(name) => name.find("\"]").map(|end| end + 4),
        None if path.starts_with('[') => path.find(']').map(|end| end + 1),
        None => path.get(1..)?.find(['.', '[']).map(|end| end + 1),
    };
    (!path.is_empty()).then(|| path.split_at(end.unwrap_or(path.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(paths: &[&str], expected: &[&str]) {
        let mut fields = paths.iter().map(|path| ((*path).to_owned(), (1, 0))).collect();
        collapse(&mut fields);
        assert_eq!(fields.keys().collect::<Vec<_>>(), expected);
        assert_eq!(fields.values().map(|(count, _)| count).sum::<u64>(), paths.len() as u64, "no value is lost");
    }

    #[test]
    fn entries_of_one_shape_are_one_pattern_at_any_depth() {
        check(
            &["$.users.alice.email", "$.users.alice.tags[*]", "$.users.bob.email", "$.users.bob.tags[*]"],
            &["$.users.*.email", "$.users.*.tags[*]"],
        );
        check(
            &["$.team.alice.email", "$.team.alice.age", "$.team.bob.email", "$.team.lead", "$.team[\"Zoe X\"].email"],
            &["$.team.*.age", "$.team.*.email", "$.team.lead"],
        );
        check(&["$.a[*].ann.pets.rex.age", "$.a[*].bob.pets.tom.age"], &["$.a[*].*.pets.*.age"]);
        check(&["$.by.*.city", "$.by.zoe.city"], &["$.by.*.city"]);
    }

    #[test]
    fn one_entry_below_a_plural_is_one_of_many() {
        check(&["$.users.alice.email"], &["$.users.*.email"]);
        check(&["$.address.geo.lat", "$.status.last.at"], &["$.address.geo.lat", "$.status.last.at"]);
    }

    #[test]
    fn objects_of_different_shapes_keep_their_names() {
        let all = ["$.customer.email", "$.customer.id", "$.customer.name", "$.id", "$.order.id", "$.order.total"];
        check(&all, &all);
        check(&["$", "$[*]", "$[*].id"], &["$", "$[*]", "$[*].id"]);
    }
}

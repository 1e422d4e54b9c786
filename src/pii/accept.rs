//! Narrows the `Accept` field of a request (RFC 9110, section 12.5.1) to the media types that the rules of its answer
//! read.
//!
//! Without that, a caller could ask for the answer in a format that the contract was not written for. Media types that
//! no engine reads are removed. Formats of rows (CSV, NDJSON) are removed too where a path leads through a name to a
//! list, as `$.customers[*]` does, because a row does not show that name. A range such as `*/*` is spelled out where
//! the caller excludes types with `q=0`, because it then could mean only what the rules do not read. Never asks for a
//! type that the caller did not accept. A field of which nothing would be left stays as it came: the answer is then
//! refused if no engine reads it.

use super::Rules;
use super::body::{BodyStructure, Engines};
use super::media::MediaType;
use crate::model::FieldPath;

/// Which formats of an answer its rules read.
#[derive(Debug, Clone, Copy)]
pub(super) struct AcceptFilter {
    /// Whether formats of rows are not read, because a path leads through a name to a list.
    documents_only: bool,
}

impl AcceptFilter {
    pub(super) fn of(rules: &Rules) -> Self {
        let fields = rules.treat.iter().filter_map(|rule| rule.location.field());
        let mut paths = fields.chain(rules.only.iter().flatten()).chain(&rules.reveal).chain(&rules.records);
        Self { documents_only: paths.any(names_around_a_list) }
    }

    /// The narrowed field; `None` to leave it as it came.
    pub(super) fn narrow(self, accept: &str, engines: &Engines) -> Option<String> {
        let ranges: Vec<MediaRange<'_>> = split(accept).map(MediaRange::parse).collect();
        let excludes_some = ranges.iter().any(|range| range.is_excluded);
        let mut kept: Vec<String> = Vec::new();
        for range in &ranges {
            match (range.kind, range.subtype) {
                _ if range.is_excluded => kept.push(range.text.to_owned()),
                ("*", "*") if !excludes_some => kept.push(range.text.to_owned()),
                (kind, "*") => {
                    let types = engines.media_types().filter(|(of, _)| kind == "*" || kind.eq_ignore_ascii_case(of));
                    let essences = types.map(|(kind, subtype)| format!("{kind}/{subtype}"));
                    let unlisted = essences.filter(|essence| !ranges.iter().any(|other| other.is(essence)));
                    let read = unlisted.filter(|essence| self.reads(essence, engines));
                    kept.extend(read.map(|essence| format!("{essence}{}", range.parameters)));
                }
                _ if self.reads(range.text, engines) => kept.push(range.text.to_owned()),
                _ => {}
            }
        }
        let accepts_any = kept.iter().any(|text| !MediaRange::parse(text).is_excluded);
        (accepts_any && kept.len() + kept.iter().map(String::len).sum::<usize>() < ACCEPT_BYTES_MAX)
            .then(|| kept.join(", "))
    }

    fn reads(self, text: &str, engines: &Engines) -> bool {
        let Ok(media) = MediaType::parse(text) else { return false };
        match engines.structure_of(&media) {
            Some(BodyStructure::Document) => true,
            Some(BodyStructure::Rows) => !self.documents_only,
            None => false,
        }
    }
}

/// Longest narrowed field, in bytes. A longer one is left as it came.
const ACCEPT_BYTES_MAX: usize = 4 * 1024;

/// Whether a path leads through a name to a list. A row does not show that name.
fn names_around_a_list(path: &FieldPath) -> bool {
    let lists = path.steps().iter().rposition(|step| step.is_into_list());
    lists.is_some_and(|at| path.steps()[..at].iter().any(|step| step.name().is_some() && !step.descends))
}

/// One media range of the field.
struct MediaRange<'a> {
    text: &'a str,
    kind: &'a str,
    subtype: &'a str,
    /// All after the subtype, from the first `;`.
    parameters: &'a str,
    /// Whether its weight is 0: the caller does not accept it.
    is_excluded: bool,
}

impl<'a> MediaRange<'a> {
    fn parse(text: &'a str) -> Self {
        let essence = text.split(';').next().unwrap_or_default();
        let parameters = &text[essence.len()..];
        let (kind, subtype) = essence.trim().split_once('/').unwrap_or(("", ""));
        let weight = parameters
            .split(';')
            .filter_map(|one| one.trim().split_once('='))
            .find(|(name, _)| name.eq_ignore_ascii_case("q"));
        let is_excluded = weight.is_some_and(|(_, weight)| weight.parse() == Ok(0.0));
        Self { text, kind, subtype, parameters, is_excluded }
    }

    /// Whether it names this very type.
    fn is(&self, essence: &str) -> bool {
        let own = self.text.split(';').next().unwrap_or_default().trim();
        own.eq_ignore_ascii_case(essence)
    }
}

/// The elements of a list. A comma between quotes does not separate.
fn split(list: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let parts = list.split(move |c| {
        quoted ^= c == '"';
        c == ',' && !quoted
    });
    parts.map(str::trim).filter(|part| !part.is_empty())
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;

    fn narrow(rules: &Rules, accept: &str) -> String {
        testing::plan(rules).narrow_accept(accept).unwrap_or_else(|| accept.to_owned())
    }

    #[test]
    fn accept_is_narrowed_to_the_types_that_the_rules_read() {
        let tree = testing::rules_with_class("email", &["$.customers[*].email"]);
        let flat = testing::rules_with_class("email", &["$[*].email"]);
        for (accept, of_tree, of_flat) in [
            ("application/json", "application/json", "application/json"),
            ("application/vnd.acme+json;q=0.9", "application/vnd.acme+json;q=0.9", "application/vnd.acme+json;q=0.9"),
            ("text/csv, application/json;q=0.1", "application/json;q=0.1", "text/csv, application/json;q=0.1"),
            (
                "application/x-ndjson;q=1,application/json",
                "application/json",
                "application/x-ndjson;q=1, application/json",
            ),
            ("application/pdf, application/json", "application/json", "application/json"),
            ("*/*", "*/*", "*/*"),
            ("text/event-stream, */*;q=0.5", "*/*;q=0.5", "text/event-stream, */*;q=0.5"),
            // Nothing would be left of these, so they stay.
            ("application/x-ndjson", "application/x-ndjson", "application/x-ndjson"),
            ("image/png", "image/png", "image/png"),
            ("", "", ""),
        ] {
            assert_eq!(narrow(&tree, accept), of_tree, "{accept}");
            assert_eq!(narrow(&flat, accept), of_flat, "{accept}");
        }
        // A range becomes the types in it that the rules read, without those that the caller excludes.
        for accept in
            ["text/*, application/json", "application/json;q=0, application/*", "application/json;q=0, */*;q=0.3"]
        {
            let of_tree = narrow(&tree, accept);
            for rows in ["csv", "ndjson", "event-stream", "form", "seq", "stream", "*"] {
                assert!(!of_tree.contains(rows), "{of_tree}");
            }
            assert!(of_tree.contains("/xml"), "{of_tree}");
            let asked = of_tree.split(", ").filter(|one| one.starts_with("application/json")).count();
            assert_eq!(asked, 1, "{of_tree}");
        }
        let wide = narrow(&flat, "text/*");
        assert!(
            wide.contains("text/csv") && wide.contains("text/event-stream") && !wide.contains("application"),
            "{wide}"
        );
        assert!(
            testing::plan(&Rules::default()).narrow_accept("image/png, text/csv").is_none(),
            "no rule reads the body"
        );
    }
}

//! What an answer is asked for in: `Accept` (RFC 9110, section 12.5.1), narrowed to what the rules of the answer read.
//!
//! A caller could else ask for a form of the answer that the contract was not written for. Types that no engine reads
//! go; under paths that lead through names to a list, so do rows, which have no place for those names. A range goes
//! with them where it could only be there to steer around what is left. Never asks for more than the caller did, and
//! leaves a field of which nothing would remain: what then comes is judged as any other answer.

use super::body::{BodyStructure, Engines};
use super::media::MediaType;
use super::{Rules, ValueLocation};
use crate::model::FieldPath;

/// What the rules of one answer were written for.
#[derive(Debug, Clone, Copy)]
pub(super) struct AcceptFilter {
    /// Documents alone: a path names what stands around a list.
    documents_only: bool,
}

impl AcceptFilter {
    pub(super) fn of(rules: &Rules) -> Self {
        let fields = rules.treat.iter().filter_map(|rule| match &rule.location {
            ValueLocation::Field(path) => Some(path),
            ValueLocation::Query(_)
            | ValueLocation::Header(_)
            | ValueLocation::Cookie(_)
            | ValueLocation::Segment(_) => None,
        });
        let mut paths = fields.chain(rules.only.iter().flatten()).chain(&rules.reveal).chain(&rules.records);
        Self { documents_only: paths.any(names_around_a_list) }
    }

    /// The field as the upstream may have it; `None` to leave it as it came.
    pub(super) fn narrow(self, accept: &str, engines: &Engines) -> Option<String> {
        let ranges: Vec<MediaRange<'_>> = split(accept).map(MediaRange::parse).collect();
        let steers = ranges.iter().any(|range| range.is_excluded);
        let mut kept: Vec<String> = Vec::new();
        for range in &ranges {
            match (range.kind, range.subtype) {
                _ if range.is_excluded => kept.push(range.text.to_owned()),
                ("*", "*") if !steers => kept.push(range.text.to_owned()),
                (kind, "*") => {
                    let types = engines.media_types().filter(|(of, _)| kind == "*" || kind.eq_ignore_ascii_case(of));
                    let asked = types.map(|(kind, subtype)| format!("{kind}/{subtype}"));
                    let free = asked.filter(|essence| !ranges.iter().any(|other| other.is(essence)));
                    let mine = free.filter(|essence| self.reads(essence, engines));
                    kept.extend(mine.map(|essence| format!("{essence}{}", range.parameters)));
                }
                _ if self.reads(range.text, engines) => kept.push(range.text.to_owned()),
                _ => {}
            }
        }
        let asks = kept.iter().any(|text| !MediaRange::parse(text).is_excluded);
        (asks && kept.len() + kept.iter().map(String::len).sum::<usize>() < ACCEPT_BYTES_MAX).then(|| kept.join(", "))
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

/// Longest field that is made of ranges: more is left as it came.
const ACCEPT_BYTES_MAX: usize = 4 * 1024;

/// Whether a path goes through a name to a list, which a row does not show.
fn names_around_a_list(path: &FieldPath) -> bool {
    let lists = path.steps().iter().rposition(|step| step.is_into_list());
    lists.is_some_and(|at| path.steps()[..at].iter().any(|step| step.name().is_some() && !step.descends))
}

/// One media range of the field.
struct MediaRange<'a> {
    text: &'a str,
    kind: &'a str,
    subtype: &'a str,
    /// With their `;`.
    parameters: &'a str,
    /// Its weight is 0: what it names is not acceptable.
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

    /// Whether it names this type, and no range of them.
    fn is(&self, essence: &str) -> bool {
        let own = self.text.split(';').next().unwrap_or_default().trim();
        own.eq_ignore_ascii_case(essence)
    }
}

/// The elements of a list, commas between quotes left alone.
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
    fn what_rules_do_not_read_is_not_asked_for() {
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
            // Of these nothing would be left.
            ("application/x-ndjson", "application/x-ndjson", "application/x-ndjson"),
            ("image/png", "image/png", "image/png"),
            ("", "", ""),
        ] {
            assert_eq!(narrow(&tree, accept), of_tree, "{accept}");
            assert_eq!(narrow(&flat, accept), of_flat, "{accept}");
        }
        // A range becomes what is read of it, without what the caller excludes.
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
        assert!(testing::plan(&Rules::default()).narrow_accept("image/png, text/csv").is_none(), "no rule reads it");
    }
}

//! Compares field paths by what they select.

use crate::model::{FieldPath, PathSelector, PathStep};

/// Whether every value that `inner` selects is selected by `outer` too, or lies inside a value that it selects. Says no
/// where it cannot tell.
pub(super) fn covers(outer: &FieldPath, inner: &FieldPath) -> bool {
    fold(outer.steps(), inner.steps(), |rest| match rest {
        Rest { left: None, .. } => true,
        Rest { right: None, .. } => false,
        Rest { left: Some(first), right: Some(step), both, left_stays, .. } => {
            // A step of the outer path that finds its match at any depth may pass over steps of the inner one.
            let matches = (first.descends || !step.descends) && selector_covers(&first.selector, &step.selector);
            (first.descends && left_stays) || (matches && both)
        }
    })
}

/// Whether some value can be selected by both paths.
pub(super) fn overlaps(left: &FieldPath, right: &FieldPath) -> bool {
    fold(left.steps(), right.steps(), |rest| match rest {
        Rest { left: None, right: None, .. } => true,
        Rest { left: None, .. } | Rest { right: None, .. } => false,
        Rest { left: Some(a), right: Some(b), both, left_stays, right_stays } => {
            let same = selector_covers(&a.selector, &b.selector) || selector_covers(&b.selector, &a.selector);
            (same && both) || (a.descends && left_stays) || (b.descends && right_stays)
        }
    })
}

/// Whether one of the paths covers `inner`.
pub(super) fn any_covers(outer: &[FieldPath], inner: &FieldPath) -> bool {
    outer.iter().any(|outer| covers(outer, inner))
}

/// The next steps of two paths, and the answers for what follows them.
struct Rest<'a> {
    left: Option<&'a PathStep>,
    right: Option<&'a PathStep>,
    /// Behind both steps.
    both: bool,
    /// Behind the right step alone.
    left_stays: bool,
    /// Behind the left step alone.
    right_stays: bool,
}

/// Answers a question about two paths from their ends, so that each pair of places is asked about once.
fn fold(left: &[PathStep], right: &[PathStep], answer: impl Fn(Rest<'_>) -> bool) -> bool {
    let mut below = vec![false; right.len() + 2];
    for i in (0..=left.len()).rev() {
        let mut row = vec![false; right.len() + 2];
        for j in (0..=right.len()).rev() {
            row[j] = answer(Rest {
                left: left.get(i),
                right: right.get(j),
                both: below[j + 1],
                left_stays: row[j + 1],
                right_stays: below[j],
            });
        }
        below = row;
    }
    below[0]
}

fn selector_covers(outer: &PathSelector, inner: &PathSelector) -> bool {
    match (outer, inner) {
        (PathSelector::Wildcard, _) => true,
        (PathSelector::Name(outer), PathSelector::Name(inner)) => outer == inner,
        (PathSelector::Index(outer), PathSelector::Index(inner)) => outer == inner,
        (PathSelector::Name(_), PathSelector::Index(_) | PathSelector::Wildcard)
        | (PathSelector::Index(_), PathSelector::Name(_) | PathSelector::Wildcard) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_overlap_where_one_value_is_of_both() {
        for (left, right, expected) in [
            ("$.a", "$.a", true),
            ("$.a", "$.b", false),
            ("$.a", "$.a.b", false),
            ("$..b", "$.a.b", true),
            ("$..b", "$.a.c", false),
            ("$..ssn", "$.customers[*].email", false),
            ("$.a[*]", "$.a[3]", true),
            ("$..a..b", "$.a.x..b", true),
            ("$.*", "$..b", true),
        ] {
            let parse = |text: &str| FieldPath::parse(text).expect(text);
            let (left, right) = (parse(left), parse(right));
            assert_eq!(overlaps(&left, &right), expected, "{left} {right}");
            assert_eq!(overlaps(&right, &left), expected, "{right} {left}");
        }
        let deep = FieldPath::parse(&"..a".repeat(30).replacen("..", "$..", 1)).expect("a path");
        assert!(covers(&deep, &deep) && overlaps(&deep, &deep), "in time that does not double with each step");
    }

    #[test]
    fn a_path_covers_what_it_selects_and_all_below() {
        for (outer, inner, expected) in [
            ("$", "$.a", true),
            ("$.a", "$.a", true),
            ("$.a", "$.a.b", true),
            ("$.a.b", "$.a", false),
            ("$.a[*]", "$.a[3].b", true),
            ("$.a[3]", "$.a[*]", false),
            ("$..b", "$.a.b", true),
            ("$..b", "$.b", true),
            ("$..b", "$.a.b.c", true),
            ("$..b", "$..b", true),
            ("$.a..b", "$..b", false),
            ("$..b", "$.a..b", true),
            ("$.b", "$..b", false),
            ("$.*", "$.a", true),
            ("$.*", "$.a.b", true),
            ("$..*", "$..a", true),
            ("$.a", "$.A", false),
            ("$..a.b", "$.x.a.b", true),
            ("$..a.b", "$.a.x.b", false),
        ] {
            let parse = |text: &str| FieldPath::parse(text).expect(text);
            assert_eq!(covers(&parse(outer), &parse(inner)), expected, "{outer} {inner}");
        }
    }
}

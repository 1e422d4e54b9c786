//! Compares field paths by what they select.

use crate::model::{FieldPath, PathSelector, PathStep};

/// Whether every value that `inner` selects is selected by `outer` too, or lies inside a value that it selects. Says no
/// where it cannot tell.
pub(super) fn covers(outer: &FieldPath, inner: &FieldPath) -> bool {
    steps_cover(outer.steps(), inner.steps())
}

/// Whether one of the paths covers `inner`.
pub(super) fn any_covers(outer: &[FieldPath], inner: &FieldPath) -> bool {
    outer.iter().any(|outer| covers(outer, inner))
}

fn steps_cover(outer: &[PathStep], inner: &[PathStep]) -> bool {
    let Some((first, outer_rest)) = outer.split_first() else { return true };
    let Some((step, inner_rest)) = inner.split_first() else { return false };
    // A step of the outer path that finds its match at any depth may pass over steps of the inner one.
    if first.descends && steps_cover(outer, inner_rest) {
        return true;
    }
    (first.descends || !step.descends)
        && selector_covers(&first.selector, &step.selector)
        && steps_cover(outer_rest, inner_rest)
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

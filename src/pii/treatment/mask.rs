//! Masks a text: each character becomes `*`, except those kept at the ends.
//!
//! A character is what a reader sees as one: a base with its combining marks, joiners and variation selectors. A text
//! that is no longer than the kept ends is masked whole. The number of characters stays visible.

use super::super::transform::Replacement;

/// Appends the masked text; `None` when it is not UTF-8.
pub(super) fn apply(text: &[u8], keep_first: usize, keep_last: usize, out: &mut Vec<u8>) -> Option<Replacement> {
    let kept = |count| if keep_first.saturating_add(keep_last) < count { (keep_first, keep_last) } else { (0, 0) };
    let (hidden, first, last) = if text.is_ascii() {
        // ASCII has no combining marks: each byte is a character.
        let (first, last) = kept(text.len());
        (text.len() - first - last, &text[..first], &text[text.len() - last..])
    } else {
        let text = std::str::from_utf8(text).ok()?;
        let count = clusters(text).count();
        let (first, last) = kept(count);
        let length =
            |clusters: usize, of: &mut dyn Iterator<Item = &str>| of.take(clusters).map(str::len).sum::<usize>();
        let first_bytes = length(first, &mut clusters(text));
        let last_from = length(count - last, &mut clusters(text));
        (count - first - last, &text.as_bytes()[..first_bytes], &text.as_bytes()[last_from..])
    };
    out.extend_from_slice(first);
    out.resize(out.len() + hidden, b'*');
    out.extend_from_slice(last);
    Some(Replacement::Text)
}

/// The characters of a text, as a reader sees them.
fn clusters(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let mut joined = true;
        let starts = |c: char| !std::mem::replace(&mut joined, c == JOINER) && !extends(c);
        let end = rest.find(starts).unwrap_or(rest.len());
        let (cluster, after) = rest.split_at(end);
        rest = after;
        (!cluster.is_empty()).then_some(cluster)
    })
}

/// ZERO WIDTH JOINER: joins the code point after it to the character before it.
pub(super) const JOINER: char = '\u{200d}';

/// Whether a code point belongs to the character before it: combining marks, variation selectors, skin tones and tags,
/// by the blocks of Unicode that hold nothing else.
pub(super) const fn extends(c: char) -> bool {
    matches!(c,
        '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}'
        | '\u{fe20}'..='\u{fe2f}' | '\u{200c}' | JOINER | '\u{fe00}'..='\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}'
        | '\u{e0020}'..='\u{e007f}' | '\u{e0100}'..='\u{e01ef}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, keep_first: usize, keep_last: usize) -> String {
        let mut out = Vec::new();
        assert_eq!(apply(text.as_bytes(), keep_first, keep_last, &mut out), Some(Replacement::Text));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_ends_are_kept_only_in_a_longer_text() {
        for (text, first, last, masked) in [
            ("4111111111111111", 0, 4, "************1111"),
            ("Müller", 1, 1, "M****r"),
            ("ab", 1, 1, "**"),
            ("abc", 1, 1, "a*c"),
            ("abc", 9, 9, "***"),
            ("abc", 0, 0, "***"),
            ("", 1, 1, ""),
            ("e\u{301}e\u{301}e\u{301}", 1, 0, "e\u{301}**"),
            ("👩‍👩‍👧x👍🏽", 0, 1, "**👍🏽"),
            ("\u{301}a", 1, 0, "\u{301}*"),
        ] {
            assert_eq!(check(text, first, last), masked, "{text}");
        }
        assert_eq!(check("abc", usize::MAX, usize::MAX), "***");
        assert_eq!(apply(b"\xff\xfe", 1, 0, &mut Vec::new()), None);
    }

    proptest! {
        #[test]
        fn all_characters_but_the_ends_are_masked(text in "\\PC{0,30}", first in 0_usize..5, last in 0_usize..5) {
            let masked = check(&text, first, last);
            let (count, hidden) = (clusters(&text).count(), masked.matches('*').count());
            prop_assert_eq!(clusters(&text).collect::<String>(), text.clone());
            prop_assert!(hidden >= count.saturating_sub(first + last));
            prop_assert!(count == 0 || hidden > 0);
        }
    }
}

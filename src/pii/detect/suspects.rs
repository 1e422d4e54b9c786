//! Where in a text, or in the strings of a JSON document as they stand there, something may be found.
//!
//! For whoever would rather leap over what holds nothing: one pass at memory's pace, no string cut out and none decoded.
//! Never passes over a place that a search of the text, or of any of its strings once decoded, finds something at: what an
//! escape may stand for is suspect itself.

use super::{Detector, Sort, digits, email, secrets, sieve};

/// The suspect places of a text, from its start on.
#[derive(Debug)]
pub struct Suspects<'t> {
    detector: &'t Detector,
    text: &'t [u8],
    /// The next place of each sort, where it has been looked for.
    next: [Option<usize>; 4],
    numbers: Numbers,
}

/// What the last window has left.
#[derive(Debug, Clone, Copy, Default)]
struct Numbers {
    starts: u64,
    /// The place of the first bit.
    at: usize,
    /// Where the next window begins.
    next: usize,
}

/// No place.
const NONE: usize = usize::MAX;

impl Detector {
    /// Whether anything may be found in this text or in any of its strings, should it be JSON. `false` is certain.
    pub fn may_find(&self, text: &[u8]) -> bool {
        self.suspects(text).next_from(0).is_some()
    }

    /// The places where something may be found in this text or in its strings, should it be JSON.
    pub const fn suspects<'t>(&'t self, text: &'t [u8]) -> Suspects<'t> {
        Suspects { detector: self, text, next: [None; 4], numbers: Numbers { starts: 0, at: 0, next: 0 } }
    }
}

impl Suspects<'_> {
    /// The first suspect place at `from` or later; `from` must not decrease from call to call. Whatever a search finds,
    /// in the text or in one of its strings, has such a place in it (a string that is found in, between its quotes).
    pub fn next_from(&mut self, from: usize) -> Option<usize> {
        let mut first = NONE;
        for (sort, find) in [Self::at_sign, Self::escape, Self::head, Self::number].into_iter().enumerate() {
            let known = self.next[sort].filter(|&place| place >= from);
            let place = known.unwrap_or_else(|| find(self, from).unwrap_or(NONE));
            self.next[sort] = Some(place);
            first = first.min(place);
        }
        (first != NONE).then_some(first)
    }

    fn at_sign(&mut self, from: usize) -> Option<usize> {
        if !self.detector.looks_for(Sort::Email) {
            return None;
        }
        memchr::memchr_iter(b'@', self.text.get(from..)?)
            .map(|at| from + at)
            .find(|&at| email::may_stand_at(self.text, at))
    }

    /// An escape of an ASCII character or a slash, or one that something stands behind which it would keep from being seen.
    fn escape(&mut self, from: usize) -> Option<usize> {
        let text = self.text;
        memchr::memchr_iter(b'\\', text.get(from..)?).map(|at| from + at).find(|&at| is_suspect(&text[at..]))
    }

    fn head(&mut self, from: usize) -> Option<usize> {
        if !self.detector.looks_for(Sort::Key) && !self.detector.looks_for(Sort::Jwt) {
            return None;
        }
        secrets::next_head(self.text, from)
    }

    fn number(&mut self, from: usize) -> Option<usize> {
        loop {
            while self.numbers.starts != 0 {
                let place = self.numbers.at + self.numbers.starts.trailing_zeros() as usize;
                self.numbers.starts &= self.numbers.starts - 1;
                if place >= from && self.is_number(place) {
                    return Some(place);
                }
            }
            let at = self.numbers.next.max(from);
            if at >= self.text.len() {
                return None;
            }
            self.numbers = Numbers { starts: sieve::starts(self.text, at) >> 1, at, next: at + sieve::PLACES };
        }
    }

    /// Whether a number begins with this group of digits, or could if what an escape stands for were before it.
    fn is_number(&self, group: usize) -> bool {
        /// An IBAN's letters, and an escape of six bytes before them.
        const BEFORE: usize = 8;
        let is_escape = |found: bool, byte: &u8| found | (*byte == b'\\');
        match self.text[..group].last_chunk::<BEFORE>() {
            Some(before) if before.iter().fold(false, is_escape) => return true,
            None if self.text[..group].iter().fold(false, is_escape) => return true,
            Some(_) | None => {}
        }
        digits::at_group(self.detector, self.text, 0, group).is_some()
    }
}

/// Whether this escape may hide something.
fn is_suspect(escape: &[u8]) -> bool {
    let behind = match escape {
        [_, b'/', ..] => return true,
        [_, b'u', b'0', b'0', b'0'..=b'7', ..] => return true,
        [_, b'u', ..] => escape.get(6..),
        _ => escape.get(2..),
    };
    // The letters of an IBAN would seem to go on what the escape ends with.
    matches!(behind, Some([first, second, third, fourth, ..]) if first.is_ascii_alphabetic()
        && second.is_ascii_alphabetic() && third.is_ascii_digit() && fourth.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PARTS: [&str; 31] = [
        "bob@x.org",
        "@",
        "josé@bücher.example",
        "123-45-6789",
        "+14155552671",
        "020 7946 0958",
        "030/1234567",
        "030 123456",
        "(415) 555-2671",
        "4111 1111 1111 1111",
        "378282246310005",
        "NO9386011117947",
        "nl91abna0417164300",
        "DE89 3704 0044 0532 0130 00",
        "AKIAIOSFODNN7EXAMPLE",
        "ASIAIOSFODNN7EXAMPLE",
        "sk_live_a1B2c3D4e5F6g7H8i9J0k1L2",
        "xoxb-123456789012-abcdef",
        "eyJhbGciOiJub25lIn0.e30.",
        "-----BEGIN PRIVATE KEY-----",
        "2024-01-15",
        "\n",
        "\"",
        "\\",
        "\u{1}",
        " ",
        "-",
        "a",
        "1",
        "12",
        "é",
    ];

    fn finds(detector: &Detector, text: &[u8]) -> usize {
        let mut finds = 0;
        detector.scan(text, |_| finds += 1);
        finds
    }

    /// A string of JSON, with the escapes that it must have, and of other characters those that the dice say.
    fn quoted(text: &str, mut dice: u64) -> String {
        let mut out = String::from('"');
        for c in text.chars() {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            match (c, dice >> 60) {
                ('"' | '\\', _) => out.extend(['\\', c]),
                ('\n', 0..8) => out.push_str("\\n"),
                ('/', 0..8) => out.push_str("\\/"),
                (..' ', _) => out.push_str(&format!("\\u{:04x}", u32::from(c))),
                ('é', 0..8) => out.push_str("\\u00e9"),
                (_, 0) if c.is_ascii() => out.push_str(&format!("\\u{:04X}", u32::from(c))),
                _ => out.push(c),
            }
        }
        out + "\""
    }

    #[test]
    fn ids_dates_and_amounts_are_not_suspect() {
        for text in [
            r#"{"id":123456789012,"at":"2024-01-15T10:30:00.000Z","on":"2024-01-15","uuid":"5bc8fbbc-bde5-c099-4164-d8399f767c45"}"#,
            r#"{"amount":1234.56,"lat":-60.32643,"ms":1705891807615,"sku":"A6388057","ip":"192.168.100.200","@type":"a","x":"y\n"}"#,
            "[1,2,3,4,5,6,7,8,9,10,11,12]\n    \"order_id\" : \"00012\", \"name\": \"Zo\\u00eb\"",
        ] {
            assert!(
                !Detector::default().may_find(text.as_bytes()),
                "{text} {:?}",
                Detector::default().suspects(text.as_bytes()).next_from(0)
            );
        }
    }

    #[test]
    fn places_come_in_order_and_once() {
        let text = b"bob@x.org, 123-45-6789, \\u0041 and AKIA";
        let detector = Detector::default();
        let mut suspects = detector.suspects(text);
        assert_eq!((suspects.next_from(0), suspects.next_from(0), suspects.next_from(3)), (Some(3), Some(3), Some(3)));
        assert_eq!(
            (suspects.next_from(4), suspects.next_from(12), suspects.next_from(25)),
            (Some(11), Some(24), Some(35))
        );
        assert_eq!((suspects.next_from(36), suspects.next_from(1000)), (None, None));
        assert!(!Detector::new([Sort::Ssn]).may_find(b"bob@x.org AKIAIOSFODNN7EXAMPLE +14155552671"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_500))]
        #[test]
        fn whatever_a_search_finds_in_a_string_is_suspect_in_the_document(
            strings in prop::collection::vec(prop::collection::vec(prop::sample::select(PARTS.to_vec()), 0..5), 1..6),
            dice in any::<u64>(),
        ) {
            let detector = Detector::default();
            let strings: Vec<String> = strings.iter().map(|parts| parts.concat()).collect();
            let mut document = String::from("[");
            let mut places = Vec::new();
            for (at, text) in strings.iter().enumerate() {
                let from = document.len();
                document.push_str(&quoted(text, dice.wrapping_add(at as u64)));
                places.push((from + 1, document.len() - 1));
                document.push(',');
            }
            let mut suspects = detector.suspects(document.as_bytes());
            for (text, (from, end)) in strings.iter().zip(places) {
                if finds(&detector, text.as_bytes()) > 0 {
                    let place = suspects.next_from(from);
                    prop_assert!(place.is_some_and(|place| place < end), "{text:?} in {document}: {place:?}");
                }
            }
        }

        #[test]
        fn whatever_a_search_finds_in_a_text_is_suspect(parts in prop::collection::vec(prop::sample::select(PARTS.to_vec()), 0..12)) {
            let text = parts.concat();
            let detector = Detector::default();
            detector.scan(text.as_bytes(), |span| {
                let place = detector.suspects(text.as_bytes()).next_from(span.start);
                assert!(place.is_some_and(|place| place < span.end), "{text:?}: {span:?}, {place:?}");
            });
        }
    }
}

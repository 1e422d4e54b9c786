//! Plain text (`text/*` in UTF-8): it has no named values, so only detectors treat it.
//!
//! Never lets the first bytes of a find leave before the find is recognized. Refuses bytes that are not UTF-8.

use super::utf8::{Utf8Validator, not_utf8};
use super::{DetectRule, DetectStream, RewriteObserver, RewriteResult, Rewriter};
use std::sync::Arc;

/// The engine of plain text.
#[derive(Debug)]
pub struct TextRewriter {
    stream: DetectStream,
    utf8: Utf8Validator,
    at: u64,
}

impl TextRewriter {
    /// An engine for one text; `rule` is the number of the detectors' rule.
    pub fn new(detect_rule: Arc<DetectRule>, rule: usize) -> Self {
        Self { stream: DetectStream::new(detect_rule, rule), utf8: Utf8Validator::default(), at: 0 }
    }
}

impl Rewriter for TextRewriter {
    fn feed(&mut self, input: &[u8], observer: &mut dyn RewriteObserver, out: &mut Vec<u8>) -> RewriteResult {
        let good = self.utf8.push_all(input);
        self.at += good as u64;
        if good < input.len() {
            return Err(not_utf8(self.at));
        }
        self.stream.feed(input, observer, out);
        Ok(())
    }

    fn finish(&mut self, observer: &mut dyn RewriteObserver, out: &mut Vec<u8>) -> RewriteResult {
        if !self.utf8.is_whole() {
            return Err(not_utf8(self.at));
        }
        self.stream.finish(observer, out);
        if self.at > 0 && observer.wants_clear_paths() {
            observer.on_clear_path("$");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pii::{DetectAction, Detector, PiiKind, RewriteError, testing};
    use proptest::prelude::*;

    fn text(action: DetectAction) -> impl Fn() -> TextRewriter + use<> {
        let detect_rule = Arc::new(DetectRule::new(Detector::default(), action));
        move || TextRewriter::new(Arc::clone(&detect_rule), 3)
    }

    #[test]
    fn what_detectors_find_in_a_text_is_masked_redacted_or_reported() {
        let body = "Dear bob@x.org, call +1 555 234 5678.";
        assert_eq!(testing::output_text(text(DetectAction::Mask), body), "Dear *********, call ***************.");
        assert_eq!(testing::output_text(text(DetectAction::Redact), body), "Dear [redacted], call [redacted].");
        let (out, seen, _) = testing::feed_at_every_split(text(DetectAction::Report), body.as_bytes());
        assert_eq!((out.as_slice(), seen.treated), (body.as_bytes(), vec![3, 3]));
        let mut kinds = Vec::new();
        let detect_rule = DetectRule::new(Detector::default(), DetectAction::Report);
        assert!(!detect_rule.apply(body.as_bytes(), |kind| kinds.push(kind), &mut Vec::new()));
        assert_eq!(kinds, [PiiKind::Email, PiiKind::Phone]);
        assert_eq!(testing::output_text(text(DetectAction::Mask), ""), "");
    }

    #[test]
    fn a_secret_longer_than_any_buffer_is_masked_while_it_streams() {
        let token = format!("eyJ{}.eyJ{}.x", "a".repeat(30_000), "b".repeat(30_000));
        let key = format!("-----BEGIN RSA PRIVATE KEY-----\n{}-----END RSA PRIVATE KEY-----", "QUJD\n".repeat(20_000));
        for secret in [token, key] {
            let body = format!("{} {secret} tail", "word ".repeat(5000));
            let expected = format!("{} {} tail", "word ".repeat(5000), "*".repeat(secret.len()));
            for size in [1, 333, 8192, body.len()] {
                let chunks = body.as_bytes().chunks(size);
                let (out, seen, end) = testing::feed_chunks(
                    &mut text(DetectAction::Mask)(),
                    testing::RecordingObserver::default(),
                    chunks,
                );
                assert_eq!((String::from_utf8(out).as_deref(), end), (Ok(expected.as_str()), Ok(())));
                assert_eq!(seen.treated, [3]);
            }
        }
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_refused() {
        for body in [&b"caf\xe9"[..], b"a\0b", b"\xff\xfeh\0i\0", b"\xe2\x82"] {
            assert!(matches!(testing::error_of(text(DetectAction::Mask), body), RewriteError::Malformed { .. }));
        }
    }

    #[test]
    fn no_piece_of_a_find_leaves_a_truncated_text() {
        let body = b"some words, then canary-0123456789@example.com and more";
        for end in 0..=body.len() {
            let mut engine = text(DetectAction::Mask)();
            let mut out = Vec::new();
            let mut seen = testing::RecordingObserver::default();
            assert_eq!(engine.feed(&body[..end], &mut seen, &mut out), Ok(()));
            assert_eq!(memchr::memmem::find(&out, b"canary"), None, "before the end, none of the last 320 bytes leave");
        }
    }

    proptest! {
        #[test]
        fn a_stream_is_treated_as_the_whole_text_is(
            parts in prop::collection::vec(
                "([a-z]{1,80}@[a-z]{1,9}\\.(com|c)|4111 ?1111 ?1111 ?1111|\\+49[0-9 ]{6,14}|eyJ[a-zA-Z0-9]{10,400}\\.e[a-z]{3}|[0-9]{1,5}|[a-z@._\u{e9}]{1,90}|-----BEGIN PRIVATE KEY-----|AKIA[A-Z0-9]{14,20}|DE89370400440532013000)",
                0..40),
            glue in "[ ,.\n-]",
            sizes in prop::collection::vec(1_usize..900, 1..6),
        ) {
            let body = parts.join(&glue);
            let detect_rule = DetectRule::new(Detector::default(), DetectAction::Mask);
            let (mut whole, mut finds) = (Vec::new(), 0);
            if !detect_rule.apply(body.as_bytes(), |_| finds += 1, &mut whole) {
                whole.extend_from_slice(body.as_bytes());
            }
            let mut rest = body.as_bytes();
            let chunks = sizes.iter().cycle().map_while(|&size| {
                let (chunk, after) = rest.split_at_checked(size).unwrap_or((rest, b""));
                rest = after;
                (!chunk.is_empty()).then_some(chunk)
            });
            let (out, found, end) = testing::feed_chunks(&mut text(DetectAction::Mask)(), testing::RecordingObserver::default(), chunks);
            prop_assert_eq!(end, Ok(()));
            prop_assert_eq!(String::from_utf8(out), String::from_utf8(whole));
            prop_assert_eq!(found.treated, vec![3; finds]);
        }
    }
}

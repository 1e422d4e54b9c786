//! Reads a body to report the paths of its values, and which kinds of personal data detectors find in each.
//!
//! As [`super::ClearScanner`], it never delays or changes the body, and stops where it cannot read on. Never reports a
//! value.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use super::body::Engines;
use super::clear_scanner::{BodyScan, engine_for};
use super::json::MatcherSpec;
use super::{DetectAction, DetectRule, Detector, Replacement, RewriteResult, Rules, SelectedValue, Transform};

/// Reports the path of each value of one body, with a bit for each kind found in it; of a body that no engine reads,
/// the path `$` once.
pub struct FieldScanner {
    scan: BodyScan,
    found: Arc<KindFinder>,
    /// Whether the end was taken.
    ended: bool,
}

impl FieldScanner {
    /// A scanner for one body with these header values.
    pub fn new(content_type: Option<&str>, content_encoding: Option<&str>) -> Self {
        let found = Arc::new(KindFinder { detector: Detector::default(), kinds: AtomicU8::new(0) });
        let detect = Some(DetectRule::new(Detector::default(), DetectAction::Report));
        let rules = Rules { detect, ..Rules::default() };
        let engines = Engines::compile(&rules, &MatcherSpec::of(&rules), Arc::clone(&found) as Arc<dyn Transform>);
        let engine = engines.ok().and_then(|engines| engine_for(&engines, content_type, content_encoding).ok());
        Self { scan: BodyScan::new(engine), found, ended: false }
    }

    /// Reads the next bytes; `report` receives the path and the kinds of each value.
    pub fn feed(&mut self, input: &[u8], report: &mut dyn FnMut(&str, u8)) {
        if !self.ended && self.scan.wants(input) {
            let found = &self.found;
            if self.scan.feed(input, &mut |path| report(path, found.take())) {
                report("$", 0);
            }
        }
    }

    /// Takes the end of the body.
    pub fn finish(&mut self, report: &mut dyn FnMut(&str, u8)) {
        let found = &self.found;
        if !std::mem::replace(&mut self.ended, true) && self.scan.finish(&mut |path| report(path, found.take())) {
            report("$", 0);
        }
    }
}

impl std::fmt::Debug for FieldScanner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FieldScanner").field("reads", &self.scan.reads()).finish_non_exhaustive()
    }
}

/// Notes the kinds in the value that is read, and changes nothing.
struct KindFinder {
    detector: Detector,
    kinds: AtomicU8,
}

impl KindFinder {
    fn take(&self) -> u8 {
        self.kinds.swap(0, Ordering::Relaxed)
    }
}

impl Transform for KindFinder {
    fn drops_member(&self, _rule: usize) -> bool {
        false
    }

    fn transform(&self, _rule: usize, value: SelectedValue<'_>, _out: &mut Vec<u8>) -> RewriteResult<Replacement> {
        let mut kinds = 0;
        self.detector.scan(value.text, |span| kinds |= 1 << span.kind as u8);
        self.kinds.store(kinds, Ordering::Relaxed);
        Ok(Replacement::Unchanged { counted: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pii::PiiKind;

    fn reported(content_type: &str, body: &str) -> Vec<(String, u8)> {
        let mut all = Vec::new();
        let mut scanner = FieldScanner::new(Some(content_type), None);
        let mut report = |path: &str, kinds| all.push((path.to_owned(), kinds));
        body.as_bytes().chunks(3).for_each(|piece| scanner.feed(piece, &mut report));
        scanner.finish(&mut report);
        all.sort_unstable();
        all
    }

    #[test]
    fn each_path_has_the_kinds_of_its_own_values() {
        let (email, card) = (1 << PiiKind::Email as u8, 1 << PiiKind::Card as u8);
        let json = r#"{"a":"x","b":{"mail":"ann@example.com"},"c":[4111111111111111,true],"d":null}"#;
        let expected = [("$.a", 0), ("$.b.mail", email), ("$.c[*]", 0), ("$.c[*]", card)];
        assert_eq!(reported("application/json", json), expected.map(|(path, kinds)| (path.to_owned(), kinds)));
        assert_eq!(
            reported("text/csv", "id,mail\n1,ann@example.com\n"),
            [("$[*].id".to_owned(), 0), ("$[*].mail".to_owned(), email)]
        );
        assert_eq!(
            reported("application/x-www-form-urlencoded", "a=1&mail=ann%40example.com"),
            [("$.a".to_owned(), 0), ("$.mail".to_owned(), email)]
        );
        assert_eq!(reported("image/png", "x"), [("$".to_owned(), 0)]);
    }
}

//! What the tests of the engines share: rules, a transform whose results are easy to predict, an observer that records
//! what it receives, and functions that feed an engine in every split. Compiled for tests alone.

use super::{MasterKeys, Plan, TokenClass, VendorKeys, VendorSalt, keys::MasterKey};
use super::{
    RecordBudgetSpent, Replacement, RewriteError, RewriteObserver, RewriteResult, Rewriter, Rule, Rules, SelectedValue,
    Transform, Treatment, ValueLocation,
};
use crate::model::{FieldPath, VendorId};
use std::sync::Arc;

/// A plan of these rules, with keys for the classes that tests use.
pub(super) fn plan(rules: &Rules) -> Plan {
    let classes = ["email", "ssn", "age"].map(TokenClass::from_name).into_iter().chain(rules.token_classes());
    Plan::compile(rules, keys("acme", classes)).expect("rules")
}

/// The keys of a vendor for these classes, always the same ones.
pub(super) fn keys(vendor: &str, classes: impl IntoIterator<Item = TokenClass>) -> Arc<VendorKeys> {
    let master = MasterKeys::from_key(MasterKey::from_bytes([42; 32]));
    let vendor = VendorId::parse(vendor).expect("an id");
    Arc::new(master.vendor_keys(&vendor, &VendorSalt::from_bytes([1; 32]), classes))
}

/// Rules that treat these fields, in this order.
pub(super) fn rules(fields: &[&str]) -> Rules {
    Rules { treat: fields.iter().map(|field| rule(ValueLocation::Field(path(field)))).collect(), ..Rules::default() }
}

/// As [`rules`], with a class that [`plan`] has keys for.
pub(super) fn rules_with_class(class: &str, fields: &[&str]) -> Rules {
    let mut rules = rules(fields);
    rules.treat.iter_mut().for_each(|rule| rule.class = TokenClass::from_name(class));
    rules
}

/// Rules that let only these fields pass.
pub(super) fn allow_list(fields: &[&str]) -> Rules {
    Rules { only: Some(fields.iter().map(|field| path(field)).collect()), ..Rules::default() }
}

pub(super) fn path(text: &str) -> FieldPath {
    FieldPath::parse(text).expect(text)
}

pub(super) fn rule(place: ValueLocation) -> Rule {
    Rule {
        location: place,
        treatment: Treatment::Hash,
        class: TokenClass::from_name("test"),
        only_type: None,
        category: None,
    }
}

/// Replaces a value by `~` and its hash, or, for the rules of these numbers, drops it.
#[derive(Debug, Default)]
pub(super) struct MarkingTransform {
    pub(super) drops: Vec<usize>,
    /// Appended to every result, to see it escaped.
    pub(super) tail: &'static str,
}

impl MarkingTransform {
    pub(super) fn shared() -> Arc<dyn Transform> {
        Arc::new(Self::default())
    }

    pub(super) fn dropping(rule: usize) -> Arc<dyn Transform> {
        Arc::new(Self { drops: vec![rule], tail: "" })
    }

    pub(super) fn ending(tail: &'static str) -> Arc<dyn Transform> {
        Arc::new(Self { drops: Vec::new(), tail })
    }
}

impl Transform for MarkingTransform {
    fn drops_member(&self, rule: usize) -> bool {
        self.drops.contains(&rule)
    }

    fn transform(&self, rule: usize, value: SelectedValue<'_>, out: &mut Vec<u8>) -> RewriteResult<Replacement> {
        if value.kind == super::ValueKind::Container {
            out.extend_from_slice(b"[redacted]");
        } else if value.text == b"untreatable" {
            return Err(RewriteError::Untreatable { what: "the word says so" });
        } else {
            out.extend_from_slice(marked(rule, value.text).as_bytes());
            out.extend_from_slice(self.tail.as_bytes());
        }
        Ok(Replacement::Text)
    }
}

/// What [`MarkingTransform`] makes of a value.
pub(super) fn marked(rule: usize, text: &[u8]) -> String {
    let hash =
        text.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &b| (hash ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
    format!("~{rule}{hash:x}")
}

/// Records what it receives; allows `budget` records.
#[derive(Debug, Default, PartialEq, Eq, Clone)]
pub(super) struct RecordingObserver {
    pub(super) records: usize,
    pub(super) budget: Option<usize>,
    pub(super) treated: Vec<usize>,
    pub(super) subjects: Vec<String>,
    /// The number of calls of `on_unexpected_shape`, each of which it lets pass.
    pub(super) unexpected_shapes: usize,
}

impl RewriteObserver for RecordingObserver {
    fn on_record(&mut self) -> Result<(), RecordBudgetSpent> {
        if self.budget == Some(self.records) {
            return Err(RecordBudgetSpent);
        }
        self.records += 1;
        Ok(())
    }

    fn on_treated(&mut self, rule: usize) {
        self.treated.push(rule);
    }

    fn on_unexpected_shape(&mut self, _why: RewriteError) -> RewriteResult {
        self.unexpected_shapes += 1;
        Ok(())
    }

    fn on_subject(&mut self, value: &[u8]) {
        self.subjects.push(String::from_utf8_lossy(value).into_owned());
    }
}

/// The output, what the observer received, and how the body ended.
pub(super) type FeedOutcome = (Vec<u8>, RecordingObserver, RewriteResult);

/// Feeds the chunks to the engine and finishes it.
pub(super) fn feed_chunks<'a>(
    engine: &mut dyn Rewriter,
    mut seen: RecordingObserver,
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> FeedOutcome {
    let mut out = Vec::new();
    for chunk in chunks {
        if let Err(stop) = engine.feed(chunk, &mut seen, &mut out) {
            return (out, seen, Err(stop));
        }
    }
    let end = engine.finish(&mut seen, &mut out);
    (out, seen, end)
}

/// Feeds a body whole, in small chunks, and in two parts split at every offset: all must have the same outcome, which
/// is returned.
pub(super) fn feed_at_every_split<R: Rewriter>(make: impl Fn() -> R, body: &[u8]) -> FeedOutcome {
    let whole = feed_chunks(&mut make(), RecordingObserver::default(), [body]);
    let same = |outcome: FeedOutcome, how: &str| {
        assert_eq!(outcome.2, whole.2, "{how}: {:?}", String::from_utf8_lossy(body));
        assert_eq!(String::from_utf8_lossy(&outcome.0), String::from_utf8_lossy(&whole.0), "{how}");
        assert_eq!(outcome.1, whole.1, "{how}");
    };
    for size in [1, 2, 3, 7, 64] {
        same(feed_chunks(&mut make(), RecordingObserver::default(), body.chunks(size)), &format!("chunks of {size}"));
    }
    // At every offset of a short body, and at some of a long one.
    let step = if body.len() < 20_000 { body.len() / 300 + 1 } else { body.len() / 10 };
    for at in (0..body.len()).step_by(step) {
        let (left, right) = body.split_at(at);
        same(feed_chunks(&mut make(), RecordingObserver::default(), [left, right]), &format!("split at {at}"));
    }
    whole
}

/// The output of a body that must not be refused.
pub(super) fn output_text<R: Rewriter>(make: impl Fn() -> R, body: &str) -> String {
    let (out, _, end) = feed_at_every_split(make, body.as_bytes());
    assert_eq!(end, Ok(()), "{body}");
    String::from_utf8(out).expect("text")
}

/// The error of a body that must be refused.
pub(super) fn error_of<R: Rewriter>(make: impl Fn() -> R, body: &[u8]) -> RewriteError {
    let (out, _, end) = feed_at_every_split(make, body);
    end.expect_err(&format!("{:?} passed as {:?}", String::from_utf8_lossy(body), String::from_utf8_lossy(&out)))
}

/// Feeds the body cut off at every byte, whole and byte by byte: no six bytes of the secret may leave.
pub(super) fn assert_no_leak<R: Rewriter>(make: impl Fn() -> R, body: &[u8], secret: &str) {
    assert!(memchr::memmem::find(body, secret.as_bytes()).is_some(), "the secret is not in the body");
    for end in 0..=body.len() {
        for chunk in [1, body.len()] {
            let (out, _, _) = feed_chunks(&mut make(), RecordingObserver::default(), body[..end].chunks(chunk));
            for piece in secret.as_bytes().windows(6) {
                let found = memchr::memmem::find(&out, piece);
                assert_eq!(found, None, "{:?} left", String::from_utf8_lossy(&out));
            }
        }
    }
}

//! What the tests of the engines share: rules, a treatment whose results are easy to foretell, a watch that
//! remembers, and a runner that splits bodies. Never part of the product.

use super::{Cut, Place, Rewriter, Rule, Rules, Shape, Stop, Treat, Treatment, Value, Watch};
use super::{KeyRing, Plan, VendorSalt, keys::MasterKey};
use crate::model::{FieldPath, VendorId};
use std::sync::Arc;

/// A plan of these rules, with keys for the classes that tests use.
pub(super) fn plan(rules: &Rules) -> Plan {
    let ring = KeyRing::of(MasterKey::from_bytes([42; 32]));
    let vendor = VendorId::parse("acme").expect("an id");
    let classes = ["email", "ssn", "age"].map(super::Class::of_name).into_iter().chain(rules.classes());
    let keys = ring.vendor_keys(&vendor, &VendorSalt::from_bytes([1; 32]), classes);
    Plan::compile(rules, Arc::new(keys)).expect("rules")
}

/// Rules that treat these fields, in this order.
pub(super) fn rules(fields: &[&str]) -> Rules {
    Rules { treat: fields.iter().map(|field| rule(Place::Field(path(field)))).collect(), ..Rules::default() }
}

/// The same, with a class that [`plan`] has keys for.
pub(super) fn rules_of(class: &str, fields: &[&str]) -> Rules {
    let mut rules = rules(fields);
    rules.treat.iter_mut().for_each(|rule| rule.class = super::Class::of_name(class));
    rules
}

/// Rules that let only these fields pass.
pub(super) fn only(fields: &[&str]) -> Rules {
    Rules { only: Some(fields.iter().map(|field| path(field)).collect()), ..Rules::default() }
}

pub(super) fn path(text: &str) -> FieldPath {
    FieldPath::parse(text).expect(text)
}

pub(super) fn rule(place: Place) -> Rule {
    Rule { place, treatment: Treatment::Hash, class: super::Class::of_name("test"), only_type: None }
}

/// Replaces a value by `~` and its hash, or, for the rules of these numbers, drops it.
#[derive(Debug, Default)]
pub(super) struct Sealed {
    pub(super) drops: Vec<usize>,
    /// Put behind every result, to see it escaped.
    pub(super) tail: &'static str,
}

impl Sealed {
    pub(super) fn shared() -> Arc<dyn Treat> {
        Arc::new(Self::default())
    }

    pub(super) fn dropping(rule: usize) -> Arc<dyn Treat> {
        Arc::new(Self { drops: vec![rule], tail: "" })
    }

    pub(super) fn ending(tail: &'static str) -> Arc<dyn Treat> {
        Arc::new(Self { drops: Vec::new(), tail })
    }
}

impl Treat for Sealed {
    fn drops(&self, rule: usize) -> bool {
        self.drops.contains(&rule)
    }

    fn treat(&self, rule: usize, value: Value<'_>, out: &mut Vec<u8>) -> Result<Shape, Stop> {
        if value.kind == super::Kind::Container {
            out.extend_from_slice(b"[redacted]");
        } else if value.text == b"untreatable" {
            return Err(Stop::Untreatable { what: "the word says so" });
        } else {
            out.extend_from_slice(sealed(rule, value.text).as_bytes());
            out.extend_from_slice(self.tail.as_bytes());
        }
        Ok(Shape::Text)
    }
}

/// What [`Sealed`] makes of a value.
pub(super) fn sealed(rule: usize, text: &[u8]) -> String {
    let hash =
        text.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &b| (hash ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
    format!("~{rule}{hash:x}")
}

/// Remembers what it was told; cuts when `budget` records have passed.
#[derive(Debug, Default, PartialEq, Eq, Clone)]
pub(super) struct Seen {
    pub(super) records: usize,
    pub(super) budget: Option<usize>,
    pub(super) treated: Vec<usize>,
    pub(super) subjects: Vec<String>,
    pub(super) found: Vec<super::Sort>,
    /// How often it was told of another shape, which it lets pass.
    pub(super) misshapen: usize,
}

impl Watch for Seen {
    fn record(&mut self) -> Result<(), Cut> {
        if self.budget == Some(self.records) {
            return Err(Cut);
        }
        self.records += 1;
        Ok(())
    }

    fn treated(&mut self, rule: usize) {
        self.treated.push(rule);
    }

    fn found(&mut self, sort: super::Sort) {
        self.found.push(sort);
    }

    fn misshapen(&mut self, _why: Stop) -> Result<(), Stop> {
        self.misshapen += 1;
        Ok(())
    }

    fn subject(&mut self, value: &[u8]) {
        self.subjects.push(String::from_utf8_lossy(value).into_owned());
    }
}

/// What left, what was seen, and how it ended.
pub(super) type Outcome = (Vec<u8>, Seen, Result<(), Stop>);

/// Pushes the chunks through the engine.
pub(super) fn push<'a>(
    engine: &mut dyn Rewriter,
    mut seen: Seen,
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> Outcome {
    let mut out = Vec::new();
    for chunk in chunks {
        if let Err(stop) = engine.feed(chunk, &mut seen, &mut out) {
            return (out, seen, Err(stop));
        }
    }
    let end = engine.finish(&mut seen, &mut out);
    (out, seen, end)
}

/// Runs a body whole, in single bytes and in two halves at every place: all must give the same. Returns the outcome.
pub(super) fn run<R: Rewriter>(make: impl Fn() -> R, body: &[u8]) -> Outcome {
    let whole = push(&mut make(), Seen::default(), [body]);
    let same = |outcome: Outcome, how: &str| {
        assert_eq!(outcome.2, whole.2, "{how}: {:?}", String::from_utf8_lossy(body));
        assert_eq!(String::from_utf8_lossy(&outcome.0), String::from_utf8_lossy(&whole.0), "{how}");
        assert_eq!(outcome.1, whole.1, "{how}");
    };
    for size in [1, 2, 3, 7, 64] {
        same(push(&mut make(), Seen::default(), body.chunks(size)), &format!("chunks of {size}"));
    }
    // At every place of a short body, at a few of a long one.
    let step = if body.len() < 20_000 { body.len() / 300 + 1 } else { body.len() / 10 };
    for at in (0..body.len()).step_by(step) {
        let (left, right) = body.split_at(at);
        same(push(&mut make(), Seen::default(), [left, right]), &format!("split at {at}"));
    }
    whole
}

/// The text that left, when all went well.
pub(super) fn text<R: Rewriter>(make: impl Fn() -> R, body: &str) -> String {
    let (out, _, end) = run(make, body.as_bytes());
    assert_eq!(end, Ok(()), "{body}");
    String::from_utf8(out).expect("text")
}

/// Why the engine stopped.
pub(super) fn stop<R: Rewriter>(make: impl Fn() -> R, body: &[u8]) -> Stop {
    let (out, _, end) = run(make, body);
    end.expect_err(&format!("{:?} passed as {:?}", String::from_utf8_lossy(body), String::from_utf8_lossy(&out)))
}

/// Truncates a body at every byte, and pushes it byte by byte too: no six bytes of the secret may leave.
pub(super) fn leaks_nothing<R: Rewriter>(make: impl Fn() -> R, body: &[u8], secret: &str) {
    assert!(memchr::memmem::find(body, secret.as_bytes()).is_some(), "the secret is not in the body");
    for end in 0..=body.len() {
        for chunk in [1, body.len()] {
            let (out, _, _) = push(&mut make(), Seen::default(), body[..end].chunks(chunk));
            for piece in secret.as_bytes().windows(6) {
                let found = memchr::memmem::find(&out, piece);
                assert_eq!(found, None, "{:?} left", String::from_utf8_lossy(&out));
            }
        }
    }
}

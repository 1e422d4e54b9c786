//! Treatments, kind of value by kind of value.

use std::num::NonZeroU64;

use super::*;
use crate::model::{FieldPath, VendorId};
use crate::pii::keys::{KeyRing, MasterKey, VendorSalt};
use crate::pii::rule::{Class, Place};
use crate::pii::token::TOKEN_PREFIX;

const KINDS: [(Kind, &str); 4] = [
    (Kind::String, "4111111111111111"),
    (Kind::Number, "4111111111111111"),
    (Kind::Boolean, "true"),
    (Kind::Container, ""),
];

fn keys(classes: &[&str]) -> Arc<VendorKeys> {
    let ring = KeyRing::of(MasterKey::from_bytes([42; 32]));
    let vendor = VendorId::parse("acme").unwrap();
    let classes = classes.iter().map(|name| Class::of_name(name));
    Arc::new(ring.vendor_keys(&vendor, &VendorSalt::from_bytes([1; 32]), classes))
}

fn treater(treatment: Treatment) -> Result<Treater, TreatmentError> {
    let place = Place::Field(FieldPath::parse("$.x").unwrap());
    let rule = Rule { place, treatment, class: Class::of_name("card"), only_type: None };
    Treater::compile(&[rule], keys(&["card", "email"]))
}

fn treat(treater: &Treater, kind: Kind, text: &str) -> (Shape, String) {
    let mut out = Vec::new();
    let shape = treater.treat(0, Value { kind, text: text.as_bytes() }, &mut out).unwrap();
    (shape, String::from_utf8(out).unwrap())
}

fn all() -> Vec<Treatment> {
    vec![
        Treatment::Tokenize,
        Treatment::Hash,
        Treatment::EncryptFormat(Format::Digits),
        Treatment::EncryptFormat(Format::Card { keep_first: 6, keep_last: 0 }),
        Treatment::EncryptFormat(Format::Phone),
        Treatment::Mask { keep_first: 0, keep_last: 4 },
        Treatment::Redact,
        Treatment::Drop,
        Treatment::Generalize(Generalize::Year),
        Treatment::Generalize(Generalize::Prefix(2)),
        Treatment::Generalize(Generalize::Bucket(NonZeroU64::new(10_000).unwrap())),
    ]
}

#[test]
fn no_treatment_passes_a_value_raw() {
    for treatment in all() {
        let treater = treater(treatment.clone()).unwrap();
        for (kind, text) in KINDS {
            let (shape, out) = treat(&treater, kind, text);
            let word = treatment.as_str();
            assert!(text.is_empty() || !out.contains(text), "{word} of {kind:?}: {out}");
            assert!(shape == Shape::Text || kind == Kind::Number, "{word} of {kind:?}");
            let dropped = treatment == Treatment::Drop;
            if matches!(kind, Kind::Boolean | Kind::Container) {
                assert_eq!(out, if dropped { "" } else { "[redacted]" }, "{word} of {kind:?}");
            }
            assert_eq!(treater.drops(0), dropped);
        }
        assert_eq!(treat(&treater, Kind::Null, "null"), (Shape::Literal, "null".into()));
    }
}

#[test]
fn tokens_and_hashes_are_what_they_say() {
    let token = treat(&treater(Treatment::Tokenize).unwrap(), Kind::Number, "42");
    assert!(token.1.as_bytes().starts_with(TOKEN_PREFIX));
    let (shape, hash) = treat(&treater(Treatment::Hash).unwrap(), Kind::String, "42");
    assert_eq!((shape, hash.len(), &hash[..5]), (Shape::Text, 27, "h1ab_"));
    assert_eq!(treat(&treater(Treatment::Hash).unwrap(), Kind::Number, "42").1, hash);
    assert_ne!(treat(&treater(Treatment::Hash).unwrap(), Kind::String, "43").1, hash);
}

#[test]
fn a_token_of_this_vendor_is_not_tokenized_again() {
    let treater = treater(Treatment::Tokenize).unwrap();
    let (_, token) = treat(&treater, Kind::String, "a@b.example");
    assert_eq!(treat(&treater, Kind::String, &token).1, token);
    for almost in [&token[..token.len() - 1], "tok1_", &format!("{token}x")] {
        let (_, again) = treat(&treater, Kind::String, almost);
        assert_ne!(again, almost, "what does not open is a text like any other");
    }
}

#[test]
fn encrypted_formats_restore() {
    let treater = treater(Treatment::EncryptFormat(Format::Card { keep_first: 6, keep_last: 0 })).unwrap();
    let (_, sealed) = treat(&treater, Kind::String, "4111-1111-1111-1111");
    let mut out = Vec::new();
    let value = Value { kind: Kind::String, text: sealed.as_bytes() };
    assert_eq!(treater.restore(0, value, &mut out), Some(Shape::Text));
    assert_eq!(out, b"4111-1111-1111-1111");
    assert_eq!(treater.restore(1, value, &mut out), None);
}

#[test]
fn what_cannot_be_carried_out_is_told_at_load() {
    let card = |keep_first, keep_last| treater(Treatment::EncryptFormat(Format::Card { keep_first, keep_last })).err();
    assert_eq!(card(6, 4), Some(TreatmentError::DomainTooSmall { rule: 0 }));
    assert_eq!(card(8, 0), Some(TreatmentError::CardEnds { rule: 0, keep_first: 8, keep_last: 0 }));
    assert_eq!(card(0, 4), None);
    let prefix = treater(Treatment::Generalize(Generalize::Prefix(0))).err();
    assert_eq!(prefix, Some(TreatmentError::EmptyPrefix { rule: 0 }));
    let place = Place::Query("q".into());
    let rule = Rule { place, treatment: Treatment::Hash, class: Class::of_name("other"), only_type: None };
    let told = Treater::compile(&[rule], keys(&["card"])).unwrap_err();
    assert_eq!(told.to_string(), "the keys of acme have no class 'other'");
}

#[test]
fn a_value_over_its_bound_and_a_rule_that_is_none_are_refused() {
    let treater = treater(Treatment::Tokenize).unwrap();
    let long = vec![b'x'; bounds::VALUE_BYTES_MAX + 1];
    let value = |text| Value { kind: Kind::String, text };
    assert!(matches!(treater.treat(0, value(&long), &mut Vec::new()), Err(Stop::Bound { .. })));
    assert!(treater.treat(0, value(&long[1..]), &mut Vec::new()).is_ok());
    assert!(matches!(treater.treat(1, value(b"x"), &mut Vec::new()), Err(Stop::Untreatable { .. })));
}

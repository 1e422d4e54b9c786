//! Treatments, kind of value by kind of value.

use std::num::NonZeroU64;

use super::*;
use crate::model::{FieldPath, VendorId};
use crate::pii::keys::{MasterKey, MasterKeys, VendorSalt};
use crate::pii::rule::{TokenClass, ValueLocation};
use crate::pii::token::TOKEN_PREFIX;

const KINDS: [(ValueKind, &str); 4] = [
    (ValueKind::String, "4111111111111111"),
    (ValueKind::Number, "4111111111111111"),
    (ValueKind::Boolean, "true"),
    (ValueKind::Container, ""),
];

fn keys(classes: &[&str]) -> Arc<VendorKeys> {
    let ring = MasterKeys::from_key(MasterKey::from_bytes([42; 32]));
    let vendor = VendorId::parse("acme").unwrap();
    let classes = classes.iter().map(|name| TokenClass::from_name(name));
    Arc::new(ring.vendor_keys(&vendor, &VendorSalt::from_bytes([1; 32]), classes))
}

fn treater(treatment: Treatment) -> Result<Transformer, TreatmentError> {
    let place = ValueLocation::Field(FieldPath::parse("$.x").unwrap());
    let rule = Rule { location: place, treatment, class: TokenClass::from_name("card"), only_type: None };
    Transformer::compile(&[rule], keys(&["card", "email"]))
}

fn treat(treater: &Transformer, kind: ValueKind, text: &str) -> (Replacement, String) {
    let mut out = Vec::new();
    let shape = treater.transform(0, SelectedValue { kind, text: text.as_bytes() }, &mut out).unwrap();
    (shape, String::from_utf8(out).unwrap())
}

fn all() -> Vec<Treatment> {
    vec![
        Treatment::Tokenize,
        Treatment::Hash,
        Treatment::EncryptFormat(DigitFormat::Digits),
        Treatment::EncryptFormat(DigitFormat::Card { keep_first: 6, keep_last: 0 }),
        Treatment::EncryptFormat(DigitFormat::Phone),
        Treatment::Mask { keep_first: 0, keep_last: 4 },
        Treatment::Redact,
        Treatment::Drop,
        Treatment::Generalize(Generalization::Year),
        Treatment::Generalize(Generalization::Prefix(2)),
        Treatment::Generalize(Generalization::Bucket(NonZeroU64::new(10_000).unwrap())),
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
            assert!(shape == Replacement::Text || kind == ValueKind::Number, "{word} of {kind:?}");
            let dropped = treatment == Treatment::Drop;
            if matches!(kind, ValueKind::Boolean | ValueKind::Container) {
                assert_eq!(out, if dropped { "" } else { "[redacted]" }, "{word} of {kind:?}");
            }
            assert_eq!(treater.drops_member(0), dropped);
        }
        assert_eq!(treat(&treater, ValueKind::Null, "null"), (Replacement::Literal, "null".into()));
    }
}

#[test]
fn tokens_and_hashes_are_what_they_say() {
    let token = treat(&treater(Treatment::Tokenize).unwrap(), ValueKind::Number, "42");
    assert!(token.1.as_bytes().starts_with(TOKEN_PREFIX));
    let (shape, hash) = treat(&treater(Treatment::Hash).unwrap(), ValueKind::String, "42");
    assert_eq!((shape, hash.len(), &hash[..5]), (Replacement::Text, 27, "h1ab_"));
    assert_eq!(treat(&treater(Treatment::Hash).unwrap(), ValueKind::Number, "42").1, hash);
    assert_ne!(treat(&treater(Treatment::Hash).unwrap(), ValueKind::String, "43").1, hash);
}

#[test]
fn a_token_of_this_vendor_is_not_tokenized_again() {
    let treater = treater(Treatment::Tokenize).unwrap();
    let (_, token) = treat(&treater, ValueKind::String, "a@b.example");
    assert_eq!(treat(&treater, ValueKind::String, &token).1, token);
    for almost in [&token[..token.len() - 1], "tok1_", &format!("{token}x")] {
        let (_, again) = treat(&treater, ValueKind::String, almost);
        assert_ne!(again, almost, "what does not open is a text like any other");
    }
}

#[test]
fn encrypted_formats_restore() {
    let treater = treater(Treatment::EncryptFormat(DigitFormat::Card { keep_first: 6, keep_last: 0 })).unwrap();
    let (_, sealed) = treat(&treater, ValueKind::String, "4111-1111-1111-1111");
    let mut out = Vec::new();
    let value = SelectedValue { kind: ValueKind::String, text: sealed.as_bytes() };
    assert_eq!(treater.restore(0, value, &mut out), Some(Replacement::Text));
    assert_eq!(out, b"4111-1111-1111-1111");
    assert_eq!(treater.restore(1, value, &mut out), None);
}

#[test]
fn what_cannot_be_carried_out_is_told_at_load() {
    let card =
        |keep_first, keep_last| treater(Treatment::EncryptFormat(DigitFormat::Card { keep_first, keep_last })).err();
    assert_eq!(card(6, 4), Some(TreatmentError::DomainTooSmall { rule: 0 }));
    assert_eq!(card(8, 0), Some(TreatmentError::CardEnds { rule: 0, keep_first: 8, keep_last: 0 }));
    assert_eq!(card(0, 4), None);
    let prefix = treater(Treatment::Generalize(Generalization::Prefix(0))).err();
    assert_eq!(prefix, Some(TreatmentError::EmptyPrefix { rule: 0 }));
    let place = ValueLocation::Query("q".into());
    let rule =
        Rule { location: place, treatment: Treatment::Hash, class: TokenClass::from_name("other"), only_type: None };
    let told = Transformer::compile(&[rule], keys(&["card"])).unwrap_err();
    assert_eq!(told.to_string(), "the keys of acme have no class 'other'");
}

#[test]
fn a_value_over_its_bound_and_a_rule_that_is_none_are_refused() {
    let treater = treater(Treatment::Tokenize).unwrap();
    let long = vec![b'x'; bounds::VALUE_BYTES_MAX + 1];
    let value = |text| SelectedValue { kind: ValueKind::String, text };
    assert!(matches!(treater.transform(0, value(&long), &mut Vec::new()), Err(RewriteError::Bound { .. })));
    assert!(treater.transform(0, value(&long[1..]), &mut Vec::new()).is_ok());
    assert!(matches!(treater.transform(1, value(b"x"), &mut Vec::new()), Err(RewriteError::Untreatable { .. })));
}

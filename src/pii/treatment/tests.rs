//! Each treatment of each kind of value.

use std::num::NonZeroU64;

use super::*;
use crate::pii::rule::{TokenClass, ValueLocation};
use crate::pii::testing;
use crate::pii::token::TOKEN_PREFIX;

const KINDS: [(ValueKind, &str); 4] = [
    (ValueKind::String, "4111111111111111"),
    (ValueKind::Number, "4111111111111111"),
    (ValueKind::Boolean, "true"),
    (ValueKind::Container, ""),
];

fn keys(classes: &[&str]) -> Arc<VendorKeys> {
    testing::keys("acme", classes.iter().map(|name| TokenClass::from_name(name)))
}

fn transformer(treatment: Treatment) -> Result<Transformer, TreatmentError> {
    let location = ValueLocation::Field(testing::path("$.x"));
    let rule = Rule { location, treatment, class: TokenClass::from_name("card"), only_type: None, category: None };
    Transformer::compile(&[rule], keys(&["card", "email"]))
}

fn transform(transformer: &Transformer, kind: ValueKind, text: &str) -> (Replacement, String) {
    let mut out = Vec::new();
    let replacement = transformer.transform(0, SelectedValue { kind, text: text.as_bytes() }, &mut out).unwrap();
    (replacement, String::from_utf8(out).unwrap())
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
        let transformer = transformer(treatment.clone()).unwrap();
        for (kind, text) in KINDS {
            let (replacement, out) = transform(&transformer, kind, text);
            let word = treatment.as_str();
            assert!(text.is_empty() || !out.contains(text), "{word} of {kind:?}: {out}");
            assert!(replacement == Replacement::Text || kind == ValueKind::Number, "{word} of {kind:?}");
            let dropped = treatment == Treatment::Drop;
            if matches!(kind, ValueKind::Boolean | ValueKind::Container) {
                assert_eq!(out, if dropped { "" } else { "[redacted]" }, "{word} of {kind:?}");
            }
            assert_eq!(transformer.drops_member(0), dropped);
        }
        assert_eq!(transform(&transformer, ValueKind::Null, "null"), (Replacement::Literal, "null".into()));
    }
}

#[test]
fn tokens_and_hashes_have_their_documented_shape() {
    let token = transform(&transformer(Treatment::Tokenize).unwrap(), ValueKind::Number, "42");
    assert!(token.1.as_bytes().starts_with(TOKEN_PREFIX));
    let (replacement, hash) = transform(&transformer(Treatment::Hash).unwrap(), ValueKind::String, "42");
    assert_eq!((replacement, hash.len(), &hash[..5]), (Replacement::Text, 27, "h1ab_"));
    assert_eq!(transform(&transformer(Treatment::Hash).unwrap(), ValueKind::Number, "42").1, hash);
    assert_ne!(transform(&transformer(Treatment::Hash).unwrap(), ValueKind::String, "43").1, hash);
}

#[test]
fn a_token_of_this_vendor_is_not_tokenized_again() {
    let transformer = transformer(Treatment::Tokenize).unwrap();
    let (_, token) = transform(&transformer, ValueKind::String, "a@b.example");
    assert_eq!(transform(&transformer, ValueKind::String, &token).1, token);
    for almost in [&token[..token.len() - 1], "tok1_", &format!("{token}x")] {
        let (_, again) = transform(&transformer, ValueKind::String, almost);
        assert_ne!(again, almost, "a text that does not open is tokenized like any other");
    }
}

#[test]
fn an_encrypted_format_is_decrypted_with_the_same_keys() {
    let format = DigitFormat::Card { keep_first: 6, keep_last: 0 };
    let (keys, card, mut out) = (keys(&["card"]), TokenClass::from_name("card"), Vec::new());
    for (kind, value_kind, text) in [
        (TokenKind::Text, ValueKind::String, "4111-1111-1111-1111"),
        (TokenKind::Number, ValueKind::Number, "4111111111111111"),
    ] {
        let (_, sealed) = transform(&transformer(Treatment::EncryptFormat(format)).unwrap(), value_kind, text);
        assert_ne!(sealed, text);
        assert_eq!(keys.decrypt_format(&card, format, kind, sealed.as_bytes(), &mut out), Some(()));
        assert_eq!(std::mem::take(&mut out), text.as_bytes());
    }
    let refused = |class: &str, format, text: &str| {
        let class = TokenClass::from_name(class);
        keys.decrypt_format(&class, format, TokenKind::Text, text.as_bytes(), &mut Vec::new())
    };
    assert_eq!(refused("other", format, "4111111111111111"), None);
    assert_eq!(refused("card", DigitFormat::Card { keep_first: 200, keep_last: 200 }, "4111111111111111"), None);
    assert_eq!(refused("card", format, "no card"), None);
}

#[test]
fn a_rule_that_cannot_be_carried_out_is_refused_when_it_is_compiled() {
    let card = |keep_first, keep_last| {
        transformer(Treatment::EncryptFormat(DigitFormat::Card { keep_first, keep_last })).err()
    };
    assert_eq!(card(6, 4), Some(TreatmentError::DomainTooSmall { rule: 0 }));
    assert_eq!(card(8, 0), Some(TreatmentError::CardEnds { rule: 0, keep_first: 8, keep_last: 0 }));
    assert_eq!(card(0, 4), None);
    let prefix = transformer(Treatment::Generalize(Generalization::Prefix(0))).err();
    assert_eq!(prefix, Some(TreatmentError::EmptyPrefix { rule: 0 }));
    let location = ValueLocation::Query("q".into());
    let rule = Rule {
        location,
        treatment: Treatment::Hash,
        class: TokenClass::from_name("other"),
        only_type: None,
        category: None,
    };
    let error = Transformer::compile(&[rule], keys(&["card"])).unwrap_err();
    assert_eq!(error.to_string(), "the keys of acme have no class 'other'");
}

#[test]
fn a_value_over_its_bound_and_an_unknown_rule_are_refused() {
    let transformer = transformer(Treatment::Tokenize).unwrap();
    let long = vec![b'x'; bounds::VALUE_BYTES_MAX + 1];
    let value = |text| SelectedValue { kind: ValueKind::String, text };
    assert!(matches!(transformer.transform(0, value(&long), &mut Vec::new()), Err(RewriteError::Bound { .. })));
    assert!(transformer.transform(0, value(&long[1..]), &mut Vec::new()).is_ok());
    assert!(matches!(transformer.transform(1, value(b"x"), &mut Vec::new()), Err(RewriteError::Untreatable { .. })));
}

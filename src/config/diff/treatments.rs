//! Compares treatments by what they leave of a value.

use crate::pii::{DigitFormat, Generalization, Treatment};

/// Whether the new treatment may leave more of a value than the old one does. Two that cannot be compared may.
pub(super) fn is_weaker(old: &Treatment, new: &Treatment) -> bool {
    let (before, after) = (strength(old), strength(new));
    after < before || (after == before && leaves_more(old, new))
}

/// How much of a value a treatment hides, from a part of it to all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Strength {
    /// Something of the value is left in clear.
    Part,
    /// A pseudonym that our keys turn back, in the form of the value.
    FormattedPseudonym,
    /// A pseudonym that our keys turn back.
    Pseudonym,
    /// A pseudonym that nothing turns back.
    Digest,
    /// Nothing, or its length.
    Nothing,
}

const fn strength(treatment: &Treatment) -> Strength {
    match treatment {
        Treatment::Drop | Treatment::Redact | Treatment::Mask { keep_first: 0, keep_last: 0 } => Strength::Nothing,
        Treatment::Hash => Strength::Digest,
        Treatment::Tokenize => Strength::Pseudonym,
        Treatment::EncryptFormat(_) => Strength::FormattedPseudonym,
        Treatment::Mask { .. } | Treatment::Generalize(_) => Strength::Part,
    }
}

/// Of two treatments of one strength, whether the new one leaves more.
fn leaves_more(old: &Treatment, new: &Treatment) -> bool {
    match (old, new) {
        (Treatment::Mask { keep_first: a, keep_last: b }, Treatment::Mask { keep_first: new_a, keep_last: new_b }) => {
            new_a > a || new_b > b
        }
        (Treatment::Generalize(old), Treatment::Generalize(new)) => match (old, new) {
            (Generalization::Prefix(old), Generalization::Prefix(new)) => new > old,
            (Generalization::Bucket(old), Generalization::Bucket(new)) => new.get() % old.get() != 0,
            (Generalization::Year, Generalization::Year) => false,
            (Generalization::Year | Generalization::Prefix(_) | Generalization::Bucket(_), _) => true,
        },
        (Treatment::EncryptFormat(old), Treatment::EncryptFormat(new)) => match (old, new) {
            (_, DigitFormat::Digits) => false,
            (
                DigitFormat::Card { keep_first: a, keep_last: b },
                DigitFormat::Card { keep_first: new_a, keep_last: new_b },
            ) => new_a > a || new_b > b,
            (DigitFormat::Digits, DigitFormat::Card { keep_first: 0, keep_last: 0 })
            | (DigitFormat::Phone, DigitFormat::Phone) => false,
            (DigitFormat::Digits | DigitFormat::Card { .. } | DigitFormat::Phone, _) => true,
        },
        (Treatment::Mask { .. }, Treatment::Generalize(_)) | (Treatment::Generalize(_), Treatment::Mask { .. }) => true,
        (Treatment::Mask { .. } | Treatment::Drop | Treatment::Redact | Treatment::Hash | Treatment::Tokenize, _)
        | (Treatment::Generalize(_) | Treatment::EncryptFormat(_), _) => false,
    }
}

/// A treatment and its settings, in a few words.
pub(super) fn text(treatment: &Treatment) -> String {
    match treatment {
        Treatment::Mask { keep_first, keep_last } => format!("mask, keeps {keep_first} first and {keep_last} last"),
        Treatment::Generalize(Generalization::Year) => "generalize to year".to_owned(),
        Treatment::Generalize(Generalization::Prefix(size)) => format!("generalize to prefix of {size}"),
        Treatment::Generalize(Generalization::Bucket(size)) => format!("generalize to bucket of {size}"),
        Treatment::EncryptFormat(DigitFormat::Card { keep_first, keep_last }) => {
            format!("encrypt_format card, keeps {keep_first} first and {keep_last} last")
        }
        Treatment::EncryptFormat(DigitFormat::Digits) => "encrypt_format digits".to_owned(),
        Treatment::EncryptFormat(DigitFormat::Phone) => "encrypt_format phone".to_owned(),
        Treatment::Tokenize | Treatment::Hash | Treatment::Redact | Treatment::Drop => treatment.as_str().to_owned(),
    }
}

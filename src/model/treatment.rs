//! The closed list of what a rule can make of a personal value: one row for each.
//!
//! The word is in contracts, metrics and stored exposure buckets: it never changes and is never reused.

use schemars::JsonSchema;
use serde::Deserialize;

/// `Variant = "word" keyed "what it leaves"`, where `keyed` says whether it uses the vendor's keys.
macro_rules! treatments {
    ($($(#[$meta:meta])* $variant:ident = $word:literal $keyed:literal $leaves:literal;)+) => {
        /// What a rule makes of a value, without its settings. Contracts may write all but those that serde skips.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
        pub enum TreatmentKind {
            $($(#[$meta])* #[serde(rename = $word)] $variant,)+
        }

        impl TreatmentKind {
            /// Every kind, in the order of its number.
            pub const ALL: [Self; [$($word),+].len()] = [$(Self::$variant),+];

            /// The word in contracts, metrics and the exposure report.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// Whether it uses the vendor's keys, so that a token class belongs to it.
            pub const fn is_keyed(self) -> bool {
                match self { $(Self::$variant => $keyed),+ }
            }

            /// What the value becomes for its receiver, for a notification under Article 33 GDPR.
            pub const fn leaves(self) -> &'static str {
                match self { $(Self::$variant => $leaves),+ }
            }
        }
    };
}

treatments! {
    /// A keyed token that can be revealed.
    Tokenize = "tokenize" true "a pseudonym that only our keys turn back";
    /// A keyed hash: joins work, nothing comes back.
    Hash = "hash" true "a pseudonym that nothing turns back";
    /// Digits for digits, the form kept.
    EncryptFormat = "encrypt_format" true "a pseudonym that only our keys turn back";
    /// Characters replaced by *.
    Mask = "mask" false "a part of the value";
    /// A constant text in place of the value.
    Redact = "redact" false "nothing";
    /// Left out.
    Drop = "drop" false "nothing";
    /// A coarser value.
    Generalize = "generalize" false "a coarser value";
    /// A token becomes the value again. Contracts list its fields under `reveal`.
    #[serde(skip)]
    Reveal = "reveal" true "the value itself, which a token stood for";
    /// A detector counts what it finds and lets it pass. Contracts write it under `detect`.
    #[serde(skip)]
    Report = "report" false "THE VALUE ITSELF, found by a detector and let pass";
}

impl TreatmentKind {
    /// The kind of a stored word; `None` for a word of a later version.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words are in stored buckets and in dashboards: a new treatment adds a line, none may change.
    #[test]
    fn every_treatment_keeps_its_word_and_what_it_leaves() {
        for line in include_str!("../../tests/golden/treatments.tsv").lines() {
            let (word, leaves) = line.split_once('\t').expect("two columns");
            assert_eq!(TreatmentKind::from_word(word).expect(word).leaves(), leaves);
        }
        assert_eq!(TreatmentKind::from_word("shred"), None);
    }

    #[test]
    fn contracts_can_write_what_the_docs_list_and_nothing_else() {
        let page = include_str!("../../docs/configuration.md");
        for kind in TreatmentKind::ALL {
            let is_written = !matches!(kind, TreatmentKind::Reveal | TreatmentKind::Report);
            let read = serde_json::from_value::<TreatmentKind>(kind.as_str().into()).ok();
            assert_eq!(read, is_written.then_some(kind));
            assert!(!is_written || page.contains(&format!("`{}`", kind.as_str())), "{kind:?} is not in the docs");
        }
    }
}

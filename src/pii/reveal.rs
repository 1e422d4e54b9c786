//! The inverse of tokenizing: tokens of this vendor become values again.
//!
//! Tokens are found anywhere in a selected text. A token that does not open stays as it is and is counted by its
//! reason, so that its sender learns nothing from the result. Reveals nothing but authentic tokens of its own vendor.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::keys::VendorKeys;
use super::rewriter::{RewriteError, RewriteResult};
use super::token::{ParsedToken, TOKEN_PREFIX, TokenError, TokenFinder, TokenKind};
use super::transform::{Replacement, SelectedValue, Transform, ValueKind};

/// How many tokens were opened, and how many were not, by reason. Shared by all bodies of a vendor.
#[derive(Debug, Default)]
pub struct RevealCounts {
    opened: AtomicU64,
    unopened: [AtomicU64; TokenError::ALL.len()],
}

impl RevealCounts {
    /// Tokens that became values.
    pub fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    /// Tokens that were not opened for this reason. Any count of [`TokenError::Forged`] but 0 deserves an alert.
    pub fn unopened(&self, reason: TokenError) -> u64 {
        self.unopened[reason.index()].load(Ordering::Relaxed)
    }

    /// Every result by its word in metrics, and how many tokens had it.
    pub fn results(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let unopened = TokenError::ALL.into_iter().map(|reason| (reason.as_str(), self.unopened(reason)));
        std::iter::once(("opened", self.opened())).chain(unopened)
    }

    fn count(&self, result: Result<TokenKind, TokenError>) {
        let counter = match result {
            Ok(_) => &self.opened,
            Err(reason) => &self.unopened[reason.index()],
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Reveals the tokens of one vendor in the values that an engine selects.
#[derive(Debug, Clone)]
pub struct Revealer {
    keys: Arc<VendorKeys>,
    counts: Arc<RevealCounts>,
    finder: TokenFinder,
}

impl Revealer {
    /// A revealer that adds its results to `counts`.
    pub fn new(keys: Arc<VendorKeys>, counts: Arc<RevealCounts>) -> Self {
        Self { keys, counts, finder: TokenFinder::new() }
    }

    /// Appends `text`, in which each token that opens is replaced by its value. Returns whether one was.
    pub fn reveal(&self, text: &[u8], out: &mut Vec<u8>) -> bool {
        let mut rest = text;
        let mut revealed = false;
        while let Some(at) = self.finder.find(rest) {
            let (before, token) = rest.split_at(at);
            out.extend_from_slice(before);
            let parsed = ParsedToken::at_start(token);
            let result = parsed.and_then(|parsed| self.keys.open_parsed(&parsed, out));
            self.counts.count(result);
            // Skip a well-formed token whole, also when it does not open: a search inside it would let a sender nest
            // tokens and have each byte decrypted many times.
            let taken = parsed.as_ref().map_or(TOKEN_PREFIX.len(), ParsedToken::length);
            if result.is_err() {
                out.extend_from_slice(&token[..taken]);
            }
            revealed |= result.is_ok();
            rest = &token[taken..];
        }
        out.extend_from_slice(rest);
        revealed
    }

    /// Whether the text is one token of a number and nothing else.
    fn is_number(text: &[u8]) -> bool {
        ParsedToken::at_start(text).is_ok_and(|token| token.kind == TokenKind::Number && token.length() == text.len())
    }
}

impl Transform for Revealer {
    fn drops_member(&self, _rule: usize) -> bool {
        false
    }

    /// Reveals the tokens in a string. A string that is one token of a number becomes that number again. Other values
    /// stay.
    fn transform(&self, _rule: usize, value: SelectedValue<'_>, out: &mut Vec<u8>) -> RewriteResult<Replacement> {
        match value.kind {
            ValueKind::String => {
                let revealed = self.reveal(value.text, out);
                Ok(if revealed && Self::is_number(value.text) { Replacement::Literal } else { Replacement::Text })
            }
            ValueKind::Number | ValueKind::Boolean | ValueKind::Null => {
                out.extend_from_slice(value.text);
                Ok(Replacement::Literal)
            }
            ValueKind::Container => Err(RewriteError::Untreatable { what: "an object or array has no token" }),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pii::rule::TokenClass;
    use crate::pii::testing;

    fn keys(vendor: &str) -> Arc<VendorKeys> {
        testing::keys(vendor, [TokenClass::from_name("email")])
    }

    fn token(vendor: &str, kind: TokenKind, value: &str) -> String {
        let mut out = Vec::new();
        keys(vendor).classes()[0].token.seal(kind, value.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    /// Treats a string; answers with what came out, and the counts: opened, malformed, foreign, unknown key, forged.
    fn check(text: &str) -> (Replacement, String, [u64; 5]) {
        let revealer = Revealer::new(keys("acme"), Arc::default());
        let mut out = Vec::new();
        let shape =
            revealer.transform(0, SelectedValue { kind: ValueKind::String, text: text.as_bytes() }, &mut out).unwrap();
        let counts = &revealer.counts;
        let [malformed, foreign, unknown, forged] = TokenError::ALL.map(|reason| counts.unopened(reason));
        (shape, String::from_utf8(out).unwrap(), [counts.opened(), malformed, foreign, unknown, forged])
    }

    #[test]
    fn tokens_become_values_anywhere_in_a_text() {
        let (text, number) = (token("acme", TokenKind::Text, "a@b.example"), token("acme", TokenKind::Number, "42"));
        assert_eq!(check(&text), (Replacement::Text, "a@b.example".into(), [1, 0, 0, 0, 0]));
        assert_eq!(check(&number), (Replacement::Literal, "42".into(), [1, 0, 0, 0, 0]));
        let both = format!("to {text}{number}, thanks");
        assert_eq!(check(&both), (Replacement::Text, "to a@b.example42, thanks".into(), [2, 0, 0, 0, 0]));
        assert_eq!(check("no token"), (Replacement::Text, "no token".into(), [0; 5]));
    }

    #[test]
    fn a_token_that_does_not_open_stays_and_is_counted_by_its_reason() {
        let genuine = token("acme", TokenKind::Text, "a@b.example");
        let foreign = token("other", TokenKind::Text, "a@b.example");
        let mut forged = genuine.clone();
        forged.replace_range(30..31, if &genuine[30..31] == "A" { "B" } else { "A" });
        for (text, counts) in [
            (foreign, [0, 0, 1, 0, 0]),
            (forged, [0, 0, 0, 0, 1]),
            (genuine[..20].to_owned(), [0, 1, 0, 0, 0]),
            ("tok1_tok1_".to_owned(), [0, 2, 0, 0, 0]),
            (genuine.replacen("ab_", "ac_", 1), [0, 0, 0, 1, 0]),
        ] {
            assert_eq!(check(&text), (Replacement::Text, text.clone(), counts));
        }
    }

    #[test]
    fn a_token_after_the_start_of_another_still_opens() {
        let genuine = token("acme", TokenKind::Text, "x");
        for start in ["tok1_", "tok1_d", &genuine[..14]] {
            let (_, out, counts) = check(&format!("{start}{genuine}"));
            assert_eq!((out, counts), (format!("{start}x"), [1, 1, 0, 0, 0]));
        }
    }

    proptest! {
        #[test]
        fn revealing_is_the_inverse_of_tokenizing(parts in prop::collection::vec(("[^t]{0,10}", ".{0,20}"), 0..5)) {
            let tokens: String = parts.iter().map(|(text, value)| format!("{text}{}", token("acme", TokenKind::Text, value))).collect();
            let values: String = parts.iter().map(|(text, value)| format!("{text}{value}")).collect();
            prop_assert_eq!(check(&tokens).1, values);
        }
    }
}

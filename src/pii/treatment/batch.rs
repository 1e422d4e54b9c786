//! Defers the hashing and encrypting of values within one call of an engine, to do several at once: that takes little
//! more time than one, because a single one waits for the latency of the cipher.
//!
//! The output already has a placeholder for a deferred value, which tells nothing about it;
//! [`super::super::transform::Transform::complete_deferred`] overwrites it before the output leaves. Bounded, and wiped
//! when dropped.

use zeroize::Zeroize;

use super::super::alphabets::encode_16_bytes;
use super::super::prf::{HashBlock, final_block};
use super::super::transform::{SelectedValue, ValueKind};
use super::format::HiddenDigits;
use super::{CompiledTreatment, HASH_HEAD_BYTES, Transformer};

/// Most deferred values of one rule.
pub(super) const GROUP_VALUES_MAX: usize = 8;
/// Longest text whose digits are encrypted later, in bytes.
const TEXT_BYTES: usize = 64;
/// Most rules whose values are deferred. The values of further rules are treated one by one.
const GROUPS_MAX: usize = 4;

/// The deferred values of one body: at most 3 KB.
#[derive(Default)]
pub struct DeferredBatch {
    hashes: Vec<DeferredGroup<HashBlock>>,
    formats: Vec<DeferredGroup<HiddenDigits>>,
}

/// The deferred values of one rule, in the form that their treatment needs.
struct DeferredGroup<T: Zeroize> {
    rule: usize,
    count: usize,
    lanes: [DeferredValue<T>; GROUP_VALUES_MAX],
}

/// One deferred value.
#[derive(Clone, Copy)]
pub(super) struct DeferredValue<T> {
    /// Offset of its placeholder in the output.
    start: usize,
    /// Length of the placeholder, in bytes.
    length: usize,
    pub(super) prepared: T,
}

impl Transformer {
    /// Appends a placeholder for the result and defers the value. `None`, with nothing changed, when it cannot be
    /// deferred.
    #[inline]
    pub(super) fn defer_value(
        &self,
        rule: usize,
        value: SelectedValue<'_>,
        out: &mut Vec<u8>,
        batch: &mut DeferredBatch,
    ) -> Option<()> {
        let (at, groups) = (out.len(), batch.hashes.len() + batch.formats.len());
        match (self.treatments.get(rule)?, value.kind) {
            (CompiledTreatment::Hash { class, template: room }, ValueKind::String | ValueKind::Number) => {
                let block = final_block(value.text)?;
                let group = group_of_rule(&mut batch.hashes, rule, groups)?;
                out.extend_from_slice(room);
                if group.push(DeferredValue { start: at, length: room.len(), prepared: block }) {
                    self.hash_all(*class, group.take(), out);
                }
            }
            (CompiledTreatment::EncryptFormat(cipher), ValueKind::String) if value.text.len() <= TEXT_BYTES => {
                let group = group_of_rule(&mut batch.formats, rule, groups)?;
                let held = cipher.prepare(value.text, out)?;
                if group.push(DeferredValue { start: at, length: out.len() - at, prepared: held }) {
                    cipher.encrypt_all(group.take(), out);
                }
            }
            _ => return None,
        }
        Some(())
    }

    /// Overwrites the placeholders of all deferred values.
    pub(super) fn complete_all(&self, batch: &mut DeferredBatch, out: &mut [u8]) {
        for group in &mut batch.hashes {
            if let Some(CompiledTreatment::Hash { class, .. }) = self.treatments.get(group.rule) {
                self.hash_all(*class, group.take(), out);
            }
        }
        for group in &mut batch.formats {
            if let Some(CompiledTreatment::EncryptFormat(cipher)) = self.treatments.get(group.rule) {
                cipher.encrypt_all(group.take(), out);
            }
        }
    }

    fn hash_all(&self, class: usize, lanes: &[DeferredValue<HashBlock>], out: &mut [u8]) {
        let prf = &self.class_keys(class).hash;
        for pair in lanes.chunks(2) {
            let tags = prf.half_tags([&pair[0].prepared, &pair[pair.len() - 1].prepared]);
            for (lane, tag) in pair.iter().zip(tags) {
                if let Some(characters) =
                    lane.output_slice(out).get_mut(HASH_HEAD_BYTES..).and_then(<[u8]>::first_chunk_mut)
                {
                    *characters = encode_16_bytes(tag);
                }
            }
        }
    }
}

/// The group of a rule; `None` when there are too many groups.
#[inline]
fn group_of_rule<T: Zeroize + Copy + Default>(
    groups: &mut Vec<DeferredGroup<T>>,
    rule: usize,
    all: usize,
) -> Option<&mut DeferredGroup<T>> {
    let index = match groups.iter().position(|group| group.rule == rule) {
        Some(index) => index,
        None if all < GROUPS_MAX => {
            // Exactly one more, because a list that grows by itself would allocate four.
            groups.reserve_exact(1);
            groups.push(DeferredGroup {
                rule,
                count: 0,
                lanes: [DeferredValue { start: 0, length: 0, prepared: T::default() }; GROUP_VALUES_MAX],
            });
            groups.len() - 1
        }
        None => return None,
    };
    groups.get_mut(index)
}

impl<T: Zeroize + Copy> DeferredGroup<T> {
    /// Adds a value. Returns whether the group is now full.
    #[inline]
    fn push(&mut self, lane: DeferredValue<T>) -> bool {
        self.lanes[self.count] = lane;
        self.count += 1;
        self.count == GROUP_VALUES_MAX
    }

    /// Empties the group; returns its values.
    #[inline]
    fn take(&mut self) -> &[DeferredValue<T>] {
        let count = std::mem::take(&mut self.count);
        &self.lanes[..count]
    }
}

impl<T> DeferredValue<T> {
    /// Its placeholder in the output; empty if the engine has since cut the output short.
    #[inline]
    pub(super) fn output_slice<'out>(&self, out: &'out mut [u8]) -> &'out mut [u8] {
        out.get_mut(self.start..self.start + self.length).unwrap_or_default()
    }
}

impl<T: Zeroize> Drop for DeferredGroup<T> {
    fn drop(&mut self) {
        self.lanes.iter_mut().for_each(|lane| lane.prepared.zeroize());
    }
}

impl std::fmt::Debug for DeferredBatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Batch of {} rules", self.hashes.len() + self.formats.len())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pii::testing;
    use crate::pii::{DigitFormat, Rule, SelectedValue, TokenClass, Transform, Treatment, ValueKind, ValueLocation};

    /// Rules, more than can have a group.
    fn transformer() -> Transformer {
        let format = Treatment::EncryptFormat;
        let treatments = [
            Treatment::Tokenize,
            Treatment::Hash,
            format(DigitFormat::Digits),
            format(DigitFormat::Card { keep_first: 6, keep_last: 0 }),
            format(DigitFormat::Phone),
            format(DigitFormat::Card { keep_first: 0, keep_last: 4 }),
            Treatment::Redact,
        ];
        let rule = |treatment| Rule {
            location: ValueLocation::Query("x".into()),
            treatment,
            class: TokenClass::from_name("x"),
            only_type: None,
            category: None,
        };
        let rules: Vec<_> = treatments.into_iter().map(rule).collect();
        Transformer::compile(&rules, testing::keys("acme", [TokenClass::from_name("x")])).unwrap()
    }

    fn values() -> impl Strategy<Value = Vec<(usize, ValueKind, String)>> {
        let text = prop_oneof!["[0-9]{12,19}", "\\+49 [0-9]{7,11}", "[0-9]{4}-[0-9]{4}-[0-9]{4}-[0-9]{4}", ".{0,80}"];
        let kind = prop::sample::select(vec![
            ValueKind::String,
            ValueKind::String,
            ValueKind::Number,
            ValueKind::Null,
            ValueKind::Boolean,
        ]);
        prop::collection::vec((0_usize..7, kind, text), 0..60)
    }

    proptest! {
        #[test]
        fn a_deferred_value_has_the_result_that_it_has_at_once(values in values(), settle in 1_usize..40) {
            let transformer = transformer();
            let (mut at_once, mut deferred) = (b"before".to_vec(), b"before".to_vec());
            let mut batch = DeferredBatch::default();
            for (number, (rule, kind, text)) in (1..).zip(&values) {
                let value = SelectedValue { kind: *kind, text: text.as_bytes() };
                let replacement = transformer.transform(*rule, value, &mut at_once);
                prop_assert_eq!(transformer.defer(*rule, value, &mut deferred, &mut batch), replacement);
                prop_assert_eq!(deferred.len(), at_once.len());
                if number % settle == 0 {
                    transformer.complete_deferred(&mut batch, &mut deferred);
                    prop_assert_eq!(&deferred, &at_once);
                }
            }
            transformer.complete_deferred(&mut batch, &mut deferred);
            prop_assert_eq!(deferred, at_once);
        }
    }

    #[test]
    fn the_placeholder_of_a_deferred_value_tells_nothing_about_it() {
        let (transformer, mut batch, mut out) = (transformer(), DeferredBatch::default(), Vec::new());
        for (rule, text) in [(1, "secret"), (2, "98765432"), (3, "9876-5432-1987-6543"), (4, "+49 98765432")] {
            let value = SelectedValue { kind: ValueKind::String, text: text.as_bytes() };
            transformer.defer(rule, value, &mut out, &mut batch).unwrap();
        }
        let shown = String::from_utf8(out).unwrap();
        assert_eq!(shown, "h1ab_----------------------000000000000-0000-0000-0000+00 00000000");
        assert_eq!(format!("{batch:?}"), "Batch of 4 rules");
    }
}

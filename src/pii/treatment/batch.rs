//! Values that wait, within one call, for others of their kind: several are hashed or encrypted side by side in little
//! more time than one, because each alone waits for the cipher's latency.
//!
//! A waiting value's room stands in the output already, filled with what tells nothing; [`super::super::Treat::settle`]
//! fills it before the output leaves. Bounded, and wiped when it is dropped.

use zeroize::Zeroize;

use super::super::letters::encode_half;
use super::super::prf::SHORT_BYTES;
use super::super::rewriter::{Kind, Value};
use super::{Action, Treater};

/// Values of one rule that wait at most.
pub(super) const LANES: usize = 8;
/// Longest text that waits, in bytes.
pub(super) const TEXT_BYTES: usize = 64;
/// Characters of a hash behind its head.
const HASH_CHARACTERS: usize = 22;
/// Rules whose values wait; those of more are treated one by one.
const GROUPS_MAX: usize = 4;

/// The waiting values of one stream: at most 3 KB.
#[derive(Default)]
pub struct Batch {
    groups: Vec<Group>,
}

/// The waiting values of one rule.
pub(super) struct Group {
    pub(super) rule: usize,
    count: usize,
    lanes: [Lane; LANES],
}

/// One waiting value.
#[derive(Clone, Copy)]
pub(super) struct Lane {
    /// Where its room in the output begins, and how long it is.
    at: usize,
    room: usize,
    length: usize,
    text: [u8; TEXT_BYTES],
}

impl Treater {
    /// Makes room for what a value becomes, and lets the value wait; `None`, with nothing changed, when it cannot.
    pub(super) fn hold(&self, rule: usize, value: Value<'_>, out: &mut Vec<u8>, batch: &mut Batch) -> Option<()> {
        let start = out.len();
        let (group, full) = match (self.actions.get(rule)?, value.kind) {
            (Action::Hash { head, .. }, Kind::String | Kind::Number) if value.text.len() <= SHORT_BYTES => {
                let group = batch.group(rule)?;
                out.extend_from_slice(head);
                out.extend_from_slice(&[b'-'; HASH_CHARACTERS]);
                let full = group.hold(start, out.len() - start, value.text);
                (group, full)
            }
            (Action::EncryptFormat(cipher), Kind::String) if value.text.len() <= TEXT_BYTES => {
                let group = batch.group(rule)?;
                cipher.make_room(value.text, out)?;
                let full = group.hold(start, out.len() - start, value.text);
                (group, full)
            }
            _ => return None,
        };
        if full {
            self.settle_group(group, out);
        }
        Some(())
    }

    pub(super) fn settle_group(&self, group: &mut Group, out: &mut [u8]) {
        match self.actions.get(group.rule) {
            Some(Action::Hash { class, head }) => {
                let prf = &self.class(*class).hash;
                for pair in group.take().chunks(2) {
                    let texts = [pair[0].text(), pair[pair.len() - 1].text()];
                    for (lane, tag) in pair.iter().zip(prf.half_tags(texts)) {
                        if let Some(room) = lane.room(head.len(), out).first_chunk_mut() {
                            *room = encode_half(&tag);
                        }
                    }
                }
            }
            Some(Action::EncryptFormat(cipher)) => cipher.encrypt_all(group.take(), out),
            _ => {}
        }
    }
}

impl Batch {
    /// The group of a rule, unless there are too many.
    pub(super) fn group(&mut self, rule: usize) -> Option<&mut Group> {
        let found = self.groups.iter().position(|group| group.rule == rule);
        let place = found.or_else(|| {
            (self.groups.len() < GROUPS_MAX).then(|| {
                self.groups.push(Group { rule, count: 0, lanes: [Lane::EMPTY; LANES] });
                self.groups.len() - 1
            })
        });
        self.groups.get_mut(place?)
    }

    pub(super) fn groups(&mut self) -> impl Iterator<Item = &mut Group> {
        self.groups.iter_mut()
    }
}

impl Group {
    /// Takes a value of at most [`TEXT_BYTES`], whose room is given; whether the group is now full.
    pub(super) fn hold(&mut self, at: usize, room: usize, value: &[u8]) -> bool {
        let lane = &mut self.lanes[self.count];
        (lane.at, lane.room, lane.length) = (at, room, value.len());
        lane.text[..value.len()].copy_from_slice(value);
        self.count += 1;
        self.count == LANES
    }

    /// The waiting values, which wait no longer.
    pub(super) fn take(&mut self) -> &[Lane] {
        let count = std::mem::take(&mut self.count);
        &self.lanes[..count]
    }
}

impl Lane {
    const EMPTY: Self = Self { at: 0, room: 0, length: 0, text: [0; TEXT_BYTES] };

    /// The value.
    pub(super) fn text(&self) -> &[u8] {
        &self.text[..self.length]
    }

    /// Its room in the output, after a head that stands there already; empty if an engine has taken it back.
    pub(super) fn room<'out>(&self, head: usize, out: &'out mut [u8]) -> &'out mut [u8] {
        out.get_mut(self.at + head..self.at + self.room).unwrap_or_default()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.lanes.iter_mut().for_each(|lane| lane.text.zeroize());
    }
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Batch of {} rules", self.groups.len())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::model::VendorId;
    use crate::pii::keys::{KeyRing, MasterKey, VendorSalt};
    use crate::pii::rule::{Class, Format, Place, Rule, Treatment};
    use crate::pii::{Kind, Treat, Treater, Value};

    /// More rules than have a group.
    fn treater() -> Treater {
        let format = Treatment::EncryptFormat;
        let treatments = [
            Treatment::Tokenize,
            Treatment::Hash,
            format(Format::Digits),
            format(Format::Card { keep_first: 6, keep_last: 0 }),
            format(Format::Phone),
            format(Format::Card { keep_first: 0, keep_last: 4 }),
            Treatment::Redact,
        ];
        let rule = |treatment| Rule {
            place: Place::Query("x".into()),
            treatment,
            class: Class::of_name("x"),
            only_type: None,
        };
        let rules: Vec<_> = treatments.into_iter().map(rule).collect();
        let keys = KeyRing::of(MasterKey::from_bytes([42; 32])).vendor_keys(
            &VendorId::parse("acme").unwrap(),
            &VendorSalt::from_bytes([1; 32]),
            [Class::of_name("x")],
        );
        Treater::compile(&rules, Arc::new(keys)).unwrap()
    }

    fn values() -> impl Strategy<Value = Vec<(usize, Kind, String)>> {
        let text = prop_oneof!["[0-9]{12,19}", "\\+49 [0-9]{7,11}", "[0-9]{4}-[0-9]{4}-[0-9]{4}-[0-9]{4}", ".{0,80}"];
        let kind = prop::sample::select(vec![Kind::String, Kind::String, Kind::Number, Kind::Null, Kind::Boolean]);
        prop::collection::vec((0_usize..7, kind, text), 0..60)
    }

    proptest! {
        #[test]
        fn what_waits_becomes_what_it_would_have_at_once(values in values(), settle in 1_usize..40) {
            let treater = treater();
            let (mut at_once, mut waited) = (b"before".to_vec(), b"before".to_vec());
            let mut batch = Batch::default();
            for (number, (rule, kind, text)) in (1..).zip(&values) {
                let value = Value { kind: *kind, text: text.as_bytes() };
                let shape = treater.treat(*rule, value, &mut at_once);
                prop_assert_eq!(treater.defer(*rule, value, &mut waited, &mut batch), shape);
                prop_assert_eq!(waited.len(), at_once.len());
                if number % settle == 0 {
                    treater.settle(&mut batch, &mut waited);
                    prop_assert_eq!(&waited, &at_once);
                }
            }
            treater.settle(&mut batch, &mut waited);
            prop_assert_eq!(waited, at_once);
        }
    }

    #[test]
    fn what_waits_shows_nothing() {
        let (treater, mut batch, mut out) = (treater(), Batch::default(), Vec::new());
        for (rule, text) in [(1, "secret"), (2, "98765432"), (3, "9876-5432-1987-6543"), (4, "+49 98765432")] {
            let value = Value { kind: Kind::String, text: text.as_bytes() };
            treater.defer(rule, value, &mut out, &mut batch).unwrap();
        }
        let shown = String::from_utf8(out).unwrap();
        assert_eq!(shown, "h1ab_----------------------000000000000-0000-0000-0000+00 00000000");
        assert_eq!(format!("{batch:?}"), "Batch of 4 rules");
    }
}

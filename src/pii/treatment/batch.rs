//! Values that wait, within one call, for others of their kind: several are hashed or encrypted side by side in little
//! more time than one, because each alone waits for the cipher's latency.
//!
//! A waiting value's room stands in the output already, filled with what tells nothing; [`super::super::Treat::settle`]
//! fills it before the output leaves. Bounded, and wiped when it is dropped.

use zeroize::Zeroize;

use super::super::letters::encode_half;
use super::super::prf::{Block, block};
use super::super::rewriter::{Kind, Value};
use super::format::Hidden;
use super::{Action, HEAD_BYTES, Treater};

/// Values of one rule that wait at most.
pub(super) const LANES: usize = 8;
/// Longest text that waits for its digits to be encrypted, in bytes.
const TEXT_BYTES: usize = 64;
/// Rules whose values wait; those of more are treated one by one.
const GROUPS_MAX: usize = 4;

/// The waiting values of one stream: at most 3 KB.
#[derive(Default)]
pub struct Batch {
    hashes: Vec<Group<Block>>,
    formats: Vec<Group<Hidden>>,
}

/// The waiting values of one rule, in the form that their treatment takes.
struct Group<T: Zeroize> {
    rule: usize,
    count: usize,
    lanes: [Lane<T>; LANES],
}

/// One waiting value.
#[derive(Clone, Copy)]
pub(super) struct Lane<T> {
    /// Where its room in the output begins, and how long it is.
    at: usize,
    room: usize,
    pub(super) held: T,
}

impl Treater {
    /// Makes room for what a value becomes, and lets the value wait; `None`, with nothing changed, when it cannot.
    #[inline]
    pub(super) fn hold(&self, rule: usize, value: Value<'_>, out: &mut Vec<u8>, batch: &mut Batch) -> Option<()> {
        let (at, groups) = (out.len(), batch.hashes.len() + batch.formats.len());
        match (self.actions.get(rule)?, value.kind) {
            (Action::Hash { class, room }, Kind::String | Kind::Number) => {
                let block = block(value.text)?;
                let group = group(&mut batch.hashes, rule, groups)?;
                out.extend_from_slice(room);
                if group.hold(Lane { at, room: room.len(), held: block }) {
                    self.hash_all(*class, group.take(), out);
                }
            }
            (Action::EncryptFormat(cipher), Kind::String) if value.text.len() <= TEXT_BYTES => {
                let group = group(&mut batch.formats, rule, groups)?;
                let held = cipher.make_room(value.text, out)?;
                if group.hold(Lane { at, room: out.len() - at, held }) {
                    cipher.encrypt_all(group.take(), out);
                }
            }
            _ => return None,
        }
        Some(())
    }

    /// Puts what waits into its room.
    pub(super) fn settle_all(&self, batch: &mut Batch, out: &mut [u8]) {
        for group in &mut batch.hashes {
            if let Some(Action::Hash { class, .. }) = self.actions.get(group.rule) {
                self.hash_all(*class, group.take(), out);
            }
        }
        for group in &mut batch.formats {
            if let Some(Action::EncryptFormat(cipher)) = self.actions.get(group.rule) {
                cipher.encrypt_all(group.take(), out);
            }
        }
    }

    fn hash_all(&self, class: usize, lanes: &[Lane<Block>], out: &mut [u8]) {
        let prf = &self.class(class).hash;
        for pair in lanes.chunks(2) {
            let tags = prf.half_tags([&pair[0].held, &pair[pair.len() - 1].held]);
            for (lane, tag) in pair.iter().zip(tags) {
                if let Some(characters) = lane.room(out).get_mut(HEAD_BYTES..).and_then(<[u8]>::first_chunk_mut) {
                    *characters = encode_half(tag);
                }
            }
        }
    }
}

/// The group of a rule, unless there are too many.
#[inline]
fn group<T: Zeroize + Copy + Default>(groups: &mut Vec<Group<T>>, rule: usize, all: usize) -> Option<&mut Group<T>> {
    let place = match groups.iter().position(|group| group.rule == rule) {
        Some(place) => place,
        None if all < GROUPS_MAX => {
            // Room for this one alone: a list that grows as it likes makes room for four.
            groups.reserve_exact(1);
            groups.push(Group { rule, count: 0, lanes: [Lane { at: 0, room: 0, held: T::default() }; LANES] });
            groups.len() - 1
        }
        None => return None,
    };
    groups.get_mut(place)
}

impl<T: Zeroize + Copy> Group<T> {
    /// Takes a value whose room is given; whether the group is now full.
    #[inline]
    fn hold(&mut self, lane: Lane<T>) -> bool {
        self.lanes[self.count] = lane;
        self.count += 1;
        self.count == LANES
    }

    /// The waiting values, which wait no longer.
    #[inline]
    fn take(&mut self) -> &[Lane<T>] {
        let count = std::mem::take(&mut self.count);
        &self.lanes[..count]
    }
}

impl<T> Lane<T> {
    /// Its room in the output; empty if an engine has taken it back.
    #[inline]
    pub(super) fn room<'out>(&self, out: &'out mut [u8]) -> &'out mut [u8] {
        out.get_mut(self.at..self.at + self.room).unwrap_or_default()
    }
}

impl<T: Zeroize> Drop for Group<T> {
    fn drop(&mut self) {
        self.lanes.iter_mut().for_each(|lane| lane.held.zeroize());
    }
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Batch of {} rules", self.hashes.len() + self.formats.len())
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

//! The names in paths, and how the names in a document are compared with them.
//!
//! Readers differ on case: some compare member names without regard to it, and fold U+017F to `s` and U+212A to `k`.
//! So a listed name selects every spelling that such a reader would take for it. Most other names are ruled out by a
//! filter on their last three bytes, which costs one vector look-up. Never decides what is done with a value.

use crate::bounds::KEY_BYTES_MAX;

/// The number of a listed name, from 0.
pub(super) type NameId = u16;

/// The longest listed name. If one were longer, its spelling in `\u` escapes alone could exceed the bound on keys,
/// and would not be compared.
pub(super) const NAME_BYTES_MAX: usize = KEY_BYTES_MAX / 6;

/// The filter on the last three bytes of a name, in the form that vector look-ups need: tables by halves of bytes.
/// Each listed name has one of eight bits, so that bytes of different names match together only if the names share a
/// bit.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct NameEndings {
    /// The tables for the last byte, for the second last and for the third last.
    pub(super) bytes: [NibbleTable; 3],
}

/// For each low and each high half of a byte, the bits of the names that have it. `six` is the same for the low six
/// bits, for machines whose look-ups have 64 entries.
#[derive(Debug, Clone, Copy)]
pub(super) struct NibbleTable {
    pub(super) low: [u8; 16],
    pub(super) high: [u8; 16],
    pub(super) six: [u8; 64],
}

impl Default for NibbleTable {
    fn default() -> Self {
        Self { low: [0; 16], high: [0; 16], six: [0; 64] }
    }
}

impl NibbleTable {
    fn set(&mut self, byte: u8, bit: u8) {
        for byte in [byte.to_ascii_lowercase(), byte.to_ascii_uppercase()] {
            self.low[usize::from(byte & 15)] |= bit;
            self.high[usize::from(byte >> 4)] |= bit;
            self.six[usize::from(byte & 63)] |= bit;
        }
    }

    fn set_all(&mut self, bit: u8) {
        (0..=u8::MAX).for_each(|byte| self.set(byte, bit));
    }
}

/// All listed names, folded.
#[derive(Clone)]
pub(super) struct Names {
    names: Vec<(NameEnds, Box<[u8]>)>,
    /// A hash table with open addressing, at most half full; `NameId::MAX` is a free slot.
    slots: Box<[NameId]>,
    endings: NameEndings,
}

/// The length of a name, and its first and last eight bytes in lower case. For a name of at most 16 bytes that is all
/// of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct NameEnds {
    length: usize,
    first: u64,
    last: u64,
}

impl NameEnds {
    #[inline]
    fn of(name: &[u8]) -> Self {
        let four = |bytes: &[u8; 4]| u64::from(u32::from_le_bytes(*bytes));
        let (first, last) = match (name.first_chunk(), name.last_chunk(), name) {
            (Some(first), Some(last), _) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
            (_, _, [a, b, c, ..]) => match (name.first_chunk(), name.last_chunk()) {
                (Some(first), Some(last)) => (four(first), four(last)),
                _ => (u64::from_le_bytes([*a, *b, *c, 0, 0, 0, 0, 0]), 0),
            },
            (_, _, [a, b]) => (u64::from_le_bytes([*a, *b, 0, 0, 0, 0, 0, 0]), 0),
            (_, _, [a]) => (u64::from(*a), 0),
            _ => (0, 0),
        };
        Self { length: name.len(), first: lower(first), last: lower(last) }
    }

    /// Only the operator's names are in the table, so a sender cannot choose names that collide.
    #[inline]
    fn hash(self) -> usize {
        let word = self.first ^ self.last.rotate_left(24) ^ self.length as u64;
        (word.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as usize
    }
}

impl Names {
    /// A table of these names; names that are equal once folded become one.
    pub(super) fn new<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let mut folded: Vec<Box<[u8]>> = names.map(|name| fold(name.as_bytes()).collect()).collect();
        folded.sort_unstable();
        folded.dedup();
        let slots = vec![NameId::MAX; (folded.len() * 2).next_power_of_two().max(2)].into();
        let names = folded.into_iter().map(|name| (NameEnds::of(&name), name)).collect();
        let mut table = Self { names, slots, endings: NameEndings::default() };
        for id in 0..table.names.len() {
            table.insert(id);
        }
        table
    }

    /// The filter on the last three bytes.
    #[inline]
    pub(super) fn endings(&self) -> &NameEndings {
        &self.endings
    }

    /// How many different names there are.
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    /// The number of a decoded name.
    #[inline]
    pub(super) fn find(&self, name: &[u8]) -> Option<NameId> {
        let ends = NameEnds::of(name);
        let mask = self.slots.len() - 1;
        let mut at = ends.hash() & mask;
        while let Some((listed, folded)) = self.names.get(usize::from(self.slots[at])) {
            if *listed == ends && (name.len() <= 16 || name.eq_ignore_ascii_case(folded)) {
                return Some(self.slots[at]);
            }
            at = (at + 1) & mask;
        }
        if name.is_ascii() { None } else { self.find_folded(name) }
    }

    /// The number of a name that has a character which folds to an ASCII letter.
    #[cold]
    fn find_folded(&self, name: &[u8]) -> Option<NameId> {
        let same = |(_, listed): &(NameEnds, Box<[u8]>)| fold(name).eq(listed.iter().copied());
        self.names.iter().position(same).and_then(|id| NameId::try_from(id).ok())
    }

    fn insert(&mut self, id: usize) {
        let (ends, name) = &self.names[id];
        let mask = self.slots.len() - 1;
        let mut at = ends.hash() & mask;
        while self.slots[at] != NameId::MAX {
            at = (at + 1) & mask;
        }
        self.slots[at] = NameId::try_from(id).unwrap_or(NameId::MAX);
        let (bit, endings) = (1 << (id % 8), &mut self.endings.bytes);
        match **name {
            [.., a, b, c] => [c, b, a].into_iter().zip(endings).for_each(|(byte, halves)| halves.set(byte, bit)),
            [a, b] => [b, a, b'"'].into_iter().zip(endings).for_each(|(byte, halves)| halves.set(byte, bit)),
            [a] => {
                endings[0].set(a, bit);
                endings[1].set(b'"', bit);
                endings[2].set_all(bit);
            }
            [] => {
                endings[0].set(b'"', bit);
                endings[1].set_all(bit);
                endings[2].set_all(bit);
            }
        }
    }
}

/// The bytes of a name as they are compared: ASCII letters lower, U+017F as `s`, U+212A as `k`.
fn fold(name: &[u8]) -> impl Iterator<Item = u8> + '_ {
    let mut rest = name;
    std::iter::from_fn(move || {
        let (byte, after) = match rest {
            [] => return None,
            [0xC5, 0xBF, after @ ..] => (b's', after),
            [0xE2, 0x84, 0xAA, after @ ..] => (b'k', after),
            [byte, after @ ..] => (byte.to_ascii_lowercase(), after),
        };
        rest = after;
        Some(byte)
    })
}

/// Eight bytes, with the ASCII letters among them in lower case.
#[inline]
const fn lower(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    let low = word & (ONES * 0x7F);
    let (from_a, behind_z) = (low + ONES * (0x80 - 0x41), low + ONES * (0x80 - 0x5B));
    let capital = (from_a ^ behind_z) & !word & (ONES * 0x80);
    word | capital >> 2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Names {
        Names::new(["Email", "e-mail", "id", "x", "größe", "tokens", "E-MAIL"].into_iter())
    }

    #[test]
    fn a_name_is_found_in_every_spelling() {
        let names = table();
        assert_eq!(names.len(), 6);
        for group in [
            &["email", "EMAIL", "eMaIl"][..],
            &["id", "ID"],
            &["x", "X"],
            &["größe", "GRößE"],
            &["tokens", "to\u{212A}en\u{17F}"],
        ] {
            let ids: Vec<_> = group.iter().map(|name| names.find(name.as_bytes())).collect();
            assert!(ids[0].is_some() && ids.iter().all(|id| *id == ids[0]), "{group:?}: {ids:?}");
        }
    }

    #[test]
    fn only_ascii_letters_change_to_lower_case() {
        for byte in 0..=u8::MAX {
            let word = u64::from_le_bytes([byte, b'A', byte, b'z', 0x80, byte, b'Z', byte]);
            let small = word.to_le_bytes().map(|byte| byte.to_ascii_lowercase());
            assert_eq!(lower(word).to_le_bytes(), small, "{byte:#x}");
        }
    }

    #[test]
    fn names_of_every_length_are_distinguished() {
        let long = "abcdefghijklmnopqrstuvwxyz";
        let listed: Vec<&str> = (0..=long.len()).map(|length| &long[..length]).collect();
        let names = Names::new(listed.iter().copied());
        for name in listed {
            assert!(names.find(name.as_bytes()).is_some() && names.find(name.to_uppercase().as_bytes()).is_some());
            for at in 0..name.len() {
                let mut other = name.as_bytes().to_vec();
                other[at] = b'-';
                assert_eq!(names.find(&other), None, "{name} but for place {at}");
            }
        }
    }

    #[test]
    fn other_names_are_not_found() {
        for name in ["", "mail", "emai", "emails", "Größe ", "GRÖßE", "y", "i", "e_mail", "to\u{e3}kens"] {
            assert_eq!(table().find(name.as_bytes()), None, "{name}");
        }
        assert_eq!(Names::new([""].into_iter()).find(b""), Some(0));
    }

    /// What the vector look-ups do, one byte at a time.
    fn may_be_key(names: &Names, text: &[u8]) -> bool {
        let look = |(byte, halves): (&u8, &NibbleTable)| {
            halves.low[usize::from(byte & 15)] & halves.high[usize::from(byte >> 4)]
        };
        text.iter().rev().zip(&names.endings().bytes).map(look).fold(u8::MAX, |all, bits| all & bits) != 0
    }

    #[test]
    fn the_filter_matches_short_names_with_the_quote_before_them() {
        let names = table();
        for text in [&b"{\"iD"[..], b",\"x", b"\n\"X", b"E-MAIL", b"\"email"] {
            assert!(may_be_key(&names, text), "{text:?}");
        }
        for text in [&b"zzz"[..], b"\"xx", b"\"\"", b"aid"] {
            assert!(!may_be_key(&names, text), "{text:?}");
        }
        assert!(may_be_key(&Names::new([""].into_iter()), b", \""));
    }
}

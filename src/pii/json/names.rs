//! Member names: folded, and found again.
//!
//! Readers differ on case: some match member names without it, and fold U+017F to `s` and U+212A to `k`. So a
//! listed name selects every spelling that such a reader would take for it. A name that is not listed costs one look
//! at a filter of name endings. Never decides what happens to a value.

use crate::bounds::KEY_BYTES_MAX;

/// The number of a listed name, from 0.
pub(super) type NameId = u16;

/// Longest listed name: one more byte, and a spelling of nothing but `\u` escapes could pass the bound on keys.
pub(super) const NAME_BYTES_MAX: usize = KEY_BYTES_MAX / 6;

/// The last two bytes of all names, as the halves of bytes that vector look-ups take. Each name has one of eight
/// bits, so that no name's last byte goes with another's last but one, unless they share a bit.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Endings {
    pub(super) last: Halves,
    pub(super) before: Halves,
}

/// For each low and each high half of a byte, the bits of names that have it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Halves {
    pub(super) low: [u8; 16],
    pub(super) high: [u8; 16],
}

impl Halves {
    fn set(&mut self, byte: u8, bit: u8) {
        for byte in [byte.to_ascii_lowercase(), byte.to_ascii_uppercase()] {
            self.low[usize::from(byte & 15)] |= bit;
            self.high[usize::from(byte >> 4)] |= bit;
        }
    }

    fn set_all(&mut self, bit: u8) {
        (0..=u8::MAX).for_each(|byte| self.set(byte, bit));
    }
}

const FILTER_BITS: u32 = 12;

/// All listed names, folded.
#[derive(Clone)]
pub(super) struct Names {
    names: Vec<Box<[u8]>>,
    /// Open addressing by hash; `NameId::MAX` is free. At most half full.
    slots: Box<[NameId]>,
    /// One bit for each hash of a name's last three bytes.
    filter: Box<[u64; 1 << (FILTER_BITS - 6)]>,
    endings: Endings,
}

impl Names {
    /// Gathers names; equal ones, once folded, become one.
    pub(super) fn new<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let mut folded: Vec<Box<[u8]>> = names.map(|name| fold(name.as_bytes()).collect()).collect();
        folded.sort_unstable();
        folded.dedup();
        let slots = vec![NameId::MAX; (folded.len() * 2).next_power_of_two().max(2)].into();
        let mut table =
            Self { names: folded, slots, filter: Box::new([0; 1 << (FILTER_BITS - 6)]), endings: Endings::default() };
        for id in 0..table.names.len() {
            table.insert(id);
        }
        table
    }

    /// The first, coarse filter.
    #[inline]
    pub(super) fn endings(&self) -> &Endings {
        &self.endings
    }

    /// How many different names there are.
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    /// The number of a decoded name.
    pub(super) fn find(&self, name: &[u8]) -> Option<NameId> {
        if let [.., a, b, c] = name
            && !self.may_end_with([*a, *b, *c])
        {
            return None;
        }
        let mask = self.slots.len() - 1;
        let mut at = hash(fold(name)) as usize & mask;
        while let Some(listed) = self.names.get(usize::from(self.slots[at])) {
            if fold(name).eq(listed.iter().copied()) {
                return Some(self.slots[at]);
            }
            at = (at + 1) & mask;
        }
        None
    }

    /// Whether a listed name may end with these bytes; the opening quote counts as one. Never wrongly says no.
    #[inline]
    pub(super) fn may_end_with(&self, ending: [u8; 3]) -> bool {
        let bit = ending_bit(ending);
        ((ending[0] | ending[1] | ending[2]) >= 0x80) | (self.filter[bit >> 6] >> (bit & 63) & 1 == 1)
    }

    fn insert(&mut self, id: usize) {
        let mask = self.slots.len() - 1;
        let mut at = hash(self.names[id].iter().copied()) as usize & mask;
        while self.slots[at] != NameId::MAX {
            at = (at + 1) & mask;
        }
        self.slots[at] = NameId::try_from(id).unwrap_or(NameId::MAX);
        let (bit, endings) = (1 << (id % 8), &mut self.endings);
        match *self.names[id] {
            [.., a, b] => {
                endings.before.set(a, bit);
                endings.last.set(b, bit);
            }
            [a] => {
                endings.before.set(b'"', bit);
                endings.last.set(a, bit);
            }
            [] => {
                endings.before.set_all(bit);
                endings.last.set(b'"', bit);
            }
        }
        match *self.names[id] {
            [.., a, b, c] => self.set([a, b, c]),
            [a, b] => self.set([b'"', a, b]),
            [a] => (0..=u8::MAX).for_each(|before| self.set([before, b'"', a])),
            [] => self.filter.fill(u64::MAX),
        }
    }

    fn set(&mut self, ending: [u8; 3]) {
        let bit = ending_bit(ending);
        self.filter[bit >> 6] |= 1 << (bit & 63);
    }
}

/// Blind to the case of letters, as the bit that tells them apart is set in all.
#[inline]
fn ending_bit([a, b, c]: [u8; 3]) -> usize {
    let word = u32::from_le_bytes([a, b, c, 0]) | 0x0020_2020;
    (word.wrapping_mul(0x9E37_79B1) >> (32 - FILTER_BITS)) as usize
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

/// FNV-1a: names come from the operator, so nobody can choose them to collide.
fn hash(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xCBF2_9CE4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01B3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Names {
        Names::new(["Email", "e-mail", "id", "x", "größe", "tokens", "E-MAIL"].into_iter())
    }

    #[test]
    fn every_spelling_is_found() {
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
    fn other_names_are_not_found() {
        for name in ["", "mail", "emai", "emails", "Größe ", "GRÖßE", "y", "i", "e_mail", "to\u{e3}kens"] {
            assert_eq!(table().find(name.as_bytes()), None, "{name}");
        }
        assert_eq!(Names::new([""].into_iter()).find(b""), Some(0));
    }

    #[test]
    fn the_filter_sees_short_names_behind_their_quote() {
        let names = table();
        assert!(names.may_end_with(*b"\"iD") && names.may_end_with(*b",\"x") && names.may_end_with(*b"AIL"));
        assert!(!names.may_end_with(*b"zzz"));
    }
}

//! Sets of request methods, small enough to copy.
//!
//! `GET` includes `HEAD` (RFC 9110 section 9.3.2: the same resource without its content). `CONNECT` and `TRACE` are in
//! no set, not even in `*`: the first opens tunnels, the second echoes credentials.

use std::fmt;

use http::Method;

/// The methods that a set can name. All other methods are only in `*`.
const NAMED: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
/// The slot of all methods that a set cannot name.
const OTHER: usize = NAMED.len();
const GET: usize = 0;
const HEAD: usize = 1;

/// A set of request methods; never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MethodSet(u8);

impl MethodSet {
    /// `*`: every method but `CONNECT` and `TRACE`.
    pub const ANY: Self = Self(u8::MAX);
    /// The number of slots: see [`MethodSet::slot`].
    pub(super) const SLOTS: usize = OTHER + 1;

    /// Parses `*`, a method, or several methods separated by `|`. `None` for an unknown or repeated method.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::ANY);
        }
        let mut set = 0u8;
        for word in text.split('|') {
            let bit = 1 << NAMED.iter().position(|name| *name == word)?;
            if set & bit != 0 {
                return None;
            }
            set |= bit;
        }
        Some(Self(if set & (1 << GET) != 0 { set | (1 << HEAD) } else { set }))
    }

    /// Whether the method is in the set.
    #[cfg(test)]
    pub(super) fn contains(self, method: &Method) -> bool {
        Self::slot(method).is_some_and(|slot| self.has(slot))
    }

    /// Whether both sets share a method.
    pub(super) const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether every method of this set is in the other.
    pub(super) const fn within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// The number of methods, where all that cannot be named count as one.
    pub(super) const fn size(self) -> u32 {
        self.0.count_ones()
    }

    /// The sets of one method each that make up this one, where all that cannot be named count as one.
    pub(super) fn singles(self) -> impl Iterator<Item = Self> {
        (0..Self::SLOTS).filter(move |slot| self.has(*slot)).map(|slot| Self(1 << slot))
    }

    /// The slot of a method in a table, below [`MethodSet::SLOTS`]; `None` for `CONNECT` and `TRACE`.
    pub(super) fn slot(method: &Method) -> Option<usize> {
        match *method {
            Method::GET => Some(GET),
            Method::HEAD => Some(HEAD),
            Method::CONNECT | Method::TRACE => None,
            ref other => Some(NAMED.iter().position(|name| *name == other.as_str()).unwrap_or(OTHER)),
        }
    }

    pub(super) const fn has(self, slot: usize) -> bool {
        self.0 & (1 << slot) != 0
    }
}

/// Prints the set as a contract has it: `HEAD` is left out where `GET` includes it.
impl fmt::Display for MethodSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::ANY {
            return f.write_str("*");
        }
        let implied = |slot: usize| slot == HEAD && self.has(GET);
        let shown = (0..OTHER).filter(|slot| self.has(*slot) && !implied(*slot));
        for (i, slot) in shown.enumerate() {
            write!(f, "{}{}", if i > 0 { "|" } else { "" }, NAMED[slot])?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_set_prints_as_it_was_parsed() {
        for text in ["*", "GET", "HEAD", "POST", "GET|POST", "PUT|PATCH|DELETE", "OPTIONS"] {
            assert_eq!(MethodSet::parse(text).expect(text).to_string(), text);
        }
        assert_eq!(MethodSet::parse("GET|HEAD"), MethodSet::parse("GET"));
        for bad in ["", "get", "GET|", "|GET", "GET|GET", "CONNECT", "TRACE", "*|GET", "GET,POST", "GET POST", "FOO"] {
            assert_eq!(MethodSet::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn get_includes_head_and_no_set_includes_connect_or_trace() {
        let get = MethodSet::parse("GET").expect("set");
        assert!(get.contains(&Method::HEAD) && !get.contains(&Method::POST));
        assert!(!MethodSet::parse("HEAD").expect("set").contains(&Method::GET));
        let purge = Method::from_bytes(b"PURGE").expect("method");
        assert!(MethodSet::ANY.contains(&purge) && !get.contains(&purge));
        assert!(!MethodSet::ANY.contains(&Method::CONNECT) && !MethodSet::ANY.contains(&Method::TRACE));
    }
}

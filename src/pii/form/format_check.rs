//! Checks that a body declared as a form is one. Any text can be split at `&` and `=`, so the grammar of forms alone
//! refuses none.
//!
//! JSON, XML, a table or a text may come under this content type, since `curl -d` declares it for every body. Such a
//! body would have no names that a rule selects, and would pass. A form as serializers write it (WHATWG URL, section
//! 5.2) has none of the following bytes unencoded, and one that is written by hand has few. So these are refused: a
//! first pair without `=`; in a name, a byte that other formats begin with; in a value, a line end or another control
//! character, and a space that is followed by a `=`. Never checks a URL's query, which has no other format.

use crate::pii::{RewriteError, RewriteResult};

/// Checks a name; `paired` is false for the first name of a body when no `=` follows it.
pub(super) fn check_name(raw: &[u8], name: &str, paired: bool, at: u64) -> RewriteResult {
    let foreign = |c: char| c.is_control() || matches!(c, '"' | '<' | '>' | '{' | '}' | '\\' | '\u{feff}');
    let by_hand = |b: &u8| matches!(b, b' ' | b',' | b'`');
    if name.contains(foreign) || name.starts_with('[') || raw.iter().any(by_hand) {
        return Err(RewriteError::Malformed {
            what: "a name that no form has: the body is of another format than it says,",
            at,
        });
    }
    if paired { Ok(()) } else { Err(RewriteError::Malformed { what: "a form that begins without name and '=',", at }) }
}

/// Checks a value that is held.
pub(super) fn check_value(raw: &[u8], at: u64) -> RewriteResult {
    let mut likeness = RawValueCheck::default();
    (at..).zip(raw).try_for_each(|(at, &byte)| likeness.push(byte, at))
}

/// Checks the bytes of a value one by one.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct RawValueCheck {
    spaced: bool,
}

impl RawValueCheck {
    pub(super) const fn push(&mut self, byte: u8, at: u64) -> RewriteResult {
        match byte {
            b' ' => self.spaced = true,
            b'=' if self.spaced => {
                return Err(RewriteError::Malformed {
                    what: "a space and a '=' in one value, which no form has raw,",
                    at,
                });
            }
            1..b' ' | 0x7f => {
                return Err(RewriteError::Malformed {
                    what: "a line end or control character, which no form has raw,",
                    at,
                });
            }
            _ => {}
        }
        Ok(())
    }
}

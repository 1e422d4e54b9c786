//! Whether a body that says it is a form is one: any text can be split at `&` and `=`, so the grammar alone cannot fail.
//!
//! JSON, XML, a table or a text under this content type, which `curl -d` gives to whatever it sends, would have no names
//! that a rule selects. A form as serializers write it (WHATWG URL, section 5.2) has neither of these raw; a form that people
//! write by hand has little more. Refused are: a first pair without `=`; in a name, what opens other formats; in a value, a
//! line end or another control character, and a space with a `=` behind it. Never judges a URL's query, which has no other format.

use crate::pii::RewriteError;

/// What a name tells; `paired` is false for a first one without `=`.
pub(super) fn check_name(raw: &[u8], name: &str, paired: bool, at: u64) -> Result<(), RewriteError> {
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

/// What a value that is held tells.
pub(super) fn check_value(raw: &[u8], at: u64) -> Result<(), RewriteError> {
    let mut likeness = RawValueCheck::default();
    (at..).zip(raw).try_for_each(|(at, &byte)| likeness.push(byte, at))
}

/// What the bytes of a value tell, as they come.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct RawValueCheck {
    spaced: bool,
}

impl RawValueCheck {
    pub(super) const fn push(&mut self, byte: u8, at: u64) -> Result<(), RewriteError> {
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

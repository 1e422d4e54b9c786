//! The tokens of a GraphQL document (GraphQL October 2021, section 2.1).
//!
//! Strict: a character that no token begins with, and a string that does not end, are errors. So is a CR without LF,
//! since only some readers take it for the end of a comment. Strings are not decoded, because no field is named in
//! one.

use super::QueryFault;

/// The kinds of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GraphqlTokenKind {
    /// One of `! $ & ( ) : = @ [ ] { | }`.
    Sign(u8),
    /// The three dots of a fragment, `...`.
    Spread,
    Name,
    Number,
    /// A string or a block string.
    Text,
    End,
}

/// A token of the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct GraphqlToken<'a> {
    pub(super) kind: GraphqlTokenKind,
    pub(super) text: &'a str,
    /// Offset in the document.
    pub(super) at: usize,
}

/// Reads one token after the other.
#[derive(Debug)]
pub(super) struct GraphqlLexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> GraphqlLexer<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    pub(super) fn next(&mut self) -> Result<GraphqlToken<'a>, QueryFault> {
        self.skip()?;
        let start = self.at;
        let bytes = self.rest();
        let (kind, length) = match bytes {
            [] => (GraphqlTokenKind::End, 0),
            [b'.', b'.', b'.', ..] => (GraphqlTokenKind::Spread, 3),
            [b'"', b'"', b'"', rest @ ..] => (GraphqlTokenKind::Text, 3 + self.block(rest)?),
            [b'"', rest @ ..] => (GraphqlTokenKind::Text, 1 + self.string(rest)?),
            [b'-' | b'0'..=b'9', ..] => (GraphqlTokenKind::Number, self.number(bytes)?),
            [first, ..] if is_name_start(*first) => {
                (GraphqlTokenKind::Name, bytes.iter().take_while(|b| is_name_start(**b) || b.is_ascii_digit()).count())
            }
            [sign, ..] if b"!$&():=@[]{|}".contains(sign) => (GraphqlTokenKind::Sign(*sign), 1),
            [_, ..] => return Err(self.fault("has a character that no GraphQL has there")),
        };
        self.at += length;
        Ok(GraphqlToken { kind, text: &self.text[start..self.at], at: start })
    }

    fn rest(&self) -> &'a [u8] {
        &self.text.as_bytes()[self.at..]
    }

    /// Skips what is no token: blanks, line ends, commas, byte order marks and comments.
    fn skip(&mut self) -> Result<(), QueryFault> {
        loop {
            match self.rest() {
                [b' ' | b'\t' | b'\n' | b',', ..] => self.at += 1,
                [b'\r', b'\n', ..] => self.at += 2,
                [0xef, 0xbb, 0xbf, ..] => self.at += 3,
                [b'#', rest @ ..] => {
                    let line = &rest[..memchr::memchr(b'\n', rest).unwrap_or(rest.len())];
                    let line = line.strip_suffix(b"\r").filter(|_| line.len() < rest.len()).unwrap_or(line);
                    if line.iter().any(|b| *b < b' ' && *b != b'\t') {
                        return Err(self.fault("has a control character in a comment"));
                    }
                    self.at += 1 + line.len();
                }
                _ => return Ok(()),
            }
        }
    }

    /// The length of a string, without its first quote.
    fn string(&self, rest: &[u8]) -> Result<usize, QueryFault> {
        let mut at = 0;
        loop {
            match rest.get(at..).unwrap_or_default() {
                [b'"', ..] => return Ok(at + 1),
                [b'\\', b'u', ..] => at += 2,
                [b'\\', escaped, ..] if b"\"\\/bfnrt".contains(escaped) => at += 2,
                [] | [b'\\' | b'\r' | b'\n', ..] => return Err(self.fault("has a string that does not end")),
                [_, ..] => at += 1,
            }
        }
    }

    /// The length of a block string, without its first three quotes.
    fn block(&self, rest: &[u8]) -> Result<usize, QueryFault> {
        let mut at = 0;
        loop {
            match rest.get(at..).unwrap_or_default() {
                [b'"', b'"', b'"', ..] => return Ok(at + 3),
                [b'\\', b'"', b'"', b'"', ..] => at += 4,
                [] => return Err(self.fault("has a string that does not end")),
                [_, ..] => at += 1,
            }
        }
    }

    fn number(&self, bytes: &[u8]) -> Result<usize, QueryFault> {
        let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
        let digits =
            |from: usize| from + bytes[from.min(bytes.len())..].iter().take_while(|b| b.is_ascii_digit()).count();
        let mut end = digits(usize::from(bytes[0] == b'-'));
        if bytes.get(end) == Some(&b'.') && digit(end + 1) {
            end = digits(end + 1);
        }
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            end = digits(end + 1 + usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-'))));
        }
        let goes_on = bytes.get(end).is_some_and(|b| is_name_start(*b) || *b == b'.');
        if digit(end - 1) && !goes_on { Ok(end) } else { Err(self.fault("has a malformed number")) }
    }

    pub(super) const fn fault(&self, what: &'static str) -> QueryFault {
        QueryFault { what, at: self.at }
    }
}

const fn is_name_start(b: u8) -> bool {
    b.is_ascii_alphabetic() || b == b'_'
}

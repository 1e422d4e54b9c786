//! The shape of every body engine: bytes are pushed in, what may leave comes out.
//!
//! Any split of the input gives the same output. An engine knows no I/O, no async and no clock, and
//! whatever it has put into `out` may leave, also when it then stops.

use super::treatment::{Batch, Pieces};

/// A streaming treatment of one body.
pub trait Rewriter: Send {
    /// Takes the next bytes, appends to `out` what may leave.
    ///
    /// # Errors
    /// [`Stop`] ends the body: the bytes already in `out` may leave, nothing after them, and the exchange must
    /// look aborted. No further call may follow.
    fn feed(&mut self, input: &[u8], watch: &mut dyn Watch, out: &mut Vec<u8>) -> Result<(), Stop>;

    /// Takes the end of the body, appends the rest.
    ///
    /// # Errors
    /// [`Stop`] when the body is not complete.
    fn finish(&mut self, watch: &mut dyn Watch, out: &mut Vec<u8>) -> Result<(), Stop>;
}

impl<R: Rewriter + ?Sized> Rewriter for Box<R> {
    fn feed(&mut self, input: &[u8], watch: &mut dyn Watch, out: &mut Vec<u8>) -> Result<(), Stop> {
        (**self).feed(input, watch, out)
    }

    fn finish(&mut self, watch: &mut dyn Watch, out: &mut Vec<u8>) -> Result<(), Stop> {
        (**self).finish(watch, out)
    }
}

/// Told what passes, while it passes.
pub trait Watch {
    /// A record is about to leave; an error keeps its first byte and all that follow from leaving.
    ///
    /// # Errors
    /// [`Cut`] when the budget is spent.
    fn record(&mut self) -> Result<(), Cut>;

    /// The value that a rule selected has been treated; `rule` is its place in [`super::Rules::treat`].
    fn treated(&mut self, rule: usize);

    /// A detector has found something in a text that no rule selects.
    fn found(&mut self, _sort: super::Sort) {}

    /// The body is not of the shape that the path of the records describes; told once a document. By default that ends it.
    ///
    /// # Errors
    /// `why` when such a body may not pass; [`Stop::Cut`] when it passes as a record and there is no room for one.
    fn misshapen(&mut self, why: Stop) -> Result<(), Stop> {
        Err(why)
    }

    /// The decoded, raw text of the field that identifies a record's subject. To be hashed with a key at once, never kept.
    fn subject(&mut self, value: &[u8]);

    /// Whether it wants to hear what leaves in clear: asked at any time, and the same answer for a whole body.
    fn asks_clear(&self) -> bool {
        false
    }

    /// A value that nothing has treated leaves, from this place: see [`super::ClearPaths`]. Told only where it was asked for.
    fn clear(&mut self, _path: &str) {}
}

/// The budget is spent: the next record must not leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut;

/// Why an engine will not go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stop {
    /// The body is not what it claims to be.
    #[error("{what} at byte {at}")]
    Malformed {
        /// What is wrong: a constant text, never a piece of the body.
        what: &'static str,
        /// Offset from the start of the body.
        at: u64,
    },
    /// The body is read, and is not what the path of the records describes.
    #[error("{what} at byte {at}: not the shape that the contract describes")]
    Shape {
        /// What is there: a constant text.
        what: &'static str,
        /// Offset from the start of the body.
        at: u64,
    },
    /// A bound on depth, key, value or ratio was reached.
    #[error("{bound} exceeds its bound of {limit}")]
    Bound {
        /// Which bound.
        bound: &'static str,
        /// Its value.
        limit: u64,
    },
    /// The body cannot be inspected: its type, charset or coding is not one that the engines read.
    #[error("{what} cannot be inspected")]
    Opaque {
        /// What cannot be read: a constant text.
        what: &'static str,
    },
    /// A table lacks a column that a rule names, so that the rule would select nothing in it.
    #[error(
        "a table without the column '{name}', which a rule or subject names: give the table's columns, or make the rule optional"
    )]
    Column {
        /// The column's name, as the contract has it.
        name: Box<str>,
    },
    /// A GraphQL query that goes around the rules of its answer, or cannot be judged.
    #[error("a GraphQL query {what} (at byte {at} of it)")]
    Query {
        /// What is wrong: a constant text, never a piece of the query.
        what: &'static str,
        /// Offset in the query.
        at: u64,
    },
    /// A treatment could not be applied to the value.
    #[error("a value cannot be treated: {what}")]
    Untreatable {
        /// Why not: a constant text.
        what: &'static str,
    },
    /// The record budget is spent.
    #[error("the record budget is spent")]
    Cut,
}

impl From<Cut> for Stop {
    fn from(_: Cut) -> Self {
        Self::Cut
    }
}

/// What applies treatments to the values that an engine has selected and decoded.
pub trait Treat: Send + Sync {
    /// Whether the rule leaves its member out, so that the engine can leave out the key and comma too.
    fn drops(&self, rule: usize) -> bool;

    /// Appends to `out` the text that takes the value's place: unquoted and unescaped, which is the engine's business.
    ///
    /// # Errors
    /// [`Stop::Untreatable`]; the raw value must then not leave.
    fn treat(&self, rule: usize, value: Value<'_>, out: &mut Vec<u8>) -> Result<Shape, Stop>;

    /// Where a rule keeps nothing of a value: its treatment of one that comes piece by piece, with the same result as
    /// [`Treat::treat`] of the whole. `None` where the value must be at hand whole, and so is bounded.
    fn pieces(&self, _rule: usize) -> Option<Pieces> {
        None
    }

    /// Appends the rest of what a value in pieces becomes.
    fn finish(&self, _rule: usize, _pieces: Pieces, _out: &mut Vec<u8>) {}

    /// Whether the rule may be given a text that is not UTF-8, as half of a surrogate pair is not.
    fn takes_any_bytes(&self, _rule: usize) -> bool {
        false
    }

    /// As [`Treat::treat`], but the bytes may be other ones until [`Treat::settle`]: as many, and none that an engine must escape. An
    /// engine that calls this must settle before it returns, also when it then stops, and must not move what is in `out`.
    ///
    /// # Errors
    /// As [`Treat::treat`].
    fn defer(&self, rule: usize, value: Value<'_>, out: &mut Vec<u8>, _batch: &mut Batch) -> Result<Shape, Stop> {
        self.treat(rule, value, out)
    }

    /// Puts into `out` what [`Treat::defer`] has left to be done.
    fn settle(&self, _batch: &mut Batch, _out: &mut [u8]) {}
}

/// A selected value. Has no useful `Debug`: its text is what must not be printed.
#[derive(Clone, Copy)]
pub struct Value<'a> {
    /// What it is in its document.
    pub kind: Kind,
    /// The decoded text of a string; the lexeme of a number, boolean or null; empty for a container.
    pub text: &'a [u8],
}

impl std::fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} of {} bytes", self.kind, self.text.len())
    }
}

/// What a value is in its document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text, quoted where the format quotes.
    String,
    /// A number's lexeme.
    Number,
    /// `true` or `false`.
    Boolean,
    /// `null`: passes as it is unless its rule drops it.
    Null,
    /// An object or array: redacted whole by every value treatment.
    Container,
}

/// How the engine writes what a treatment produced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// As a string, quoted and escaped.
    Text,
    /// As a bare literal: a number or `null`.
    Literal,
    /// As it came, byte for byte: nothing has been appended.
    AsItCame {
        /// Whether the value counts as treated all the same.
        counted: bool,
    },
}

//! The shape of every body engine: bytes are pushed in, what may leave comes out.
//!
//! Any split of the input gives the same output. An engine knows no I/O, no async and no clock, and
//! whatever it has put into `out` may leave, also when it then stops.

use super::treatment::{DeferredBatch, PieceTransform};

/// A streaming treatment of one body.
pub trait Rewriter: Send {
    /// Takes the next bytes, appends to `out` what may leave.
    ///
    /// # Errors
    /// [`RewriteError`] ends the body: the bytes already in `out` may leave, nothing after them, and the exchange must
    /// look aborted. No further call may follow.
    fn feed(&mut self, input: &[u8], observer: &mut dyn RewriteObserver, out: &mut Vec<u8>)
    -> Result<(), RewriteError>;

    /// Takes the end of the body, appends the rest.
    ///
    /// # Errors
    /// [`RewriteError`] when the body is not complete.
    fn finish(&mut self, observer: &mut dyn RewriteObserver, out: &mut Vec<u8>) -> Result<(), RewriteError>;
}

impl<R: Rewriter + ?Sized> Rewriter for Box<R> {
    fn feed(
        &mut self,
        input: &[u8],
        observer: &mut dyn RewriteObserver,
        out: &mut Vec<u8>,
    ) -> Result<(), RewriteError> {
        (**self).feed(input, observer, out)
    }

    fn finish(&mut self, observer: &mut dyn RewriteObserver, out: &mut Vec<u8>) -> Result<(), RewriteError> {
        (**self).finish(observer, out)
    }
}

/// Told what passes, while it passes.
pub trait RewriteObserver {
    /// A record is about to leave; an error keeps its first byte and all that follow from leaving.
    ///
    /// # Errors
    /// [`RecordBudgetSpent`] when the budget is spent.
    fn on_record(&mut self) -> Result<(), RecordBudgetSpent>;

    /// The value that a rule selected has been treated; `rule` is its place in [`super::Rules::treat`].
    fn on_treated(&mut self, rule: usize);

    /// A detector has found something in a text that no rule selects.
    fn on_found(&mut self, _sort: super::PiiKind) {}

    /// The body is not of the shape that the path of the records describes; told once a document. By default that ends it.
    ///
    /// # Errors
    /// `why` when such a body may not pass; [`RewriteError::RecordBudgetSpent`] when it passes as a record and there is no room for one.
    fn on_unexpected_shape(&mut self, why: RewriteError) -> Result<(), RewriteError> {
        Err(why)
    }

    /// The decoded, raw text of the field that identifies a record's subject. To be hashed with a key at once, never kept.
    fn on_subject(&mut self, value: &[u8]);

    /// Whether it wants to hear what leaves in clear: asked at any time, and the same answer for a whole body.
    fn wants_clear_paths(&self) -> bool {
        false
    }

    /// A value that nothing has treated leaves, from this place: see [`super::ClearPathCounts`]. Told only where it was asked for.
    fn on_clear_path(&mut self, _path: &str) {}
}

/// The budget is spent: the next record must not leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordBudgetSpent;

/// Why an engine will not go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RewriteError {
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
    UnexpectedShape {
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
    MissingColumn {
        /// The column's name, as the contract has it.
        name: Box<str>,
    },
    /// A GraphQL query that goes around the rules of its answer, or cannot be judged.
    #[error("a GraphQL query {what} (at byte {at} of it)")]
    GraphqlQuery {
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
    RecordBudgetSpent,
}

impl From<RecordBudgetSpent> for RewriteError {
    fn from(_: RecordBudgetSpent) -> Self {
        Self::RecordBudgetSpent
    }
}

/// What applies treatments to the values that an engine has selected and decoded.
pub trait Transform: Send + Sync {
    /// Whether the rule leaves its member out, so that the engine can leave out the key and comma too.
    fn drops_member(&self, rule: usize) -> bool;

    /// Appends to `out` the text that takes the value's place: unquoted and unescaped, which is the engine's business.
    ///
    /// # Errors
    /// [`RewriteError::Untreatable`]; the raw value must then not leave.
    fn transform(&self, rule: usize, value: SelectedValue<'_>, out: &mut Vec<u8>) -> Result<Replacement, RewriteError>;

    /// Where a rule keeps nothing of a value: its treatment of one that comes piece by piece, with the same result as
    /// [`Transform::transform`] of the whole. `None` where the value must be at hand whole, and so is bounded.
    fn begin_pieces(&self, _rule: usize) -> Option<PieceTransform> {
        None
    }

    /// Appends the rest of what a value in pieces becomes.
    fn finish_pieces(&self, _rule: usize, _pieces: PieceTransform, _out: &mut Vec<u8>) {}

    /// Whether the rule may be given a text that is not UTF-8, as half of a surrogate pair is not.
    fn accepts_any_bytes(&self, _rule: usize) -> bool {
        false
    }

    /// As [`Transform::transform`], but the bytes may be other ones until [`Transform::complete_deferred`]: as many, and none that an engine must escape. An
    /// engine that calls this must settle before it returns, also when it then stops, and must not move what is in `out`.
    ///
    /// # Errors
    /// As [`Transform::transform`].
    fn defer(
        &self,
        rule: usize,
        value: SelectedValue<'_>,
        out: &mut Vec<u8>,
        _batch: &mut DeferredBatch,
    ) -> Result<Replacement, RewriteError> {
        self.transform(rule, value, out)
    }

    /// Puts into `out` what [`Transform::defer`] has left to be done.
    fn complete_deferred(&self, _batch: &mut DeferredBatch, _out: &mut [u8]) {}
}

/// A selected value. Has no useful `Debug`: its text is what must not be printed.
#[derive(Clone, Copy)]
pub struct SelectedValue<'a> {
    /// What it is in its document.
    pub kind: ValueKind,
    /// The decoded text of a string; the lexeme of a number, boolean or null; empty for a container.
    pub text: &'a [u8],
}

impl std::fmt::Debug for SelectedValue<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} of {} bytes", self.kind, self.text.len())
    }
}

/// What a value is in its document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueKind {
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
pub enum Replacement {
    /// As a string, quoted and escaped.
    Text,
    /// As a bare literal: a number or `null`.
    Literal,
    /// As it came, byte for byte: nothing has been appended.
    Unchanged {
        /// Whether the value counts as treated all the same.
        counted: bool,
    },
}

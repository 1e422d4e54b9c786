//! The interface of every body engine: bytes are pushed in, and the bytes that may leave come out.
//!
//! An engine gives the same output however its input is split. It knows no I/O, no async and no clock. All that it
//! has put into `out` may leave, also when it then stops with an error.

/// A streaming treatment of one body. [`super::Plan::body_rewriter`] makes one for each body.
pub trait Rewriter: Send {
    /// Takes the next bytes of the body, of any number, and appends to `out` the bytes that may leave.
    ///
    /// # Errors
    /// [`RewriteError`] ends the body. The bytes already in `out` may leave, nothing after them, and the receiver must
    /// see that the body was cut off. No further call may follow.
    fn feed(&mut self, input: &[u8], observer: &mut dyn RewriteObserver, out: &mut Vec<u8>) -> RewriteResult;

    /// Takes the end of the body, and appends what was held back.
    ///
    /// # Errors
    /// [`RewriteError`] when the body is not complete.
    fn finish(&mut self, observer: &mut dyn RewriteObserver, out: &mut Vec<u8>) -> RewriteResult;
}

impl<R: Rewriter + ?Sized> Rewriter for Box<R> {
    fn feed(&mut self, input: &[u8], observer: &mut dyn RewriteObserver, out: &mut Vec<u8>) -> RewriteResult {
        (**self).feed(input, observer, out)
    }

    fn finish(&mut self, observer: &mut dyn RewriteObserver, out: &mut Vec<u8>) -> RewriteResult {
        (**self).finish(observer, out)
    }
}

/// Receives what an engine finds in a body, while the body passes. Each call should take nanoseconds: it is made per
/// value.
pub trait RewriteObserver {
    /// A record is about to leave. An error keeps the record and all that follows it from leaving.
    ///
    /// # Errors
    /// [`RecordBudgetSpent`] when no record may leave any more.
    fn on_record(&mut self) -> Result<(), RecordBudgetSpent>;

    /// A value has been treated. `rule` is the number of its rule in [`super::Plan::rules`].
    fn on_treated(&mut self, rule: usize);

    /// The body does not have the shape that [`super::Rules::records`] describes. Called once a document. The default
    /// ends the body.
    ///
    /// # Errors
    /// `why` when such a body may not pass; [`RewriteError::RecordBudgetSpent`] when it counts as a record and no
    /// record may leave any more.
    fn on_unexpected_shape(&mut self, why: RewriteError) -> RewriteResult {
        Err(why)
    }

    /// One of several bodies in a stream has ended, such as a message of a WebSocket: what follows is another.
    fn on_body_end(&mut self) {}

    /// The field that [`super::Rules::subject`] selects, as decoded, untreated text. Hash it with a key at once; never
    /// keep it.
    fn on_subject(&mut self, value: &[u8]);

    /// Whether [`RewriteObserver::on_clear_path`] is to be called. Asked at any time; must give the same answer for the
    /// whole body.
    fn wants_clear_paths(&self) -> bool {
        false
    }

    /// A value that no rule has treated leaves. `path` says where it stood: see [`super::ClearPathCounts`].
    fn on_clear_path(&mut self, _path: &str) {}
}

/// The record budget is spent: the next record must not leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordBudgetSpent;

/// What an engine came to.
pub type RewriteResult<T = ()> = Result<T, RewriteError>;

/// Why an engine stopped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RewriteError {
    /// The body is not of the format that it claims to have.
    #[error("{what} at byte {at}")]
    Malformed {
        /// What is wrong: a constant text, never a piece of the body.
        what: &'static str,
        /// Offset from the start of the body, in bytes.
        at: u64,
    },
    /// The body is well formed, and does not have the shape that the path of the records describes.
    #[error("{what} at byte {at}: not the shape that the contract describes")]
    UnexpectedShape {
        /// What was there instead: a constant text.
        what: &'static str,
        /// Offset from the start of the body, in bytes.
        at: u64,
    },
    /// A bound on depth, key, value or decompression ratio was reached.
    #[error("{bound} exceeds its bound of {limit}")]
    Bound {
        /// Which bound.
        bound: &'static str,
        /// Its value.
        limit: u64,
    },
    /// No engine can read the body's content type, charset or content coding.
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
    /// A GraphQL query would return values that the rules of its answer do not select, or cannot be checked.
    #[error("a GraphQL query {what} (at byte {at} of it)")]
    GraphqlQuery {
        /// What is wrong: a constant text, never a piece of the query.
        what: &'static str,
        /// Offset in the query, in bytes.
        at: u64,
    },
    /// A treatment cannot be applied to the value.
    #[error("a value cannot be treated: {what}")]
    Untreatable {
        /// Why not: a constant text.
        what: &'static str,
    },
    /// The observer allowed no further record.
    #[error("the record budget is spent")]
    RecordBudgetSpent,
}

impl From<RecordBudgetSpent> for RewriteError {
    fn from(_: RecordBudgetSpent) -> Self {
        Self::RecordBudgetSpent
    }
}

//! GraphQL requests: whoever writes the query names the fields of the answer, and could name them past its rules.
//!
//! An answer's rules are about the fields of a schema. An alias calls a field by another name, so a query is read before it is
//! sent on: where under its aliases the answer's rules would not do the same as under the names of the schema, it is refused.
//! So is a query that cannot be seen (a persisted one), whose answer has another shape (`@defer`), or that has a literal where a
//! rule of the request names the argument. Never changes a query, and never lets a byte of a request out before it is judged.

mod check;
mod document;
mod lexer;
mod request;

pub(super) use check::QueryChecker;
pub(super) use request::{GraphqlRewriter, QueryPacking};

use super::RewriteError;

/// What is wrong with a query, and where in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct QueryFault {
    what: &'static str,
    at: usize,
}

impl From<QueryFault> for RewriteError {
    fn from(fault: QueryFault) -> Self {
        Self::GraphqlQuery { what: fault.what, at: fault.at as u64 }
    }
}

#[cfg(test)]
mod tests;

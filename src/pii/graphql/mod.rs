//! GraphQL requests: a query names the fields of its answer, and could give them names that the answer's rules do not
//! select.
//!
//! An answer's rules have the names of the schema's fields. An alias gives a field another name, so a query is
//! checked before it is sent on: it is refused when the rules would do something else under its aliases than under
//! the names of the schema. So is a query that is not in the request (a persisted one), one whose answer has another
//! shape (`@defer`), and one that has a literal as an argument which a rule of the request names. Never changes a
//! query, and never lets a byte of a request leave before it is checked.

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

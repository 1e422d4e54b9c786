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

pub(super) use check::Checker;
pub(super) use request::{GraphqlBody, Packing};

use super::Stop;

/// What is wrong with a query, and where in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fault {
    what: &'static str,
    at: usize,
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Query { what: fault.what, at: fault.at as u64 }
    }
}

#[cfg(test)]
mod tests;

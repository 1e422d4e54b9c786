//! What the rules of a contract that observes would do with the head of a message, which passes as it is.
//!
//! The rules run on copies that are thrown away. What they would treat is counted when the head has been sent, and what
//! they would refuse is reported. Never changes a message.

use ::http::{HeaderMap, request, response};

use super::admission::Admitted;
use super::body_end::{AbortReason, HttpMessage};
use super::snapshot::MessageRules;
use super::target::{self, HeadCounts, MatchedPath};
use super::withheld;
use crate::model::Denial;
use crate::pii::RewriteError;

/// Runs the rules of a request on its target, its GraphQL query and its header fields.
pub(super) fn request_head(
    admitted: &mut Admitted,
    rules: &MessageRules,
    (path, head, has_body): (&MatchedPath, &request::Parts, bool),
    counts: &mut HeadCounts,
) {
    let untreatable = |error| AbortReason::Untreatable(error).denial(HttpMessage::Request);
    let query = rules.plan.check_graphql_query(head.uri.query(), has_body).map_err(untreatable);
    report(admitted, query);
    if rules.plan.reads_head() {
        let route = std::sync::Arc::clone(admitted.route());
        report(admitted, target::treated_target(rules, &route, path, &head.uri, counts).map(drop));
        report(admitted, header_fields(rules, &head.headers, counts).map_err(untreatable));
    }
}

/// Runs the rules of a response on its header fields.
pub(super) fn response_head(
    admitted: &mut Admitted,
    rules: &MessageRules,
    head: &response::Parts,
    counts: &mut HeadCounts,
) {
    let untreatable = |error| AbortReason::Untreatable(error).denial(HttpMessage::Response);
    if rules.plan.reads_head() {
        report(admitted, header_fields(rules, &head.headers, counts).map_err(untreatable));
    }
    withheld::treat_references(rules, &mut head.headers.clone(), counts);
}

fn header_fields(rules: &MessageRules, fields: &HeaderMap, counts: &mut HeadCounts) -> Result<(), RewriteError> {
    target::treat_headers(rules, &mut fields.clone(), counts)
}

fn report(admitted: &mut Admitted, outcome: Result<(), Denial>) {
    if let Err(denial) = outcome {
        admitted.record_mut().would_deny(&denial);
    }
}

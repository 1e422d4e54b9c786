//! The target of the request to the upstream, and the treatment of personal data in its URL and in header fields.

use std::ops::Range;

use ::http::header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderValue, TRANSFER_ENCODING};
use ::http::uri::{self, PathAndQuery};
use ::http::{Method, Uri, Version, request};

use super::snapshot::{MessageRules, RouteRuntime};
use crate::exposure::CallerCounters;
use crate::http::{is_canonical, is_websocket_upgrade};
use crate::model::{Denial, Reason};
use crate::pii::{RecordBudgetSpent, RewriteError, RewriteObserver};
use crate::route::Captures;

/// The path of a request as its route has matched it.
#[derive(Debug, Default)]
pub(super) struct MatchedPath {
    /// The path for the upstream, without the upstream's own base path; `None` where it is the request's, as it came.
    pub(super) rewritten: Option<String>,
    pub(super) captures: Captures,
    /// The query without the parameters that the route drops; `None` where it goes on as it came.
    pub(super) query: Option<String>,
}

impl MatchedPath {
    fn query<'a>(&'a self, uri: &'a Uri) -> Option<&'a str> {
        self.query.as_deref().or_else(|| uri.query())
    }
}

/// The authority that a request is for: that of its target, else its `Host` field; empty where neither is given.
pub(super) fn authority(head: &request::Parts) -> &str {
    let host = || head.headers.get(HOST)?.to_str().ok();
    head.uri.authority().map(|authority| authority.as_str()).or_else(host).unwrap_or_default()
}

/// Whether a request asks to become a WebSocket (RFC 6455 section 4.1).
pub(super) fn asks_websocket(head: &request::Parts) -> bool {
    let has_body = head.headers.contains_key(CONTENT_LENGTH) || head.headers.contains_key(TRANSFER_ENCODING);
    head.method == Method::GET && head.version == Version::HTTP_11 && !has_body && is_websocket_upgrade(&head.headers)
}

/// The target of the request to the upstream: the canonical path behind the upstream's base path, and the treated
/// query.
///
/// # Errors
/// A denial where a value cannot be treated, or where the treated path could be read as another one.
pub(super) fn upstream_uri(
    route: &RouteRuntime,
    path: &MatchedPath,
    uri: &Uri,
    counts: &mut HeadCounts,
) -> Result<Uri, Denial> {
    let rules = route.request.as_ref().filter(|rules| rules.plan.reads_head());
    let base = route.upstream.base_path();
    let path_and_query = match (&path.rewritten, uri.path_and_query(), rules) {
        (None, Some(as_it_came), None) if base.is_empty() && path.query.is_none() => as_it_came.clone(),
        (_, _, None) => join(base, path.rewritten.as_deref().unwrap_or_else(|| uri.path()), path.query(uri))?,
        (_, _, Some(rules)) => treated_target(rules, route, path, uri, counts)?,
    };
    let mut parts = uri::Parts::default();
    parts.path_and_query = Some(path_and_query);
    Uri::from_parts(parts).map_err(|_| malformed("the target cannot be written"))
}

/// The path and the query with the values treated that the rules name.
///
/// # Errors
/// As [`upstream_uri`].
pub(super) fn treated_target(
    rules: &MessageRules,
    route: &RouteRuntime,
    matched: &MatchedPath,
    uri: &Uri,
    counts: &mut HeadCounts,
) -> Result<PathAndQuery, Denial> {
    let untreatable = |error: RewriteError| Denial::new(Reason::RequestMalformed, error.to_string());
    let mut rewriter = rules.plan.head_rewriter(counts);
    let path = matched.rewritten.as_deref().unwrap_or_else(|| uri.path());
    let names = route.captures.iter().enumerate();
    let captures: Vec<(&str, Range<usize>)> =
        names.filter_map(|(index, name)| Some((&**name, matched.captures.range(index)?))).collect();
    let path = rewriter.path(path, &captures).map_err(untreatable)?;
    // A treated value may mean something in a path, so the path is checked as one that a stranger sends.
    if !is_canonical(&path, route.allow_encoded_slash) {
        return Err(malformed("a treated segment would make another path of it"));
    }
    let query = matched.query(uri).map(|query| rewriter.query(query)).transpose().map_err(untreatable)?;
    join(route.upstream.base_path(), &path, query.as_deref())
}

fn join(base: &str, path: &str, query: Option<&str>) -> Result<PathAndQuery, Denial> {
    let mut target = format!("{base}{path}");
    if let Some(query) = query.filter(|query| !query.is_empty()) {
        target.push('?');
        target.push_str(query);
    }
    PathAndQuery::try_from(target).map_err(|_| malformed("the target cannot be written"))
}

fn malformed(detail: &'static str) -> Denial {
    Denial::new(Reason::RequestMalformed, detail)
}

/// Treats the header fields that the rules name, in place.
///
/// # Errors
/// [`RewriteError`] when one cannot be read or treated; nothing may then be forwarded.
pub(super) fn treat_headers(
    rules: &MessageRules,
    headers: &mut HeaderMap,
    counts: &mut HeadCounts,
) -> Result<(), RewriteError> {
    let mut rewriter = rules.plan.head_rewriter(counts);
    let mut treated = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers.iter() {
        if let Some(bytes) = rewriter.header(name.as_str(), value.as_bytes())? {
            let invalid = |_| RewriteError::Untreatable { what: "a header field cannot hold the treated value" };
            treated.append(name, HeaderValue::from_bytes(&bytes).map_err(invalid)?);
        }
    }
    *headers = treated;
    Ok(())
}

/// The rules that treated a value in the head of a message, counted when the head has been sent.
#[derive(Debug, Default)]
pub(super) struct HeadCounts(Vec<usize>);

impl HeadCounts {
    /// The head has been sent, and left by the caller of `exposure` where it left the company.
    pub(super) fn record_sent(
        &mut self,
        rules: &MessageRules,
        route: &RouteRuntime,
        exposure: Option<&CallerCounters>,
    ) {
        for rule in self.0.drain(..) {
            rules.count(route, exposure, rule, 1);
        }
    }
}

impl RewriteObserver for HeadCounts {
    fn on_record(&mut self) -> Result<(), RecordBudgetSpent> {
        Ok(())
    }

    fn on_treated(&mut self, rule: usize) {
        self.0.push(rule);
    }

    fn on_subject(&mut self, _value: &[u8]) {}
}

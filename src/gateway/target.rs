//! Where a request goes on the upstream's side, and the personal data of its URL and headers.

use ::http::Uri;
use ::http::header::{HeaderMap, HeaderValue};
use ::http::uri::{self, PathAndQuery};

use super::handle::Admitted;
use super::snapshot::{MessageRules, RouteRuntime};
use crate::http::is_canonical;
use crate::model::{Denial, Reason};
use crate::pii::{RecordBudgetSpent, RewriteError, RewriteObserver};

/// The target of the request to the upstream: canonical path behind the upstream's own, query treated.
pub(super) fn upstream_uri(
    admitted: &Admitted,
    uri: &Uri,
    treats: Option<&MessageRules>,
    counts: &mut HeadCounts,
) -> Result<Uri, Denial> {
    let treats = treats.filter(|treats| treats.plan.reads_head());
    let base = admitted.route.upstream.base_path();
    let path_and_query = match (&admitted.path, uri.path_and_query()) {
        (None, Some(as_it_came)) if base.is_empty() && treats.is_none() => as_it_came.clone(),
        _ => write_target(admitted, base, uri, treats, counts)?,
    };
    let mut parts = uri::Parts::default();
    parts.path_and_query = Some(path_and_query);
    Uri::from_parts(parts).map_err(|_| malformed("the target cannot be written"))
}

fn write_target(
    admitted: &Admitted,
    base: &str,
    uri: &Uri,
    treats: Option<&MessageRules>,
    counts: &mut HeadCounts,
) -> Result<PathAndQuery, Denial> {
    let path = admitted.path.as_deref().unwrap_or_else(|| uri.path());
    let mut target = base.to_owned();
    match treats {
        None => {
            target.push_str(path);
            push_query(uri.query(), &mut target);
        }
        Some(treats) => {
            let mut scene = treats.plan.head_rewriter(counts);
            let unfit_value = |stop: RewriteError| Denial::new(Reason::RequestMalformed, stop.to_string());
            let names = admitted.route.captures.iter();
            let mut from = 0;
            for (place, name) in names.enumerate() {
                let Some(range) = admitted.captures.range(place) else { continue };
                target.push_str(&path[from..range.start]);
                target.push_str(&scene.segment(name, &path[range.clone()]).map_err(unfit_value)?);
                from = range.end;
            }
            target.push_str(&path[from..]);
            // What a value was changed to may mean something in a path: it is looked at as a stranger's path is.
            if !is_canonical(&target[base.len()..], admitted.route.allow_encoded_slash) {
                return Err(malformed("a treated segment would make another path of it"));
            }
            let query = uri.query().map(|query| scene.query(query)).transpose().map_err(unfit_value)?;
            push_query(query.as_deref(), &mut target);
        }
    }
    PathAndQuery::try_from(target).map_err(|_| malformed("the target cannot be written"))
}

fn push_query(query: Option<&str>, target: &mut String) {
    if let Some(query) = query.filter(|query| !query.is_empty()) {
        target.push('?');
        target.push_str(query);
    }
}

fn malformed(detail: &'static str) -> Denial {
    Denial::new(Reason::RequestMalformed, detail)
}

/// Treats the header fields that a rule names, in place.
///
/// # Errors
/// [`RewriteError`] when one cannot be read or treated; nothing may then be forwarded.
pub(super) fn treat_headers(
    treats: &MessageRules,
    headers: &mut HeaderMap,
    counts: &mut HeadCounts,
) -> Result<(), RewriteError> {
    let mut scene = treats.plan.head_rewriter(counts);
    let mut treated = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers.iter() {
        if let Some(bytes) = scene.header(name.as_str(), value.as_bytes())? {
            let unfit = |_| RewriteError::Untreatable { what: "a header field cannot hold the treated value" };
            treated.append(name, HeaderValue::from_bytes(&bytes).map_err(unfit)?);
        }
    }
    *headers = treated;
    Ok(())
}

/// The rules that treated something in a message's head: counted when that has left.
#[derive(Debug, Default)]
pub(super) struct HeadCounts(Vec<usize>);

impl HeadCounts {
    /// The head has left.
    pub(super) fn record_sent(&mut self, treats: &MessageRules, route: &RouteRuntime) {
        for rule in self.0.drain(..) {
            // The body, or its end, says when it left.
            treats.count(route, rule, 1);
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

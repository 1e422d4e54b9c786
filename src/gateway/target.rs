//! Where a request goes on the upstream's side, and the personal data of its URL and headers.

use ::http::Uri;
use ::http::header::{HeaderMap, HeaderValue};
use ::http::uri::{self, PathAndQuery};

use super::handle::Admitted;
use super::snapshot::{Route, Treats};
use crate::http::is_canonical;
use crate::model::{Denial, Reason};
use crate::pii::{Cut, Stop, Watch};

/// The target of the request to the upstream: canonical path behind the upstream's own, query treated.
pub(super) fn outgoing(admitted: &Admitted, uri: &Uri, treats: Option<&Treats>) -> Result<Uri, Denial> {
    let treats = treats.filter(|treats| treats.plan.reads_head());
    let base = admitted.route.upstream.base_path();
    let path_and_query = match (&admitted.path, uri.path_and_query()) {
        (None, Some(as_it_came)) if base.is_empty() && treats.is_none() => as_it_came.clone(),
        _ => written(admitted, base, uri, treats)?,
    };
    let mut parts = uri::Parts::default();
    parts.path_and_query = Some(path_and_query);
    Uri::from_parts(parts).map_err(|_| unfit("the target cannot be written"))
}

fn written(admitted: &Admitted, base: &str, uri: &Uri, treats: Option<&Treats>) -> Result<PathAndQuery, Denial> {
    let path = admitted.path.as_deref().unwrap_or_else(|| uri.path());
    let mut target = base.to_owned();
    match treats {
        None => {
            target.push_str(path);
            push_query(uri.query(), &mut target);
        }
        Some(treats) => {
            let mut counts = Counts::new(treats, &admitted.route);
            let mut scene = treats.plan.scene(&mut counts);
            let unfit_value = |stop: Stop| Denial::new(Reason::RequestMalformed, stop.to_string());
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
                return Err(unfit("a treated segment would make another path of it"));
            }
            let query = uri.query().map(|query| scene.query(query)).transpose().map_err(unfit_value)?;
            push_query(query.as_deref(), &mut target);
        }
    }
    PathAndQuery::try_from(target).map_err(|_| unfit("the target cannot be written"))
}

fn push_query(query: Option<&str>, target: &mut String) {
    if let Some(query) = query.filter(|query| !query.is_empty()) {
        target.push('?');
        target.push_str(query);
    }
}

fn unfit(detail: &'static str) -> Denial {
    Denial::new(Reason::RequestMalformed, detail)
}

/// Treats the header fields that a rule names, in place.
///
/// # Errors
/// [`Stop`] when one cannot be read or treated; nothing may then be forwarded.
pub(super) fn treat_headers(treats: &Treats, headers: &mut HeaderMap, route: &Route) -> Result<(), Stop> {
    let mut counts = Counts::new(treats, route);
    let mut scene = treats.plan.scene(&mut counts);
    let mut treated = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers.iter() {
        if let Some(bytes) = scene.header(name.as_str(), value.as_bytes())? {
            let unfit = |_| Stop::Untreatable { what: "a header field cannot hold the treated value" };
            treated.append(name, HeaderValue::from_bytes(&bytes).map_err(unfit)?);
        }
    }
    *headers = treated;
    Ok(())
}

/// Counts treated values straight into the route's metrics.
pub(super) struct Counts<'a> {
    treats: &'a Treats,
    route: &'a Route,
}

impl<'a> Counts<'a> {
    pub(super) const fn new(treats: &'a Treats, route: &'a Route) -> Self {
        Self { treats, route }
    }
}

impl Watch for Counts<'_> {
    fn record(&mut self) -> Result<(), Cut> {
        Ok(())
    }

    fn treated(&mut self, rule: usize) {
        if let Some(treated) = self.treats.treated.get(rule) {
            self.route.metrics.pii_values(*treated, 1);
        }
        // The body, or its end, says when it left.
        if self.treats.leaves {
            self.route.exposure.treated(rule, 1);
        }
    }

    fn subject(&mut self, _value: &[u8]) {}
}

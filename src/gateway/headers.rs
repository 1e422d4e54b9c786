//! Heads and trailers: all that passes from one side to the other outside of a body is rewritten here.
//!
//! In requests, in responses of every status, in a switch of protocols and in trailers both ways, the header rules of
//! the route are applied, the fields that end at this hop or that only the gateway may set are removed, and the
//! gateway's own fields are added. Interim responses (1xx) are not passed on, and a refusal holds nothing that came
//! from either side.

use ::http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};
use ::http::{HeaderValue, request, response};
use hyper::ext::ReasonPhrase;

use super::admission::Admitted;
use super::egress::{VendorPlace, rewrite_references};
use super::parameters::drop_unlisted;
use super::rate_headers::add_rate_headers;
use super::snapshot::{MessageRules, RouteRuntime};
use super::target::{self, HeadCounts};
use super::withheld;
use crate::http::{
    ForwardingContext, is_trailer_allowed, join_cookies, prepare_request, prepare_response, refuse_extensions,
    set_websocket_upgrade, strip_validators,
};
use crate::model::ClientId;
use crate::pii::{Plan, RewriteError};

/// Rewrites the head of a request for the upstream; `rewrites_body` says whether its body may become another.
///
/// # Errors
/// [`RewriteError`] when a field cannot be read or treated; nothing may then be forwarded.
pub(super) fn rewrite_request(
    admitted: &Admitted,
    (head, counts): (&mut request::Parts, &mut HeadCounts),
    rewrites_body: bool,
) -> Result<(), RewriteError> {
    let (record, route) = (admitted.record(), admitted.route());
    drop_unlisted(route, &mut head.headers);
    join_cookies(&mut head.headers);
    treat(route.request.as_ref(), &mut head.headers, counts)?;
    prepare_request(
        &mut head.headers,
        ForwardingContext {
            direction: record.direction(),
            host: route.upstream.host(),
            peer: record.peer.forwarded_for(),
            version: head.version,
            target: &head.uri,
            tls: record.peer.speaks_tls(),
            request_id: record.id.to_header(),
            vendor: &admitted.vendor().header,
            client: record.client().and_then(|client| HeaderValue::try_from(client.as_str()).ok()),
            inspects_response: route.response.as_ref().is_some_and(|rules| rules.plan.reads_body()),
        },
    );
    if let Some(rules) = &route.response {
        narrow_accept(&mut head.headers, &rules.plan);
    }
    if admitted.is_websocket() {
        set_websocket_upgrade(&mut head.headers);
        if route.reads_bodies() {
            refuse_extensions(&mut head.headers);
        }
    }
    if rewrites_body {
        strip_validators(&mut head.headers);
        head.headers.remove(CONTENT_ENCODING);
        set_charset(route.request.as_ref(), &mut head.headers);
    }
    Ok(())
}

/// Asks the upstream only for forms of the response that the rules of the route can read.
fn narrow_accept(headers: &mut HeaderMap, plan: &Plan) {
    let asked: Vec<&str> = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let narrowed = plan.narrow_accept(&asked.join(", "));
    if let Some(value) = narrowed.and_then(|text| HeaderValue::try_from(text).ok()) {
        headers.insert(ACCEPT, value);
    }
}

/// Rewrites the head of a response for the caller; `rewrites_body` says whether its body may become another.
///
/// # Errors
/// As [`rewrite_request`].
pub(super) fn rewrite_response(
    admitted: &Admitted,
    (head, counts): (&mut response::Parts, &mut HeadCounts),
    rewrites_body: bool,
) -> Result<(), RewriteError> {
    let (record, route) = (admitted.record(), admitted.route());
    treat(route.response.as_ref(), &mut head.headers, counts)?;
    if let Some(rules) = &route.response {
        withheld::treat_references(rules, &mut head.headers, counts);
    }
    if let Some(way) = admitted.way() {
        let (vendor, reach) = (admitted.vendor().id(), &admitted.vendor().contract.reach);
        let upstream = (route.upstream.host(), route.upstream.base_path());
        rewrite_references(VendorPlace { vendor, reach, upstream, way }, &mut head.headers);
    }
    // No rule reads the reason phrase, and HTTP/2 has none: the caller gets the standard one of the status.
    head.extensions.remove::<ReasonPhrase>();
    prepare_response(&mut head.headers, record.id.to_header());
    add_rate_headers(record, admitted.permit().rates(), &mut head.headers);
    if rewrites_body {
        strip_validators(&mut head.headers);
        head.headers.remove(CONTENT_ENCODING);
        set_charset(route.response.as_ref(), &mut head.headers);
    }
    Ok(())
}

/// Rewrites the trailers of a body for its reader; `None` where no field may pass.
///
/// # Errors
/// As [`rewrite_request`].
pub(super) fn rewrite_trailers(
    rules: Option<&MessageRules>,
    (route, caller): (&RouteRuntime, Option<&ClientId>),
    mut fields: HeaderMap,
    rewrites_body: bool,
) -> Result<Option<HeaderMap>, RewriteError> {
    let body_changed = rewrites_body && !rules.is_some_and(|rules| rules.plan.counts_grpc_messages());
    let refused: Vec<_> = fields.keys().filter(|name| !is_trailer_allowed(name, body_changed)).cloned().collect();
    for name in refused {
        fields.remove(name);
    }
    let mut counts = HeadCounts::default();
    treat(rules, &mut fields, &mut counts)?;
    if let Some(rules) = rules {
        counts.record_sent(rules, route, rules.exposure(route, caller).as_ref());
    }
    Ok(Some(fields).filter(|fields| !fields.is_empty()))
}

/// Names UTF-8 as the charset of a body that has been decoded from another one.
fn set_charset(rules: Option<&MessageRules>, headers: &mut HeaderMap) {
    let received = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let new = rules.zip(received).and_then(|(rules, received)| rules.plan.content_type(received));
    if let Some(value) = new.and_then(|new| HeaderValue::try_from(new).ok()) {
        headers.insert(CONTENT_TYPE, value);
    }
}

fn treat(rules: Option<&MessageRules>, headers: &mut HeaderMap, counts: &mut HeadCounts) -> Result<(), RewriteError> {
    match rules.filter(|rules| rules.plan.reads_head()) {
        Some(rules) => target::treat_headers(rules, headers, counts),
        None => Ok(()),
    }
}

//! The one door for heads and trailers: whatever passes from one side to the other in one of them passes here.
//!
//! Requests, answers of every status, an agreement to leave HTTP, trailers both ways: all have their header rules applied,
//! lose what ends at this hop and what is ours to say, and get ours. Interim answers (1xx) are not passed on, and a
//! refusal holds nothing that came from a side. Never writes a line that only one of these would pass.

use ::http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};
use ::http::{HeaderValue, request, response};
use hyper::ext::ReasonPhrase;

use super::exchange::Exchange;
use super::handle::Admitted;
use super::snapshot::{MessageRules, RouteRuntime};
use super::target::{self, HeadCounts};
use super::withheld;
use crate::http::{
    ForwardingContext, is_trailer_allowed, join_cookies, prepare_request, prepare_response, set_websocket_upgrade,
    strip_validators,
};
use crate::pii::{Plan, RewriteError};

/// Makes a request's head the one that the upstream gets; `changes` says whether its body may become another.
///
/// # Errors
/// [`RewriteError`] when a field cannot be read or treated; nothing may then be forwarded.
pub(super) fn rewrite_request(
    admitted: &Admitted,
    exchange: &Exchange,
    (head, counts): (&mut request::Parts, &mut HeadCounts),
    changes: bool,
) -> Result<(), RewriteError> {
    let Admitted { vendor, route, .. } = admitted;
    join_cookies(&mut head.headers);
    treat(route.request.as_ref(), &mut head.headers, counts)?;
    prepare_request(
        &mut head.headers,
        ForwardingContext {
            direction: exchange.direction(),
            host: route.upstream.host(),
            peer: exchange.peer.forwarded_for(),
            version: head.version,
            target: &head.uri,
            tls: exchange.peer.is_tls(),
            request_id: exchange.id.to_header(),
            vendor: &vendor.header,
            client: admitted.client.as_ref().and_then(|client| HeaderValue::try_from(client.as_str()).ok()),
            inspects_response: route.response.as_ref().is_some_and(|treats| treats.plan.reads_body()),
        },
    );
    if let Some(treats) = &route.response {
        narrow_accept(&mut head.headers, &treats.plan);
    }
    if admitted.websocket {
        set_websocket_upgrade(&mut head.headers);
    }
    if changes {
        strip_validators(&mut head.headers);
        head.headers.remove(CONTENT_ENCODING);
        set_charset(route.request.as_ref(), &mut head.headers);
    }
    Ok(())
}

/// Asks the upstream for no form of the answer that the route's rules were not written for.
fn narrow_accept(headers: &mut HeaderMap, plan: &Plan) {
    let asked: Vec<&str> = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let narrowed = plan.narrow_accept(&asked.join(", "));
    if let Some(value) = narrowed.and_then(|text| HeaderValue::try_from(text).ok()) {
        headers.insert(ACCEPT, value);
    }
}

/// Makes an answer's head the one that the caller gets; `changes` says whether its body may become another.
///
/// # Errors
/// As [`request`].
pub(super) fn rewrite_response(
    route: &RouteRuntime,
    exchange: &Exchange,
    (head, counts): (&mut response::Parts, &mut HeadCounts),
    changes: bool,
) -> Result<(), RewriteError> {
    treat(route.response.as_ref(), &mut head.headers, counts)?;
    if let Some(treats) = &route.response {
        withheld::treat_references(treats, &mut head.headers, counts);
    }
    // Words that no rule reads, and that HTTP/2 has no place for: the caller gets those of the status.
    head.extensions.remove::<ReasonPhrase>();
    prepare_response(&mut head.headers, exchange.id.to_header());
    exchange.say_rates(&mut head.headers);
    if changes {
        strip_validators(&mut head.headers);
        head.headers.remove(CONTENT_ENCODING);
        set_charset(route.response.as_ref(), &mut head.headers);
    }
    Ok(())
}

/// Makes the trailers of a body those that its reader gets; none where none may pass.
///
/// # Errors
/// As [`request`].
pub(super) fn rewrite_trailers(
    treats: Option<&MessageRules>,
    route: &RouteRuntime,
    mut fields: HeaderMap,
    changes: bool,
) -> Result<Option<HeaderMap>, RewriteError> {
    let stay: Vec<_> = fields.keys().filter(|name| !is_trailer_allowed(name, changes)).cloned().collect();
    for name in stay {
        fields.remove(name);
    }
    let mut counts = HeadCounts::default();
    treat(treats, &mut fields, &mut counts)?;
    if let Some(treats) = treats {
        counts.record_sent(treats, route);
    }
    Ok(Some(fields).filter(|fields| !fields.is_empty()))
}

/// A body that has been decoded from another charset leaves as UTF-8, and says so.
fn set_charset(treats: Option<&MessageRules>, headers: &mut HeaderMap) {
    let told = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let new = treats.zip(told).and_then(|(treats, told)| treats.plan.content_type(told));
    if let Some(value) = new.and_then(|new| HeaderValue::try_from(new).ok()) {
        headers.insert(CONTENT_TYPE, value);
    }
}

fn treat(treats: Option<&MessageRules>, headers: &mut HeaderMap, counts: &mut HeadCounts) -> Result<(), RewriteError> {
    match treats.filter(|treats| treats.plan.reads_head()) {
        Some(treats) => target::treat_headers(treats, headers, counts),
        None => Ok(()),
    }
}

//! The fallback of one route: the answer that its contract writes, and where the last good ones are kept.

use std::sync::Arc;

use ::http::header::{AGE, HeaderName};
use ::http::{HeaderValue, Response, request};

use super::last_good::{LastGoodKey, LastGoodStore};
use crate::config::{FallbackSettings, StaticAnswer};
use crate::http::GatewayBody;
use crate::model::{Denial, Moment};

/// Says that the answer is a fallback, and for which reason.
const FALLBACK: HeaderName = HeaderName::from_static("x-vendorgate-fallback");
/// RFC 9211: where the answer came from.
const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// The fallback of one route.
#[derive(Debug)]
pub(super) struct RouteFallback {
    pub(super) settings: FallbackSettings,
    pub(super) store: Arc<LastGoodStore>,
    /// Tells the answers under one contract from those under another, whose rules may treat them otherwise.
    pub(super) contract: u64,
}

impl RouteFallback {
    /// The key of a request under which its answer is kept; `None` where it is not. `place` says whose it is.
    pub(super) fn key(&self, place: &[&str], head: &request::Parts) -> Option<LastGoodKey> {
        self.settings.last_good?;
        LastGoodKey::of(self.contract, place, head)
    }

    /// The answer for a request that was denied for this reason; `None` where there is none.
    pub(super) fn answer(
        &self,
        denial: &Denial,
        key: Option<&LastGoodKey>,
        now: Moment,
    ) -> Option<Response<GatewayBody>> {
        let kept = self.settings.last_good.zip(key).and_then(|(age, key)| self.store.fresh(key, age, now));
        let word = HeaderValue::from_static(denial.reason.as_str());
        let mut response = match (kept, &self.settings.answer) {
            (Some((kept, age)), _) => {
                let mut response = response_of(&kept);
                let status = format!("vendorgate; hit; detail={}", denial.reason.as_str());
                response.headers_mut().insert(AGE, HeaderValue::from(age.as_secs()));
                if let Ok(status) = HeaderValue::try_from(status) {
                    response.headers_mut().insert(CACHE_STATUS, status);
                }
                response
            }
            (None, Some(answer)) => response_of(answer),
            (None, None) => return None,
        };
        response.headers_mut().insert(FALLBACK, word);
        Some(response)
    }
}

fn response_of(answer: &StaticAnswer) -> Response<GatewayBody> {
    let mut response = Response::new(GatewayBody::full(answer.body.clone()));
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers.clone();
    response
}

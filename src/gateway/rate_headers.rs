//! The `RateLimit` fields of a response, which tell a vendor the state of its request rates.

use ::http::HeaderValue;
use ::http::header::{HeaderMap, HeaderName};

use super::exchange::ExchangeRecord;
use crate::meter::{RateDecision, rate_limit, rate_limit_policy};
use crate::model::Direction;

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Adds the fields to a response to a vendor. The company's own services get none.
pub(super) fn add_rate_headers(record: &ExchangeRecord, decision: Option<&RateDecision>, headers: &mut HeaderMap) {
    let (Some(vendor), Some(route), Some(decision)) = (record.vendor(), record.route(), decision) else { return };
    if record.direction() == Direction::Egress {
        return;
    }
    let rates = vendor.ledgers.of(Direction::Ingress).rates();
    let field = |text: String| HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""));
    // The policy is the same for every response of the route, so it is written once.
    let policy = route.rate_policy.get_or_init(|| field(rate_limit_policy(rates.statuses(decision))));
    headers.insert(RATE_LIMIT_POLICY, policy.clone());
    headers.insert(RATE_LIMIT, field(rate_limit(rates.statuses(decision))));
}

//! The closed list of reasons for which the gateway says no, and a denial that carries one.
//!
//! A reason is a promise: its name stands in error bodies, metrics, logs and the audit trail, and is never reused.

use std::borrow::Cow;

/// Why a request was refused, or cut short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// Framing, target or headers have more than one reading, or none.
    RequestMalformed,
    /// The body is not what its content type says.
    BodyMalformed,
    /// No credentials were presented.
    TokenMissing,
    /// The credentials cannot be read as a token.
    TokenMalformed,
    /// Signature, key, issuer, audience or a required claim is wrong.
    TokenInvalid,
    /// The token is past `exp`, or before `nbf`.
    TokenExpired,
    /// The token was issued for longer than the contract allows.
    TokenLifetime,
    /// The token was issued longer ago than the contract allows.
    TokenAge,
    /// The client has used a newer token, and the grace is over.
    TokenSuperseded,
    /// The token, its client or its time of issue has been revoked.
    TokenRevoked,
    /// The token is bound to a sender that this connection is not.
    TokenUnbound,
    /// The signing key is older than the contract allows.
    KeyTooOld,
    /// No contract covers this issuer, client or certificate.
    VendorUnknown,
    /// The kill switch is thrown.
    VendorKilled,
    /// The contract's first day has not come.
    ContractNotStarted,
    /// The contract's last day is over.
    ContractEnded,
    /// The contract grants no such method and path.
    RouteUnknown,
    /// The token, or the contract's ceiling, lacks a scope that the route needs.
    ScopeMissing,
    /// A GraphQL query goes around the rules of its answer, or cannot be judged.
    QueryForbidden,
    /// An egress call named a host, vendor or route that no contract lists.
    DestinationUnknown,
    /// The body is larger than its bound.
    BodyTooLarge,
    /// The request's body stopped, or came more slowly than its least pace.
    BodyTimeout,
    /// A PII rule applies and the body cannot be inspected.
    BodyOpaque,
    /// Too many requests.
    RateLimited,
    /// Too many requests at once.
    ConcurrencyExceeded,
    /// The record budget of the window is spent.
    RecordsExceeded,
    /// The byte budget of the window is spent.
    BytesExceeded,
    /// The upstream cannot be reached, or reset the exchange.
    UpstreamRefused,
    /// The upstream's answer cannot be read, or cannot be inspected under a PII rule.
    UpstreamUnreadable,
    /// The body is read, and is not what the contract's `records` describes.
    ShapeUnexpected,
    /// The issuer's keys are not available and none are held.
    IssuerUnavailable,
    /// The gateway itself is at a bound.
    Overloaded,
    /// The upstream did not answer within its deadline.
    UpstreamTimeout,
}

impl Reason {
    /// Every reason, in the order of [`Reason::index`].
    pub const ALL: [Self; 33] = [
        Self::RequestMalformed,
        Self::BodyMalformed,
        Self::TokenMissing,
        Self::TokenMalformed,
        Self::TokenInvalid,
        Self::TokenExpired,
        Self::TokenLifetime,
        Self::TokenAge,
        Self::TokenSuperseded,
        Self::TokenRevoked,
        Self::TokenUnbound,
        Self::KeyTooOld,
        Self::VendorUnknown,
        Self::VendorKilled,
        Self::ContractNotStarted,
        Self::ContractEnded,
        Self::RouteUnknown,
        Self::ScopeMissing,
        Self::QueryForbidden,
        Self::DestinationUnknown,
        Self::BodyTooLarge,
        Self::BodyTimeout,
        Self::BodyOpaque,
        Self::RateLimited,
        Self::ConcurrencyExceeded,
        Self::RecordsExceeded,
        Self::BytesExceeded,
        Self::UpstreamRefused,
        Self::UpstreamUnreadable,
        Self::ShapeUnexpected,
        Self::IssuerUnavailable,
        Self::Overloaded,
        Self::UpstreamTimeout,
    ];

    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RequestMalformed => "request_malformed",
            Self::BodyMalformed => "body_malformed",
            Self::TokenMissing => "token_missing",
            Self::TokenMalformed => "token_malformed",
            Self::TokenInvalid => "token_invalid",
            Self::TokenExpired => "token_expired",
            Self::TokenLifetime => "token_lifetime",
            Self::TokenAge => "token_age",
            Self::TokenSuperseded => "token_superseded",
            Self::TokenRevoked => "token_revoked",
            Self::TokenUnbound => "token_unbound",
            Self::KeyTooOld => "key_too_old",
            Self::VendorUnknown => "vendor_unknown",
            Self::VendorKilled => "vendor_killed",
            Self::ContractNotStarted => "contract_not_started",
            Self::ContractEnded => "contract_ended",
            Self::RouteUnknown => "route_unknown",
            Self::ScopeMissing => "scope_missing",
            Self::QueryForbidden => "query_forbidden",
            Self::DestinationUnknown => "destination_unknown",
            Self::BodyTooLarge => "body_too_large",
            Self::BodyTimeout => "body_timeout",
            Self::BodyOpaque => "body_opaque",
            Self::RateLimited => "rate_limited",
            Self::ConcurrencyExceeded => "concurrency_exceeded",
            Self::RecordsExceeded => "records_exceeded",
            Self::BytesExceeded => "bytes_exceeded",
            Self::UpstreamRefused => "upstream_refused",
            Self::UpstreamUnreadable => "upstream_unreadable",
            Self::ShapeUnexpected => "shape_unexpected",
            Self::IssuerUnavailable => "issuer_unavailable",
            Self::Overloaded => "overloaded",
            Self::UpstreamTimeout => "upstream_timeout",
        }
    }

    /// A place in a table of all reasons.
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// A no, with its reason: a value that a rule returns, not an error.
///
/// `detail` is for the log and the audit trail; the caller reads only the reason's public text, or what is `told`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// The stable reason.
    pub reason: Reason,
    /// What exactly was wrong, for our own people. Never a secret or a personal value.
    pub detail: Cow<'static, str>,
    /// What the caller is told instead of the reason's own text: a sentence about its own request, and nothing of ours.
    pub public_text: Option<&'static str>,
    /// When trying again makes sense, in whole seconds, for reasons that pass by themselves.
    pub retry_after_secs: Option<u32>,
}

impl Denial {
    /// A denial with words for the log.
    pub fn new(reason: Reason, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { reason, detail: detail.into(), public_text: None, retry_after_secs: None }
    }

    /// A denial whose cause the caller may know, in one sentence for it and for the log.
    pub const fn with_public_text(reason: Reason, sentence: &'static str) -> Self {
        Self { reason, detail: Cow::Borrowed(sentence), public_text: Some(sentence), retry_after_secs: None }
    }

    /// Says when to try again, rounded up to a second.
    #[must_use]
    pub fn retry_after(mut self, wait: std::time::Duration) -> Self {
        let secs = wait.as_millis().div_ceil(1000).clamp(1, u128::from(u32::MAX));
        self.retry_after_secs = Some(secs as u32);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_names_are_unique() {
        for (i, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(reason.index(), i);
        }
        let names: std::collections::BTreeSet<_> = Reason::ALL.iter().map(|r| r.as_str()).collect();
        assert_eq!(names.len(), Reason::ALL.len());
    }
}

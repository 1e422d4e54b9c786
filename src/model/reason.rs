//! The closed list of reasons for which the gateway refuses a request or cuts one short: one row for each.
//!
//! The word of a reason is in error bodies, metrics, logs and the audit trail: it never changes and is never reused.
//! The texts are for the caller: they say what to do next, and never which of our rules an attacker should aim at.

use super::Direction;

/// What the caller of a refused request reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefusalText {
    /// The HTTP status, from 400 to 599.
    pub status: u16,
    /// A few words that are the same for each occurrence (RFC 9457 section 3.1.3).
    pub title: &'static str,
    /// One or two sentences that say what to do.
    pub detail: &'static str,
}

/// When to try again, where a denial does not say it itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryAdvice {
    /// The same request would be refused again.
    Never,
    /// Soon: load and budgets pass by themselves.
    Overload,
    /// When an upstream or an issuer has had time to restart.
    Upstream,
}

/// Whether denials of a reason count towards the burst that suspends a vendor (`trip:` of a contract).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Burst {
    /// The caller caused it.
    Counts,
    /// It says nothing about the caller: our own bounds, an upstream, a kill that is in force already.
    Exempt,
}

/// All that belongs to one reason.
struct ReasonRow {
    word: &'static str,
    problem: RefusalText,
    /// What is different on egress, where the caller is one of our own services.
    egress: Option<RefusalText>,
    burst: Burst,
    retry: RetryAdvice,
}

/// `Variant = "word" status burst retry "title" "detail"`, and after `egress` what is different there.
macro_rules! reasons {
    (@egress) => { None };
    (@egress $status:literal $title:literal $detail:literal) => {
        Some(RefusalText { status: $status, title: $title, detail: $detail })
    };
    ($($(#[$doc:meta])* $variant:ident = $word:literal $status:literal $burst:ident $retry:ident $title:literal $detail:literal
        $(egress $egress_status:literal $egress_title:literal $egress_detail:literal)?;)+) => {
        /// Why a request was refused, or cut short.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason {
            $($(#[$doc])* $variant,)+
        }

        impl Reason {
            /// Every reason, in the order of [`Reason::index`].
            pub const ALL: [Self; [$($word),+].len()] = [$(Self::$variant),+];

            const ROWS: [ReasonRow; Self::ALL.len()] = [$(ReasonRow {
                word: $word,
                problem: RefusalText { status: $status, title: $title, detail: $detail },
                egress: reasons!(@egress $($egress_status $egress_title $egress_detail)?),
                burst: Burst::$burst,
                retry: RetryAdvice::$retry,
            }),+];
        }
    };
}

reasons! {
    /// Framing, target or headers have more than one reading, or none.
    RequestMalformed = "request_malformed" 400 Counts Never "Malformed request"
        "The request line, a header field or the target can be read in more than one way.";
    /// The body is not what its content type says.
    BodyMalformed = "body_malformed" 400 Counts Never "Malformed body"
        "The body is not what its content type says. Send one valid document in UTF-8.";
    /// No credentials were presented.
    TokenMissing = "token_missing" 401 Counts Never "Credentials required"
        "Send an access token as 'Authorization: Bearer'.";
    /// The credentials cannot be read as a token.
    TokenMalformed = "token_malformed" 401 Counts Never "Malformed token"
        "The access token cannot be read.";
    /// Signature, key, issuer, audience or a required claim is wrong.
    TokenInvalid = "token_invalid" 401 Counts Never "Invalid token"
        "The access token is not valid here.";
    /// The token is past `exp`, or before `nbf`.
    TokenExpired = "token_expired" 401 Counts Never "Expired token"
        "The access token is not valid at this time. Fetch a new one.";
    /// The token was issued for longer than the contract allows.
    TokenLifetime = "token_lifetime" 401 Counts Never "Token lifetime too long"
        "The access token was issued for longer than the contract allows.";
    /// The token was issued longer ago than the contract allows.
    TokenAge = "token_age" 401 Counts Never "Token too old"
        "The access token was issued too long ago. Fetch a new one.";
    /// The client has used a newer token, and the grace is over.
    TokenSuperseded = "token_superseded" 401 Counts Never "Superseded token"
        "A newer access token of this client is in use. Use that one.";
    /// The token, its client or its time of issue has been revoked.
    TokenRevoked = "token_revoked" 401 Counts Never "Revoked token"
        "The access token has been revoked.";
    /// The token is bound to a sender that this connection is not.
    TokenUnbound = "token_unbound" 401 Counts Never "Sender not proven"
        "The access token is bound to another sender than this connection.";
    /// The signing key is older than the contract allows.
    KeyTooOld = "key_too_old" 401 Counts Never "Signing key too old"
        "The key that signed the access token is overdue for rotation.";
    /// Nothing proves which of our services calls, or its token is nobody's. As a proxy the gateway answers 407.
    CallerUnknown = "caller_unknown" 401 Exempt Never "Caller not proven"
        "Prove which service calls: by its token, its certificate, or its user on the socket.";
    /// The contract does not list the service among its callers.
    CallerNotAllowed = "caller_not_allowed" 403 Exempt Never "Caller not allowed"
        "The contract does not list this service under egress.callers.";
    /// No contract covers this issuer, client or certificate.
    VendorUnknown = "vendor_unknown" 403 Counts Never "Unknown vendor"
        "No contract covers these credentials.";
    /// The kill switch is thrown.
    VendorKilled = "vendor_killed" 403 Exempt Never "Suspended"
        "Access is suspended. Write to your contact.";
    /// The contract's first day has not come.
    ContractNotStarted = "contract_not_started" 403 Counts Never "Contract not started"
        "The contract is not yet in force.";
    /// The contract's last day is over.
    ContractEnded = "contract_ended" 403 Counts Never "Contract ended"
        "The contract is no longer in force. Write to your contact.";
    /// The contract grants no such method and path.
    RouteUnknown = "route_unknown" 403 Counts Never "Not granted"
        "The contract grants no such method and path.";
    /// The token, or the contract's ceiling, lacks a scope that the route needs.
    ScopeMissing = "scope_missing" 403 Counts Never "Scope missing"
        "The access token lacks a scope that this route needs.";
    /// A GraphQL query goes around the rules of its answer, or cannot be judged.
    QueryForbidden = "query_forbidden" 403 Counts Never "Query not allowed"
        "Call each field by its own name: no alias or fragment may rename what the contract treats. Send the query itself, as JSON.";
    /// A parameter or a header field is not one that the route allows, or not of its form.
    ParameterForbidden = "parameter_forbidden" 403 Counts Never "Parameter not allowed"
        "A parameter or a header field is not one that the contract allows, comes twice, or is not of its form.";
    /// An egress call named a host, vendor or route that no contract lists.
    DestinationUnknown = "destination_unknown" 403 Counts Never "Unknown destination"
        "No contract lists this vendor, route or host.";
    /// The body is larger than its bound.
    BodyTooLarge = "body_too_large" 413 Counts Never "Body too large"
        "The body, or a part of it, is larger than its bound.";
    /// The request's body stopped, or came more slowly than its least pace. A slow line is no attack.
    BodyTimeout = "body_timeout" 408 Exempt Never "Body too slow"
        "The request's body stopped, or came too slowly. Send it again.";
    /// A PII rule applies and the body cannot be inspected.
    BodyOpaque = "body_opaque" 415 Counts Never "Body cannot be inspected"
        "Send a content type, charset and coding that the gateway can read, such as application/json in UTF-8 without compression.";
    /// Too many requests.
    RateLimited = "rate_limited" 429 Counts Overload "Too many requests"
        "Slow down and try again after the time in Retry-After.";
    /// Too many requests at once.
    ConcurrencyExceeded = "concurrency_exceeded" 429 Counts Overload "Too many requests at once"
        "Wait for an answer before the next request.";
    /// The record budget of the window is spent.
    RecordsExceeded = "records_exceeded" 429 Counts Overload "Record budget spent"
        "The record budget of the window is spent.";
    /// The byte budget of the window is spent.
    BytesExceeded = "bytes_exceeded" 429 Counts Overload "Byte budget spent"
        "The byte budget of the window is spent.";
    /// The upstream cannot be reached, or reset the exchange.
    UpstreamRefused = "upstream_refused" 502 Exempt Upstream "Upstream unreachable"
        "The upstream could not be reached or ended the exchange.";
    /// The upstream's answer cannot be read, or cannot be inspected under a PII rule.
    UpstreamUnreadable = "upstream_unreadable" 502 Exempt Never "Upstream answer refused"
        "The upstream's answer could not be read or could not be inspected.";
    /// The body is read, and is not what the contract's `records` describes.
    ShapeUnexpected = "shape_unexpected" 502 Exempt Never "Upstream answer of another shape"
        "The upstream's answer is not of the shape that the contract describes."
        egress 422 "Body of another shape" "The body is not of the shape that the contract's records describe: send them where it says, or change it.";
    /// The issuer's keys are not available and none are held.
    IssuerUnavailable = "issuer_unavailable" 503 Exempt Upstream "Issuer unavailable"
        "The keys to verify the access token are not available. Try again.";
    /// The credential by which the vendor knows us cannot be had now.
    CredentialUnavailable = "credential_unavailable" 503 Exempt Upstream "Vendor credential unavailable"
        "The gateway could not get the credential that the vendor asks for. Try again.";
    /// A secret by which the vendor knows us is older than the contract allows.
    CredentialExpired = "credential_expired" 503 Exempt Never "Vendor credential too old"
        "The secret by which the vendor knows us is older than the contract allows: it must be replaced.";
    /// The calling service's own token cannot be exchanged for one of the vendor.
    SubjectTokenRefused = "subject_token_refused" 401 Exempt Never "Token needed"
        "Send an access token of your own as 'Authorization: Bearer' that the vendor's token endpoint accepts.";
    /// The gateway itself is at a bound.
    Overloaded = "overloaded" 503 Exempt Overload "Overloaded"
        "The gateway is at a bound. Try again.";
    /// The circuit breaker of the upstream is open.
    UpstreamCircuitOpen = "upstream_circuit_open" 503 Exempt Upstream "Upstream failing"
        "Most requests to the upstream have failed, so none is sent for a time. Try again after the time in Retry-After.";
    /// The upstream did not answer within its deadline.
    UpstreamTimeout = "upstream_timeout" 504 Exempt Upstream "Upstream timeout"
        "The upstream did not answer in time.";
    /// The request would come back to this gateway, or has.
    LoopDetected = "loop_detected" 508 Exempt Never "Loop"
        "The request would come back to this gateway, or has passed it before.";
}

impl Reason {
    /// The stable word.
    pub const fn as_str(self) -> &'static str {
        self.row().word
    }

    /// What the caller reads.
    pub const fn problem(self, direction: Direction) -> RefusalText {
        match (direction, self.row()) {
            (Direction::Egress, ReasonRow { egress: Some(egress), .. }) => *egress,
            (Direction::Ingress | Direction::Egress, ReasonRow { problem, .. }) => *problem,
        }
    }

    /// When to try again, where a denial does not say it itself.
    pub const fn retry_advice(self) -> RetryAdvice {
        self.row().retry
    }

    /// Whether a denial says something about its caller, so that many of them in a short time suspend the vendor.
    pub const fn counts_towards_burst(self) -> bool {
        matches!(self.row().burst, Burst::Counts)
    }

    /// A place in a table of all reasons.
    pub const fn index(self) -> usize {
        self as usize
    }

    const fn row(self) -> &'static ReasonRow {
        &Self::ROWS[self.index()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_words_are_unique() {
        for (i, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(reason.index(), i);
        }
        let words: std::collections::BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(words.len(), Reason::ALL.len());
    }

    #[test]
    fn the_docs_list_every_reason_under_its_status() {
        let page = include_str!("../../docs/interface.md");
        let rows: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" | ")).collect();
        for (reason, direction) in Direction::ALL.into_iter().flat_map(|way| Reason::ALL.map(|reason| (reason, way))) {
            let (word, status) = (format!("`{}`", reason.as_str()), reason.problem(direction).status.to_string());
            assert!(
                rows.iter().any(|(shown, words)| shown.contains(&status) && words.contains(&word)),
                "{word} {status}"
            );
        }
    }

    #[test]
    fn denials_that_are_not_the_callers_doing_never_suspend_a_vendor() {
        let exempt = Reason::ALL.into_iter().filter(|reason| !reason.counts_towards_burst());
        let golden: Vec<_> = include_str!("../../tests/golden/reasons_exempt_from_bursts.txt").lines().collect();
        assert_eq!(exempt.map(Reason::as_str).collect::<Vec<_>>(), golden);
    }
}

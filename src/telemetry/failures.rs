//! The last requests that were refused or broke off, kept in memory for `vendorgate why REQUEST_ID`.
//!
//! Their number is bounded: a new one replaces the oldest. Requests of proven clients have a ring of their own, so that
//! a flood by strangers does not push them out. A request is kept with the fields of its log line, and nothing of a
//! body, a query, a raw path or a token. They are lost when the process ends; the log and the audit trail are
//! permanent.

use std::collections::VecDeque;
use std::sync::Mutex;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ExchangeLine;
use crate::bounds::{FAILURE_CAUSE_BYTES_MAX, FAILURES_PROVEN_MAX, FAILURES_UNPROVEN_MAX};
use crate::model::{Direction, Lock as _, Reason};

/// A request that was refused or broke off, as `GET /v1/requests` answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FailedRequest {
    /// The id in the answer to the caller.
    pub request_id: String,
    /// When its head was read (RFC 3339).
    pub time: String,
    /// The direction of the request.
    pub direction: Direction,
    /// The vendor whose contract decided; left out where no contract applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<String>,
    /// The vendor's client, where one was proven.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// Address and port of the connection's other end.
    pub peer: String,
    /// The method; `_OTHER` where HTTP does not know it.
    pub method: String,
    /// The path pattern of the route; left out where none matched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// The upstream's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// The status that was sent; 0 where none was.
    pub status: u16,
    /// The stable reason of the refusal; left out where the caller went away or the gateway stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How the answer ended before its last byte: `broken_off`, `caller_left` or `gateway_stopped`; left out where it
    /// did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
    /// What exactly happened, with the upstream's error where there was one.
    pub cause: String,
    /// Body bytes that were sent.
    pub bytes_out: u64,
    /// Microseconds from the head to the end.
    pub duration_us: u64,
}

/// The last failures.
#[derive(Debug, Default)]
pub struct RecentFailures {
    proven: Mutex<VecDeque<FailedRequest>>,
    unproven: Mutex<VecDeque<FailedRequest>>,
}

impl RecentFailures {
    /// Keeps a failure, in the place of the oldest where there is no room.
    pub fn keep(&self, line: &ExchangeLine<'_>) {
        let (ring, most) = match line.client {
            Some(_) => (&self.proven, FAILURES_PROVEN_MAX),
            None => (&self.unproven, FAILURES_UNPROVEN_MAX),
        };
        let failed = FailedRequest::of(line);
        let mut ring = ring.locked();
        if ring.len() >= most {
            ring.pop_front();
        }
        ring.push_back(failed);
    }

    /// The newest failures of a vendor, at most so many, the newest first.
    pub fn of_vendor(&self, vendor: &str, most: usize) -> Vec<FailedRequest> {
        let mut found: Vec<FailedRequest> = Vec::new();
        for ring in [&self.proven, &self.unproven] {
            let ring = ring.locked();
            found.extend(ring.iter().rev().filter(|it| it.vendor.as_deref() == Some(vendor)).take(most).cloned());
        }
        // The texts of times compare as the times do.
        found.sort_by(|a, b| b.time.cmp(&a.time));
        found.truncate(most);
        found
    }

    /// The failure of this id, while it is kept.
    pub fn find(&self, request_id: &str) -> Option<FailedRequest> {
        [&self.proven, &self.unproven].into_iter().find_map(|ring| {
            let ring = ring.locked();
            ring.iter().rev().find(|failed| failed.request_id == request_id).cloned()
        })
    }
}

impl FailedRequest {
    fn of(line: &ExchangeLine<'_>) -> Self {
        let cause = line.cause.unwrap_or_default();
        let end = (0..=FAILURE_CAUSE_BYTES_MAX.min(cause.len())).rev().find(|at| cause.is_char_boundary(*at));
        Self {
            request_id: line.request_id.to_owned(),
            time: line.at.to_string(),
            direction: line.direction,
            vendor: line.vendor.map(str::to_owned),
            client: line.client.map(str::to_owned),
            peer: line.peer.map(|peer| peer.to_string()).unwrap_or_default(),
            method: super::exchange_line::known_method(line.method).to_owned(),
            route: line.route.map(str::to_owned),
            upstream: line.upstream.map(str::to_owned),
            status: line.status,
            reason: line.reason.map(|reason| Reason::as_str(reason).to_owned()),
            ended: line.ended.map(|ended| ended.as_str().to_owned()),
            cause: cause[..end.unwrap_or_default()].to_owned(),
            bytes_out: line.bytes_out,
            duration_us: line.duration_us,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::UnixTime;

    fn line<'a>(request_id: &'a str, client: Option<&'a str>) -> ExchangeLine<'a> {
        ExchangeLine {
            at: UnixTime::from_secs(1),
            request_id,
            direction: Direction::Ingress,
            vendor: None,
            client,
            peer: None,
            method: "EVIL\n",
            route: None,
            upstream: None,
            status: 401,
            reason: Some(Reason::TokenMissing),
            ended: None,
            shape_unexpected: false,
            cause: Some("no token"),
            would_deny: Default::default(),
            records: 0,
            bytes_in: 0,
            bytes_out: 0,
            duration_us: 1,
            overhead_us: 1,
        }
    }

    #[test]
    fn requests_of_strangers_push_out_only_those_of_strangers() {
        let failures = RecentFailures::default();
        failures.keep(&line("ours", Some("acme-batch")));
        failures.keep(&line("first", None));
        for number in 0..FAILURES_UNPROVEN_MAX {
            failures.keep(&line(&number.to_string(), None));
        }
        assert_eq!(failures.find("first"), None);
        assert_eq!(failures.find("ours").expect("kept").cause, "no token");
        assert_eq!(failures.find("0").expect("kept").method, "_OTHER");
        assert_eq!(failures.unproven.lock().unwrap().len(), FAILURES_UNPROVEN_MAX);
    }

    #[test]
    fn a_long_cause_is_cut_between_characters() {
        let failures = RecentFailures::default();
        let cause = "é".repeat(FAILURE_CAUSE_BYTES_MAX);
        failures.keep(&ExchangeLine { cause: Some(&cause), ..line("long", None) });
        let kept = failures.find("long").expect("kept").cause;
        assert!(kept.len() <= FAILURE_CAUSE_BYTES_MAX && kept.len() + 2 > FAILURE_CAUSE_BYTES_MAX, "{}", kept.len());
    }
}

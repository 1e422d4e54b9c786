//! What is sent again to an upstream, how often, and what never is. Each target counts what reached it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::support::client::{Client, request};
use crate::support::test_gateway::TestGateway;
use crate::support::upstream::{CHUNKED, Upstream, ok};
use crate::upstream_targets::{call, fixture, gateway, get, saying, send};

/// An upstream that answers the first requests in this way, and all others with 200.
fn at_first(times: usize, answer: impl Into<Vec<u8>>) -> Upstream {
    let (count, answer) = (AtomicUsize::new(0), answer.into());
    Upstream::start(move |_, asker| {
        if count.fetch_add(1, Ordering::SeqCst) < times {
            return asker.write(&answer).is_ok() && !answer.is_empty();
        }
        asker.write(ok("application/json", "{}")).is_ok()
    })
}

fn unavailable(fields: &str) -> String {
    format!("HTTP/1.1 503 X\r\n{fields}Content-Length: 0\r\n\r\n")
}

#[test]
fn a_request_is_sent_again_only_where_it_may_arrive_twice() {
    for (keys, method, status, arrived) in [
        ("retry: { status: [503] }, ", "GET", 200, 2),
        ("retry: { status: [503] }, ", "DELETE", 200, 2),
        ("retry: { status: [503] }, ", "PUT", 200, 2),
        ("retry: { status: [503] }, ", "POST", 503, 1),
        ("retry: { status: [502] }, ", "GET", 503, 1),
        ("retry: {}, ", "GET", 503, 1),
        ("", "GET", 503, 1),
    ] {
        for is_egress in [false, true] {
            let upstream = at_first(1, unavailable(""));
            let gateway = gateway(&[&upstream], keys);
            let body = if matches!(method, "PUT" | "POST") { r#"{"a":1}"# } else { "" };
            assert_eq!(send(&gateway, is_egress, method, body).status, status, "{keys}{method}");
            let seen = upstream.seen();
            assert_eq!(seen.len(), arrived, "{keys}{method}");
            assert!(seen.iter().all(|seen| seen.body == body.as_bytes()), "the same bytes");
            assert_eq!(seen.first().map(|it| it.raw.clone()), seen.last().map(|it| it.raw.clone()));
        }
    }
}

#[test]
fn an_idempotency_key_counts_only_where_the_config_says_so() {
    for (keys, arrived) in [("idempotency_key: true, ", 2), ("", 1)] {
        let upstream = at_first(1, unavailable(""));
        let gateway = gateway(&[&upstream], &format!("retry: {{ {keys}status: [503] }}, "));
        let (address, text) = call(&gateway, true, "POST", "7", "{}");
        let text = text.replacen("\r\n", "\r\nIdempotency-Key: 7\r\n", 1);
        Client::to(address).send(text).answer();
        assert_eq!(upstream.seen().len(), arrived);
    }
}

#[test]
fn a_connection_that_breaks_off_before_an_answer_is_no_answer_and_one_that_breaks_off_after_its_head_is() {
    for (answer, status, arrived) in
        [(String::new(), 200, 2), ("HTTP/1.1 200".to_owned(), 200, 2), (format!("{CHUNKED}3\r\n{{\"a"), 200, 1)]
    {
        let upstream = {
            let (count, answer) = (AtomicUsize::new(0), answer.clone());
            Upstream::start(move |_, asker| {
                if count.fetch_add(1, Ordering::SeqCst) == 0 {
                    let _ = asker.write(&answer);
                    return false;
                }
                asker.write(ok("application/json", "{}")).is_ok()
            })
        };
        let gateway = gateway(&[&upstream], "retry: {}, ");
        assert_eq!(get(&gateway).status, status, "{answer}");
        assert_eq!(upstream.seen().len(), arrived, "{answer}");
    }
}

#[test]
fn another_target_is_preferred_and_a_time_to_wait_is_kept() {
    let (bad, good) = (saying(503), Upstream::json("{}"));
    let keys = "outlier_detection: { consecutive_failures: 1000 }, retry: { status: [503] }, ";
    let gateway = gateway(&[&bad, &good], keys);
    for _ in 0..10 {
        assert_eq!(get(&gateway).status, 200);
    }
    assert_eq!((bad.seen().len(), good.seen().len()), (5, 10));
    let labels = [r#"direction="egress""#, r#"result="sent""#];
    assert_eq!(gateway.metric("vendorgate_upstream_retries_total", &labels), Some(5));

    let busy = at_first(1, unavailable("Retry-After: 30\r\n"));
    let gateway = crate::upstream_targets::gateway(&[&busy], "retry: { status: [503] }, ");
    let answer = get(&gateway);
    assert_eq!((answer.status, answer.field("retry-after"), busy.seen().len()), (503, Some("30"), 1));
}

#[test]
fn a_target_that_hangs_is_given_up_for_another_in_time() {
    let (hangs, good) = (Upstream::start(|_, asker| asker.gone()), Upstream::json("{}"));
    let keys = "response_timeout: 20s, retry: { per_try_timeout: 200ms }, ";
    let gateway = TestGateway::start(fixture(&[hangs.address, good.address], keys, ""));
    for _ in 0..4 {
        assert_eq!(get(&gateway).status, 200);
    }
    assert_eq!((hangs.seen().len(), good.seen().len()), (2, 4));
}

#[test]
fn retries_of_all_requests_together_have_a_budget() {
    let upstream = saying(503);
    // One in a second over ten seconds, and none for the share of requests.
    let keys = "retry: { attempts: 3, status: [503], budget: { percent: 0, min_per_second: 1 } }, ";
    let gateway = gateway(&[&upstream], keys);
    for _ in 0..20 {
        assert_eq!(get(&gateway).status, 503);
    }
    assert_eq!(upstream.seen().len(), 20 + 10);
    let retries = |result: &str| {
        let result = format!("result=\"{result}\"");
        gateway.metric("vendorgate_upstream_retries_total", &[r#"direction="egress""#, &result])
    };
    assert_eq!(retries("sent"), Some(10));
    assert!(retries("over_budget") > Some(0));
}

#[test]
fn a_body_that_is_too_large_to_keep_is_sent_once() {
    let upstream = at_first(1, unavailable(""));
    let gateway = gateway(&[&upstream], "retry: { status: [503] }, ");
    let body = format!("[{}]", "7,".repeat(100_000) + "7");
    assert_eq!(send(&gateway, true, "PUT", &body).status, 503);
    assert_eq!(upstream.seen().len(), 1);
}

#[test]
fn a_kill_in_the_middle_ends_a_request_that_would_be_sent_again() {
    type Act = Box<dyn Fn() + Send>;
    let kill: Arc<Mutex<Option<Act>>> = Arc::default();
    let theirs = Arc::clone(&kill);
    // The vendor is killed while its answer, which would be asked for again, is on its way.
    let upstream = Upstream::start(move |_, asker| {
        if let Some(kill) = &*theirs.lock().expect("no panic") {
            kill();
        }
        asker.write(unavailable("")).is_ok()
    });
    let gateway = gateway(&[&upstream], "retry: { attempts: 5, status: [503] }, ");
    let (admin, token) =
        (gateway.addresses.admin.expect("a listener"), gateway.fixture.operator("operator").to_owned());
    *kill.lock().expect("no panic") = Some(Box::new(move || {
        let answer =
            crate::support::client::admin(admin, &token, "POST", "/v1/vendors/acme/kill", r#"{"reason":"leak"}"#);
        assert_eq!(answer.status, 200);
    }));
    let (address, text) = call(&gateway, true, "GET", "7", "");
    let answer = Client::to(address).send(text).answer();
    // The connection is reset, or the refusal still comes through it.
    assert!(answer.status == 0 || answer.reason() == "vendor_killed", "{}", answer.status);
    assert_eq!(upstream.seen().len(), 1);
    assert_eq!(Client::to(gateway.egress()).send(request("GET", "/acme/v1/orders/7", "", "")).answer().status, 403);
    assert_eq!(upstream.seen().len(), 1);
}

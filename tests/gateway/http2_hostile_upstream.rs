//! Upstreams that break the rules of HTTP/2: they are refused within bounds, and nothing of them is taken for whole.

use crate::http2_upstream::{gateway, get};
use crate::support::client::BodyEnd;
use crate::support::h2_frames::{CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, block, frame};
use crate::support::h2_upstream::{FrameUpstream, answer};

#[test]
fn a_hostile_upstream_is_refused_within_bounds() {
    type Frames = fn(u32) -> Vec<u8>;
    let fields = |count: usize| {
        let names: Vec<String> = (0..count).map(|at| format!("x-{at}")).collect();
        block(&names.iter().map(|name| (name.as_str(), "y")).collect::<Vec<_>>())
    };
    let rows: [(&str, Frames, u16, &str); 8] = [
        (
            "interim answers without end",
            |stream| {
                let mut out = Vec::new();
                for _ in 0..10_000 {
                    frame(&mut out, HEADERS, END_HEADERS, stream, &block(&[(":status", "103")]));
                }
                out
            },
            502,
            "upstream_unreadable",
        ),
        (
            "a head without end",
            |stream| {
                let mut out = Vec::new();
                frame(&mut out, HEADERS, 0, stream, &[0x88]);
                for _ in 0..5_000 {
                    frame(&mut out, CONTINUATION, 0, stream, &block(&[("x", "y")]));
                }
                out
            },
            502,
            "",
        ),
        (
            "a head beyond its size",
            |stream| {
                let mut out = Vec::new();
                frame(&mut out, HEADERS, 0, stream, &[0x88]);
                for last in [0, 0, 0, 0, 0, 0, 0, 0, 0, END_HEADERS] {
                    frame(&mut out, CONTINUATION, last, stream, &block(&[("x", "y".repeat(15_000).as_str())]));
                }
                out
            },
            502,
            "",
        ),
        ("fields of the connection", |stream| answer(stream, &block(&[("connection", "close")]), b""), 502, ""),
        (
            "a body before its head",
            |stream| {
                let mut out = Vec::new();
                frame(&mut out, DATA, END_STREAM, stream, b"x");
                out
            },
            502,
            "",
        ),
        (
            "two lengths",
            |stream| answer(stream, &block(&[("content-length", "1"), ("content-length", "2")]), b"x"),
            502,
            "",
        ),
        (
            "two equal lengths",
            |stream| answer(stream, &block(&[("content-length", "1"), ("content-length", "1")]), b"x"),
            502,
            "",
        ),
        ("HTTP/1.1", |_| b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec(), 502, ""),
    ];
    for (name, frames, status, reason) in rows {
        let vendor = FrameUpstream::start(move |_, stream| frames(stream));
        let gateway = gateway(vendor.address);
        let answer = get(&gateway, "/acme/one/a");
        assert_eq!(answer.status, status, "{name}");
        assert!(reason.is_empty() || answer.reason() == reason, "{name}: {}", answer.reason());
    }
    let vendor = FrameUpstream::start(move |_, stream| answer(stream, &fields(150), b""));
    assert_eq!(get(&gateway(vendor.address), "/acme/one/a").reason(), "upstream_unreadable");
}

#[test]
fn a_body_has_the_length_that_its_head_declares() {
    let vendor = FrameUpstream::start(|_, stream| answer(stream, &block(&[("content-length", "5")]), b"abc"));
    let answered = get(&gateway(vendor.address), "/acme/one/a");
    assert!(answered.status == 502 || answered.ending != BodyEnd::Whole, "{answered:?}");
    let vendor = FrameUpstream::start(|_, stream| answer(stream, &block(&[("content-length", "2")]), b"abc"));
    let answered = get(&gateway(vendor.address), "/acme/one/a");
    assert!(answered.status == 502 || answered.ending != BodyEnd::Whole, "{answered:?}");
    let vendor = FrameUpstream::start(|_, stream| {
        let mut out = answer(stream, &block(&[("content-length", "3")]), b"abc");
        frame(&mut out, DATA, END_STREAM, stream, b"surplus");
        out
    });
    let gateway = gateway(vendor.address);
    let answered = get(&gateway, "/acme/one/a");
    assert!(!answered.holds("surplus"), "{answered:?}");
    assert!(matches!(get(&gateway, "/acme/one/a").status, 200 | 502), "the next request has an answer of its own");
}

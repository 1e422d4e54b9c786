//! Shares of a rate in a model: what all gateways let through together, however the shares move.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::Random;
use crate::meter::RequestRate;
use crate::meter::lease::share::{LimitShare, SHARED_MILLIONTHS};
use crate::meter::rate::RequestLimiter;
use crate::model::{ClientId, Moment, UnixTime};

const RATE: u32 = 200;
const BURST: u32 = 300;

fn at(ms: u64) -> Moment {
    Moment { wall: UnixTime::from_millis(ms), monotonic_ns: ms * 1_000_000 }
}

proptest! {
    /// In any span at most `rate × span + burst + N` requests pass on N gateways.
    #[test]
    fn moving_shares_bring_no_second_burst(seed: u64, gateways in 1..7u64) {
        let mut random = Random(seed);
        let rate = |count| NonZeroU32::new(count).unwrap();
        let rate = RequestRate { count: rate(RATE), per: Duration::from_secs(1), burst: rate(BURST) };
        let nodes: Vec<_> = (0..gateways).map(|number| {
            let share = Arc::new(LimitShare::new(format!("acme:{number}").into()));
            let limiter = RequestLimiter::new(rate, &[], None);
            limiter.join_fleet(&share);
            (share, limiter)
        }).collect();
        let (mut passed, client) = (Vec::new(), ClientId::new("c"));
        for ms in (0..20_000_u64).step_by(5) {
            if ms.is_multiple_of(1_000) {
                let mut left = SHARED_MILLIONTHS;
                for (share, _) in &nodes {
                    let part = u32::try_from(random.below(u64::from(left) + 1)).unwrap();
                    left -= part;
                    share.answered(part, part, gateways, ms * 1_000_000);
                }
            }
            for (_, limiter) in &nodes {
                for _ in 0..random.below(6) {
                    if limiter.check(0, &client, at(ms)).refused.is_none() {
                        passed.push(ms);
                    }
                }
            }
        }
        for (first, from) in passed.iter().enumerate().step_by(37) {
            for (last, to) in passed.iter().enumerate().skip(first).step_by(41) {
                let (count, span_ms) = ((last - first + 1) as u64, to - from);
                let most = span_ms * u64::from(RATE) / 1_000 + u64::from(BURST) + gateways + 1;
                prop_assert!(count <= most, "{count} in {span_ms} ms, at most {most}");
            }
        }
        // What is divided equally passes whatever the engine hands out.
        prop_assert!(passed.len() as u64 >= 20 * u64::from(RATE) / 6, "{}", passed.len());
    }
}

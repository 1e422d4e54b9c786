//! A kill against a request that arrives at the same instant.
//!
//! The promise: when a kill has returned, every request that was let in has been told to leave. It holds because a
//! request registers before it asks. The same test with the two steps turned round must catch what then slips
//! through; if it did not, it would prove nothing.

use std::sync::Barrier;
use std::thread;

use super::*;
use crate::model::Direction;

#[test]
fn registered_before_the_check_nothing_slips_through() {
    assert_eq!(slipped(register_then_check), 0);
}

#[test]
fn registered_after_the_check_this_test_fails() {
    // A busy machine may run one thread after the other for a while; the gap is found sooner or later.
    let found = (0..20).any(|_| slipped(check_then_register) > 0);
    assert!(found, "the race was not hit: the test above could not fail");
}

fn register_then_check(gate: &VendorGate, gap: u32) -> Option<InFlight> {
    let in_flight = gate.register(Direction::Ingress, RouteTag::NONE, None);
    pause(gap);
    in_flight.check().ok().map(|()| in_flight)
}

/// The mistake, here only: between the answer and the registration a kill finds nothing to sever.
fn check_then_register(gate: &VendorGate, gap: u32) -> Option<InFlight> {
    if gate.is_armed() {
        return None;
    }
    pause(gap);
    Some(gate.register(Direction::Ingress, RouteTag::NONE, None))
}

/// Rounds of two requests and a kill at once; returns how many were let in and not severed.
fn slipped(enter: fn(&VendorGate, u32) -> Option<InFlight>) -> usize {
    const ROUNDS: u32 = 2_000;
    let bench = Bench::new();
    let gates: Vec<_> = (0..ROUNDS).map(|round| bench.gate(&format!("v{round}"))).collect();
    let barrier = Barrier::new(3);
    thread::scope(|scope| {
        let request = |offset: u32| {
            let (gates, barrier) = (&gates, &barrier);
            move || {
                let mut slipped = 0;
                for (round, gate) in (0..ROUNDS).zip(gates) {
                    barrier.wait();
                    pause((round * 7 + offset) % 200);
                    let entered = enter(gate, round % 50);
                    barrier.wait();
                    slipped += usize::from(entered.is_some_and(|in_flight| !in_flight.is_severed()));
                }
                slipped
            }
        };
        let requests = [scope.spawn(request(0)), scope.spawn(request(101))];
        for round in 0..ROUNDS {
            let order = bench.order(&format!("v{round}"), "{}");
            barrier.wait();
            pause(round % 220);
            drop(bench.switch.kill(order).unwrap());
            barrier.wait();
        }
        requests.into_iter().map(|request| request.join().unwrap()).sum()
    })
}

/// Some time for the others: a little of our own, or every other time all that they want.
fn pause(turns: u32) {
    for _ in 0..turns {
        std::hint::spin_loop();
    }
    if turns % 2 == 1 {
        thread::yield_now();
    }
}

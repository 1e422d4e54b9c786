//! The windows' tests.

use super::*;

const LENGTH: Duration = Duration::from_secs(10);

fn at(ns: u64) -> Moment {
    Moment { wall: UnixTime::from_millis(1_000_000 + ns / 1_000_000), monotonic_ns: ns }
}

fn window(budget: u64) -> SlidingWindow {
    SlidingWindow::new(NonZeroU64::new(budget).unwrap(), LENGTH)
}

#[test]
fn the_refusal_tells_exactly_when_there_is_room() {
    let window = window(10);
    window.take(4, at(0)).unwrap();
    window.take(6, at(5_000_000_000)).unwrap();
    for (count, room_for_it) in [(1, 4), (4, 4), (5, 10), (10, 10)] {
        let now = at(6_000_000_000);
        let wait = nanos(window.ask(count, now).unwrap_err().retry_after);
        assert!(window.peek(at(now.monotonic_ns + wait - 1)).remaining() < count, "{count} too early");
        let window = super::tests::window(10);
        window.take(4, at(0)).unwrap();
        window.take(6, at(5_000_000_000)).unwrap();
        assert_eq!(window.peek(at(now.monotonic_ns + wait)).remaining(), room_for_it, "{count}");
    }
    assert_eq!(window.ask(11, at(16_000_000_000)), Err(WindowSpent::budget(LENGTH)));
}

#[test]
fn threads_together_get_exactly_the_budget_while_time_passes() {
    let (window, ns) = (window(50_000), AtomicU64::new(0));
    // Many slots go by, but never the window: nothing comes back.
    let run = || {
        (0..20_000u64).fold(0, |granted, i| {
            let now = at(ns.fetch_add(100_000, Ordering::Relaxed));
            match window.take(1 + i % 3, now) {
                Ok(charge) if i % 7 == 0 => {
                    window.give_back(charge, charge.count);
                    granted
                }
                Ok(charge) => granted + charge.count,
                Err(_) => granted,
            }
        })
    };
    let granted: u64 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(run)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    let left = (0..10).take_while(|_| window.take(1, at(9_000_000_000)).is_ok()).count() as u64;
    assert_eq!(granted + left, 50_000);
}

#[test]
fn a_budget_of_one_is_never_granted_to_two_threads_at_once() {
    let (window, inside, most, entered) = (window(1), AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let enter = |_| {
        if let Ok(charge) = window.take(1, at(0)) {
            most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            entered.fetch_add(1, Ordering::SeqCst);
            inside.fetch_sub(1, Ordering::SeqCst);
            window.give_back(charge, 1);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..400_000).for_each(enter));
        }
    });
    assert_eq!((most.into_inner(), window.peek(at(0)).used), (1, 0));
    assert!(entered.into_inner() > 1_000);
}

#[test]
fn a_smaller_budget_keeps_what_is_used() {
    let window = window(10);
    window.take(8, at(0)).unwrap();
    window.set_budget(NonZeroU64::new(5).unwrap());
    assert!(window.take(1, at(1)).is_err());
    assert_eq!((window.peek(at(1)).remaining(), window.remaining_ratio(at(1))), (0, 0.0));
    window.set_budget(NonZeroU64::new(16).unwrap());
    assert_eq!(window.remaining_ratio(at(1)), 0.5);
}

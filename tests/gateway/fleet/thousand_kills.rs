//! Many kills at gateways drawn at random, while the engine starts anew again and again: none is lost.
//!
//! `VENDORGATE_FLEET_KILLS=1000` orders that many; without it there are fewer, so that the suite stays short.

use std::sync::atomic::{AtomicBool, Ordering};

use vendorgate::internals::model::Clock;

use super::engine::EngineFolder;
use super::{Member, crm};
use crate::support::until;

#[test]
#[ignore = "needs redis-server"]
fn no_kill_is_lost_while_the_engine_starts_anew() {
    let wanted = std::env::var("VENDORGATE_FLEET_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(60_usize);
    let (folder, crm) = (EngineFolder::new(), crm());
    let mut engine = folder.start(&[]);
    let gateways: Vec<_> = ["a", "b", "c"].map(|node| Member::start(&folder, &engine.place(), node, &crm)).into();
    // While nothing is disturbed: how long it takes until the last gateway has confirmed.
    let mut times: Vec<u64> = (0..wanted / 2).map(|number| kill(&gateways[number % 3], number, true)).collect();
    times.sort_unstable();
    let at = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)] as f64 / 1e6;
    println!(
        "from order to the last of 3 acknowledgements: p50 {:.2} ms, p99 {:.2} ms, n {}",
        at(50),
        at(99),
        times.len()
    );
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::SeqCst) {
                std::thread::sleep(std::time::Duration::from_millis(700));
                engine.restart();
            }
        });
        for number in wanted / 2..wanted {
            // A small generator: any order of gateways will do.
            kill(&gateways[number.wrapping_mul(2_654_435_761) % 3], number, false);
        }
        stop.store(true, Ordering::SeqCst);
    });
    for gateway in &gateways {
        let killed = || {
            let status = gateway.status("acme");
            status["kills"].as_array().map_or(0, Vec::len)
        };
        until("every kill is in force here", || killed() == wanted);
    }
}

/// Kills a client of its own, so that every order is a kill of its own. Returns how long the answer took.
fn kill(gateway: &Member, number: usize, all: bool) -> u64 {
    let clock = Clock::system();
    let began = clock.now().monotonic_ns;
    let body = format!(r#"{{"reason":"x","client":"client-{number}","unseen":true,"wait":"10ms"}}"#);
    let body = if all { body.replace("10ms", "20s") } else { body };
    let answer = gateway.order("operator", "/v1/vendors/acme/kill", &body);
    assert!(!all || answer["fleet"]["missing"].is_null(), "{answer}");
    clock.now().monotonic_ns - began
}

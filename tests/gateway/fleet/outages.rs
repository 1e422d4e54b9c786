//! The engine killed, frozen, wiped, put back from an old copy and full of garbage: no request waits, no kill is lost.

use std::fs;

use serde_json::json;
use vendorgate::internals::model::Clock;

use super::engine::EngineFolder;
use super::{Member, WHY, a_moment, crm};
use crate::support::until;

#[test]
#[ignore = "needs redis-server"]
fn without_the_engine_kills_hold_here_restores_wait_and_all_is_made_up_for() {
    let (folder, crm) = (EngineFolder::new(), crm());
    let mut engine = folder.start(&[]);
    let [a, b] = ["a", "b"].map(|node| Member::start(&folder, &engine.place(), node, &crm));
    b.kill("other");
    a.until_knows(2);
    engine.stop();
    let killed = a.kill("acme");
    assert_eq!(killed["fleet"], json!({ "acked": 1, "of": 2, "missing": ["b"] }), "{killed}");
    assert!(a.get() == 403 && b.get() == 200, "b cannot know");
    let refused = a.process().admin(&a.fixture, "admin", "POST", "/v1/vendors/other/restore", WHY);
    assert_eq!((refused.status, refused.json()["reason"].as_str()), (503, Some("fleet_away")), "{}", refused.text());
    assert!(a.is_killed("other"), "a restore that the fleet is not told of does not happen");
    let (code, said) = a.process().cli(&a.fixture, "operator", &["kill", "acme", "--reason", "x", "--wait", "1s"]);
    assert!(code == Some(1) && said.contains("1 of 2 gateways have confirmed, not b"), "{said}");
    let ready = b.process().admin(&b.fixture, "viewer", "GET", "/readyz", "");
    assert_eq!(ready.status, 200, "a gateway that has synced once stays ready");
    engine.restart();
    b.until_killed("acme");
    until("the engine is back for restores", || {
        a.process().admin(&a.fixture, "admin", "POST", "/v1/vendors/other/restore", WHY).status == 200
    });
    b.until_live("other");
    let (code, said) = b.process().cli(&b.fixture, "operator", &["kill", "other", "--reason", "x", "--wait", "5s"]);
    assert!(code == Some(0) && a.is_killed("other"), "{said}");
}

#[test]
#[ignore = "needs redis-server"]
fn without_the_engine_an_order_goes_to_each_gateway_directly() {
    let (folder, crm) = (EngineFolder::new(), crm());
    let mut engine = folder.start(&[]);
    let [a, b] = ["a", "b"].map(|node| Member::start(&folder, &engine.place(), node, &crm));
    // One operators' file for both, as a fleet has it.
    fs::copy(a.fixture.path().join("operators.yaml"), b.fixture.path().join("operators.yaml")).expect("copied");
    assert_eq!(b.process().admin(&b.fixture, "admin", "POST", "/v1/reload", "{}").status, 200);
    engine.stop();
    let gone = "http://127.0.0.1:1";
    let places = format!("http://{},{gone},http://{}", a.process().admin, b.process().admin);
    let arguments = ["kill", "acme", "--reason", "the engine is gone", "--direct", &places];
    let (code, said) = a.process().cli(&a.fixture, "operator", &arguments);
    assert!(code == Some(1) && said.contains(&format!("NOT CUT OFF at {gone}")), "{said}");
    assert!(a.is_killed("acme") && a.get() == 403 && b.get() == 403, "{said}");
    engine.restart();
    until("the engine is back", || {
        a.process().admin(&a.fixture, "admin", "POST", "/v1/vendors/acme/restore", WHY).status == 200
    });
    until("b is let back too, once its own order was read by a", || {
        let _ = a.process().admin(&a.fixture, "admin", "POST", "/v1/vendors/acme/restore", WHY);
        b.get() == 200 && a.get() == 200
    });
}

#[test]
#[ignore = "needs redis-server"]
fn a_wiped_engine_and_an_old_copy_undo_no_kill() {
    let (folder, crm) = (EngineFolder::new(), crm());
    let mut engine = folder.start(&[]);
    let [mut a, b] = ["a", "b"].map(|node| Member::start(&folder, &engine.place(), node, &crm));
    // The copy knows a kill that is restored later, and does not know one that comes later.
    a.kill("other");
    let copy = folder.path().join("copy");
    copy_folder(engine.home(), &copy);
    b.restore("other");
    a.kill("acme");
    engine.say(&["FLUSHALL"]);
    until("it is written back", || engine.say(&["HKEYS", "vg:{test}:k"]).matches("kill/").count() == 2);
    a_moment();
    assert!(a.is_killed("acme") && b.is_killed("acme") && !a.is_killed("other") && !b.is_killed("other"));
    engine.stop();
    fs::remove_dir_all(engine.home()).expect("removed");
    copy_folder(&copy, engine.home());
    engine.restart();
    until("what the copy does not know is written back", || {
        engine.say(&["HGETALL", "vg:{test}:k"]).matches("acme").count() > 0
    });
    a_moment();
    assert!(a.is_killed("acme") && b.is_killed("acme") && !a.is_killed("other") && !b.is_killed("other"));
    // A gateway that was down meanwhile learns all of it.
    a.restart();
    assert!(a.is_killed("acme") && !a.is_killed("other"));
}

#[test]
#[ignore = "needs redis-server"]
fn a_frozen_engine_costs_no_request_anything() {
    let (folder, crm) = (EngineFolder::new(), crm());
    let engine = folder.start(&[]);
    let [a, b] = ["a", "b"].map(|node| Member::start(&folder, &engine.place(), node, &crm));
    let slowest = |gateway: &Member| {
        let clock = Clock::system();
        let times = (0..200).map(|_| {
            let began = clock.now().monotonic_ns;
            assert_eq!(gateway.get(), 200);
            clock.now().monotonic_ns - began
        });
        let mut times: Vec<_> = times.collect();
        times.sort_unstable();
        times[100]
    };
    let before = slowest(&a);
    engine.freeze(true);
    let frozen = slowest(&a);
    assert!(frozen < before * 3 + 5_000_000, "half of the requests took {frozen} ns, {before} before");
    let killed = a.kill("acme");
    assert_eq!((killed["fleet"]["acked"].as_u64(), a.get()), (Some(1), 403), "{killed}");
    until("the freeze is told", || a.metric("vendorgate_fleet_partitioned") == Some(1.0));
    engine.freeze(false);
    b.until_killed("acme");
    until("the thaw is told", || a.metric("vendorgate_fleet_partitioned") == Some(0.0));
}

#[test]
#[ignore = "needs redis-server"]
fn garbage_in_the_engine_breaks_nothing_and_news_of_a_newer_version_is_kept() {
    let (folder, crm) = (EngineFolder::new(), crm());
    let engine = folder.start(&[]);
    let [mut a, b] = ["a", "b"].map(|node| Member::start(&folder, &engine.place(), node, &crm));
    a.kill("acme");
    for (key, value) in [
        ("kill/x", "garbage"),
        ("kill/y", "1 1 0 {}"),
        ("revocation/z", "1 1 0 []"),
        ("schedule/1", "1 0 0 {\"v\":1}"),
        ("later/kind", "7 0 0 {\"v\":9}"),
    ] {
        engine.say(&["HSET", "vg:{test}:k", key, value]);
    }
    engine.say(&["XADD", "vg:{test}:s", "*", "v", "9", "what", "ever"]);
    engine.say(&["HSET", "vg:{test}:n", "noise", "not a heartbeat"]);
    b.kill("other");
    until("orders still travel", || a.is_killed("other"));
    a.restart();
    assert!(a.is_killed("acme") && a.is_killed("other"));
    engine.say(&["FLUSHALL"]);
    until("what only newer gateways know is written back too", || {
        engine.say(&["HGET", "vg:{test}:k", "later/kind"]).contains("\"v\":9")
    });
}

#[test]
#[ignore = "needs redis-server"]
fn a_start_without_the_engine_serves_by_the_last_state_or_refuses() {
    let (folder, crm) = (EngineFolder::new(), crm());
    let mut engine = folder.start(&[]);
    let mut a = Member::start(&folder, &engine.place(), "a", &crm);
    a.kill("acme");
    a.crash();
    engine.stop();
    a.fixture = a.fixture.with("  start_wait: 1s\n");
    a.restart();
    assert!(a.is_killed("acme") && !a.is_killed("other"));
    a.crash();
    a.fixture = a.fixture.with("  on_start: refuse\n");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_vendorgate"))
        .args(["run", "--config"])
        .arg(a.fixture.main())
        .output()
        .expect("the program runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("the fleet cannot be joined"), "{said}");
    assert!(!said.contains("a-password-of-the-engine"));
}

fn copy_folder(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let there = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &there);
        } else {
            fs::copy(entry.path(), there).expect("copied");
        }
    }
}

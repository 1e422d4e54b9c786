//! What falls into a drill, or between two approvals, or beside a row that a probe has written: it stands.

use super::*;
use crate::model::Direction;
use crate::store::Store;

const ALL: &str = "{}";

fn is_live(gate: &VendorGate) -> bool {
    gate.register(Direction::Ingress, RouteTag::of("GET /a"), None).check().is_ok()
}

/// Does something while a drill of `acme` is under way, whose stream does not leave before that.
async fn during_a_drill(bench: &Bench, act: impl AsyncFnOnce(&Bench)) -> DrillReport {
    let gate = bench.gate("acme");
    let mut stream = gate.register(Direction::Ingress, RouteTag::NONE, None);
    let switch = Arc::clone(&bench.switch);
    let drill =
        tokio::spawn(async move { switch.drill(&vendor("acme"), false, "eve", "exercise", switch.clock.now()).await });
    stream.severed().await;
    act(bench).await;
    drop(stream);
    drill.await.unwrap().unwrap()
}

/// An order of some kind.
async fn give(bench: &Bench, what: &str) {
    let now = bench.switch.clock.now();
    let kill = |target: &str, selector: &str| drop(bench.switch.kill(bench.order(target, selector)).unwrap());
    match what {
        "a narrow kill" => kill("acme", r#"{"direction":"ingress"}"#),
        "a kill of all" => kill("*", ALL),
        "a trip" => {
            let evidence = Evidence { at: now.wall, kind: "denial_burst".to_owned(), detail: String::new() };
            bench.switch.trip(&vendor("acme"), evidence, None, now);
        }
        "a kill that is due" => {
            bench.switch.schedule(&bench.order("acme", ALL), now.wall).await.unwrap();
            bench.switch.kill_due(now).await;
        }
        "a kill, its restore, a kill" => {
            kill("acme", ALL);
            bench.restore("acme", ALL, "bob", 1).await.unwrap();
            kill("acme", ALL);
        }
        _ => kill("acme", ALL),
    }
}

#[test]
fn a_kill_ordered_during_a_drill_is_in_force_after_it() {
    let all =
        ["a kill", "a narrow kill", "a kill of all", "a trip", "a kill that is due", "a kill, its restore, a kill"];
    for what in all {
        run(async {
            let bench = Bench::new();
            let gate = bench.gate("acme");
            let report = during_a_drill(&bench, async |bench| give(bench, what).await).await;
            assert!(report.state != VendorState::Live && !is_live(&gate), "{what} was taken back");
            assert!(bench.switch.retry_unconfirmed().await);
            let again = Bench::on(bench.switch.store.clone());
            assert!(!is_live(&again.gate("acme")), "{what} is forgotten by a restart");
            assert_eq!(bench.restore("acme", ALL, "bob", 2).await.unwrap().lifted, 0, "{what}: two are asked for");
        });
    }
}

#[test]
fn a_person_ends_a_drill_early_and_the_drill_then_ends_nothing() {
    run(async {
        let bench = Bench::new();
        let report = during_a_drill(&bench, async |bench| {
            assert_eq!(bench.restore("acme", ALL, "bob", 1).await.unwrap().lifted, 1);
        })
        .await;
        assert_eq!(report.state, VendorState::Live);
        let restores = bench.seen.lock().unwrap().iter().filter(|event| event.act == AuditAct::Restore).count();
        assert_eq!(restores, 1, "what was lifted once is told once");
    });
}

#[test]
fn a_second_drill_makes_a_kill_of_its_own() {
    run(async {
        let bench = Bench::new();
        during_a_drill(&bench, async |bench| {
            let second = bench.switch.drill(&vendor("acme"), false, "dan", "me too", bench.switch.clock.now()).await;
            assert!(matches!(second, Err(KillError::AlreadyKilled)), "{second:?}");
        })
        .await;
        assert!(is_live(&bench.gate("acme")));
    });
}

#[test]
fn a_shadow_drill_hides_nobody_from_a_later_kill_of_everything() {
    run(async {
        let bench = Bench::new();
        bench.gate("acme");
        bench.switch.drill(&vendor("acme"), true, "eve", "exercise", bench.switch.clock.now()).await.unwrap();
        bench.kill("*", ALL).await;
        let again = Bench::on(bench.switch.store.clone());
        assert!(!is_live(&again.gate("acme")), "a restart forgets the kill");
    });
}

#[test]
fn a_row_from_before_a_kill_of_everything_says_nothing_about_it() {
    run(async {
        let bench = Bench::new();
        bench.gate("acme");
        bench.kill("*", ALL).await;
        let mut batch = crate::store::WriteBatch::new();
        let row = br#"{"generation":0,"kills":[],"approvals":[]}"#;
        batch.put_bytes(crate::store::StoreTable::Kills, b"acme", [b"\x01", &row[..]].concat());
        bench.switch.store.write(batch).await.unwrap();
        assert!(!is_live(&Bench::on(bench.switch.store.clone()).gate("acme")));
    });
}

#[test]
fn an_approval_counts_for_the_kills_that_were_in_force_when_it_was_given() {
    run(async {
        let bench = Bench::new();
        let gate = bench.gate("acme");
        let between: [(&str, &str); 3] = [("acme", ALL), ("acme", r#"{"client":"c"}"#), ("*", ALL)];
        for (target, selector) in between {
            bench.kill("acme", ALL).await;
            assert_eq!(bench.restore("acme", ALL, "alice", 2).await.unwrap().approvals.given, 1);
            bench.kill(target, selector).await;
            let second = bench.restore("acme", ALL, "bob", 2).await.unwrap();
            assert_eq!((second.lifted, second.approvals.given), (0, 1), "{target} {selector} came after the first yes");
            assert!(!is_live(&gate));
            assert_ne!(bench.restore("acme", ALL, "alice", 2).await.unwrap().lifted, 0);
        }
        bench.kill("*", ALL).await;
        assert_eq!(bench.restore("*", ALL, "alice", 2).await.unwrap().lifted, 0);
        bench.gate("newcomer");
        let alone = bench.restore("newcomer", ALL, "bob", 2).await.unwrap();
        assert_eq!((alone.lifted, alone.approvals.given), (0, 1), "a yes to all is no yes to one");
    });
}

#[test]
fn approvals_of_an_older_version_open_and_count_for_nothing() {
    run(async {
        let store = Store::in_memory().unwrap();
        let kill = r#"{"generation":1,"at":"2026-01-01T00:00:00Z","by":"a","reason":"r","origin":"operator"}"#;
        let at = Clock::system().now().wall;
        let row =
            format!(r#"{{"generation":1,"kills":[{kill}],"approvals":[{{"by":"alice","reason":"r","at":"{at}"}}]}}"#);
        let mut batch = crate::store::WriteBatch::new();
        batch.put_bytes(crate::store::StoreTable::Kills, b"acme", [b"\x01", row.as_bytes()].concat());
        store.write(batch).await.unwrap();
        let bench = Bench::on(store);
        assert_eq!(bench.restore("acme", ALL, "bob", 2).await.unwrap().lifted, 0, "it does not say to what");
        assert_eq!(bench.restore("acme", ALL, "alice", 2).await.unwrap().lifted, 1);
    });
}

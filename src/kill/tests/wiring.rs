//! The switch with what stands beside it: the queue for hooks and the audit trail.

use super::*;
use crate::audit::{AuditKey, AuditTrail, AuditTrailSettings, OnAuditFailure, verify_files};
use crate::model::UnixTime;

#[test]
fn a_kill_and_its_event_for_the_hooks_are_one_write_and_a_drill_notifies_no_hook() {
    run(async {
        let bench = Bench::new();
        bench.gate("acme");
        let queued = || bench.switch.store.range::<QueuedEvent>(b"", None, 10).unwrap();
        bench.kill("acme", "{}").await;
        bench.restore("acme", "{}", "bob", 1).await.unwrap();
        assert!(queued().is_empty(), "nobody asked");
        bench.switch.queue_for_hooks(true);
        bench.switch.drill(&vendor("acme"), false, "bob", "exercise", bench.switch.clock.now()).await.unwrap();
        assert!(queued().is_empty(), "an exercise pages nobody");
        bench.kill("acme", "{}").await;
        let again = KillOrder { by: "dave".to_owned(), reason: "me too".to_owned(), ..bench.order("acme", "{}") };
        drop(bench.switch.kill(again).unwrap());
        assert_eq!(bench.switch.status()[0].kills[0].evidence[1].detail, "dave: me too");
        bench.restore("acme", "{}", "bob", 1).await.unwrap();
        let told: Vec<_> = queued().into_iter().map(|(_, row)| (row.event.act, row.event.by)).collect();
        let again = bench.seen.lock().unwrap().iter().find(|event| event.act == AuditAct::KillAgain).cloned().unwrap();
        assert_eq!((again.by.as_str(), again.reason.as_str()), ("dave", "me too"));
        assert_eq!(told, [(AuditAct::Kill, "alice".to_owned()), (AuditAct::Restore, "bob".to_owned())]);
    });
}

#[test]
fn every_act_is_in_the_audit_trail() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let settings =
        AuditTrailSettings { path: path.clone(), rotate_bytes: 1 << 20, on_failure: OnAuditFailure::KeepServing };
    run(async {
        let audit = Arc::new(AuditTrail::open(&settings, AuditKey::new([1; 32]), Clock::system()).unwrap());
        let seen = Arc::default();
        let told = notify_all(vec![audit_listener(audit), listener(&seen)]);
        let switch = Arc::new(KillSwitch::load(Store::in_memory().unwrap(), Clock::system(), told).unwrap());
        let bench = Bench { switch, seen };
        bench.gate("acme");
        bench.kill("acme", r#"{"client":"c"}"#).await;
        bench.restore("acme", "{}", "bob", 2).await.unwrap();
        bench.restore("acme", "{}", "carol", 2).await.unwrap();
        bench.switch.drill(&vendor("acme"), true, "bob", "exercise", bench.switch.clock.now()).await.unwrap();
        let evidence = Evidence { at: UnixTime::default(), kind: "denial_burst".to_owned(), detail: "100".to_owned() };
        bench.switch.trip(&vendor("acme"), evidence, None, bench.switch.clock.now());
    });
    verify_files(&path, &AuditKey::new([1; 32]), 1).unwrap();
    let gates: Vec<serde_json::Value> =
        std::fs::read_to_string(&path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let acts: Vec<_> =
        gates.iter().map(|gate| (gate["act"].as_str().unwrap(), gate["actor"].as_str().unwrap())).collect();
    let expected =
        [("kill", "alice"), ("approve", "bob"), ("restore", "carol"), ("drill", "bob"), ("kill", GATEWAY_ACTOR)];
    assert_eq!(acts, expected);
    assert_eq!(gates[0]["detail"]["reach"]["client"], "c");
    assert_eq!(gates[4]["detail"]["evidence"][0]["kind"], "denial_burst");
}

/// Compiles only if the admin listener may run these on any worker.
#[test]
fn the_futures_of_orders_can_move_between_threads() {
    run(async {
        let bench = Bench::new();
        bench.gate("acme");
        let task = async move {
            bench.kill("acme", "{}").await;
            bench.restore("acme", "{}", "bob", 1).await.unwrap();
            bench.switch.drill(&vendor("acme"), true, "bob", "exercise", bench.switch.clock.now()).await.unwrap();
            bench.switch.retry_unconfirmed().await
        };
        assert!(tokio::spawn(task).await.unwrap());
    });
}

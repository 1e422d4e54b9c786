//! What is ordered at one gateway holds at all of them: kills, restores, approvals, revocations, kills to come, drills.

use serde_json::json;

use super::engine::EngineFolder;
use super::{Member, WHY, a_moment, crm, is_severed};
use crate::support::until;

#[test]
#[ignore = "needs redis-server"]
fn a_kill_at_one_gateway_severs_at_all_and_a_restore_lets_back_at_all() {
    let (folder, crm) = (EngineFolder::new(), crm());
    let engine = folder.start(&[]);
    let gateways: Vec<_> = ["a", "b", "c"].map(|node| Member::start(&folder, &engine.place(), node, &crm)).into();
    let mut streams: Vec<_> = gateways.iter().flat_map(|gateway| (0..5).map(|_| gateway.begin())).collect();
    let killed = gateways[0].kill("acme");
    assert_eq!(killed["fleet"], json!({ "acked": 3, "of": 3 }), "{killed}");
    assert!(streams.iter_mut().all(is_severed), "on every gateway");
    for gateway in &gateways {
        assert_eq!(gateway.get(), 403);
        assert!(gateway.status("acme")["kills"][0]["by"] == "operator" && !gateway.is_killed("other"));
    }
    // The same order again, elsewhere: one kill, and one restore ends it.
    assert_eq!(gateways[1].kill("acme")["fleet"]["acked"], 3);
    gateways[2].restore("acme");
    gateways.iter().for_each(|gateway| gateway.until_live("acme"));
    assert!(gateways.iter().all(|gateway| gateway.get() == 200));
    let audit = gateways[1].process().admin(&gateways[1].fixture, "viewer", "GET", "/v1/audit?limit=50", "").text();
    assert!(audit.contains(r#""gateway":"a""#) && audit.contains(r#""gateway":"c""#), "{audit}");
}

#[test]
#[ignore = "needs redis-server"]
fn a_kill_of_everything_is_restored_vendor_by_vendor() {
    let (folder, crm) = (EngineFolder::new(), crm());
    let engine = folder.start(&[]);
    let [mut a, b] = ["a", "b"].map(|node| Member::start(&folder, &engine.place(), node, &crm));
    let all = a.order("operator", "/v1/kill", WHY);
    assert_eq!(all["vendors"][0]["fleet"]["acked"], 2, "{all}");
    assert!(b.is_killed("acme") && b.is_killed("other"));
    b.restore("acme");
    a.until_live("acme");
    assert!(a.is_killed("other") && b.is_killed("other"));
    a.restart();
    assert!(a.is_killed("other") && !a.is_killed("acme"), "{}", a.status("acme"));
    b.order("admin", "/v1/restore", WHY);
    a.until_live("other");
}

#[test]
#[ignore = "needs redis-server"]
fn two_people_may_approve_at_two_gateways() {
    let (folder, crm) = (EngineFolder::new(), crm());
    let engine = folder.start(&[]);
    let two = "restore: { approvals: 2 }\n";
    let [a, b] = ["a", "b"].map(|node| Member::with(&folder, &engine.place(), node, &crm, two));
    a.kill("acme");
    assert_eq!(a.restore("acme")["approvals"], json!({ "given": 1, "needed": 2 }));
    until("the approval is known", || b.status("acme")["approvals"][0]["by"] == "admin");
    assert_eq!(b.restore("acme")["approvals"]["given"], 1, "the same person twice");
    // A kill that came after the approval is not approved by it.
    b.kill("acme");
    until("the approval does not count", || a.status("acme")["approvals"].is_null());
    a.restore("acme");
    until("the approval is known", || b.status("acme")["approvals"][0]["by"] == "admin");
    let answer = b.order("second", "/v1/vendors/acme/restore", WHY);
    assert_eq!(answer["state"], "live", "{answer}");
    a.until_live("acme");
}

#[test]
#[ignore = "needs redis-server"]
fn a_revocation_holds_at_all_until_it_is_lifted_and_stays_lifted() {
    let (folder, crm) = (EngineFolder::new(), crm());
    let engine = folder.start(&[]);
    let [mut a, b] = ["a", "b"].map(|node| Member::start(&folder, &engine.place(), node, &crm));
    let mut stream = b.begin();
    let client = r#"{"reason":"x","client":"acme-client"}"#;
    let revoked = a.order("operator", "/v1/vendors/acme/revocations", client);
    assert_eq!(revoked["fleet"], json!({ "acked": 2, "of": 2 }), "{revoked}");
    assert!(is_severed(&mut stream) && b.get() == 401 && a.get() == 401);
    a.crash();
    b.order("admin", "/v1/vendors/acme/revocations/lift", client);
    assert_eq!(b.get(), 200);
    a.restart();
    until("the lift has come", || a.get() == 200);
    a_moment();
    assert_eq!(b.get(), 200, "a start brings back nothing that was lifted");
}

#[test]
#[ignore = "needs redis-server"]
fn a_kill_to_come_is_carried_out_though_its_gateway_is_gone() {
    let (folder, crm) = (EngineFolder::new(), crm());
    let engine = folder.start(&[]);
    let [mut a, b] = ["a", "b"].map(|node| Member::start(&folder, &engine.place(), node, &crm));
    let path = "/v1/vendors/acme/kill";
    a.order("operator", path, r#"{"reason":"notice","at":"4s"}"#);
    let later = a.order("operator", "/v1/vendors/other/kill", r#"{"reason":"notice","at":"1h"}"#);
    let listed = || b.process().admin(&b.fixture, "viewer", "GET", "/v1/scheduled-kills", "").json();
    until("both are known", || listed()["scheduled"].as_array().is_some_and(|rows| rows.len() == 2));
    a.crash();
    b.until_killed("acme");
    let cancel = format!(r#"{{"reason":"signed again","id":{}}}"#, later["id"]);
    b.order("admin", "/v1/scheduled-kills/cancel", &cancel);
    b.restore("acme");
    a.restart();
    a_moment();
    let theirs = a.process().admin(&a.fixture, "viewer", "GET", "/v1/scheduled-kills", "").json();
    assert_eq!(theirs["scheduled"], json!([]), "it was carried out, and the other was taken back");
    assert!(!a.is_killed("acme") && !b.is_killed("acme"), "a late gateway does not kill again what was restored");
}

#[test]
#[ignore = "needs redis-server"]
fn a_drill_is_everybodys_and_ends_at_all() {
    let (folder, crm) = (EngineFolder::new(), crm());
    let engine = folder.start(&[]);
    let [a, b] = ["a", "b"].map(|node| Member::start(&folder, &engine.place(), node, &crm));
    let mut stream = b.begin();
    a.order("operator", "/v1/vendors/acme/drill", "{}");
    assert!(is_severed(&mut stream));
    b.until_live("acme");
    until("the drill is known", || b.status("acme")["last_drill"].is_string());
    // A real kill that crosses a drill stays.
    b.kill("acme");
    let refused = a.process().admin(&a.fixture, "operator", "POST", "/v1/vendors/acme/drill", "{}");
    assert_eq!(refused.status, 409);
    a_moment();
    assert!(a.is_killed("acme") && b.is_killed("acme"));
}

//! What operators see of a fleet: gateways that are gone, contracts that differ, a trail that was cut, an engine that
//! may lose orders.

use std::fs;
use std::path::Path;

use vendorgate::internals::config::{ConfigLoader, FaultSeverity};
use vendorgate::internals::model::UnixTime;

use super::engine::EngineFolder;
use super::{Member, TERMS, crm};
use crate::support::until;

#[test]
#[ignore = "needs redis-server"]
fn gateways_that_differ_are_named() {
    let (folder, crm) = (EngineFolder::new(), crm());
    let engine = folder.start(&[]);
    let [a, mut b] = ["a", "b"].map(|node| Member::start(&folder, &engine.place(), node, &crm));
    a.until_knows(2);
    let of_b = |fleet: serde_json::Value| fleet["gateways"][1].clone();
    until("they agree", || {
        of_b(a.fleet())["differs"].is_null() && a.metric("vendorgate_fleet_nodes{state=\"live\"}") == Some(2.0)
    });
    b.fixture.write_contract("other", &format!("name: changed\n{TERMS}"));
    assert_eq!(b.process().admin(&b.fixture, "admin", "POST", "/v1/reload", "{}").status, 200);
    until("b has another contract", || of_b(a.fleet())["differs"][0] == "other");
    assert_eq!(a.metric("vendorgate_fleet_contracts_differ"), Some(1.0));
    let (code, said) = a.process().cli(&a.fixture, "viewer", &["status", "--fleet"]);
    assert!(code == Some(0) && said.contains("other contracts: other"), "{said}");
    assert!(of_b(a.fleet())["audit_cut"].is_null());
    // b's trail is replaced by an empty one while b is down.
    b.crash();
    fs::remove_dir_all(b.fixture.path().join("state/audit")).expect("removed");
    b.restart();
    until("the cut is told", || of_b(a.fleet())["audit_cut"] == true);
    b.process().signal("TERM");
    b.process.as_mut().expect("it runs").ended();
    a.until_knows(1);
}

#[test]
#[ignore = "needs redis-server"]
fn a_strict_check_connects_and_names_what_may_lose_an_order() {
    let (folder, crm) = (EngineFolder::new(), crm());
    let mut engine = folder.start(&["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"]);
    let a = Member::start(&folder, &engine.place(), "a", &crm);
    let check = || {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_vendorgate"))
            .args(["check", "--strict", "--config"])
            .arg(a.fixture.main())
            .output()
            .expect("the program runs");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (code, said) = check();
    assert!(code == Some(1) && said.contains("maxmemory-policy is allkeys-lru; set noeviction"), "{said}");
    engine.say(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    assert!(!check().1.contains("fleet.redis"));
    engine.stop();
    let (code, said) = check();
    assert!(code == Some(1) && said.contains("fleet.redis: cannot connect to 127.0.0.1"), "{said}");
    fs::write(folder.path().join("password"), "wrong").expect("written");
    engine.restart();
    let (_, said) = check();
    assert!(said.contains("authentication failed") && !said.contains("pass wrong"), "{said}");
}

#[test]
fn the_example_is_good() {
    let loader = ConfigLoader {
        environment: &|name| (name == "FLEET_NODE").then(|| "gw-1".to_owned()),
        missing_secrets: FaultSeverity::Fault,
        now: UnixTime::from_secs(1_795_000_000),
    };
    let loaded = loader.load(Path::new("examples/fleet/vendorgate.yaml")).unwrap_or_else(|faults| panic!("{faults}"));
    let fleet = loaded.config.fleet.expect("a fleet");
    assert_eq!((fleet.node.as_str(), fleet.engine.to_string().as_str()), ("gw-1", "redis://engine:6379"));
}

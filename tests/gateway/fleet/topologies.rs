//! Sentinels that promote a replica, and a cluster of three.

use std::process::{Child, Command};

use super::engine::{Engine, EngineFolder, free_port, sentinel};
use super::{Member, crm};
use crate::support::until;

/// Ends with the test.
struct Sentinels(Vec<(Child, u16)>);

impl Drop for Sentinels {
    fn drop(&mut self) {
        for (child, _) in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[test]
#[ignore = "needs redis-sentinel"]
fn a_failover_by_sentinels_is_followed_and_undoes_no_kill() {
    let (folder, crm) = (EngineFolder::new(), crm());
    let mut master = folder.start(&[]);
    let follow = format!("127.0.0.1 {}", master.port);
    let replicas = [folder.start(&["--replicaof", &follow]), folder.start(&["--replicaof", &follow])];
    until("both replicas follow", || master.say(&["INFO", "replication"]).contains("connected_slaves:2"));
    let sentinels = Sentinels((0..3).map(|_| sentinel(&folder, &master)).collect());
    let servers: Vec<_> = sentinels.0.iter().map(|(_, port)| format!("127.0.0.1:{port}")).collect();
    let place = format!("rediss+sentinel://{}/mymaster", servers.join(","));
    let [a, b] = ["a", "b"].map(|node| Member::start(&folder, &place, node, &crm));
    let killed = a.kill("acme");
    assert_eq!(killed["fleet"]["acked"], 2, "{killed}");
    assert!(killed["fleet"]["replicas"].as_u64() >= Some(1), "{killed}");
    master.stop();
    let is_master = |engine: &Engine| engine.try_say(&["ROLE"]).is_some_and(|role| role.starts_with("master"));
    until("a replica is promoted", || replicas.iter().any(is_master));
    until("orders travel by the new master", || {
        a.kill("other");
        b.is_killed("other")
    });
    assert!(a.is_killed("acme") && b.is_killed("acme"));
    // The old master comes back with what it knew, and is made a replica.
    master.restart();
    until("it is no master any more", || !is_master(&master));
    b.restore("acme");
    a.until_live("acme");
}

#[test]
#[ignore = "needs redis-server"]
fn in_a_cluster_the_one_slot_is_found_and_followed() {
    let (folder, crm) = (EngineFolder::new(), crm());
    let cluster = ["--cluster-enabled", "yes", "--tls-cluster", "yes", "--cluster-node-timeout", "2000"];
    let mut nodes: Vec<_> = (0..3).map(|_| folder.start_on(free_port(), &cluster)).collect();
    let at = folder.path().display();
    let places: Vec<_> = nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
    let made = Command::new("redis-cli")
        .args(["--no-auth-warning", "--user", "default", "--pass", "a-password-of-the-engine", "--tls"])
        .args(["--cacert", &format!("{at}/ca.pem"), "--cert", &format!("{at}/client.pem")])
        .args(["--key", &format!("{at}/client.key"), "--cluster", "create"])
        .args(&places)
        .args(["--cluster-yes"])
        .output()
        .expect("redis-cli is installed");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stdout));
    until("the cluster is well", || {
        nodes.iter().all(|node| node.say(&["CLUSTER", "INFO"]).contains("cluster_state:ok"))
    });
    let place = format!("rediss+cluster://{}", places.join(","));
    let [a, b] = ["a", "b"].map(|node| Member::start(&folder, &place, node, &crm));
    assert_eq!(a.kill("acme")["fleet"]["acked"], 2);
    let slot: u16 = nodes[0].say(&["CLUSTER", "KEYSLOT", "vg:{test}:k"]).trim().parse().expect("a slot");
    let owner =
        nodes.iter().position(|node| !node.say(&["EXISTS", "vg:{test}:k"]).contains("MOVED")).expect("an owner");
    assert!(slot < 16_384);
    nodes[owner].restart();
    until("orders travel again", || {
        b.kill("other");
        a.is_killed("other")
    });
    b.restore("acme");
    a.until_live("acme");
}

//! `kill -9` at any moment: what was acknowledged is found again.
//!
//! The test runs itself as a second process that kills and restores vendors and writes down what it begins and what
//! it has been told is done. `VENDORGATE_CRASH_ROUNDS` sets how often it is killed; 20 is quick, 1,000 is the proof.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::*;
use crate::model::Direction;

const CHILD_STATE: &str = "VENDORGATE_CRASH_STATE";
const VENDORS: [&str; 4] = ["a", "b", "c", "d"];

#[test]
fn no_acknowledgement_is_lost_to_kill_9() {
    let rounds = std::env::var("VENDORGATE_CRASH_ROUNDS").map_or(20, |rounds| rounds.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = 0;
    let mut expected: BTreeMap<String, Expected> = BTreeMap::new();
    for round in 0..rounds {
        let said = run_child_and_kill_it(folder.path(), Duration::from_millis(10 + (round * 37) % 90));
        acknowledged += said.lines().filter(|line| line.starts_with("done")).count();
        said.lines().for_each(|line| note(&mut expected, line));
        compare(folder.path(), &mut expected);
    }
    assert!(4 * acknowledged > rounds as usize, "the child got too little done to prove anything: {acknowledged}");
    println!("{rounds} rounds, {acknowledged} acknowledgements, none lost");
}

/// What the parent may find: the last acknowledged state, or the one that was being written.
#[derive(Debug, Default, Clone, Copy)]
struct Expected {
    killed: bool,
    generation: u64,
    begun: Option<bool>,
}

fn note(expected: &mut BTreeMap<String, Expected>, gate: &str) {
    let words: Vec<_> = gate.split(' ').collect();
    match words.as_slice() {
        ["begin", vendor, killed] => expected.entry((*vendor).to_owned()).or_default().begun = Some(*killed == "true"),
        ["done", vendor, killed, generation] => {
            let (killed, generation) = (*killed == "true", generation.parse().unwrap());
            expected.insert((*vendor).to_owned(), Expected { killed, generation, begun: None });
        }
        // The last line may be cut, and the test harness speaks too.
        _ => {}
    }
}

fn compare(state: &Path, expected: &mut BTreeMap<String, Expected>) {
    let bench = Bench::on(Store::open(state).unwrap());
    for (name, expected) in expected {
        let in_flight = bench.gate(name).register(Direction::Ingress, RouteTag::NONE, None);
        let killed = in_flight.check().is_err();
        assert!(killed == expected.killed || Some(killed) == expected.begun, "{name}: {killed}, {expected:?}");
        if killed && expected.begun.is_none() {
            assert_eq!(in_flight.killed().unwrap().generation, expected.generation, "{name}");
        }
        *expected = Expected { killed, begun: None, generation: in_flight.killed().map_or(0, |k| k.generation) };
    }
}

fn run_child_and_kill_it(state: &Path, after: Duration) -> String {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["kill::tests::crash::the_second_process", "--exact", "--nocapture", "--ignored"])
        .env(CHILD_STATE, state)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = child.stdout.take().unwrap();
    let mut said = vec![0; 1];
    // The clock starts at its first word, so that slow machines prove as much as fast ones.
    out.read_exact(&mut said).unwrap();
    std::thread::sleep(after);
    child.kill().unwrap();
    child.wait().unwrap();
    out.read_to_end(&mut said).unwrap();
    String::from_utf8_lossy(&said).into_owned()
}

#[test]
#[ignore = "runs as the second process of another test"]
fn the_second_process() {
    let state = std::env::var(CHILD_STATE).expect("the first process sets it");
    run(async {
        let bench = Bench::on(Store::open(Path::new(&state)).unwrap());
        let gates: Vec<_> = VENDORS.iter().map(|name| bench.gate(name)).collect();
        for (turn, name) in VENDORS.iter().cycle().enumerate() {
            let kill = !gates[turn % VENDORS.len()].is_armed();
            say(&format!("begin {name} {kill}"));
            let (persisted, generation) = if kill {
                let answer = bench.kill(name, "{}").await;
                (answer.persisted, answer.generation)
            } else {
                let restored = bench.restore(name, "{}", "bob", 1).await.unwrap();
                (restored.persisted, restored.generation)
            };
            assert!(persisted);
            say(&format!("done {name} {kill} {generation}"));
        }
    });
}

fn say(gate: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("\n{gate}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

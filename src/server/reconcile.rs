//! Kills that the audit trail knows and the state does not: an older state was put back, or a kill never reached the
//! disk.
//!
//! At the start the generations of both are compared. Where the trail is ahead, every kill of a later generation that
//! no later restore has lifted is put in force again, and logged. What a restore has lifted in an older state stays
//! killed: a person decides again.

use std::sync::Arc;

use serde_json::Value;

use super::audit_trail::{self, AuditOpenError};
use crate::audit::{AuditAct, AuditError, RecalledLine, recall};
use crate::config::GatewaySettings;
use crate::kill::{Evidence, KillOrder, KillOrigin, KillSelector, KillSwitch, KillTarget};
use crate::model::Moment;

/// One kill of the trail.
#[derive(Debug, PartialEq)]
struct MissingKill {
    generation: u64,
    target: KillTarget,
    selector: KillSelector,
    by: String,
    reason: String,
}

/// The acts that are compared.
const ACTS: [AuditAct; 3] = [AuditAct::Kill, AuditAct::KillAgain, AuditAct::Restore];

/// The newest generation among these.
fn newest(lines: &[RecalledLine]) -> Option<u64> {
    lines.iter().filter_map(generation).max()
}

/// Compares the trail with the state, and puts the kills in force again that the state has lost.
///
/// # Errors
/// [`AuditOpenError`] where the trail cannot be read: what it would say is not known then.
pub(super) fn reconcile(config: &GatewaySettings, switch: &KillSwitch, now: Moment) -> Result<(), AuditOpenError> {
    if switch.is_undecided() {
        return Ok(());
    }
    let (path, key) = (&config.audit.trail.path, audit_trail::audit_key(&config.audit.key)?);
    let unread = |source| AuditError::Open { path: path.clone(), source: Arc::new(source) };
    let known = switch.generation();
    // In most cases the state has the newest kill of the trail too, and no more of the trail is read.
    let last = recall(path, &key, &ACTS, |lines| newest(lines).is_some()).map_err(unread)?;
    if newest(&last).is_some_and(|newest| newest > known) {
        let all = recall(path, &key, &ACTS, |lines| reaches(lines, known)).map_err(unread)?;
        reinstate(switch, &all, now);
    }
    Ok(())
}

/// Whether these reach back to what the state has.
fn reaches(lines: &[RecalledLine], known: u64) -> bool {
    lines.iter().filter_map(generation).any(|of| of <= known)
}

/// Puts the kills in force again that the state has lost; returns how many.
fn reinstate(switch: &KillSwitch, lines: &[RecalledLine], now: Moment) -> usize {
    let Some(newest) = newest(lines).filter(|newest| *newest > switch.generation()) else { return 0 };
    let lost = missing(lines, switch.generation());
    switch.raise_generation(newest);
    for kill in &lost {
        tracing::error!(
            vendor = kill.target.as_str(), by = %kill.by, generation = kill.generation,
            "the audit trail has this kill and the state had not: it stands again"
        );
        if let KillTarget::Vendor(vendor) = &kill.target {
            switch.gate(vendor);
        }
        let detail = format!("order {} of {}: the trail has it, the state had not", kill.generation, kill.by);
        let evidence = Some(Evidence { at: now.wall, kind: "recollected".to_owned(), detail });
        let order = KillOrder::new(kill.target.clone(), KillOrigin::Operator, &kill.by, &kill.reason, now);
        let order = KillOrder { selector: kill.selector.clone(), evidence, ..order };
        // Nothing is in flight yet, and a failed write is retried.
        drop(switch.kill(order));
    }
    lost.len()
}

/// The kills after a generation that nothing has lifted.
fn missing(lines: &[RecalledLine], known: u64) -> Vec<MissingKill> {
    let mut standing: Vec<MissingKill> = Vec::new();
    for line in lines {
        let Some(of) = generation(line).filter(|of| *of > known) else { continue };
        let Ok(target) = KillTarget::parse(&line.subject) else { continue };
        let selector: KillSelector = serde_json::from_value(line.detail["reach"].clone()).unwrap_or_default();
        if line.act == AuditAct::Restore.as_str() {
            let lifted =
                line.detail["lifted"].as_array().map(|all| all.iter().filter_map(Value::as_u64).collect::<Vec<_>>());
            let is_lifted = |kill: &MissingKill| match &lifted {
                // A vendor that was restored out of a kill of everything: the other vendors are still killed, so the
                // kill is.
                Some(lifted) => kill.target == target && lifted.contains(&kill.generation),
                // Trails of older versions name what a restore covered.
                None => kill.target == target && selector.contains(&kill.selector),
            };
            standing.retain(|kill| !is_lifted(kill));
        } else if !standing.iter().any(|kill| kill.generation == of) {
            let (by, reason) = (line.actor.clone(), line.reason.clone());
            standing.push(MissingKill { generation: of, target, selector, by, reason });
        }
    }
    standing
}

fn generation(line: &RecalledLine) -> Option<u64> {
    line.detail["generation"].as_u64()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn line(act: &str, subject: &str, detail: Value) -> RecalledLine {
        let [actor, reason] = ["ann", "leak"].map(str::to_owned);
        RecalledLine { act: act.to_owned(), actor, subject: subject.to_owned(), reason, detail }
    }

    #[test]
    fn kills_of_later_generations_that_no_restore_lifted_are_missing() {
        let lines = [
            line("kill", "a", json!({ "generation": 1 })),
            line("kill", "a", json!({ "generation": 2, "reach": { "client": "c" } })),
            line("kill", "b", json!({ "generation": 3 })),
            line("kill_again", "b", json!({ "generation": 3 })),
            line("restore", "b", json!({ "generation": 4, "lifted": [3] })),
            line("kill", "*", json!({ "generation": 5 })),
            line("restore", "b", json!({ "generation": 6, "lifted": [5] })),
            line("kill", "c", json!({ "generation": 7 })),
            line("restore", "c", json!({ "generation": 8 })),
        ];
        let found = |known| missing(&lines, known).iter().map(|kill| kill.generation).collect::<Vec<_>>();
        assert_eq!(found(0), [1, 2, 5]);
        assert_eq!(found(1), [2, 5]);
        assert_eq!(found(5), [] as [u64; 0]);
        assert_eq!(newest(&lines), Some(8));
        assert!(reaches(&lines[3..], 3) && !reaches(&lines[3..], 2));
        assert_eq!(missing(&lines, 0)[1].selector.client.as_ref().map(crate::model::ClientId::as_str), Some("c"));
    }
}

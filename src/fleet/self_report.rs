//! What each gateway says of itself beside demand: the digests of its contracts, and the head of its audit trail.
//!
//! A trail only grows. Whoever has heard of a later line than a gateway now has knows that lines were cut off there, so
//! the latest is kept as an entry that all gateways share.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, Weak};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{FleetBeat, FleetMember, FleetNode, HeartbeatPart, SharedEntry};
use crate::bounds::FLEET_AUDIT_HEAD_INTERVAL;
use crate::model::{Lock as _, Moment, UnixTime, debug_fields};

const NAME: &str = "self";
const KIND: &str = "audit";

/// The digest of each contract's file, by the vendor's id.
pub type ContractDigests = BTreeMap<String, String>;

/// Says what the contracts are now, and how long the audit trail is.
pub type SelfSource = Arc<dyn Fn() -> (ContractDigests, u64) + Send + Sync>;

/// The part of the heartbeat by which gateways are compared.
pub struct SelfReport {
    source: SelfSource,
    member: Weak<FleetMember>,
    /// When the head of the trail was last shared, on the monotonic clock.
    shared_ns: Mutex<Option<u64>>,
    /// The longest trail that was heard of from each gateway since the start; of those alone that are known.
    trails: Mutex<BTreeMap<String, u64>>,
}

debug_fields!(SelfReport: trails);

/// What a gateway says.
#[derive(Debug, Default, Serialize, Deserialize)]
struct SelfData {
    #[serde(default)]
    contracts: ContractDigests,
    #[serde(default)]
    audit: u64,
}

impl SelfReport {
    /// A part that says what this source says.
    pub fn new(member: &Arc<FleetMember>, source: SelfSource) -> Self {
        Self { source, member: Arc::downgrade(member), shared_ns: Mutex::default(), trails: Mutex::default() }
    }

    /// The vendors whose contracts a gateway has otherwise than here: with another content, or only one of both.
    pub fn differing(node: &FleetNode, here: &ContractDigests) -> Vec<String> {
        let Some(data) = read(node) else { return Vec::new() };
        let there = data.contracts;
        let names = here.keys().chain(there.keys().filter(|vendor| !here.contains_key(*vendor)));
        names.filter(|vendor| here.get(*vendor) != there.get(*vendor)).cloned().collect()
    }

    /// Whether a gateway's trail is shorter than it once said.
    pub fn is_trail_cut(&self, member: &FleetMember, node: &FleetNode) -> bool {
        let Some(data) = read(node) else { return false };
        let shared = member.shared().get(&format!("{KIND}/{}", node.name)).map_or(0, |entry| entry.epoch);
        let heard = self.trails.locked().get(&node.name).copied().unwrap_or_default();
        shared.max(heard) > data.audit
    }

    fn note_trails(&self, beat: &FleetBeat) {
        let mut trails = self.trails.locked();
        trails.retain(|name, _| beat.nodes.iter().any(|node| node.name == *name));
        for node in &beat.nodes {
            let length = read(node).unwrap_or_default().audit;
            let known = trails.entry(node.name.clone()).or_default();
            *known = length.max(*known);
        }
    }
}

impl HeartbeatPart for SelfReport {
    fn name(&self) -> &'static str {
        NAME
    }

    fn report(&self, _: Moment) -> Value {
        let (contracts, audit) = (self.source)();
        json!(SelfData { contracts, audit })
    }

    fn heard(&self, beat: &FleetBeat, now: Moment) {
        self.note_trails(beat);
        let Some(member) = self.member.upgrade() else { return };
        let mut shared = self.shared_ns.locked();
        let is_due =
            |last: u64| u128::from(now.monotonic_ns.saturating_sub(last)) >= FLEET_AUDIT_HEAD_INTERVAL.as_nanos();
        if !shared.is_none_or(is_due) {
            return;
        }
        *shared = Some(now.monotonic_ns);
        let (_, audit) = (self.source)();
        let key = format!("{KIND}/{}", member.settings().node);
        let data = r#"{"v":1}"#.to_owned();
        // A shorter trail than was shared before changes nothing, which is what shows that it was cut.
        member.shared().put(SharedEntry { key, epoch: audit, rank: 0, expires: UnixTime::default(), data });
    }

    fn missed(&self, _: Moment) {}
}

fn read(node: &FleetNode) -> Option<SelfData> {
    SelfData::deserialize(node.report.parts.get(NAME)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::NodeReport;
    use crate::fleet::stream_id::StreamId;

    fn node(parts: Value) -> FleetNode {
        FleetNode {
            name: "b".to_owned(),
            unseen_for: std::time::Duration::ZERO,
            applied: StreamId::default(),
            instance: String::new(),
            report: NodeReport { parts: serde_json::from_value(parts).unwrap(), ..NodeReport::default() },
        }
    }

    #[test]
    fn contracts_differ_by_content_and_by_being_there() {
        let here: ContractDigests = [("a", "1"), ("b", "2"), ("c", "3")].map(|(k, v)| (k.into(), v.into())).into();
        let there = json!({ "self": { "contracts": { "a": "1", "b": "9", "d": "4" }, "audit": 7, "later": [] } });
        assert_eq!(SelfReport::differing(&node(there), &here), ["b", "c", "d"]);
        for silent in [json!({}), json!({ "self": 7 })] {
            assert!(SelfReport::differing(&node(silent), &here).is_empty(), "what is not said is not compared");
        }
    }
}

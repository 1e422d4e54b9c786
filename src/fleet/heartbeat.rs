//! The heartbeat: once a second, and whenever a connection was opened, this gateway says that it is there and hears of
//! the others.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::time::{MissedTickBehavior, interval};

use super::engine::{EngineValue, FleetScript};
use super::stream_id::StreamId;
use super::view::{FleetBeat, FleetNode};
use super::{FleetError, FleetMember, NodeReport};
use crate::bounds::{FLEET_HEARTBEAT, FLEET_NODE_FORGOTTEN, FLEET_REPORT_BYTES_MAX};
use crate::model::Moment;

/// A part of the gateway that shares something. It is called on the fleet's own thread and must not wait.
pub trait HeartbeatPart: Send + Sync {
    /// The part's name in the report, the same in every version.
    fn name(&self) -> &'static str;

    /// What it says in this heartbeat: a few bytes for each thing that it shares. `Null` is left out.
    fn report(&self, now: Moment) -> Value;

    /// A heartbeat got through.
    fn heard(&self, beat: &FleetBeat, now: Moment);

    /// A heartbeat did not get through.
    fn missed(&self, now: Moment);
}

/// Notes this gateway and answers with all that are known. Gateways that were not seen for long are forgotten.
///
/// Keys: the gateways, what is known of the tables, acknowledgements. Arguments: name, instance, place, report, an
/// incarnation for an engine without one, after how many milliseconds a gateway is forgotten.
static HEARTBEAT: FleetScript = FleetScript::new(
    r"
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local incarnation = redis.call('HGET', KEYS[2], 'incarnation')
if not incarnation then
  incarnation = ARGV[5]
  redis.call('HSET', KEYS[2], 'incarnation', incarnation)
end
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f %s %s %s', now, ARGV[3], ARGV[2], ARGV[4]))
local nodes = redis.call('HGETALL', KEYS[1])
for i = 1, #nodes, 2 do
  local seen = tonumber(string.match(nodes[i + 1], '^%d+'))
  if not seen or now - seen > tonumber(ARGV[6]) then
    redis.call('HDEL', KEYS[1], nodes[i])
    redis.call('HDEL', KEYS[3], nodes[i])
  end
end
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') or ''
local history = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)') or ''
local version = redis.call('HGET', KEYS[2], 'version') or '0'
return { string.format('%.0f', now), incarnation, run .. '/' .. history, version, nodes }
",
);

/// Takes this gateway off the list, unless another one has taken its name.
static LEAVE: FleetScript = FleetScript::new(
    r"
local mine = redis.call('HGET', KEYS[1], ARGV[1])
if mine and string.match(mine, '^%d+ %S+ (%S+)') == ARGV[2] then
  redis.call('HDEL', KEYS[1], ARGV[1])
  redis.call('HDEL', KEYS[2], ARGV[1])
end
return 1
",
);

impl FleetMember {
    /// Beats until the future is dropped.
    pub(super) async fn beat(&self) {
        let mut tick = interval(FLEET_HEARTBEAT);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut connections = self.engine().connections();
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                _ = connections.changed() => tick.reset(),
            }
            match self.beat_once().await {
                Ok(beat) => self.spread(&beat),
                Err(error) => {
                    tracing::debug!(%error, "a heartbeat of the fleet did not get through");
                    let now = self.clock().now();
                    self.parts().iter().for_each(|part| part.missed(now));
                }
            }
        }
    }

    /// Takes this gateway off the list of the fleet, as at an orderly end.
    pub(super) async fn leave(&self) {
        let arguments = [self.settings().node.as_bytes(), self.instance().as_bytes()];
        if let Err(error) = self.engine().run_script(&LEAVE, &["n", "a"], &arguments).await {
            tracing::warn!(%error, "the fleet was not told that this gateway ends: it is listed as unseen");
        }
    }

    async fn beat_once(&self) -> Result<Arc<FleetBeat>, FleetError> {
        let now = self.clock().now();
        let report = self.report(now);
        let (applied, forgotten) = (self.view().applied_to().to_string(), FLEET_NODE_FORGOTTEN.as_millis().to_string());
        let arguments = [&self.settings().node, self.instance(), &applied, &report, self.instance(), &forgotten];
        let arguments = arguments.map(|argument| argument.as_bytes());
        let answer = self.engine().run_script(&HEARTBEAT, &["n", "m", "a"], &arguments).await?;
        let beat = read(&answer, self.clock().now()).ok_or(FleetError::Unreadable)?;
        let beat = Arc::new(compared(beat, self.view().last().as_deref()));
        self.view().heard(Arc::clone(&beat));
        Ok(beat)
    }

    fn report(&self, now: Moment) -> String {
        let parts = self.parts();
        let said = parts.iter().map(|part| (part.name().to_owned(), part.report(now)));
        let parts = said.filter(|(_, value)| !value.is_null()).collect();
        let report = NodeReport { v: NodeReport::VERSION, build: env!("CARGO_PKG_VERSION").to_owned(), parts };
        let text = serde_json::to_string(&report).unwrap_or_default();
        if text.len() <= FLEET_REPORT_BYTES_MAX {
            return text;
        }
        tracing::error!(bytes = text.len(), "the report to the fleet is too large: the others do not hear of demand");
        let bare = NodeReport { parts: std::collections::BTreeMap::new(), ..report };
        serde_json::to_string(&bare).unwrap_or_default()
    }

    fn spread(&self, beat: &FleetBeat) {
        if beat.engine_changed {
            tracing::warn!(engine = %beat.engine, "the fleet's engine was replaced or started anew");
        }
        // A version that is not here after a whole heartbeat, though the stream is read, was missed.
        let version = self.view().applied();
        if beat.engine_changed || (beat.version != version && self.note_lag(version)) {
            self.want_resync();
        }
        let now = self.clock().now();
        self.parts().iter().for_each(|part| part.heard(beat, now));
    }
}

/// What the engine has answered, as far as it can be told without the heartbeat before.
fn read(answer: &EngineValue, at: Moment) -> Option<FleetBeat> {
    let [engine_ms, incarnation, engine, version, nodes] = answer.as_list() else { return None };
    let engine_ms = engine_ms.as_count()?;
    let node = |(name, value): (&[u8], &EngineValue)| self::node(name, value.as_text()?, engine_ms);
    let mut nodes: Vec<FleetNode> = nodes.pairs().filter_map(node).collect();
    nodes.sort_by(|left, right| left.name.cmp(&right.name));
    Some(FleetBeat {
        at,
        engine_ms,
        incarnation: incarnation.as_text()?.to_owned(),
        engine: engine.as_text()?.to_owned(),
        version: version.as_count()?,
        engine_changed: false,
        changed_ns: None,
        nodes,
    })
}

/// A gateway's line: when it was seen, the version that it had applied, its instance, its report.
fn node(name: &[u8], line: &str, engine_ms: u64) -> Option<FleetNode> {
    let mut parts = line.splitn(4, ' ');
    let seen_ms: u64 = parts.next()?.parse().ok()?;
    let applied = StreamId::parse(parts.next()?)?;
    let instance = parts.next()?.to_owned();
    // A report of a form that is not known says nothing; the gateway is there all the same.
    let report = parts.next().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let unseen_for = Duration::from_millis(engine_ms.saturating_sub(seen_ms));
    Some(FleetNode { name: String::from_utf8(name.to_vec()).ok()?, unseen_for, applied, instance, report })
}

/// Compares a heartbeat with the one before it.
fn compared(beat: FleetBeat, before: Option<&FleetBeat>) -> FleetBeat {
    let Some(before) = before else { return beat };
    let engine_changed =
        before.incarnation != beat.incarnation || before.engine != beat.engine || beat.version < before.version;
    let changed_ns = if engine_changed { Some(beat.at.monotonic_ns) } else { before.changed_ns };
    FleetBeat { engine_changed, changed_ns, ..beat }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::NodeState;
    use crate::model::UnixTime;

    fn bytes(text: &str) -> EngineValue {
        EngineValue::Bytes(text.into())
    }

    fn answer(nodes: &[&str]) -> EngineValue {
        let nodes = EngineValue::List(nodes.iter().map(|text| bytes(text)).collect());
        EngineValue::List(vec![bytes("50000"), bytes("i"), bytes("r/h"), bytes("7"), nodes])
    }

    fn at(ns: u64) -> Moment {
        Moment { wall: UnixTime::default(), monotonic_ns: ns }
    }

    #[test]
    fn gateways_of_other_versions_are_read_as_far_as_they_are_known() {
        let newer = r#"49000 1-6 x {"v":9,"build":"9.0","new":[1],"parts":{"leases":{"a":1},"later":7}}"#;
        let answer = answer(&["b", newer, "a", "30000 1-5 y not json", "c", "50000 1-7 z {}", "torn", "x"]);
        let beat = read(&answer, at(1)).unwrap();
        let seen: Vec<_> =
            beat.nodes.iter().map(|node| (node.name.as_str(), node.applied.to_string(), node.state())).collect();
        let place = |number: u8| format!("1-{number}");
        use NodeState::{Live, Unseen};
        assert_eq!(seen, [("a", place(5), Unseen), ("b", place(6), Live), ("c", place(7), Live)]);
        let reporting = beat.nodes.iter().filter(|node| node.report.parts.contains_key("leases"));
        assert_eq!(reporting.map(|node| node.name.as_str()).collect::<Vec<_>>(), ["b"]);
        assert_eq!((seen.iter().filter(|(.., state)| *state == Live).count(), beat.version), (2, 7));
    }

    #[test]
    fn garbage_is_no_heartbeat() {
        for bad in [EngineValue::Nil, EngineValue::List(vec![]), bytes("x"), EngineValue::Integer(1)] {
            assert!(read(&bad, at(1)).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn another_engine_or_an_older_version_is_noticed() {
        let beat = |engine: &str, incarnation: &str, version, ns| FleetBeat {
            engine: engine.to_owned(),
            incarnation: incarnation.to_owned(),
            version,
            ..read(&answer(&[]), at(ns)).unwrap()
        };
        let first = compared(beat("r", "i", 7, 1), None);
        assert!(!first.engine_changed && first.changed_ns.is_none());
        for (other, changed) in [
            (beat("r", "i", 8, 2), None),
            (beat("r", "i", 6, 2), Some(2)),
            (beat("s", "i", 8, 2), Some(2)),
            (beat("r", "j", 8, 2), Some(2)),
        ] {
            let found = compared(other, Some(&first));
            assert_eq!((found.engine_changed, found.changed_ns), (changed.is_some(), changed));
            let next = compared(FleetBeat { at: at(3), ..found.clone() }, Some(&found));
            assert_eq!((next.engine_changed, next.changed_ns), (false, changed), "the time is kept");
        }
    }
}

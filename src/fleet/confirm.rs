//! Who else has put an order in force: asked of the engine until all have, or the wait is over.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::engine::{EngineValue, FleetScript};
use super::stream_id::StreamId;
use super::{FleetError, FleetMember};
use crate::bounds::FLEET_REPLICA_WAIT;

/// Shortest and longest pause between two questions.
const PAUSES: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(50)];

/// All gateways that are known, and how far each has come.
static PROGRESS: FleetScript =
    FleetScript::new("return { redis.call('HGETALL', KEYS[1]), redis.call('HGETALL', KEYS[2]) }");

/// Who has confirmed an order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FleetConfirmation {
    /// How many gateways have it in force, this one included.
    pub acked: u32,
    /// The gateways that have not said so, by name.
    pub missing: Vec<String>,
    /// How many replicas of the engine have it; `None` where the engine has none, or does not say.
    pub replicas: Option<u64>,
}

impl FleetMember {
    /// Waits until every known gateway has this entry in force, or until the wait is over. A gateway that is not heard
    /// of is missing until it says otherwise. Without the engine, all others are.
    pub async fn confirm(&self, key: &str, wait: Duration) -> FleetConfirmation {
        let until = Instant::now() + wait;
        let Ok(Ok(published)) = timeout_at(until, self.published(key)).await else { return self.unconfirmed() };
        let (mut found, mut pause) = (self.unconfirmed(), PAUSES[0]);
        loop {
            if let Ok(Ok(progress)) = timeout_at(until, self.progress(published)).await {
                found = progress;
            }
            if found.missing.is_empty() || Instant::now() + pause >= until {
                break;
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSES[1]);
        }
        let replicas = self.engine().wait_for_replicas(FLEET_REPLICA_WAIT).await.ok().flatten();
        FleetConfirmation { replicas, ..found }
    }

    /// Waits until an entry was sent; returns the place in the stream by which it was.
    async fn published(&self, key: &str) -> Result<StreamId, FleetError> {
        let mut published = self.last_published();
        loop {
            let last = *published.borrow_and_update();
            if !self.shared().is_unsent(key) {
                return Ok(last);
            }
            published.changed().await.map_err(|_| FleetError::Away)?;
        }
    }

    /// This gateway alone: what can be said when the engine does not answer.
    fn unconfirmed(&self) -> FleetConfirmation {
        let last = self.view().last();
        let others = last.iter().flat_map(|beat| &beat.nodes).filter(|node| node.name != self.settings().node);
        FleetConfirmation { acked: 1, missing: others.map(|node| node.name.clone()).collect(), replicas: None }
    }

    async fn progress(&self, published: StreamId) -> Result<FleetConfirmation, FleetError> {
        let answer = self.engine().run_script(&PROGRESS, &["n", "a"], &[]).await?;
        let [nodes, acknowledged] = answer.as_list() else { return Err(FleetError::Unreadable) };
        let mut found = FleetConfirmation { acked: 1, ..FleetConfirmation::default() };
        for (name, line) in nodes.pairs() {
            let name = String::from_utf8_lossy(name).into_owned();
            if name == self.settings().node {
                continue;
            }
            let beaten = line.as_text().and_then(|line| StreamId::parse(line.split(' ').nth(1)?));
            let said = acknowledged.pairs().find(|(known, _)| *known == name.as_bytes());
            let said = said.and_then(|(_, value)| StreamId::parse(EngineValue::as_text(value)?));
            if beaten.max(said) >= Some(published) {
                found.acked += 1;
            } else {
                found.missing.push(name);
            }
        }
        found.missing.sort();
        Ok(found)
    }
}

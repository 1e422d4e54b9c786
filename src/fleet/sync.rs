//! Brings the shared entries here and there: sends what is new, reads the stream, and compares the whole whenever
//! something may have been missed.
//!
//! The stream has its own connection, on which a read waits for news. After each connection, whenever the engine has
//! changed, whenever a number is missing, and once a minute, everything is read and compared; what this gateway knows
//! better is written back. So no failover, old dump or wiped engine can undo a kill.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::engine::{EngineValue, FleetScript, NewsEntry, NewsReader};
use super::stream_id::StreamId;
use super::{FleetError, FleetMember, SharedEntry};
use crate::bounds::{FLEET_BATCH_ENTRIES, FLEET_RECONNECT_DELAYS, FLEET_RESYNC_INTERVAL, FLEET_STREAM_ENTRIES};

/// The version of an entry in the stream. A gateway that does not know it reads everything anew.
const STREAM_VERSION: &str = "1";

/// Merges entries into the table; where any is news, counts the version up and tells all in the stream.
///
/// Keys: the table, what is known of it, the stream. Arguments: the stream's version, its greatest length, then key,
/// epoch, rank and value of each entry. Answers the version and the newest id of the stream.
static PUBLISH: FleetScript = FleetScript::new(
    r"
local news = {}
for i = 3, #ARGV, 4 do
  local known = redis.call('HGET', KEYS[1], ARGV[i])
  local epoch, rank = -1, -1
  if known then
    local e, r = string.match(known, '^(%d+) (%d+) ')
    if e then epoch, rank = tonumber(e), tonumber(r) end
  end
  local e, r = tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
  if e > epoch or (e == epoch and r > rank) then
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 3])
    news[#news + 1] = ARGV[i]
    news[#news + 1] = ARGV[i + 3]
  end
end
if #news > 0 then
  local version = redis.call('HINCRBY', KEYS[2], 'version', 1)
  local id = redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[2], '*', 'v', ARGV[1], 'version', version, unpack(news))
  redis.call('HSET', KEYS[2], 'last', id)
end
return { redis.call('HGET', KEYS[2], 'version') or '0', redis.call('HGET', KEYS[2], 'last') or '0-0' }
",
);

/// Everything at one moment: the version, the newest id of the stream, the table.
static READ_ALL: FleetScript = FleetScript::new(
    r"
return {
  redis.call('HGET', KEYS[2], 'version') or '0', redis.call('HGET', KEYS[2], 'last') or '0-0',
  redis.call('HGETALL', KEYS[1])
}
",
);

/// Deletes entries that are over, unless something newer has taken their place.
static PURGE: FleetScript = FleetScript::new(
    r"
for i = 1, #ARGV, 2 do
  if redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[i + 1] then redis.call('HDEL', KEYS[1], ARGV[i]) end
end
return 1
",
);

/// Says how far this gateway has come.
static ACKNOWLEDGE: FleetScript = FleetScript::new("return redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])");

impl FleetMember {
    /// Sends what is new until the future is dropped.
    pub(super) async fn send_news(&self) {
        let mut connections = self.engine().connections();
        loop {
            let unsent = self.shared().unsent(FLEET_BATCH_ENTRIES);
            if unsent.is_empty() {
                self.shared().queued.notified().await;
                continue;
            }
            match self.publish(&unsent).await {
                Ok(last) => {
                    self.shared().sent(&unsent);
                    self.note_published(last);
                }
                Err(error) => {
                    tracing::debug!(%error, "news of the fleet are not sent yet");
                    // Also without a new connection it is tried again: the engine may have been slow.
                    let _ = timeout(FLEET_RECONNECT_DELAYS[1], connections.changed()).await;
                }
            }
        }
    }

    /// Merges entries into the engine's table; returns the id in the stream by which all gateways will have read them.
    pub(super) async fn publish(&self, entries: &[SharedEntry]) -> Result<StreamId, FleetError> {
        let length = FLEET_STREAM_ENTRIES.to_string();
        let mut arguments = vec![STREAM_VERSION.to_owned(), length];
        for entry in entries {
            arguments.extend([entry.key.clone(), entry.epoch.to_string(), entry.rank.to_string(), entry.value()]);
        }
        let arguments: Vec<&[u8]> = arguments.iter().map(String::as_bytes).collect();
        let answer = self.engine().run_script(&PUBLISH, &["k", "m", "s"], &arguments).await?;
        let last = answer.as_list().get(1).and_then(EngineValue::as_text);
        last.and_then(StreamId::parse).ok_or(FleetError::Unreadable)
    }

    /// Reads news until the future is dropped.
    pub(super) async fn read_news(&self) {
        let mut pause = FLEET_RECONNECT_DELAYS[0];
        loop {
            match self.engine().open_reader("s").await {
                Ok(reader) => match self.follow(&reader, &mut pause).await {
                    Err(error) => tracing::warn!(%error, "the stream of the fleet broke off"),
                    Ok(never) => match never {},
                },
                Err(error) => tracing::debug!(%error, "the stream of the fleet cannot be read"),
            }
            sleep(super::engine::drawn(pause)).await;
            pause = (pause * 2).min(FLEET_RECONNECT_DELAYS[1]);
        }
    }

    /// Follows the stream from what all is now, until it breaks off.
    async fn follow(&self, reader: &NewsReader, pause: &mut Duration) -> Result<std::convert::Infallible, FleetError> {
        loop {
            let (mut version, mut last) = self.compare_all().await?;
            *pause = FLEET_RECONNECT_DELAYS[0];
            let due = Instant::now() + FLEET_RESYNC_INTERVAL;
            loop {
                let after = last.to_string();
                let news = tokio::select! {
                    news = reader.next(&after) => news?,
                    () = self.resync_wanted() => break,
                };
                let is_whole = news.iter().all(|entry| self.take_news(entry, &mut version, &mut last));
                if !news.is_empty() {
                    self.view().set_applied(version, last, self.clock().now());
                    self.acknowledge(last).await;
                }
                if !is_whole || Instant::now() > due {
                    break;
                }
            }
        }
    }

    /// Puts one entry of the stream in force; false where something before it is missing, or it cannot be read.
    fn take_news(&self, news: &NewsEntry, version: &mut u64, last: &mut StreamId) -> bool {
        let number = news.field("version").and_then(|text| std::str::from_utf8(text).ok()?.parse::<u64>().ok());
        let (Some(number), Some(id)) = (number, StreamId::parse(&news.id)) else { return false };
        if news.field("v") != Some(STREAM_VERSION.as_bytes()) || number > *version + 1 {
            return false;
        }
        let now = self.clock().now();
        let entries = news.fields.iter().filter_map(|(key, value)| SharedEntry::read(key.as_bytes(), value));
        entries.for_each(|entry| self.shared().take(&entry, now));
        (*version, *last) = (number, id);
        true
    }

    /// Reads everything, puts in force what is news, and writes back what this gateway knows better.
    async fn compare_all(&self) -> Result<(u64, StreamId), FleetError> {
        let answer = self.engine().run_script(&READ_ALL, &["k", "m"], &[]).await?;
        let [version, last, table] = answer.as_list() else { return Err(FleetError::Unreadable) };
        let last = last.as_text().and_then(StreamId::parse);
        let (Some(version), Some(last)) = (version.as_count(), last) else { return Err(FleetError::Unreadable) };
        let entry = |(key, value): (&[u8], &EngineValue)| {
            let entry = SharedEntry::read(key, value.as_bytes()?)?;
            Some((entry.key.clone(), entry))
        };
        let theirs: BTreeMap<_, _> = table.pairs().filter_map(entry).collect();
        let now = self.clock().now();
        theirs.values().for_each(|entry| self.shared().take(entry, now));
        self.purge(&theirs).await?;
        self.shared().sweep(now.wall);
        self.write_back(&theirs).await?;
        self.view().set_applied(version, last, self.clock().now());
        self.acknowledge(last).await;
        self.note_sync();
        Ok((version, last))
    }

    async fn write_back(&self, theirs: &BTreeMap<String, SharedEntry>) -> Result<(), FleetError> {
        let better = self.shared().better_than(theirs, self.clock().now().wall);
        if !better.is_empty() {
            tracing::warn!(
                entries = better.len(),
                "the fleet's engine had not what this gateway knows: it is written back"
            );
        }
        for batch in better.chunks(FLEET_BATCH_ENTRIES) {
            self.publish(batch).await?;
            self.shared().sent(batch);
        }
        Ok(())
    }

    async fn purge(&self, theirs: &BTreeMap<String, SharedEntry>) -> Result<(), FleetError> {
        let now = self.clock().now().wall;
        let over: Vec<String> = theirs
            .values()
            .filter(|entry| entry.is_over(now.minus(FLEET_RESYNC_INTERVAL)))
            .take(FLEET_BATCH_ENTRIES)
            .flat_map(|entry| [entry.key.clone(), entry.value()])
            .collect();
        if over.is_empty() {
            return Ok(());
        }
        let arguments: Vec<&[u8]> = over.iter().map(String::as_bytes).collect();
        self.engine().run_script(&PURGE, &["k"], &arguments).await.map(drop)
    }

    /// Says at once that all up to this id is in force here; the next heartbeat says it again.
    async fn acknowledge(&self, last: StreamId) {
        let arguments = [self.settings().node.clone(), last.to_string()];
        let arguments = [arguments[0].as_bytes(), arguments[1].as_bytes()];
        if let Err(error) = self.engine().run_script(&ACKNOWLEDGE, &["a"], &arguments).await {
            tracing::debug!(%error, "an acknowledgement waits for the next heartbeat");
        }
    }
}

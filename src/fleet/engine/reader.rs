//! A connection of its own that waits for news in a stream.
//!
//! A blocking read would hold up every other command on the same connection.

use std::time::Duration;

use redis::cmd;

use super::connection::EngineConnection;
use super::{EngineValue, FleetEngine};
use crate::bounds::{FLEET_READ_BLOCK, FLEET_RESPONSE_DEADLINE};
use crate::fleet::FleetError;

/// Most entries of one answer.
const ENTRIES_MAX: usize = 256;

/// Reads a stream from its connection.
#[derive(Debug)]
pub struct NewsReader {
    connection: EngineConnection,
    key: String,
}

/// One entry of a stream: its id, and its names and values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewsEntry {
    /// The entry's place in the stream.
    pub id: String,
    /// Names and values, in order.
    pub fields: Vec<(String, Vec<u8>)>,
}

impl NewsEntry {
    /// The value of a name.
    pub fn field(&self, name: &str) -> Option<&[u8]> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_slice())
    }
}

impl FleetEngine {
    /// Opens a connection that reads the stream of this name.
    ///
    /// # Errors
    /// [`FleetError`] where the engine cannot be connected to.
    pub async fn open_reader(&self, stream: &str) -> Result<NewsReader, FleetError> {
        Ok(NewsReader { connection: self.connector.connect().await?, key: self.key(stream) })
    }
}

impl NewsReader {
    /// Waits up to a second for entries behind this id; none where none came.
    ///
    /// # Errors
    /// [`FleetError`]; the connection is of no use then.
    pub async fn next(&self, after: &str) -> Result<Vec<NewsEntry>, FleetError> {
        let mut read = cmd("XREAD");
        let block = u64::try_from(FLEET_READ_BLOCK.as_millis()).unwrap_or(u64::MAX);
        read.arg("COUNT").arg(ENTRIES_MAX).arg("BLOCK").arg(block).arg("STREAMS").arg(&self.key).arg(after);
        // Twice, because a read that was given up may still be before this one.
        let deadline: Duration = FLEET_READ_BLOCK * 2 + FLEET_RESPONSE_DEADLINE;
        let answer = self.connection.send(&read, deadline).await?;
        entries(&answer).ok_or(FleetError::Unreadable)
    }
}

/// The entries of the one stream of an answer.
fn entries(answer: &EngineValue) -> Option<Vec<NewsEntry>> {
    let Some(stream) = answer.as_list().first() else { return Some(Vec::new()) };
    stream.as_list().get(1)?.as_list().iter().map(entry).collect()
}

fn entry(value: &EngineValue) -> Option<NewsEntry> {
    let [id, fields] = value.as_list() else { return None };
    let field = |(name, value): (&[u8], &EngineValue)| {
        Some((String::from_utf8(name.to_vec()).ok()?, value.as_bytes()?.to_vec()))
    };
    Some(NewsEntry { id: id.as_text()?.to_owned(), fields: fields.pairs().filter_map(field).collect() })
}

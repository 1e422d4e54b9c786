//! Bounds of the dashboard and of what it asks for.

use std::time::Duration;

/// Longest session of the dashboard, however busy: one shift.
pub const SESSION_AGE_MAX: Duration = Duration::from_secs(8 * 3600);
/// Longest time between two calls of a session: a page that is open calls every few seconds, a closed one is forgotten.
pub const SESSION_IDLE_MAX: Duration = Duration::from_secs(30 * 60);
/// Most sessions of one operator: a person's machines and browsers. One more ends the one that was used least lately.
pub const SESSIONS_EACH_MAX: usize = 8;
/// Most sessions of all operators: some KiB each for more people than answer for one gateway.
pub const SESSIONS_MAX: usize = 1_024;
/// Time between two events of the live stream: what a person can follow with the eye.
pub const LIVE_PERIOD: Duration = Duration::from_secs(1);
/// Most streams of live figures at once: each is a page that somebody looks at.
pub const LIVE_STREAMS_MAX: usize = 32;
/// Longest life of one of these streams. The page asks for the next, and so proves again who is asking.
pub const LIVE_STREAM_AGE_MAX: Duration = Duration::from_secs(60);
/// Most events that wait for a reader. One that is slower than this asks again and gets the whole.
pub const LIVE_EVENTS_WAITING_MAX: usize = 4;
/// Most refused requests of a vendor in one answer: a page that a person reads.
pub const VENDOR_DENIALS_MAX: usize = 50;
/// Most audit entries about a vendor in one answer.
pub const VENDOR_HISTORY_MAX: usize = 100;
/// Most bytes of the newest audit lines that are searched for a vendor's: some hundredths of a second, each time that a
/// page asks.
pub const VENDOR_HISTORY_BYTES_MAX: u64 = 16 * 1024 * 1024;

//! Bounds of the state that several gateways share.

mod leases;

use std::time::Duration;

pub use leases::*;

/// How long an answer of the engine is waited for: on a network of its own it takes less than a millisecond.
pub const FLEET_RESPONSE_DEADLINE: Duration = Duration::from_millis(500);
/// How long a connection to the engine may take to be opened, with TLS and the login.
pub const FLEET_CONNECT_DEADLINE: Duration = Duration::from_millis(500);
/// Shortest and longest pause between two attempts to connect. The longest is three attempts a second, as a failover
/// needs; each pause is drawn between half and whole.
pub const FLEET_RECONNECT_DELAYS: [Duration; 2] = [Duration::from_millis(20), Duration::from_millis(330)];
/// Answers in a row that fail or come too late before a connection is given up: one may be a slow fork of the engine.
pub const FLEET_FAILURES_MAX: u32 = 3;
/// How often each gateway tells the others that it is there.
pub const FLEET_HEARTBEAT: Duration = Duration::from_secs(1);
/// A gateway that was not seen for this long is not counted as safe: ten heartbeats.
pub const FLEET_NODE_UNSEEN: Duration = Duration::from_secs(10);
/// A gateway that was not seen for this long is no longer listed: as long as a replaced machine may keep an alert up.
pub const FLEET_NODE_FORGOTTEN: Duration = Duration::from_secs(3600);
/// Most orders that one kill stands by: repeated orders of a person, and those of people who act at the same time.
pub const KILL_ORDERS_MAX: usize = 16;
/// Most entries that the gateways share. Orders are given by people: a few a day, and each is forgotten in time.
pub const FLEET_ENTRIES_MAX: usize = 65_536;
/// Largest entry: an order has a reason of at most 1 KiB, a key's thumbprints, and some names.
pub const FLEET_ENTRY_BYTES_MAX: usize = 32 * 1024;
/// Most entries of one script: it holds the engine up for less than a millisecond.
pub const FLEET_BATCH_ENTRIES: usize = 64;
/// Entries that the stream keeps: what a gateway misses while it connects anew is read in whole anyway.
pub const FLEET_STREAM_ENTRIES: usize = 1_000;
/// How long the other gateways are waited for after an order, unless it says otherwise.
pub const FLEET_CONFIRM_WAIT: Duration = Duration::from_millis(500);
/// Longest such wait that an order may ask for: shorter than the deadline of an admin call.
pub const FLEET_CONFIRM_WAIT_MAX: Duration = Duration::from_secs(20);
/// How long replicas of the engine are waited for: they follow within a millisecond.
pub const FLEET_REPLICA_WAIT: Duration = Duration::from_millis(50);
/// How long an order that was taken back is remembered. A gateway that was away for longer brings the kill back.
pub const FLEET_LIFTED_KEPT: Duration = Duration::from_secs(90 * 86_400);
/// How long a kill to come is remembered after its time.
pub const FLEET_SCHEDULE_KEPT: Duration = Duration::from_secs(30 * 86_400);
/// How often the length of this gateway's audit trail is shared: what is cut off later than that is noticed.
pub const FLEET_AUDIT_HEAD_INTERVAL: Duration = Duration::from_secs(60);
/// How long a blocking read waits for news; it is also the keep-alive of its connection.
pub const FLEET_READ_BLOCK: Duration = Duration::from_secs(1);
/// After how long all shared state is read again although nothing seems to be missing.
pub const FLEET_RESYNC_INTERVAL: Duration = Duration::from_secs(60);
/// How long a start waits for the first sync, unless the config says otherwise.
pub const FLEET_START_WAIT: Duration = Duration::from_secs(10);
/// Longest wait of a start that a config may ask for.
pub const FLEET_START_WAIT_MAX: Duration = Duration::from_secs(600);
/// Most servers that a URL may list: sentinels and clusters have three to nine.
pub const FLEET_SERVERS_MAX: usize = 32;
/// How often a cluster may send us on from one server to another before an attempt counts as failed.
pub const FLEET_REDIRECTS_MAX: usize = 5;
/// Largest report of one gateway in its heartbeat: demand for some thousand limits.
pub const FLEET_REPORT_BYTES_MAX: usize = 256 * 1024;

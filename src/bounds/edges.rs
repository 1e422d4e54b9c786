//! Bounds at the edges of the gateway: the listeners, the logs and metrics, the audit trail, the admin listener.

use std::num::NonZeroU32;
use std::time::Duration;

// listener

/// Time for a TLS handshake.
pub const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(10);
/// Time for a whole request head, and for the first request of a connection whose caller is not proven, unless the
/// config says otherwise.
pub const HEAD_DEADLINE: Duration = Duration::from_secs(10);
/// Longest such time that the config may ask for: a longer one lets slow senders hold connections.
pub const HEAD_DEADLINE_MAX: Duration = Duration::from_secs(300);
/// How long a connection whose caller is proven may be idle between two requests, unless the config says otherwise.
pub const IDLE_DEADLINE: Duration = Duration::from_secs(75);
/// Longest such time that the config may ask for.
pub const IDLE_DEADLINE_MAX: Duration = Duration::from_secs(3600);
/// Connections that the kernel holds for us while all slots are taken.
pub const LISTEN_BACKLOG: i32 = 4096;
/// Most open connections of one worker; fewer where the system grants fewer descriptors.
pub const CONNECTIONS_MAX: usize = 16_384;
/// Most connections of one address, or one /64 of IPv6, whose caller is not proven yet, unless the config says
/// otherwise: enough for a burst of new connections from a proxy, and far fewer than all.
pub const UNPROVEN_CONNECTIONS_MAX: NonZeroU32 = NonZeroU32::new(1024).unwrap();
/// Most file descriptors that the process asks for: enough for a hundred workers. With more, a child process that
/// closes every descriptor it may have inherited takes seconds.
pub const DESCRIPTORS_MAX: u64 = 1 << 20;
/// With fewer descriptors the gateway warns at its start: they are enough for four thousand connections and their
/// upstreams.
pub const DESCRIPTORS_ADVISED_MIN: u64 = 8192;
/// File descriptors reserved for all but data connections: operators, probes, files, issuers, hooks.
pub const DESCRIPTORS_RESERVED: u64 = 512;
/// File descriptors that the admin listeners hold in reserve, to accept an operator when the process has none left.
pub const DESCRIPTORS_SPARE: usize = 8;
/// Most requests at once on one HTTP/2 connection: the figure that RFC 9113 section 6.5.2 asks for as a minimum.
pub const H2_STREAMS_MAX: u32 = 128;
/// Most streams that a peer may reset before they were handled (CVE-2023-44487), or make us reset.
pub const H2_RESET_STREAMS_MAX: usize = 32;
/// Most bytes of an answer that wait for the window of one HTTP/2 peer.
pub const H2_SEND_BYTES_MAX: usize = 256 * 1024;
/// Receive window of one HTTP/2 stream.
pub const H2_STREAM_WINDOW_BYTES: u32 = 256 * 1024;
/// Receive window of one HTTP/2 connection.
pub const H2_CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;
/// Idle time after which an HTTP/2 peer is pinged.
pub const H2_PING_INTERVAL: Duration = Duration::from_secs(30);
/// Time for the answer to that ping.
pub const H2_PING_DEADLINE: Duration = Duration::from_secs(10);
/// How long a drain still accepts requests, so that one that was sent before the peer saw the notice is answered.
pub const DRAIN_GRACE: Duration = Duration::from_millis(300);
/// How long a socket that takes no new connections still accepts those whose handshake has begun: a round trip between
/// most clients and us.
pub const DRAIN_HANDSHAKES: Duration = Duration::from_millis(200);
/// How long a connection may keep severed answers that do not end before the connection is closed. A body ends at its
/// next poll, within microseconds, unless its reader does not read or the machine is overloaded. Shorter than
/// [`super::SEVER_DEADLINE`], so that a kill's answer counts these connections.
pub const SEVER_GRACE: Duration = Duration::from_millis(400);
/// Most bytes of a connection that the kernel holds unsent. Where one of several vendors on an HTTP/2 connection is
/// severed, so much of its answers can still leave after the kill's answer.
pub const UNSENT_BYTES_MAX: u32 = 128 * 1024;
/// Time for requests in flight to finish after SIGTERM, unless the config says otherwise.
pub const DRAIN_DEADLINE: Duration = Duration::from_secs(30);

// telemetry

/// Most workers with a share of each metric to themselves: the rest count together, so that memory per series stays
/// small.
pub const METRIC_SHARDS_MAX: usize = 64;
/// Most distinct statuses counted apart per route, beyond those known beforehand; the rest are counted as `other`.
pub const ROUTE_STATUSES_MAX: usize = 16;
/// Most bytes of log lines that wait in one buffer: some seconds of a busy worker. Further lines are dropped and
/// counted.
pub const LOG_BUFFER_BYTES_MAX: usize = 1024 * 1024;
/// Longest time that a log line waits to be written.
pub const LOG_FLUSH_INTERVAL: Duration = Duration::from_millis(100);
/// Time for the last log lines to be written when the process ends.
pub const LOG_CLOSE_DEADLINE: Duration = Duration::from_secs(1);
/// Refused or broken requests of proven clients that are kept for `vendorgate why`: some 3 MiB at the worst.
pub const FAILURES_PROVEN_MAX: usize = 4096;
/// The same of clients that proved nothing: a flood of them pushes out only requests of that kind.
pub const FAILURES_UNPROVEN_MAX: usize = 1024;
/// Longest cause that is kept with them; the rest is cut.
pub const FAILURE_CAUSE_BYTES_MAX: usize = 512;
/// Most audit lines that wait for their writer: some megabytes.
pub const AUDIT_QUEUE_MAX: usize = 16 * 1024;
/// Most audit lines that wait while the disk refuses them; further ones are counted and lost.
pub const AUDIT_PENDING_MAX: usize = 16 * 1024;
/// Most audit lines in one write.
pub const AUDIT_GROUP_MAX: usize = 1024;
/// How long a denial's audit line waits for the disk: a crash loses at most the denials of this time.
pub const AUDIT_SYNC_EVERY: Duration = Duration::from_secs(1);
/// Denials of one kind, which is a vendor, a direction and a reason, that are listed one by one in a window ...
pub const AUDIT_DENIALS_EACH: u32 = 5;
/// ... of this length; the others are counted.
pub const AUDIT_DENIALS_WINDOW: Duration = Duration::from_secs(1);
/// Denials of one kind that are listed in a span ...
pub const AUDIT_DENIALS_LISTED_MAX: u32 = 600;
/// ... of this length. In a flood that lasts the rest are only counted: some 300 KB an hour and kind ...
pub const AUDIT_DENIALS_SPAN: Duration = Duration::from_secs(3600);
/// ... with one count for each window of this length.
pub const AUDIT_DENIALS_LONG_WINDOW: Duration = Duration::from_secs(60);
/// Longest text in an audit line; the rest is cut. A detail may have four times as much.
pub const AUDIT_TEXT_BYTES_MAX: usize = 1024;
/// Longest audit line that verification reads: four texts and a detail, each byte escaped in the worst way.
pub const AUDIT_LINE_BYTES_MAX: usize = 64 * 1024;
/// Length at which a new audit file is begun, unless the config says otherwise: some 150,000 lines.
pub const AUDIT_ROTATE_BYTES: u64 = 64 * 1024 * 1024;
/// Least length that the config may set there: with less, a flood of denials makes too many files.
pub const AUDIT_ROTATE_BYTES_MIN: u64 = 64 * 1024;
/// Most bytes of audit lines in the answer of one admin call: a bound on its memory.
pub const AUDIT_READ_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Most bytes of a trail that a start searches for kills that the state has lost, newest first: some seconds.
pub const AUDIT_RECALL_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// How many bytes from the end of a trail its last line is searched for.
pub const AUDIT_TAIL_BYTES: u64 = 1024 * 1024;

// admin

/// Largest body of an admin call: an order has a few lines.
pub const ADMIN_BODY_BYTES_MAX: usize = 16 * 1024;
/// Time for an admin call's head, and again for its body.
pub const ADMIN_READ_DEADLINE: Duration = Duration::from_secs(10);
/// Most connections to the admin listener at once: people, probes and scrapers, and some forgotten browser tabs.
pub const ADMIN_CONNECTIONS_MAX: usize = 128;
/// Least number of them where file descriptors are few.
pub const ADMIN_CONNECTIONS_MIN: usize = 4;
/// Descriptors that the process needs beside connections: files, listening sockets, those of its threads.
pub const DESCRIPTORS_OF_THE_PROCESS: u64 = 48;
/// Most connections of one address there that have shown no operator's token: probes and scrapers are few.
pub const ADMIN_UNPROVEN_MAX: usize = 32;
/// Longest life of an admin connection: clients reconnect, and forgotten or stalled connections free their slots.
pub const ADMIN_CONNECTION_AGE_MAX: Duration = Duration::from_secs(300);
/// Time for the last answer on an admin connection that is to end: a drill may still be running.
pub const ADMIN_CLOSE_DEADLINE: Duration = Duration::from_secs(10);
/// Longest text of an operator's reason: a few sentences, kept for years.
pub const REASON_BYTES_MAX: usize = 500;
/// Most audit entries in one answer.
pub const AUDIT_PAGE_MAX: usize = 1000;
/// Largest answer that the command-line client reads.
pub const CLIENT_ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Time for the gateway's answer to the command-line client: a kill waits for what it severs.
pub const CLIENT_DEADLINE: Duration = Duration::from_secs(30);

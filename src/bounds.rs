//! Every bound of the product, each with its reason. Zero is never 'unlimited'.
//!
//! Units stand last in the name. A bound that an operator may change is a default here and a key in the config.

use std::time::Duration;

// http

/// Largest request head: what nginx and HAProxy accept, and room for an 8 KiB token.
pub const HEAD_BYTES_MAX: usize = 32 * 1024;
/// Most header fields in a request: hyper's own default.
pub const HEADERS_MAX: usize = 100;
/// Longest request target.
pub const TARGET_BYTES_MAX: usize = 8 * 1024;

// listener

/// Time for a TLS handshake.
pub const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(10);
/// Time for a request head, from its first byte or the last answer.
pub const HEAD_DEADLINE: Duration = Duration::from_secs(30);

// identity

/// Largest token: more is an attack or a mistake (RFC 8725 gives no figure; peers use 4 to 16 KiB).
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;

// pii

/// Deepest nesting of a document.
pub const DOCUMENT_DEPTH_MAX: usize = 128;
/// Longest value that a treatment holds: longer ones are refused.
pub const VALUE_BYTES_MAX: usize = 64 * 1024;
/// Longest member name that is compared; longer ones are no listed name.
pub const KEY_BYTES_MAX: usize = 2 * 1024;

// store

/// Most batches that wait for the disk: at one commit in 4 ms and [`STORE_GROUP_MAX`] a commit, a quarter of a second.
pub const STORE_QUEUE_MAX: usize = 64 * 1024;
/// Most batches in one commit: bounds the memory of a transaction.
pub const STORE_GROUP_MAX: usize = 1024;
/// Page cache of the state file: all of it, usually.
pub const STORE_CACHE_BYTES: usize = 16 * 1024 * 1024;

// telemetry

/// Most audit lines that wait for their writer: some megabytes.
pub const AUDIT_QUEUE_MAX: usize = 16 * 1024;
/// Most audit lines that wait for a disk that refuses them; more are counted and lost.
pub const AUDIT_PENDING_MAX: usize = 16 * 1024;
/// Most audit lines in one write.
pub const AUDIT_GROUP_MAX: usize = 1024;
/// How long a denial's audit line waits for the disk: what a crash can lose of them.
pub const AUDIT_SYNC_EVERY: Duration = Duration::from_secs(1);
/// Denials of one vendor, direction and reason that are listed one by one in a window ...
pub const AUDIT_DENIALS_EACH: u32 = 5;
/// ... of this length; the others are counted.
pub const AUDIT_DENIALS_WINDOW: Duration = Duration::from_secs(1);
/// Longest text in an audit line; the rest is cut. A detail may have four times as much.
pub const AUDIT_TEXT_BYTES_MAX: usize = 1024;
/// Longest audit line that verification reads: four texts and a detail, each byte escaped in the worst way.
pub const AUDIT_LINE_BYTES_MAX: usize = 64 * 1024;
/// How far back the last lines of a trail are looked for.
pub const AUDIT_TAIL_BYTES: u64 = 1024 * 1024;

// kill

/// Parts of each vendor's registry of what is in flight: more than workers on most machines, and a power of two.
pub const KILL_SHARDS: usize = 8;
/// Pieces of evidence kept with a kill; later ones are counted. A vendor over its budget on a thousand streams says so
/// a thousand times.
pub const KILL_EVIDENCE_MAX: usize = 16;
/// How long a kill's answer waits for what it severed to leave. A severed body ends at its next poll, so this is
/// only ever reached when a worker is stuck.
pub const SEVER_DEADLINE: Duration = Duration::from_secs(1);
/// How long a kill's answer waits for the disk before it says that it does not know.
pub const PERSIST_DEADLINE: Duration = Duration::from_secs(5);
/// How long one person's yes to a restore waits for the second's.
pub const APPROVAL_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a hook that failed is left alone, at first ...
pub const HOOK_PAUSE_FIRST: Duration = Duration::from_secs(1);
/// ... and at most, as it doubles.
pub const HOOK_PAUSE_MAX: Duration = Duration::from_secs(5 * 60);
/// How long a hook is told of an event again before it is given up on.
pub const HOOK_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// Most stand-ins of a shadow drill: a few megabytes, and as many streams as the switch is measured with.
pub const DRILL_STANDINS_MAX: usize = 10_000;
/// Most denials that a burst rule can ask for: eight bytes each, per vendor.
pub const DENIAL_BURST_MAX: u32 = 100_000;

// meter

// exposure

// upstream

/// Time to connect to an upstream, unless the config says otherwise.
pub const CONNECT_DEADLINE: Duration = Duration::from_secs(1);
/// Time to the head of an upstream's answer, unless the config says otherwise.
pub const RESPONSE_DEADLINE: Duration = Duration::from_secs(30);

// config

// admin

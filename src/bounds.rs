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

// telemetry

/// Most workers with a share of each metric to themselves: the rest count together, so that memory per series stays small.
pub const METRIC_SHARDS_MAX: usize = 64;
/// Most distinct statuses counted apart per route, beyond those known beforehand; the rest are counted as `other`.
pub const ROUTE_STATUSES_MAX: usize = 16;
/// Most bytes of exchange lines that wait per thread: some seconds of a busy worker; more are dropped and counted.
pub const LOG_BUFFER_BYTES_MAX: usize = 1024 * 1024;
/// Longest time that an exchange line waits to be written.
pub const LOG_FLUSH_INTERVAL: Duration = Duration::from_millis(100);
/// Time for the last exchange lines to be written when the process ends.
pub const LOG_CLOSE_DEADLINE: Duration = Duration::from_secs(1);

// kill

// meter

// exposure

// upstream

/// Time to connect to an upstream, unless the config says otherwise.
pub const CONNECT_DEADLINE: Duration = Duration::from_secs(1);
/// Time to the head of an upstream's answer, unless the config says otherwise.
pub const RESPONSE_DEADLINE: Duration = Duration::from_secs(30);

// config

// admin

/// Largest body of an admin call: an order of a few lines.
pub const ADMIN_BODY_BYTES_MAX: usize = 16 * 1024;
/// Time for an admin call's head, and again for its body.
pub const ADMIN_READ_DEADLINE: Duration = Duration::from_secs(10);
/// Most connections to the admin listener at once: people, probes and scrapers, with room for a forgotten tab.
pub const ADMIN_CONNECTIONS_MAX: usize = 128;
/// Longest life of an admin connection: clients reconnect, and forgotten or stalled ones give their slot back.
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

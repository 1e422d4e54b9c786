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

// kill

// meter

// exposure

// upstream

/// Time to connect to an upstream, unless the config says otherwise.
pub const CONNECT_DEADLINE: Duration = Duration::from_secs(1);
/// Time to the head of an upstream's answer, unless the config says otherwise.
pub const RESPONSE_DEADLINE: Duration = Duration::from_secs(30);

// route

/// Most routes of one contract and direction: more is a generated file that nobody reviews.
pub const ROUTES_MAX: usize = 1_000;
/// Most captures of one route, so that a lookup returns them in place.
pub const ROUTE_CAPTURES_MAX: usize = 8;

// config

/// Largest file of a config: a thousand routes with a dozen rules each fit several times.
pub const CONFIG_FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Most contracts of one gateway.
pub const CONTRACTS_MAX: usize = 10_000;
/// Requests per second of a vendor whose contract names no rate.
pub const REQUESTS_PER_SECOND_DEFAULT: u32 = 100;
/// Requests at once of a vendor whose contract names no concurrency.
pub const CONCURRENCY_DEFAULT: u32 = 100;
/// Records per minute of a vendor whose contract names no budget: a page of a hundred records each half second.
pub const RECORDS_PER_MINUTE_DEFAULT: u64 = 12_000;
/// Body bytes per minute of a vendor whose contract names no budget.
pub const BYTES_PER_MINUTE_DEFAULT: u64 = 1024 * 1024 * 1024;
/// Time between two fetches of a JWKS, before jitter, unless a contract says otherwise.
pub const JWKS_REFRESH: Duration = Duration::from_secs(300);
/// Clock skew granted to a token, unless a contract says otherwise.
pub const CLOCK_SKEW: Duration = Duration::from_secs(30);
/// Most clock skew that a contract may grant: more would undo short lifetimes.
pub const CLOCK_SKEW_MAX: Duration = Duration::from_secs(300);
/// Longest time between two fetches of a JWKS: beyond a day a withdrawn key would pass for too long.
pub const JWKS_REFRESH_MAX: Duration = Duration::from_secs(24 * 3600);
/// Longest lifetime of a token whose contract names none.
pub const TOKEN_LIFETIME_DEFAULT: Duration = Duration::from_secs(24 * 3600);
/// Longest time in a rotation rule: more is no rotation.
pub const ROTATION_MAX: Duration = Duration::from_secs(5 * 366 * 24 * 3600);
/// Longest deadline of an upstream: more is a hung connection.
pub const UPSTREAM_DEADLINE_MAX: Duration = Duration::from_secs(3600);
/// Longest sliding window of a budget.
pub const WINDOW_MAX: Duration = Duration::from_secs(31 * 24 * 3600);
/// Time that in-flight requests get to end when the gateway stops.
pub const DRAIN_DEADLINE: Duration = Duration::from_secs(30);
/// Longest such time: service managers kill what does not stop.
pub const DRAIN_DEADLINE_MAX: Duration = Duration::from_secs(3600);

// admin

//! Every bound of the product, each with its reason. Zero is never 'unlimited'.
//!
//! Units stand last in the name. A bound that an operator may change is a default here and a key in the config.

use std::num::{NonZeroU32, NonZeroU64};
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

/// Requests per second, and at once, of a vendor whose contract sets no rate: more than any vendor needs, less than a
/// machine can serve.
pub const REQUESTS_PER_SECOND_DEFAULT: NonZeroU32 = NonZeroU32::new(100_000).unwrap();
/// Requests in flight of a vendor whose contract sets no number: a kill must be able to sever them all in 50 ms.
pub const CONCURRENCY_DEFAULT: NonZeroU32 = NonZeroU32::new(10_000).unwrap();
/// Records in [`BUDGET_WINDOW_DEFAULT`] of a vendor whose contract sets no budget: no bulk job needs more.
pub const RECORDS_DEFAULT: NonZeroU64 = NonZeroU64::new(1_000_000).unwrap();
/// Bytes in [`BUDGET_WINDOW_DEFAULT`] of a vendor whose contract sets no budget: a 10 Gbit/s link, used fully.
pub const BYTES_DEFAULT: NonZeroU64 = NonZeroU64::new(75_000_000_000).unwrap();
/// The window of the two budgets above.
pub const BUDGET_WINDOW_DEFAULT: Duration = Duration::from_secs(60);
/// How often what is used of the limits is stored: what a crash can give back at most is what was used since.
pub const LEDGER_STORE_INTERVAL: Duration = Duration::from_secs(1);
/// Clients of one vendor whose rates are followed one by one; those beyond share one rate (40 bytes each).
pub const RATED_CLIENTS_MAX: usize = 10_000;
/// Fewest places in the sketch of one vendor's subjects: 64 KiB, an error under 0.6 percent.
pub const SUBJECT_PLACES_MIN: usize = 1 << 14;
/// Most places in the sketch of one vendor's subjects (4 bytes each): 1 MiB, an error under 0.3 percent.
pub const SUBJECT_PLACES_MAX: usize = 1 << 18;

// exposure

/// How long exposure is kept: a year and a month, so that a yearly review finds a whole year.
pub const EXPOSURE_RETENTION: Duration = Duration::from_secs(400 * 86_400);
/// How often counts are folded and stored: what a crash loses at most.
pub const EXPOSURE_ROLL_INTERVAL: Duration = Duration::from_secs(5);
/// After how long a day's sketches are joined.
pub const EXPOSURE_FOLD_AFTER: Duration = Duration::from_secs(7 * 86_400);

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

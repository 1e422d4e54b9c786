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
/// Deepest nesting in a token, key set or issuer's answer: real ones use four levels.
pub const IDENTITY_JSON_DEPTH_MAX: usize = 16;
/// Most members of one object there: more than any issuer's metadata has, few enough to compare each with each.
pub const IDENTITY_JSON_MEMBERS_MAX: usize = 128;
/// Longest `kid`: a thumbprint in base64url is 43 bytes, a SHA-512 in hex 128.
pub const KEY_ID_BYTES_MAX: usize = 256;
/// Most scopes in one token.
pub const SCOPES_MAX: usize = 256;
/// Shortest RSA modulus (RFC 7518 section 3.3).
pub const RSA_BITS_MIN: usize = 2048;
/// Longest RSA modulus: what the cryptographic library verifies.
pub const RSA_BITS_MAX: usize = 8192;
/// Most keys in a key set: rotation needs two or three, a large issuer publishes a dozen.
pub const KEYS_MAX: usize = 64;
/// Keys tried for a token that names none: each costs a signature check that a stranger can order.
pub const KEYS_WITHOUT_ID_TRIED_MAX: usize = 4;
/// Largest key set, issuer's metadata or introspection answer: 64 RSA keys with certificates are about 200 KiB.
pub const ISSUER_ANSWER_BYTES_MAX: usize = 256 * 1024;
/// Time for one question to an issuer, unless the config says otherwise.
pub const ISSUER_DEADLINE: Duration = Duration::from_secs(5);
/// How long the last good keys outlive their issuer, unless the config says otherwise: a night and a day.
pub const KEYS_HARD_AGE: Duration = Duration::from_secs(24 * 3600);
/// Shortest time between two fetches for an unknown `kid`, unless the config says otherwise.
pub const KEYS_COOLDOWN: Duration = Duration::from_secs(30);
/// Shortest time between two scheduled fetches, whatever an issuer's `Cache-Control` says.
pub const KEYS_REFRESH_MIN: Duration = Duration::from_secs(30);
/// How often a key, secret or revocation list file is looked at.
pub const FILE_POLL: Duration = Duration::from_secs(2);
/// How long an address learnt from an issuer's metadata is used.
pub const DISCOVERY_AGE: Duration = Duration::from_secs(3600);
/// Most requests that wait for one issuer at once: the rest are refused at once, so that waiting costs bounded memory.
pub const ISSUER_WAITERS_MAX: usize = 256;
/// Most signing keys whose first sight is remembered.
pub const KEY_SIGHTS_MAX: usize = 16 * 1024;
/// Points in time kept for each client to tell how long each of its older tokens still passes.
pub const SUPERSEDED_STEPS_MAX: usize = 9;
/// Most alternative names in a client certificate.
pub const CERTIFICATE_NAMES_MAX: usize = 64;
/// How long a certificate's chain and revocation are taken as judged.
pub const CERTIFICATE_RECHECK: Duration = Duration::from_secs(60);
/// How far a webhook's timestamp may be from our clock, unless the config says otherwise.
pub const WEBHOOK_TOLERANCE: Duration = Duration::from_secs(300);
/// How far a DPoP proof's `iat` may be from our clock: RFC 9449 section 11.1 asks for seconds or minutes.
pub const DPOP_WINDOW: Duration = Duration::from_secs(60);
/// Most proofs or messages that one vendor may use within one window.
pub const REPLAYS_MAX: usize = 64 * 1024;
/// Largest answer about one opaque token: claims of a token, as JSON instead of base64url.
pub const INTROSPECTION_BYTES_MAX: usize = 16 * 1024;
/// Most bytes of answers about opaque tokens that are remembered for one issuer.
pub const INTROSPECTION_CACHE_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Most questions about opaque tokens to one issuer in a second: a flood of random ones must not become a flood there.
pub const INTROSPECTIONS_PER_SECOND_MAX: u64 = 100;
/// How long a token about which the issuer did not answer is not asked about again.
pub const INTROSPECTION_RETRY: Duration = Duration::from_secs(1);
/// Longest id of a webhook message.
pub const WEBHOOK_ID_BYTES_MAX: usize = 256;
/// Most signatures that one webhook message may carry: two secrets at the sender, and room.
pub const WEBHOOK_SIGNATURES_MAX: usize = 8;
/// Largest file of a secret.
pub const SECRET_BYTES_MAX: usize = 4 * 1024;
/// Most bytes of verified tokens that are remembered.
pub const TOKEN_CACHE_BYTES_MAX: u64 = 64 * 1024 * 1024;

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
/// Shortest time between two fetches of a JWKS that a contract may ask for: an issuer is not to be flooded.
pub const JWKS_REFRESH_MIN: Duration = Duration::from_secs(1);
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

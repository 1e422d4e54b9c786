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
/// First pause after a failed fetch while no keys are held; doubles up to the cool-down.
pub const KEYS_RETRY_MIN: Duration = Duration::from_secs(1);
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

// exposure

// upstream

/// Time to connect to an upstream, unless the config says otherwise.
pub const CONNECT_DEADLINE: Duration = Duration::from_secs(1);
/// Time to the head of an upstream's answer, unless the config says otherwise.
pub const RESPONSE_DEADLINE: Duration = Duration::from_secs(30);

// config

// admin

//! Every bound of the product, each with its reason. Zero is never 'unlimited'.
//!
//! A name ends with its unit. A bound that an operator may change is a default here and a key in the config.

mod anomaly;
mod credentials;
mod edges;
mod fleet;
mod interception;
mod observation;
mod openapi;
mod page;
mod parameters;
mod reach;
mod records;
mod upstreams;

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

pub use anomaly::*;
pub use credentials::*;
pub use edges::*;
pub use fleet::*;
pub use interception::*;
pub use observation::*;
pub use openapi::*;
pub use page::*;
pub use parameters::*;
pub use reach::*;
pub use records::*;
pub use upstreams::*;

// http

/// Largest request head: what nginx and HAProxy accept, and room for an 8 KiB token.
pub const HEAD_BYTES_MAX: usize = 32 * 1024;
/// Most header fields in a request: hyper's own default.
pub const HEADERS_MAX: usize = 100;
/// Longest line that begins a chunk: its size has 15 digits at most, and extensions are ignored.
pub const CHUNK_LINE_BYTES_MAX: usize = 4 * 1024;
/// What is read and thrown away behind a refused head, so that the answer is not reset by what was sent before it.
pub const REFUSED_DRAIN_BYTES_MAX: usize = 256 * 1024;
/// Most interim answers (1xx) before an answer: a few hints and signs of life.
pub const INTERIM_ANSWERS_MAX: usize = 8;
/// Longest request target.
pub const TARGET_BYTES_MAX: usize = 8 * 1024;

// identity

/// Largest token unless the contract says otherwise: more is usually a mistake (RFC 8725 gives no figure; peers use 4
/// to 16 KiB).
pub const TOKEN_BYTES_DEFAULT: usize = 8 * 1024;
/// Largest token that a contract may ask for: it must fit into a request's head with other fields.
pub const TOKEN_BYTES_MAX: usize = 24 * 1024;
/// Most names from a payload down to a claim: issuers nest two or three.
pub const CLAIM_PATH_STEPS_MAX: usize = 8;
/// Most claims that a contract may name for one purpose.
pub const CLAIM_NAMES_MAX: usize = 8;
/// Subjects of one vendor whose newest token is remembered apart; those beyond share their client's.
pub const SUPERSEDED_SUBJECTS_MAX: usize = 16 * 1024;
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
/// Time in which unknown `kid`s may cause one more fetch, unless the config says otherwise; the longest time, too, for
/// which a flood of them can keep a key out that was published after the last fetch.
pub const KEYS_COOLDOWN: Duration = Duration::from_secs(30);
/// Fetches that unknown `kid`s may cause at once before the cool-down holds: two rotations in a row, in each of which a
/// fetch began too early.
pub const KEYS_FETCH_BURST: u32 = 4;
/// Shortest time between two scheduled fetches, whatever an issuer's `Cache-Control` says.
pub const KEYS_REFRESH_MIN: Duration = Duration::from_secs(30);
/// First pause after a failed fetch while no keys are held; doubles up to the cool-down.
pub const KEYS_RETRY_MIN: Duration = Duration::from_secs(1);
/// How often a key, secret or revocation list file is checked for changes.
pub const FILE_POLL: Duration = Duration::from_secs(2);
/// Of so many looks at a watched config, one compares contents: some file systems tell nothing of a change.
pub const CONFIG_WATCH_ROUNDS: u32 = 15;
/// How much of one file of a watched config is compared: more than any of them may have.
pub const CONFIG_WATCH_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// A change in whether an issuer answers about tokens is logged at most this often: strangers choose the tokens, and so
/// may choose its answers.
pub const OUTAGE_REPORT_INTERVAL: Duration = Duration::from_secs(10);
/// How long an address learnt from an issuer's metadata is used.
pub const DISCOVERY_AGE: Duration = Duration::from_secs(3600);
/// Most requests that wait for one issuer at once: the rest are refused at once, so that waiting costs bounded memory.
pub const ISSUER_WAITERS_MAX: usize = 256;
/// Most signing keys whose first sight is remembered.
pub const KEY_SIGHTS_MAX: usize = 16 * 1024;
/// Points in time kept for each client, from which follows how long each of its older tokens still passes.
pub const SUPERSEDED_STEPS_MAX: usize = 9;
/// Most alternative names in a client certificate.
pub const CERTIFICATE_NAMES_MAX: usize = 64;
/// How long a jump of the wall clock must last before it ends streams and contracts or starts scheduled kills.
pub const CLOCK_JUMP: Duration = Duration::from_secs(30);
/// How long the wall clock is compared with the monotonic one before anything is deleted by its time: a wrong clock is
/// usually corrected within hours.
pub const CLOCK_CONFIRMATION: Duration = Duration::from_secs(6 * 3600);
/// How long the check of a certificate's chain and revocation is reused.
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
pub const INTROSPECTIONS_PER_SECOND_MAX: u32 = 100;
/// How long a token about which the issuer did not answer is not asked about again.
pub const INTROSPECTION_RETRY: Duration = Duration::from_secs(1);
/// Largest body of a webhook, which is held whole until its signature is known: providers send far less.
pub const WEBHOOK_BODY_BYTES_MAX: usize = 1024 * 1024;
/// Most webhook bodies held at once: with the bound on each, 64 MiB that strangers can make us hold.
pub const WEBHOOK_SPOOLS_MAX: usize = 64;
/// Most of them from one address: a provider sends more at once only where each is short.
pub const WEBHOOK_SPOOLS_PER_SENDER: usize = 16;
/// Most of them that claim to be for one vendor.
pub const WEBHOOK_SPOOLS_PER_VENDOR: usize = 16;
/// Time for a webhook's whole body.
pub const WEBHOOK_BODY_DEADLINE: Duration = Duration::from_secs(30);
/// Longest id of a webhook message.
pub const WEBHOOK_ID_BYTES_MAX: usize = 256;
/// Most signatures that one webhook message may carry: two secrets at the sender, and room.
pub const WEBHOOK_SIGNATURES_MAX: usize = 8;
/// Most parts of a header that holds a webhook's time and signatures.
pub const WEBHOOK_PARTS_MAX: usize = 32;
/// Most parts of what a contract says that a webhook's sender signs.
pub const WEBHOOK_TEMPLATE_PARTS_MAX: usize = 32;
/// Most fields of a form whose fields are signed one by one; they are sorted before anything is known of their sender.
pub const WEBHOOK_FORM_FIELDS_MAX: usize = 1024;
/// Longest text that a handshake of a webhook's sender may ask us to repeat.
pub const WEBHOOK_CHALLENGE_BYTES_MAX: usize = 1024;
/// Shortest secret of a webhook without a warning of `check`: a shorter one can be guessed from one message.
pub const WEBHOOK_SECRET_BYTES_ADVISED: usize = 16;
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
/// Longest row of a table: it is held until it is known to have as many fields as the header.
pub const ROW_BYTES_MAX: usize = 256 * 1024;
/// Longest request with a GraphQL query: it is held until the query has been judged.
pub const GRAPHQL_BYTES_MAX: usize = 1024 * 1024;
/// Most tokens of a query, and most fields that it asks for, fragments counted wherever they are asked for.
pub const GRAPHQL_NODES_MAX: usize = 20_000;
/// Most columns that a contract may name for a table without a header.
pub const TABLE_COLUMNS_MAX: usize = 4096;
/// Longest header of a part of a form: a disposition, a type and little more.
pub const PART_HEAD_BYTES_MAX: usize = 4 * 1024;
/// Longest tag: its attributes are values too.
pub const XML_TAG_BYTES_MAX: usize = 64 * 1024;
/// Most attributes of one element: they are compared with each other.
pub const XML_ATTRIBUTES_MAX: usize = 128;
/// Longest separator that is held until it is known whether its value is dropped: a comma, a key and the space around
/// them. More space than this is no document.
pub const PENDING_SEPARATOR_BYTES_MAX: usize = KEY_BYTES_MAX + 2 * 1024;
/// Bytes that a decoded body may have whatever its ratio: small bodies of spaces and zeros compress very well.
pub const DECODED_BYTES_FREE: u64 = 1024 * 1024;
/// Decoded bytes for each coded one, beyond the free ones: text stays under 20, a bomb reaches 1,000 and more.
pub const DECODED_RATIO_MAX: u64 = 100;
/// Longest decoded body.
pub const DECODED_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// Largest window of a zstd body: what RFC 9659 lets HTTP use. It is memory that one stream holds.
pub const ZSTD_WINDOW_BYTES_MAX: u64 = 8 * 1024 * 1024;

// store

/// Most batches that wait for the disk: at one commit in 4 ms and [`STORE_GROUP_MAX`] a commit, a quarter of a second.
pub const STORE_QUEUE_MAX: usize = 64 * 1024;
/// Most batches in one commit: bounds the memory of a transaction.
pub const STORE_GROUP_MAX: usize = 1024;
/// Page cache of the state file: all of it, usually.
pub const STORE_CACHE_BYTES: usize = 16 * 1024 * 1024;

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
/// How long one person's approval of a restore waits for the second's.
pub const APPROVAL_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// Most scheduled kills: a person reads this list.
pub const SCHEDULED_KILLS_MAX: usize = 1000;
/// Most of them by one operator, so that one cannot fill the list for all.
pub const SCHEDULED_KILLS_EACH_MAX: usize = 100;
/// How long an operator who was added during a kill must wait before an approval of its restore counts: as long as an
/// approval is valid, so that someone who can write the config cannot become the second person within the same
/// incident.
pub const APPROVER_WAIT: Duration = APPROVAL_LIFETIME;
/// Longest order that is left in the state folder, in bytes.
pub const LEFT_ORDER_BYTES_MAX: u64 = 16 * 1024;
/// Most orders in the state folder that are read one by one; where there are more, every vendor is killed.
pub const LEFT_ORDERS_MAX: usize = 1000;
/// Furthest ahead that a kill can be ordered: beyond, the year was mistyped.
pub const SCHEDULE_AHEAD_MAX: Duration = Duration::from_secs(5 * 366 * 24 * 60 * 60);
/// Pause before a hook that failed is called again, at first ...
pub const HOOK_PAUSE_FIRST: Duration = Duration::from_secs(1);
/// ... and at most, as it doubles.
pub const HOOK_PAUSE_MAX: Duration = Duration::from_secs(5 * 60);
/// How long calls of a hook for one event are repeated before they are given up.
pub const HOOK_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// How long one attempt at a hook may take, unless the config says otherwise ...
pub const HOOK_DEADLINE: Duration = Duration::from_secs(10);
/// ... and at most: a hook that takes longer should hand on to something that may.
pub const HOOK_DEADLINE_MAX: Duration = Duration::from_secs(5 * 60);
/// Most hooks of one gateway: each is called at every kill.
pub const HOOKS_MAX: usize = 32;
/// Largest part of an answer to a webhook that is read; its content is not used.
pub const HOOK_ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Most simulated requests of a shadow drill: a few megabytes, and as many as the kill switch is measured with.
pub const DRILL_STANDINS_MAX: usize = 10_000;
/// Most denials that a burst rule can ask for: eight bytes each, per vendor.
pub const DENIAL_BURST_MAX: u32 = 100_000;

// meter

/// Requests per second, and at once, of a vendor whose contract sets no rate: a busy integration, not a scraper.
pub const REQUESTS_PER_SECOND_DEFAULT: NonZeroU32 = NonZeroU32::new(100).unwrap();
/// Requests in flight of a vendor whose contract sets no number.
pub const CONCURRENCY_DEFAULT: NonZeroU32 = NonZeroU32::new(100).unwrap();
/// Records in [`BUDGET_WINDOW_DEFAULT`] of a vendor whose contract sets no budget: a page of a hundred each half
/// second.
pub const RECORDS_DEFAULT: NonZeroU64 = NonZeroU64::new(12_000).unwrap();
/// Bytes in [`BUDGET_WINDOW_DEFAULT`] of a vendor whose contract sets no budget: 1 GiB.
pub const BYTES_DEFAULT: NonZeroU64 = NonZeroU64::new(1 << 30).unwrap();
/// The window of the two budgets above.
pub const BUDGET_WINDOW_DEFAULT: Duration = Duration::from_secs(60);
/// How often the usage of limits is stored: at most the usage since then is forgotten in a crash.
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
/// Time from a request's last byte to the head of its answer, unless the config says otherwise.
pub const RESPONSE_DEADLINE: Duration = Duration::from_secs(30);
/// Longest idle time of an upstream connection: shorter than the keep-alive of common servers (60 to 75 s).
pub const UPSTREAM_IDLE_MAX: Duration = Duration::from_secs(45);
/// Most idle connections that one worker keeps to one upstream for one vendor.
pub const UPSTREAM_IDLE_CONNECTIONS_MAX: usize = 256;
/// Most connections that one vendor has to one upstream, in use and idle: the bulkhead between vendors.
pub const UPSTREAM_CONNECTIONS_MAX: usize = 4096;
/// Most streams of one HTTP/2 connection to an upstream: beyond them another connection is made.
pub const UPSTREAM_STREAMS_MAX: usize = 64;
/// Receive window of such a connection: those of all its streams together, so that a caller who does not read its
/// response holds up no other. Only what callers have not read yet takes memory.
pub const UPSTREAM_CONNECTION_WINDOW_BYTES: u32 = UPSTREAM_STREAMS_MAX as u32 * H2_STREAM_WINDOW_BYTES;
/// How often a request is sent again that an HTTP/2 upstream has not processed: one that refuses every stream is full.
pub const UPSTREAM_UNPROCESSED_TRIES: usize = 3;
/// Read buffer of an upstream connection: a head must fit, and bodies come in pieces of at most this.
pub const UPSTREAM_BUFFER_BYTES_MAX: usize = 128 * 1024;
/// Least pace of a body while its sender is waited for, unless the config says otherwise: one byte a second would hold
/// a slot without a transfer. So many bytes ...
pub const BODY_PACE_BYTES: u64 = 100;
/// ... in so much time of waiting.
pub const BODY_PACE_PER: Duration = Duration::from_secs(60);
/// Most bytes that the config may ask for there: beyond, a good line is too slow.
pub const BODY_PACE_BYTES_MAX: u64 = 1024 * 1024;
/// Longest silence of either side in the middle of a body, unless the config says otherwise.
pub const BODY_IDLE_DEADLINE: Duration = Duration::from_secs(60);
/// How long the body of an error or a redirect under rules is waited for, so that it can still be withheld: few are
/// longer than a page, and come with their heads.
pub const ERROR_BODY_WAIT: Duration = Duration::from_secs(1);
/// What is held of a treated body before its head is sent, as far as it is at hand: most bodies are then checked whole.
pub const HOLD_BYTES_MAX: usize = 64 * 1024;

// gateway

/// Requests whose answer one worker decides or awaits at once; beyond, the next is refused at once.
pub const REQUESTS_AWAITED_MAX: usize = 16_384;
/// When a request that was refused for load should come back.
pub const OVERLOAD_RETRY: Duration = Duration::from_secs(1);
/// When a request whose upstream or issuer did not answer should come back: a restart takes seconds.
pub const UPSTREAM_RETRY: Duration = Duration::from_secs(5);
/// Time that the start waits for the issuers' keys: a slow issuer delays nothing but its own vendor's first requests.
pub const ISSUER_WARM_UP: Duration = Duration::from_secs(3);
/// Time that a request with a key or token seen for the first time waits for what is being fetched.
pub const IDENTITY_WAIT: Duration = Duration::from_secs(2);
/// Longest silence of either side of a WebSocket: those who keep one open longer send pings.
pub const WEBSOCKET_IDLE_DEADLINE: Duration = Duration::from_secs(600);
/// What is read from a WebSocket at once.
pub const WEBSOCKET_PIECE_BYTES: usize = 8 * 1024;
/// Longest message of a WebSocket whose messages are under rules: it is read as one document.
pub const WEBSOCKET_MESSAGE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// What is held of a treated message before it leaves: a shorter one leaves as one frame, and a refused one not at all.
pub const WEBSOCKET_FRAGMENT_BYTES: usize = 16 * 1024;
/// Time for the frame that says why the gateway ends a WebSocket.
pub const WEBSOCKET_CLOSE_DEADLINE: Duration = Duration::from_secs(1);
/// Time for both sides to leave HTTP once both have agreed.
pub const WEBSOCKET_SWITCH_DEADLINE: Duration = Duration::from_secs(10);

// route

/// Most routes of one contract and direction: a file with more is generated, and cannot be reviewed.
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
/// Longest time that keys may outlive their issuer: an outage of more than a week is forgotten.
pub const KEYS_HARD_AGE_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// Longest pause between two fetches for an unknown `kid`: beyond it, a key used before it is published is refused too
/// long.
pub const KEYS_COOLDOWN_MAX: Duration = Duration::from_secs(3600);
/// Longest time for one question to an issuer: requests wait for less.
pub const ISSUER_DEADLINE_MAX: Duration = Duration::from_secs(30);
/// How long an issuer's answer that an opaque token is active is kept, unless a contract says otherwise.
pub const INTROSPECTION_ACTIVE_FOR: Duration = Duration::from_secs(30);
/// How long its answer that a token is inactive is kept, unless a contract says otherwise.
pub const INTROSPECTION_INACTIVE_FOR: Duration = Duration::from_secs(10);
/// Longest time that either may be kept: a revoked token passes for as long.
pub const INTROSPECTION_FOR_MAX: Duration = Duration::from_secs(3600);
/// Widest tolerance for a webhook's timestamp: every message of twice that time is remembered.
pub const WEBHOOK_TOLERANCE_MAX: Duration = Duration::from_secs(3600);
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
/// How long before a contract's end warnings begin, unless the contract says otherwise.
pub const CONTRACT_WARN_BEFORE: Duration = Duration::from_secs(30 * 86_400);
/// Longest time that reading may go on after a contract's end: beyond it, renew the contract.
pub const CONTRACT_GRACE_MAX: Duration = Duration::from_secs(366 * 86_400);
/// How far ahead `observe_until` may be: a roll-out takes a quarter, and what passes raw must end by itself.
pub const OBSERVE_MAX: Duration = Duration::from_secs(90 * 86_400);
/// Longest sliding window of a budget.
pub const WINDOW_MAX: Duration = Duration::from_secs(31 * 24 * 3600);
/// Longest time for requests in flight to finish: service managers kill a process that does not stop.
pub const DRAIN_DEADLINE_MAX: Duration = Duration::from_secs(3600);

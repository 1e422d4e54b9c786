//! Bounds of the credentials by which vendors know us, and of requests that are sent once more.

use std::time::Duration;

/// Largest request body, after treatment, that is kept for another attempt. Calls of an API that change something are a
/// few KiB; larger bodies are uploads, and what waits for its answer would hold this much for each request.
pub const REPLAY_BODY_BYTES_MAX: usize = 64 * 1024;
/// Largest answer of a token endpoint or of Vault: a token with its claims is a few KiB.
pub const CREDENTIAL_ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Longest access token: it must fit into a request's head with the other fields.
pub const ACCESS_TOKEN_BYTES_MAX: usize = 16 * 1024;
/// Time for one question to a token endpoint or Vault, unless the config says otherwise.
pub const CREDENTIAL_DEADLINE: Duration = Duration::from_secs(5);
/// Longest time for one that the config may ask for: a request may wait for it.
pub const CREDENTIAL_DEADLINE_MAX: Duration = Duration::from_secs(30);
/// How long a request waits beyond the deadline of the question, which may have to begin first.
pub const CREDENTIAL_WAIT_MARGIN: Duration = Duration::from_millis(500);
/// How long a token whose lifetime the server does not state is used before another is fetched: what most servers give.
pub const TOKEN_LIFETIME_UNSTATED: Duration = Duration::from_secs(3600);
/// Longest lifetime of a token that is believed: a new one shows each day that the credential still works.
pub const TOKEN_LIFETIME_MAX: Duration = Duration::from_secs(24 * 3600);
/// How long before a token's end at most the next one is fetched: room for several tries.
pub const TOKEN_RENEWAL_AHEAD_MAX: Duration = Duration::from_secs(300);
/// How long before its end at most a token is not used any more: a request takes a while to arrive, and clocks differ.
pub const TOKEN_END_MARGIN_MAX: Duration = Duration::from_secs(10);
/// First and longest pause after a question that got no usable answer.
pub const CREDENTIAL_RETRY_MIN: Duration = Duration::from_secs(1);
/// See [`CREDENTIAL_RETRY_MIN`].
pub const CREDENTIAL_RETRY_MAX: Duration = Duration::from_secs(60);
/// Pause after the server has refused the credential itself: only a person can mend that, here or there.
pub const CREDENTIAL_REFUSED_RETRY: Duration = Duration::from_secs(300);
/// How often refused requests (401) may have a new token fetched: several at once, then one in each span. A vendor that
/// answers 401 for ever must not make us flood its token endpoint.
pub const CREDENTIAL_REFETCH_SPAN: Duration = Duration::from_secs(10);
/// See [`CREDENTIAL_REFETCH_SPAN`].
pub const CREDENTIAL_REFETCHES_AT_ONCE: u32 = 3;
/// How often a secret in Vault is read again, unless the config says otherwise.
pub const VAULT_REFRESH: Duration = Duration::from_secs(60);
/// Most callers whose exchanged tokens are kept for one vendor; those used longest ago go first.
pub const EXCHANGED_TOKENS_MAX: usize = 1_000;
/// Most exchanges of one vendor that are under way.
pub const EXCHANGES_UNDER_WAY_MAX: usize = 64;
/// How long a caller whose token the vendor's server refused is refused without another question.
pub const EXCHANGE_REFUSED_FOR: Duration = Duration::from_secs(30);
/// How long a client assertion is valid: it is used at once (RFC 7523 section 3 asks for a short time).
pub const ASSERTION_LIFETIME: Duration = Duration::from_secs(60);
/// Longest age that a config may allow a secret.
pub const SECRET_AGE_MAX: Duration = Duration::from_secs(3650 * 24 * 3600);

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
/// Longest row of a table: it is held until it is known to have as many fields as the header.
pub const ROW_BYTES_MAX: usize = 256 * 1024;
/// Longest header of a part of a form: a disposition, a type and little more.
pub const PART_HEAD_BYTES_MAX: usize = 4 * 1024;
/// Longest tag: its attributes are values too.
pub const XML_TAG_BYTES_MAX: usize = 64 * 1024;
/// Most attributes of one element: they are compared with each other.
pub const XML_ATTRIBUTES_MAX: usize = 128;
/// Longest comma, key and space around them that wait for their value's fate; more space than this is no document.
pub const LEAD_BYTES_MAX: usize = KEY_BYTES_MAX + 2 * 1024;
/// Bytes that a decoded body may have whatever its ratio: small bodies of spaces and zeros compress very well.
pub const DECODED_BYTES_FREE: u64 = 1024 * 1024;
/// Decoded bytes for each coded one, beyond the free ones: text stays under 20, a bomb reaches 1,000 and more.
pub const DECODED_RATIO_MAX: u64 = 100;
/// Longest decoded body.
pub const DECODED_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// Largest window of a zstd body: what RFC 9659 lets HTTP use. It is memory that one stream holds.
pub const ZSTD_WINDOW_BYTES_MAX: u64 = 8 * 1024 * 1024;

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

//! Bounds of how our services reach vendors.

/// Most hosts of one contract: more are not reviewed, and every answer's references are compared with them.
pub const EGRESS_HOSTS_MAX: usize = 100;
/// Longest time in which nothing passes through a tunnel whose bytes nothing reads, whichever way. One that is open for
/// longer without a byte was forgotten.
pub const TUNNEL_IDLE_DEADLINE: std::time::Duration = std::time::Duration::from_secs(600);
/// Largest TLS client hello: the key shares of today's algorithms are 2 KiB, and a handshake message may be 64 KiB.
pub const CLIENT_HELLO_BYTES_MAX: usize = 64 * 1024;
/// Most destinations of no contract that are listed, each for each caller: a company's services call a few hundred
/// hosts, and a name takes at most half a KiB.
pub const UNKNOWN_DESTINATIONS_MAX: usize = 1_000;
/// How long such a destination keeps its place in a full list after it was last asked for.
pub const UNKNOWN_DESTINATION_STALE: std::time::Duration = std::time::Duration::from_secs(24 * 3600);

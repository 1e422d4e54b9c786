//! Bounds of how our services reach vendors.

use std::num::{NonZeroU32, NonZeroU64};

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
/// Requests in a second to all destinations that no contract lists, while the config lets them pass: what all services
/// of a company send to vendors, which must not fail for a roll-out.
pub const UNDECLARED_REQUESTS_PER_SECOND: NonZeroU32 = NonZeroU32::new(1_000).unwrap();
/// Requests and tunnels at once to all of them: a tunnel holds its place while it is open.
pub const UNDECLARED_CONCURRENCY: NonZeroU32 = NonZeroU32::new(1_000).unwrap();
/// Bytes in a minute to all of them: 10 GiB, the line of a small machine.
pub const UNDECLARED_BYTES: NonZeroU64 = NonZeroU64::new(10 << 30).unwrap();
/// Most of them that are called at once, each with connections of its own.
pub const UNDECLARED_DESTINATIONS_MAX: usize = 500;
/// Dialled connections that are remembered, to know one that the kernel has redirected back to the gateway: it comes
/// back within a round trip, and a busy gateway dials a thousand in a second.
pub const DIALS_REMEMBERED: usize = 1_024;

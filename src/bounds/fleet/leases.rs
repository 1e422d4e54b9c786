//! Bounds of the leases by which gateways of a fleet share budgets. docs/fleet.md has what follows from them.

use std::time::Duration;

/// Parts of a budget that all gateways of a fleet together hold as unspent leases at the most: what is stranded on one
/// gateway while another is refused stays under 2 %.
pub const LEASE_PARTS: u64 = 64;
/// Slots into which the engine divides a window: a grant counts up to one slot longer than it must.
pub const LEASE_SLOTS: u64 = 128;
/// How much shorter than its window a lease lives: what is used of a window comes back that part of it late.
pub const LEASE_LIFE_PART: u32 = 30;
/// Longest life of a lease: three beats, so that one lost answer ends none.
pub const LEASE_LIFE_MAX: Duration = Duration::from_millis(1_500);
/// Shortest life of a lease: some round trips to an engine that is far away. It costs windows under 3 s more than 3 %.
pub const LEASE_LIFE_MIN: Duration = Duration::from_millis(100);
/// How long a body waits for a lease before it is cut: longer, and its connection would be held by an engine that is
/// away.
pub const LEASE_WAIT: Duration = Duration::from_millis(50);
/// A lease that was spent within this time is followed by one of twice its size.
pub const LEASE_SPENT_FAST: Duration = Duration::from_millis(250);
/// A lease that lasted so long is followed by one of half its size: no gateway holds more than it uses in a second.
pub const LEASE_SPENT_SLOWLY: Duration = Duration::from_secs(1);
/// How often the engine is asked again about a limit that it has said to be spent: other gateways give leases back.
pub const LEASE_SPENT_ASK: Duration = Duration::from_millis(250);
/// How often the engine is asked what is left of a limit that is in use, and of one that is not.
pub const LEASE_BEAT_IN_USE: Duration = Duration::from_millis(500);
/// See [`LEASE_BEAT_IN_USE`]: a fleet of many gateways has many limits that rest.
pub const LEASE_BEAT_AT_REST: Duration = Duration::from_secs(10);
/// When to try again where the engine is away and the share of this gateway is spent.
pub const LEASE_RETRY: Duration = Duration::from_secs(1);
/// How long the engine grants nothing after it has lost its memory, at the least: every gateway has told it by then
/// what it was granted.
pub const LEASE_RECOVERY_MIN: Duration = Duration::from_millis(1_500);
/// How long it waits for gateways that have not told it, under `on_loss: share`. Under `deny` it waits for a window.
pub const LEASE_RECOVERY_MAX: Duration = Duration::from_secs(5);
/// Bytes of a body that are treated at once while a lease may end among them: a cut at the end of the budget gives back
/// the records of so many bytes at the most.
pub const LEASE_PIECE_BYTES: usize = 512;
/// Largest count that Lua keeps exactly; a larger budget counts as this one.
pub const LEASE_COUNT_MAX: u64 = 1 << 53;
/// How often it is looked which limits should be asked about.
pub const LEASE_BEAT: Duration = Duration::from_millis(250);
/// Pause after a call that brought no lease: the engine is away, and the next call brings none either.
pub const LEASE_RETRY_PAUSE: Duration = Duration::from_millis(20);
/// Limits in one call: the engine does nothing else meanwhile, and so many take it about three milliseconds.
pub const LEASE_LIMITS_PER_CALL: usize = 32;
/// How long a share of a rate holds after it was asked for: three beats.
pub const SHARE_LIFE: Duration = Duration::from_secs(3);
/// Beats of leases between two questions about shares: half a second.
pub const SHARE_BEATS: u32 = 2;

//! What a contract says about how much may pass.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

/// A contract's `limits:` section. `None` means the default bound of the product, never 'unlimited'.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Limits {
    /// Requests per time.
    pub requests: Option<Rate>,
    /// Requests in flight at once, held until the body's last byte.
    pub concurrency: Option<NonZeroU32>,
    /// Records per window.
    pub records: Option<Budget>,
    /// Body bytes per window.
    pub bytes: Option<Budget>,
}

/// A request rate, enforced by GCRA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Requests that the rate grants ...
    pub count: NonZeroU32,
    /// ... in this span.
    pub per: Duration,
    /// Requests that may come at once after a pause.
    pub burst: NonZeroU32,
}

/// So much in a sliding window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// How much.
    pub budget: NonZeroU64,
    /// In how long.
    pub window: Duration,
    /// What an overrun does.
    pub over: Over,
}

/// What an overrun of a budget does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// What is in flight is cut at the budget, new requests are refused until the window has room.
    Refuse,
    /// All that the vendor has in flight is severed; new requests are refused until the window has room.
    Sever,
    /// The vendor is killed, until a person restores it.
    Kill,
}

//! What a contract says about how much may pass.

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;
use std::time::Duration;

use crate::bounds;
use crate::model::{Direction, words};

/// A contract's `limits:` section. `None` means the default bound of the product, never 'unlimited'.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Limits {
    /// Requests per time.
    pub requests: Option<RequestRate>,
    /// Requests in flight at once, held until the body's last byte.
    pub concurrency: Option<NonZeroU32>,
    /// Records per window.
    pub records: Option<Budget>,
    /// Body bytes per window.
    pub bytes: Option<Budget>,
    /// Different subjects per window: the guard against slow enumeration. `None` counts none.
    pub subjects: Option<Budget>,
    /// Requests per time of each client of the vendor on its own. `None` leaves the vendor's rate as the only one.
    pub client_requests: Option<RequestRate>,
}

/// A vendor's limits in each direction.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VendorLimits {
    /// How much the vendor may call us.
    pub ingress: Limits,
    /// How much we may call the vendor.
    pub egress: Limits,
    /// Whether both directions spend from one budget; `ingress` and `egress` are equal then.
    pub shared: bool,
}

impl VendorLimits {
    /// The limits of one direction.
    pub const fn of(&self, direction: Direction) -> &Limits {
        match direction {
            Direction::Ingress => &self.ingress,
            Direction::Egress => &self.egress,
        }
    }
}

/// One route's own limits, below those of its vendor.
///
/// `None` there means that only the vendor's limit holds. `client_requests` is the vendor's alone and is not read here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteLimits {
    /// Which way the route goes.
    pub direction: Direction,
    /// The route as the contract writes it, such as `GET /v1/customers`: with the direction its name across reloads.
    pub route: Arc<str>,
    /// Its limits.
    pub limits: Limits,
}

impl Limits {
    /// These limits, and those of `base` where one is not set.
    #[must_use]
    pub fn or(self, base: Self) -> Self {
        Self {
            requests: self.requests.or(base.requests),
            concurrency: self.concurrency.or(base.concurrency),
            records: self.records.or(base.records),
            bytes: self.bytes.or(base.bytes),
            subjects: self.subjects.or(base.subjects),
            client_requests: self.client_requests.or(base.client_requests),
        }
    }

    /// The vendor's request rate: as written, else the bound of the product.
    pub fn requests_or_default(&self) -> RequestRate {
        let default = bounds::REQUESTS_PER_SECOND_DEFAULT;
        self.requests.unwrap_or(RequestRate { count: default, per: Duration::from_secs(1), burst: default })
    }

    /// The vendor's requests in flight: as written, else the bound of the product.
    pub fn concurrency_or_default(&self) -> NonZeroU32 {
        self.concurrency.unwrap_or(bounds::CONCURRENCY_DEFAULT)
    }

    /// The vendor's record budget: as written, else the bound of the product.
    pub fn records_or_default(&self) -> Budget {
        self.records.unwrap_or(default_budget(bounds::RECORDS_DEFAULT))
    }

    /// The vendor's byte budget: as written, else the bound of the product.
    pub fn bytes_or_default(&self) -> Budget {
        self.bytes.unwrap_or(default_budget(bounds::BYTES_DEFAULT))
    }
}

/// A request rate, enforced by GCRA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestRate {
    /// Requests that the rate grants ...
    pub count: NonZeroU32,
    /// ... in this span.
    pub per: Duration,
    /// Requests that may come at once after a pause.
    pub burst: NonZeroU32,
}

/// How much may pass in a sliding window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// How much may pass.
    pub budget: NonZeroU64,
    /// The length of the window.
    pub window: Duration,
    /// What an overrun does.
    pub over: OverrunAction,
}

words! {
    /// What an overrun of a budget does, from the mildest to the hardest.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize, schemars::JsonSchema)]
    #[serde(rename_all = "snake_case")]
    pub enum OverrunAction {
        /// Bodies in flight are ended at the budget; new requests are refused until the window has room.
        #[default]
        Refuse = "refuse",
        /// All requests of the vendor in flight are severed; new requests are refused until the window has room.
        Sever = "sever",
        /// The vendor is killed until a person restores it.
        Kill = "kill",
    }
}

const fn default_budget(budget: NonZeroU64) -> Budget {
    Budget { budget, window: bounds::BUDGET_WINDOW_DEFAULT, over: OverrunAction::Refuse }
}

//! Orders to kill: their target, selector, origin and reason, and the record that is kept of a kill.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::switch::GATEWAY_ACTOR;
use crate::model::{ClientId, Direction, IdError, Moment, UnixTime, VendorId, words};

/// Whose traffic an order is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum KillTarget {
    /// The vendor of this id.
    Vendor(VendorId),
    /// Every vendor, those of tomorrow's contracts too.
    Everything,
}

impl KillTarget {
    /// A vendor's id, or `*`.
    ///
    /// # Errors
    /// [`IdError`] where it is neither.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        if text == "*" { Ok(Self::Everything) } else { VendorId::parse(text).map(Self::Vendor) }
    }

    /// The vendor's id, or `*`, which no vendor can be called.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Vendor(vendor) => vendor.as_str(),
            Self::Everything => "*",
        }
    }
}

/// A route as the registry compares it: a number made of the text in the contract, so that it means the same before
/// and after a reload or a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RouteTag(u64);

impl RouteTag {
    /// Traffic that belongs to no route; a kill by route never matches it.
    pub const NONE: Self = Self(0);

    /// The tag of a route as its contract writes it, such as `GET /v1/customers/{id}`. Make it at load, not per
    /// request.
    ///
    /// Made of what the route matches: the names of its captures do not count, so a contract that renames `{id}` to
    /// `{key}` names the same route.
    pub fn of(route: &str) -> Self {
        let hash = blake3::hash(unnamed(route).as_bytes());
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&hash.as_bytes()[..8]);
        Self(u64::from_le_bytes(bytes).max(1))
    }
}

/// A route without the names of its captures: `GET /v1/customers/{}`.
fn unnamed(route: &str) -> String {
    let segment = |segment: &str| match segment.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')) {
        Some(inner) if inner.starts_with('*') => "{*}".to_owned(),
        Some(_) => "{}".to_owned(),
        None => segment.to_owned(),
    };
    route.split('/').map(segment).collect::<Vec<_>>().join("/")
}

/// A part of a vendor's traffic: all that every given member matches, and all of it when none is given.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Part", !deny_unknown_fields)]
pub struct KillSelector {
    /// Only this direction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// Only this route, as the contract writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<Arc<str>>,
    /// Only this client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientId>,
}

impl KillSelector {
    /// Whether this is the vendor whole.
    pub fn is_whole(&self) -> bool {
        self.direction.is_none() && self.route.is_none() && self.client.is_none()
    }

    /// Whether all that `other` covers is covered by this.
    pub fn contains(&self, other: &Self) -> bool {
        fn wider<T: PartialEq>(mine: Option<&T>, other: Option<&T>) -> bool {
            mine.is_none() || mine == other
        }
        wider(self.direction.as_ref(), other.direction.as_ref())
            && wider(self.tag().as_ref(), other.tag().as_ref())
            && wider(self.client.as_ref(), other.client.as_ref())
    }

    /// Whether both cover the same, however it is written.
    pub fn is_same(&self, other: &Self) -> bool {
        self.contains(other) && other.contains(self)
    }

    /// The tag of the route, where one is named.
    pub(super) fn tag(&self) -> Option<RouteTag> {
        self.route.as_deref().map(RouteTag::of)
    }
}

words! {
    /// What made a kill happen.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum KillOrigin {
        /// A person or machine with a name said so.
        Operator = "operator",
        /// The gateway itself, on evidence.
        Trip = "trip",
        /// An order given earlier, for this time.
        Schedule = "schedule",
        /// An exercise of the kill switch.
        Drill = "drill",
        /// State could not be read at the start.
        StateUnreadable = "state_unreadable",
        /// No kill: a budget was overrun, and what was in flight was severed. New requests of the vendor are still let
        /// in.
        Cut = "cut",
    }
}

/// What the gateway saw that made it kill, or that it saw while the kill was in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// When the gateway saw it.
    pub at: UnixTime,
    /// The kind of evidence, in a stable word: `records_exceeded`, `denial_burst`, or a [`KillOrigin`]'s.
    pub kind: String,
    /// Figures and names for a person. Never a secret or a personal value.
    pub detail: String,
}

/// An order to kill.
#[derive(Debug, Clone)]
pub struct KillOrder {
    /// The vendor, or all of them.
    pub target: KillTarget,
    /// How much of the vendor.
    pub selector: KillSelector,
    /// What made it happen.
    pub origin: KillOrigin,
    /// The operator's name, or the gateway's.
    pub by: String,
    /// The reason, in that person's words.
    pub reason: String,
    /// What was seen; where nothing was, the evidence of the kill is who ordered it and why.
    pub evidence: Option<Evidence>,
    /// When the order arrived: the times in the answer count from here.
    pub at: Moment,
    /// The order's id in the fleet, where it has one already.
    pub id: Option<Arc<str>>,
    /// The gateway of the fleet that the order was given to, where that is another one.
    pub gateway: Option<Arc<str>>,
}

impl KillOrder {
    /// An order about all of the target's traffic.
    pub fn new(target: KillTarget, origin: KillOrigin, by: &str, reason: &str, at: Moment) -> Self {
        let (by, reason) = (by.to_owned(), reason.to_owned());
        Self {
            target,
            selector: KillSelector::default(),
            origin,
            by,
            reason,
            evidence: None,
            at,
            id: None,
            gateway: None,
        }
    }

    /// An order of the gateway itself, about all of the target's traffic.
    pub fn by_gateway(target: KillTarget, origin: KillOrigin, reason: &str, at: Moment) -> Self {
        Self::new(target, origin, GATEWAY_ACTOR, reason, at)
    }

    /// Whether a person ordered it, now or earlier, and it is not the gateway's own finding.
    pub(super) fn is_ordered(&self) -> bool {
        self.origin != KillOrigin::Trip
    }

    /// What this order adds to the evidence of its kill.
    pub(super) fn evidence(&self) -> Evidence {
        let said = || format!("{}: {}", self.by, self.reason);
        let words = || Evidence { at: self.at.wall, kind: self.origin.as_str().to_owned(), detail: said() };
        self.evidence.clone().unwrap_or_else(words)
    }
}

/// A kill in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kill {
    /// Grows by each change of any vendor's state, and never repeats.
    pub generation: u64,
    /// How much of the vendor.
    #[serde(rename = "reach", default)]
    pub selector: KillSelector,
    /// Whether it came with an order for every vendor.
    #[serde(default)]
    pub everything: bool,
    /// When it was ordered.
    pub at: UnixTime,
    /// The operator's name, or the gateway's.
    pub by: String,
    /// The reason, in that person's words.
    pub reason: String,
    /// What made it happen.
    pub origin: KillOrigin,
    /// What was seen, oldest first, within a bound.
    #[serde(default)]
    pub evidence: Vec<Evidence>,
    /// How many more pieces of evidence came after the bound.
    #[serde(default)]
    pub more_evidence: u64,
    /// The ids of the orders that it stands by, where the gateway is one of a fleet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub orders: Vec<Arc<str>>,
}

impl Kill {
    /// The cause of a severing that puts no kill in force: generation 0, and all of the vendor's traffic.
    pub(super) fn without_order(origin: KillOrigin, by: &str, reason: &str, at: UnixTime) -> Self {
        Self {
            generation: 0,
            selector: KillSelector::default(),
            everything: false,
            at,
            by: by.to_owned(),
            reason: reason.to_owned(),
            origin,
            evidence: Vec::new(),
            more_evidence: 0,
            orders: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selector(json: &str) -> KillSelector {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_selector_is_written_as_it_was_read() {
        for json in ["{}", r#"{"direction":"egress"}"#, r#"{"direction":"ingress","route":"GET /a","client":"c"}"#] {
            assert_eq!(serde_json::to_string(&selector(json)).unwrap(), json);
        }
        for bad in [r#"{"direction":"up"}"#, r#"{"vendor":"acme"}"#, "[1]"] {
            assert!(serde_json::from_str::<KillSelector>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn evidence_holds_its_time_as_rfc_3339() {
        let at = UnixTime::from_millis(1_800_000_000_123);
        let json = r#"{"at":"2027-01-15T08:00:00.123Z","kind":"trip","detail":"d"}"#;
        let evidence = Evidence { at, kind: "trip".to_owned(), detail: "d".to_owned() };
        assert_eq!(serde_json::to_string(&evidence).unwrap(), json);
        assert_eq!(serde_json::from_str::<Evidence>(json).unwrap(), evidence);
    }

    #[test]
    fn a_selector_contains_every_narrower_one() {
        let table = [
            ("{}", r#"{"client":"c"}"#, true),
            (r#"{"client":"c"}"#, "{}", false),
            (r#"{"client":"c"}"#, r#"{"client":"c","direction":"egress"}"#, true),
            (r#"{"client":"c"}"#, r#"{"client":"d"}"#, false),
            (r#"{"route":"GET /a"}"#, r#"{"route":"GET /a"}"#, true),
            (r#"{"route":"GET /a/{id}/b"}"#, r#"{"route":"GET /a/{key}/b"}"#, true),
            (r#"{"route":"GET /a/{*id}"}"#, r#"{"route":"GET /a/{id}"}"#, false),
            (r#"{"route":"GET /a/{id}"}"#, r#"{"route":"GET /a/id"}"#, false),
            (r#"{"route":"GET /a/{id}"}"#, r#"{"route":"POST /a/{id}"}"#, false),
            (r#"{"direction":"egress"}"#, r#"{"direction":"ingress"}"#, false),
        ];
        for (wide, narrow, expected) in table {
            assert_eq!(selector(wide).contains(&selector(narrow)), expected, "{wide} {narrow}");
        }
        assert!(selector("{}").is_whole() && !selector(r#"{"route":"GET /a"}"#).is_whole());
    }
}

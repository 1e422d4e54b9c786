//! What was seen: of each vendor and direction a bounded table of patterns.
//!
//! Locks are short, and are taken only for calls of contracts that observe and for refused ones.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};

use super::fields::SeenFields;
use super::pattern::{is_name, pattern_of};
use super::rates::BusySpans;
use crate::bounds::{
    OBSERVED_BODIES, OBSERVED_BODY_EVERY, OBSERVED_NAMES_MAX, OBSERVED_ROUTES_MAX, OBSERVED_SIBLINGS_MAX,
};
use crate::model::{Direction, Lock as _, Reason, UnixTime, VendorId};
use crate::pii::FieldScanner;

/// What was seen of all vendors.
#[derive(Debug, Default)]
pub struct Observations(Mutex<HashMap<VendorId, Arc<VendorSeen>>>);

/// What was seen of one vendor.
#[derive(Debug, Default)]
pub struct VendorSeen {
    directions: [Mutex<DirectionSeen>; Direction::ALL.len()],
    /// Whether something was seen since it was last stored.
    is_changed: AtomicBool,
}

/// What is kept of a vendor on disk.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VendorSeenRow {
    directions: [DirectionSeen; Direction::ALL.len()],
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DirectionSeen {
    /// By method and pattern.
    pub(super) routes: BTreeMap<String, RouteSeen>,
    /// Patterns whose last word has turned out to be one of many values.
    collapsed: std::collections::BTreeSet<String>,
    /// Calls that no entry had room for.
    pub(super) others: u64,
    pub(super) seconds: BusySpans,
    pub(super) minutes: BusySpans,
    /// Most calls at once.
    pub(super) most_at_once: u64,
    pub(super) first_ms: u64,
    pub(super) last_ms: u64,
}

/// What was seen of one method and pattern.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RouteSeen {
    pub(super) calls: u64,
    /// Calls that were refused, by reason.
    pub(super) refused: BTreeMap<String, u64>,
    /// What an enforced contract would have refused, by reason.
    pub(super) would_deny: BTreeMap<String, u64>,
    pub(super) upstream: String,
    /// Whether the contract has a route of this name.
    pub(super) is_declared: bool,
    pub(super) callers: BTreeMap<String, u64>,
    pub(super) query: BTreeMap<String, u64>,
    pub(super) headers: BTreeMap<String, u64>,
    pub(super) scopes: BTreeMap<String, u64>,
    pub(super) statuses: BTreeMap<u16, u64>,
    pub(super) request: SeenFields,
    pub(super) response: SeenFields,
    bodies: u64,
}

/// A call, borrowed: what of it may be counted. Names that look like data are left out.
#[derive(Debug, Clone, Copy)]
pub struct SeenCall<'a> {
    /// The method.
    pub method: &'a str,
    /// The canonical path.
    pub path: &'a str,
    /// The name of the contract's route that covers it.
    pub declared: Option<&'a str>,
    /// The query without its `?`.
    pub query: Option<&'a str>,
    /// The names of its header fields.
    pub headers: &'a [&'a str],
    /// The proven client.
    pub client: Option<&'a str>,
    /// The scopes of its token.
    pub scopes: &'a [&'a str],
    /// Where it went.
    pub upstream: Option<&'a str>,
    /// Whether it was let in.
    pub outcome: CallOutcome,
    /// Calls of the vendor and direction that are in flight.
    pub in_flight: u64,
    /// When it came.
    pub at: UnixTime,
}

/// Whether a call was let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallOutcome {
    /// It was.
    Passed,
    /// It was refused.
    Refused(Reason),
}

/// The entry that a call counts in, until its end.
#[derive(Debug, Clone)]
pub struct SeenRoute {
    vendor: Arc<VendorSeen>,
    direction: Direction,
    key: Arc<str>,
}

impl Observations {
    /// What was seen of a vendor.
    pub fn vendor(&self, vendor: &VendorId) -> Arc<VendorSeen> {
        Arc::clone(self.0.locked().entry(vendor.clone()).or_default())
    }

    /// Takes up what an earlier run had seen.
    pub fn restore(&self, vendor: &VendorId, row: VendorSeenRow) {
        let seen = VendorSeen { directions: row.directions.map(Mutex::new), is_changed: AtomicBool::new(false) };
        self.0.locked().insert(vendor.clone(), Arc::new(seen));
    }

    /// The vendors of which something was seen since the last call, with all that was.
    pub fn changed(&self) -> Vec<(VendorId, VendorSeenRow)> {
        let all = self.0.locked();
        let changed = all.iter().filter(|(_, seen)| seen.is_changed.swap(false, Ordering::AcqRel));
        changed.map(|(vendor, seen)| (vendor.clone(), seen.row())).collect()
    }
}

impl VendorSeen {
    /// All that was seen so far.
    pub fn row(&self) -> VendorSeenRow {
        VendorSeenRow { directions: [0, 1].map(|index: usize| self.directions[index].locked().clone()) }
    }

    /// Counts a call; `None` where it has no entry, because there are too many.
    pub fn call(self: &Arc<Self>, direction: Direction, call: &SeenCall<'_>) -> Option<SeenRoute> {
        self.is_changed.store(true, Ordering::Release);
        let mut seen = self.directions[direction.index()].locked();
        let key = seen.call(call)?;
        Some(SeenRoute { vendor: Arc::clone(self), direction, key: key.into() })
    }
}

impl DirectionSeen {
    fn call(&mut self, call: &SeenCall<'_>) -> Option<String> {
        let ms = call.at.as_millis();
        self.first_ms = if self.first_ms == 0 { ms } else { self.first_ms.min(ms) };
        self.last_ms = self.last_ms.max(ms);
        if call.outcome == CallOutcome::Passed {
            self.seconds.call(ms / 1_000);
            self.minutes.call(ms / 60_000);
            self.most_at_once = self.most_at_once.max(call.in_flight);
        }
        let key = match call.declared {
            Some(name) => name.to_owned(),
            None => self.key(call.method, &pattern_of(call.path)),
        };
        if let Some(route) = self.routes.get_mut(&key) {
            route.call(call);
            return Some(key);
        }
        if self.routes.len() >= OBSERVED_ROUTES_MAX {
            self.others += 1;
            return None;
        }
        let is_declared = call.declared.is_some();
        self.routes.entry(key.clone()).or_insert(RouteSeen { is_declared, ..RouteSeen::default() }).call(call);
        self.collapse(&key);
        Some(key)
    }

    /// The key of a pattern; its last word is a capture where it has turned out to be one of many values.
    fn key(&self, method: &str, pattern: &str) -> String {
        let key = format!("{} {pattern}", if is_method(method) { method } else { "*" });
        match collapsible(&key) {
            Some(collapsed) if self.collapsed.contains(&collapsed) => collapsed,
            Some(_) | None => key,
        }
    }

    /// Makes one pattern of those that differ in their last word alone, where there are too many: the words are values.
    fn collapse(&mut self, key: &str) {
        let Some(collapsed) = collapsible(key) else { return };
        let is_sibling =
            |other: &String, route: &RouteSeen| !route.is_declared && collapsible(other).as_ref() == Some(&collapsed);
        if self.routes.iter().filter(|(other, route)| is_sibling(other, route)).count() <= OBSERVED_SIBLINGS_MAX {
            return;
        }
        let (siblings, rest) =
            std::mem::take(&mut self.routes).into_iter().partition(|(other, route)| is_sibling(other, route));
        self.routes = rest;
        let siblings: BTreeMap<String, RouteSeen> = siblings;
        let all = self.routes.entry(collapsed.clone()).or_default();
        siblings.values().for_each(|route| all.absorb(route));
        self.collapsed.insert(collapsed);
    }
}

fn is_method(method: &str) -> bool {
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"].contains(&method)
}

/// The key with its last word as a capture; `None` where that is one already.
fn collapsible(key: &str) -> Option<String> {
    let (before, last) = key.rsplit_once('/')?;
    (!last.is_empty() && !last.starts_with('{')).then(|| {
        let captures = before.matches('{').count();
        if captures == 0 { format!("{before}/{{id}}") } else { format!("{before}/{{id{}}}", captures + 1) }
    })
}

impl RouteSeen {
    fn call(&mut self, call: &SeenCall<'_>) {
        let refused = match call.outcome {
            CallOutcome::Passed => None,
            CallOutcome::Refused(reason) => Some(reason.as_str()),
        };
        match refused {
            Some(reason) => *self.refused.entry(reason.to_owned()).or_default() += 1,
            None => self.calls += 1,
        }
        if let Some(upstream) = call.upstream {
            upstream.clone_into(&mut self.upstream);
        }
        let names = call.query.into_iter().flat_map(|query| query.split('&'));
        // What has no value may be one itself.
        let names = names.filter_map(|pair| pair.split_once('=')).map(|(name, _)| name);
        names.filter(|name| is_name(name)).for_each(|name| count(&mut self.query, name, 1));
        let own = call.headers.iter().filter(|name| is_name(name) && !is_common(name));
        own.for_each(|name| count(&mut self.headers, name, 1));
        call.client.iter().for_each(|client| count(&mut self.callers, client, 1));
        call.scopes.iter().for_each(|scope| count(&mut self.scopes, scope, 1));
    }

    fn absorb(&mut self, other: &Self) {
        self.calls += other.calls;
        self.bodies += other.bodies;
        other.upstream.clone_into(&mut self.upstream);
        let all = [
            (&mut self.refused, &other.refused),
            (&mut self.would_deny, &other.would_deny),
            (&mut self.callers, &other.callers),
            (&mut self.query, &other.query),
            (&mut self.headers, &other.headers),
            (&mut self.scopes, &other.scopes),
        ];
        for (into, from) in all {
            from.iter().for_each(|(name, times)| count(into, name, *times));
        }
        other.statuses.iter().for_each(|(status, times)| *self.statuses.entry(*status).or_default() += times);
        self.request.absorb(&other.request);
        self.response.absorb(&other.response);
    }
}

fn count(names: &mut BTreeMap<String, u64>, name: &str, times: u64) {
    if let Some(count) = names.get_mut(name) {
        *count += times;
    } else if names.len() < OBSERVED_NAMES_MAX {
        names.insert(name.to_owned(), times);
    }
}

/// Header fields that every client sends, or that say nothing about what is asked for.
fn is_common(name: &str) -> bool {
    !name.starts_with("x-") || name.starts_with("x-forwarded") || name == "x-request-id"
}

impl SeenRoute {
    /// The call has ended with this status, and would have been denied for these reasons.
    pub fn ended(&self, status: u16, would_deny: impl Iterator<Item = Reason>) {
        self.with(|route| {
            *route.statuses.entry(status / 100).or_default() += 1;
            would_deny.for_each(|reason| *route.would_deny.entry(reason.as_str().to_owned()).or_default() += 1);
        });
    }

    /// A scanner for a body, where it is its turn to be looked at.
    pub fn scanner(&self, content_type: Option<&str>, content_encoding: Option<&str>) -> Option<FieldScanner> {
        let mut turn = 0;
        self.with(|route| {
            turn = route.bodies;
            route.bodies += 1;
        });
        let is_turn = turn < OBSERVED_BODIES || turn.is_multiple_of(OBSERVED_BODY_EVERY);
        is_turn.then(|| FieldScanner::new(content_type, content_encoding))
    }

    /// Adds the fields of a body: of the request, or of the response.
    pub fn add_fields(&self, is_request: bool, fields: &SeenFields) {
        self.with(|route| if is_request { &mut route.request } else { &mut route.response }.absorb(fields));
    }

    fn with(&self, act: impl FnOnce(&mut RouteSeen)) {
        let mut seen = self.vendor.directions[self.direction.index()].locked();
        let collapsed =
            collapsible(&self.key).filter(|key| !seen.routes.contains_key(&*self.key) && seen.routes.contains_key(key));
        let key = collapsed.as_deref().unwrap_or(&self.key);
        if let Some(route) = seen.routes.get_mut(key) {
            act(route);
            self.vendor.is_changed.store(true, Ordering::Release);
        }
    }
}

impl VendorSeenRow {
    pub(super) const fn of(&self, direction: Direction) -> &DirectionSeen {
        &self.directions[direction.index()]
    }
}

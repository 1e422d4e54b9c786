//! Counts denials and cut responses, and lists only the first few of each kind in a second.
//!
//! Every denial is in the trail: as a line of its own, or in the count of a later line. Memory is bounded by the number
//! of vendors in the config. During a flood that lasts, only counts are written, so that the growth of the trail that a
//! stranger can cause in an hour is bounded too.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use serde_json::json;

use super::record::{AuditAct, AuditRecord};
use crate::bounds::{
    AUDIT_DENIALS_EACH, AUDIT_DENIALS_LISTED_MAX, AUDIT_DENIALS_LONG_WINDOW, AUDIT_DENIALS_SPAN, AUDIT_DENIALS_WINDOW,
};
use crate::model::{ClientId, Direction, Lock as _, Reason, UnixTime, VendorId};

/// A request that was refused.
#[derive(Debug, Clone, Copy)]
pub struct DeniedRequest<'a> {
    /// The vendor whose contract refused it; `None` where no contract applies.
    pub vendor: Option<&'a VendorId>,
    /// The direction of the request.
    pub direction: Direction,
    /// The stable reason.
    pub reason: Reason,
    /// The vendor's client, where one was proven.
    pub client: Option<&'a ClientId>,
    /// The request's id, as in the logs.
    pub request_id: &'a str,
    /// What exactly was wrong. Never a secret or a personal value.
    pub detail: &'a str,
    /// When it happened.
    pub at: UnixTime,
}

/// Denials, cut responses and refused admin calls that are counted and not written yet.
#[derive(Debug, Default)]
pub(super) struct DenialCounts(Mutex<DenialTallies>);

#[derive(Debug, Default)]
struct DenialTallies {
    by_vendor: HashMap<VendorId, VendorTallies>,
    /// For requests to which no contract applies.
    unknown: VendorTallies,
    /// Refused admin calls by their reason, which is one of a closed list.
    admin: BTreeMap<&'static str, DenialTally>,
}

/// The tallies of one vendor: one for each direction and reason.
#[derive(Debug)]
struct VendorTallies {
    denied: Box<[DenialTally; KINDS]>,
    cut: Box<[DenialTally; KINDS]>,
    /// Requests that a contract would have refused; made when the vendor's contract first observes.
    would_deny: Option<Box<[DenialTally; KINDS]>>,
}

const KINDS: usize = 2 * Reason::ALL.len();

/// What is counted together.
#[derive(Debug, Clone, Copy)]
pub enum DenialKind<'a> {
    /// Requests that were refused for a reason, by the contract of a vendor or where no contract applies.
    Denied(Option<&'a VendorId>, Direction, Reason),
    /// Requests that the contract of a vendor would have refused for a reason, if it did not only observe.
    WouldDeny(&'a VendorId, Direction, Reason),
    /// Responses to a vendor that were cut for a reason while they streamed.
    Cut(&'a VendorId, Direction, Reason),
    /// Admin calls that were refused for a reason, which is one of a closed list.
    Admin(&'static str),
}

#[derive(Debug, Clone, Copy, Default)]
struct DenialTally {
    window: UnixTime,
    /// Denials that were listed in this window.
    listed: u32,
    /// The start of the span in which listed denials are counted, and how many there were.
    span: UnixTime,
    listed_in_span: u32,
    more: u64,
    first: UnixTime,
    last: UnixTime,
}

impl DenialCounts {
    /// Counts one; true where it is to be listed: it then counts by being written.
    pub(super) fn note(&self, kind: DenialKind<'_>, at: UnixTime) -> bool {
        self.0.locked().tally(kind).note(at)
    }

    /// Counts one whose record could not be queued.
    pub(super) fn count(&self, kind: DenialKind<'_>, at: UnixTime) {
        self.0.locked().tally(kind).add(at);
    }

    /// Takes the counts of windows that are over as records; with `all`, every count.
    pub(super) fn flush(&self, now: UnixTime, all: bool) -> Vec<AuditRecord> {
        let mut tallies = self.0.locked();
        let mut entries = Vec::new();
        tallies.unknown.flush("-", now, all, &mut entries);
        for (vendor, kinds) in &mut tallies.by_vendor {
            kinds.flush(vendor.as_str(), now, all, &mut entries);
        }
        for (reason, tally) in &mut tallies.admin {
            let counted = tally.take_count(now, all);
            entries.extend(counted.map(|counted| counted.entry(AuditAct::AdminRefusals, "-", "-", reason, now)));
        }
        entries
    }
}

impl DenialTallies {
    fn tally(&mut self, kind: DenialKind<'_>) -> &mut DenialTally {
        let place = |direction: Direction, reason: Reason| direction.index() * Reason::ALL.len() + reason.index();
        match kind {
            DenialKind::Denied(vendor, direction, reason) => &mut self.of(vendor).denied[place(direction, reason)],
            DenialKind::Cut(vendor, direction, reason) => &mut self.of(Some(vendor)).cut[place(direction, reason)],
            DenialKind::WouldDeny(vendor, direction, reason) => {
                let counts = &mut self.of(Some(vendor)).would_deny;
                let counts = counts.get_or_insert_with(|| Box::new([DenialTally::default(); KINDS]));
                &mut counts[place(direction, reason)]
            }
            DenialKind::Admin(reason) => self.admin.entry(reason).or_default(),
        }
    }

    fn of(&mut self, vendor: Option<&VendorId>) -> &mut VendorTallies {
        match vendor {
            None => &mut self.unknown,
            Some(vendor) => {
                if !self.by_vendor.contains_key(vendor.as_str()) {
                    self.by_vendor.insert(vendor.clone(), VendorTallies::default());
                }
                self.by_vendor.get_mut(vendor.as_str()).unwrap_or(&mut self.unknown)
            }
        }
    }
}

impl Default for VendorTallies {
    fn default() -> Self {
        let none = || Box::new([DenialTally::default(); KINDS]);
        Self { denied: none(), cut: none(), would_deny: None }
    }
}

impl VendorTallies {
    fn flush(&mut self, vendor: &str, now: UnixTime, all: bool, entries: &mut Vec<AuditRecord>) {
        let would_deny = self.would_deny.as_mut().map(|tallies| (AuditAct::WouldDenials, tallies));
        let acts = [(AuditAct::Denials, &mut self.denied), (AuditAct::Cuts, &mut self.cut)];
        for (act, tallies) in acts.into_iter().chain(would_deny) {
            for (index, tally) in tallies.iter_mut().enumerate() {
                let (direction, reason) = (index / Reason::ALL.len(), index % Reason::ALL.len());
                let (direction, reason) = (Direction::ALL[direction].as_str(), Reason::ALL[reason].as_str());
                let counted = tally.take_count(now, all);
                entries.extend(counted.map(|counted| counted.entry(act, vendor, direction, reason, now)));
            }
        }
    }
}

/// A count of denials that were not listed.
struct CountedDenials {
    count: u64,
    first: UnixTime,
    last: UnixTime,
}

impl DenialTally {
    /// Counts a denial; true where it is to be listed.
    fn note(&mut self, at: UnixTime) -> bool {
        if at.since(self.window) >= AUDIT_DENIALS_WINDOW && self.more == 0 {
            self.window = at;
            self.listed = 0;
        }
        if at.since(self.span) >= AUDIT_DENIALS_SPAN {
            self.span = at;
            self.listed_in_span = 0;
        }
        if self.listed < AUDIT_DENIALS_EACH && !self.lasts() {
            self.listed += 1;
            self.listed_in_span += 1;
            return true;
        }
        self.add(at);
        false
    }

    /// Whether so many were listed that only counts are written for the rest of the span.
    const fn lasts(&self) -> bool {
        self.listed_in_span >= AUDIT_DENIALS_LISTED_MAX
    }

    fn add(&mut self, at: UnixTime) {
        if self.more == 0 {
            self.first = at;
        }
        self.more += 1;
        self.last = at;
    }

    /// Takes the count where its window is over; with `all`, in any case.
    fn take_count(&mut self, now: UnixTime, all: bool) -> Option<CountedDenials> {
        let window = if self.lasts() { AUDIT_DENIALS_LONG_WINDOW } else { AUDIT_DENIALS_WINDOW };
        // A clock that was set back ends the window too: otherwise its count would wait until the clock is there again.
        let is_over = all || now.since(self.window) >= window || now < self.window;
        if self.more == 0 || !is_over {
            return None;
        }
        let counted = CountedDenials { count: self.more, first: self.first, last: self.last };
        *self = Self { window: now, span: self.span.min(now), listed_in_span: self.listed_in_span, ..Self::default() };
        Some(counted)
    }
}

impl CountedDenials {
    fn entry(&self, act: AuditAct, vendor: &str, direction: &str, reason: &str, now: UnixTime) -> AuditRecord {
        let (first, last) = (self.first.to_string(), self.last.to_string());
        let detail = json!({ "direction": direction, "count": self.count, "first": first, "last": last });
        AuditRecord::new(now, vendor, act, vendor, reason, detail)
    }
}

impl DeniedRequest<'_> {
    pub(super) fn entry(&self, act: AuditAct) -> AuditRecord {
        let vendor = self.vendor.map_or("-", VendorId::as_str);
        let actor = self.client.map_or(vendor, ClientId::as_str);
        let direction = self.direction.as_str();
        let detail = json!({ "direction": direction, "request_id": self.request_id, "detail": self.detail });
        AuditRecord::new(self.at, actor, act, vendor, self.reason.as_str(), detail)
    }
}

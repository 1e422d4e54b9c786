//! Counts denials and cuts, and lists only the first few of each kind in a second: a flood is one line with a number.
//!
//! Exact: each is either a line of its own or one of a number that becomes a line. Memory is bounded by the
//! vendors of the config, never by what strangers send; and a flood that lasts is soon told by its numbers alone, so that
//! what a stranger can make the trail grow by in an hour is bounded too.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard};

use serde_json::json;

use super::entry::{AuditAct, AuditRecord};
use crate::bounds::{
    AUDIT_DENIALS_EACH, AUDIT_DENIALS_LISTED_MAX, AUDIT_DENIALS_LONG_WINDOW, AUDIT_DENIALS_SPAN, AUDIT_DENIALS_WINDOW,
};
use crate::model::{ClientId, Direction, Lock as _, Reason, UnixTime, VendorId};

/// A request that was refused.
#[derive(Debug, Clone, Copy)]
pub struct DeniedRequest<'a> {
    /// Whose contract refused it; none where no contract is concerned.
    pub vendor: Option<&'a VendorId>,
    /// Which way it went.
    pub direction: Direction,
    /// The stable reason.
    pub reason: Reason,
    /// The vendor's client, where one was proven.
    pub client: Option<&'a ClientId>,
    /// The request's id, by which logs know it.
    pub request_id: &'a str,
    /// What exactly was wrong. Never a secret or a personal value.
    pub detail: &'a str,
    /// When.
    pub at: UnixTime,
}

/// What was denied and is not all listed yet.
#[derive(Debug, Default)]
pub(super) struct DenialCounts(Mutex<DenialTallies>);

#[derive(Debug, Default)]
struct DenialTallies {
    by_vendor: HashMap<VendorId, VendorTallies>,
    /// Where no contract is concerned.
    unknown: VendorTallies,
    /// Calls of the admin listener, by the reason of their refusal: a closed list.
    admin: BTreeMap<&'static str, DenialTally>,
}

/// What a vendor can have written: one tally for each direction and reason.
#[derive(Debug)]
struct VendorTallies {
    denied: Box<[DenialTally; KINDS]>,
    cut: Box<[DenialTally; KINDS]>,
}

const KINDS: usize = 2 * Reason::ALL.len();

fn kind(direction: Direction, reason: Reason) -> usize {
    direction.index() * Reason::ALL.len() + reason.index()
}

/// A body that was cut while it streamed, as it is counted.
#[derive(Debug, Clone, Copy)]
pub struct CutResponse<'a> {
    /// Whose contract cut it.
    pub vendor: &'a VendorId,
    /// Which way it went.
    pub direction: Direction,
    /// The stable reason.
    pub reason: Reason,
    /// When.
    pub at: UnixTime,
}

#[derive(Debug, Clone, Copy, Default)]
struct DenialTally {
    window: UnixTime,
    /// Listed in this window.
    listed: u32,
    /// The span for which those listed are counted, and how many they are.
    span: UnixTime,
    listed_in_span: u32,
    more: u64,
    first: UnixTime,
    last: UnixTime,
}

impl DenialCounts {
    /// Counts a denial; the entry is to be listed where there is one, and counts with it.
    pub(super) fn note(&self, denied: &DeniedRequest<'_>) -> Option<AuditRecord> {
        self.denied(denied, |tally| tally.note(denied.at)).then(|| denied.entry())
    }

    /// Counts a denial that could not be listed after all.
    pub(super) fn count(&self, denied: &DeniedRequest<'_>) {
        self.denied(denied, |tally| tally.add(denied.at));
    }

    /// Counts a cut; true where it is to be listed, and counts with that.
    pub(super) fn note_cut(&self, cut: &CutResponse<'_>) -> bool {
        self.cut(cut, |tally| tally.note(cut.at))
    }

    /// Counts one that could not be listed after all.
    pub(super) fn count_cut(&self, cut: &CutResponse<'_>) {
        self.cut(cut, |tally| tally.add(cut.at));
    }

    /// Counts an admin call that was refused; true where it is to be listed, and counts with that.
    pub(super) fn note_admin(&self, reason: &'static str, at: UnixTime) -> bool {
        self.lock().admin.entry(reason).or_default().note(at)
    }

    /// Counts one that could not be listed after all.
    pub(super) fn count_admin(&self, reason: &'static str, at: UnixTime) {
        self.lock().admin.entry(reason).or_default().add(at);
    }

    /// The numbers of windows that are over; all of them, when nothing more will come.
    pub(super) fn flush(&self, now: UnixTime, all: bool) -> Vec<AuditRecord> {
        let mut tallies = self.lock();
        let mut entries = Vec::new();
        tallies.unknown.flush("-", now, all, &mut entries);
        for (vendor, kinds) in &mut tallies.by_vendor {
            kinds.flush(vendor.as_str(), now, all, &mut entries);
        }
        for (reason, tally) in &mut tallies.admin {
            let counted = tally.take(now, all);
            entries.extend(counted.map(|counted| counted.entry(AuditAct::AdminRefusals, "-", "-", reason, now)));
        }
        entries
    }

    fn denied<T>(&self, denied: &DeniedRequest<'_>, work: impl FnOnce(&mut DenialTally) -> T) -> T {
        let mut tallies = self.lock();
        work(&mut tallies.of(denied.vendor).denied[kind(denied.direction, denied.reason)])
    }

    fn cut<T>(&self, cut: &CutResponse<'_>, work: impl FnOnce(&mut DenialTally) -> T) -> T {
        let mut tallies = self.lock();
        work(&mut tallies.of(Some(cut.vendor)).cut[kind(cut.direction, cut.reason)])
    }

    fn lock(&self) -> MutexGuard<'_, DenialTallies> {
        self.0.locked()
    }
}

impl DenialTallies {
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
        Self { denied: none(), cut: none() }
    }
}

impl VendorTallies {
    fn flush(&mut self, vendor: &str, now: UnixTime, all: bool, entries: &mut Vec<AuditRecord>) {
        for (act, tallies) in [(AuditAct::Denials, &mut self.denied), (AuditAct::Cuts, &mut self.cut)] {
            for (index, tally) in tallies.iter_mut().enumerate() {
                let (direction, reason) = (index / Reason::ALL.len(), index % Reason::ALL.len());
                let (direction, reason) = (Direction::ALL[direction].as_str(), Reason::ALL[reason].as_str());
                let counted = tally.take(now, all);
                entries.extend(counted.map(|counted| counted.entry(act, vendor, direction, reason, now)));
            }
        }
    }
}

/// Denials that are told by their number.
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

    /// Whether so many were listed that only numbers are told for the rest of the span.
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

    /// What has been counted, where its window is over, or nothing more will come.
    fn take(&mut self, now: UnixTime, all: bool) -> Option<CountedDenials> {
        let window = if self.lasts() { AUDIT_DENIALS_LONG_WINDOW } else { AUDIT_DENIALS_WINDOW };
        // A clock that was set back ends a window too, or its number would wait until the clock is there again.
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
        AuditRecord {
            at: now,
            actor: vendor.to_owned(),
            act,
            subject: vendor.to_owned(),
            reason: reason.to_owned(),
            detail: json!({
                "direction": direction,
                "count": self.count,
                "first": self.first.to_string(),
                "last": self.last.to_string(),
            }),
        }
    }
}

impl DeniedRequest<'_> {
    fn entry(&self) -> AuditRecord {
        let vendor = self.vendor.map_or("-", VendorId::as_str);
        AuditRecord {
            at: self.at,
            actor: self.client.map_or(vendor, ClientId::as_str).to_owned(),
            act: AuditAct::Denied,
            subject: vendor.to_owned(),
            reason: self.reason.as_str().to_owned(),
            detail: json!({
                "direction": self.direction.as_str(),
                "request_id": self.request_id,
                "detail": self.detail,
            }),
        }
    }
}

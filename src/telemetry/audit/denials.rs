//! Counts denials, and lists only the first few of each kind in a second: a flood is one line with a number.
//!
//! Exact: each denial is either a line of its own or one of a number that becomes a line. Memory is bounded by the
//! vendors of the config, never by what strangers send.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::json;

use super::entry::{Act, Entry};
use crate::bounds::{AUDIT_DENIALS_EACH, AUDIT_DENIALS_WINDOW};
use crate::model::{ClientId, Direction, Reason, UnixTime, VendorId};

/// A request that was refused.
#[derive(Debug, Clone, Copy)]
pub struct Denied<'a> {
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
pub(super) struct Denials(Mutex<Tallies>);

#[derive(Debug, Default)]
struct Tallies {
    by_vendor: HashMap<VendorId, Kinds>,
    /// Where no contract is concerned.
    unknown: Kinds,
}

/// One tally for each direction and reason.
#[derive(Debug)]
struct Kinds(Box<[Tally; KINDS]>);

const KINDS: usize = 2 * Reason::ALL.len();

#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    window: UnixTime,
    listed: u32,
    more: u64,
    first: UnixTime,
    last: UnixTime,
}

impl Denials {
    /// Counts a denial; the entry is to be listed where there is one, and counts with it.
    pub(super) fn note(&self, denied: &Denied<'_>) -> Option<Entry> {
        self.with(denied, |tally| {
            if denied.at.since(tally.window) >= AUDIT_DENIALS_WINDOW && tally.more == 0 {
                *tally = Tally { window: denied.at, ..Tally::default() };
            }
            if tally.listed < AUDIT_DENIALS_EACH {
                tally.listed += 1;
                return true;
            }
            tally.add(denied.at);
            false
        })
        .then(|| denied.entry())
    }

    /// Counts a denial that could not be listed after all.
    pub(super) fn count(&self, denied: &Denied<'_>) {
        self.with(denied, |tally| tally.add(denied.at));
    }

    /// The numbers of windows that are over; all of them, when nothing more will come.
    pub(super) fn flush(&self, now: UnixTime, all: bool) -> Vec<Entry> {
        let mut tallies = self.lock();
        let mut entries = Vec::new();
        tallies.unknown.flush("-", now, all, &mut entries);
        for (vendor, kinds) in &mut tallies.by_vendor {
            kinds.flush(vendor.as_str(), now, all, &mut entries);
        }
        entries
    }

    fn with<T>(&self, denied: &Denied<'_>, work: impl FnOnce(&mut Tally) -> T) -> T {
        let mut tallies = self.lock();
        let index = denied.direction.index() * Reason::ALL.len() + denied.reason.index();
        let kinds = match denied.vendor {
            None => &mut tallies.unknown,
            Some(vendor) => {
                if !tallies.by_vendor.contains_key(vendor.as_str()) {
                    tallies.by_vendor.insert(vendor.clone(), Kinds::default());
                }
                let Tallies { by_vendor, unknown } = &mut *tallies;
                by_vendor.get_mut(vendor.as_str()).unwrap_or(unknown)
            }
        };
        work(&mut kinds.0[index])
    }

    fn lock(&self) -> MutexGuard<'_, Tallies> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Kinds {
    fn default() -> Self {
        Self(Box::new([Tally::default(); KINDS]))
    }
}

impl Kinds {
    fn flush(&mut self, vendor: &str, now: UnixTime, all: bool, entries: &mut Vec<Entry>) {
        for (index, tally) in self.0.iter_mut().enumerate() {
            let is_over = now.since(tally.window) >= AUDIT_DENIALS_WINDOW;
            if tally.more > 0 && (is_over || all) {
                let (direction, reason) = (index / Reason::ALL.len(), index % Reason::ALL.len());
                entries.push(tally.entry(vendor, Direction::ALL[direction], Reason::ALL[reason], now));
                *tally = Tally::default();
            }
        }
    }
}

impl Tally {
    fn add(&mut self, at: UnixTime) {
        if self.more == 0 {
            self.first = at;
        }
        self.more += 1;
        self.last = at;
    }

    fn entry(&self, vendor: &str, direction: Direction, reason: Reason, now: UnixTime) -> Entry {
        Entry {
            at: now,
            actor: vendor.to_owned(),
            act: Act::Denials,
            subject: vendor.to_owned(),
            reason: reason.as_str().to_owned(),
            detail: json!({
                "direction": direction.as_str(),
                "count": self.more,
                "first": self.first.to_string(),
                "last": self.last.to_string(),
            }),
        }
    }
}

impl Denied<'_> {
    fn entry(&self) -> Entry {
        let vendor = self.vendor.map_or("-", VendorId::as_str);
        Entry {
            at: self.at,
            actor: self.client.map_or(vendor, ClientId::as_str).to_owned(),
            act: Act::Denied,
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

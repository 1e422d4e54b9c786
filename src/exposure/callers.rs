//! By whom it left: the counts of each caller of a route, live and as the store keeps them.
//!
//! A caller is a client of the vendor on ingress and a service of ours on egress. The first [`EXPOSURE_CALLERS_MAX`] of
//! a route are told apart; all further ones are [`OTHER_CALLERS`], so that nobody who invents names makes memory grow.
//! Finding a caller takes no lock, and one comparison of names for each caller of the route before it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::bucket::{FieldCount, add_values};
use crate::bounds::{EXPOSURE_CALLER_NAME_MAX, EXPOSURE_CALLERS_MAX};
use crate::model::{Category, ClientId, UnixTime, is_default};
use crate::pii::RuleName;

/// The name under which callers count of whom there were too many to tell apart.
pub(super) const OTHER_CALLERS: &str = "_other";
/// The name under which callers count who proved no name, where the config lets them call.
const ANONYMOUS: &str = "_anonymous";

/// What left by each caller of one route, as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct LeftByCaller {
    /// Caller by caller.
    pub callers: Vec<CallerCount>,
    /// Whether these are of the whole day, all its hours and runs joined.
    #[serde(default, skip_serializing_if = "is_default")]
    pub whole_day: bool,
}

/// What left by one caller.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct CallerCount {
    /// The vendor's client, or our service.
    pub caller: String,
    /// Records that left.
    pub records: u64,
    /// Body bytes that left.
    pub bytes: u64,
    /// The first time that something left, in milliseconds since the epoch.
    pub first_ms: u64,
    /// The last time.
    pub last_ms: u64,
    /// Treated values, field by field.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldCount>,
}

/// The cells of the callers of one route.
#[derive(Debug)]
pub(super) struct CallerTable {
    rules: usize,
    slots: Box<[OnceLock<Box<CallerCells>>]>,
    others: CallerCells,
}

/// The cells of one caller of one route.
#[derive(Debug)]
pub(super) struct CallerCells {
    caller: Box<str>,
    pub(super) values: Box<[AtomicU64]>,
    pub(super) records: AtomicU64,
    pub(super) bytes: AtomicU64,
    /// The first touch since the last roll; `u64::MAX` where there was none.
    first_ms: AtomicU64,
    last_ms: AtomicU64,
}

impl LeftByCaller {
    /// Adds what left by one caller, or by the others where there are too many callers already.
    pub(super) fn add(&mut self, mut count: CallerCount) {
        let is_known = |one: &CallerCount| one.caller == count.caller;
        if !self.callers.iter().any(is_known) && self.callers.len() >= EXPOSURE_CALLERS_MAX {
            OTHER_CALLERS.clone_into(&mut count.caller);
        }
        match self.callers.iter_mut().find(|one| one.caller == count.caller) {
            Some(known) => known.join(count),
            None => self.callers.push(count),
        }
    }

    /// Several as one; `None` of none.
    pub(super) fn joined(all: impl IntoIterator<Item = Self>) -> Option<Self> {
        all.into_iter().reduce(|mut sum, one| {
            one.callers.into_iter().for_each(|count| sum.add(count));
            sum
        })
    }
}

impl CallerCount {
    fn join(&mut self, other: Self) {
        self.records += other.records;
        self.bytes += other.bytes;
        self.first_ms = self.first_ms.min(other.first_ms);
        self.last_ms = self.last_ms.max(other.last_ms);
        for FieldCount { field, treatment, category, values } in other.fields {
            add_values(&mut self.fields, &field, &treatment, category.as_deref(), values);
        }
    }
}

impl CallerTable {
    pub(super) fn new(rules: usize) -> Self {
        let slots = std::iter::repeat_with(OnceLock::new).take(EXPOSURE_CALLERS_MAX).collect();
        Self { rules, slots, others: CallerCells::new(OTHER_CALLERS, rules) }
    }

    /// The place of a caller, which never changes.
    pub(super) fn place_of(&self, caller: Option<&ClientId>) -> usize {
        let caller = caller.map_or(ANONYMOUS, ClientId::as_str);
        let is_here = |slot: &OnceLock<Box<CallerCells>>| {
            *slot.get_or_init(|| Box::new(CallerCells::new(caller, self.rules))).caller == *caller
        };
        let place = (caller.len() <= EXPOSURE_CALLER_NAME_MAX).then(|| self.slots.iter().position(is_here));
        place.flatten().unwrap_or(self.slots.len())
    }

    /// The cells at a place; those of the others where there is none.
    pub(super) fn at(&self, place: usize) -> &CallerCells {
        self.slots.get(place).and_then(OnceLock::get).map_or(&self.others, |cells| cells)
    }

    /// The cells of all callers that there were.
    pub(super) fn all(&self) -> impl Iterator<Item = &CallerCells> {
        self.slots.iter().map_while(OnceLock::get).map(|cells| &**cells).chain([&self.others])
    }
}

impl CallerCells {
    fn new(caller: &str, rules: usize) -> Self {
        Self {
            caller: caller.into(),
            values: (0..rules).map(|_| AtomicU64::new(0)).collect(),
            records: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            first_ms: AtomicU64::new(u64::MAX),
            last_ms: AtomicU64::new(0),
        }
    }

    pub(super) fn touch(&self, now: UnixTime) {
        let ms = now.as_millis();
        self.last_ms.fetch_max(ms, Ordering::AcqRel);
        if self.first_ms.load(Ordering::Acquire) > ms {
            self.first_ms.fetch_min(ms, Ordering::AcqRel);
        }
    }

    pub(super) fn is_touched(&self) -> bool {
        self.first_ms.load(Ordering::Acquire) != u64::MAX
    }

    /// Moves out what was counted since the last roll; `None` where nothing was.
    pub(super) fn drain(&self, rules: &[RuleName]) -> Option<CallerCount> {
        let first_ms = self.first_ms.swap(u64::MAX, Ordering::AcqRel);
        if first_ms == u64::MAX {
            return None;
        }
        let last_ms = self.last_ms.swap(0, Ordering::AcqRel).max(first_ms);
        let drain = |cell: &AtomicU64| cell.swap(0, Ordering::AcqRel);
        let mut fields = Vec::new();
        for (rule, cell) in rules.iter().zip(&self.values) {
            let category = rule.category.as_ref().map(Category::as_str);
            add_values(&mut fields, &rule.location, rule.treatment.as_str(), category, drain(cell));
        }
        let (records, bytes) = (drain(&self.records), drain(&self.bytes));
        Some(CallerCount { caller: self.caller.to_string(), records, bytes, first_ms, last_ms, fields })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(caller: &str, records: u64) -> CallerCount {
        let fields = vec![FieldCount {
            field: "$.email".to_owned(),
            treatment: "hash".to_owned(),
            category: None,
            values: records,
        }];
        CallerCount { caller: caller.to_owned(), records, bytes: 9, first_ms: records, last_ms: records, fields }
    }

    #[test]
    fn callers_join_by_name_and_too_many_are_the_others() {
        let mut left = LeftByCaller::default();
        (0..EXPOSURE_CALLERS_MAX + 3).for_each(|one| left.add(count(&format!("service-{one}"), 2)));
        left.add(count("service-0", 5));
        assert_eq!(left.callers.len(), EXPOSURE_CALLERS_MAX + 1);
        let first = &left.callers[0];
        assert_eq!((first.records, first.first_ms, first.last_ms, first.fields[0].values), (7, 2, 5, 7));
        let others = left.callers.last().unwrap();
        assert_eq!((others.caller.as_str(), others.records, others.fields[0].values), (OTHER_CALLERS, 6, 6));
        let joined = LeftByCaller::joined([left.clone(), left]).unwrap();
        assert_eq!(joined.callers.len(), EXPOSURE_CALLERS_MAX + 1);
        assert_eq!(
            joined.callers.iter().map(|one| one.records).sum::<u64>(),
            4 * (EXPOSURE_CALLERS_MAX as u64 + 3) + 10
        );
    }

    #[test]
    fn threads_that_meet_a_caller_first_agree_on_its_place() {
        let table = CallerTable::new(0);
        let clients: Vec<_> = (0..EXPOSURE_CALLERS_MAX + 9).map(|one| ClientId::new(&format!("c{one}"))).collect();
        let places = || clients.iter().map(|client| table.place_of(Some(client))).collect::<Vec<_>>();
        std::thread::scope(|scope| {
            let all: Vec<_> = (0..4).map(|_| scope.spawn(places)).collect();
            let all: Vec<_> = all.into_iter().map(|one| one.join().unwrap()).collect();
            assert!(all.windows(2).all(|two| two[0] == two[1]));
        });
        let mut places = places();
        assert!(places.drain(EXPOSURE_CALLERS_MAX..).all(|place| place == EXPOSURE_CALLERS_MAX));
        places.sort_unstable();
        assert_eq!(places, (0..EXPOSURE_CALLERS_MAX).collect::<Vec<_>>());
    }

    #[test]
    fn nobody_and_a_name_that_is_too_long_have_places_of_their_own() {
        let table = CallerTable::new(0);
        let long = ClientId::new(&"x".repeat(EXPOSURE_CALLER_NAME_MAX + 1));
        assert_eq!((table.place_of(Some(&long)), table.place_of(None)), (EXPOSURE_CALLERS_MAX, 0));
        assert_eq!((&*table.at(0).caller, &*table.at(EXPOSURE_CALLERS_MAX).caller), (ANONYMOUS, OTHER_CALLERS));
    }
}

//! Exposure in the store: rolled every few seconds, read for reports, folded when old, and deleted in the end.

use std::time::Duration;

use crate::bounds::{EXPOSURE_FOLD_AFTER, EXPOSURE_RETENTION};
use crate::exposure::{CategoryReport, ExposureBucket, ExposureCounters, ExposureReport, fold_day};
use crate::model::{Moment, UnixTime, VendorId};
use crate::store::{Store, StoreError, StoreRow, StoreTable, WriteAck, WriteBatch};

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;

impl StoreRow for ExposureBucket {
    const TABLE: StoreTable = StoreTable::Exposure;
}

/// Gives what left since the last roll to the store; `None` where nothing has.
pub(super) fn roll(ledger: &ExposureCounters, store: &Store, now: Moment) -> Option<WriteAck> {
    let mut batch = WriteBatch::new();
    for bucket in ledger.roll(now) {
        if let Err(error) = batch.put(bucket.key().as_bytes(), &bucket) {
            tracing::error!(%error, "exposure cannot be written");
        }
    }
    (!batch.is_empty()).then(|| store.write(batch))
}

/// The report of a vendor since a time; empty where nothing of it is kept. May block.
///
/// # Errors
/// [`StoreError`] when the store cannot be read.
pub(super) fn report(
    store: &Store,
    vendor: &VendorId,
    since: UnixTime,
    now: UnixTime,
) -> Result<ExposureReport, StoreError> {
    let (from, to) = ExposureBucket::keys(vendor.as_str(), since);
    let buckets = store.range::<ExposureBucket>(from.as_bytes(), Some(to.as_bytes()), usize::MAX)?;
    Ok(ExposureReport::of(vendor, since, now, buckets.into_iter().map(|(_, bucket)| bucket)))
}

/// The categories that left today, in UTC, to each vendor of whom anything is kept. May block.
///
/// # Errors
/// [`StoreError`] when the store cannot be read.
pub(super) fn categories(store: &Store, now: UnixTime) -> Result<CategoryReport, StoreError> {
    let midnight = UnixTime::from_millis(now.as_millis() / DAY_MS * DAY_MS);
    let reports = vendors(store)?.into_iter().filter_map(|vendor| VendorId::parse(&vendor).ok());
    let reports: Result<Vec<_>, _> = reports.map(|vendor| report(store, &vendor, midnight, now)).collect();
    Ok(CategoryReport::of(midnight.to_string(), reports?))
}

/// Joins the sketches of days from `from` on that are long over, and deletes what is past its time. May block; call it
/// at the start with the epoch, and every hour or so with the last call's time less a few days.
///
/// # Errors
/// [`StoreError`] when the store cannot be read or written.
pub(super) fn tidy(store: &Store, from: UnixTime, now: UnixTime) -> Result<(), StoreError> {
    let (expired, folded) = (now.minus(EXPOSURE_RETENTION), now.minus(EXPOSURE_FOLD_AFTER));
    for vendor in vendors(store)? {
        let (first, _) = ExposureBucket::keys(&vendor, UnixTime::default());
        let (kept, _) = ExposureBucket::keys(&vendor, expired);
        let mut batch = WriteBatch::new();
        for (key, _) in store.range_bytes(StoreTable::Exposure, first.as_bytes(), Some(kept.as_bytes()), usize::MAX)? {
            batch.delete(StoreTable::Exposure, &key);
        }
        let (begin, _) = ExposureBucket::keys(&vendor, from.max(expired));
        let (end, _) = ExposureBucket::keys(&vendor, folded);
        let rows = store.range::<ExposureBucket>(begin.as_bytes(), Some(end.as_bytes()), usize::MAX)?;
        let mut buckets: Vec<ExposureBucket> = rows.into_iter().map(|(_, bucket)| bucket).collect();
        for place in fold_day(&mut buckets) {
            // Cannot fail: this bucket was just deserialized from the same type.
            let _ = batch.put(buckets[place].key().as_bytes(), &buckets[place]);
        }
        if !batch.is_empty() {
            store.write_blocking(batch)?;
        }
    }
    Ok(())
}

/// Every vendor of whom anything is kept, those of contracts that are gone too.
fn vendors(store: &Store) -> Result<Vec<String>, StoreError> {
    let (mut vendors, mut from) = (Vec::new(), Vec::new());
    while let Some((key, _)) = store.range_bytes(StoreTable::Exposure, &from, None, 1)?.pop() {
        let name = key.split(|byte| *byte == 0).next().unwrap_or_default();
        from = [name, &[1]].concat();
        vendors.push(String::from_utf8_lossy(name).into_owned());
    }
    Ok(vendors)
}

/// Where folding begins again after it was done up to a time: what it then left alone is old enough some days later.
pub(super) const fn fold_from(done: UnixTime, look_back: Duration) -> UnixTime {
    done.minus(EXPOSURE_FOLD_AFTER).minus(look_back)
}

/// The last full hour.
pub(super) const fn hour(now: UnixTime) -> UnixTime {
    UnixTime::from_millis(now.as_millis() / HOUR_MS * HOUR_MS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposure::ExposureProfile;
    use crate::model::{Clock, Direction, SubjectHash};
    use crate::pii::{ClearList, RuleName, TreatmentKind};

    #[test]
    fn what_left_is_reported_after_it_was_made_small_and_forgotten_in_the_end() {
        let clock = Clock::manual(UnixTime::from_secs(1_800_000_000));
        let (store, vendor) = (Store::in_memory().unwrap(), VendorId::parse("acme").unwrap());
        let ledger = ExposureCounters::new(clock.now().wall);
        let profile = ExposureProfile {
            vendor: vendor.clone(),
            direction: Direction::Ingress,
            route: "GET /a".into(),
            rules: vec![RuleName { location: "$.email".into(), treatment: TreatmentKind::Tokenize, category: None }],
            clear: None,
            listed: ClearList::default(),
        };
        let handle = ledger.handle(profile).by(None);
        for hour in 0..30_u64 {
            (0..10).for_each(|one| {
                handle.add_subject(SubjectHash::from_bits((hour * 7 + one).wrapping_mul(0x9e37_79b9_7f4a_7c15)))
            });
            handle.add_treated(0, 10);
            handle.add_left(10, 100, clock.now());
            roll(&ledger, &store, clock.now()).unwrap().wait().unwrap();
            clock.advance(Duration::from_secs(3600));
        }
        assert!(roll(&ledger, &store, clock.now()).is_none(), "nothing new");
        let told = |now| report(&store, &vendor, UnixTime::default(), now).unwrap();
        let before = told(clock.now().wall);
        assert_eq!((before.records, before.bytes, before.routes[0].treated[0].values), (300, 3000, 300));
        clock.advance(Duration::from_secs(10 * 86_400));
        tidy(&store, UnixTime::default(), clock.now().wall).unwrap();
        let sketches = store.range::<ExposureBucket>(b"", None, 100).unwrap();
        let sketches = sketches.iter().filter(|(_, bucket)| bucket.subjects.sketch().is_some()).count();
        assert!(sketches <= 3, "{sketches} sketches of three days");
        let after = told(clock.now().wall);
        assert_eq!((after.records, after.subjects), (before.records, before.subjects));
        clock.advance(Duration::from_secs(400 * 86_400));
        tidy(&store, UnixTime::default(), clock.now().wall).unwrap();
        assert_eq!(told(clock.now().wall).records, 0);
    }
}

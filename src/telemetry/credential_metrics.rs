//! The metrics of the credential by which a vendor knows us. None of them is exposed where the gateway holds none.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use super::families::{self, ScrapePage};
use crate::model::{Lock as _, UnixTime};

/// The metrics of one vendor's credential.
#[derive(Debug, Default)]
pub struct CredentialMetrics {
    /// 0 for no credential, 1 for one that is not ready, 2 for one that is.
    ready: AtomicU8,
    since_ms: AtomicU64,
    expiry_secs: AtomicU64,
    refreshes: Mutex<BTreeMap<&'static str, u64>>,
}

impl CredentialMetrics {
    /// Sets whether it is ready, since when its oldest secret is in use, and when the first secret is too old.
    pub fn set(&self, ready: bool, since: Option<UnixTime>, expiry: Option<UnixTime>) {
        self.ready.store(1 + u8::from(ready), Ordering::Relaxed);
        self.since_ms.store(since.map_or(0, UnixTime::as_millis), Ordering::Relaxed);
        self.expiry_secs.store(expiry.map_or(0, UnixTime::as_secs), Ordering::Relaxed);
    }

    /// Sets how often fetching it had this result.
    pub fn refreshes(&self, result: &'static str, total: u64) {
        self.refreshes.locked().insert(result, total);
    }

    /// Sets every value, so that a test sees each family.
    #[cfg(test)]
    pub(super) fn set_example(&self) {
        self.set(true, Some(UnixTime::from_secs(900)), Some(UnixTime::from_secs(9_000)));
        self.refreshes("success", 2);
    }

    pub(super) fn read(&self, page: &mut ScrapePage, vendor: &str, now: UnixTime) {
        let Some(ready) = self.ready.load(Ordering::Relaxed).checked_sub(1) else { return };
        page.gauge(&families::CREDENTIAL_READY, &[vendor], f64::from(ready));
        let since_ms = self.since_ms.load(Ordering::Relaxed);
        if since_ms > 0 {
            let age = now.since(UnixTime::from_millis(since_ms));
            page.gauge(&families::CREDENTIAL_AGE, &[vendor], age.as_secs_f64());
        }
        let expiry_secs = self.expiry_secs.load(Ordering::Relaxed);
        if expiry_secs > 0 {
            page.gauge(&families::CREDENTIAL_EXPIRY, &[vendor], expiry_secs as f64);
        }
        for (result, total) in self.refreshes.locked().iter() {
            page.counter(&families::CREDENTIAL_REFRESH, &[vendor, result], *total as f64);
        }
    }
}

//! What was kept, for operators who ask: exposure out of the store, the audit trail out of its files, failed requests
//! out of memory; and the record of calls that were refused.

use std::sync::Arc;

use super::GatewayControl;
use crate::admin::{AuditEntry, AuditPage, AuditQuery, ControlError, ControlResult, RecordControl, RefusedCall};
use crate::audit::{DenialKind, TrailPage};
use crate::exposure::{CategoryReport, ExposureReport};
use crate::model::{Moment, UnixTime, VendorId};
use crate::server::{audit_trail, exposure_store};
use crate::telemetry::FailedRequest;

impl GatewayControl {
    /// Has what left up to this moment in the store.
    async fn store_exposure(&self, now: Moment) -> ControlResult<()> {
        match exposure_store::roll(&self.services.exposure, &self.store, now) {
            Some(ack) => ack.await.map_err(|_| ControlError::State).map(drop),
            None => Ok(()),
        }
    }
}

impl RecordControl for GatewayControl {
    /// What left to a vendor up to this moment.
    async fn exposure(&self, vendor: &VendorId, since: Option<UnixTime>) -> ControlResult<ExposureReport> {
        let now = self.now();
        self.store_exposure(now).await?;
        let (store, asked) = (self.store.clone(), vendor.clone());
        let read = move || exposure_store::report(&store, &asked, since.unwrap_or_default(), now.wall);
        let report = tokio::task::spawn_blocking(read).await.map_err(|_| ControlError::State)?;
        let report = report.map_err(|_| ControlError::State)?;
        // What left to a vendor is reported after its contract is gone, too.
        if report.routes.is_empty() && self.gateway.snapshot.load().vendor(vendor.as_str()).is_none() {
            return Err(ControlError::VendorUnknown);
        }
        Ok(report)
    }

    async fn categories(&self) -> ControlResult<CategoryReport> {
        let now = self.now();
        self.store_exposure(now).await?;
        let store = self.store.clone();
        let read = move || exposure_store::categories(&store, now.wall);
        let report = tokio::task::spawn_blocking(read).await.map_err(|_| ControlError::State)?;
        report.map_err(|_| ControlError::State)
    }

    fn failed_request(&self, request_id: &str) -> Option<FailedRequest> {
        self.gateway.failures.find(request_id)
    }

    /// Some lines of the trail. The newest denials may take a second to be among them.
    async fn audit(&self, query: AuditQuery) -> ControlResult<AuditPage> {
        let trail = Arc::clone(&self.audit_reader);
        let read = move || trail.page(query.since, query.after, query.limit);
        let page = tokio::task::spawn_blocking(read).await.map_err(|_| ControlError::State)?;
        let TrailPage { lines, seen, mut unreadable, more } = page.map_err(|_| ControlError::State)?;
        // One damaged line takes no other away.
        let entries: Vec<AuditEntry> = lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
        unreadable += (lines.len() - entries.len()) as u64;
        Ok(AuditPage { entries, seen: Some(seen), unreadable, more })
    }

    /// In the trail and in the log, within the bounds of the trail's list of such calls: a stranger whose calls are
    /// refused waits for no disk, and fills none.
    fn refused(&self, call: &RefusedCall<'_>) {
        let audit = &self.gateway.audit;
        if audit.counted(DenialKind::Admin(call.reason), call.at, || audit_trail::refusal(call)) {
            tracing::warn!(
                peer = %call.peer, operator = call.operator, call = call.call, reason = call.reason,
                request_id = call.request_id, "an admin call was refused"
            );
        }
    }
}

//! What was kept, for those who ask: exposure out of the store, the audit trail out of its files; and what is kept of
//! who asked in vain.

use std::sync::Arc;

use super::control::GatewayControl;
use super::{audit_trail, exposure_store};
use crate::admin::{AuditEntry, AuditPage, AuditQuery, ControlError, ExposureAnswer, RefusedCall};
use crate::audit::TrailPage;
use crate::model::{UnixTime, VendorId};

impl GatewayControl {
    /// What left to a vendor, to this very moment.
    pub(super) async fn exposed(
        &self,
        vendor: &VendorId,
        since: Option<UnixTime>,
    ) -> Result<ExposureAnswer, ControlError> {
        let now = self.now();
        if let Some(ack) = exposure_store::roll(&self.rooms.exposure, &self.store, now)
            && ack.await.is_err()
        {
            return Err(ControlError::State);
        }
        let (store, asked) = (self.store.clone(), vendor.clone());
        let read = move || exposure_store::report(&store, &asked, since.unwrap_or_default(), now.wall);
        let report = tokio::task::spawn_blocking(read).await.map_err(|_| ControlError::State)?;
        let report = report.map_err(|_| ControlError::State)?;
        // What left to a vendor is told after its contract is gone, too.
        if report.routes.is_empty() && self.gateway.snapshot.load().vendor(vendor.as_str()).is_none() {
            return Err(ControlError::VendorUnknown);
        }
        let json = serde_json::to_value(report).map_err(|_| ControlError::State)?;
        serde_json::from_value(json).map_err(|_| ControlError::State)
    }

    /// Some lines of the trail. The newest denials may take a second to be among them.
    pub(super) async fn audited(&self, from: AuditQuery) -> Result<AuditPage, ControlError> {
        let trail = Arc::clone(&self.audit_reader);
        let read = move || trail.page(from.since, from.after, from.limit);
        let page = tokio::task::spawn_blocking(read).await.map_err(|_| ControlError::State)?;
        let TrailPage { lines, seen, mut unreadable, more } = page.map_err(|_| ControlError::State)?;
        // One damaged line takes no other away.
        let entries: Vec<AuditEntry> = lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
        unreadable += (lines.len() - entries.len()) as u64;
        Ok(AuditPage { entries, seen: Some(seen), unreadable, more })
    }

    /// Keeps that an admin call was refused: in the trail and the log, as far as it is listed there. A stranger who asks
    /// in vain waits for no disk, and fills none.
    pub(super) fn note_refusal(&self, refusal: &RefusedCall<'_>) {
        let audit = &self.gateway.audit;
        if audit.admin_refused(refusal.reason, refusal.at, || audit_trail::refusal(refusal)) {
            tracing::warn!(
                peer = %refusal.peer, operator = refusal.operator, call = refusal.call, reason = refusal.reason,
                request_id = refusal.request_id, "an admin call was refused"
            );
        }
    }
}

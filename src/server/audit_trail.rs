//! The audit trail of a running gateway: its key, and the lines that admin acts become.
//!
//! The key is 32 random bytes in a file of its own, made at the first start. It is not derived from the master key:
//! that may be rotated or missing, and a trail must stay verifiable all the same. It is never in the trail's folder.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::admin::RefusedCall;
use crate::audit::{AuditAct, AuditError, AuditKey, AuditRecord, AuditTrail};
use crate::config;
use crate::kill::GATEWAY_ACTOR;
use crate::model::{Clock, UnixTime};

/// Why the audit trail cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum AuditOpenError {
    /// The key's file cannot be made or read.
    #[error("the key of the audit trail in {path} cannot be used", path = path.display())]
    Key {
        /// The key's file.
        path: PathBuf,
        /// Why it cannot be used.
        #[source]
        source: io::Error,
    },
    /// The trail cannot be opened.
    #[error(transparent)]
    Trail(#[from] AuditError),
}

/// Opens the trail, and makes its key where there is none.
pub(super) fn open(settings: &config::AuditSettings, clock: &Clock) -> Result<AuditTrail, AuditOpenError> {
    if !settings.key.exists() {
        make_key(&settings.key).map_err(|source| AuditOpenError::Key { path: settings.key.clone(), source })?;
    }
    let audit = AuditTrail::open(&settings.trail, audit_key(&settings.key)?, clock.clone())?;
    drop(audit.record(by_gateway(AuditAct::Started, env!("CARGO_PKG_VERSION"), clock.now().wall)));
    Ok(audit)
}

/// The key of a trail, from its file.
///
/// # Errors
/// [`AuditOpenError::Key`] where it cannot be read, is open to others or is no key.
pub fn audit_key(path: &Path) -> Result<AuditKey, AuditOpenError> {
    let failed = |source| AuditOpenError::Key { path: path.to_owned(), source };
    let refused = |why: &str| failed(io::Error::new(io::ErrorKind::InvalidData, why));
    let text = Zeroizing::new(fs::read_to_string(path).map_err(failed)?);
    if fs::metadata(path).map_err(failed)?.permissions().mode() & 0o077 != 0 {
        return Err(refused("others can read it: run chmod 600"));
    }
    let bytes = Zeroizing::new(STANDARD.decode(text.trim()).map_err(|_| refused("not 32 bytes in base64"))?);
    let key: [u8; 32] = bytes.as_slice().try_into().map_err(|_| refused("not 32 bytes in base64"))?;
    Ok(AuditKey::new(key))
}

fn make_key(path: &Path) -> io::Result<()> {
    let mut key = Zeroizing::new([0; 32]);
    aws_lc_rs::rand::fill(&mut *key).map_err(|_| io::Error::other("no randomness"))?;
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(Zeroizing::new(STANDARD.encode(*key) + "\n").as_bytes())?;
    file.sync_all()
}

/// A line about what the gateway did by itself.
pub(super) fn by_gateway(act: AuditAct, reason: &str, at: UnixTime) -> AuditRecord {
    AuditRecord::new(at, GATEWAY_ACTOR, act, GATEWAY_ACTOR, reason, Value::Null)
}

/// A line about an admin call that was refused.
pub(super) fn refusal(refused: &RefusedCall<'_>) -> AuditRecord {
    let (actor, subject) = (refused.operator.unwrap_or("-"), refused.call.unwrap_or("-"));
    let detail = serde_json::json!({ "peer": refused.peer.to_string(), "request_id": refused.request_id });
    AuditRecord::new(refused.at, actor, AuditAct::AdminRefused, subject, refused.reason, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{AuditTrailSettings, OnAuditFailure, verify_files};

    #[test]
    fn the_key_is_made_once_kept_private_and_proves_the_trail() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit/audit.jsonl");
        let trail =
            AuditTrailSettings { path: path.clone(), rotate_bytes: 1 << 20, on_failure: OnAuditFailure::KeepServing };
        let settings = config::AuditSettings { trail, key: folder.path().join("audit.key") };
        drop(open(&settings, &Clock::system()).unwrap());
        drop(open(&settings, &Clock::system()).unwrap());
        let summary = verify_files(&path, &audit_key(&settings.key).unwrap(), 1).unwrap();
        assert_eq!(summary.lines, 2);
        fs::set_permissions(&settings.key, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(audit_key(&settings.key).is_err(), "others can read it");
        fs::set_permissions(&settings.key, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&settings.key, "short").unwrap();
        assert!(audit_key(&settings.key).is_err());
    }
}

//! Pending audit records: what a person did to keys from a shell, until a gateway writes it into its trail.
//!
//! `keys rotate` and `keys shred` change files, with or without a running gateway, and only a gateway writes its trail.
//! So each leaves a record beside what it is about to change, and the gateway imports the records at its next start or
//! reload. A record is removed once the trail is on disk, so a crash repeats one rather than lose it. The actor is the
//! name that the shell gave: not an operator who was authenticated. Never holds a key.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::offline_kills::hand_over;
use crate::audit::{AuditAct, AuditRecord, AuditTrail};
use crate::model::UnixTime;

/// One thing that is about to be done to keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PendingAuditRecord {
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// Who, as the shell said.
    pub actor: String,
    /// What: `rotate` or `shred`.
    pub done: String,
    /// To what: a vendor, or `master`.
    pub subject: String,
    /// Why, in a person's words.
    pub reason: String,
}

/// Leaves a note beside a key file, or in a folder of salts, for the gateway that reads those.
///
/// # Errors
/// When it cannot be written; the keys must then not be changed, since the trail would lack it.
pub fn leave_audit_record(place: &Path, note: &PendingAuditRecord) -> io::Result<()> {
    let path = notes_of(place);
    let mut line = serde_json::to_vec(note)?;
    line.push(b'\n');
    let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path)?;
    hand_over(&file, &fs::metadata(place)?)?;
    file.write_all(&line)?;
    file.sync_all()
}

/// Takes the notes of a place into the trail. What cannot be read or recorded stays for the next time.
pub(super) async fn import(place: &Path, audit: &AuditTrail) {
    let path = notes_of(place);
    if let Err(error) = try_import(&path, audit).await {
        tracing::error!(path = %path.display(), %error, "what was done to keys is not in the audit trail yet");
    }
}

async fn try_import(path: &Path, audit: &AuditTrail) -> io::Result<()> {
    let mut taken = path.as_os_str().to_owned();
    taken.push(".taken");
    let taken = PathBuf::from(taken);
    if !taken.exists() {
        match fs::rename(path, &taken) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            renamed => renamed?,
        }
    }
    for line in fs::read_to_string(&taken)?.lines() {
        drop(audit.record(entry(&serde_json::from_str(line)?)));
    }
    audit.flush().await.map_err(io::Error::other)?;
    fs::remove_file(&taken)
}

fn entry(note: &PendingAuditRecord) -> AuditRecord {
    let (at, actor) = (UnixTime::from_millis(note.at_ms), format!("shell:{}", note.actor));
    AuditRecord::new(at, &actor, AuditAct::Keys, &note.subject, &note.reason, json!({ "done": note.done }))
}

fn notes_of(place: &Path) -> PathBuf {
    if place.is_dir() {
        return place.join("notes");
    }
    let mut path = place.as_os_str().to_owned();
    path.push(".notes");
    PathBuf::from(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;
    use crate::audit::{AuditKey, AuditTrailSettings, OnAuditFailure, verify_files};
    use crate::model::Clock;

    fn note(reason: &str) -> PendingAuditRecord {
        let [actor, done, subject, reason] = ["carol", "shred", "acme", reason].map(str::to_owned);
        PendingAuditRecord { at_ms: 1_000, actor, done, subject, reason }
    }

    #[tokio::test]
    async fn each_pending_record_is_imported_once_also_after_a_crash() {
        let folder = tempfile::tempdir().unwrap();
        let (trail, keys) = (folder.path().join("audit.jsonl"), folder.path().join("master.key"));
        fs::write(&keys, "").unwrap();
        let settings =
            AuditTrailSettings { path: trail.clone(), rotate_bytes: 1 << 20, on_failure: OnAuditFailure::KeepServing };
        let audit = AuditTrail::open(&settings, AuditKey::new([7; 32]), Clock::system()).unwrap();
        for place in [keys.as_path(), folder.path()] {
            leave_audit_record(place, &note("ticket 1")).unwrap();
            leave_audit_record(place, &note("ticket 2")).unwrap();
            let left = notes_of(place);
            assert_eq!(fs::metadata(&left).unwrap().mode() & 0o777, 0o600);
            if place == keys {
                fs::rename(&left, left.with_extension("notes.taken")).unwrap_or_default();
            }
            import(place, &audit).await;
            import(place, &audit).await;
            assert!(!left.exists());
        }
        drop(audit);
        let text = fs::read_to_string(&trail).unwrap();
        for (words, times) in
            [(r#""actor":"shell:carol""#, 4), (r#""act":"keys""#, 4), ("ticket 1", 2), ("ticket 2", 2)]
        {
            assert_eq!(text.matches(words).count(), times, "{words} in {text}");
        }
        assert_eq!(verify_files(&trail, &AuditKey::new([7; 32]), 1).unwrap().lines, 4);
    }

    #[tokio::test]
    async fn a_pending_record_that_cannot_be_read_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("notes"), "{").unwrap();
        import(folder.path(), &AuditTrail::discarding()).await;
        assert_eq!(fs::read_to_string(folder.path().join("notes.taken")).unwrap(), "{");
    }
}

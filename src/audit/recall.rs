//! Finds the last lines of a few acts, from the newest file back.
//!
//! Only lines with a valid code are returned. Whether lines are missing is not checked here:
//! [`verify_files`](super::verify_files) does that.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::chain::{AuditKey, read};
use super::files::rotated;
use super::record::AuditAct;
use crate::bounds::{AUDIT_LINE_BYTES_MAX, AUDIT_RECALL_BYTES_MAX};

/// A line that was found.
#[derive(Debug, Clone, Deserialize)]
pub struct RecalledLine {
    /// The word for what was done.
    pub act: String,
    /// Who did it.
    pub actor: String,
    /// To whom or what it was done.
    pub subject: String,
    /// Why it was done.
    pub reason: String,
    /// Further details.
    #[serde(default)]
    pub detail: Value,
}

/// The lines of these acts, oldest first. Reads whole files, the newest first, until `enough` returns true for the
/// lines found so far, or [`AUDIT_RECALL_BYTES_MAX`] are read.
///
/// # Errors
/// Those of reading the files.
pub fn recall(
    path: &Path,
    key: &AuditKey,
    acts: &[AuditAct],
    enough: impl Fn(&[RecalledLine]) -> bool,
) -> io::Result<Vec<RecalledLine>> {
    let mut files = rotated(path)?;
    files.push(path.to_owned());
    let marks: Vec<String> = acts.iter().map(|act| format!(",\"act\":\"{}\",", act.as_str())).collect();
    let (mut found, mut bytes): (Vec<RecalledLine>, u64) = (Vec::new(), 0);
    for file in files.iter().rev() {
        bytes += file.metadata().map_or(0, |metadata| metadata.len());
        if bytes > AUDIT_RECALL_BYTES_MAX && file != path {
            tracing::warn!(file = %file.display(), "the audit trail is long: this file and older ones were not looked through");
            break;
        }
        let mut lines = match File::open(file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            opened => lines_of(&mut BufReader::new(opened?), key, &marks)?,
        };
        lines.append(&mut found);
        found = lines;
        if enough(&found) {
            break;
        }
    }
    Ok(found)
}

fn lines_of(reader: &mut impl BufRead, key: &AuditKey, marks: &[String]) -> io::Result<Vec<RecalledLine>> {
    let mut found = Vec::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.take(AUDIT_LINE_BYTES_MAX as u64).read_until(b'\n', &mut line)? == 0 {
            return Ok(found);
        }
        let whole = line.strip_suffix(b"\n").unwrap_or(&line);
        let text = String::from_utf8_lossy(whole);
        if marks.iter().any(|mark| text.contains(mark.as_str())) && read(whole, key).is_some() {
            found.extend(serde_json::from_slice::<RecalledLine>(whole).ok());
        }
    }
}

//! The trail's files: the one that is written, the rotated ones, and the sealed head.
//!
//! The head is written after the lines that it covers are on disk, first whole under another name and then renamed:
//! after a crash it can be behind the lines, never ahead of them. A line that the head covers is never removed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::AuditTrailSettings;
use super::chain::{AuditKey, ChainPosition, read_head};
use super::verify::{BrokenChain, ChainBreak, TrailSummary, verify};
use super::writer::RotationStep;
use crate::bounds::AUDIT_TAIL_BYTES;

/// What the writer writes to: files, or in tests a disk that fails.
pub(super) trait AuditStorage: Send {
    /// Adds bytes at the end, all or nothing.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Makes all of it durable, and then the head that covers it.
    fn sync(&mut self, head: &[u8]) -> io::Result<()>;
    /// Whether the file has reached its length for rotation.
    fn is_full(&self) -> bool;
    /// Renames the file after its last line and begins a new one. The caller has synced it.
    fn rotate(&mut self, last: u64) -> io::Result<()>;
}

pub(super) struct AuditFiles {
    path: PathBuf,
    file: File,
    len: u64,
    rotate_bytes: u64,
    /// Whether there may be bytes after `len`, of a line whose write failed.
    dirty: bool,
}

/// The files, and the position from which the chain goes on.
pub(super) struct OpenedTrail {
    pub(super) files: AuditFiles,
    pub(super) position: ChainPosition,
    /// How far a rotation had come when the process ended.
    pub(super) rotation: RotationStep,
    /// What to record about the state in which the files were found.
    pub(super) note: Option<Value>,
}

impl AuditFiles {
    pub(super) fn open(settings: &AuditTrailSettings, key: &AuditKey) -> io::Result<OpenedTrail> {
        if let Some(folder) = settings.path.parent() {
            fs::create_dir_all(folder)?;
        }
        let file = private(&settings.path, true)?;
        let len = file.metadata()?.len();
        let mut files =
            Self { path: settings.path.clone(), file, len, rotate_bytes: settings.rotate_bytes, dirty: false };
        let head = read_optional(&head_path(&files.path))?;
        let sealed = head.as_deref().and_then(|head| read_head(head, key));
        let torn = files.cut_half_line(sealed)?;
        let (position, rotation, note) = match files.check(key, sealed, head.is_some())? {
            Ok((position, rotation)) => (position, rotation, (torn > 0).then(|| json!({ "half_line_bytes": torn }))),
            Err(broken) => {
                files.end_line()?;
                let note = json!({ "broken": broken.to_string() });
                (files.last_resort(key, sealed)?, RotationStep::None, Some(note))
            }
        };
        Ok(OpenedTrail { files, position, rotation, note })
    }

    /// Checks that the trail is whole, and finds its end.
    fn check(
        &self,
        key: &AuditKey,
        sealed: Option<ChainPosition>,
        has_head: bool,
    ) -> io::Result<Result<(ChainPosition, RotationStep), BrokenChain>> {
        let broken = |why| Ok(Err(BrokenChain { file: None, line: 0, why }));
        if has_head && sealed.is_none() {
            return broken(ChainBreak::HeadChanged);
        }
        // A crash between two files leaves the new one empty: the chain then goes on from the sealed head.
        if self.len == 0 && !rotated(&self.path)?.is_empty() {
            return sealed
                .map_or_else(|| broken(ChainBreak::HeadMissing), |position| Ok(Ok((position, RotationStep::Begun))));
        }
        if self.len > 0 && !has_head {
            return broken(ChainBreak::HeadMissing);
        }
        let summary = verify(BufReader::new(File::open(&self.path)?), key, None, sealed);
        Ok(summary.map(|TrailSummary { position, sealed, .. }| {
            (position, if sealed { RotationStep::Sealed } else { RotationStep::None })
        }))
    }

    /// Cuts off a half line that a crash left, if the head does not cover it; returns its length in bytes.
    fn cut_half_line(&mut self, sealed: Option<ChainPosition>) -> io::Result<u64> {
        let mut content = Vec::new();
        let mut file = File::open(&self.path)?;
        let skipped = self.len.saturating_sub(AUDIT_TAIL_BYTES);
        file.seek(SeekFrom::Start(skipped))?;
        file.read_to_end(&mut content)?;
        let whole = content.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let mut lines = content[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let last = lines.next_back().and_then(sequence).unwrap_or(0);
        let torn = content.len() - whole;
        if torn == 0 || sealed.is_some_and(|head| last < head.seq) {
            return Ok(0);
        }
        self.len = skipped + whole as u64;
        self.file.set_len(self.len)?;
        Ok(torn as u64)
    }

    /// Ends the last line of a broken trail, which keeps every byte, so that the next record begins a new line.
    fn end_line(&mut self) -> io::Result<()> {
        if self.len == 0 { Ok(()) } else { self.append(b"\n") }
    }

    /// The position from which a broken trail goes on: after its head, so that missing lines stay missing, and after
    /// every line that can be read, so that no number is used twice.
    fn last_resort(&self, key: &AuditKey, sealed: Option<ChainPosition>) -> io::Result<ChainPosition> {
        let mut last = sealed.unwrap_or(ChainPosition::START);
        for path in rotated(&self.path)?.last().into_iter().chain([&self.path]) {
            let content = fs::read(path)?;
            let links = content.split(|byte| *byte == b'\n').filter_map(|line| super::chain::read(line, key));
            for link in links.filter(|link| link.position.seq > last.seq).collect::<Vec<_>>() {
                last = link.position;
            }
        }
        if sealed.is_none() {
            // It is not known how many lines followed this one. One number is left out, so that the break stays
            // visible.
            last.seq += 1;
        }
        Ok(last)
    }
}

#[cfg(test)]
impl AuditFiles {
    /// Fills the disk in the middle of a line.
    pub(super) fn append_half(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.dirty = true;
        self.file.write_all(&bytes[..bytes.len() / 2])?;
        Err(io::ErrorKind::StorageFull.into())
    }
}

impl AuditStorage for AuditFiles {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.dirty {
            self.file.set_len(self.len)?;
            self.dirty = false;
        }
        self.dirty = true;
        self.file.write_all(bytes)?;
        self.dirty = false;
        self.len += bytes.len() as u64;
        Ok(())
    }

    fn sync(&mut self, head: &[u8]) -> io::Result<()> {
        self.file.sync_data()?;
        let path = head_path(&self.path);
        let unfinished = with_suffix(&path, ".new");
        let mut file = private(&unfinished, false)?;
        file.set_len(0)?;
        file.write_all(head)?;
        file.sync_data()?;
        fs::rename(unfinished, path)
    }

    fn is_full(&self) -> bool {
        self.len >= self.rotate_bytes
    }

    fn rotate(&mut self, last: u64) -> io::Result<()> {
        // With twelve digits the names sort by number, for longer than any trail lasts.
        fs::rename(&self.path, with_suffix(&self.path, &format!(".{last:012}")))?;
        self.file = private(&self.path, true)?;
        self.len = 0;
        if let Some(folder) = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            File::open(folder)?.sync_all()?;
        }
        Ok(())
    }
}

/// The rotated files, oldest first.
pub(super) fn rotated(path: &Path) -> io::Result<Vec<PathBuf>> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned() + ".";
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?.path();
        let file = entry.file_name().unwrap_or_default().to_string_lossy();
        let number = file.strip_prefix(&name).unwrap_or_default();
        if number.len() == 12 && number.bytes().all(|byte| byte.is_ascii_digit()) {
            found.push(path.with_file_name(file.as_ref()));
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Where the sealed head of a trail is.
pub fn head_path(path: &Path) -> PathBuf {
    with_suffix(path, ".head")
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn private(path: &Path, append: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).create(true).mode(0o600);
    if append { options.append(true) } else { options.write(true).truncate(false) }.open(path)
}

fn read_optional(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The number in a line, without checking the line's code.
fn sequence(line: &[u8]) -> Option<u64> {
    let digits = line.strip_prefix(b"{\"seq\":")?.split(|byte| *byte == b',').next()?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

//! Reads a trail and says whether every line is there, in its place and unchanged; if not, which one and how.
//!
//! Pure but for the reading: it needs the key and nothing else of the gateway, so that it can be run elsewhere.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use super::chain::{AuditKey, Link, Position, read, read_head};
use super::entry::Act;
use super::files::{head_path, rotated};
use crate::bounds::AUDIT_LINE_BYTES_MAX;

/// What is wrong with a trail, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}line {line}: {why}", file.as_ref().map(|file| format!("{}: ", file.display())).unwrap_or_default())]
pub struct BrokenChain {
    /// The file, where several are read.
    pub file: Option<PathBuf>,
    /// The line in the file, from 1; where lines are missing, the one that should have been theirs.
    pub line: u64,
    /// What.
    pub why: Why,
}

/// How a trail can be broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// A byte of the line is not what was written, or another key wrote it.
    #[error("changed: the line is not what was written with this key")]
    Changed,
    /// The line ends without a line feed, or is longer than any that is written.
    #[error("truncated: the line is not whole")]
    HalfLine,
    /// Lines that were written are not here.
    #[error("missing: lines {from} to {to} of the chain")]
    Missing {
        /// The first that is missing.
        from: u64,
        /// The last that is missing.
        to: u64,
    },
    /// A line stands after one that was written later, or twice.
    #[error("reordered: this is line {seq} of the chain, and line {expected} belongs here")]
    Reordered {
        /// Its number in the chain.
        seq: u64,
        /// The number that belongs here.
        expected: u64,
    },
    /// The right number from another trail, or from one that was cut and written on.
    #[error("replaced: the line does not follow the one before it")]
    Replaced,
    /// The trail ends before its sealed head.
    #[error("truncated: lines {from} to {to} of the chain are cut off the end")]
    Truncated {
        /// The first that is missing.
        from: u64,
        /// The last that is missing.
        to: u64,
    },
    /// The sealed head is gone, so that nothing says where the trail ends.
    #[error("the sealed head is missing: lines may have been cut off the end")]
    HeadMissing,
    /// The head is not what was sealed with this key.
    #[error("the head is not what was sealed with this key")]
    HeadChanged,
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(io::ErrorKind),
}

/// A trail that is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Lines read.
    pub lines: u64,
    /// The number of the first in the chain: above 1 where older files were put away.
    pub first: u64,
    /// When the first was written.
    pub from: String,
    /// When the last was.
    pub to: String,
    /// The last line.
    pub position: Position,
    /// Whether the end is known to be the end: by a head, or by the last line of a finished file.
    pub end_proven: bool,
    /// Whether the last line says that the file is finished.
    pub sealed: bool,
}

/// Checks one file. `before` is where the file before it ended, and `head` what its sealed head says; without them
/// the first line must be one that can stand first, and a cut at the end goes unnoticed unless the file is finished.
///
/// # Errors
/// [`BrokenChain`] for the first line that is wrong.
pub fn verify(
    reader: impl BufRead,
    key: &AuditKey,
    before: Option<Position>,
    head: Option<Position>,
) -> Result<Summary, BrokenChain> {
    let mut walk = Walk::new(before, head);
    walk.read(reader, key).map_err(|why| BrokenChain { file: None, line: walk.line, why })?;
    Ok(walk.summary())
}

/// Checks a trail with all its files: those that were put aside, the one that is written, and the sealed head.
///
/// # Errors
/// [`BrokenChain`] for the first line that is wrong, or for the head.
pub fn verify_files(path: &Path, key: &AuditKey) -> Result<Summary, BrokenChain> {
    let broken = |file: &Path, line, why| BrokenChain { file: Some(file.to_owned()), line, why };
    let head_path = head_path(path);
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => Why::HeadMissing,
        kind => Why::Unreadable(kind),
    };
    let head = std::fs::read(&head_path).map_err(|error| broken(&head_path, 0, unreadable(error)))?;
    let head = read_head(&head, key).ok_or_else(|| broken(&head_path, 0, Why::HeadChanged))?;
    let mut files = rotated(path).map_err(|error| broken(path, 0, Why::Unreadable(error.kind())))?;
    files.push(path.to_owned());
    let mut total: Option<Summary> = None;
    for file in &files {
        let reader = File::open(file).map_err(|error| broken(file, 0, Why::Unreadable(error.kind())))?;
        let before = total.as_ref().map(|summary| summary.position);
        let mut walk = Walk::new(before, Some(head));
        walk.is_last = file == path;
        walk.read(BufReader::new(reader), key).map_err(|why| broken(file, walk.line, why))?;
        total = Some(Summary::join(total, walk.summary()));
    }
    total.ok_or_else(|| broken(path, 0, Why::HeadMissing))
}

impl Summary {
    fn join(before: Option<Self>, next: Self) -> Self {
        match before {
            Some(before) if before.lines > 0 => {
                Self { lines: before.lines + next.lines, first: before.first, from: before.from, ..next }
            }
            _ => next,
        }
    }
}

struct Walk {
    /// Where the chain stands; none before a first line that need not be number 1.
    last: Option<Position>,
    head: Option<Position>,
    /// Whether the file is the one that the head is about, or one before it.
    is_last: bool,
    line: u64,
    first: u64,
    from: String,
    to: String,
    sealed: bool,
}

impl Walk {
    fn new(before: Option<Position>, head: Option<Position>) -> Self {
        let (from, to) = (String::new(), String::new());
        Self { last: before, head, is_last: true, line: 0, first: 0, from, to, sealed: false }
    }

    fn read(&mut self, mut reader: impl BufRead, key: &AuditKey) -> Result<(), Why> {
        let mut line = Vec::new();
        loop {
            line.clear();
            let bound = AUDIT_LINE_BYTES_MAX as u64;
            let read = io::Read::take(&mut reader, bound).read_until(b'\n', &mut line);
            if read.map_err(|error| Why::Unreadable(error.kind()))? == 0 {
                break;
            }
            self.line += 1;
            let whole = line.strip_suffix(b"\n").ok_or(Why::HalfLine)?;
            let link = self::read(whole, key).ok_or(Why::Changed)?;
            self.follow(link)?;
        }
        self.line += 1;
        self.end()
    }

    fn follow(&mut self, link: Link) -> Result<(), Why> {
        let Position { seq, mac } = link.position;
        let last = self.before_first(&link)?;
        let expected = last.seq + 1;
        if seq > expected {
            return Err(Why::Missing { from: expected, to: seq - 1 });
        }
        if seq < expected || self.sealed {
            return Err(Why::Reordered { seq, expected });
        }
        if link.prev != last.mac || self.head.is_some_and(|head| head.seq == seq && head.mac != mac) {
            return Err(Why::Replaced);
        }
        if self.first == 0 {
            self.first = seq;
            self.from.clone_from(&link.fields.time);
        }
        self.to = link.fields.time;
        self.sealed = link.fields.act == Act::Sealed.as_str();
        self.last = Some(link.position);
        Ok(())
    }

    /// The position that this line must follow: a file that continues one we do not have says itself where that ended.
    fn before_first(&self, link: &Link) -> Result<Position, Why> {
        match self.last {
            Some(last) => Ok(last),
            None if link.position.seq > 1 && link.fields.act == Act::Continued.as_str() => {
                Ok(Position { seq: link.position.seq - 1, mac: link.prev })
            }
            None => Ok(Position::START),
        }
    }

    fn end(&self) -> Result<(), Why> {
        let last = self.last.unwrap_or(Position::START);
        match self.head {
            Some(head) if self.is_last && head.seq > last.seq => {
                Err(Why::Truncated { from: last.seq + 1, to: head.seq })
            }
            // A file that was put aside ends with a line that says so.
            Some(head) if !self.is_last && !self.sealed => {
                Err(Why::Truncated { from: last.seq + 1, to: head.seq.max(last.seq + 1) })
            }
            Some(_) | None => Ok(()),
        }
    }

    fn summary(self) -> Summary {
        Summary {
            lines: self.line.saturating_sub(1),
            first: self.first,
            from: self.from,
            to: self.to,
            position: self.last.unwrap_or(Position::START),
            end_proven: self.head.is_some() || self.sealed,
            sealed: self.sealed,
        }
    }
}

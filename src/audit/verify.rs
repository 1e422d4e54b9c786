//! Verifies that every line of a trail is there, in its place and unchanged, and names the first that is not.
//!
//! It needs the files and the key, and nothing else of the gateway, so that it can be run on another machine.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use super::chain::{AuditKey, ChainLink, ChainPosition, read, read_head};
use super::files::{head_path, rotated};
use super::record::AuditAct;
use crate::bounds::AUDIT_LINE_BYTES_MAX;

/// What is wrong with a trail, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}line {line}: {why}", file.as_ref().map(|file| format!("{}: ", file.display())).unwrap_or_default())]
pub struct BrokenChain {
    /// The file, where several are read.
    pub file: Option<PathBuf>,
    /// The line in the file, from 1; where lines are missing, the line where the first of them should be.
    pub line: u64,
    /// What is wrong.
    pub why: ChainBreak,
}

/// How a trail can be broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainBreak {
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
    /// The trail does not begin where it should.
    #[error(
        "missing from the front: lines {from} to {to} of the chain are gone; if they were put away on purpose, check what \
         is here with --from {}", to + 1
    )]
    FrontMissing {
        /// The first that is missing.
        from: u64,
        /// The last that is missing.
        to: u64,
    },
    /// A line comes after one that was written later.
    #[error("reordered: this is line {seq} of the chain, and line {expected} belongs here")]
    Reordered {
        /// Its number in the chain.
        seq: u64,
        /// The number that belongs here.
        expected: u64,
    },
    /// A line that was read before is here again.
    #[error("repeated: line {seq} of the chain is here again, and line {expected} belongs here")]
    Repeated {
        /// Its number in the chain.
        seq: u64,
        /// The number that belongs here.
        expected: u64,
    },
    /// A rotated file has the name of another one.
    #[error("misnamed: by the file's name its last line is number {named}, and it is {last}: were files swapped?")]
    Misnamed {
        /// The number in the name.
        named: u64,
        /// The number of its last line.
        last: u64,
    },
    /// A rotated file lacks the last line that each rotated file has.
    #[error("unfinished: the file was put aside, and its last line does not say so: lines may have been cut off")]
    Unfinished,
    /// A line with the right number comes from another trail, or from a copy that was cut and continued.
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
    /// The sealed head is missing, so the end of the trail is not known.
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
pub struct TrailSummary {
    /// Lines read.
    pub lines: u64,
    /// The number of the first line: above 1 where older files were removed.
    pub first: u64,
    /// When the first was written.
    pub from: String,
    /// When the last was written.
    pub to: String,
    /// The last line.
    pub position: ChainPosition,
    /// Whether the end is known to be the end: by a head, or by the last line of a finished file.
    pub end_proven: bool,
    /// Whether the last line says that the file is finished.
    pub sealed: bool,
}

/// Verifies one file. `before` is the end of the file before it, and `head` the position in the sealed head. Without
/// `before` the first line must be one that can begin a file; without `head` a cut at the end is only found in a
/// finished file.
///
/// # Errors
/// [`BrokenChain`] for the first line that is wrong.
pub fn verify(
    reader: impl BufRead,
    key: &AuditKey,
    before: Option<ChainPosition>,
    head: Option<ChainPosition>,
) -> Result<TrailSummary, BrokenChain> {
    let mut walk = ChainWalk::new(before, head);
    walk.read(reader, key).map_err(|why| BrokenChain { file: None, line: walk.line, why })?;
    Ok(walk.summary())
}

/// Verifies a trail with all its files: the rotated ones, the one that is written, and the sealed head. Where `path` is
/// a rotated file, verifies it and the older ones: a rotated file proves its own end.
///
/// Line `from` and all after it must be here; 1 for the whole trail.
///
/// # Errors
/// [`BrokenChain`] for the first line that is wrong, or for the head.
pub fn verify_files(path: &Path, key: &AuditKey, from: u64) -> Result<TrailSummary, BrokenChain> {
    let broken = |file: &Path, line, why| BrokenChain { file: Some(file.to_owned()), line, why };
    let unreadable = |error: io::Error| broken(path, 0, ChainBreak::Unreadable(error.kind()));
    let (mut files, head) = match put_aside(path) {
        Some((trail, last)) => {
            let mut files = rotated(&trail).map_err(unreadable)?;
            files.retain(|file| put_aside(file).is_some_and(|(_, number)| number <= last));
            (files, None)
        }
        None => (rotated(path).map_err(unreadable)?, Some(sealed_head(path, key)?)),
    };
    if head.is_some() {
        files.push(path.to_owned());
    }
    let mut total: Option<TrailSummary> = None;
    for file in &files {
        let mut walk = ChainWalk::new(total.as_ref().map(|summary| summary.position), head);
        walk.named = if head.is_some() && file == path { None } else { put_aside(file).map(|(_, last)| last) };
        walk.begun = total.as_ref().map_or(0, |summary| summary.first);
        walk.read(open(file)?, key).map_err(|why| broken(file, walk.line, why))?;
        let summary = walk.summary();
        if total.is_none() && summary.first > from {
            return Err(broken(file, 1, ChainBreak::FrontMissing { from, to: summary.first - 1 }));
        }
        total = Some(TrailSummary::join(total, summary));
    }
    match total {
        Some(total) if total.position.seq + 1 < from => {
            Err(broken(path, 0, ChainBreak::Truncated { from: total.position.seq + 1, to: from - 1 }))
        }
        Some(total) => Ok(total),
        None => Err(broken(path, 0, ChainBreak::Unreadable(io::ErrorKind::NotFound))),
    }
}

/// The trail that a rotated file belongs to, and the number of its last line, both from its name.
fn put_aside(path: &Path) -> Option<(PathBuf, u64)> {
    let (trail, last) = path.file_name()?.to_str()?.rsplit_once('.')?;
    let is_number = last.len() == 12 && last.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| Some((path.with_file_name(trail), last.parse().ok()?)))?
}

fn sealed_head(path: &Path, key: &AuditKey) -> Result<ChainPosition, BrokenChain> {
    let path = head_path(path);
    let broken = |why| BrokenChain { file: Some(path.clone()), line: 0, why };
    let head = std::fs::read(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => broken(ChainBreak::HeadMissing),
        kind => broken(ChainBreak::Unreadable(kind)),
    })?;
    read_head(&head, key).ok_or_else(|| broken(ChainBreak::HeadChanged))
}

/// Opens a file. A missing file is read as an empty one, so that its lines are reported as cut off.
fn open(path: &Path) -> Result<Box<dyn BufRead>, BrokenChain> {
    match File::open(path) {
        Ok(file) => Ok(Box::new(BufReader::new(file))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Box::new(io::empty())),
        Err(error) => {
            Err(BrokenChain { file: Some(path.to_owned()), line: 0, why: ChainBreak::Unreadable(error.kind()) })
        }
    }
}

impl TrailSummary {
    fn join(before: Option<Self>, next: Self) -> Self {
        match before {
            Some(before) if before.lines > 0 => {
                Self { lines: before.lines + next.lines, first: before.first, from: before.from, ..next }
            }
            _ => next,
        }
    }
}

struct ChainWalk {
    /// The position of the last line read; `None` before a first line that need not be number 1.
    last: Option<ChainPosition>,
    head: Option<ChainPosition>,
    /// The number of the last line in a rotated file's name; `None` for the file that the head covers.
    named: Option<u64>,
    /// The number of the first line of all files; 0 in the first file.
    begun: u64,
    line: u64,
    first: u64,
    from: String,
    to: String,
    sealed: bool,
}

impl ChainWalk {
    fn new(before: Option<ChainPosition>, head: Option<ChainPosition>) -> Self {
        let (from, to) = (String::new(), String::new());
        Self { last: before, head, named: None, begun: 0, line: 0, first: 0, from, to, sealed: false }
    }

    fn read(&mut self, mut reader: impl BufRead, key: &AuditKey) -> Result<(), ChainBreak> {
        let mut line = Vec::new();
        loop {
            line.clear();
            let bound = AUDIT_LINE_BYTES_MAX as u64;
            let read = io::Read::take(&mut reader, bound).read_until(b'\n', &mut line);
            if read.map_err(|error| ChainBreak::Unreadable(error.kind()))? == 0 {
                break;
            }
            self.line += 1;
            let whole = line.strip_suffix(b"\n").ok_or(ChainBreak::HalfLine)?;
            let link = self::read(whole, key).ok_or(ChainBreak::Changed)?;
            self.follow(link)?;
        }
        self.line += 1;
        self.end()
    }

    fn follow(&mut self, link: ChainLink) -> Result<(), ChainBreak> {
        let ChainPosition { seq, mac } = link.position;
        let last = self.before_first(&link)?;
        let expected = last.seq + 1;
        if seq > expected {
            return Err(ChainBreak::Missing { from: expected, to: seq - 1 });
        }
        if seq < expected || self.sealed {
            let begun = if self.begun > 0 { self.begun } else { self.first };
            let has_stood = seq < expected && begun > 0 && seq >= begun;
            return Err(if has_stood {
                ChainBreak::Repeated { seq, expected }
            } else {
                ChainBreak::Reordered { seq, expected }
            });
        }
        if link.prev != last.mac || self.head.is_some_and(|head| head.seq == seq && head.mac != mac) {
            return Err(ChainBreak::Replaced);
        }
        if self.first == 0 {
            self.first = seq;
            self.from.clone_from(&link.fields.time);
        }
        self.to = link.fields.time;
        self.sealed = link.fields.act == AuditAct::Sealed.as_str();
        self.last = Some(link.position);
        Ok(())
    }

    /// The position that this line must follow. A first line `continued` has it itself, where the file before is
    /// missing.
    fn before_first(&self, link: &ChainLink) -> Result<ChainPosition, ChainBreak> {
        match self.last {
            Some(last) => Ok(last),
            None if link.position.seq > 1 && link.fields.act == AuditAct::Continued.as_str() => {
                Ok(ChainPosition { seq: link.position.seq - 1, mac: link.prev })
            }
            None => Ok(ChainPosition::START),
        }
    }

    fn end(&self) -> Result<(), ChainBreak> {
        let last = self.last.unwrap_or(ChainPosition::START).seq;
        match (self.named, self.head) {
            (Some(named), _) if last < named => Err(ChainBreak::Truncated { from: last + 1, to: named }),
            (Some(named), _) if last > named => Err(ChainBreak::Misnamed { named, last }),
            (Some(_), _) if !self.sealed => Err(ChainBreak::Unfinished),
            (None, Some(head)) if head.seq > last => Err(ChainBreak::Truncated { from: last + 1, to: head.seq }),
            (Some(_), _) | (None, Some(_) | None) => Ok(()),
        }
    }

    fn summary(self) -> TrailSummary {
        TrailSummary {
            lines: self.line.saturating_sub(1),
            first: self.first,
            from: self.from,
            to: self.to,
            position: self.last.unwrap_or(ChainPosition::START),
            end_proven: self.head.is_some() || self.sealed,
            sealed: self.sealed,
        }
    }
}

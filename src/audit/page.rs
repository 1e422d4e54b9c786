//! Reads a trail page by page, in the order of its numbers, across its files.
//!
//! A number is found by binary search, since lines are in the order of their numbers. They are not in the order of
//! their times: a line has the time of its event, such as the start of a request that was refused minutes later, and
//! clocks are set back. So every line that may match a time is read. Codes are not checked here:
//! [`verify_files`](super::verify_files) does that.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::files::rotated;
use crate::bounds::{AUDIT_LINE_BYTES_MAX, AUDIT_READ_BYTES_MAX};
use crate::model::{Lock as _, UnixTime};

/// Some lines of a trail.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TrailPage {
    /// In the order of their numbers, without their line feeds.
    pub lines: Vec<String>,
    /// The number of the last line that was read: the next page begins after it.
    pub seen: u64,
    /// Lines that were read and are not lines of a trail.
    pub unreadable: u64,
    /// Whether more lines follow.
    pub more: bool,
}

/// A trail to read from.
#[derive(Debug)]
pub struct TrailReader {
    path: PathBuf,
    /// The latest time in each rotated file that was read to its end. A rotated file does not change, so it need not be
    /// read again for a later time. One entry for each file that exists.
    latest: Mutex<HashMap<PathBuf, LatestTime>>,
}

#[derive(Debug)]
struct LatestTime {
    bytes: u64,
    time: String,
}

/// Which lines a page shall have.
struct LineQuery {
    /// The earliest time, in the format of the lines, so that times compare as texts; empty for any.
    since: String,
    after: Option<u64>,
    limit: usize,
}

impl TrailReader {
    /// The file with the newest lines.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A reader of the trail whose newest lines are in this file.
    pub fn new(path: PathBuf) -> Self {
        Self { path, latest: Mutex::default() }
    }

    /// The first `limit` lines whose time is `since` or later and whose number is above `after`, where these are given.
    ///
    /// # Errors
    /// Those of reading the files.
    pub fn page(&self, since: Option<UnixTime>, after: Option<u64>, limit: usize) -> io::Result<TrailPage> {
        let asked = LineQuery { since: since.map(|since| since.to_string()).unwrap_or_default(), after, limit };
        let mut page = TrailPage { seen: after.unwrap_or(0), ..TrailPage::default() };
        // Opened before the rotated files are listed: if it is rotated in between, it is found among them, and no line
        // is lost.
        let mut written = opened(&self.path)?;
        let mut bytes = 0;
        let aside = rotated(&self.path)?;
        for path in &aside {
            let Some(file) = opened(path)? else { continue };
            if let Some(open) = &written
                && is_same(open, &file)?
            {
                written = None;
            }
            if self.is_older(path, &file, &asked.since)? {
                continue;
            }
            let read = page.fill(&file, &asked, &mut bytes)?;
            if page.more {
                return Ok(page);
            }
            self.note(path, read);
        }
        self.lock().retain(|path, _| aside.contains(path));
        if let Some(file) = written {
            page.fill(&file, &asked, &mut bytes)?;
        }
        Ok(page)
    }

    /// Whether a file is known to hold only lines before this time.
    fn is_older(&self, path: &Path, file: &File, since: &str) -> io::Result<bool> {
        let bytes = file.metadata()?.len();
        Ok(self.lock().get(path).is_some_and(|latest| latest.bytes == bytes && latest.time.as_str() < since))
    }

    fn note(&self, path: &Path, read: Option<LatestTime>) {
        if let Some(latest) = read {
            self.lock().insert(path.to_owned(), latest);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<PathBuf, LatestTime>> {
        self.latest.locked()
    }
}

impl TrailPage {
    /// Adds lines of one file; returns the latest time in it where all of it was read.
    fn fill(&mut self, file: &File, asked: &LineQuery, bytes: &mut u64) -> io::Result<Option<LatestTime>> {
        let start = asked.after.map_or(Ok(0), |after| first_after(file, after))?;
        let mut lines = FileLines::at(file, start)?;
        let mut latest = String::new();
        while let Some(line) = lines.next()? {
            let Some((number, time)) = line.as_deref().and_then(place) else {
                self.unreadable += 1;
                continue;
            };
            if time > latest.as_str() {
                time.clone_into(&mut latest);
            }
            if asked.after.is_none_or(|after| number > after) && time >= asked.since.as_str() {
                let line = line.as_deref().unwrap_or_default();
                *bytes += line.len() as u64;
                if self.lines.len() == asked.limit || *bytes > AUDIT_READ_BYTES_MAX {
                    self.more = true;
                    return Ok(None);
                }
                self.lines.push(String::from_utf8_lossy(line).into_owned());
            }
            self.seen = self.seen.max(number);
        }
        Ok((start == 0).then_some(LatestTime { bytes: lines.end, time: latest }))
    }
}

/// The offset in bytes from which every line with a higher number than `after` is found.
fn first_after(file: &File, after: u64) -> io::Result<u64> {
    let (mut low, mut high) = (0, file.metadata()?.len());
    while low < high {
        let middle = low + (high - low) / 2;
        match readable_from(file, middle)? {
            Some(found) if found.start < high && found.number <= after => low = found.end,
            Some(_) | None => high = middle,
        }
    }
    Ok(low)
}

/// The number of a line, and its range of bytes in the file.
struct NumberedLine {
    number: u64,
    start: u64,
    end: u64,
}

/// The first valid line that begins at or after an offset.
fn readable_from(file: &File, place: u64) -> io::Result<Option<NumberedLine>> {
    let mut lines = FileLines::at(file, place.saturating_sub(1))?;
    if place > 0 {
        lines.skip()?;
    }
    loop {
        let start = lines.end;
        match lines.next()? {
            None => return Ok(None),
            Some(line) => {
                if let Some((number, _)) = line.as_deref().and_then(self::place) {
                    return Ok(Some(NumberedLine { number, start, end: lines.end }));
                }
            }
        }
    }
}

/// The lines of a file, read in bounded memory whatever the file holds.
pub(super) struct FileLines<'file> {
    reader: BufReader<&'file File>,
    end: u64,
}

impl<'file> FileLines<'file> {
    pub(super) fn at(mut file: &'file File, start: u64) -> io::Result<Self> {
        file.seek(SeekFrom::Start(start))?;
        Ok(Self { reader: BufReader::new(file), end: start })
    }

    /// Skips the rest of a line.
    pub(super) fn skip(&mut self) -> io::Result<()> {
        self.end += self.reader.skip_until(b'\n')? as u64;
        Ok(())
    }

    /// The next line without its line feed. `Some(None)` for a line that is too long; `None` at the end, and for a line
    /// that is still being written.
    pub(super) fn next(&mut self) -> io::Result<Option<Option<Vec<u8>>>> {
        let mut line = Vec::new();
        let read = (&mut self.reader).take(AUDIT_LINE_BYTES_MAX as u64).read_until(b'\n', &mut line)?;
        self.end += read as u64;
        if line.pop() == Some(b'\n') {
            return Ok(Some(Some(line)));
        }
        if read < AUDIT_LINE_BYTES_MAX {
            return Ok(None);
        }
        self.skip()?;
        Ok(Some(None))
    }
}

/// A line's number and time; `None` for what is not a line of a trail.
fn place(line: &[u8]) -> Option<(u64, &str)> {
    let line = std::str::from_utf8(line).ok()?;
    let (number, rest) = line.strip_prefix("{\"seq\":")?.split_once(",\"time\":\"")?;
    Some((number.parse().ok()?, rest.split_once('"')?.0))
}

pub(super) fn opened(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        // It was removed or rotated since it was listed.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some),
    }
}

fn is_same(one: &File, other: &File) -> io::Result<bool> {
    let (one, other) = (one.metadata()?, other.metadata()?);
    Ok((one.dev(), one.ino()) == (other.dev(), other.ino()))
}

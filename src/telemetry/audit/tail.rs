//! Follows a trail as it is written, across the change to a new file.
//!
//! Reads only: whether the lines are true is for [`verify`](super::verify()) to say.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::bounds::AUDIT_TAIL_BYTES;
use crate::model::UnixTime;

/// A place in a trail that is being written.
#[derive(Debug)]
pub struct Tail {
    path: PathBuf,
    file: File,
    /// What was read of a line that is not whole yet.
    rest: Vec<u8>,
}

impl Tail {
    /// Begins at the end of the trail.
    ///
    /// # Errors
    /// Those of opening the file.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::End(0))?;
        Ok(Self { path: path.to_owned(), file, rest: Vec::new() })
    }

    /// The lines that have come since the last call, without their line feeds; none when nothing has. The caller
    /// decides how long to wait between calls.
    ///
    /// # Errors
    /// Those of reading the file.
    pub fn next_lines(&mut self) -> io::Result<Vec<String>> {
        self.file.read_to_end(&mut self.rest)?;
        if self.is_put_aside()? {
            // What was written between the read and the change of files comes first.
            self.file.read_to_end(&mut self.rest)?;
            self.file = File::open(&self.path)?;
            self.file.read_to_end(&mut self.rest)?;
        }
        let whole = self.rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let lines: Vec<u8> = self.rest.drain(..whole).collect();
        Ok(split(&lines))
    }

    fn is_put_aside(&self) -> io::Result<bool> {
        let (open, named) = (self.file.metadata()?, self.path.metadata()?);
        Ok((open.dev(), open.ino()) != (named.dev(), named.ino()))
    }
}

/// The last lines of a file, oldest first; at most `count`, and at most a bound of bytes.
///
/// # Errors
/// Those of reading the file.
pub fn last_lines(path: &Path, count: usize) -> io::Result<Vec<String>> {
    let mut file = File::open(path)?;
    let skip = file.metadata()?.len().saturating_sub(AUDIT_TAIL_BYTES);
    file.seek(SeekFrom::Start(skip))?;
    let mut bytes = Vec::new();
    file.take(AUDIT_TAIL_BYTES).read_to_end(&mut bytes)?;
    let mut lines = split(&bytes);
    // The first may have begun before the bound.
    lines.drain(..usize::from(skip > 0 && !lines.is_empty()));
    let more = lines.len().saturating_sub(count);
    Ok(lines.split_off(more))
}

/// The lines of the file that is being written from a time on, oldest first; at most `limit`, the newest of them, and
/// no further back than [`last_lines`] goes.
///
/// # Errors
/// Those of reading the file.
pub fn lines_since(path: &Path, since: UnixTime, limit: usize) -> io::Result<Vec<String>> {
    let since = since.to_string();
    let mut lines = last_lines(path, usize::MAX)?;
    // Times are written in one form and one zone, so that they sort as text.
    lines.retain(|line| time_of(line).is_some_and(|time| time >= since.as_str()));
    let more = lines.len().saturating_sub(limit);
    Ok(lines.split_off(more))
}

fn time_of(line: &str) -> Option<&str> {
    line.split_once(",\"time\":\"")?.1.split('"').next()
}

fn split(bytes: &[u8]) -> Vec<String> {
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| String::from_utf8_lossy(line).into_owned()).collect()
}

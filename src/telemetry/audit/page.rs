//! Reads a trail page by page, oldest first, across its files.
//!
//! Lines stand in the order of their numbers, so a page is found by halving and not by reading what came before. Reads only:
//! whether the lines are true is for [`verify`](super::verify()) to say.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use super::files::rotated;
use crate::bounds::AUDIT_READ_BYTES_MAX;
use crate::model::UnixTime;

/// Some lines of a trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Oldest first, without their line feeds.
    pub lines: Vec<String>,
    /// Whether there are more after the last of these.
    pub more: bool,
}

/// The first `limit` lines that were written at or after `since` and stand behind number `after`, where given.
///
/// # Errors
/// Those of reading the files.
pub fn page(path: &Path, since: Option<UnixTime>, after: Option<u64>, limit: usize) -> io::Result<Page> {
    let since = since.map(|since| since.to_string()).unwrap_or_default();
    let is_before = |line: &str| {
        let (number, time) = place(line);
        number <= after.unwrap_or(0) || time < since.as_str()
    };
    let mut page = Page { lines: Vec::new(), more: false };
    let mut bytes = 0;
    let mut files = rotated(path)?;
    files.push(path.to_owned());
    for file in files {
        let mut file = match File::open(&file) {
            // Renamed while we read: the lines are in a file of the next call.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            opened => opened?,
        };
        let start = first_that_is_not(&mut file, is_before)?;
        file.seek(SeekFrom::Start(start))?;
        let mut reader = BufReader::new(file);
        while let Some(line) = whole_line(&mut reader)? {
            if is_before(&line) {
                continue;
            }
            bytes += line.len() as u64;
            if page.lines.len() == limit || bytes > AUDIT_READ_BYTES_MAX {
                page.more = true;
                return Ok(page);
            }
            page.lines.push(line);
        }
    }
    Ok(page)
}

/// Where the first line begins that is not before what is looked for.
fn first_that_is_not(file: &mut File, is_before: impl Fn(&str) -> bool) -> io::Result<u64> {
    let (mut low, mut high) = (0, file.metadata()?.len());
    while low < high {
        let middle = low + (high - low) / 2;
        let (start, line) = line_from(file, middle)?;
        match line {
            Some(line) if start < high && is_before(&line) => low = start + line.len() as u64 + 1,
            Some(_) | None => high = middle,
        }
    }
    Ok(low)
}

/// The first whole line that begins at or after a place.
fn line_from(file: &mut File, place: u64) -> io::Result<(u64, Option<String>)> {
    file.seek(SeekFrom::Start(place.saturating_sub(1)))?;
    let mut reader = BufReader::new(file.take(AUDIT_READ_BYTES_MAX));
    let mut start = place;
    if place > 0 {
        let mut rest = Vec::new();
        start = place - 1 + reader.read_until(b'\n', &mut rest)? as u64;
    }
    Ok((start, whole_line(&mut reader)?))
}

/// The next line without its line feed; none at the end, and none for one that is still being written.
fn whole_line(reader: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line)?;
    Ok(line.strip_suffix(b"\n").map(|line| String::from_utf8_lossy(line).into_owned()))
}

/// A line's number and time; the lowest for what is no line.
fn place(line: &str) -> (u64, &str) {
    let number = line.strip_prefix("{\"seq\":").and_then(|rest| rest.split(',').next()?.parse().ok());
    let time = line.split_once(",\"time\":\"").and_then(|(_, rest)| rest.split('"').next());
    (number.unwrap_or(0), time.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(page: &Page) -> Vec<u64> {
        page.lines.iter().map(|line| place(line).0).collect()
    }

    #[test]
    fn pages_follow_each_other_across_files_and_begin_anywhere() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let line = |n: u64| {
            format!("{{\"seq\":{n},\"time\":\"{}\",\"x\":\"{}\"}}\n", UnixTime::from_secs(n), "y".repeat(n as usize))
        };
        let lines = |from: u64, to: u64| (from..=to).map(line).collect::<String>();
        std::fs::write(folder.path().join("audit.jsonl.000000000040"), lines(1, 40)).unwrap();
        std::fs::write(&path, lines(41, 100) + "{\"seq\":101,\"half").unwrap();
        let put_aside = rotated(&path).unwrap().len();
        let first = if put_aside == 1 { 1 } else { 41 };
        for after in 0..=101 {
            let page = page(&path, None, Some(after), 7).unwrap();
            let begin = (after + 1).max(first);
            assert_eq!(numbers(&page).first().copied().unwrap_or(101), begin.min(101), "after {after}");
            assert_eq!(page.more, begin + 7 <= 100, "after {after}");
        }
        for since in [41, 60, 100] {
            let page = page(&path, Some(UnixTime::from_secs(since)), None, 1000).unwrap();
            assert_eq!(numbers(&page).first(), Some(&since));
        }
        assert_eq!(put_aside, 1, "the name is one that the writer gives");
    }
}

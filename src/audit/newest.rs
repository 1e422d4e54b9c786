//! Finds the newest lines about one subject, from the end of the trail back, in bounded memory and time.
//!
//! Codes are not checked here: [`verify_files`](super::verify_files) does that.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::path::Path;

use super::files::rotated;
use super::page::{FileLines, opened};

/// The newest lines about a subject.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewestLines {
    /// The oldest first, without their line feeds.
    pub lines: Vec<String>,
    /// Whether older lines were not looked at, or left out.
    pub more: bool,
}

/// The last `most` lines that `wanted` takes, out of the last `bytes_max` bytes of the trail.
///
/// # Errors
/// Those of reading the files.
pub fn newest(path: &Path, wanted: impl Fn(&str) -> bool, most: usize, bytes_max: u64) -> io::Result<NewestLines> {
    // Opened before the rotated files are listed: see `TrailReader::page`.
    let written = opened(path)?;
    let aside = rotated(path)?.into_iter().rev().filter_map(|path| opened(&path).transpose());
    let (mut found, mut left, mut more) = (VecDeque::new(), bytes_max, false);
    for file in written.map(Ok).into_iter().chain(aside) {
        if left == 0 || found.len() >= most {
            more = true;
            break;
        }
        let file = file?;
        let length = file.metadata()?.len();
        more |= length > left;
        let mut lines = last_of(&file, length.saturating_sub(left), &wanted, most, &mut more)?;
        left = left.saturating_sub(length);
        lines.append(&mut found);
        found = lines;
    }
    more |= found.len() > most;
    let surplus = found.len().saturating_sub(most);
    Ok(NewestLines { lines: found.into_iter().skip(surplus).collect(), more })
}

fn last_of(
    file: &File,
    start: u64,
    wanted: &impl Fn(&str) -> bool,
    most: usize,
    more: &mut bool,
) -> io::Result<VecDeque<String>> {
    let mut lines = FileLines::at(file, start)?;
    if start > 0 {
        lines.skip()?;
    }
    let mut found = VecDeque::new();
    while let Some(line) = lines.next()? {
        let Some(text) = line.and_then(|line| String::from_utf8(line).ok()) else { continue };
        if wanted(&text) {
            found.push_back(text);
        }
        if found.len() > most {
            found.pop_front();
            *more = true;
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_newest_lines_come_from_all_files_within_the_bounds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        fs::write(folder.path().join("audit.jsonl.000000000002"), "a1\nb2\n").unwrap();
        fs::write(folder.path().join("audit.jsonl.000000000004"), "a3\na4\n").unwrap();
        fs::write(&path, "b5\na6\nhalf a li").unwrap();
        let of = |most, bytes| {
            let found = newest(&path, |line| line.starts_with('a'), most, bytes).unwrap();
            (found.lines.join(" "), found.more)
        };
        assert_eq!(of(9, 1_000), ("a1 a3 a4 a6".to_owned(), false));
        assert_eq!(of(2, 1_000), ("a4 a6".to_owned(), true));
        assert_eq!(of(1, 1_000), ("a6".to_owned(), true));
        assert_eq!(of(9, 15), ("a6".to_owned(), true), "only what the bound reaches");
        assert_eq!(of(9, 19), ("a4 a6".to_owned(), true));
        let none = newest(&folder.path().join("none"), |_| true, 9, 9).unwrap();
        assert_eq!(none, NewestLines::default());
    }
}

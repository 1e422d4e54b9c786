//! How answers look on a terminal: columns, durations and times.
//!
//! Text from elsewhere loses every symbol that could move the cursor, hide a line or turn its direction.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::Duration;

use crate::model::{UnixTime, escape_unprintable, is_printable};

/// Lays out rows under their titles. A title that begins with `>` is of a column that is aligned to the right. The last
/// column is not padded.
pub(super) fn table<T>(titles: &[&str], items: &[T], row: impl Fn(&T) -> Vec<String>) -> String {
    let bare = titles.iter().map(|title| title.trim_start_matches('>').to_owned()).collect();
    let cells = |item| row(item).iter().map(|cell| printable(cell)).collect();
    let rows: Vec<Vec<String>> = std::iter::once(bare).chain(items.iter().map(cells)).collect();
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..titles.len()).map(|column| width(column).unwrap_or_default()).collect();
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for ((cell, title), width) in row.iter().zip(titles).zip(&widths) {
            match title.starts_with('>') {
                true => push(&mut line, format_args!("{cell:>width$}  ")),
                false => push(&mut line, format_args!("{cell:<width$}  ")),
            }
        }
        push(&mut text, format_args!("{}\n", line.trim_end()));
    }
    text
}

/// A table after an empty line; nothing where there are no rows.
pub(super) fn section<T>(titles: &[&str], items: &[T], row: impl Fn(&T) -> Vec<String>) -> String {
    if items.is_empty() { String::new() } else { format!("\n{}", table(titles, items, row)) }
}

/// Lays out named values, one on each line.
pub(super) fn key_values(items: &[(&str, String)]) -> String {
    let width = items.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    items.iter().fold(String::new(), |mut text, (name, value)| {
        push(&mut text, format_args!("{name:<width$}  {}\n", printable(value)));
        text
    })
}

/// The text with every unprintable symbol replaced.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|symbol| if is_printable(symbol) { symbol } else { '\u{fffd}' }).collect()
}

/// An output that escapes unprintable symbols as JSON does, so that text chosen by a stranger cannot act on the
/// terminal. Not for verbs that print bodies or colours.
pub(super) struct PrintableWriter<'out>(pub(super) &'out mut dyn Write);

impl Write for PrintableWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // An incomplete symbol at the end is left to the caller, who writes it again with the rest.
        let whole = match std::str::from_utf8(bytes) {
            Err(error) if error.error_len().is_none() && error.valid_up_to() > 0 => &bytes[..error.valid_up_to()],
            Ok(_) | Err(_) => bytes,
        };
        self.0.write_all(escape_unprintable(&String::from_utf8_lossy(whole)).as_bytes())?;
        Ok(whole.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// A duration in its two largest units.
pub(super) fn duration(secs: u64) -> String {
    let parts: Vec<String> = humantime::format_duration(Duration::from_secs(secs))
        .to_string()
        .split(' ')
        .take(2)
        .map(str::to_owned)
        .collect();
    parts.join(" ")
}

/// How long ago a time was.
pub(super) fn ago(then: UnixTime, now: UnixTime) -> String {
    format!("{} ago", duration(now.since(then).as_secs()))
}

/// Writing to a `String` cannot fail.
fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    let written = text.write_fmt(arguments);
    debug_assert!(written.is_ok());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_at_most_two_units() {
        assert_eq!([0, 90, 3_661].map(duration), ["0s", "1m 30s", "1h 1m"]);
    }

    #[test]
    fn columns_align_and_nothing_moves_the_cursor() {
        let rows = [vec!["ä\u{1b}[2J".to_owned(), "7".to_owned()], vec!["long-name".to_owned(), "1,000".to_owned()]];
        assert_eq!(
            table(&["VENDOR", ">N"], &rows, Vec::clone),
            "VENDOR         N\n\
             ä\u{fffd}[2J          7\n\
             long-name  1,000\n"
        );
        let mut out = Vec::new();
        PrintableWriter(&mut out).write_all("{\"a\": \"\u{9b}2J\u{202e}ä\u{2028}\"}\n".as_bytes()).expect("memory");
        assert_eq!(String::from_utf8_lossy(&out), "{\"a\": \"\\u009b2J\\u202eä\\u2028\"}\n");
        assert_eq!(key_values(&[("a", "1".into()), ("bcd", "x\ny".into())]), "a    1\nbcd  x\u{fffd}y\n");
    }
}

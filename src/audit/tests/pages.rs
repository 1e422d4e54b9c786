//! Pages of a trail, compared with a plain filter over its lines.

use proptest::prelude::*;

use super::*;

/// A trail that a test wrote: its rotated files and the one that is written.
struct Trail {
    _folder: tempfile::TempDir,
    path: PathBuf,
    /// The number and time of every line.
    lines: Vec<(u64, u64)>,
}

/// Writes lines with these times, `per_file` in each file; where `junk` is not 0, something invalid is before a line.
fn trail(times: &[u64], per_file: usize, junk: &[u8]) -> Trail {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let lines: Vec<(u64, u64)> = (1..).zip(times.iter().copied()).collect();
    let files: Vec<_> = lines.chunks(per_file).collect();
    for (index, file) in files.iter().enumerate() {
        let mut text = String::new();
        for (number, time) in *file {
            match junk.get(*number as usize).copied().unwrap_or(0) {
                1 => text.push('\n'),
                2 => text.push_str("{\"seq\":7,\"ti\n"),
                3 => text.push_str(&("x".repeat(crate::bounds::AUDIT_LINE_BYTES_MAX + 5) + "\n")),
                _ => {}
            }
            let (time, filler) = (UnixTime::from_millis(*time), "y".repeat(*number as usize % 50));
            text.push_str(&format!("{{\"seq\":{number},\"time\":\"{time}\",\"x\":\"{filler}\"}}\n"));
        }
        let last = file.last().unwrap().0;
        let is_written = index + 1 == files.len();
        let name = if is_written { path.clone() } else { folder.path().join(format!("audit.jsonl.{last:012}")) };
        let half = if is_written { "{\"seq\":9999,\"time\":\"2090-01-01T00:00:00.000Z\"" } else { "" };
        fs::write(name, text + half).unwrap();
    }
    Trail { _folder: folder, path, lines }
}

fn numbers(page: &TrailPage) -> Vec<u64> {
    let number = |line: &String| serde_json::from_str::<serde_json::Value>(line).unwrap()["seq"].as_u64().unwrap();
    page.lines.iter().map(number).collect()
}

#[test]
fn a_line_with_an_earlier_time_hides_no_later_line() {
    let mut times = vec![5_000; 8];
    times.extend([1_000; 30]);
    let trail = trail(&times, 100, &[]);
    let reader = TrailReader::new(trail.path.clone());
    let all = reader.page(Some(UnixTime::from_millis(5_000)), None, 100).unwrap();
    assert_eq!(numbers(&all), (1..=8).collect::<Vec<_>>(), "a line at the very time is one of them");
    assert_eq!((all.seen, all.more), (38, false));
    assert_eq!(numbers(&reader.page(Some(UnixTime::from_millis(5_001)), None, 100).unwrap()), Vec::<u64>::new());
}

#[test]
fn a_file_that_is_rotated_while_it_is_read_loses_no_line() {
    let trail = trail(&[1, 2, 3, 4, 5, 6], 3, &[]);
    let reader = TrailReader::new(trail.path.clone());
    let first = reader.page(None, None, 4).unwrap();
    assert!(first.more);
    fs::rename(&trail.path, trail.path.with_extension("jsonl.000000000006")).unwrap();
    assert_eq!(numbers(&reader.page(None, Some(first.seen), 4).unwrap()), [5, 6], "with no file in its place yet");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever the order of times, the files and other content in them: a page has what a plain filter has, and pages
    /// behind each other have it all.
    #[test]
    fn pages_agree_with_a_plain_filter(
        times in prop::collection::vec(0_u64..40, 1..60),
        per_file in 1_usize..25,
        junk in prop::collection::vec(0_u8..40, 0..60),
        since in prop::option::of(0_u64..42),
        after in prop::option::of(0_u64..64),
        limit in 1_usize..20,
    ) {
        let trail = trail(&times, per_file, &junk);
        let reader = TrailReader::new(trail.path.clone());
        let right: Vec<u64> = trail.lines.iter()
            .filter(|(number, time)| *number > after.unwrap_or(0) && *time >= since.unwrap_or(0))
            .map(|(number, _)| *number)
            .collect();
        let asked = since.map(UnixTime::from_millis);
        // Twice: what was learned of a file may not hide a line of it.
        for _ in 0..2 {
            let (mut from, mut all) = (after, Vec::new());
            loop {
                let page = reader.page(asked, from, limit).unwrap();
                all.extend(numbers(&page));
                prop_assert!(page.seen >= from.unwrap_or(0));
                prop_assert_eq!(page.more, all.len() < right.len());
                from = Some(page.seen);
                if !page.more {
                    break;
                }
            }
            prop_assert_eq!(&all, &right);
        }
    }
}

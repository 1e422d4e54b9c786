//! Values with units as operators write them: `250ms`, `200MB`, `50/s`, `2026-01-01`.
//!
//! Zero is refused everywhere: it would mean 'none' to one reader and 'no limit' to another.

use std::time::Duration;

use super::suggest;
use crate::model::UnixTime;

/// Why a text is not a value with a unit, and the value that was most likely meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UnitError {
    pub(super) wrong: &'static str,
    pub(super) meant: Option<String>,
    pub(super) example: &'static str,
}

/// A rate: a count in a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RateValue {
    pub(super) count: u32,
    pub(super) per: Duration,
}

const DURATION_UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
const SIZE_UNITS: [(&str, u64); 7] = [
    ("B", 1),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];
const DAY_SECS: u64 = 86_400;

/// A duration: a whole number and `ms`, `s`, `m`, `h` or `d`.
pub(super) fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    let error = |wrong| UnitError { wrong, meant: suggest::duration(text), example: "10s" };
    match scaled(text, &DURATION_UNITS) {
        Some(0) => Err(error("must be longer than zero")),
        Some(millis) => Ok(Duration::from_millis(millis)),
        None => Err(error("must be a whole number with ms, s, m, h or d")),
    }
}

/// A duration in the largest unit that needs no fraction.
pub(super) fn format_duration(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let fits = DURATION_UNITS.iter().rev().find(|(_, scale)| millis % scale == 0);
    fits.map_or_else(String::new, |(unit, scale)| format!("{}{unit}", millis / scale))
}

/// A size in the largest unit that needs no fraction.
pub(super) fn format_size(bytes: u64) -> String {
    let fits = SIZE_UNITS.iter().filter(|(_, scale)| bytes.is_multiple_of(*scale)).max_by_key(|(_, scale)| *scale);
    fits.map_or_else(String::new, |(unit, scale)| format!("{}{unit}", bytes / scale))
}

/// A size in bytes: a whole number and `B`, `KB`, `MB`, `GB` (thousands) or `KiB`, `MiB`, `GiB` (1024).
pub(super) fn parse_size(text: &str) -> Result<u64, UnitError> {
    let error = |wrong| UnitError { wrong, meant: suggest::size(text), example: "200MB" };
    match scaled(text, &SIZE_UNITS) {
        Some(0) => Err(error("must be at least 1B")),
        Some(bytes) => Ok(bytes),
        None => Err(error("must be a whole number with B, KB, MB, GB, KiB, MiB or GiB")),
    }
}

/// A rate: a whole number and `/s`, `/m`, `/h` or `/d`.
pub(super) fn parse_rate(text: &str) -> Result<RateValue, UnitError> {
    let error = |wrong, meant| UnitError { wrong, meant, example: "50/s" };
    let read = |(count, unit)| whole(count).zip(unit_of(unit, &DURATION_UNITS[1..]));
    let Some((count, per)) = text.split_once('/').and_then(read) else {
        return Err(error("must be a whole number with /s, /m, /h or /d", suggest::rate(text)));
    };
    match u32::try_from(count) {
        Ok(0) => Err(error("must be at least 1", text.split_once('/').map(|(_, unit)| format!("1/{unit}")))),
        Ok(count) => Ok(RateValue { count, per: Duration::from_millis(per) }),
        Err(_) => {
            Err(error("must be at most 4294967295", text.split_once('/').map(|(_, u)| format!("{}/{u}", u32::MAX))))
        }
    }
}

/// A pace: a size and `/s`, `/m` or `/h`, as bytes and the time in which they must come.
pub(super) fn parse_pace(text: &str) -> Result<(u64, Duration), UnitError> {
    let wrong = UnitError { wrong: "must be a size and /s, /m or /h", meant: None, example: "100B/m" };
    let (bytes, unit) = text.split_once('/').ok_or(wrong.clone())?;
    let per = unit_of(unit, &DURATION_UNITS[1..4]).ok_or(wrong)?;
    let bytes = parse_size(bytes).map_err(|error| UnitError { meant: None, example: "100B/m", ..error })?;
    Ok((bytes, Duration::from_millis(per)))
}

/// The first instant of a day in UTC, written `YYYY-MM-DD`, from 1970 to 9999.
pub(super) fn parse_date(text: &str) -> Result<UnixTime, UnitError> {
    days_since_epoch(text).map(|days| UnixTime::from_secs(days * DAY_SECS)).ok_or_else(|| UnitError {
        wrong: "must be a day of the calendar as YYYY-MM-DD",
        meant: suggest::date(text),
        example: "2027-03-31",
    })
}

/// Whether a text is a day of the calendar.
pub(super) fn is_date(text: &str) -> bool {
    days_since_epoch(text).is_some()
}

/// The first instant of the next day: a contract's last day counts to its end.
pub(super) fn next_day(day: UnixTime) -> UnixTime {
    day.plus(Duration::from_secs(DAY_SECS))
}

fn whole(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
    let (count, unit) = text.split_at(unit_at);
    whole(count)?.checked_mul(unit_of(unit, units)?).filter(|value| *value <= i64::MAX as u64)
}

fn unit_of(unit: &str, units: &[(&str, u64)]) -> Option<u64> {
    units.iter().find(|(name, _)| *name == unit).map(|(_, scale)| *scale)
}

/// Days from 1970-01-01 in the proleptic Gregorian calendar (Howard Hinnant's `days_from_civil`).
fn days_since_epoch(text: &str) -> Option<u64> {
    let mut parts = text.split('-');
    let (year, month, day) = (field(&mut parts, 4)?, field(&mut parts, 2)?, field(&mut parts, 2)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let longest = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let exists = parts.next().is_none() && year >= 1970 && (1..=12).contains(&month) && (1..=longest).contains(&day);
    let shifted = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (shifted / 400, shifted % 400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day.checked_sub(1)?;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    exists.then(|| era * 146_097 + day_of_era - 719_468)
}

fn field<'a>(parts: &mut impl Iterator<Item = &'a str>, width: usize) -> Option<u64> {
    parts.next().filter(|part| part.len() == width).and_then(whole).filter(|value| *value > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_whole_numbers_with_a_unit() {
        for (text, millis) in
            [("250ms", 250), ("10s", 10_000), ("5m", 300_000), ("1h", 3_600_000), ("90d", 7_776_000_000)]
        {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for bad in
            ["", "10", "s", "-1s", "1.5s", "1 s", "1S", "1w", "0s", "0ms", "99999999999999999999s", "9999999999999999d"]
        {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
        for text in ["250ms", "90s", "31d", "7h"] {
            assert_eq!(format_duration(parse_duration(text).expect(text)), text);
        }
    }

    #[test]
    fn sizes_are_whole_numbers_with_a_unit() {
        for (text, bytes) in [("64KiB", 65_536), ("200MB", 200_000_000), ("1B", 1), ("2GiB", 2_147_483_648)] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for bad in ["", "64", "64kb", "64 KiB", "0MB", "1TB", "-1B"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn rates_are_whole_numbers_per_unit_of_time() {
        let of = |count, secs| Ok(RateValue { count, per: Duration::from_secs(secs) });
        for (text, expected) in
            [("50/s", of(50, 1)), ("3000/m", of(3_000, 60)), ("1/h", of(1, 3_600)), ("9/d", of(9, 86_400))]
        {
            assert_eq!(parse_rate(text), expected, "{text}");
        }
        for bad in ["", "50", "50/", "/s", "0/s", "50/ms", "50/10s", "4294967296/s", "50/s/s", "+5/s"] {
            assert!(parse_rate(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn dates_are_days_of_the_calendar() {
        for (text, printed) in [
            ("1970-01-01", "1970-01-01T00:00:00.000Z"),
            ("2000-02-29", "2000-02-29T00:00:00.000Z"),
            ("2026-12-31", "2026-12-31T00:00:00.000Z"),
            ("2027-03-01", "2027-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(parse_date(text).expect(text).to_string(), printed);
        }
        for bad in [
            "",
            "2026-13-01",
            "2026-02-29",
            "2100-02-29",
            "2026-04-31",
            "2026-1-1",
            "1969-12-31",
            "2026-01-01T00:00:00Z",
            "2026-00-10",
        ] {
            assert!(parse_date(bad).is_err(), "{bad}");
        }
        assert_eq!(next_day(parse_date("2026-12-31").expect("day")), parse_date("2027-01-01").expect("day"));
    }
}

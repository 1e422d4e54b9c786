//! Guesses the valid value that an operator meant by an invalid one.
//!
//! A guess is made from the written text alone, so that it can be copied into the file. Where the text gives no hint
//! there is no guess: an invented value that happens to be valid would be worse than no advice.

use std::time::Duration;

use super::units;
use crate::http::Url;
use crate::model::VendorId;

/// Units of time as people write them, with their milliseconds.
const TIMES: [(&[&str], f64); 7] = [
    (&["ms", "msec", "msecs", "millis", "millisecond", "milliseconds"], 1.0),
    (&["s", "sec", "secs", "second", "seconds"], 1e3),
    (&["m", "min", "mins", "minute", "minutes"], 6e4),
    (&["h", "hr", "hrs", "hour", "hours"], 3.6e6),
    (&["d", "day", "days"], 8.64e7),
    (&["w", "week", "weeks"], 6.048e8),
    (&["y", "year", "years"], 3.1536e10),
];
/// Units of size as people write them, with their bytes.
const SIZES: [(&[&str], f64); 9] = [
    (&["b", "byte", "bytes"], 1.0),
    (&["kb", "k"], 1e3),
    (&["mb", "m"], 1e6),
    (&["gb", "g"], 1e9),
    (&["tb", "t"], 1e12),
    (&["kib", "ki"], 1024.0),
    (&["mib", "mi"], 1_048_576.0),
    (&["gib", "gi"], 1_073_741_824.0),
    (&["tib", "ti"], 1_099_511_627_776.0),
];
/// Above this a float is not an exact count, and the guess would be another value.
const EXACT_MAX: f64 = 9e15;

/// A duration: `30 sec` is `30s`, `1.5h` is `90m`, `1h30m` is `90m`, `PT5M` is `5m`, `10` is `10s`.
pub(super) fn duration(text: &str) -> Option<String> {
    let lower = plain(text);
    let lower = lower.strip_prefix("pt").or(lower.strip_prefix('p')).unwrap_or(&lower);
    let millis = sum(lower, &TIMES, 1e3)?;
    Some(units::format_duration(Duration::from_millis(millis)))
}

/// A size: `200 mb` is `200MB`, `1.5 GiB` is `1536MiB`, `4096` is `4096B`.
pub(super) fn size(text: &str) -> Option<String> {
    sum(&plain(text), &SIZES, 1.0).map(units::format_size)
}

/// A rate: `50/sec`, `50 per second`, `50 rps` and `50` are `50/s`, `0.5/s` is `30/m`, `50/10s` is `5/s`.
pub(super) fn rate(text: &str) -> Option<String> {
    let lower = plain(text).replace("per", "/").replace("requests", "").replace("req", "");
    let (count, unit) = match lower.split_once('/') {
        Some((count, unit)) => (count, unit),
        None => match lower.find(|c: char| c.is_ascii_alphabetic()) {
            None => (&*lower, "s"),
            Some(at) => (
                &lower[..at],
                match &lower[at..] {
                    "rps" | "r/s" | "qps" => "s",
                    "rpm" => "m",
                    _ => return None,
                },
            ),
        },
    };
    let count: f64 = count.trim_end_matches('r').parse().ok().filter(|count: &f64| *count > 0.0)?;
    let spans = unit.find(|c: char| c.is_ascii_alphabetic())?;
    let spans_count: f64 = if spans == 0 { 1.0 } else { unit[..spans].parse().ok()? };
    let millis = spans_count * scale(&unit[spans..], &TIMES)?;
    [("s", 1e3), ("m", 6e4), ("h", 3.6e6), ("d", 8.64e7)].into_iter().find_map(|(name, of)| {
        let scaled = count * of / millis;
        let whole = (scaled - scaled.round()).abs() < 1e-9 && (1.0..=f64::from(u32::MAX)).contains(&scaled.round());
        whole.then(|| format!("{}/{name}", scaled.round() as u64))
    })
}

/// A day: `2027/3/1`, `20270301`, `01.03.2027` and `2027-03-01T00:00:00Z` are `2027-03-01`; of a day that its month has
/// not, the month's last. Which of two small numbers is the month is only taken from `D.M.YYYY`.
pub(super) fn date(text: &str) -> Option<String> {
    let text = text.trim().split(['T', ' ']).next()?;
    let numbers: Vec<&str> = text.split(['-', '/', '.']).collect();
    let (year, month, day) = match numbers[..] {
        [year, month, day] if year.len() == 4 => (year, month, day),
        [day, month, year] if year.len() == 4 && text.contains('.') => (year, month, day),
        [whole] if whole.len() == 8 && whole.is_ascii() => (&whole[..4], &whole[4..6], &whole[6..]),
        _ => return None,
    };
    let (year, month, day): (u32, u32, u32) = (year.parse().ok()?, month.parse().ok()?, day.parse().ok()?);
    (1..=day.min(31)).rev().map(|day| format!("{year:04}-{month:02}-{day:02}")).find(|date| units::is_date(date))
}

/// An id: `ACME Analytics` is `acme-analytics`.
pub(super) fn id(text: &str) -> Option<String> {
    let letters =
        text.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect::<String>();
    let words: Vec<&str> = letters.split('-').filter(|word| !word.is_empty()).collect();
    let id: String = words.join("-").chars().take(63).collect();
    VendorId::parse(id.trim_end_matches('-')).ok().map(|id| id.to_string())
}

/// A whole number: `1_000` and `1,000` are `1000`, `5k` is `5000`, `1e3` is `1000`.
pub(super) fn integer(text: &str) -> Option<String> {
    let lower = plain(text).replace(',', "");
    let (digits, scale) = match lower.char_indices().last()? {
        (at, 'k') => (&lower[..at], 1e3),
        (at, 'm') => (&lower[..at], 1e6),
        _ => (&*lower, 1.0),
    };
    let value = digits.parse::<f64>().ok()? * scale;
    (value.fract() == 0.0 && (1.0..EXACT_MAX).contains(&value)).then(|| format!("{value:.0}"))
}

/// A route: `get /v1/customers/:id` is `GET /v1/customers/{id}`; so are `<id>`, `[id]`, `{id:int}` and `{id?}`, and
/// `/*` and `/**` at the end are `/{*rest}`.
pub(super) fn route(text: &str) -> Option<String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (methods, path) = match words[..] {
        [methods, path] if path.starts_with('/') => (methods.to_uppercase(), path),
        [methods, path] => (methods.to_uppercase(), path.split_once("://")?.1),
        [path] if path.starts_with('/') => ("GET".to_owned(), path),
        _ => return None,
    };
    let path = path.find('/').map_or(path, |at| &path[at..]);
    let path = path.split(['?', '#']).next().unwrap_or(path);
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let last = segments.len().saturating_sub(1);
    let made = segments.iter().enumerate().filter(|(at, text)| *at == last || !text.is_empty());
    let path: String = made.map(|(at, text)| format!("/{}", segment(text, at == last))).collect();
    Some(format!("{} {path}", methods.replace([',', '/'], "|")))
}

/// The capture that a segment means in the notation of another product; other segments as they are.
pub(super) fn segment(text: &str, last: bool) -> String {
    let inner = text
        .strip_prefix(':')
        .or_else(|| text.strip_prefix('<')?.strip_suffix('>'))
        .or_else(|| text.strip_prefix('[')?.strip_suffix(']'))
        .or_else(|| text.strip_prefix('{')?.strip_suffix('}'))
        .or_else(|| text.strip_prefix("${")?.strip_suffix('}'));
    if matches!(text, "*" | "**" | ".*" | "(.*)") || inner.is_some_and(|name| name.starts_with("...")) {
        return if last { "{*rest}".to_owned() } else { "{any}".to_owned() };
    }
    let Some(inner) = inner else { return text.to_owned() };
    // Flask writes the type first, FastAPI and others last.
    let repeats = inner.ends_with(['*', '+']) && !inner.contains([':', '(']);
    let tail = inner.starts_with(['*', '+']) || repeats || inner.starts_with("path:");
    let name = inner.strip_prefix('*').unwrap_or(inner).split(['(', '=']).next().unwrap_or_default();
    let typed = ["int:", "string:", "uuid:", "path:", "float:"].iter().find_map(|kind| name.strip_prefix(kind));
    let name = typed.unwrap_or_else(|| name.split(':').next().unwrap_or_default());
    let name: String = name
        .chars()
        .map(|c| if c == '-' { '_' } else { c })
        .filter(|c| c.is_ascii_alphanumeric() || *c == '_')
        .collect();
    let name = if name.is_empty() { "id".to_owned() } else { name };
    if tail && last { format!("{{*{name}}}") } else { format!("{{{name}}}") }
}

/// A path of a body: `customers[].email` is `$.customers[*].email`.
pub(super) fn field(text: &str) -> Option<String> {
    let text = text.trim().replace("[]", "[*]");
    let rest = text.strip_prefix('$').unwrap_or(&text);
    let dotted = if rest.is_empty() || rest.starts_with(['.', '[']) { rest.to_owned() } else { format!(".{rest}") };
    Some(format!("${}", dotted.replace('/', ".").trim_end_matches('.')))
}

/// A header field's name: `X Customer:` is `x-customer`.
pub(super) fn header(text: &str) -> Option<String> {
    let name = text.trim().trim_end_matches(':').to_lowercase().replace([' ', '_'], "-");
    http::HeaderName::from_bytes(name.as_bytes()).is_ok().then_some(name)
}

/// A person's or a hook's name: `Alice Smith` is `Alice-Smith`.
pub(super) fn name(text: &str) -> Option<String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@');
    let words: Vec<&str> = text.split(|c: char| !allowed(c)).filter(|word| !word.is_empty()).collect();
    let name: String = words.join("-").chars().take(64).collect();
    Some(name).filter(|name| !name.is_empty())
}

/// A URL without its scheme: `crm.internal:9000` is `http://crm.internal:9000`.
pub(super) fn url(text: &str) -> Option<String> {
    let text = text.trim();
    let rest = text.strip_prefix("//").unwrap_or(text);
    let scheme = if rest.split('/').next()?.ends_with(":443") { "https" } else { "http" };
    let url = format!("{scheme}://{rest}");
    (!rest.contains("://") && Url::parse_base(&url).is_ok()).then_some(url)
}

fn plain(text: &str) -> String {
    text.trim().to_lowercase().replace([' ', '_'], "")
}

/// The sum of numbers with units; one number without a unit has `unit`.
fn sum(text: &str, units: &[(&[&str], f64)], unit: f64) -> Option<u64> {
    let (mut rest, mut total) = (text, 0.0);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let count: f64 = rest[..digits].parse().ok()?;
        let word = rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |at| digits + at);
        let scaled = if digits == word && text.len() == digits { unit } else { scale(&rest[digits..word], units)? };
        total += count * scaled;
        rest = &rest[word..];
    }
    (total.fract() == 0.0 && (1.0..EXACT_MAX).contains(&total)).then_some(total as u64)
}

fn scale(word: &str, units: &[(&[&str], f64)]) -> Option<f64> {
    units.iter().find(|(words, _)| words.contains(&word)).map(|(_, scale)| *scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(suggest: impl Fn(&str) -> Option<String>, cases: &[(&str, &str)]) {
        for (written, meant) in cases {
            let expected = Some(*meant).filter(|meant| !meant.is_empty()).map(str::to_owned);
            assert_eq!(suggest(written), expected, "{written}");
        }
    }

    #[test]
    fn values_of_other_notations_become_ours() {
        check(
            duration,
            &[
                ("30 sec", "30s"),
                ("1.5h", "90m"),
                ("1h30m", "90m"),
                ("PT5M", "5m"),
                ("P30D", "30d"),
                ("10", "10s"),
                ("2w", "14d"),
                ("5 Minutes", "5m"),
                ("500MS", "500ms"),
                ("soon", ""),
                ("0", ""),
                ("", ""),
                ("1e30h", ""),
                ("-5s", ""),
            ],
        );
        check(
            size,
            &[
                ("200 mb", "200MB"),
                ("1.5 GiB", "1536MiB"),
                ("4096", "4KiB"),
                ("64k", "64KB"),
                ("1TB", "1000GB"),
                ("10 bytes", "10B"),
                ("big", ""),
            ],
        );
        check(
            rate,
            &[
                ("50/sec", "50/s"),
                ("50 per second", "50/s"),
                ("50 rps", "50/s"),
                ("50", "50/s"),
                ("0.5/s", "30/m"),
                ("50/10s", "5/s"),
                ("10 requests per minute", "10/m"),
                ("1000/week", ""),
                ("7/w", "1/d"),
                ("fast", ""),
                ("/s", ""),
                ("0/s", ""),
            ],
        );
        check(
            date,
            &[
                ("2027/3/1", "2027-03-01"),
                ("20270301", "2027-03-01"),
                ("01.03.2027", "2027-03-01"),
                ("2027-02-30", "2027-02-28"),
                ("2027-03-01T00:00:00Z", "2027-03-01"),
                ("03/01/2027", ""),
                ("2027-13-01", ""),
                ("someday", ""),
            ],
        );
        check(id, &[("ACME Analytics", "acme-analytics"), ("a_b", "a-b"), ("-x-", "x"), ("é", ""), ("", "")]);
        check(
            integer,
            &[
                ("1_000", "1000"),
                ("1,000", "1000"),
                ("5k", "5000"),
                ("1e3", "1000"),
                ("2.5", ""),
                ("many", ""),
                ("0", ""),
            ],
        );
    }

    #[test]
    fn names_paths_and_addresses_of_other_notations_become_ours() {
        check(
            field,
            &[("customers[].email", "$.customers[*].email"), ("$customers.id", "$.customers.id"), ("a/b", "$.a.b")],
        );
        check(header, &[("X Customer:", "x-customer"), ("X_Id", "x-id"), ("é", "")]);
        check(name, &[("Alice Smith", "Alice-Smith"), ("!", "")]);
        check(
            url,
            &[
                ("crm.internal:9000", "http://crm.internal:9000"),
                ("api.example.com:443/v1", "https://api.example.com:443/v1"),
                ("ftp://x", ""),
                ("", ""),
            ],
        );
    }

    #[test]
    fn captures_of_other_products_become_ours() {
        check(
            route,
            &[
                ("get /v1/customers/:id", "GET /v1/customers/{id}"),
                ("GET /v1/customers/<id>", "GET /v1/customers/{id}"),
                ("GET /v1/customers/<int:id>/orders", "GET /v1/customers/{id}/orders"),
                ("GET /v1/[id]", "GET /v1/{id}"),
                ("GET /v1/{id:[0-9]+}", "GET /v1/{id}"),
                ("GET /v1/{customer-id}", "GET /v1/{customer_id}"),
                ("GET /v1/files/**", "GET /v1/files/{*rest}"),
                ("GET /v1/files/<path:name>", "GET /v1/files/{*name}"),
                ("/v1/orders", "GET /v1/orders"),
                ("GET,POST /v1/orders?page=1", "GET|POST /v1/orders"),
                ("GET https://api.example.com/v1//orders", "GET /v1/orders"),
                ("orders", ""),
            ],
        );
    }
}

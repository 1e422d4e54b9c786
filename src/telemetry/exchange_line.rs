//! The log line of one exchange.
//!
//! It is written by hand into a buffer, since each request makes one. It holds names from the config and numbers; never
//! a raw path, query, header, token or body, and never a method that a stranger made up.

use std::net::SocketAddr;

use crate::model::{Direction, Reason, ReasonSet, UnixTime, is_printable, push_escape, words};

use super::log::LogFormat;

/// What is written about one exchange. Borrowed, and never kept.
#[derive(Debug, Clone, Copy)]
pub struct ExchangeLine<'a> {
    /// When its head was read.
    pub at: UnixTime,
    /// The id in the answer to the caller.
    pub request_id: &'a str,
    /// The direction of the exchange.
    pub direction: Direction,
    /// The vendor whose contract decided; `None` where no contract applied.
    pub vendor: Option<&'a str>,
    /// The client within the vendor, once it was proven.
    pub client: Option<&'a str>,
    /// The address of the caller; only for an exchange that was refused or broke off.
    pub peer: Option<SocketAddr>,
    /// The method as it was sent. One that HTTP does not define is written as `_OTHER`.
    pub method: &'a str,
    /// The path pattern of the matched route, never the path itself.
    pub route: Option<&'a str>,
    /// The upstream's name in the config.
    pub upstream: Option<&'a str>,
    /// The status that the caller was sent; 0 when the exchange ended before one was.
    pub status: u16,
    /// Why it was refused or cut short.
    pub reason: Option<Reason>,
    /// How it ended, where the caller did not get the whole answer.
    pub ended: Option<EarlyEnd>,
    /// What exactly went wrong, with the upstream's error where there was one.
    pub cause: Option<&'a str>,
    /// What the contract would have refused it for, where it only observes.
    pub would_deny: ReasonSet,
    /// Records that left.
    pub records: u64,
    /// Whether a body of it was not of the shape that the contract's records describe.
    pub shape_unexpected: bool,
    /// Body bytes read from the caller.
    pub bytes_in: u64,
    /// Body bytes sent to the caller.
    pub bytes_out: u64,
    /// Microseconds from the head to the last byte.
    pub duration_us: u64,
    /// Microseconds spent in the gateway itself.
    pub overhead_us: u64,
}

words! {
    /// How an exchange ended before its answer's last byte.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum EarlyEnd {
        /// The gateway cut it, or the upstream did.
        BrokenOff = "broken_off",
        /// The caller closed the connection, or its stream.
        CallerLeft = "caller_left",
        /// The gateway stopped, and the exchange was still under way at the end of the drain.
        GatewayStopped = "gateway_stopped",
    }
}

/// The formatted second of the last line: most lines of a busy gateway are in the same second.
#[derive(Debug, Default)]
pub(super) struct TimestampCache {
    second: u64,
    text: String,
}

impl ExchangeLine<'_> {
    /// Appends the line and its line feed.
    pub(super) fn write(&self, format: LogFormat, stamp: &mut TimestampCache, out: &mut Vec<u8>) {
        match format {
            LogFormat::Json => self.json(stamp, out),
            LogFormat::Human => self.human(stamp, out),
        }
        out.push(b'\n');
    }

    fn json(&self, stamp: &mut TimestampCache, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"time\":\"");
        stamp.push(self.at, out);
        out.extend_from_slice(b"\",\"target\":\"exchange\"");
        let words = [
            ("request_id", Some(self.request_id)),
            ("direction", Some(self.direction.as_str())),
            ("vendor", self.vendor),
            ("client", self.client),
            ("method", Some(known_method(self.method))),
            ("route", self.route),
            ("upstream", self.upstream),
            ("reason", self.reason.map(Reason::as_str)),
            ("ended", self.ended.map(EarlyEnd::as_str)),
            ("cause", self.cause),
        ];
        for (key, word) in words {
            if let Some(word) = word {
                push_key(key, out);
                push_quoted(word, out);
            }
        }
        if let Some(peer) = self.peer {
            push_key("peer", out);
            push_quoted(&peer.to_string(), out);
        }
        let numbers = [
            ("status", u64::from(self.status)),
            ("records", self.records),
            ("bytes_in", self.bytes_in),
            ("bytes_out", self.bytes_out),
            ("duration_us", self.duration_us),
            ("overhead_us", self.overhead_us),
        ];
        for (key, number) in numbers {
            push_key(key, out);
            push_number(number, out);
        }
        if self.shape_unexpected {
            out.extend_from_slice(b",\"shape_unexpected\":true");
        }
        if !self.would_deny.is_empty() {
            push_key("would_deny", out);
            push_reasons(self.would_deny, (b"[\"", b"\",\"", b"\"]"), out);
        }
        out.push(b'}');
    }

    fn human(&self, stamp: &mut TimestampCache, out: &mut Vec<u8>) {
        stamp.push(self.at, out);
        out.push(b' ');
        push_number(u64::from(self.status), out);
        let words = [
            self.vendor.unwrap_or("-"),
            self.direction.as_str(),
            known_method(self.method),
            self.route.unwrap_or("-"),
            self.reason.map(Reason::as_str).or(self.ended.map(EarlyEnd::as_str)).unwrap_or("ok"),
        ];
        for word in words {
            out.push(b' ');
            push_plain(word, out);
        }
        let numbers = [
            (" records=", self.records),
            (" in=", self.bytes_in),
            (" out=", self.bytes_out),
            (" us=", self.duration_us),
            (" own_us=", self.overhead_us),
        ];
        for (key, number) in numbers {
            out.extend_from_slice(key.as_bytes());
            push_number(number, out);
        }
        for (key, word) in [(" client=", self.client), (" upstream=", self.upstream), (" id=", Some(self.request_id))] {
            if let Some(word) = word {
                out.extend_from_slice(key.as_bytes());
                push_plain(word, out);
            }
        }
        if let Some(peer) = self.peer {
            out.extend_from_slice(format!(" peer={peer}").as_bytes());
        }
        if !self.would_deny.is_empty() {
            push_reasons(self.would_deny, (b" would_deny=", b",", b""), out);
        }
        if let Some(cause) = self.cause {
            out.extend_from_slice(b" cause=");
            push_quoted(cause, out);
        }
    }
}

/// The words of reasons, with what stands before, between and behind them.
fn push_reasons(reasons: ReasonSet, (before, between, behind): (&[u8], &[u8], &[u8]), out: &mut Vec<u8>) {
    for (at, reason) in reasons.iter().enumerate() {
        out.extend_from_slice(if at == 0 { before } else { between });
        out.extend_from_slice(reason.as_str().as_bytes());
    }
    out.extend_from_slice(behind);
}

impl TimestampCache {
    /// RFC 3339 in UTC with milliseconds.
    fn push(&mut self, at: UnixTime, out: &mut Vec<u8>) {
        if self.text.is_empty() || self.second != at.as_secs() {
            self.second = at.as_secs();
            self.text = UnixTime::from_secs(self.second).to_string();
            // The cached text ends with the point; the milliseconds are written each time.
            self.text.truncate(self.text.len().saturating_sub("000Z".len()));
        }
        out.extend_from_slice(self.text.as_bytes());
        let millis = (at.as_millis() % 1000) as u16;
        out.extend([millis / 100, millis / 10 % 10, millis % 10].map(|digit| b'0' + digit as u8));
        out.push(b'Z');
    }
}

pub(super) fn known_method(method: &str) -> &str {
    const KNOWN: [&str; 9] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT"];
    if KNOWN.contains(&method) { method } else { "_OTHER" }
}

fn push_key(key: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(b"\":");
}

fn push_number(mut number: u64, out: &mut Vec<u8>) {
    let mut digits = [0_u8; 20];
    let mut start = digits.len();
    for place in digits.iter_mut().rev() {
        *place = b'0' + (number % 10) as u8;
        start -= 1;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(start..).unwrap_or_default());
}

/// A JSON string (RFC 8259 section 7) in which everything that a terminal would act on is escaped.
fn push_quoted(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let plain = |byte: &u8| matches!(byte, b' '..=b'~') && *byte != b'"' && *byte != b'\\';
    if text.as_bytes().iter().all(plain) {
        out.extend_from_slice(text.as_bytes());
    } else {
        let mut quoted = String::with_capacity(text.len() + 16);
        for symbol in text.chars() {
            match symbol {
                '"' | '\\' => quoted.extend(['\\', symbol]),
                _ if is_printable(symbol) => quoted.push(symbol),
                _ => push_escape(symbol, &mut quoted),
            }
        }
        out.extend_from_slice(quoted.as_bytes());
    }
    out.push(b'"');
}

/// Text for a column on a terminal: control characters, marks of direction and spaces become `_`.
fn push_plain(text: &str, out: &mut Vec<u8>) {
    if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    let mut utf8 = [0; 4];
    for symbol in text.chars() {
        let safe = if symbol == ' ' || !is_printable(symbol) { '_' } else { symbol };
        out.extend_from_slice(safe.encode_utf8(&mut utf8).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line<'a>() -> ExchangeLine<'a> {
        ExchangeLine {
            shape_unexpected: false,
            at: UnixTime::from_millis(1_000_007),
            request_id: "0af7",
            direction: Direction::Ingress,
            vendor: Some("acme"),
            client: Some("acme-batch"),
            peer: None,
            method: "GET",
            route: Some("/v1/customers/{id}"),
            upstream: Some("crm"),
            status: 200,
            reason: None,
            ended: None,
            cause: None,
            would_deny: ReasonSet::default(),
            records: 12,
            bytes_in: 0,
            bytes_out: 18_446_744_073_709_551_615,
            duration_us: 1_203,
            overhead_us: 9,
        }
    }

    fn written(line: &ExchangeLine<'_>, format: LogFormat) -> String {
        let mut out = Vec::new();
        line.write(format, &mut TimestampCache::default(), &mut out);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn a_line_has_the_documented_form() {
        assert_eq!(
            written(&line(), LogFormat::Json),
            "{\"time\":\"1970-01-01T00:16:40.007Z\",\"target\":\"exchange\",\"request_id\":\"0af7\",\
             \"direction\":\"ingress\",\"vendor\":\"acme\",\"client\":\"acme-batch\",\"method\":\"GET\",\
             \"route\":\"/v1/customers/{id}\",\"upstream\":\"crm\",\"status\":200,\"records\":12,\"bytes_in\":0,\
             \"bytes_out\":18446744073709551615,\"duration_us\":1203,\"overhead_us\":9}\n"
        );
        let denied = ExchangeLine { vendor: None, client: None, route: None, upstream: None, status: 403, ..line() };
        let peer = Some(SocketAddr::from(([10, 0, 0, 7], 4711)));
        let cause = Some("no \"such\"\n vendor");
        let denied =
            ExchangeLine { reason: Some(Reason::VendorUnknown), method: "EVIL\u{1b}[2J", peer, cause, ..denied };
        assert_eq!(
            written(&denied, LogFormat::Human),
            "1970-01-01T00:16:40.007Z 403 - ingress _OTHER - vendor_unknown records=12 in=0 \
             out=18446744073709551615 us=1203 own_us=9 id=0af7 peer=10.0.0.7:4711 cause=\"no \\\"such\\\"\\u000a vendor\"\n"
        );
    }

    #[test]
    fn what_would_have_been_refused_is_in_the_line() {
        let mut would_deny = ReasonSet::default();
        [Reason::RateLimited, Reason::ScopeMissing].into_iter().for_each(|reason| would_deny.insert(reason));
        let observed = ExchangeLine { would_deny, ..line() };
        let json = written(&observed, LogFormat::Json);
        assert!(json.ends_with("\"overhead_us\":9,\"would_deny\":[\"scope_missing\",\"rate_limited\"]}\n"), "{json}");
        let human = written(&observed, LogFormat::Human);
        assert!(human.ends_with(" would_deny=scope_missing,rate_limited\n"), "{human}");
    }

    #[test]
    fn the_cached_second_is_replaced_when_time_moves() {
        let (mut stamp, mut out) = (TimestampCache::default(), Vec::new());
        for millis in [0, 999, 1_000, 61_001, 0] {
            stamp.push(UnixTime::from_millis(millis), &mut out);
        }
        let all = "00:00:00.000Z 00:00:00.999Z 00:00:01.000Z 00:01:01.001Z 00:00:00.000Z";
        let expected: String = all.split(' ').map(|time| format!("1970-01-01T{time}")).collect();
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    proptest! {
        /// Whatever a name holds, the line is one line, valid JSON, and says that name.
        #[test]
        fn any_text_stays_one_json_line(name in any::<String>(), id in "\\PC*", number in any::<u64>()) {
            let wild = ExchangeLine { client: Some(&name), request_id: &id, records: number, ..line() };
            let json = written(&wild, LogFormat::Json);
            prop_assert!(json.ends_with('\n') && json.chars().filter(|symbol| !is_printable(*symbol)).count() == 1);
            let value: serde_json::Value = serde_json::from_str(&json).expect("JSON");
            prop_assert_eq!(value["client"].as_str(), Some(name.as_str()));
            prop_assert_eq!(value["records"].as_u64(), Some(number));
            let human = written(&wild, LogFormat::Human);
            prop_assert!(human.ends_with('\n') && human.chars().filter(|symbol| !is_printable(*symbol)).count() == 1);
        }
    }
}

//! From a path to its pattern: what looks like data becomes a capture.
//!
//! What follows a plural, a word for a person or a word for a look-up is taken for a value, unless it is a word that
//! APIs use for an action. A value that stands elsewhere and looks like a word of an API cannot be told from one, and
//! is kept until the table of patterns has seen that there are many.

use crate::bounds::OBSERVED_SEGMENTS_MAX;

/// Words of APIs that follow a plural and name no member of it.
const ACTIONS: [&str; 18] = [
    "search", "query", "bulk", "batch", "export", "import", "count", "me", "self", "current", "list", "new", "latest",
    "stats", "status", "history", "health", "callback",
];

/// Words for a person or a look-up, behind which a path names somebody.
const PERSONS: [&str; 20] = [
    "user",
    "customer",
    "person",
    "account",
    "member",
    "employee",
    "patient",
    "contact",
    "client",
    "subscriber",
    "profile",
    "people",
    "search",
    "query",
    "lookup",
    "find",
    "name",
    "email",
    "username",
    "login",
];

/// The pattern of a canonical path, such as `/v1/customers/{id}`.
pub(super) fn pattern_of(path: &str) -> String {
    let mut pattern = String::with_capacity(path.len());
    let mut captures = 0;
    let mut before = "";
    for (at, segment) in path.strip_prefix('/').unwrap_or(path).split('/').enumerate() {
        pattern.push('/');
        if at + 1 == OBSERVED_SEGMENTS_MAX {
            pattern.push_str("{*rest}");
            break;
        }
        if segment.is_empty() {
            continue;
        }
        if is_word(segment) && !names_a_member(before, segment) {
            pattern.push_str(segment);
            before = segment;
        } else {
            captures += 1;
            pattern.push_str(&if captures == 1 { "{id}".to_owned() } else { format!("{{id{captures}}}") });
            before = "";
        }
    }
    pattern
}

/// Whether a name of a parameter or header looks like a name, and not like data that is used as one.
pub(super) fn is_name(text: &str) -> bool {
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'[' | b']' | b'$');
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    (1..=48).contains(&text.len()) && text.bytes().all(good) && digits < 4 && digits < text.len()
}

/// A word of an API: letters with `-`, `_` or `.` between, and at most two digits, as in `v2` and `oauth2`. What has
/// many capitals among small letters is a token.
fn is_word(segment: &str) -> bool {
    let count = |is: fn(&u8) -> bool| segment.bytes().filter(is).count();
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let begins = segment.bytes().next().is_some_and(|b| b.is_ascii_alphabetic());
    let parts = segment.split(['-', '_', '.']);
    let is_short = parts.clone().count() <= 4 && parts.clone().all(|part| part.len() <= 20);
    let is_mixed = count(u8::is_ascii_uppercase) > 3 && count(u8::is_ascii_lowercase) > 0;
    begins && is_short && !is_mixed && count(u8::is_ascii_digit) <= 2 && segment.bytes().all(good)
}

fn names_a_member(before: &str, segment: &str) -> bool {
    let is = |words: &[&str], text: &str| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    let lower = before.to_ascii_lowercase();
    let is_plural = lower.len() > 3 && lower.ends_with('s') && !lower.ends_with("ss");
    (is_plural || is(&PERSONS, before)) && !is(&ACTIONS, segment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_data_is_a_capture() {
        for (path, pattern) in [
            ("/", "/"),
            ("/v1/customers", "/v1/customers"),
            ("/v1/customers/17", "/v1/customers/{id}"),
            ("/v1/customers/ann", "/v1/customers/{id}"),
            ("/V1/CUSTOMERS/SMITH", "/V1/CUSTOMERS/{id}"),
            ("/v1/customers/search", "/v1/customers/search"),
            ("/v1/customers/17/orders/a1b2c3d4e5", "/v1/customers/{id}/orders/{id2}"),
            ("/v1/user/ann", "/v1/user/{id}"),
            ("/v1/ann%40example.com/x", "/v1/{id}/x"),
            ("/v1/ann@example.com", "/v1/{id}"),
            ("/f47ac10b-58cc-4372-a567-0e02b2c3d479", "/{id}"),
            ("/v1/2026-01-01/report", "/v1/{id}/report"),
            ("/v1/deadbeefdeadbeefdeadbeefdeadbeefdead", "/v1/{id}"),
            ("/a/", "/a/"),
            ("/v1/address/main", "/v1/address/main"),
            ("/v1/users/james", "/v1/users/{id}"),
            ("/v1/users/james/contacts/ann", "/v1/users/{id}/contacts/{id2}"),
            ("/v1/users/search/ann", "/v1/users/search/{id}"),
            ("/v1/tok/aXbYcZdWe", "/v1/tok/{id}"),
            ("/v1/customerOrders", "/v1/customerOrders"),
        ] {
            assert_eq!(pattern_of(path), pattern, "{path}");
        }
        assert_eq!(pattern_of(&"/a".repeat(40)).matches('/').count(), OBSERVED_SEGMENTS_MAX);
    }

    #[test]
    fn a_name_that_is_data_is_no_name() {
        assert!(["page", "x-tenant", "filter[name]", "utm_source", "v2"].into_iter().all(is_name));
        assert!(!["", "ann@example.com", "4111111111111111", "12", "a=b"].into_iter().any(is_name));
    }
}

//! Keeps secrets out of faults: those that were written in the place of a file's name, and values from the environment.
//!
//! A config names the files that hold secrets. Some people paste the secret itself, and the fault then appears in a
//! build log that many others can read. So every text of a fault is redacted here. A value that only looks like a
//! secret is hidden too: the fault names its line, where it can be looked up.

use super::tree::{YamlNode, YamlValue};
use crate::pii::{Detector, PiiKind};

/// Printed in the place of a hidden value.
pub(super) const HIDDEN: &str = "a value not shown here";

/// A key whose name holds one of these words has a secret value, unless the name ends as in [`NAMES_A_PLACE`].
const NAMES: [&str; 9] =
    ["secret", "passw", "passphrase", "token", "credential", "private", "api_key", "apikey", "master"];
const NAMES_A_PLACE: [&str; 4] = ["_file", "_url", "_prefix", "_header"];
/// Shortest text that is hidden. A shorter one is part of too many ordinary words to be replaced in a message.
const CHARS_MIN: usize = 6;
/// Shortest text under the key of a secret's file that is taken for the secret itself.
const PASTED_CHARS_MIN: usize = 8;

/// Every text of a tree that must not be printed, with its replacement.
pub(super) fn hidden_texts(root: &YamlNode) -> Vec<(String, String)> {
    let mut found = Vec::new();
    collect(root, "", &mut found);
    // Longest first, so that a text is replaced before a shorter one that it contains.
    found.sort_by_key(|(text, _): &(String, String)| std::cmp::Reverse(text.len()));
    found
}

/// Replaces the hidden texts of a message.
pub(super) fn redact(hidden: &[(String, String)], message: &str) -> String {
    hidden.iter().fold(message.to_owned(), |message, (text, stand_in)| message.replace(text.as_str(), stand_in))
}

/// Whether a line of a file may be printed below a fault.
pub(super) fn is_line_shown(line: &str) -> bool {
    let mut keys = line.split(['{', ',', ' ', '\t', '-', '"', '\'']).filter_map(|word| word.strip_suffix(':'));
    !keys.any(names_secret) && !words(line).any(is_secret) && !holds_password(line)
}

/// Whether a text is, or may be, a secret.
pub(super) fn is_secret(text: &str) -> bool {
    let mut found = false;
    Detector::new([PiiKind::Key, PiiKind::Jwt]).scan(text.as_bytes(), |_| found = true);
    found || holds_password(text) || text.starts_with("whsec_") || is_random(text)
}

fn collect(node: &YamlNode, key: &str, found: &mut Vec<(String, String)>) {
    match &node.value {
        YamlValue::FromEnvironment { text, written } if text.len() >= CHARS_MIN => {
            found.push((text.clone(), written.clone()))
        }
        YamlValue::Text(text)
            if text.len() >= CHARS_MIN && (names_secret(key) || is_secret(text)) && !is_path(text) =>
        {
            found.push((text.clone(), HIDDEN.to_owned()));
        }
        // A text without '/' or '.' may be the secret itself; a short one is more likely a file's name.
        YamlValue::Text(text) if text.len() >= PASTED_CHARS_MIN && names_secret_file(key) && !is_path(text) => {
            found.push((text.clone(), HIDDEN.to_owned()));
        }
        YamlValue::List(items) => items.iter().for_each(|item| collect(item, key, found)),
        YamlValue::Map(entries) => entries.iter().for_each(|(key, value)| collect(value, &key.text, found)),
        YamlValue::Text(_)
        | YamlValue::FromEnvironment { .. }
        | YamlValue::Null
        | YamlValue::Boolean(_)
        | YamlValue::Integer(_)
        | YamlValue::Float(_) => {}
    }
}

fn names_secret_file(key: &str) -> bool {
    key.ends_with("secret_file") || key == "key"
}

fn names_secret(key: &str) -> bool {
    let key = key.to_lowercase().replace('-', "_");
    NAMES.iter().any(|name| key.contains(name)) && !NAMES_A_PLACE.iter().any(|end| key.ends_with(end))
}

/// Whether a text is the path of a file, or names an environment variable as `keys.master` does.
fn is_path(text: &str) -> bool {
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '-' | '_' | ':' | '~'));
    plain && (text.contains('/') || text.contains('.') || text.starts_with("env:")) && !words(text).any(is_secret)
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split([' ', '\t', '"', '\'', ',', '{', '}', '[', ']', ':', '/'])
}

/// Whether a word looks like random bytes in hexadecimal or base64: long, with letters and digits mixed.
fn is_random(word: &str) -> bool {
    const LENGTH_MIN: usize = 20;
    let class = |c: char| match c {
        'a'..='z' => 1,
        'A'..='Z' => 2,
        '0'..='9' => 3,
        '+' | '/' | '=' | '_' | '-' => 4,
        _ => 0,
    };
    let classes: Vec<u8> = word.chars().map(class).collect();
    let hex = word.len() >= 32 && word.bytes().all(|b| b.is_ascii_hexdigit());
    let turns = classes.windows(2).filter(|pair| pair[0] != pair[1]).count();
    let letters_and_digits = classes.contains(&3) && (classes.contains(&1) || classes.contains(&2));
    hex || (word.len() >= LENGTH_MIN && !classes.contains(&0) && letters_and_digits && turns * 4 >= classes.len())
}

/// Whether a text holds a URL with user information, which may be a password.
fn holds_password(text: &str) -> bool {
    let authority = text.split("://").nth(1).and_then(|rest| rest.split(['/', '?', '#', '"', '\'']).next());
    authority.is_some_and(|authority| authority.contains('@'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tree::parse;

    #[test]
    fn a_text_that_looks_like_a_secret_is_hidden_and_the_name_of_a_file_is_not() {
        for secret in [
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "sk_live_4eC39HqLyjWDarjtT1zdp7dc",
            "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=",
            "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "https://ann:hunter2@id.example.com/jwks",
            "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJhIn0.c2lnbmF0dXJl",
            "AKIAIOSFODNN7EXAMPLE",
        ] {
            assert!(is_secret(secret), "{secret}");
            assert!(!is_line_shown(&format!("  secret_file: {secret}")), "{secret}");
        }
        for plain in [
            "secrets/acme-webhook",
            "../keys/northbank.jwks.json",
            "customers:read",
            "https://id.example.com/realms/partners/protocol/openid-connect/certs",
            "GET /v1/customers/{id}/payment-methods",
            "northbank-payments-settlement-batch",
            "/var/lib/vendorgate/keys/master.key",
        ] {
            assert!(!is_secret(plain) && is_line_shown(&format!("  url: {plain}")), "{plain}");
        }
    }

    #[test]
    fn a_secret_under_any_key_is_taken_out_of_every_message() {
        let text = "keys: { master: correct horse }\nidentity:\n  webhook: { secret_file: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2La }\n\
            credentials: { client_secret: hunter22, password: [tr0ub4dor] }\nowner: growth@example.com\n";
        let hidden = hidden_texts(&parse(text).expect("yaml"));
        let message = redact(&hidden, text);
        for secret in ["horse", "whsec", "hunter22", "tr0ub4dor"] {
            assert!(!message.contains(secret), "{message}");
        }
        assert!(message.contains("growth@example.com"), "{message}");
        for line in text.lines().filter(|line| !line.starts_with("owner") && *line != "identity:") {
            assert!(!is_line_shown(line), "{line}");
        }
    }
}

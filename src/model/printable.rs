//! Makes text that strangers chose safe for terminals: nothing in it moves the cursor, ends a line or changes its
//! direction.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Whether a terminal prints a character as it is: no control, no mark of direction, no blank but the space.
pub fn is_printable(symbol: char) -> bool {
    matches!(symbol, ' '..='~') || (!symbol.is_ascii() && symbol.escape_debug().len() == 1)
}

/// Escapes each character that is not printable as JSON does; line feeds and tabs stay. A JSON document keeps its
/// meaning (RFC 8259 section 7).
pub fn escape_unprintable(text: &str) -> Cow<'_, str> {
    let stays = |symbol: char| is_printable(symbol) || matches!(symbol, '\n' | '\t');
    if text.chars().all(stays) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for symbol in text.chars() {
        if stays(symbol) {
            escaped.push(symbol);
        } else {
            push_escape(symbol, &mut escaped);
        }
    }
    Cow::Owned(escaped)
}

/// Appends a character as JSON escapes it: `\u` and four digits, twice where it takes two units of UTF-16.
pub fn push_escape(symbol: char, out: &mut String) {
    for unit in symbol.encode_utf16(&mut [0; 2]) {
        // Writing to memory cannot fail.
        let _ = write!(out, "\\u{unit:04x}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn characters_that_act_on_a_terminal_are_escaped_and_others_are_not() {
        let acts = "\u{0}\u{7}\u{8}\r\u{1b}\u{7f}\u{80}\u{85}\u{9b}\u{ad}\u{61c}\u{180e}\u{200b}\u{200e}\u{200f}\u{2028}\
                    \u{2029}\u{202a}\u{202e}\u{2060}\u{2066}\u{2069}\u{feff}\u{fff9}\u{e0001}\u{e007f}";
        for symbol in acts.chars() {
            assert!(!is_printable(symbol), "{symbol:?}");
        }
        assert_eq!(escape_unprintable("a\u{9b}2J\u{202e}\u{e0001}\r\n"), "a\\u009b2J\\u202e\\udb40\\udc01\\u000d\n");
        assert!(matches!(escape_unprintable("Zoë 社 \u{1f600}\n"), Cow::Borrowed(_)));
    }

    proptest! {
        #[test]
        fn an_escaped_json_document_has_the_same_meaning(name in any::<String>()) {
            let json = serde_json::json!({ "name": name, "list": [name] });
            for text in [json.to_string(), serde_json::to_string_pretty(&json).expect("JSON")] {
                let escaped = escape_unprintable(&text);
                prop_assert!(escaped.chars().all(|symbol| is_printable(symbol) || symbol == '\n'));
                prop_assert_eq!(&serde_json::from_str::<serde_json::Value>(&escaped).expect("JSON"), &json);
            }
        }
    }
}

//! Prints an error with its causes. Our error types print their own level only, so the chain is added here, once.

use std::error::Error;

/// `what: from what: from what`, the outermost level first.
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut below = error.source();
    while let Some(cause) = below {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        below = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn every_level_is_printed_once() {
        assert_eq!(with_causes(&Outer(std::io::Error::other("inner"))), "outer: inner");
    }
}

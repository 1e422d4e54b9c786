//! Places in the engine's stream: a time and a number, which only grow.

use std::fmt;

/// A place in the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct StreamId {
    ms: u64,
    number: u64,
}

impl StreamId {
    /// Parses `1526919030474-55`.
    pub fn parse(text: &str) -> Option<Self> {
        let (ms, number) = text.split_once('-')?;
        Some(Self { ms: ms.parse().ok()?, number: number.parse().ok()? })
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_compared_as_numbers() {
        let parse = |text: &str| StreamId::parse(text).unwrap();
        assert!(parse("9-1") < parse("10-0") && parse("10-9") < parse("10-10"));
        assert_eq!(parse("10-9").to_string(), "10-9");
        assert!(["", "1", "1-", "-1", "a-1", "1-1-1"].iter().all(|bad| StreamId::parse(bad).is_none()));
    }
}

//! The form of one parameter: its type, a pattern, a length.

use std::fmt;

use super::ParameterPattern;
use crate::bounds::PARAMETER_BYTES_MAX;

/// What a parameter must be. Whether it comes at all is not asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterForm {
    /// The type of its text.
    pub kind: ParameterType,
    /// What the whole text must match.
    pub pattern: Option<ParameterPattern>,
    /// Most characters.
    pub max_length: Option<usize>,
}

/// The type of a parameter's text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ParameterType {
    /// Any text.
    #[default]
    String,
    /// A whole number of at most 18 digits, perhaps behind a minus.
    Integer,
    /// A decimal number of at most 32 characters.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A UUID in its usual form (RFC 9562 section 4).
    Uuid,
    /// A day, as in `2026-01-31`.
    Date,
}

impl ParameterForm {
    /// Checks a decoded text.
    ///
    /// # Errors
    /// What is wrong, in words that hold nothing of the text.
    pub(super) fn check(&self, text: &str) -> Result<(), &'static str> {
        if text.len() > PARAMETER_BYTES_MAX || self.max_length.is_some_and(|most| text.chars().count() > most) {
            return Err("is too long");
        }
        if !self.kind.is_form_of(text) {
            return Err("is not of its type");
        }
        match &self.pattern {
            Some(pattern) if !pattern.matches(text) => Err("does not match its pattern"),
            Some(_) | None => Ok(()),
        }
    }
}

impl ParameterForm {
    /// Whether every text of this form is of the other one too. Says no where it cannot tell.
    pub fn is_within(&self, other: &Self) -> bool {
        let kind = match other.kind {
            ParameterType::String => true,
            ParameterType::Number => matches!(self.kind, ParameterType::Number | ParameterType::Integer),
            ParameterType::Integer | ParameterType::Boolean | ParameterType::Uuid | ParameterType::Date => {
                self.kind == other.kind
            }
        };
        let length = other.max_length.is_none_or(|most| self.max_length.is_some_and(|own| own <= most));
        kind && length && (other.pattern.is_none() || self.pattern == other.pattern)
    }
}

impl fmt::Display for ParameterForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.as_str())?;
        if let Some(pattern) = &self.pattern {
            write!(f, ", pattern {pattern}")?;
        }
        self.max_length.map_or(Ok(()), |most| write!(f, ", max_length {most}"))
    }
}

impl ParameterType {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Uuid => "uuid",
            Self::Date => "date",
        }
    }

    fn is_form_of(self, text: &str) -> bool {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        match self {
            Self::String => true,
            Self::Integer => digits(unsigned) && unsigned.len() <= 18,
            Self::Number => {
                let (whole, part) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
                text.len() <= 32 && digits(whole) && digits(part)
            }
            Self::Boolean => matches!(text, "true" | "false"),
            Self::Uuid => {
                let parts: Vec<&str> = text.split('-').collect();
                parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12])
                    && parts.iter().all(|part| part.bytes().all(|b| b.is_ascii_hexdigit()))
            }
            Self::Date => {
                let parts: Vec<&str> = text.split('-').collect();
                let within = |text: &str, most: u8| text.parse().is_ok_and(|number: u8| (1..=most).contains(&number));
                parts.iter().map(|part| part.len()).eq([4, 2, 2])
                    && parts.iter().all(|part| digits(part))
                    && within(parts[1], 12)
                    && within(parts[2], 31)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_takes_its_texts_alone() {
        for (kind, good, bad) in [
            (ParameterType::Integer, "-17", "+17"),
            (ParameterType::Integer, "0", "1234567890123456789"),
            (ParameterType::Integer, "007", "１７"),
            (ParameterType::Number, "-1.5", "1."),
            (ParameterType::Number, "10", "1e9"),
            (ParameterType::Boolean, "true", "True"),
            (ParameterType::Uuid, "F47ac10b-58cc-4372-a567-0e02b2c3d479", "f47ac10b58cc4372a5670e02b2c3d479"),
            (ParameterType::Date, "2026-01-31", "2026-13-01"),
            (ParameterType::Date, "2026-12-01", "2026-1-1"),
        ] {
            assert!(kind.is_form_of(good) && !kind.is_form_of(bad) && !kind.is_form_of(""), "{kind:?} {good} {bad}");
        }
    }

    #[test]
    fn a_narrower_form_is_within_a_wider_one() {
        let form = |kind, pattern: &str, max_length| ParameterForm {
            kind,
            pattern: (!pattern.is_empty()).then(|| ParameterPattern::parse(pattern).expect(pattern)),
            max_length,
        };
        let (text, whole) = (form(ParameterType::String, "", None), form(ParameterType::Integer, "", Some(4)));
        let number = form(ParameterType::Number, "", None);
        assert!(whole.is_within(&text) && whole.is_within(&number) && whole.is_within(&whole));
        assert!(!text.is_within(&whole) && !number.is_within(&whole));
        let (short, shorter) = (form(ParameterType::String, "a+", Some(8)), form(ParameterType::String, "a+", Some(4)));
        assert!(shorter.is_within(&short) && !short.is_within(&shorter) && !text.is_within(&short));
        assert!(!form(ParameterType::String, "b+", Some(4)).is_within(&short));
        assert_eq!(short.to_string(), "string, pattern a+, max_length 8");
    }

    #[test]
    fn a_length_is_counted_in_characters_and_bounded_in_bytes() {
        let form = ParameterForm { kind: ParameterType::String, pattern: None, max_length: Some(2) };
        assert!(form.check("äö").is_ok() && form.check("äöü").is_err());
        let free = ParameterForm { max_length: None, ..form };
        assert!(free.check(&"a".repeat(PARAMETER_BYTES_MAX + 1)).is_err());
    }
}

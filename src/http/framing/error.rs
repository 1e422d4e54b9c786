//! What can be wrong with the bytes of a message, each in words for whoever sent it.

/// Why the bytes of a message are refused (RFC 9112).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FramingError {
    /// A line ends without CR.
    BareLf,
    /// A CR without LF.
    BareCr,
    /// NUL, DEL or another control character.
    Control,
    /// A request line that is not three words with a space between them.
    RequestLine,
    /// A target with bytes that a URL cannot hold, or a fragment.
    TargetBytes,
    /// A target that is neither a path nor a URL.
    TargetForm,
    /// A version other than 1.0 and 1.1.
    Version,
    /// A status line that cannot be read.
    StatusLine,
    /// A line that begins with a space: a folded field.
    Fold,
    /// A field without a colon, or with nothing before it.
    FieldName,
    /// A space before the colon.
    SpacedName,
    /// The head has no end within its bound.
    LongHead,
    /// More fields than their bound.
    ManyFields,
    /// A length and a transfer coding.
    LengthAndCoding,
    /// A length that is repeated.
    RepeatedLength,
    /// A length that is no plain number.
    Length,
    /// A coding other than a single `chunked`.
    Coding,
    /// A coding where none may be: HTTP/1.0, or an answer without a body.
    CodingUnexpected,
    /// A length where none may be.
    LengthUnexpected,
    /// A chunk that does not begin or end as it must.
    Chunk,
    /// A 101 that nobody asked for.
    Switch,
    /// More interim answers than their bound, or a second 100.
    Interim,
    /// Bytes where no answer is awaited.
    Surplus,
}

impl FramingError {
    /// All of them.
    #[cfg(test)]
    pub const ALL: [Self; 23] = [
        Self::BareLf,
        Self::BareCr,
        Self::Control,
        Self::RequestLine,
        Self::TargetBytes,
        Self::TargetForm,
        Self::Version,
        Self::StatusLine,
        Self::Fold,
        Self::FieldName,
        Self::SpacedName,
        Self::LongHead,
        Self::ManyFields,
        Self::LengthAndCoding,
        Self::RepeatedLength,
        Self::Length,
        Self::Coding,
        Self::CodingUnexpected,
        Self::LengthUnexpected,
        Self::Chunk,
        Self::Switch,
        Self::Interim,
        Self::Surplus,
    ];

    /// What is wrong, and what to do instead.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::BareLf => "A line of the head ends in LF alone. End each line with CR LF.",
            Self::BareCr => "The head holds a CR that no LF follows. End each line with CR LF.",
            Self::Control => "The head holds a control character. Leave it out.",
            Self::RequestLine => {
                "The request line is not a method, a target and a version with one space between them."
            }
            Self::TargetBytes => {
                "The target holds a fragment (#), or bytes that a URL cannot hold. Send them percent-encoded."
            }
            Self::TargetForm => "The target has no path. Begin it with a slash.",
            Self::Version => "The HTTP version is neither 1.1 nor 1.0.",
            Self::StatusLine => "The status line is not a version, a status from 100 to 599 and a reason.",
            Self::Fold => {
                "A field line begins with a space, which continues the line before it. Send one line a field."
            }
            Self::FieldName => "A field line has no name, no colon, or a name that is no token.",
            Self::SpacedName => "A field name has a space before its colon. Leave the space out.",
            Self::LongHead => "The head is larger than its bound. Send fewer or shorter fields.",
            Self::ManyFields => "The message has more than 100 fields. Send fewer.",
            Self::LengthAndCoding => "Content-Length and Transfer-Encoding are both there. Send one of them.",
            Self::RepeatedLength => "Content-Length is there more than once. Send it once.",
            Self::Length => "Content-Length is not a plain decimal number of at most 18 digits.",
            Self::Coding => "Transfer-Encoding is something other than a single chunked.",
            Self::CodingUnexpected => "Transfer-Encoding is there where HTTP/1.1 has none.",
            Self::LengthUnexpected => "Content-Length is there where HTTP/1.1 has none.",
            Self::Chunk => "A chunk of the body does not begin with its size or end with CR LF.",
            Self::Switch => "The protocol was switched unasked.",
            Self::Interim => "There are more interim answers (1xx) than one that was asked for.",
            Self::Surplus => "Bytes came where no answer was awaited.",
        }
    }
}

impl std::fmt::Display for FramingError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.sentence())
    }
}

impl std::error::Error for FramingError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_flaw_has_a_sentence_of_its_own() {
        let sentences: std::collections::BTreeSet<_> = FramingError::ALL.iter().map(|flaw| flaw.sentence()).collect();
        assert_eq!(sentences.len(), FramingError::ALL.len());
        // They stand in JSON as they are.
        assert!(sentences.iter().all(|sentence| !sentence.contains(['"', '\\'])));
    }
}

//! What can be wrong with the bytes of a message, each with a sentence for the sender.

/// Why the bytes of a message are refused (RFC 9112).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FramingError {
    /// A line ends with LF alone.
    BareLf,
    /// A CR without an LF after it.
    BareCr,
    /// NUL, DEL or another control character.
    Control,
    /// The request line is not three words with one space between them.
    RequestLine,
    /// The target has a fragment, or bytes that a URL cannot hold.
    TargetBytes,
    /// The target is neither a path nor a URL.
    TargetForm,
    /// The version is neither 1.0 nor 1.1.
    Version,
    /// The status line cannot be read.
    StatusLine,
    /// A field line begins with a space: it continues the line before it.
    Fold,
    /// A field line has no colon, or no name before it.
    FieldName,
    /// A field name has a space before its colon.
    SpacedName,
    /// The head has no end within its bound.
    LongHead,
    /// There are more fields than [`crate::bounds::HEADERS_MAX`].
    ManyFields,
    /// Both `Content-Length` and `Transfer-Encoding` are present.
    LengthAndCoding,
    /// `Content-Length` is repeated.
    RepeatedLength,
    /// `Content-Length` is not a plain number.
    Length,
    /// `Transfer-Encoding` is not a single `chunked`.
    Coding,
    /// `Transfer-Encoding` where none is allowed: in HTTP/1.0, or in a response without a body.
    CodingUnexpected,
    /// `Content-Length` where none is allowed: in a response without a body.
    LengthUnexpected,
    /// A chunk does not begin with its size or end with CR LF.
    Chunk,
    /// A 101 response to a request that asked for no upgrade.
    Switch,
    /// A second 100, or more interim responses than their bound.
    Interim,
    /// Bytes came while no response was expected.
    Surplus,
}

impl FramingError {
    /// Every error.
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

    /// What is wrong and what to do instead, as one sentence.
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
    fn each_framing_error_has_its_own_sentence() {
        let sentences: std::collections::BTreeSet<_> = FramingError::ALL.iter().map(|error| error.sentence()).collect();
        assert_eq!(sentences.len(), FramingError::ALL.len());
        // The sentences are put into JSON without escaping.
        assert!(sentences.iter().all(|sentence| !sentence.contains(['"', '\\'])));
    }
}

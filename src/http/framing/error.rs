//! What can be wrong with the bytes of a message. Its word is one sentence for the sender: what is wrong and what to do
//! instead.

use crate::model::words;

words! {
    /// Why the bytes of a message are refused (RFC 9112).
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum FramingError {
        /// A line ends with LF alone.
        BareLf = "A line of the head ends in LF alone. End each line with CR LF.",
        /// A CR without an LF after it.
        BareCr = "The head holds a CR that no LF follows. End each line with CR LF.",
        /// NUL, DEL or another control character.
        Control = "The head holds a control character. Leave it out.",
        /// The request line is not three words with one space between them.
        RequestLine = "The request line is not a method, a target and a version with one space between them.",
        /// The target has a fragment, or bytes that a URL cannot hold.
        TargetBytes = "The target holds a fragment (#), or bytes that a URL cannot hold. Send them percent-encoded.",
        /// The target is neither a path nor a URL.
        TargetForm = "The target has no path. Begin it with a slash.",
        /// The version is neither 1.0 nor 1.1.
        Version = "The HTTP version is neither 1.1 nor 1.0.",
        /// The status line cannot be read.
        StatusLine = "The status line is not a version, a status from 100 to 599 and a reason.",
        /// A field line begins with a space: it continues the line before it.
        Fold = "A field line begins with a space, which continues the line before it. Send one line a field.",
        /// A field line has no colon, or no name before it.
        FieldName = "A field line has no name, no colon, or a name that is no token.",
        /// A field name has a space before its colon.
        SpacedName = "A field name has a space before its colon. Leave the space out.",
        /// The head has no end within its bound.
        LongHead = "The head is larger than its bound. Send fewer or shorter fields.",
        /// There are more fields than [`crate::bounds::HEADERS_MAX`].
        ManyFields = "The message has more than 100 fields. Send fewer.",
        /// Both `Content-Length` and `Transfer-Encoding` are present.
        LengthAndCoding = "Content-Length and Transfer-Encoding are both there. Send one of them.",
        /// `Content-Length` is repeated.
        RepeatedLength = "Content-Length is there more than once. Send it once.",
        /// `Content-Length` is not a plain number.
        Length = "Content-Length is not a plain decimal number of at most 18 digits.",
        /// `Transfer-Encoding` is not a single `chunked`.
        Coding = "Transfer-Encoding is something other than a single chunked.",
        /// `Transfer-Encoding` where none is allowed: in HTTP/1.0, or in a response without a body.
        CodingUnexpected = "Transfer-Encoding is there where HTTP/1.1 has none.",
        /// `Content-Length` where none is allowed: in a response without a body.
        LengthUnexpected = "Content-Length is there where HTTP/1.1 has none.",
        /// A chunk does not begin with its size or end with CR LF.
        Chunk = "A chunk of the body does not begin with its size or end with CR LF.",
        /// A 101 response to a request that asked for no upgrade.
        Switch = "The protocol was switched unasked.",
        /// A second 100, or more interim responses than their bound.
        Interim = "There are more interim answers (1xx) than one that was asked for.",
        /// Bytes came while no response was expected.
        Surplus = "Bytes came where no answer was awaited.",
    }
}

impl std::fmt::Display for FramingError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::error::Error for FramingError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_framing_error_has_its_own_sentence() {
        let sentences: std::collections::BTreeSet<_> = FramingError::ALL.iter().map(|error| error.as_str()).collect();
        assert_eq!(sentences.len(), FramingError::ALL.len());
        // The sentences are put into JSON without escaping.
        assert!(sentences.iter().all(|sentence| !sentence.contains(['"', '\\'])));
    }
}

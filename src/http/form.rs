//! Values of forms (`application/x-www-form-urlencoded`), as RFC 6749 appendix B has them.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};

/// What stands as it is; escaping more than needed is harmless.
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'*');

/// A name or a value as it stands in a form.
pub fn form_encode(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, FORM)
}

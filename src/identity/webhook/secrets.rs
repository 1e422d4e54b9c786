//! Reads the secrets of a webhook's sender from their files. No error contains any part of a secret.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

use crate::bounds::WEBHOOK_SECRET_BYTES_ADVISED;
use crate::model::Secret;

use super::recipe::WebhookSecretEncoding;
use super::signature::hex;

/// The secrets that are live now.
pub(super) type LiveSecrets = Vec<Secret<Vec<u8>>>;

/// Reads the files of the live secrets.
pub(super) fn read(contents: &[Vec<u8>], encoding: WebhookSecretEncoding) -> Result<LiveSecrets, String> {
    if contents.is_empty() {
        Err("no secret".to_owned())
    } else {
        contents.iter().map(|one| decode_secret(one, encoding)).collect()
    }
}

/// Checks a secret's file for `vendorgate check`: whether it can be used; returns a warning where the secret is too
/// short.
///
/// # Errors
/// Why it cannot be used, without any of its content.
pub fn inspect_secret(content: &[u8], encoding: WebhookSecretEncoding) -> Result<Option<String>, String> {
    let bytes = decode_secret(content, encoding)?.expose().len();
    let short = bytes < WEBHOOK_SECRET_BYTES_ADVISED;
    Ok(short
        .then(|| format!("holds a secret of {bytes} bytes: below {WEBHOOK_SECRET_BYTES_ADVISED} it can be guessed")))
}

/// The bytes of a secret out of the content of its file.
pub(crate) fn decode_secret(content: &[u8], encoding: WebhookSecretEncoding) -> Result<Secret<Vec<u8>>, String> {
    let text = content.trim_ascii_end();
    let base64 = |text: &[u8]| STANDARD.decode(text).or_else(|_| STANDARD_NO_PAD.decode(text)).ok();
    let utf8 = || std::str::from_utf8(text).ok();
    let read = match encoding {
        WebhookSecretEncoding::Raw => Ok(text.to_vec()),
        WebhookSecretEncoding::Base64 => base64(text).ok_or("the secret is not base64"),
        WebhookSecretEncoding::Hex => utf8().and_then(hex).ok_or("the secret is not hexadecimal"),
        WebhookSecretEncoding::Whsec => {
            let rest = text.strip_prefix(b"whsec_").ok_or("the secret does not start with whsec_")?;
            base64(rest).ok_or("the secret is not base64 after whsec_")
        }
    };
    let read = read?;
    if read.is_empty() { Err("the file holds no secret".to_owned()) } else { Ok(Secret::new(read)) }
}

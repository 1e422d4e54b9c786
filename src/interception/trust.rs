//! What services must trust to be intercepted: the machine's own authorities and ours, in one file.
//!
//! Most variables that name a file of authorities replace those of the machine, so the file must hold both: with ours
//! alone every call that does not go through the gateway would break.

use std::collections::HashSet;

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::CertificateDer;

use super::error::InterceptionError;
use crate::http::pem;
use crate::model::UnixTime;

/// The machine's authorities and those of `ours`, which is PEM; each once, ours first.
///
/// # Errors
/// [`InterceptionError::Content`] when `ours` holds no certificate.
pub fn merged_bundle(ours: Option<&[u8]>) -> Result<Vec<CertificateDer<'static>>, InterceptionError> {
    let mut all = ours.map(pem::certificate_chain).transpose()?.unwrap_or_default();
    all.extend(rustls_native_certs::load_native_certs().certs);
    let mut seen = HashSet::new();
    all.retain(|certificate| seen.insert(certificate.to_vec()));
    Ok(all)
}

/// Certificates as PEM, one after the other.
pub fn to_pem(certificates: &[CertificateDer<'_>]) -> String {
    let mut text = String::new();
    for certificate in certificates {
        text.push_str("-----BEGIN CERTIFICATE-----\n");
        let body = STANDARD.encode(certificate);
        // RFC 7468 section 2: lines of 64 characters.
        for line in body.as_bytes().chunks(64) {
            text.push_str(&String::from_utf8_lossy(line));
            text.push('\n');
        }
        text.push_str("-----END CERTIFICATE-----\n");
    }
    text
}

/// The same certificates as a trust store that every JDK reads without a password: a JKS file, whose layout is in
/// `sun.security.provider.JavaKeyStore`. It holds nothing secret. Its digest, which a JDK checks only where a password
/// is given, is made with the usual `changeit`.
pub fn java_trust_store(certificates: &[CertificateDer<'_>], now: UnixTime) -> Vec<u8> {
    const MAGIC: u32 = 0xFEED_FEED;
    const VERSION: u32 = 2;
    const TRUSTED_CERTIFICATE: u32 = 2;
    let mut store = Vec::new();
    for number in [MAGIC, VERSION, certificates.len() as u32] {
        store.extend(number.to_be_bytes());
    }
    for (index, certificate) in certificates.iter().enumerate() {
        store.extend(TRUSTED_CERTIFICATE.to_be_bytes());
        push_text(&mut store, &format!("vendorgate-{index}"));
        store.extend(now.as_millis().to_be_bytes());
        push_text(&mut store, "X.509");
        store.extend((certificate.len() as u32).to_be_bytes());
        store.extend_from_slice(certificate);
    }
    let mut digest = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    for unit in "changeit".encode_utf16() {
        digest.update(&unit.to_be_bytes());
    }
    digest.update(b"Mighty Aphrodite");
    digest.update(&store);
    store.extend_from_slice(digest.finish().as_ref());
    store
}

/// A text with its length before it, as Java's `DataOutput.writeUTF` has it for ASCII.
fn push_text(store: &mut Vec<u8>, text: &str) {
    store.extend((text.len() as u16).to_be_bytes());
    store.extend(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::super::{AuthorityFiles, AuthorityOrder};
    use super::*;

    #[test]
    fn a_bundle_holds_our_authority_once_and_can_be_read_again() {
        let order = AuthorityOrder { hosts: vec!["a.example".to_owned()], days: 1 };
        let ours = AuthorityFiles::generate(&order, UnixTime::from_secs(1_790_000_000)).expect("made");
        let twice = format!("{0}{0}", ours.certificate);
        let bundle = merged_bundle(Some(twice.as_bytes())).expect("merged");
        let machine = merged_bundle(None).expect("merged").len();
        assert_eq!(bundle.len(), machine + 1);
        assert_eq!(pem::certificate_chain(to_pem(&bundle).as_bytes()).expect("readable"), bundle);
        assert!(merged_bundle(Some(b"no certificate")).is_err());
    }
}

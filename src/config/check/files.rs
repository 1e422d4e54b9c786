//! Checks the files that a config names: whether they exist, who can read them, and what they hold.
//!
//! Their content is checked by the code that reads it later, and never shown. A missing secret is a fault where the
//! gateway starts, and a warning where a config is only checked, such as in a pipeline that has no keys.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::bounds::{CONFIG_FILE_BYTES_MAX, SECRET_BYTES_MAX};
use crate::config::source::Cursor;
use crate::http::pem::{self, CertificateAuthorities, PemError};
use crate::identity::inspect_keys;
use crate::pii::keys::is_open_to_others;

/// Who may be able to read a file of a secret.
#[derive(Clone, Copy)]
pub(super) enum AllowedReaders {
    /// Its owner and groups of this process: for the master key, which opens every token.
    Owner,
    /// Any group, as where an orchestrator mounts the file.
    Group,
}

/// A file of a secret. Reports one that is missing or that others can read.
pub(super) fn secret(
    at: &Cursor<'_>,
    text: &str,
    readers: AllowedReaders,
    instead: impl Fn(&Path) -> String,
) -> PathBuf {
    let path = at.file_path(text);
    at.report().looked_at(&path);
    match std::fs::metadata(&path) {
        Ok(found) if !found.is_file() => at.invalid("must be a file", ""),
        Ok(found) if is_open(&found, readers) => {
            at.fault(format!("{} can be read by others", path.display()), format!("run chmod 600 {}", path.display()));
        }
        Ok(_) => {}
        Err(error) => at.missing_secret(format!("cannot read {}: {error}", path.display()), instead(&path)),
    }
    path
}

/// Checks the content of a file of a secret, where it can be read. `judge` returns an error that keeps it from being
/// used, or a warning; neither may quote the content.
pub(super) fn secret_content(at: &Cursor<'_>, path: &Path, judge: impl Fn(&[u8]) -> Result<Option<String>, String>) {
    let Some(content) = content(at, path) else { return };
    let shown = path.display();
    match judge(&content) {
        _ if content.len() > SECRET_BYTES_MAX => at.fault(format!("{shown} is larger than any secret"), ""),
        Ok(None) => {}
        Ok(Some(doubt)) => at.warning(format!("{shown} {doubt}"), "ask the vendor for a longer one"),
        Err(wrong) => at.fault(format!("{shown}: {wrong}"), "put the secret there as the vendor shows it"),
    }
}

/// A file that is not secret, but is usually deployed together with secrets: it may be missing where they are.
pub(super) fn beside_secrets(at: &Cursor<'_>, text: &str) -> PathBuf {
    let path = at.file_path(text);
    at.report().looked_at(&path);
    match std::fs::metadata(&path) {
        Ok(found) if !found.is_file() => at.invalid("must be a file", ""),
        Ok(_) => {}
        Err(error) => at.missing_secret(format!("cannot read {}: {error}", path.display()), "put a PEM file there"),
    }
    path
}

/// The content of a file; `None` when there is no file, or when it cannot be read, which is reported.
pub(super) fn content(at: &Cursor<'_>, path: &Path) -> Option<Zeroizing<Vec<u8>>> {
    let found = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
    if found.len() > CONFIG_FILE_BYTES_MAX {
        at.fault(format!("{} is larger than {CONFIG_FILE_BYTES_MAX} bytes", path.display()), "");
        return None;
    }
    match std::fs::read(path) {
        Ok(content) => Some(Zeroizing::new(content)),
        Err(error) => {
            at.missing_secret(format!("cannot read {}: {error}", path.display()), "let the gateway's user read it");
            None
        }
    }
}

/// Reports what is wrong with the content of a file.
pub(super) fn unusable(at: &Cursor<'_>, path: &Path, wrong: impl std::fmt::Display, instead: &str) {
    at.fault(format!("{} {wrong}", path.display()), instead);
}

/// A bundle of authorities. Warns of certificates in it that cannot be read, which are left out.
pub(super) fn authorities(at: &Cursor<'_>, text: &str) -> PathBuf {
    let path = beside_secrets(at, text);
    let Some(content) = content(at, &path) else { return path };
    match pem::certificate_authorities(&content) {
        Ok(CertificateAuthorities { unreadable: 0, .. }) => {}
        Ok(CertificateAuthorities { unreadable: left_out, .. }) => {
            let wrong = format!(
                "{} holds {left_out} certificates that cannot be read: they are left out, and what they issued is refused",
                path.display()
            );
            at.warning(wrong, "put them in anew, or take them out");
        }
        Err(flaw) => unusable(at, &path, flaw, "put the authorities' certificates there, in PEM"),
    }
    path
}

/// The number of authorities in a bundle, where it can be read.
pub(in crate::config) fn count_authorities(path: &Path) -> Option<usize> {
    Some(pem::certificate_authorities(&bundle(path)?).ok()?.distinct_count())
}

/// The content of a usable bundle of authorities. What is wrong with another one is reported by [`authorities`].
pub(super) fn bundle(path: &Path) -> Option<Vec<u8>> {
    let found = std::fs::metadata(path).ok()?;
    let fits = found.is_file() && found.len() <= CONFIG_FILE_BYTES_MAX;
    let content = fits.then(|| std::fs::read(path).ok()).flatten()?;
    pem::certificate_authorities(&content).is_ok().then_some(content)
}

/// A certificate chain and the private key of its first certificate.
pub(super) fn identity(cert_at: &Cursor<'_>, cert: &str, key_at: &Cursor<'_>, key: &str) -> (PathBuf, PathBuf) {
    let place_key = |_: &Path| "put the private key of the certificate there, readable by the gateway alone".to_owned();
    let cert = beside_secrets(cert_at, cert);
    let key = secret(key_at, key, AllowedReaders::Group, place_key);
    let chain = content(cert_at, &cert).map(|content| pem::certificate_chain(&content));
    let private = content(key_at, &key).map(|content| pem::private_key(&content));
    let (mut for_cert, mut for_key) = (None, None);
    match (chain, private) {
        (Some(Ok(chain)), Some(Ok(private))) => match pem::check_identity(chain, private) {
            Ok(()) => {}
            Err(flaw @ (PemError::Key | PemError::KeyMismatch)) => for_key = Some(flaw),
            Err(flaw) => for_cert = Some(flaw),
        },
        (chain, private) => {
            (for_cert, for_key) = (chain.and_then(Result::err), private.and_then(Result::err));
        }
    }
    if let Some(flaw) = for_cert {
        unusable(cert_at, &cert, flaw, "put the certificate and its chain there, in PEM");
    }
    if let Some(flaw) = for_key {
        unusable(key_at, &key, flaw, "put the private key of the certificate there, in PEM");
    }
    (cert, key)
}

/// A JWKS file. It is public, so it must exist, and it may hold public keys only.
pub(super) fn jwks(at: &Cursor<'_>, text: &str) -> PathBuf {
    const BYTES_MAX: u64 = 1024 * 1024;
    let path = at.file_path(text);
    at.report().looked_at(&path);
    let shown = path.display();
    match std::fs::metadata(&path) {
        Ok(found) if found.len() > BYTES_MAX => at.fault(format!("{shown} is larger than 1 MiB"), ""),
        Ok(_) => check_jwks(at, &path),
        Err(error) => at.fault(format!("cannot read {shown}: {error}"), "save the issuer's JWKS document there"),
    }
    path
}

fn check_jwks(at: &Cursor<'_>, path: &Path) {
    let shown = path.display();
    let bytes = std::fs::read(path).unwrap_or_default();
    if holds_private_key(&bytes) {
        let instead = "keep only the public keys, and replace the one that was exposed";
        at.fault(format!("{shown} holds a private or symmetric key"), instead);
        return;
    }
    match inspect_keys(&bytes) {
        Ok((_, 0)) => {}
        Ok((_, bad)) => {
            let wrong = format!("{shown} holds {bad} keys that are malformed, weak, or of one kid: they are left out");
            at.warning(wrong, "take them out");
        }
        Err(error) => at.fault(format!("{shown}: {error}"), "save the issuer's JWKS document there"),
    }
}

fn holds_private_key(document: &[u8]) -> bool {
    let document: Option<serde_json::Value> = serde_json::from_slice(document).ok();
    let private = |key: &serde_json::Value| ["d", "k", "p", "q"].iter().any(|member| key.get(member).is_some());
    document.is_some_and(|document| document["keys"].as_array().into_iter().flatten().any(private))
}

fn is_open(found: &std::fs::Metadata, readers: AllowedReaders) -> bool {
    match readers {
        AllowedReaders::Owner => is_open_to_others(found),
        AllowedReaders::Group => is_open_to_all(found),
    }
}

#[cfg(unix)]
fn is_open_to_all(found: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    found.permissions().mode() & 0o007 != 0
}

#[cfg(not(unix))]
fn is_open_to_all(_: &std::fs::Metadata) -> bool {
    false
}

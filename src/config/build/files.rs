//! Files that a config names: whether they are there, and not open to everyone.
//!
//! Reads a secret only to say whether it can be used, and says nothing of what it holds. A secret that is missing is a fault where the gateway is to run, and a warning where its config is only
//! being checked, such as in a pipeline that has no business holding keys.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::bounds::SECRET_BYTES_MAX;
use crate::config::source::At;
use crate::identity::inspect_keys;
use crate::pii::keys::is_open_to_others;

/// Who else may be able to read a secret.
#[derive(Clone, Copy)]
pub(super) enum Readers {
    /// Its owner, and whoever is in a group of this process: what opens every token.
    Owner,
    /// Its group too, as where an orchestrator mounts it.
    Group,
}

/// A file that is not for everyone.
pub(super) fn secret(at: &At<'_>, text: &str, readers: Readers, instead: impl Fn(&Path) -> String) -> PathBuf {
    let path = at.file_path(text);
    match std::fs::metadata(&path) {
        Ok(found) if !found.is_file() => at.bad("must be a file", ""),
        Ok(found) if is_open(&found, readers) => {
            at.fault(format!("{} can be read by others", path.display()), format!("run chmod 600 {}", path.display()));
        }
        Ok(_) => {}
        Err(error) => at.missing_secret(format!("cannot read {}: {error}", path.display()), instead(&path)),
    }
    path
}

/// Looks at what a file of a secret holds, where it can be read: `judge` gives the fault that keeps it from being used, or a
/// warning, both without any of it.
pub(super) fn secret_content(at: &At<'_>, path: &Path, judge: impl Fn(&[u8]) -> Result<Option<String>, String>) {
    let Ok(file) = std::fs::File::open(path) else { return };
    let mut content = Vec::new();
    if file.take(SECRET_BYTES_MAX as u64 + 1).read_to_end(&mut content).is_err() {
        return;
    }
    let shown = path.display();
    match judge(&content) {
        _ if content.len() > SECRET_BYTES_MAX => at.fault(format!("{shown} is larger than any secret"), ""),
        Ok(None) => {}
        Ok(Some(doubt)) => at.warning(format!("{shown} {doubt}"), "ask the vendor for a longer one"),
        Err(wrong) => at.fault(format!("{shown}: {wrong}"), "put the secret there as the vendor shows it"),
    }
}

/// A file that need not be secret, but is kept beside those that are.
pub(super) fn beside_secrets(at: &At<'_>, text: &str) -> PathBuf {
    let path = at.file_path(text);
    match std::fs::metadata(&path) {
        Ok(found) if !found.is_file() => at.bad("must be a file", ""),
        Ok(_) => {}
        Err(error) => at.missing_secret(format!("cannot read {}: {error}", path.display()), "put a PEM file there"),
    }
    path
}

/// A JWKS file: public, so it must be there, and hold usable public keys only.
pub(super) fn jwks(at: &At<'_>, text: &str) -> PathBuf {
    const BYTES_MAX: u64 = 1024 * 1024;
    let path = at.file_path(text);
    let shown = path.display();
    match std::fs::metadata(&path) {
        Ok(found) if found.len() > BYTES_MAX => at.fault(format!("{shown} is larger than 1 MiB"), ""),
        Ok(_) => check_jwks(at, &path),
        Err(error) => at.fault(format!("cannot read {shown}: {error}"), "save the issuer's JWKS document there"),
    }
    path
}

fn check_jwks(at: &At<'_>, path: &Path) {
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

fn is_open(found: &std::fs::Metadata, readers: Readers) -> bool {
    match readers {
        Readers::Owner => is_open_to_others(found),
        Readers::Group => is_open_to_all(found),
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

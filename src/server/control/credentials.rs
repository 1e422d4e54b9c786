//! The credentials by which vendors know us, as `status`, probes and metrics show them.

use crate::admin::{CredentialAnswer, SecretAnswer};
use crate::credentials::{CredentialStatus, SecretStatus};
use crate::gateway::VendorRuntime;
use crate::identity::{Directory, FileKind, FileStatus};
use crate::model::UnixTime;

/// A vendor's credential without its value, where the gateway holds it.
pub(super) fn answer(vendor: &VendorRuntime, now: UnixTime) -> Option<CredentialAnswer> {
    let CredentialStatus { kind, does, is_ready, fetches, last_error, secrets } = vendor.credential()?.status();
    let named = |counts: [(&str, u64); 3]| counts.into_iter().map(|(name, count)| (name.to_owned(), count)).collect();
    Some(CredentialAnswer {
        kind: kind.to_owned(),
        does,
        ready: is_ready,
        fetches: fetches.map(|counts| named(counts.named())),
        last_error,
        secrets: secrets.into_iter().map(|secret| secret_answer(secret, now)).collect(),
    })
}

fn secret_answer(secret: SecretStatus, now: UnixTime) -> SecretAnswer {
    SecretAnswer {
        purpose: secret.purpose.to_owned(),
        source: secret.source.to_owned(),
        age_secs: secret.since.map(|since| now.since(since).as_secs()),
        expires: secret.expires,
        error: secret.error,
    }
}

/// The watched files of a vendor: those by which it is known to us, and those by which we are known to it.
pub(in crate::server) fn files(directory: &Directory, vendor: &VendorRuntime) -> Vec<FileStatus> {
    let mut files = directory.files(vendor.id());
    let secrets = vendor.credential().into_iter().flat_map(|own| own.status().secrets);
    let errors: Vec<_> = secrets.filter(|secret| secret.is_file).map(|secret| secret.error).collect();
    if !errors.is_empty() {
        // One entry: its metric has one series for each kind of file.
        files.push(FileStatus { file: FileKind::Credential, error: errors.into_iter().flatten().next() });
    }
    files
}

/// Shows the vendor's credential in its metrics.
pub(in crate::server) fn measure(vendor: &VendorRuntime) {
    let Some(status) = vendor.credential().map(|own| own.status()) else { return };
    vendor.metrics.credential.set(status.is_ready, status.oldest_secret(), status.first_expiry());
    for (result, total) in status.fetches.into_iter().flat_map(|counts| counts.named()) {
        vendor.metrics.credential.refreshes(result, total);
    }
}

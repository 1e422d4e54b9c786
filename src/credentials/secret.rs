//! Secrets that are held: read from their source, read again when they change, and refused past their age.
//!
//! A source that cannot be read, or holds nothing usable, changes nothing: what was read before stays in force and the
//! problem is told. The age of a secret is that of its content, and is remembered across restarts, so that neither a
//! restart nor a touched file makes it young.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::CredentialContext;
use super::error::CredentialError;
use super::keeper::ValueKeeper;
use super::settings::{SecretSettings, SecretSource};
use super::status::SecretStatus;
use super::vault::VaultReader;
use crate::bounds::{CREDENTIAL_DEADLINE, CREDENTIAL_WAIT_MARGIN};
use crate::identity::{FileKind, WatchedFiles, WebhookSecretEncoding, decode_secret};
use crate::model::{Moment, Secret, UnixTime};

/// A secret's content.
#[derive(Debug)]
pub(super) struct SecretValue {
    pub(super) bytes: Secret<Vec<u8>>,
    /// Since when this content is in use, as far as is known.
    pub(super) since: UnixTime,
}

/// A secret, and what keeps it up to date.
pub(super) struct HeldSecret {
    purpose: &'static str,
    settings: SecretSettings,
    origin: SecretOrigin,
}

enum SecretOrigin {
    File(Arc<WatchedFiles<SecretValue>>),
    Fixed(Option<Arc<SecretValue>>),
    Vault(Arc<ValueKeeper<SecretValue>>, Arc<VaultReader>),
}

/// When a content was first seen, as it is stored.
#[derive(Debug, Serialize, Deserialize)]
struct SightRow {
    fingerprint: [u8; 32],
    since_ms: u64,
}

impl HeldSecret {
    /// Reads a secret for the first time. `purpose` names it among the secrets of its vendor, in words.
    pub(super) fn open(purpose: &'static str, settings: &SecretSettings, context: &Arc<CredentialContext>) -> Self {
        let encoding = settings.encoding;
        let origin = match &settings.source {
            SecretSource::File(path) | SecretSource::Systemd(path) => {
                let (theirs, file) = (Arc::clone(context), path.clone());
                let build = move |contents: &[Vec<u8>]| {
                    let content = Secret::new(contents.concat());
                    let bytes = decode(content.expose(), encoding)?;
                    let since = theirs.first_seen(purpose, &bytes, modified(&file));
                    Ok((SecretValue { bytes, since }, None))
                };
                let vendor = context.vendor.as_str();
                let files = vec![path.clone()];
                SecretOrigin::File(WatchedFiles::open(FileKind::Credential, vendor, files, Box::new(build)))
            }
            SecretSource::Environment(name) => SecretOrigin::Fixed(std::env::var(name).ok().and_then(|text| {
                let content = Secret::new(text.into_bytes());
                let bytes = decode(content.expose(), encoding).ok()?;
                let since = context.first_seen(purpose, &bytes, None);
                Some(Arc::new(SecretValue { bytes, since }))
            })),
            SecretSource::Vault(vault) => {
                let patience = CREDENTIAL_DEADLINE * 2 + CREDENTIAL_WAIT_MARGIN;
                let keeper = ValueKeeper::new(context.vendor.as_str(), purpose, context.clock.clone(), patience);
                let reader = VaultReader::new((**vault).clone(), encoding, purpose, Arc::clone(context));
                SecretOrigin::Vault(keeper, Arc::new(reader))
            }
        };
        Self { purpose, settings: settings.clone(), origin }
    }

    /// Starts what keeps it up to date.
    pub(super) fn start(&self, runtime: &tokio::runtime::Handle) {
        match &self.origin {
            SecretOrigin::File(files) => files.start(runtime),
            SecretOrigin::Fixed(_) => {}
            SecretOrigin::Vault(keeper, reader) => keeper.start(runtime, Arc::clone(reader) as _),
        }
    }

    /// The secret as it is now.
    ///
    /// # Errors
    /// [`CredentialError`] where none could ever be read, or it is too old.
    pub(super) async fn value(&self, now: Moment) -> Result<HeldValue, CredentialError> {
        let held = match &self.origin {
            SecretOrigin::File(files) => {
                let (value, generation) = files.current();
                value.map(|value| HeldValue::Read(value, generation))
            }
            SecretOrigin::Fixed(value) => value.clone().map(|value| HeldValue::Read(value, 0)),
            SecretOrigin::Vault(keeper, _) => Some(HeldValue::Fetched(keeper.obtain().await?)),
        };
        let held = held.ok_or_else(|| CredentialError::unavailable(format!("the {} cannot be read", self.purpose)))?;
        if self.is_too_old(held.value(), now) { Err(CredentialError::Expired(self.purpose)) } else { Ok(held) }
    }

    /// Whether the secret that is held may still be used.
    ///
    /// # Errors
    /// [`CredentialError::Expired`] where it is too old.
    pub(super) fn check_age(&self, now: Moment) -> Result<(), CredentialError> {
        if self.settings.max_age.is_none() {
            return Ok(());
        }
        let is_too_old = match &self.origin {
            SecretOrigin::File(files) => files.current().0.is_some_and(|value| self.is_too_old(&value, now)),
            SecretOrigin::Fixed(value) => value.as_ref().is_some_and(|value| self.is_too_old(value, now)),
            SecretOrigin::Vault(keeper, _) => keeper.usable(now).is_some_and(|kept| self.is_too_old(&kept.value, now)),
        };
        if is_too_old { Err(CredentialError::Expired(self.purpose)) } else { Ok(()) }
    }

    fn is_too_old(&self, value: &SecretValue, now: Moment) -> bool {
        self.settings.max_age.is_some_and(|most| now.wall.since(value.since) > most)
    }

    /// Reads the source again because the vendor has refused this value. Returns whether there is another one now.
    pub(super) async fn reread(&self, refused: &HeldValue) -> bool {
        match (&self.origin, refused) {
            (SecretOrigin::File(files), HeldValue::Read(_, generation)) => {
                if files.generation() == *generation {
                    let files = Arc::clone(files);
                    // An error here means that the program ends.
                    let _ = tokio::task::spawn_blocking(move || files.reload_if_changed()).await;
                }
                files.generation() != *generation
            }
            (SecretOrigin::Vault(keeper, _), HeldValue::Fetched(kept)) => {
                keeper.newer_than(kept.number).await.is_some()
            }
            (SecretOrigin::Fixed(_), _)
            | (SecretOrigin::File(_), HeldValue::Fetched(_))
            | (SecretOrigin::Vault(..), HeldValue::Read(..)) => false,
        }
    }

    /// Reads the source again at once, since a server has refused what it held: it may have been replaced just now.
    pub(super) async fn look_again(&self, now: Moment) {
        match &self.origin {
            SecretOrigin::File(files) => {
                let files = Arc::clone(files);
                // An error here means that the program ends.
                let _ = tokio::task::spawn_blocking(move || files.reload_if_changed()).await;
            }
            SecretOrigin::Fixed(_) => {}
            SecretOrigin::Vault(keeper, _) => {
                let known = keeper.usable(now).map_or(0, |kept| kept.number);
                drop(keeper.newer_than(known).await);
            }
        }
    }

    /// A number that changes with the content.
    pub(super) fn generation(&self, now: Moment) -> u64 {
        match &self.origin {
            SecretOrigin::File(files) => files.generation(),
            SecretOrigin::Fixed(_) => 0,
            // By content: Vault is read again and again, and mostly holds the same.
            SecretOrigin::Vault(keeper, _) => keeper.usable(now).map_or(0, |kept| {
                let [a, b, c, d, e, f, g, h, ..] = *blake3::hash(kept.value.bytes.expose()).as_bytes();
                u64::from_le_bytes([a, b, c, d, e, f, g, h])
            }),
        }
    }

    /// What may be shown of it.
    pub(super) fn status(&self, now: Moment) -> SecretStatus {
        let (since, error) = match &self.origin {
            SecretOrigin::File(files) => (files.current().0.map(|value| value.since), files.last_error()),
            SecretOrigin::Fixed(value) => {
                let missing = value.is_none().then(|| "the environment variable cannot be used".to_owned());
                (value.as_ref().map(|value| value.since), missing)
            }
            SecretOrigin::Vault(keeper, _) => (keeper.usable(now).map(|kept| kept.value.since), keeper.status().1),
        };
        SecretStatus {
            purpose: self.purpose,
            source: self.settings.source.as_str(),
            since,
            expires: since.zip(self.settings.max_age).map(|(since, most)| since.plus(most)),
            is_file: matches!(self.origin, SecretOrigin::File(_)),
            error,
        }
    }
}

/// A secret as it was at one time, and by what a later one is told from it.
#[derive(Debug, Clone)]
pub(super) enum HeldValue {
    Read(Arc<SecretValue>, u64),
    Fetched(Arc<super::keeper::KeptValue<SecretValue>>),
}

impl HeldValue {
    pub(super) fn value(&self) -> &SecretValue {
        match self {
            Self::Read(value, _) => value,
            Self::Fetched(kept) => &kept.value,
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.value().bytes.expose()
    }

    /// The secret as text.
    pub(super) fn text(&self) -> Result<&str, CredentialError> {
        std::str::from_utf8(self.bytes()).map_err(|_| CredentialError::Unusable("the secret is not text"))
    }
}

impl CredentialContext {
    /// Since when a content is in use: when it was first seen here, or earlier where its source says so.
    pub(super) fn first_seen(&self, purpose: &str, content: &Secret<Vec<u8>>, told: Option<UnixTime>) -> UnixTime {
        let now = self.clock.now().wall;
        let fingerprint = *blake3::keyed_hash(self.fingerprint_key.expose(), content.expose()).as_bytes();
        let key = format!("age/{}/{purpose}", self.vendor);
        // A store that cannot be read makes the secret look new, and says so in its own metric.
        let stored = self.store.load(&key).ok().flatten();
        let known: Option<SightRow> = stored.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        if let Some(known) = known.filter(|known| known.fingerprint == fingerprint) {
            return UnixTime::from_millis(known.since_ms);
        }
        let since = told.filter(|told| *told <= now).unwrap_or(now);
        let row = SightRow { fingerprint, since_ms: since.as_millis() };
        if let Ok(bytes) = serde_json::to_vec(&row) {
            self.store.remember(&key, &bytes);
        }
        since
    }
}

/// A secret as its source holds it, as the bytes that it means.
pub(super) fn decode(content: &[u8], encoding: WebhookSecretEncoding) -> Result<Secret<Vec<u8>>, String> {
    decode_secret(content, encoding)
}

/// When a file was last written.
fn modified(path: &Path) -> Option<UnixTime> {
    Some(std::fs::metadata(path).ok()?.modified().ok()?.into())
}

impl fmt::Debug for HeldSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeldSecret").field("purpose", &self.purpose).finish_non_exhaustive()
    }
}

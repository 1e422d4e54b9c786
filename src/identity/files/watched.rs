//! A value that is built from files which an operator may replace at any time: secrets, authorities, revocation lists.
//!
//! The files are read again in the background. If one is missing or half written, the value that was built before stays
//! in force (its own dates still apply), and the problem is logged once per change. Files are never read while a
//! request is decided about.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

use arc_swap::ArcSwapOption;

use crate::bounds::{FILE_POLL, ISSUER_ANSWER_BYTES_MAX};
use crate::identity::keys::issuer_keys::next_generation;
use crate::model::{Lock as _, debug_fields, with_causes, words};

use super::read::read_bounded;

words! {
    /// What a vendor's file is for, in logs, metrics, `status` and `/readyz`.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
    pub enum FileKind {
        /// The authorities that may issue the vendor's certificate, and their revocation lists.
        Authorities = "authorities",
        /// The secrets by which the vendor signs its bodies.
        WebhookSecrets = "webhook_secrets",
        /// The token that the vendor shows in a handshake of Meta's kind.
        VerifyToken = "verify_token",
        /// A secret by which the vendor knows us.
        Credential = "credential",
        /// The client secret by which the vendor's issuer knows us.
        IntrospectionSecret = "introspection_secret",
        /// The signing keys of the vendor's issuer.
        Keys = "jwks",
        /// The authorities that vouch for an upstream, and what the gateway shows it.
        UpstreamTls = "upstream_tls",
    }
}

/// The value that was built, and a text about what was left out, if anything; or why nothing was built. No text holds
/// content of a file.
pub(crate) type BuildResult<T> = Result<(T, Option<String>), String>;

/// Builds the value from the contents of the files, in their order.
type BuildFn<T> = Box<dyn Fn(&[Vec<u8>]) -> BuildResult<T> + Send + Sync>;

/// A value, and the files that it is built from.
pub(crate) struct WatchedFiles<T> {
    kind: FileKind,
    /// The vendor or issuer, for the log.
    owner: String,
    files: Vec<PathBuf>,
    build: BuildFn<T>,
    current: ArcSwapOption<T>,
    generation: AtomicU64,
    read: Mutex<Option<BuiltFrom>>,
    error: Mutex<Option<FileProblem>>,
    started: AtomicBool,
}

/// What the value in force was built from.
struct BuiltFrom {
    digest: blake3::Hash,
    left_out: Option<String>,
}

/// Why the last read built nothing, or left a part out; and a digest of the contents, where they could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
struct FileProblem {
    message: String,
    digest: Option<blake3::Hash>,
}

impl<T: Send + Sync + 'static> WatchedFiles<T> {
    /// Reads the files at once.
    pub(crate) fn open(kind: FileKind, of: &str, files: Vec<PathBuf>, build: BuildFn<T>) -> Arc<Self> {
        let watched = Self {
            kind,
            owner: of.to_owned(),
            files,
            build,
            current: ArcSwapOption::empty(),
            generation: AtomicU64::new(0),
            read: Mutex::default(),
            error: Mutex::default(),
            started: AtomicBool::new(false),
        };
        watched.reload_if_changed();
        Arc::new(watched)
    }

    /// The value in force, if one could ever be built, and its generation.
    pub(crate) fn current(&self) -> (Option<Arc<T>>, u64) {
        // Read first: if the value is replaced in between, a certificate is checked once more than needed.
        let generation = self.generation();
        (self.current.load_full(), generation)
    }

    /// Changes with each new value, and is unique in the process.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Why the last read built nothing, or left a part out.
    pub(crate) fn last_error(&self) -> Option<String> {
        self.error.locked().as_ref().map(|refused| refused.message.clone())
    }

    /// Starts the task that reads the files again, once.
    pub(crate) fn start(self: &Arc<Self>, runtime: &tokio::runtime::Handle) {
        if !self.started.swap(true, Ordering::AcqRel) {
            runtime.spawn(run(Arc::downgrade(self)));
        }
    }

    /// Reads the files and, when they have changed, builds the value again. Returns whether something was logged.
    /// Blocks.
    pub(crate) fn reload_if_changed(&self) -> bool {
        let refused = self.rebuild().unwrap_or_else(Some);
        let mut before = self.error.locked();
        let is_news = *before != refused;
        if is_news {
            self.log_change(refused.as_ref());
            *before = refused;
        }
        is_news
    }

    /// Logs a change. The error holds no content, and the names of the files come from the config.
    fn log_change(&self, refused: Option<&FileProblem>) {
        let (file, of) = (self.kind.as_str(), self.owner.as_str());
        let files = self.files.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
        let keeps = self.current.load().is_some();
        match refused {
            Some(FileProblem { message: why, .. }) if keeps => {
                tracing::warn!(file, of, files, why, "files cannot be used as they are: what is in force stays")
            }
            Some(FileProblem { message: why, .. }) => tracing::warn!(file, of, files, why, "files cannot be used"),
            None => tracing::info!(file, of, files, "files can be used again"),
        }
    }

    /// Returns what was left out of the value that is in force now.
    fn rebuild(&self) -> Result<Option<FileProblem>, FileProblem> {
        let read = self.files.iter().map(|path| read_bounded(path, ISSUER_ANSWER_BYTES_MAX));
        let unread = |error: super::read::FileError| FileProblem { message: with_causes(&error), digest: None };
        let contents: Vec<Vec<u8>> = read.collect::<Result<_, _>>().map_err(unread)?;
        let digest = digest(&contents);
        let of_these = |why| FileProblem { message: why, digest: Some(digest) };
        let mut known = self.read.locked();
        if let Some(known) = known.as_ref().filter(|known| known.digest == digest) {
            return Ok(known.left_out.clone().map(of_these));
        }
        let (built, left_out) = (self.build)(&contents).map_err(of_these)?;
        self.current.store(Some(Arc::new(built)));
        self.generation.store(next_generation(), Ordering::Release);
        *known = Some(BuiltFrom { digest, left_out: left_out.clone() });
        Ok(left_out.map(of_these))
    }
}

debug_fields!([<T>] WatchedFiles<T>: files);

fn digest(contents: &[Vec<u8>]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    for content in contents {
        hasher.update(&(content.len() as u64).to_le_bytes());
        hasher.update(content);
    }
    hasher.finalize()
}

async fn run<T: Send + Sync + 'static>(watched: Weak<WatchedFiles<T>>) {
    loop {
        tokio::time::sleep(FILE_POLL).await;
        let Some(held) = watched.upgrade() else { return };
        // An error here means that the program ends.
        let _ = tokio::task::spawn_blocking(move || held.reload_if_changed()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_written_or_missing_file_replaces_nothing_and_is_logged_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("secret");
        let build = |contents: &[Vec<u8>]| match &contents[0][..] {
            b"" | b"!" | b"!!" => Err("no good".to_owned()),
            other => Ok((other.to_vec(), other.starts_with(b"half").then(|| "the rest".to_owned()))),
        };
        let watched = WatchedFiles::open(FileKind::WebhookSecrets, "acme", vec![path.clone()], Box::new(build));
        assert!(watched.current().0.is_none() && watched.last_error().is_some());
        let mut generations = Vec::new();
        for (content, want, error, is_news) in [
            ("a", "a", false, true),
            ("a", "a", false, false),
            ("!", "a", true, true),
            ("!", "a", true, false),
            ("!!", "a", true, true),
            ("b", "b", false, true),
            ("half", "half", true, true),
            ("half", "half", true, false),
        ] {
            std::fs::write(&path, content).expect("written");
            assert_eq!(watched.reload_if_changed(), is_news, "logged once a change: {content}");
            let (current, generation) = watched.current();
            assert_eq!(
                (current.as_deref().map(Vec::as_slice), watched.last_error().is_some()),
                (Some(want.as_bytes()), error)
            );
            generations.push(generation);
        }
        assert!(generations[0] == generations[4] && generations[4] < generations[5], "{generations:?}");
        std::fs::remove_file(&path).expect("removed");
        watched.reload_if_changed();
        assert!(watched.current().0.is_some() && watched.last_error().is_some());
    }
}

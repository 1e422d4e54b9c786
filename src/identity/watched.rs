//! Something built from files that an operator may replace at any time: secrets, authorities, revocation lists.
//!
//! Looked at in the background; a file that is torn or gone leaves what was built before, which is worth no more than
//! its own dates, and is told of in the log once a change. Never read while a request is judged.

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use arc_swap::ArcSwapOption;

use crate::bounds::{FILE_POLL, ISSUER_ANSWER_BYTES_MAX};

use super::files::read_bounded;
use super::ring::next_generation;

/// Makes the thing out of the files' contents, in their order; its error is for the log and holds no content.
type Build<T> = Box<dyn Fn(&[Vec<u8>]) -> Result<T, String> + Send + Sync>;

/// The thing, and the files it was built from.
pub(super) struct Watched<T> {
    files: Vec<PathBuf>,
    build: Build<T>,
    current: ArcSwapOption<T>,
    generation: AtomicU64,
    digest: Mutex<Option<blake3::Hash>>,
    error: Mutex<Option<Refused>>,
    started: AtomicBool,
}

/// Why the last look built nothing, and of which contents, where they could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Refused {
    why: String,
    digest: Option<blake3::Hash>,
}

impl<T: Send + Sync + 'static> Watched<T> {
    /// Reads the files at once.
    pub(super) fn open(files: Vec<PathBuf>, build: Build<T>) -> Arc<Self> {
        let watched = Self {
            files,
            build,
            current: ArcSwapOption::empty(),
            generation: AtomicU64::new(0),
            digest: Mutex::default(),
            error: Mutex::default(),
            started: AtomicBool::new(false),
        };
        watched.look();
        Arc::new(watched)
    }

    /// The thing as it is now, if it could ever be built, and which one it is.
    pub(super) fn current(&self) -> (Option<Arc<T>>, u64) {
        // Read first: if the thing is replaced in between, a yes is checked once more than needed.
        let generation = self.generation();
        (self.current.load_full(), generation)
    }

    /// Changes with each thing, and is unique in the process.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Why the last look built nothing, if it did not.
    pub(super) fn last_error(&self) -> Option<String> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|refused| refused.why.clone())
    }

    /// Starts to look now and then, once.
    pub(super) fn start(self: &Arc<Self>, runtime: &tokio::runtime::Handle) {
        if !self.started.swap(true, Ordering::AcqRel) {
            runtime.spawn(run(Arc::downgrade(self)));
        }
    }

    /// Reads the files and, when they have changed, builds anew. Says whether there was something to tell. Blocks.
    pub(super) fn look(&self) -> bool {
        let refused = self.rebuild().err();
        let mut before = self.error.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = *before != refused;
        if is_news {
            self.tell(refused.as_ref());
            *before = refused;
        }
        is_news
    }

    /// The error holds no content; the files' names are the config's own.
    fn tell(&self, refused: Option<&Refused>) {
        let files = self.files.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
        let keeps = self.current.load().is_some();
        match refused {
            Some(Refused { why, .. }) if keeps => {
                tracing::warn!(files, why, "files cannot be used: what they held before stays")
            }
            Some(Refused { why, .. }) => tracing::warn!(files, why, "files cannot be used"),
            None => tracing::info!(files, "files can be used again"),
        }
    }

    fn rebuild(&self) -> Result<(), Refused> {
        let read = self.files.iter().map(|path| read_bounded(path, ISSUER_ANSWER_BYTES_MAX));
        let unread = |error: super::FileError| Refused { why: error.to_string(), digest: None };
        let contents: Vec<Vec<u8>> = read.collect::<Result<_, _>>().map_err(unread)?;
        let digest = digest(&contents);
        let mut known = self.digest.lock().unwrap_or_else(PoisonError::into_inner);
        if *known == Some(digest) {
            return Ok(());
        }
        let built = (self.build)(&contents).map_err(|why| Refused { why, digest: Some(digest) })?;
        self.current.store(Some(Arc::new(built)));
        self.generation.store(next_generation(), Ordering::Release);
        *known = Some(digest);
        Ok(())
    }
}

impl<T> fmt::Debug for Watched<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").field("files", &self.files).finish_non_exhaustive()
    }
}

fn digest(contents: &[Vec<u8>]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    for content in contents {
        hasher.update(&(content.len() as u64).to_le_bytes());
        hasher.update(content);
    }
    hasher.finalize()
}

async fn run<T: Send + Sync + 'static>(watched: Weak<Watched<T>>) {
    loop {
        tokio::time::sleep(FILE_POLL).await;
        let Some(held) = watched.upgrade() else { return };
        // A look that was cut short by the end of the program is of no interest.
        let _ = tokio::task::spawn_blocking(move || held.look()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_or_missing_file_replaces_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("secret");
        let build = |contents: &[Vec<u8>]| match &contents[0][..] {
            b"" | b"!" | b"!!" => Err("no good".to_owned()),
            other => Ok(other.to_vec()),
        };
        let watched = Watched::open(vec![path.clone()], Box::new(build));
        assert!(watched.current().0.is_none() && watched.last_error().is_some());
        let mut generations = Vec::new();
        for (content, want, error, is_news) in [
            ("a", "a", false, true),
            ("a", "a", false, false),
            ("!", "a", true, true),
            ("!", "a", true, false),
            ("!!", "a", true, true),
            ("b", "b", false, true),
        ] {
            std::fs::write(&path, content).expect("written");
            assert_eq!(watched.look(), is_news, "told once a change: {content}");
            let (current, generation) = watched.current();
            assert_eq!(
                (current.as_deref().map(Vec::as_slice), watched.last_error().is_some()),
                (Some(want.as_bytes()), error)
            );
            generations.push(generation);
        }
        assert!(generations[0] == generations[4] && generations[4] < generations[5], "{generations:?}");
        std::fs::remove_file(&path).expect("removed");
        watched.look();
        assert!(watched.current().0.is_some() && watched.last_error().is_some());
    }
}

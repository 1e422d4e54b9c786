//! Puts a changed config in force by itself, where the main file says `watch: true`.
//!
//! Looks at all files that the config names, as they are where symbolic links lead, so that the swap of a mounted
//! ConfigMap is a change like any other. A change must be at rest for one look, so that a half-written file is not
//! read; it is then loaded as by any reload, whole or not at all.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::watch;

use super::control::{GatewayControl, ReloadCause};
use super::maintenance::{every, wait};
use crate::bounds::{CONFIG_WATCH_BYTES_MAX, CONFIG_WATCH_ROUNDS, FILE_POLL};

/// Looks until the gateway closes. While `watch` is off, nothing is read.
pub(super) async fn run(control: Arc<GatewayControl>, mut closing: watch::Receiver<bool>) {
    let mut watched = None;
    let mut tick = every(FILE_POLL);
    while wait(&mut tick, &mut closing).await {
        let (is_on, main) = (control.config.lock().await.watch, control.main.clone());
        watched = match watched.take().filter(|_| is_on) {
            None if is_on => Some(WatchedConfig::begin(&control, main).await),
            None => None,
            Some(before) => before.look(&control, main).await,
        };
    }
}

/// The files of the config, as they were when they were last loaded.
#[derive(Debug)]
struct WatchedConfig {
    files: BTreeSet<PathBuf>,
    /// What was loaded last, or could not be.
    loaded: ConfigFingerprint,
    /// A change that was seen in the look before.
    pending: Option<ConfigFingerprint>,
    rounds: u32,
}

impl WatchedConfig {
    /// Takes note of the files, and loads them where they say something else than what is in force.
    async fn begin(control: &GatewayControl, main: PathBuf) -> Self {
        let (_, files) = read(main.clone()).await;
        let loaded = fingerprint(files.clone(), None).await;
        let differs = match read(main).await.0 {
            Some(config) => config != *control.config.lock().await,
            None => control.config_fault().is_none(),
        };
        if differs {
            // What came of it is in the log, the metrics and the status.
            let _ = control.reload_files(ReloadCause::Watch).await;
        }
        Self { files, loaded, pending: None, rounds: 0 }
    }

    /// Looks once; `None` where the config may name other files now.
    async fn look(mut self, control: &GatewayControl, main: PathBuf) -> Option<Self> {
        self.rounds = self.rounds.wrapping_add(1);
        // Where a file system tells nothing of a change, the content does.
        let before = (!self.rounds.is_multiple_of(CONFIG_WATCH_ROUNDS))
            .then(|| self.pending.as_ref().unwrap_or(&self.loaded).clone());
        let now = fingerprint(self.files.clone(), before).await;
        if now.digest == self.loaded.digest {
            self.loaded = now;
            self.pending = None;
            return Some(self);
        }
        let is_at_rest = self.pending.as_ref().is_some_and(|pending| pending.digest == now.digest);
        if !is_at_rest {
            self.pending = Some(now);
            return Some(self);
        }
        let _ = control.reload_files(ReloadCause::Watch).await;
        (read(main).await.1 == self.files).then_some(Self { loaded: now, pending: None, ..self })
    }
}

/// The settings, where the files have no fault, and the files that they come from.
async fn read(main: PathBuf) -> (Option<crate::config::GatewaySettings>, BTreeSet<PathBuf>) {
    let read = move || {
        let (loaded, files) = super::control::loader().load_with_files(&main);
        (loaded.ok().map(|loaded| loaded.config), files)
    };
    tokio::task::spawn_blocking(read).await.unwrap_or_default()
}

/// What the files are: their content, and by what a change of it is noticed without reading them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ConfigFingerprint {
    marks: Vec<Option<FileMark>>,
    digest: blake3::Hash,
}

/// What a file system says of a file; a folder's mark is that of its own change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileMark {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// Reads the files on a thread that may block; not where they have the marks of `before`.
async fn fingerprint(files: BTreeSet<PathBuf>, before: Option<ConfigFingerprint>) -> ConfigFingerprint {
    let read = move || {
        let marks: Vec<_> = files.iter().map(|path| mark(path)).collect();
        match before.filter(|before| before.marks == marks) {
            Some(before) => before,
            None => ConfigFingerprint { digest: digest(&files), marks },
        }
    };
    let unread = || ConfigFingerprint { marks: Vec::new(), digest: blake3::hash(b"") };
    tokio::task::spawn_blocking(read).await.unwrap_or_else(|_| unread())
}

fn mark(path: &Path) -> Option<FileMark> {
    let found = std::fs::metadata(path).ok()?;
    Some(FileMark {
        device: found.dev(),
        inode: found.ino(),
        length: found.len(),
        modified: (found.mtime(), found.mtime_nsec()),
        changed: (found.ctime(), found.ctime_nsec()),
    })
}

/// A digest of the contents of all files, and of the names in folders.
fn digest(files: &BTreeSet<PathBuf>) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    for path in files {
        let content = content(path).unwrap_or_else(|error| error.kind().to_string().into_bytes());
        hasher.update(&(content.len() as u64).to_le_bytes());
        hasher.update(&content);
    }
    hasher.finalize()
}

fn content(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read as _;
    if path.is_dir() {
        let names = std::fs::read_dir(path)?.filter_map(|entry| Some(entry.ok()?.file_name()));
        let names: BTreeSet<_> = names.map(std::ffi::OsString::into_encoded_bytes).collect();
        return Ok(names.into_iter().collect::<Vec<_>>().join(&0));
    }
    if !path.is_file() {
        // Opening a pipe would wait for its writer.
        return Err(std::io::ErrorKind::NotFound.into());
    }
    let mut content = Vec::new();
    std::fs::File::open(path)?.take(CONFIG_WATCH_BYTES_MAX).read_to_end(&mut content)?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_change_is_seen_through_links_and_a_touched_file_is_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        for (version, text) in [("v1", "a"), ("v2", "b")] {
            std::fs::create_dir(at(version)).expect("a folder");
            std::fs::write(at(version).join("acme.yaml"), text).expect("written");
        }
        std::os::unix::fs::symlink("v1", at("data")).expect("a link");
        let files = BTreeSet::from([at("data/acme.yaml"), at("gone.yaml")]);
        let first = fingerprint(files.clone(), None).await;
        assert_eq!(fingerprint(files.clone(), Some(first.clone())).await, first);
        std::fs::write(at("v1/acme.yaml"), "a").expect("written");
        assert_eq!(fingerprint(files.clone(), Some(first.clone())).await.digest, first.digest, "the same content");
        std::os::unix::fs::symlink("v2", at("next")).expect("a link");
        std::fs::rename(at("next"), at("data")).expect("moved");
        let swapped = fingerprint(files.clone(), Some(first.clone())).await;
        assert_ne!(swapped.digest, first.digest, "the link leads elsewhere");
        std::fs::write(at("gone.yaml"), "").expect("written");
        assert_ne!(fingerprint(files, Some(swapped.clone())).await.digest, swapped.digest, "a file that was missing");
    }

    #[tokio::test]
    async fn a_new_name_in_a_folder_is_a_change() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = BTreeSet::from([folder.path().to_path_buf()]);
        let before = fingerprint(files.clone(), None).await;
        std::fs::write(folder.path().join("new.yaml"), "").expect("written");
        assert_ne!(fingerprint(files, None).await.digest, before.digest);
    }
}

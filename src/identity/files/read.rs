//! Reads small files that an operator may replace at any time: keys, secrets, revocation lists.
//!
//! Never reads more than the bound, whatever the path has become.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// Why a file was not read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {path}")]
pub struct FileError {
    /// The file's path.
    pub path: PathBuf,
    /// Why it was not read.
    #[source]
    pub source: io::Error,
}

/// Reads the whole file, or fails when it is longer than the bound. Blocks: not for a thread that serves requests.
pub(crate) fn read_bounded(path: &Path, bytes_max: usize) -> Result<Vec<u8>, FileError> {
    let fail = |source| FileError { path: path.to_owned(), source };
    let mut content = Vec::new();
    let file = std::fs::File::open(path).map_err(fail)?;
    file.take(bytes_max as u64 + 1).read_to_end(&mut content).map_err(fail)?;
    if content.len() > bytes_max { Err(fail(io::ErrorKind::FileTooLarge.into())) } else { Ok(content) }
}

/// Does [`read_bounded`] on a thread that may block.
pub(crate) async fn read_in_background(path: &Path, bytes_max: usize) -> Result<Vec<u8>, FileError> {
    let owned = path.to_owned();
    let read = tokio::task::spawn_blocking(move || read_bounded(&owned, bytes_max)).await;
    read.unwrap_or_else(|_| Err(FileError { path: path.to_owned(), source: io::ErrorKind::Interrupted.into() }))
}

//! Key files: created once, replaced atomically, and readable by their owner and a group of this process alone.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::{KeyError, KeyFileSource, KeyVersion, MasterKeySource, MasterKeys};

/// Largest key file, in bytes: 1,023 versions take about 60 KiB.
const FILE_BYTES_MAX: usize = 128 * 1024;

/// Creates a key file with one new version. Never overwrites a file.
///
/// # Errors
/// [`KeyError::Exists`] when there is one, [`KeyError::File`], [`KeyError::Random`].
pub fn generate_key_file(path: &Path) -> Result<(), KeyError> {
    let text = MasterKeys::generate()?.to_text();
    write_new(path, text.as_bytes())?;
    sync_folder(path)
}

/// Adds a new active version to a key file. The new file is written beside the old one, synced, and renamed over it, so
/// that a crash leaves one or the other. Of two rotations at the same time, the second is refused.
///
/// # Errors
/// Those of [`KeyFileSource`] and [`MasterKeys::rotate`], [`KeyError::Exists`], [`KeyError::File`].
pub fn rotate_key_file(path: &Path) -> Result<KeyVersion, KeyError> {
    // A symbolic link stays: the file that it leads to is replaced.
    let path = &fs::canonicalize(path).map_err(file_error("open", path))?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    write_new(&beside, b"")?;
    let rotated = rotate_into(path, &beside);
    if rotated.is_err() {
        // The file must not block the next rotation.
        let _ = fs::remove_file(&beside);
    }
    rotated
}

fn rotate_into(path: &Path, beside: &Path) -> Result<KeyVersion, KeyError> {
    let mut master = KeyFileSource::new(path).load()?;
    let version = master.rotate()?;
    let write = || {
        let mut file = OpenOptions::new().write(true).open(beside)?;
        keep_owner_and_mode(path, &file)?;
        file.write_all(master.to_text().as_bytes())?;
        file.sync_all()?;
        fs::rename(beside, path)
    };
    write().map_err(file_error("write", path))?;
    sync_folder(path)?;
    Ok(version)
}

/// Gives a file the owner, group and mode of another: after an administrator rotates keys, the gateway must still be
/// able to read the file, as its owner or by its group.
#[cfg(unix)]
fn keep_owner_and_mode(of: &Path, file: &File) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};
    let (old, new) = (fs::metadata(of)?, file.metadata()?);
    if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
        fchown(file, Some(old.uid()), Some(old.gid()))?;
    }
    file.set_permissions(old.permissions())
}

#[cfg(not(unix))]
fn keep_owner_and_mode(_: &Path, _: &File) -> io::Result<()> {
    Ok(())
}

/// Whether a file of keys may be read by others than its owner, a group of this process and root's, or changed by
/// others than its owner. Orchestrators mount secrets with mode 0440 and a group that the process is in.
#[cfg(unix)]
pub(crate) fn is_open_to_others(found: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    const GROUP_READS: u32 = 0o040;
    // Root's own group reads what root reads anyway. systemd gives a credential to it, and lets the service in by an
    // access control list.
    let for_group = if found.gid() == 0 || is_in_group(found.gid()) { GROUP_READS } else { 0 };
    found.mode() & 0o077 & !for_group != 0
}

#[cfg(not(unix))]
pub(crate) fn is_open_to_others(_: &fs::Metadata) -> bool {
    false
}

/// Whether this process is in the group.
#[cfg(unix)]
fn is_in_group(group: u32) -> bool {
    use rustix::process::{getegid, getgroups};
    getegid().as_raw() == group || getgroups().is_ok_and(|groups| groups.iter().any(|one| one.as_raw() == group))
}

/// Reads a file of keys; refuses one that is open to others.
pub(super) fn read_private(path: &Path) -> Result<Zeroizing<String>, KeyError> {
    let file = File::open(path).map_err(file_error("open", path))?;
    let found = file.metadata().map_err(file_error("look at", path))?;
    if is_open_to_others(&found) {
        return Err(KeyError::TooOpen { path: path.to_owned(), mode: mode_of(&found) });
    }
    // Reserve the whole size at once: growing would leave copies of the keys in freed memory.
    let mut text = Zeroizing::new(String::with_capacity(FILE_BYTES_MAX));
    file.take(FILE_BYTES_MAX as u64).read_to_string(&mut text).map_err(file_error("read", path))?;
    if text.len() == FILE_BYTES_MAX {
        return Err(file_error("read", path)(io::ErrorKind::FileTooLarge.into()));
    }
    Ok(text)
}

/// Creates a file that its owner alone may read.
pub(super) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), KeyError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = match options.open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(KeyError::Exists(path.to_owned())),
        Err(error) => return Err(file_error("create", path)(error)),
    };
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(file_error("write", path))
}

/// Syncs the folder of a file, so that a rename, creation or removal survives a crash.
pub(super) fn sync_folder(path: &Path) -> Result<(), KeyError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(file_error("sync the folder of", path))
}

pub(super) fn file_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> KeyError {
    let path = path.to_owned();
    move |source| KeyError::File { action, path, source }
}

#[cfg(unix)]
fn mode_of(found: &fs::Metadata) -> u32 {
    std::os::unix::fs::MetadataExt::mode(found) & 0o7777
}

#[cfg(not(unix))]
fn mode_of(_: &fs::Metadata) -> u32 {
    0o600
}

#[cfg(test)]
mod tests {
    use super::*;

    fn versions(path: &Path) -> Vec<(u16, &'static str)> {
        let master = KeyFileSource::new(path).load().unwrap();
        master.versions().map(|(version, state)| (version.number(), state.as_str())).collect()
    }

    #[test]
    fn a_key_file_is_created_once_and_rotated_in_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        generate_key_file(&path).unwrap();
        assert!(matches!(generate_key_file(&path), Err(KeyError::Exists(_))));
        assert_eq!(rotate_key_file(&path).unwrap().number(), 2);
        assert_eq!(rotate_key_file(&path).unwrap().number(), 3);
        assert_eq!(versions(&path), [(1, "read"), (2, "read"), (3, "active")]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_rotation_that_cannot_read_the_file_changes_nothing_and_does_not_block_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        write_new(&path, b"1 active nonsense").unwrap();
        assert!(matches!(rotate_key_file(&path), Err(KeyError::Line { line: 1, .. })));
        assert_eq!(fs::read(&path).unwrap(), b"1 active nonsense");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_an_interrupted_rotation_left_is_reported_and_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        generate_key_file(&path).unwrap();
        fs::write(folder.path().join("master.key.new"), b"half").unwrap();
        assert!(matches!(rotate_key_file(&path), Err(KeyError::Exists(_))));
        assert_eq!(versions(&path), [(1, "active")]);
    }

    #[cfg(unix)]
    #[test]
    fn a_rotation_keeps_links_and_owners() {
        use std::os::unix::fs::{MetadataExt, chown, symlink};
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("master.key"), folder.path().join("link"));
        generate_key_file(&path).unwrap();
        symlink(&path, &link).unwrap();
        // Only an administrator can give a file away; for anyone else the owner stays the same by itself.
        let owner = if chown(&path, Some(65534), None).is_ok() { 65534 } else { fs::metadata(&path).unwrap().uid() };
        rotate_key_file(&link).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!((fs::metadata(&path).unwrap().uid(), versions(&link).len()), (owner, 2));
    }

    #[cfg(unix)]
    #[test]
    fn a_file_open_to_others_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        generate_key_file(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        for mode in [0o604, 0o660, 0o420, 0o610, 0o444] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = KeyFileSource::new(&path).load().unwrap_err().to_string();
            assert!(error.contains(&format!("not {mode:04o}")), "{error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_group_of_this_process_may_read_a_file_and_any_other_may_not() {
        use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        generate_key_file(&path).unwrap();
        for mode in [0o440, 0o640, 0o400] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            KeyFileSource::new(&path).load().unwrap();
            rotate_key_file(&path).unwrap();
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, mode, "all who could read it still can");
        }
        // Only an administrator can give a file to a group that they are not in.
        if chown(&path, None, Some(65_533)).is_ok() {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o440)).unwrap();
            assert!(matches!(KeyFileSource::new(&path).load(), Err(KeyError::TooOpen { .. })));
            fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
            KeyFileSource::new(&path).load().unwrap();
        }
    }
}

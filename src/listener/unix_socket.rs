//! Unix sockets: bound, shared by the workers, and removed at the end.
//!
//! A connection goes on as a byte stream like any other, so that there is one way for requests; the kernel says which
//! user is at its other end.

use std::fs::{self, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener as StdUnixListener, UnixStream as StdUnixStream};
use std::path::{Path, PathBuf};

use tokio::net::{TcpStream, UnixStream};

/// Owner and group may connect.
const MODE: u32 = 0o660;

/// A socket's file, removed when this is dropped.
#[derive(Debug)]
pub struct UnixSocketFile(PathBuf);

impl Drop for UnixSocketFile {
    fn drop(&mut self) {
        // What cannot be removed is replaced at the next start.
        let _ = fs::remove_file(&self.0);
    }
}

/// Binds a socket, once for each worker. One that a dead process has left is replaced.
///
/// # Errors
/// [`io::ErrorKind::AddrInUse`] where a process listens on it, or another file is in its place.
pub fn bind_unix(path: &Path, workers: usize) -> io::Result<(UnixSocketFile, Vec<StdUnixListener>)> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => return Err(io::ErrorKind::AddrInUse.into()),
        Ok(_) => match StdUnixStream::connect(path) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path)?,
            Err(error) => return Err(error),
            Ok(_) => return Err(io::ErrorKind::AddrInUse.into()),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    // Until its mode is set, no more may connect than the process's mask lets, which by default is the owner alone.
    let first = StdUnixListener::bind(path)?;
    let file = UnixSocketFile(path.to_owned());
    fs::set_permissions(path, Permissions::from_mode(MODE))?;
    first.set_nonblocking(true)?;
    let mut sockets = vec![first];
    while let Some(first) = sockets.first().filter(|_| sockets.len() < workers) {
        let another = first.try_clone()?;
        sockets.push(another);
    }
    Ok((file, sockets))
}

/// A connection as a byte stream, and the user at its other end.
pub(super) fn as_stream(stream: UnixStream) -> io::Result<(TcpStream, u32)> {
    let user = stream.peer_cred()?.uid();
    let descriptor = OwnedFd::from(stream.into_std()?);
    Ok((TcpStream::from_std(descriptor.into())?, user))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_of_a_dead_process_is_replaced_and_one_in_use_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("egress.sock");
        let (file, sockets) = bind_unix(&path, 3).expect("bound");
        assert_eq!(sockets.len(), 3);
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, MODE);
        let kind = |bound: io::Result<(UnixSocketFile, Vec<StdUnixListener>)>| bound.err().map(|error| error.kind());
        assert_eq!(kind(bind_unix(&path, 1)), Some(io::ErrorKind::AddrInUse));
        // As a killed process leaves it.
        std::mem::forget(file);
        drop(sockets);
        assert!(path.exists());
        let again = bind_unix(&path, 1).expect("replaced");
        drop(again);
        assert!(!path.exists(), "removed at the end");
        fs::write(&path, "notes").expect("written");
        assert_eq!(kind(bind_unix(&path, 1)), Some(io::ErrorKind::AddrInUse));
        assert_eq!(fs::read_to_string(&path).expect("there"), "notes");
    }
}

//! The salt of one vendor: destroying it ends every token ever made for that vendor, whatever keys still exist.
//!
//! Lives outside the key file and outside the state database, whose copy-on-write pages would keep what was deleted. A backup
//! that holds a salt undoes its destruction: back up key files and salts apart.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::KeyError;
use super::file::{failed, read_private, sync_folder, write_new};
use super::master::{parse_key, random};
use crate::model::VendorId;

/// Thirty-two random bytes that belong to one vendor.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct VendorSalt([u8; 32]);

impl VendorSalt {
    /// A new salt from the system's generator.
    ///
    /// # Errors
    /// [`KeyError::Random`] when the system has no randomness to give.
    pub fn generate() -> Result<Self, KeyError> {
        random().map(Self)
    }

    /// Takes a salt that a store kept.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Lends the bytes to a store that keeps them.
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for VendorSalt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VendorSalt")
    }
}

/// A folder with one file a vendor, mode 0600.
#[derive(Debug, Clone)]
pub struct SaltFolder(PathBuf);

impl SaltFolder {
    /// Names the folder; it is made when the first salt is.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The vendor's salt, made now if there is none. Two gateways that start at once on one folder get the same.
    ///
    /// # Errors
    /// [`KeyError`] when the file cannot be read or made; a damaged one is never replaced.
    pub fn open_or_create(&self, vendor: &VendorId) -> Result<VendorSalt, KeyError> {
        let path = self.path_of(vendor);
        if !path.exists() {
            fs::create_dir_all(&self.0).map_err(failed("create", &self.0))?;
            let salt = VendorSalt::generate()?;
            let text = Zeroizing::new(STANDARD.encode(salt.expose()) + "\n");
            let beside = self.0.join(format!("{vendor}.salt.{}", std::process::id()));
            write_new(&beside, text.as_bytes())?;
            // A link never replaces: who comes second finds the first one's salt.
            let linked = fs::hard_link(&beside, &path);
            fs::remove_file(&beside).map_err(failed("remove", &beside))?;
            match linked {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(failed("create", &path)(error));
                }
                Ok(()) | Err(_) => sync_folder(&path)?,
            }
        }
        let key = parse_key(read_private(&path)?.trim());
        key.map(|key| VendorSalt(*key.bytes()))
            .ok_or(KeyError::Line { line: 1, what: "of a salt must be 32 bytes in base64" })
    }

    /// Destroys the vendor's salt: overwritten, then removed. Whether there was one.
    ///
    /// Keys that a running gateway holds are unaffected until it reloads.
    ///
    /// # Errors
    /// [`KeyError::File`]; the salt must then be taken as still there.
    pub fn shred(&self, vendor: &VendorId) -> Result<bool, KeyError> {
        let path = self.path_of(vendor);
        let mut file = match OpenOptions::new().write(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(failed("open", &path)(error)),
        };
        file.write_all(&[0; 64]).and_then(|()| file.sync_all()).map_err(failed("overwrite", &path))?;
        fs::remove_file(&path).map_err(failed("remove", &path))?;
        sync_folder(&path)?;
        Ok(true)
    }

    /// A vendor's id is a DNS label, so it is a safe file name.
    fn path_of(&self, vendor: &VendorId) -> PathBuf {
        self.0.join(format!("{vendor}.salt"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_salt_is_made_once_and_shredded_for_good() {
        let folder = tempfile::tempdir().unwrap();
        let salts = SaltFolder::new(folder.path().join("salts"));
        let [acme, other] = ["acme", "other"].map(|name| VendorId::parse(name).unwrap());
        let first = salts.open_or_create(&acme).unwrap();
        assert_eq!(first.expose(), salts.open_or_create(&acme).unwrap().expose());
        assert_ne!(first.expose(), salts.open_or_create(&other).unwrap().expose());
        assert_eq!(fs::read_dir(folder.path().join("salts")).unwrap().count(), 2);
        assert!(salts.shred(&acme).unwrap());
        assert!(!salts.shred(&acme).unwrap());
        assert_ne!(first.expose(), salts.open_or_create(&acme).unwrap().expose());
    }

    #[test]
    fn a_damaged_salt_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let salts = SaltFolder::new(folder.path());
        let vendor = VendorId::parse("acme").unwrap();
        write_new(&folder.path().join("acme.salt"), b"").unwrap();
        assert!(salts.open_or_create(&vendor).is_err());
        assert_eq!(fs::read(folder.path().join("acme.salt")).unwrap(), b"");
    }
}

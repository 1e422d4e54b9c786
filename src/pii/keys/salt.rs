//! The salt of one vendor. Destroying it makes every token of that vendor unreadable, also where master keys still
//! exist.
//!
//! Salts are not in the key file, and not in the state database, whose copy-on-write pages would keep deleted bytes. A
//! backup with a salt in it undoes the destruction, so back up key files and salts separately.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::KeyError;
use super::file::{file_error, read_private, sync_folder, write_new};
use super::master::{parse_key, random_bytes};
use crate::model::VendorId;

/// Thirty-two random bytes that belong to one vendor.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct VendorSalt([u8; 32]);

impl VendorSalt {
    /// A new salt from the operating system's random generator.
    ///
    /// # Errors
    /// [`KeyError::Random`] when the generator fails.
    pub fn generate() -> Result<Self, KeyError> {
        random_bytes().map(Self)
    }

    /// A salt of these bytes, which must be random and stored.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A digest that identifies this salt and reveals nothing about it.
    fn fingerprint(&self) -> String {
        let digest = blake3::derive_key("vendorgate 2026 salt mark", &self.0);
        digest[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The bytes, for storing them.
    pub(crate) const fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for VendorSalt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VendorSalt")
    }
}

/// A folder with two files for each vendor, of mode 0600: its salt, and a fingerprint of the salt.
///
/// The fingerprint shows that a salt was lost, damaged or replaced, and not just never created. A new salt in place of
/// a lost one would silently make all tokens of the vendor unreadable, and its hashes different.
#[derive(Debug, Clone)]
pub struct SaltFolder(PathBuf);

impl SaltFolder {
    /// The folder at this path, which is created with the first salt.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The path of the folder.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The salt of a vendor.
    ///
    /// # Errors
    /// [`KeyError::NoSalt`] when none was created yet, [`KeyError::SaltLost`], [`KeyError::SaltChanged`],
    /// [`KeyError::File`].
    pub fn open(&self, vendor: &VendorId) -> Result<VendorSalt, KeyError> {
        let path = self.salt_path(vendor);
        let fingerprint = self.stored_fingerprint(vendor)?;
        if !path.exists() {
            let folder = self.0.clone();
            return Err(match fingerprint {
                Some(_) => KeyError::SaltLost { vendor: vendor.clone(), path },
                None => KeyError::NoSalt { vendor: vendor.clone(), folder },
            });
        }
        let salt = parse_key(read_private(&path)?.trim()).map(|key| VendorSalt(*key.bytes()));
        let fits =
            |salt: &VendorSalt| fingerprint.as_ref().is_none_or(|fingerprint| *fingerprint == salt.fingerprint());
        salt.filter(fits).ok_or(KeyError::SaltChanged { vendor: vendor.clone(), path })
    }

    /// The salt of a vendor, created now if it never had one. Two processes that do this at the same time get the same
    /// salt.
    ///
    /// Also completes what a crash interrupted: a salt that was being destroyed is destroyed, and one without a
    /// fingerprint gets it.
    ///
    /// # Errors
    /// [`KeyError`] when the salt cannot be read or created. A salt that is lost or damaged is never replaced.
    pub fn open_or_create(&self, vendor: &VendorId) -> Result<VendorSalt, KeyError> {
        self.finish_shred(vendor)?;
        if let Err(KeyError::NoSalt { .. }) = self.open(vendor) {
            fs::create_dir_all(&self.0).map_err(file_error("create", &self.0))?;
            let text = Zeroizing::new(STANDARD.encode(VendorSalt::generate()?.expose()) + "\n");
            self.write_once(&self.salt_path(vendor), text.as_bytes())?;
        }
        let salt = self.open(vendor)?;
        self.write_once(&self.fingerprint_path(vendor), salt.fingerprint().as_bytes())?;
        Ok(salt)
    }

    /// Destroys the salt of a vendor. Returns whether the vendor had one, including one that was lost.
    ///
    /// The salt is renamed first and then overwritten. Once renamed it counts as destroyed, also when a crash comes
    /// before it is overwritten. Keys that are already derived from it stay in memory until they are dropped.
    ///
    /// # Errors
    /// [`KeyError::File`]: assume then that the salt still exists.
    pub fn shred(&self, vendor: &VendorId) -> Result<bool, KeyError> {
        let path = self.salt_path(vendor);
        let had_fingerprint = self.fingerprint_path(vendor).exists();
        let existed = match fs::rename(&path, self.shredding_path(vendor)) {
            Ok(()) => {
                sync_folder(&path)?;
                true
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(file_error("rename", &path)(error)),
        };
        let was_interrupted = self.finish_shred(vendor)?;
        if !existed {
            // The salt file was already missing: remove the fingerprint, to record that the salt is now gone on
            // purpose.
            self.remove(&self.fingerprint_path(vendor))?;
        }
        Ok(existed || had_fingerprint || was_interrupted)
    }

    /// Whether a crash has interrupted the destruction of the vendor's salt.
    pub(crate) fn is_half_shredded(&self, vendor: &VendorId) -> bool {
        self.shredding_path(vendor).exists()
    }

    /// Overwrites and removes a salt that has been renamed to be destroyed. Returns whether there was one.
    fn finish_shred(&self, vendor: &VendorId) -> Result<bool, KeyError> {
        let path = self.shredding_path(vendor);
        let mut file = match OpenOptions::new().write(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(file_error("open", &path)(error)),
        };
        // Remove the fingerprint first: while the salt exists under this name, the next call repeats all that follows.
        self.remove(&self.fingerprint_path(vendor))?;
        file.write_all(&[0; 64]).and_then(|()| file.sync_all()).map_err(file_error("overwrite", &path))?;
        self.remove(&path)?;
        Ok(true)
    }

    /// Removes a file if it exists, and syncs its folder.
    fn remove(&self, path: &Path) -> Result<(), KeyError> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(file_error("remove", path)(error)),
            Ok(()) => sync_folder(path),
            Err(_) => Ok(()),
        }
    }

    /// Creates a file with all of its bytes at once, unless it exists.
    fn write_once(&self, path: &Path, bytes: &[u8]) -> Result<(), KeyError> {
        if path.exists() {
            return Ok(());
        }
        let number = u64::from_le_bytes(*random_bytes()?.first_chunk().unwrap_or(&[0; 8]));
        let beside = path.with_extension(format!("{number:016x}"));
        write_new(&beside, bytes)?;
        // A hard link never replaces a file: of two processes, the second keeps the file of the first.
        let linked = fs::hard_link(&beside, path);
        self.remove(&beside)?;
        match linked {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(file_error("create", path)(error)),
            Ok(()) | Err(_) => sync_folder(path),
        }
    }

    fn stored_fingerprint(&self, vendor: &VendorId) -> Result<Option<String>, KeyError> {
        let path = self.fingerprint_path(vendor);
        match fs::read_to_string(&path) {
            Ok(fingerprint) => Ok(Some(fingerprint)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(file_error("read", &path)(error)),
        }
    }

    /// The id of a vendor is a DNS label, so it is a safe file name.
    fn salt_path(&self, vendor: &VendorId) -> PathBuf {
        self.0.join(format!("{vendor}.salt"))
    }

    fn fingerprint_path(&self, vendor: &VendorId) -> PathBuf {
        self.0.join(format!("{vendor}.mark"))
    }

    fn shredding_path(&self, vendor: &VendorId) -> PathBuf {
        self.0.join(format!("{vendor}.shredded"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn salts() -> (tempfile::TempDir, SaltFolder, VendorId) {
        let folder = tempfile::tempdir().unwrap();
        let salts = SaltFolder::new(folder.path().join("salts"));
        (folder, salts, VendorId::parse("acme").unwrap())
    }

    fn files(salts: &SaltFolder) -> Vec<String> {
        let entries = fs::read_dir(&salts.0).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = entries.collect();
        names.sort();
        names
    }

    #[test]
    fn a_salt_is_created_once_and_never_comes_back_after_it_is_destroyed() {
        let (_folder, salts, acme) = salts();
        let other = VendorId::parse("other").unwrap();
        assert!(matches!(salts.open(&acme), Err(KeyError::NoSalt { .. })));
        let first = salts.open_or_create(&acme).unwrap();
        for again in [salts.open_or_create(&acme), salts.open(&acme)] {
            assert_eq!(first.expose(), again.unwrap().expose());
        }
        assert_ne!(first.expose(), salts.open_or_create(&other).unwrap().expose());
        assert_eq!(files(&salts), ["acme.mark", "acme.salt", "other.mark", "other.salt"]);
        assert!(salts.shred(&acme).unwrap());
        assert!(!salts.shred(&acme).unwrap());
        assert_eq!(files(&salts), ["other.mark", "other.salt"]);
        assert_ne!(first.expose(), salts.open_or_create(&acme).unwrap().expose());
    }

    #[test]
    fn a_lost_salt_is_replaced_only_after_it_is_destroyed_on_purpose() {
        let (_folder, salts, acme) = salts();
        let lost = salts.open_or_create(&acme).unwrap();
        fs::remove_file(salts.salt_path(&acme)).unwrap();
        for _ in 0..2 {
            let error = salts.open_or_create(&acme).unwrap_err().to_string();
            assert!(error.contains("backup") && error.contains("'vendorgate keys shred acme'"), "{error}");
            assert_eq!(files(&salts), ["acme.mark"]);
        }
        assert!(salts.shred(&acme).unwrap());
        assert_ne!(lost.expose(), salts.open_or_create(&acme).unwrap().expose());
    }

    #[test]
    fn a_salt_that_is_damaged_or_replaced_is_not_used() {
        let (_folder, salts, acme) = salts();
        let good = salts.open_or_create(&acme).unwrap();
        let path = salts.salt_path(&acme);
        let whole = fs::read(&path).unwrap();
        let another = STANDARD.encode([7, 8].repeat(16));
        for damage in [&b""[..], &whole[1..], another.as_bytes(), &[0; 64]] {
            fs::write(&path, damage).unwrap();
            assert!(matches!(salts.open_or_create(&acme), Err(KeyError::SaltChanged { .. })));
            assert_eq!(fs::read(&path).unwrap(), damage, "a damaged file is not overwritten, since it may be repaired");
        }
        fs::write(&path, &whole).unwrap();
        assert_eq!(good.expose(), salts.open_or_create(&acme).unwrap().expose());
    }

    #[test]
    fn after_a_crash_the_salt_is_the_old_one_or_destroyed() {
        let (_folder, salts, acme) = salts();
        let old = salts.open_or_create(&acme).unwrap();
        let whole = fs::read(salts.salt_path(&acme)).unwrap();
        // A crash while it was created: the salt exists, its fingerprint does not.
        fs::remove_file(salts.fingerprint_path(&acme)).unwrap();
        assert_eq!(old.expose(), salts.open_or_create(&acme).unwrap().expose());
        assert!(salts.fingerprint_path(&acme).exists());
        // A crash while it was destroyed: renamed, with a fingerprint or without, overwritten or not.
        for (has_fingerprint, shredded) in [(true, &whole[..]), (false, &whole), (false, &[0; 64])] {
            let fingerprint = salts.open_or_create(&acme).unwrap().fingerprint();
            fs::remove_file(salts.salt_path(&acme)).unwrap();
            fs::remove_file(salts.fingerprint_path(&acme)).unwrap();
            write_new(&salts.shredding_path(&acme), shredded).unwrap();
            if has_fingerprint {
                fs::write(salts.fingerprint_path(&acme), fingerprint).unwrap();
            }
            assert_ne!(old.expose(), salts.open_or_create(&acme).unwrap().expose());
            assert_eq!(files(&salts), ["acme.mark", "acme.salt"]);
        }
    }

    #[cfg(unix)]
    #[test]
    fn the_files_of_a_salt_are_readable_by_their_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let (_folder, salts, acme) = salts();
        salts.open_or_create(&acme).unwrap();
        for path in [salts.salt_path(&acme), salts.fingerprint_path(&acme)] {
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        fs::set_permissions(salts.salt_path(&acme), fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(salts.open_or_create(&acme), Err(KeyError::TooOpen { .. })));
    }
}

//! The salt of one vendor: destroying it ends every token ever made for that vendor, whatever keys still exist.
//!
//! Lives outside the key file and outside the state database, whose copy-on-write pages would keep what was deleted. A backup
//! that holds a salt undoes its destruction: back up key files and salts apart.

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
    /// A new salt from the system's generator.
    ///
    /// # Errors
    /// [`KeyError::Random`] when the system has no randomness to give.
    pub fn generate() -> Result<Self, KeyError> {
        random_bytes().map(Self)
    }

    /// Takes a salt that a store kept.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// What tells this salt from others without telling anything of it.
    fn fingerprint(&self) -> String {
        let digest = blake3::derive_key("vendorgate 2026 salt mark", &self.0);
        digest[..8].iter().map(|byte| format!("{byte:02x}")).collect()
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

/// A folder with two files a vendor, mode 0600: its salt, and a mark that tells that there is one and which.
///
/// The mark is a digest of the salt, so that one that was lost, damaged or mixed up is told from one that was never made:
/// made anew in silence, it would end all of the vendor's tokens and the equality of its hashes.
#[derive(Debug, Clone)]
pub struct SaltFolder(PathBuf);

impl SaltFolder {
    /// Names the folder; it is made when the first salt is.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The vendor's salt.
    ///
    /// # Errors
    /// [`KeyError::NoSalt`] where none was made yet, [`KeyError::SaltLost`], [`KeyError::SaltChanged`], [`KeyError::File`].
    pub fn open(&self, vendor: &VendorId) -> Result<VendorSalt, KeyError> {
        let path = self.salt_path(vendor);
        let mark = self.stored_fingerprint(vendor)?;
        if !path.exists() {
            let folder = self.0.clone();
            return Err(match mark {
                Some(_) => KeyError::SaltLost { vendor: vendor.clone(), path },
                None => KeyError::NoSalt { vendor: vendor.clone(), folder },
            });
        }
        let salt = parse_key(read_private(&path)?.trim()).map(|key| VendorSalt(*key.bytes()));
        let fits = |salt: &VendorSalt| mark.as_ref().is_none_or(|mark| *mark == salt.fingerprint());
        salt.filter(fits).ok_or(KeyError::SaltChanged { vendor: vendor.clone(), path })
    }

    /// The vendor's salt, made now if it never had one. Two gateways that start at once on one folder get the same.
    ///
    /// Also ends what a crash interrupted: a salt that was being destroyed is gone, and one without its mark gets it.
    ///
    /// # Errors
    /// [`KeyError`] when the salt cannot be read or made; one that is lost or damaged is never replaced.
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

    /// Destroys the vendor's salt. Whether there was one, or one that was lost.
    ///
    /// From the moment that the salt has another name it counts as destroyed, also when a crash keeps it from being
    /// overwritten at once. Keys that a running gateway holds are unaffected until it reloads.
    ///
    /// # Errors
    /// [`KeyError::File`]; the salt must then be taken as still there.
    pub fn shred(&self, vendor: &VendorId) -> Result<bool, KeyError> {
        let path = self.salt_path(vendor);
        let was_marked = self.fingerprint_path(vendor).exists();
        let was_there = match fs::rename(&path, self.shredding_path(vendor)) {
            Ok(()) => {
                sync_folder(&path)?;
                true
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(file_error("rename", &path)(error)),
        };
        let was_doomed = self.finish_shred(vendor)?;
        if !was_there {
            // One that was lost: from now on it is meant to be gone.
            self.remove(&self.fingerprint_path(vendor))?;
        }
        Ok(was_there || was_marked || was_doomed)
    }

    /// Whether a salt of the vendor is half destroyed, as a crash leaves it.
    pub fn is_half_shredded(&self, vendor: &VendorId) -> bool {
        self.shredding_path(vendor).exists()
    }

    /// Overwrites and removes a salt that is to be destroyed. Whether there was one.
    fn finish_shred(&self, vendor: &VendorId) -> Result<bool, KeyError> {
        let path = self.shredding_path(vendor);
        let mut file = match OpenOptions::new().write(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(file_error("open", &path)(error)),
        };
        // As long as the salt is there under this name, the next try comes by here again.
        self.remove(&self.fingerprint_path(vendor))?;
        file.write_all(&[0; 64]).and_then(|()| file.sync_all()).map_err(file_error("overwrite", &path))?;
        self.remove(&path)?;
        Ok(true)
    }

    /// Removes a file for good, if it is there.
    fn remove(&self, path: &Path) -> Result<(), KeyError> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(file_error("remove", path)(error)),
            Ok(()) => sync_folder(path),
            Err(_) => Ok(()),
        }
    }

    /// Puts a file there whole, unless there is one.
    fn write_once(&self, path: &Path, bytes: &[u8]) -> Result<(), KeyError> {
        if path.exists() {
            return Ok(());
        }
        let number = u64::from_le_bytes(*random_bytes()?.first_chunk().unwrap_or(&[0; 8]));
        let beside = path.with_extension(format!("{number:016x}"));
        write_new(&beside, bytes)?;
        // A link never replaces: who comes second finds the first one's.
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
            Ok(mark) => Ok(Some(mark)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(file_error("read", &path)(error)),
        }
    }

    /// A vendor's id is a DNS label, so it is a safe file name.
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
    fn a_salt_is_made_once_and_shredded_for_good() {
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
    fn a_salt_that_is_lost_is_not_made_anew_unless_its_end_is_meant() {
        let (_folder, salts, acme) = salts();
        let lost = salts.open_or_create(&acme).unwrap();
        fs::remove_file(salts.salt_path(&acme)).unwrap();
        for _ in 0..2 {
            let told = salts.open_or_create(&acme).unwrap_err().to_string();
            assert!(told.contains("backup") && told.contains("'vendorgate keys shred acme'"), "{told}");
            assert_eq!(files(&salts), ["acme.mark"]);
        }
        assert!(salts.shred(&acme).unwrap());
        assert_ne!(lost.expose(), salts.open_or_create(&acme).unwrap().expose());
    }

    #[test]
    fn a_salt_that_is_damaged_or_another_one_is_not_used() {
        let (_folder, salts, acme) = salts();
        let good = salts.open_or_create(&acme).unwrap();
        let path = salts.salt_path(&acme);
        let whole = fs::read(&path).unwrap();
        let another = STANDARD.encode([7, 8].repeat(16));
        for damage in [&b""[..], &whole[1..], another.as_bytes(), &[0; 64]] {
            fs::write(&path, damage).unwrap();
            assert!(matches!(salts.open_or_create(&acme), Err(KeyError::SaltChanged { .. })));
            assert_eq!(fs::read(&path).unwrap(), damage, "what may be saved is not written over");
        }
        fs::write(&path, &whole).unwrap();
        assert_eq!(good.expose(), salts.open_or_create(&acme).unwrap().expose());
    }

    #[test]
    fn after_a_crash_the_salt_is_the_old_one_or_gone() {
        let (_folder, salts, acme) = salts();
        let old = salts.open_or_create(&acme).unwrap();
        let whole = fs::read(salts.salt_path(&acme)).unwrap();
        // While it was made: the salt is there, its mark is not.
        fs::remove_file(salts.fingerprint_path(&acme)).unwrap();
        assert_eq!(old.expose(), salts.open_or_create(&acme).unwrap().expose());
        assert!(salts.fingerprint_path(&acme).exists());
        // While it was destroyed: renamed, with its mark or without, overwritten or not.
        for (marked, doomed) in [(true, &whole[..]), (false, &whole), (false, &[0; 64])] {
            let mark = salts.open_or_create(&acme).unwrap().fingerprint();
            fs::remove_file(salts.salt_path(&acme)).unwrap();
            fs::remove_file(salts.fingerprint_path(&acme)).unwrap();
            write_new(&salts.shredding_path(&acme), doomed).unwrap();
            if marked {
                fs::write(salts.fingerprint_path(&acme), mark).unwrap();
            }
            assert_ne!(old.expose(), salts.open_or_create(&acme).unwrap().expose());
            assert_eq!(files(&salts), ["acme.mark", "acme.salt"]);
        }
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_may_read_it() {
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

//! Keys: from a master key in a file to one key per vendor, class and algorithm.
//!
//! `HKDF-SHA-256(salt = the vendor's, key = the master key, info = vendorgate|v1|vendor|class|algorithm|version)` (RFC 5869), all of it
//! at config load: no key is derived per value. The salt is random and belongs to one vendor, so destroying it ends all of that
//! vendor's tokens and no one else's. Keys are wiped when dropped, and nothing here can be printed.

mod error;
mod file;
mod master;
mod salt;
mod source;
mod vendor;

pub use error::KeyError;
pub use file::{generate_key_file, rotate_key_file};
pub use master::{KeyRing, KeyState, KeyVersion, MasterKey};
pub use salt::{SaltFolder, VendorSalt};
pub use source::{EnvironmentSource, FileSource, MasterKeySource};
pub(super) use vendor::ClassKeys;
pub use vendor::VendorKeys;

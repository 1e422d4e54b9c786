//! Keys: from a master key in a file to one key for each vendor, class and algorithm.
//!
//! A key is `HKDF-SHA-256(salt, master key, info)` (RFC 5869), where `salt` is the vendor's [`VendorSalt`] and `info`
//! is `vendorgate|v1|vendor|class|algorithm|version`. All keys are derived when a config is loaded, and none for a
//! value. A salt is random and belongs to one vendor, so that destroying it makes all tokens of that vendor unreadable,
//! and of no other. Keys are wiped when dropped, and `Debug` never prints one.

mod error;
mod file;
mod master;
mod salt;
mod source;
mod vendor;

pub use error::KeyError;
pub(crate) use file::is_open_to_others;
pub use file::{generate_key_file, rotate_key_file};
use master::KeyState;
pub use master::{KeyVersion, MasterKey, MasterKeys};
pub use salt::{SaltFolder, VendorSalt};
pub use source::{EnvironmentKeySource, KeyFileSource, MasterKeySource};
pub(super) use vendor::ClassKeys;
pub use vendor::VendorKeys;

#[cfg(test)]
mod tests {
    use zeroize::{Zeroize, ZeroizeOnDrop};

    use super::*;
    use crate::pii::{prf::Prf, siv::SivHeader};

    fn is_wiped<T: ZeroizeOnDrop>() {}

    /// Does not compile when one of them is no longer wiped.
    #[test]
    fn keys_are_wiped_when_dropped() {
        is_wiped::<MasterKey>();
        is_wiped::<VendorSalt>();
        is_wiped::<vendor::FormatKey>();
        is_wiped::<Prf>();
        is_wiped::<SivHeader>();
        is_wiped::<aes::Aes256Enc>();
        let mut key = MasterKey::from_bytes([42; 32]);
        key.zeroize();
        assert_eq!(key.bytes(), &[0; 32]);
    }
}

//! All keys of one vendor, derived and expanded: what treatments and reveals work with.

use std::collections::BTreeSet;
use std::fmt;

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{KeyState, KeyVersion, MasterKey, MasterKeys, VendorSalt};
use crate::model::VendorId;
use crate::pii::prf::Prf;
use crate::pii::rule::TokenClass;
use crate::pii::siv::Siv256;
use crate::pii::token::{ParsedToken, TokenError, TokenKey, TokenKind, key_code, vendor_tag};

/// The keys of one vendor for the classes of its contract, under every key version that is not revoked.
///
/// Costs about 2 KiB a class and version; made at config load, shared by `Arc`, wiped on drop.
pub struct VendorKeys {
    vendor: VendorId,
    tag: u32,
    active: KeyVersion,
    /// Sorted by class.
    classes: Vec<ClassKeys>,
    /// Every key that opens, sorted by the code that tokens carry. Two classes can share a code: both are tried.
    opening_keys: Vec<(u32, TokenKey)>,
}

/// What the active version does for one class.
pub(in crate::pii) struct ClassKeys {
    pub(in crate::pii) class: TokenClass,
    pub(in crate::pii) token: TokenKey,
    pub(in crate::pii) hash: Prf,
    pub(in crate::pii) version: KeyVersion,
    /// The key of format-preserving encryption, expanded by each rule that uses it.
    pub(in crate::pii) format: FormatKey,
}

/// The key bytes of AES-256 for FF1.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(in crate::pii) struct FormatKey(pub(in crate::pii) [u8; 32]);

impl MasterKeys {
    /// Derives the keys of one vendor.
    ///
    /// `classes` are all that its contract names, in either direction: a token of a class that is not among them is not opened.
    pub fn vendor_keys(
        &self,
        vendor: &VendorId,
        salt: &VendorSalt,
        classes: impl IntoIterator<Item = TokenClass>,
    ) -> VendorKeys {
        let names: BTreeSet<TokenClass> = classes.into_iter().collect();
        let mut keys = VendorKeys {
            vendor: vendor.clone(),
            tag: vendor_tag(vendor.as_str()),
            active: self.active_version(),
            classes: Vec::with_capacity(names.len()),
            opening_keys: Vec::new(),
        };
        for (version, state, master) in self.keys() {
            let derive = KeyDerivation::new(master, salt, vendor, *version);
            match state {
                KeyState::Revoked => continue,
                KeyState::Active => keys.classes.extend(names.iter().map(|class| derive.class(class))),
                KeyState::Read => {}
            }
            let opener = |class: &TokenClass| (key_code(class.as_str(), version.number()), derive.token(class));
            keys.opening_keys.extend(names.iter().map(opener));
        }
        keys.opening_keys.sort_by_key(|(code, _)| *code);
        keys
    }
}

impl VendorKeys {
    /// Whose keys these are.
    pub const fn vendor(&self) -> &VendorId {
        &self.vendor
    }

    /// The version under which new tokens are made.
    pub const fn active_version(&self) -> KeyVersion {
        self.active
    }

    /// The token of a text, as [`super::super::Treatment::Tokenize`] makes it. `None` when the class is not one of these keys'.
    pub fn tokenize(&self, class: &TokenClass, value: &[u8], out: &mut Vec<u8>) -> Option<()> {
        self.classes[self.class_index(class)?].token.seal(TokenKind::Text, value, out);
        Some(())
    }

    /// Opens one whole token: appends its value, or leaves `out` as it was.
    ///
    /// # Errors
    /// [`TokenError`], to be counted and never told to whoever sent the token.
    pub fn open(&self, token: &[u8], out: &mut Vec<u8>) -> Result<TokenKind, TokenError> {
        let parsed = ParsedToken::at_start(token)?;
        if parsed.length() == token.len() { self.open_parsed(&parsed, out) } else { Err(TokenError::Malformed) }
    }

    pub(in crate::pii) fn open_parsed(
        &self,
        token: &ParsedToken<'_>,
        out: &mut Vec<u8>,
    ) -> Result<TokenKind, TokenError> {
        if token.vendor_tag != self.tag {
            return Err(TokenError::Foreign);
        }
        let first = self.opening_keys.partition_point(|(code, _)| *code < token.key_code);
        let mut result = Err(TokenError::UnknownKey);
        for (_, key) in self.opening_keys[first..].iter().take_while(|(code, _)| *code == token.key_code) {
            result = key.open(token.kind, token.payload, out).map(|()| token.kind);
            if result.is_ok() {
                break;
            }
        }
        result
    }

    /// A class's place in [`VendorKeys::classes`].
    pub(in crate::pii) fn class_index(&self, class: &TokenClass) -> Option<usize> {
        self.classes.binary_search_by(|keys| keys.class.cmp(class)).ok()
    }

    pub(in crate::pii) fn classes(&self) -> &[ClassKeys] {
        &self.classes
    }
}

impl fmt::Debug for VendorKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VendorKeys of {}", self.vendor)
    }
}

/// One vendor under one master key: the extracted key from which classes are expanded.
struct KeyDerivation<'a> {
    hkdf: Hkdf<Sha256>,
    vendor: &'a str,
    version: KeyVersion,
}

impl<'a> KeyDerivation<'a> {
    fn new(master: &MasterKey, salt: &VendorSalt, vendor: &'a VendorId, version: KeyVersion) -> Self {
        Self { hkdf: Hkdf::new(Some(salt.expose()), master.bytes()), vendor: vendor.as_str(), version }
    }

    fn class(&self, class: &TokenClass) -> ClassKeys {
        ClassKeys {
            class: class.clone(),
            token: self.token(class),
            hash: Prf::new(&*self.expand(class, "hmac-sha-256")),
            version: self.version,
            format: FormatKey(*self.expand(class, "ff1-aes-256")),
        }
    }

    fn token(&self, class: &TokenClass) -> TokenKey {
        let [mac, ctr] = ["aes-256-siv-mac", "aes-256-siv-ctr"].map(|half| self.expand(class, half));
        let siv = Siv256::new(&mac, &ctr);
        TokenKey::new(siv, self.vendor, class.as_str(), self.version.number())
    }

    /// `|` is in no vendor's id and no class, so no two infos are equal.
    fn expand(&self, class: &TokenClass, algorithm: &str) -> Zeroizing<[u8; 32]> {
        let info = format!("vendorgate|v1|{}|{}|{algorithm}|{}", self.vendor, class.as_str(), self.version.number());
        let mut key = Zeroizing::new([0; 32]);
        self.hkdf.expand(info.as_bytes(), &mut *key).expect("one block is always there (RFC 5869 section 2.3)");
        key
    }
}

#[cfg(test)]
mod tests {
    use aes_siv::KeyInit;
    use aes_siv::siv::Aes256Siv;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use proptest::prelude::*;

    use super::*;

    fn class(name: &str) -> TokenClass {
        TokenClass::parse(name).unwrap()
    }

    fn keys(ring: &MasterKeys, vendor: &str, salt: u8) -> VendorKeys {
        let vendor = VendorId::parse(vendor).unwrap();
        ring.vendor_keys(&vendor, &VendorSalt::from_bytes([salt; 32]), ["email", "name"].map(class))
    }

    fn ring() -> MasterKeys {
        MasterKeys::from_key(MasterKey::from_bytes([42; 32]))
    }

    fn token(keys: &VendorKeys, name: &str, value: &str) -> Vec<u8> {
        let mut out = Vec::new();
        keys.tokenize(&class(name), value.as_bytes(), &mut out).unwrap();
        out
    }

    fn open(keys: &VendorKeys, token: &[u8]) -> Result<String, TokenError> {
        let mut out = Vec::new();
        keys.open(token, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn rfc_5869_test_case_1() {
        let salt: Vec<u8> = (0..=0x0c).collect();
        let info: Vec<u8> = (0xf0..=0xf9).collect();
        let mut key = [0; 42];
        Hkdf::<Sha256>::new(Some(&salt), &[0x0b; 22]).expand(&info, &mut key).unwrap();
        let hex: String = key.iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
    }

    /// The whole recipe once more, out of other crates; and its result, which no change may alter: tokens outlive releases.
    #[test]
    fn the_derivation_is_a_promise() {
        let hkdf = Hkdf::<Sha256>::new(Some(&[1; 32]), &[42; 32]);
        let mut key = [0; 64];
        let (mac, ctr) = key.split_at_mut(32);
        hkdf.expand(b"vendorgate|v1|acme|email|aes-256-siv-mac|1", mac).unwrap();
        hkdf.expand(b"vendorgate|v1|acme|email|aes-256-siv-ctr|1", ctr).unwrap();
        let sealed =
            Aes256Siv::new_from_slice(&key).unwrap().encrypt([b"tok1|acme|email|1|d"], b"a@b.example").unwrap();
        let made = String::from_utf8(token(&keys(&ring(), "acme", 1), "email", "a@b.example")).unwrap();
        assert_eq!(made, format!("tok1_dbvaalzab_aabe{}", URL_SAFE_NO_PAD.encode(sealed)));
        assert_eq!(made, "tok1_dbvaalzab_aabebIiO04JaqqF-Sgft4ncnqfJ5WLM2Auy5YIYS");
    }

    #[test]
    fn old_versions_open_until_they_are_revoked() {
        let mut ring = MasterKeys::generate().unwrap();
        let old = token(&keys(&ring, "acme", 1), "email", "a@b.example");
        ring.rotate().unwrap();
        let rotated = keys(&ring, "acme", 1);
        assert_eq!(open(&rotated, &old), Ok("a@b.example".into()));
        let new = token(&rotated, "email", "a@b.example");
        assert_ne!(old, new);
        assert_eq!(open(&rotated, &new), Ok("a@b.example".into()));
        let revoked = MasterKeys::parse(&ring.to_text().replace("1 read", "1 revoked")).unwrap();
        assert_eq!(open(&keys(&revoked, "acme", 1), &old), Err(TokenError::UnknownKey));
    }

    #[test]
    fn each_failure_has_its_name() {
        let acme = keys(&ring(), "acme", 1);
        let whole = token(&acme, "email", "a@b.example");
        let check = |expected, token: &[u8]| assert_eq!(open(&acme, token), Err(expected));
        check(TokenError::Foreign, &token(&keys(&ring(), "other", 1), "email", "a@b.example"));
        check(TokenError::Forged, &token(&keys(&ring(), "acme", 2), "email", "a@b.example"));
        let phone = ring().vendor_keys(acme.vendor(), &VendorSalt::from_bytes([1; 32]), [class("phone")]);
        check(TokenError::UnknownKey, &token(&phone, "phone", "1"));
        check(TokenError::Malformed, &whole[..whole.len() - 1]);
        check(TokenError::Malformed, &[&whole[..], b"x"].concat());
        check(TokenError::Malformed, b"");
    }

    #[test]
    fn classes_that_share_a_code_are_told_apart() {
        let code = |name: &str| key_code(name, 1);
        let twin = (0..).map(|i| format!("c{i}")).find(|name| code(name) == code("email")).unwrap();
        let vendor = VendorId::parse("acme").unwrap();
        let both = ring().vendor_keys(&vendor, &VendorSalt::from_bytes([1; 32]), [class("email"), class(&twin)]);
        for name in ["email", &twin] {
            assert_eq!(open(&both, &token(&both, name, name)), Ok(name.to_owned()));
        }
    }

    proptest! {
        #[test]
        fn no_single_changed_byte_opens(value in ".{0,40}", at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let keys = keys(&ring(), "acme", 1);
            let mut token = token(&keys, "email", &value);
            prop_assert_eq!(open(&keys, &token), Ok(value));
            let at = at.index(token.len());
            prop_assume!(token[at] != byte);
            token[at] = byte;
            prop_assert!(open(&keys, &token).is_err());
        }

        #[test]
        fn garbage_never_opens_and_never_panics(text in prop::collection::vec(any::<u8>(), 0..80), start in 0_usize..19) {
            let keys = keys(&ring(), "acme", 1);
            let genuine = token(&keys, "email", "a@b.example");
            prop_assert!(open(&keys, &[&genuine[..start], &text].concat()).is_err());
        }
    }
}

//! All keys of one vendor, derived and expanded, as treatments and reveals use them.

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

/// The keys of one vendor for some classes, under every key version that is not revoked.
///
/// About 2 KiB for each class and version. Derive them once, share them by `Arc`; they are wiped when dropped.
pub struct VendorKeys {
    vendor: VendorId,
    tag: u32,
    /// Sorted by class.
    classes: Vec<ClassKeys>,
    /// Every key that opens tokens, sorted by the key code in tokens. Two classes can share a code: both are then
    /// tried.
    opening_keys: Vec<(u32, TokenKey)>,
}

/// The keys of the active version for one class.
pub(in crate::pii) struct ClassKeys {
    pub(in crate::pii) class: TokenClass,
    pub(in crate::pii) token: TokenKey,
    pub(in crate::pii) hash: Prf,
    pub(in crate::pii) version: KeyVersion,
    /// The key of format-preserving encryption, which each rule that uses it expands.
    pub(in crate::pii) format: FormatKey,
}

/// The key bytes of AES-256 for FF1.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(in crate::pii) struct FormatKey(pub(in crate::pii) [u8; 32]);

impl MasterKeys {
    /// Derives the keys of one vendor.
    ///
    /// `classes` are those of all its rules, in both directions: see [`super::super::Rules::token_classes`]. A token of
    /// another class does not open.
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
    /// The vendor whose keys these are.
    pub const fn vendor(&self) -> &VendorId {
        &self.vendor
    }

    /// Appends the token of a text, as [`super::super::Treatment::Tokenize`] makes it. `None`, with nothing appended,
    /// when the class is not one of these keys'. The text must be shorter than 512 KiB.
    pub fn tokenize(&self, class: &TokenClass, value: &[u8], out: &mut Vec<u8>) -> Option<()> {
        self.classes[self.class_index(class)?].token.seal(TokenKind::Text, value, out);
        Some(())
    }

    /// Opens one token: appends its value, and returns whether that is a text or a number.
    ///
    /// # Errors
    /// [`TokenError`], with `out` unchanged, also for a text that is more than a token. Count it, and never tell it to
    /// the sender of the token.
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

    /// The index of a class in [`VendorKeys::classes`].
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

/// The HKDF state of one vendor under one master key, from which the keys of classes are expanded.
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

    /// `|` is in no id of a vendor and in no class, so that no two infos are equal.
    fn expand(&self, class: &TokenClass, algorithm: &str) -> Zeroizing<[u8; 32]> {
        let info = format!("vendorgate|v1|{}|{}|{algorithm}|{}", self.vendor, class.as_str(), self.version.number());
        let mut key = Zeroizing::new([0; 32]);
        self.hkdf.expand(info.as_bytes(), &mut *key).expect("HKDF can always expand 32 bytes (RFC 5869 section 2.3)");
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

    fn keys(master: &MasterKeys, vendor: &str, salt: u8) -> VendorKeys {
        let vendor = VendorId::parse(vendor).unwrap();
        master.vendor_keys(&vendor, &VendorSalt::from_bytes([salt; 32]), ["email", "name"].map(class))
    }

    fn master() -> MasterKeys {
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
    fn the_test_case_1_of_rfc_5869_gives_its_published_result() {
        let salt: Vec<u8> = (0..=0x0c).collect();
        let info: Vec<u8> = (0xf0..=0xf9).collect();
        let mut key = [0; 42];
        Hkdf::<Sha256>::new(Some(&salt), &[0x0b; 22]).expand(&info, &mut key).unwrap();
        let hex: String = key.iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
    }

    /// The whole derivation with other crates, and its result, which no release may change, because tokens outlive
    /// releases.
    #[test]
    fn the_derivation_of_keys_never_changes() {
        let hkdf = Hkdf::<Sha256>::new(Some(&[1; 32]), &[42; 32]);
        let mut key = [0; 64];
        let (mac, ctr) = key.split_at_mut(32);
        hkdf.expand(b"vendorgate|v1|acme|email|aes-256-siv-mac|1", mac).unwrap();
        hkdf.expand(b"vendorgate|v1|acme|email|aes-256-siv-ctr|1", ctr).unwrap();
        let sealed =
            Aes256Siv::new_from_slice(&key).unwrap().encrypt([b"tok1|acme|email|1|d"], b"a@b.example").unwrap();
        let made = String::from_utf8(token(&keys(&master(), "acme", 1), "email", "a@b.example")).unwrap();
        assert_eq!(made, format!("tok1_dbvaalzab_aabe{}", URL_SAFE_NO_PAD.encode(sealed)));
        assert_eq!(made, "tok1_dbvaalzab_aabebIiO04JaqqF-Sgft4ncnqfJ5WLM2Auy5YIYS");
    }

    #[test]
    fn old_versions_open_until_they_are_revoked() {
        let mut master = MasterKeys::generate().unwrap();
        let old = token(&keys(&master, "acme", 1), "email", "a@b.example");
        master.rotate().unwrap();
        let rotated = keys(&master, "acme", 1);
        assert_eq!(open(&rotated, &old), Ok("a@b.example".into()));
        let new = token(&rotated, "email", "a@b.example");
        assert_ne!(old, new);
        assert_eq!(open(&rotated, &new), Ok("a@b.example".into()));
        let revoked = MasterKeys::parse(&master.to_text().replace("1 read", "1 revoked")).unwrap();
        assert_eq!(open(&keys(&revoked, "acme", 1), &old), Err(TokenError::UnknownKey));
    }

    #[test]
    fn each_reason_why_a_token_does_not_open_has_its_error() {
        let acme = keys(&master(), "acme", 1);
        let whole = token(&acme, "email", "a@b.example");
        let check = |expected, token: &[u8]| assert_eq!(open(&acme, token), Err(expected));
        check(TokenError::Foreign, &token(&keys(&master(), "other", 1), "email", "a@b.example"));
        check(TokenError::Forged, &token(&keys(&master(), "acme", 2), "email", "a@b.example"));
        let phone = master().vendor_keys(acme.vendor(), &VendorSalt::from_bytes([1; 32]), [class("phone")]);
        check(TokenError::UnknownKey, &token(&phone, "phone", "1"));
        check(TokenError::Malformed, &whole[..whole.len() - 1]);
        check(TokenError::Malformed, &[&whole[..], b"x"].concat());
        check(TokenError::Malformed, b"");
    }

    #[test]
    fn tokens_of_two_classes_with_one_key_code_open_under_their_own_class() {
        let code = |name: &str| key_code(name, 1);
        let twin = (0..).map(|i| format!("c{i}")).find(|name| code(name) == code("email")).unwrap();
        let vendor = VendorId::parse("acme").unwrap();
        let both = master().vendor_keys(&vendor, &VendorSalt::from_bytes([1; 32]), [class("email"), class(&twin)]);
        for name in ["email", &twin] {
            assert_eq!(open(&both, &token(&both, name, name)), Ok(name.to_owned()));
        }
    }

    proptest! {
        #[test]
        fn a_token_with_a_changed_byte_does_not_open(value in ".{0,40}", at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let keys = keys(&master(), "acme", 1);
            let mut token = token(&keys, "email", &value);
            prop_assert_eq!(open(&keys, &token), Ok(value));
            let at = at.index(token.len());
            prop_assume!(token[at] != byte);
            token[at] = byte;
            prop_assert!(open(&keys, &token).is_err());
        }

        #[test]
        fn noise_after_the_prefix_of_a_token_does_not_open(text in prop::collection::vec(any::<u8>(), 0..80), start in 0_usize..19) {
            let keys = keys(&master(), "acme", 1);
            let genuine = token(&keys, "email", "a@b.example");
            prop_assert!(open(&keys, &[&genuine[..start], &text].concat()).is_err());
        }
    }
}

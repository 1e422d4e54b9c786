//! The master keys: the format of a key file, and the addition of a new version.
//!
//! ```text
//! # a comment
//! 1 read MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=
//! 2 active QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY=
//! ```
//! Each line is a version: its number (1 to 1023, each used once), its state, and 32 bytes in base64. Exactly one
//! version is `active` and makes new tokens. A version in state `read` still opens old tokens; a `revoked` one does
//! neither.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::KeyError;

const VERSION_MAX: u16 = 1023;
const PREAMBLE: &str = "# vendorgate master keys. Who holds this file can open every token: mode 0600, backed up, never committed.\n\
     # version state key: 'active' writes, 'read' still opens old tokens, 'revoked' does neither.\n";

/// Thirty-two random bytes, from which all other keys are derived.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct MasterKey([u8; 32]);

impl MasterKey {
    /// A new key from the operating system's random generator.
    ///
    /// # Errors
    /// [`KeyError::Random`] when the generator fails.
    pub fn generate() -> Result<Self, KeyError> {
        random_bytes().map(Self)
    }

    /// A key of these bytes, such as a key service returns.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub(super) const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey")
    }
}

/// The number of a master key, which tokens carry: 1 to 1023.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyVersion(u16);

impl KeyVersion {
    /// The first version.
    pub const FIRST: Self = Self(1);

    /// The version of this number, from 1 to 1023; `None` for another number.
    pub(super) const fn new(number: u16) -> Option<Self> {
        if number >= 1 && number <= VERSION_MAX { Some(Self(number)) } else { None }
    }

    /// The number.
    pub const fn number(self) -> u16 {
        self.0
    }
}

/// What a key version may still do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum KeyState {
    /// Makes new tokens, and opens those that it made.
    Active,
    /// Opens old tokens, and makes no new ones.
    Read,
    /// Neither makes nor opens tokens.
    Revoked,
}

impl KeyState {
    const ALL: [Self; 3] = [Self::Active, Self::Read, Self::Revoked];

    /// The word used in key files.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Read => "read",
            Self::Revoked => "revoked",
        }
    }
}

/// All versions of the master key. Exactly one is active.
#[derive(Debug, Clone)]
pub struct MasterKeys {
    keys: Vec<(KeyVersion, KeyState, MasterKey)>,
}

impl MasterKeys {
    /// One new key, as version 1.
    ///
    /// # Errors
    /// [`KeyError::Random`].
    pub fn generate() -> Result<Self, KeyError> {
        MasterKey::generate().map(Self::from_key)
    }

    /// This one key, as version 1.
    pub fn from_key(key: MasterKey) -> Self {
        Self { keys: vec![(KeyVersion::FIRST, KeyState::Active, key)] }
    }

    /// Reads the format of this module's documentation.
    ///
    /// # Errors
    /// [`KeyError::Line`] for a line that cannot be read or repeats a version, [`KeyError::ActiveCount`] unless one is
    /// active.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let mut keys: Vec<(KeyVersion, KeyState, MasterKey)> = Vec::new();
        for (line, content) in (1..).zip(text.lines()) {
            let content = content.trim();
            if content.is_empty() || content.starts_with('#') {
                continue;
            }
            let key = parse_line(content).map_err(|what| KeyError::Line { line, what })?;
            if keys.iter().any(|(version, ..)| *version == key.0) {
                return Err(KeyError::Line { line, what: "repeats a version" });
            }
            keys.push(key);
        }
        keys.sort_by_key(|(version, ..)| *version);
        match keys.iter().filter(|(_, state, _)| *state == KeyState::Active).count() {
            1 => Ok(Self { keys }),
            count => Err(KeyError::ActiveCount(count)),
        }
    }

    /// The version that makes new tokens.
    #[cfg(test)]
    pub(super) fn active_version(&self) -> KeyVersion {
        let active = self.keys.iter().find(|(_, state, _)| *state == KeyState::Active);
        active.map_or(KeyVersion::FIRST, |(version, ..)| *version)
    }

    /// Every version and its state, in the order of their numbers.
    #[cfg(test)]
    pub(super) fn versions(&self) -> impl Iterator<Item = (KeyVersion, KeyState)> {
        self.keys.iter().map(|(version, state, _)| (*version, *state))
    }

    pub(super) fn keys(&self) -> &[(KeyVersion, KeyState, MasterKey)] {
        &self.keys
    }

    /// Adds a new active version, with the next number. The version that was active from now on only opens tokens.
    ///
    /// # Errors
    /// [`KeyError::VersionsSpent`] after version 1023, [`KeyError::Random`].
    pub fn rotate(&mut self) -> Result<KeyVersion, KeyError> {
        let last = self.keys.last().map_or(0, |(version, ..)| version.number());
        let version = KeyVersion::new(last + 1).ok_or(KeyError::VersionsSpent)?;
        let key = MasterKey::generate()?;
        for (_, state, _) in &mut self.keys {
            if *state == KeyState::Active {
                *state = KeyState::Read;
            }
        }
        self.keys.push((version, KeyState::Active, key));
        Ok(version)
    }

    /// The text that [`MasterKeys::parse`] reads.
    pub(super) fn to_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(PREAMBLE.len() + self.keys.len() * 64));
        text.push_str(PREAMBLE);
        for (version, state, key) in &self.keys {
            text.push_str(&format!("{} {} ", version.number(), state.as_str()));
            let mut spelled = Zeroizing::new([0; 44]);
            let length = STANDARD.encode_slice(key.bytes(), &mut *spelled).unwrap_or(0);
            text.extend(spelled[..length].iter().map(|b| char::from(*b)));
            text.push('\n');
        }
        text
    }
}

fn parse_line(line: &str) -> Result<(KeyVersion, KeyState, MasterKey), &'static str> {
    let mut words = line.split_ascii_whitespace();
    let (version, state, key) = (words.next(), words.next(), words.next());
    let version = version.and_then(|word| word.parse().ok()).and_then(KeyVersion::new);
    let state = KeyState::ALL.into_iter().find(|known| state == Some(known.as_str()));
    let key = key.filter(|_| words.next().is_none()).and_then(parse_key);
    Ok((
        version.ok_or("must begin with a version from 1 to 1023")?,
        state.ok_or("must name a state: active, read or revoked")?,
        key.ok_or("must end with 32 random bytes in base64")?,
    ))
}

/// Reads 32 bytes in base64. 32 equal bytes are refused: they are a placeholder that someone forgot to replace.
pub(super) fn parse_key(text: &str) -> Option<MasterKey> {
    let mut bytes = Zeroizing::new([0; 33]);
    let length = STANDARD.decode_slice(text, &mut *bytes).ok()?;
    let key = bytes.first_chunk().filter(|key| length == 32 && key.iter().any(|byte| *byte != key[0]));
    key.copied().map(MasterKey)
}

pub(super) fn random_bytes() -> Result<[u8; 32], KeyError> {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| KeyError::Random)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
    const TWO: &str = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY=";

    fn check(text: &str) -> Result<Vec<(u16, &'static str)>, String> {
        let master = MasterKeys::parse(text).map_err(|error| error.to_string())?;
        Ok(master.versions().map(|(version, state)| (version.number(), state.as_str())).collect())
    }

    #[test]
    fn a_key_text_is_read_strictly() {
        let two = check(&format!("# keys\n\n 2 active {TWO}\n1 read {ONE}\n"));
        assert_eq!(two, Ok(vec![(1, "read"), (2, "active")]));
        for (text, error) in [
            (String::new(), "the master keys must have exactly one active version, not 0"),
            (format!("1 active {ONE}\n2 active {TWO}"), "the master keys must have exactly one active version, not 2"),
            (format!("0 active {ONE}"), "line 1 of the master keys must begin with a version from 1 to 1023"),
            (format!("1024 active {ONE}"), "line 1 of the master keys must begin with a version from 1 to 1023"),
            (format!("1 old {ONE}"), "line 1 of the master keys must name a state: active, read or revoked"),
            (format!("1 active {}", &ONE[4..]), "line 1 of the master keys must end with 32 random bytes in base64"),
            (
                format!("1 active {}=", "A".repeat(43)),
                "line 1 of the master keys must end with 32 random bytes in base64",
            ),
            (format!("1 active {ONE} x"), "line 1 of the master keys must end with 32 random bytes in base64"),
            (format!("1 active {ONE}\n1 read {TWO}"), "line 2 of the master keys repeats a version"),
        ] {
            assert_eq!(check(&text), Err(error.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_rotation_adds_an_active_version_that_the_text_keeps() {
        let mut master = MasterKeys::parse(&format!("7 active {ONE}\n3 revoked {TWO}")).unwrap();
        assert_eq!(master.rotate().unwrap().number(), 8);
        assert_eq!(check(&master.to_text()), Ok(vec![(3, "revoked"), (7, "read"), (8, "active")]));
        let mut last = MasterKeys::parse(&format!("1023 active {ONE}")).unwrap();
        assert!(matches!(last.rotate(), Err(KeyError::VersionsSpent)));
        assert_eq!(last.active_version().number(), 1023, "a refused rotation changes nothing");
    }

    #[test]
    fn keys_are_never_printed() {
        let master = MasterKeys::parse(&format!("1 active {ONE}")).unwrap();
        let printed = format!("{master:?}");
        assert!(!printed.contains(ONE) && !printed.contains("48") && !printed.contains("0123"), "{printed}");
    }
}

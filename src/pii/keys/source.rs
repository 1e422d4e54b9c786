//! The sources of master keys: a file, or an environment variable.

use std::path::PathBuf;

use zeroize::Zeroizing;

use super::file::read_private;
use super::master::parse_key;
use super::{KeyError, MasterKeys};

/// A source of master keys. For a key service (KMS), implement this by fetching and unwrapping the keys.
///
/// The gateway calls it at start and at each reload, never for a request; it may block.
pub trait MasterKeySource: Send + Sync {
    /// Loads all versions.
    ///
    /// # Errors
    /// [`KeyError`]: the caller must then keep the keys that it has, or not start.
    fn load(&self) -> Result<MasterKeys, KeyError>;
}

/// A key file, as [`MasterKeys::parse`] reads it.
#[derive(Debug, Clone)]
pub struct KeyFileSource(PathBuf);

impl KeyFileSource {
    /// The file at this path, which is read at each [`MasterKeySource::load`].
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }
}

impl MasterKeySource for KeyFileSource {
    fn load(&self) -> Result<MasterKeys, KeyError> {
        MasterKeys::parse(&read_private(&self.0)?)
    }
}

/// An environment variable with the text of a key file, with the same text in one line and `;` between versions, or
/// with one key in base64, which is version 1.
#[derive(Debug, Clone)]
pub struct EnvironmentKeySource(String);

impl EnvironmentKeySource {
    /// The variable of this name, which is read at each [`MasterKeySource::load`].
    pub fn new(variable: impl Into<String>) -> Self {
        Self(variable.into())
    }
}

impl MasterKeySource for EnvironmentKeySource {
    fn load(&self) -> Result<MasterKeys, KeyError> {
        let text = std::env::var(&self.0).map(Zeroizing::new).map_err(|_| KeyError::NoVariable(self.0.clone()))?;
        from_variable(&text)
    }
}

fn from_variable(text: &str) -> Result<MasterKeys, KeyError> {
    match parse_key(text.trim()) {
        Some(key) => Ok(MasterKeys::from_key(key)),
        None => MasterKeys::parse(&one_version_a_line(text)),
    }
}

/// The text with each version on a line of its own. A `;` in a comment does not end the comment, unless the whole text
/// is one line.
fn one_version_a_line(text: &str) -> Zeroizing<String> {
    let is_one_line = !text.trim().contains('\n');
    // Reserve the whole size at once: growing would leave copies of the keys in freed memory.
    let mut lines = Zeroizing::new(String::with_capacity(text.len() + 1));
    for line in text.lines() {
        let is_comment = line.trim_start().starts_with('#') && !is_one_line;
        lines.extend(line.chars().map(|c| if c == ';' && !is_comment { '\n' } else { c }));
        lines.push('\n');
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";

    #[test]
    fn a_variable_has_one_key_or_several_versions() {
        assert_eq!(from_variable(&format!("{KEY}\n")).unwrap().active_version().number(), 1);
        let master = from_variable(&format!("1 read {KEY}; 2 active {KEY}")).unwrap();
        assert_eq!((master.active_version().number(), master.versions().count()), (2, 2));
        assert!(from_variable("").is_err());
        let in_one_line = from_variable(&format!("# keys;1 read {KEY};2 active {KEY}")).unwrap();
        assert_eq!(in_one_line.versions().count(), 2);
        let missing = EnvironmentKeySource::new("VENDORGATE_NO_SUCH_VARIABLE").load();
        assert!(matches!(missing, Err(KeyError::NoVariable(_))));
    }

    /// As `$(cat FILE)` and `$(tr '\n' ';' < FILE)` set it, and with the line ends of other systems.
    #[test]
    fn a_variable_may_have_the_text_of_a_key_file() {
        let mut master = MasterKeys::generate().unwrap();
        master.rotate().unwrap();
        let text = master.to_text();
        for text in
            [text.trim_end().to_owned(), text.replace('\n', ";"), text.replace('\n', "\r\n"), format!("\n{}\n", *text)]
        {
            let read = from_variable(&text).unwrap();
            assert_eq!(*read.to_text(), *master.to_text());
        }
        let commented = format!("{}# kept; by me\n", *text);
        assert_eq!(from_variable(&commented).unwrap().versions().count(), 2);
    }
}

//! Where master keys come from: a file, the environment, or later a key service.

use std::path::PathBuf;

use zeroize::Zeroizing;

use super::file::read_private;
use super::master::parse_key;
use super::{KeyError, MasterKeys};

/// Where master keys come from. A key service (KMS) implements this by unwrapping what it stores.
///
/// Called at start and at each reload, never per request; it may block.
pub trait MasterKeySource: Send + Sync {
    /// Fetches all versions.
    ///
    /// # Errors
    /// [`KeyError`]; whoever asked must then go on with the keys it had, or not start.
    fn load(&self) -> Result<MasterKeys, KeyError>;
}

/// A key file in the format of this module's documentation.
#[derive(Debug, Clone)]
pub struct KeyFileSource(PathBuf);

impl KeyFileSource {
    /// Names the file; it is read at each [`MasterKeySource::load`].
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }
}

impl MasterKeySource for KeyFileSource {
    fn load(&self) -> Result<MasterKeys, KeyError> {
        MasterKeys::parse(&read_private(&self.0)?)
    }
}

/// An environment variable: the text of a key file as it is, the same in one line with `;` between versions, or one key in base64 alone,
/// which is version 1.
#[derive(Debug, Clone)]
pub struct EnvironmentKeySource(String);

impl EnvironmentKeySource {
    /// Names the variable.
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

/// One line a version. A `;` in a comment ends nothing, but where the whole text is one line: there it ends the comment too.
fn one_version_a_line(text: &str) -> Zeroizing<String> {
    let is_one_line = !text.trim().contains('\n');
    // Room for all of it at once: growing would leave copies behind.
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
    fn a_variable_holds_one_key_or_several_versions() {
        assert_eq!(from_variable(&format!("{KEY}\n")).unwrap().active_version().number(), 1);
        let ring = from_variable(&format!("1 read {KEY}; 2 active {KEY}")).unwrap();
        assert_eq!((ring.active_version().number(), ring.versions().count()), (2, 2));
        assert!(from_variable("").is_err());
        let in_one_line = from_variable(&format!("# keys;1 read {KEY};2 active {KEY}")).unwrap();
        assert_eq!(in_one_line.versions().count(), 2);
        let missing = EnvironmentKeySource::new("VENDORGATE_NO_SUCH_VARIABLE").load();
        assert!(matches!(missing, Err(KeyError::NoVariable(_))));
    }

    /// As `$(cat FILE)` and `$(tr '\n' ';' < FILE)` put it there, and as an editor of another system leaves it.
    #[test]
    fn a_variable_holds_the_text_of_our_own_key_file() {
        let mut ring = MasterKeys::generate().unwrap();
        ring.rotate().unwrap();
        let text = ring.to_text();
        for text in
            [text.trim_end().to_owned(), text.replace('\n', ";"), text.replace('\n', "\r\n"), format!("\n{}\n", *text)]
        {
            let read = from_variable(&text).unwrap();
            assert_eq!(*read.to_text(), *ring.to_text());
        }
        let commented = format!("{}# kept; by me\n", *text);
        assert_eq!(from_variable(&commented).unwrap().versions().count(), 2);
    }
}

//! OAuth 2.0 scopes (RFC 6749 section 3.3) and sets of them.

use std::fmt;
use std::sync::Arc;

/// Why a text is not a scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 256 printable ASCII characters without space, '\"' and '\\' (RFC 6749 section 3.3)")]
pub struct ScopeError;

/// One scope token: compared by exact string, never by prefix.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scope(Arc<str>);

impl Scope {
    /// Parses one scope token.
    ///
    /// # Errors
    /// [`ScopeError`] when a byte is outside `%x21 / %x23-5B / %x5D-7E`, or the text is empty or over 256 bytes.
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        let good = |b: &u8| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        if (1..=256).contains(&text.len()) && text.as_bytes().iter().all(good) {
            Ok(Self(text.into()))
        } else {
            Err(ScopeError)
        }
    }

    /// The scope as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A set of scopes, kept sorted. Sets are small, so scanning one is faster than hashing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScopeSet(Box<[Scope]>);

impl ScopeSet {
    /// Parses a space-delimited list, the form of the `scope` claim (RFC 8693 section 4.2).
    ///
    /// # Errors
    /// [`ScopeError`] when one of its members is not a scope. Repeated spaces are tolerated, as issuers write them.
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        text.split(' ').filter(|word| !word.is_empty()).map(Scope::parse).collect()
    }

    /// Whether this exact scope is a member.
    pub fn contains(&self, scope: &Scope) -> bool {
        self.0.contains(scope)
    }

    /// The members, sorted.
    pub fn iter(&self) -> impl Iterator<Item = &Scope> {
        self.0.iter()
    }

    /// Whether there is no member.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Scope> for ScopeSet {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        let mut scopes: Vec<Scope> = scopes.into_iter().collect();
        scopes.sort_unstable();
        scopes.dedup();
        Self(scopes.into())
    }
}

impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, scope) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(" ")?;
            }
            f.write_str(scope.as_str())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_sorted_and_compares_whole_scopes() {
        let set = ScopeSet::parse("orders:read  customers:read orders:read").expect("valid");
        assert_eq!(set.to_string(), "customers:read orders:read");
        let contains = |scope: &str| set.contains(&Scope::parse(scope).expect("valid"));
        assert!(contains("orders:read") && !contains("orders"));
        for bad in ["a\"b", "a\\b", "a\tb", "ä", "a\u{7f}"] {
            assert!(Scope::parse(bad).is_err(), "{bad}");
        }
    }
}

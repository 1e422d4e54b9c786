//! Which claims of an issuer's tokens hold what a contract needs: issuers that are older than RFC 9068 use names of
//! their own.
//!
//! A name only finds a claim; it never chooses an algorithm or a key. Only names that the contract lists are looked up,
//! so no token can choose from which claim its client or scopes are read.

use std::fmt;

use crate::bounds::{CLAIM_PATH_STEPS_MAX, TOKEN_BYTES_DEFAULT};
use crate::identity::error::AuthError;
use crate::identity::json::{Json, JsonError, Object};
use crate::model::{FieldPath, PathStep, words};

/// The path of a claim: its name, or the names from the payload down to it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClaimPath(Box<[Box<str>]>);

impl ClaimPath {
    /// Reads `cid`, `realm_access.roles`, `https://example.com/roles` (a URI is one name, dots and all) or
    /// `$["a.name"].roles`; `None` for anything else, and for more than eight names.
    pub fn parse(text: &str) -> Option<Self> {
        let names: Box<[Box<str>]> = if text.starts_with('$') {
            let path = FieldPath::parse(text).ok()?;
            path.steps().iter().map(name_of).collect::<Option<_>>()?
        } else if text.contains("://") {
            Box::new([text.into()])
        } else {
            text.split('.').map(Box::from).collect()
        };
        let plain = |name: &str| !name.is_empty() && !name.chars().any(char::is_control);
        let good = !names.is_empty() && names.len() <= CLAIM_PATH_STEPS_MAX && names.iter().all(|name| plain(name));
        good.then_some(Self(names))
    }

    /// The claim of these names, from the payload down to it; none of them is empty.
    pub(crate) fn of(names: &[&str]) -> Self {
        Self(names.iter().map(|name| Box::from(*name)).collect())
    }

    /// The claim; `None` where it, or an object above it, is absent.
    pub(crate) fn find<'a>(&self, payload: &'a Object) -> Result<Option<&'a Json>, AuthError> {
        let Some((last, above)) = self.0.split_last() else { return Ok(None) };
        let mut object = payload;
        for name in above {
            match object.get(name) {
                None => return Ok(None),
                Some(Json::Object(inner)) => object = inner,
                Some(_) => return Err(AuthError::WrongClaimType),
            }
        }
        Ok(object.get(last))
    }

    /// The claim, which must be a string where it is present.
    pub(crate) fn text<'a>(&self, payload: &'a Object) -> Result<Option<&'a str>, AuthError> {
        match self.find(payload)? {
            None => Ok(None),
            Some(Json::Text(text)) => Ok(Some(text)),
            Some(_) => Err(JsonError::WrongType.into()),
        }
    }
}

/// The text from which [`ClaimPath::parse`] reads it.
impl fmt::Display for ClaimPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_plain = |name: &str| !name.contains(['.', '"', '\\', '$']);
        match &*self.0 {
            [uri] if uri.contains("://") => f.write_str(uri),
            names if names.iter().all(|name| is_plain(name)) => f.write_str(&names.join(".")),
            names => {
                f.write_str("$")?;
                names.iter().try_for_each(|name| write!(f, "[{name:?}]"))
            }
        }
    }
}

fn name_of(step: &PathStep) -> Option<Box<str>> {
    step.name().filter(|_| !step.descends).map(Into::into)
}

/// A contract's `claims:` section: the names that its issuer uses, and what it leaves out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClaimNames {
    /// Claims that name the client; those that are present must agree. None: `client_id`, `azp`, else `sub`.
    pub client: Vec<ClaimPath>,
    /// Claims that hold scopes; those that are present are taken together. None: `scope` or `scp`, which must agree.
    pub scopes: Vec<ClaimPath>,
    /// The claim that holds the audience. None: `aud`.
    pub audience: Option<ClaimPath>,
    /// Claims that must have this very text, or hold it in an array.
    pub required: Vec<(ClaimPath, String)>,
    /// Whether a token of type `at+jwt` may lack `iat`, which RFC 9068 asks for; others may, unless a rule needs it.
    pub issued_at_optional: bool,
    /// Whether an introspection answer may lack `exp`: a positive answer is then cached for `active_for` and then asked
    /// for again.
    pub expiry_optional: bool,
}

/// Which types, header members and lengths of tokens are accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenShape {
    /// Whether `typ: JWT` (or none) passes beside `at+jwt` (RFC 9068).
    pub accept_plain_jwt: bool,
    /// Other values of `typ` that pass, in lower case and without `application/`.
    pub other_types: Vec<String>,
    /// Members of the header that are ignored, where they would otherwise refuse the token.
    pub ignored: Vec<HeaderMember>,
    /// Longest token in bytes; at most [`crate::bounds::TOKEN_BYTES_MAX`].
    pub bytes_max: usize,
}

impl TokenShape {
    /// Whether this shape accepts every token that the other one accepts.
    pub(crate) fn takes_all_of(&self, other: &Self) -> bool {
        (self.accept_plain_jwt || !other.accept_plain_jwt)
            && other.other_types.iter().all(|typ| self.other_types.contains(typ))
            && other.ignored.iter().all(|member| self.ignored.contains(member))
            && self.bytes_max >= other.bytes_max
    }
}

impl Default for TokenShape {
    fn default() -> Self {
        Self { accept_plain_jwt: false, other_types: Vec::new(), ignored: Vec::new(), bytes_max: TOKEN_BYTES_DEFAULT }
    }
}

words! {
    /// A header member that makes the gateway refuse a token, although no key or algorithm is ever taken from it: in
    /// the tokens of most issuers it is a sign of an attack. A contract may list it where its issuer does send it.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
    #[serde(rename_all = "snake_case")]
    pub enum HeaderMember {
        /// `jku`: the address of a key set. Never fetched.
        Jku = "jku",
        /// `x5u`: the address of a certificate. Never fetched.
        X5u = "x5u",
        /// `x5c`: a certificate chain. Never read.
        X5c = "x5c",
        /// `cty`: the type of the payload. The payload is read as claims, whatever this says.
        Cty = "cty",
    }
}

impl HeaderMember {
    pub(crate) const fn error(self) -> AuthError {
        match self {
            Self::Jku | Self::X5u | Self::X5c => AuthError::EmbeddedKey,
            Self::Cty => AuthError::NestedOrEncrypted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_found_by_its_name_or_path_and_by_nothing_else() {
        let payload = br#"{"cid":"a","realm_access":{"roles":["b"]},"https://x.test/a.b":"c","d.e":{"f":"g"},"h":1}"#;
        let payload = Object::parse(payload).expect("an object");
        let find = |text: &str| ClaimPath::parse(text).expect("a path").find(&payload).map(|found| found.is_some());
        for found in ["cid", "$.cid", "realm_access.roles", r#"$["d.e"].f"#, "https://x.test/a.b", "realm_access"] {
            assert_eq!(find(found), Ok(true), "{found}");
        }
        for absent in ["CID", "d.e", "realm_access.role", "x.y", "https://x.test/a"] {
            assert_eq!(find(absent), Ok(false), "{absent}");
        }
        assert_eq!(find("h.x"), Err(AuthError::WrongClaimType));
        for bad in ["", ".", "a..b", "a.", "$", "$.a[*]", "$..a", "a\n", "a.b.c.d.e.f.g.h.i"] {
            assert_eq!(ClaimPath::parse(bad), None, "{bad}");
        }
    }
}

//! Who may use the admin listener: named people and machines, each with a role and the hash of a token.
//!
//! Holds no token, only hashes; comparing takes the same time whichever operator it was, and whether it was one.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use zeroize::Zeroizing;

use crate::config::Operator;
use crate::model::{Secret, hex};

/// All operators of a gateway.
#[derive(Debug, Clone, Default)]
pub struct OperatorDirectory(Vec<Operator>);

impl OperatorDirectory {
    /// Takes the operators of the config, whose names and hashes are distinct.
    pub const fn new(operators: Vec<Operator>) -> Self {
        Self(operators)
    }

    /// The operator who holds this token.
    pub fn find(&self, token: &str) -> Option<&Operator> {
        self.holder(&Sha256::digest(token.as_bytes()).into())
    }

    /// The operator who holds the token with this SHA-256.
    pub(super) fn holder(&self, hash: &[u8; 32]) -> Option<&Operator> {
        let mut found = u32::MAX;
        for (place, operator) in (0_u32..).zip(&self.0) {
            let same: Choice = operator.token_sha256.ct_eq(hash);
            found.conditional_assign(&place, same);
        }
        self.0.get(found as usize)
    }
}

/// Makes a new operator's token and its hash in hex: the token is shown once, the hash goes into the config.
///
/// # Errors
/// When the machine gives no randomness.
pub fn mint() -> Result<(Secret<String>, String), aws_lc_rs::error::Unspecified> {
    let mut bytes = Zeroizing::new([0_u8; 32]);
    aws_lc_rs::rand::fill(bytes.as_mut())?;
    // The prefix lets scanners of leaked secrets find it.
    let token = format!("vgo_{}", URL_SAFE_NO_PAD.encode(*bytes));
    let hash = hex(&Sha256::digest(token.as_bytes()));
    Ok((Secret::new(token), hash))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::OperatorRole;

    #[test]
    fn only_the_whole_token_finds_its_operator() {
        let (token, hash) = mint().unwrap();
        let named = |name: &str, token: &str| Operator {
            name: name.into(),
            role: OperatorRole::Viewer,
            token_sha256: Sha256::digest(token.as_bytes()).into(),
        };
        let operators = OperatorDirectory::new(vec![named("a", "x"), named("b", token.expose()), named("c", "z")]);
        assert_eq!(operators.find(token.expose()).map(|found| found.name.as_str()), Some("b"));
        assert_eq!(hex(&operators.0[1].token_sha256), hash);
        let short = &token.expose()[..token.expose().len() - 1];
        for wrong in ["", short, &hash, "X", "x "] {
            assert_eq!(operators.find(wrong), None, "{wrong}");
        }
        assert!(OperatorDirectory::default().find("").is_none());
        assert_ne!(mint().unwrap().1, hash);
    }
}

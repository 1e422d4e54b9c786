//! The signature algorithms that the gateway verifies, and why it refuses the others.

use super::words;

words! {
    /// A JWS algorithm (RFC 7518 section 3, RFC 8037). Symmetric ones do not exist here.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
    pub enum Algorithm {
        /// ECDSA on P-256 with SHA-256.
        ES256 = "ES256",
        /// ECDSA on P-384 with SHA-384.
        ES384 = "ES384",
        /// ECDSA on P-521 with SHA-512.
        ES512 = "ES512",
        /// RSASSA-PKCS1-v1_5 with SHA-256.
        RS256 = "RS256",
        /// RSASSA-PKCS1-v1_5 with SHA-384.
        RS384 = "RS384",
        /// RSASSA-PKCS1-v1_5 with SHA-512.
        RS512 = "RS512",
        /// RSASSA-PSS with SHA-256.
        PS256 = "PS256",
        /// RSASSA-PSS with SHA-384.
        PS384 = "PS384",
        /// RSASSA-PSS with SHA-512.
        PS512 = "PS512",
        /// Ed25519 (RFC 8037).
        EdDSA = "EdDSA",
    }
}

/// Why a name is not one of [`Algorithm::ALL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlgorithmError {
    /// `none`: the token is not signed.
    Unsigned,
    /// A symmetric one: its key verifies and signs, so a verifier could forge tokens.
    Symmetric,
    /// One that the gateway does not verify.
    Unsupported,
}

impl Algorithm {
    /// The algorithm of this name, compared by case as RFC 7515 section 4.1.1 says.
    ///
    /// # Errors
    /// [`AlgorithmError`] says what the name is instead.
    pub fn parse(name: &str) -> Result<Self, AlgorithmError> {
        let known = Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == name);
        known.ok_or_else(|| match name {
            _ if name.eq_ignore_ascii_case("none") => AlgorithmError::Unsigned,
            _ if name.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("hs")) => AlgorithmError::Symmetric,
            _ => AlgorithmError::Unsupported,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_algorithm_that_is_not_verified_is_refused_with_the_right_reason() {
        for algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::parse(algorithm.as_str()), Ok(algorithm));
        }
        for (names, why) in [
            (&["none", "None", "NONE"][..], AlgorithmError::Unsigned),
            (&["HS256", "HS384", "HS512", "hs256"], AlgorithmError::Symmetric),
            (
                &["ES256K", "Ed448", "ML-DSA-44", "es256", "RS1", "ES256 ", "dir", "A128KW", ""],
                AlgorithmError::Unsupported,
            ),
        ] {
            assert!(names.iter().all(|name| Algorithm::parse(name) == Err(why)), "{why:?}");
        }
    }
}

//! Signs tokens with private keys: our assertions towards vendors' token endpoints, the demo's issuer, tests.
//!
//! Takes no part in deciding who a caller is. Private keys are generated here or read from a file, and cannot be read
//! out.

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair,
    Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384,
    RSA_PSS_SHA512, RsaEncoding,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::model::{Algorithm, debug_fields};

/// The machine could not make a key or a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cryptographic library refused to sign or to make a key")]
pub struct SigningError;

impl From<Unspecified> for SigningError {
    fn from(_: Unspecified) -> Self {
        Self
    }
}

/// A private key for one algorithm, with its id.
pub struct SigningKey {
    key_id: String,
    algorithm: Algorithm,
    pair: SigningPair,
}

enum SigningPair {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair, &'static dyn RsaEncoding),
}

impl SigningKey {
    /// Makes a new key; RSA keys have 2048 bits.
    ///
    /// # Errors
    /// [`SigningError`] when the machine has no randomness.
    pub fn generate(algorithm: Algorithm, key_id: &str) -> Result<Self, SigningError> {
        let pair = match algorithm {
            Algorithm::ES256 => SigningPair::Ecdsa(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?),
            Algorithm::ES384 => SigningPair::Ecdsa(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING)?),
            Algorithm::ES512 => SigningPair::Ecdsa(EcdsaKeyPair::generate(&ECDSA_P521_SHA512_FIXED_SIGNING)?),
            Algorithm::EdDSA => SigningPair::Ed25519(Ed25519KeyPair::generate()?),
            Algorithm::RS256 => rsa(&RSA_PKCS1_SHA256)?,
            Algorithm::RS384 => rsa(&RSA_PKCS1_SHA384)?,
            Algorithm::RS512 => rsa(&RSA_PKCS1_SHA512)?,
            Algorithm::PS256 => rsa(&RSA_PSS_SHA256)?,
            Algorithm::PS384 => rsa(&RSA_PSS_SHA384)?,
            Algorithm::PS512 => rsa(&RSA_PSS_SHA512)?,
        };
        Ok(Self { key_id: key_id.to_owned(), algorithm, pair })
    }

    /// Reads a private key in PEM: PKCS #8, or the older forms of EC and RSA keys.
    ///
    /// # Errors
    /// [`SigningError`] when the text holds no key, or one of another kind than the algorithm's.
    pub fn from_pem(algorithm: Algorithm, key_id: &str, pem: &[u8]) -> Result<Self, SigningError> {
        let key = crate::http::pem::private_key(pem).map_err(|_| SigningError)?;
        let der = key.secret_der();
        let ecdsa = |kind| EcdsaKeyPair::from_private_key_der(kind, der).map(SigningPair::Ecdsa);
        let rsa = |padding| {
            let pair = RsaKeyPair::from_pkcs8(der).or_else(|_| RsaKeyPair::from_der(der));
            pair.map(|pair| SigningPair::Rsa(pair, padding))
        };
        let pair = match algorithm {
            Algorithm::ES256 => ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING),
            Algorithm::ES384 => ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING),
            Algorithm::ES512 => ecdsa(&ECDSA_P521_SHA512_FIXED_SIGNING),
            Algorithm::EdDSA => Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map(SigningPair::Ed25519),
            Algorithm::RS256 => rsa(&RSA_PKCS1_SHA256),
            Algorithm::RS384 => rsa(&RSA_PKCS1_SHA384),
            Algorithm::RS512 => rsa(&RSA_PKCS1_SHA512),
            Algorithm::PS256 => rsa(&RSA_PSS_SHA256),
            Algorithm::PS384 => rsa(&RSA_PSS_SHA384),
            Algorithm::PS512 => rsa(&RSA_PSS_SHA512),
        };
        Ok(Self { key_id: key_id.to_owned(), algorithm, pair: pair.map_err(|_| SigningError)? })
    }

    /// The algorithm that it signs with.
    #[cfg(any(test, feature = "internals"))]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The public half as a JWK with `kid`, `alg` and `use`.
    pub fn public_jwk(&self) -> String {
        let tail = format!(r#""kid":"{}","alg":"{}","use":"sig"}}"#, self.key_id, self.algorithm.as_str());
        format!("{}{tail}", self.public_members())
    }

    /// A token of this header and payload, both written as JSON by the caller, exactly as they are.
    ///
    /// # Errors
    /// [`SigningError`] when the machine has no randomness.
    pub fn sign_raw(&self, header: &str, payload: &str) -> Result<String, SigningError> {
        let mut token = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let signature = self.sign_bytes(token.as_bytes())?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }

    /// An access token (`typ: at+jwt`, RFC 9068) of these claims.
    ///
    /// # Errors
    /// [`SigningError`] as in [`Self::sign_raw`].
    pub fn sign(&self, claims: &str) -> Result<String, SigningError> {
        let header = format!(r#"{{"alg":"{}","typ":"at+jwt","kid":"{}"}}"#, self.algorithm.as_str(), self.key_id);
        self.sign_raw(&header, claims)
    }

    /// The bare signature over a message.
    ///
    /// # Errors
    /// [`SigningError`] when the machine has no randomness.
    pub fn sign_bytes(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        let random = SystemRandom::new();
        match &self.pair {
            SigningPair::Ecdsa(pair) => Ok(pair.sign(&random, message)?.as_ref().to_vec()),
            SigningPair::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
            SigningPair::Rsa(pair, padding) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(*padding, &random, message, &mut signature)?;
                Ok(signature)
            }
        }
    }

    /// The curve's name in a JWK; called for ECDSA keys only.
    const fn curve(&self) -> &'static str {
        match self.algorithm {
            Algorithm::ES384 => "P-384",
            Algorithm::ES512 => "P-521",
            Algorithm::ES256
            | Algorithm::RS256
            | Algorithm::RS384
            | Algorithm::RS512
            | Algorithm::PS256
            | Algorithm::PS384
            | Algorithm::PS512
            | Algorithm::EdDSA => "P-256",
        }
    }

    fn public_members(&self) -> String {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match &self.pair {
            SigningPair::Ecdsa(pair) => {
                let (curve, point) = (self.curve(), pair.public_key().as_ref());
                let (x, y) = point[1..].split_at((point.len() - 1) / 2);
                format!(r#"{{"kty":"EC","crv":"{curve}","x":"{}","y":"{}","#, text(x), text(y))
            }
            SigningPair::Ed25519(pair) => {
                format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{}","#, text(pair.public_key().as_ref()))
            }
            SigningPair::Rsa(pair, _) => {
                let public = pair.public_key();
                let (n, e) = (
                    public.modulus().big_endian_without_leading_zero(),
                    public.exponent().big_endian_without_leading_zero(),
                );
                format!(r#"{{"kty":"RSA","n":"{}","e":"{}","#, text(n), text(e))
            }
        }
    }
}

fn rsa(padding: &'static dyn RsaEncoding) -> Result<SigningPair, SigningError> {
    Ok(SigningPair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048)?, padding))
}

debug_fields!(SigningKey: key_id, algorithm);

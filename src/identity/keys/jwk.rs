//! One public key from a JSON Web Key (RFC 7517, 7518, 8037), bound to exactly one algorithm.
//!
//! A key verifies only with the algorithm that its own `alg`, `kty` and `crv` allow, so no token can choose how it is
//! checked. Symmetric keys, private keys and RSA keys below 2048 bits are refused.

use std::sync::Arc;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
use jsonwebtoken::jwk::{
    AlgorithmParameters, CommonParameters, EllipticCurve, EllipticCurveKeyParameters, EllipticCurveKeyType, Jwk,
    OctetKeyPairParameters, OctetKeyPairType, RSAKeyParameters, RSAKeyType, ThumbprintHash,
};

use crate::bounds::{KEY_ID_BYTES_MAX, RSA_BITS_MAX, RSA_BITS_MIN};
use crate::identity::error::AuthError;
use crate::identity::json::{Json, JsonError, Object};
use crate::identity::token::jwt::{UnverifiedSignature, decode, decode_digest};
use crate::model::{Algorithm, UnixTime, debug_fields};

use super::roca;

/// Why a JWK cannot be used to verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnusableKey {
    /// Of a kind, curve or algorithm that we do not verify, or not for signatures. Skipped, as RFC 7517 section 5 asks.
    Foreign,
    /// A key of our kinds that is wrong: malformed, too short, or with its private half published.
    Bad,
}

impl From<JsonError> for UnusableKey {
    fn from(_: JsonError) -> Self {
        Self::Bad
    }
}

impl From<AuthError> for UnusableKey {
    fn from(_: AuthError) -> Self {
        Self::Bad
    }
}

/// A public key for one algorithm.
pub(crate) struct VerificationKey {
    pub(crate) key_id: Option<Arc<str>>,
    pub(crate) algorithm: Algorithm,
    /// RFC 7638 with SHA-256: it names the key when its age is looked up, whatever its `kid` is.
    pub(crate) thumbprint: [u8; 32],
    /// `notBefore` of the first certificate in `x5c`, where present.
    pub(crate) certified_at: Option<UnixTime>,
    /// From when its age counts; set when the key set is put in force.
    pub(crate) in_use_since: UnixTime,
    public: PublicKey,
}

/// The key as the library that verifies with it holds it.
enum PublicKey {
    /// For jsonwebtoken, and the algorithm that it verifies with.
    Jsonwebtoken(DecodingKey, jsonwebtoken::Algorithm),
    /// For ES512, which jsonwebtoken does not have.
    P521(ParsedPublicKey),
}

impl VerificationKey {
    /// Checks a token's signature. An ECDSA signature must have the fixed length of RFC 7518 section 3.4; DER is
    /// refused.
    pub(crate) fn verify(&self, token: &UnverifiedSignature<'_>) -> Result<(), AuthError> {
        let is_right = match &self.public {
            PublicKey::Jsonwebtoken(key, algorithm) => (DEFAULT_PROVIDER.verifier_factory)(algorithm, key)
                .is_ok_and(|verifier| verifier.verify(token.message, &token.signature).is_ok()),
            PublicKey::P521(key) => key.verify_sig(token.message, &token.signature).is_ok(),
        };
        if is_right { Ok(()) } else { Err(AuthError::SignatureWrong) }
    }
}

debug_fields!(VerificationKey: key_id, algorithm);

/// Reads a JWK. Returns one key for each algorithm: one, or six for an RSA key without `alg`.
pub(crate) fn read(jwk: &Object) -> Result<Vec<VerificationKey>, UnusableKey> {
    // `d` is the private half of every asymmetric kind (RFC 7518 section 6): anyone who reads this document could sign.
    if jwk.get("d").is_some() {
        return Err(UnusableKey::Bad);
    }
    // Before the numbers: a key for another purpose is skipped, whatever its numbers are.
    check_purpose(jwk)?;
    let material = JwkMaterial::read(jwk)?;
    let key_id = jwk.text("kid")?.map(Arc::<str>::from);
    if key_id.as_ref().is_some_and(|kid| kid.len() > KEY_ID_BYTES_MAX) {
        return Err(UnusableKey::Bad);
    }
    let thumbprint = material.thumbprint()?;
    let certified_at = certified_at(jwk)?;
    let algorithms = material.algorithms(jwk.text("alg")?)?;
    let key = |algorithm: Algorithm| {
        let public = material.public(algorithm)?;
        Ok(VerificationKey {
            key_id: key_id.clone(),
            algorithm,
            thumbprint,
            certified_at,
            in_use_since: UnixTime::default(),
            public,
        })
    };
    algorithms.into_iter().map(key).collect()
}

/// The public numbers of a key after the strict reading: each in its canonical length, and a point on its curve.
struct JwkMaterial {
    jwk: Jwk,
    /// What the key may verify: one algorithm, or six for an RSA key.
    algorithms: &'static [Algorithm],
    parsed: ParsedPublicKey,
}

struct Curve {
    name: &'static str,
    curve: EllipticCurve,
    algorithm: [Algorithm; 1],
    coordinate_bytes: usize,
    verification: &'static dyn VerificationAlgorithm,
}

/// RFC 7518 section 3.4: each curve has one algorithm.
static CURVES: [Curve; 3] = [
    Curve {
        name: "P-256",
        curve: EllipticCurve::P256,
        algorithm: [Algorithm::ES256],
        coordinate_bytes: 32,
        verification: &ECDSA_P256_SHA256_FIXED,
    },
    Curve {
        name: "P-384",
        curve: EllipticCurve::P384,
        algorithm: [Algorithm::ES384],
        coordinate_bytes: 48,
        verification: &ECDSA_P384_SHA384_FIXED,
    },
    Curve {
        name: "P-521",
        curve: EllipticCurve::P521,
        algorithm: [Algorithm::ES512],
        coordinate_bytes: 66,
        verification: &ECDSA_P521_SHA512_FIXED,
    },
];

/// What an RSA key may verify.
const RSA: [Algorithm; 6] =
    [Algorithm::RS256, Algorithm::RS384, Algorithm::RS512, Algorithm::PS256, Algorithm::PS384, Algorithm::PS512];

impl JwkMaterial {
    fn read(jwk: &Object) -> Result<Self, UnusableKey> {
        match jwk.text("kty")?.ok_or(UnusableKey::Bad)? {
            "RSA" => Self::read_rsa(jwk),
            "EC" => Self::read_ec(jwk),
            "OKP" => Self::read_okp(jwk),
            _ => Err(UnusableKey::Foreign),
        }
    }

    fn new(
        parameters: AlgorithmParameters,
        algorithms: &'static [Algorithm],
        parsed: Result<ParsedPublicKey, impl Sized>,
    ) -> Result<Self, UnusableKey> {
        let parsed = parsed.map_err(|_| UnusableKey::Bad)?;
        Ok(Self { jwk: Jwk { common: CommonParameters::default(), algorithm: parameters }, algorithms, parsed })
    }

    fn read_rsa(jwk: &Object) -> Result<Self, UnusableKey> {
        let (modulus, exponent) = (member(jwk, "n")?, member(jwk, "e")?);
        let (n, e) = (decode(&modulus)?, decode(&exponent)?);
        let bits = n.first().map_or(0, |first| n.len() * 8 - first.leading_zeros() as usize);
        let good_modulus = n.first() != Some(&0) && (RSA_BITS_MIN..=RSA_BITS_MAX).contains(&bits);
        let good_exponent = e.len() <= 4
            && e.first().is_some_and(|first| *first != 0)
            && e.last().is_some_and(|last| last % 2 == 1)
            && e != [1];
        if !good_modulus || !good_exponent || roca::is_marked(&n) {
            return Err(UnusableKey::Bad);
        }
        let parsed = RsaPublicKeyComponents { n, e }.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256);
        let parameters = RSAKeyParameters { key_type: RSAKeyType::RSA, n: modulus, e: exponent };
        Self::new(AlgorithmParameters::RSA(parameters), &RSA, parsed)
    }

    fn read_ec(jwk: &Object) -> Result<Self, UnusableKey> {
        let name = jwk.text("crv")?.ok_or(UnusableKey::Bad)?;
        let curve = CURVES.iter().find(|curve| curve.name == name).ok_or(UnusableKey::Foreign)?;
        let (x, y) = (member(jwk, "x")?, member(jwk, "y")?);
        let mut point = vec![4];
        for coordinate in [&x, &y] {
            let bytes = decode(coordinate)?;
            if bytes.len() != curve.coordinate_bytes {
                return Err(UnusableKey::Bad);
            }
            point.extend(bytes);
        }
        let parsed = ParsedPublicKey::new(curve.verification, &point);
        let key_type = EllipticCurveKeyType::EC;
        let parameters = EllipticCurveKeyParameters { key_type, curve: curve.curve.clone(), x, y };
        Self::new(AlgorithmParameters::EllipticCurve(parameters), &curve.algorithm, parsed)
    }

    fn read_okp(jwk: &Object) -> Result<Self, UnusableKey> {
        if jwk.text("crv")?.ok_or(UnusableKey::Bad)? != "Ed25519" {
            return Err(UnusableKey::Foreign);
        }
        let x = member(jwk, "x")?;
        let bytes = decode(&x)?;
        if bytes.len() != 32 {
            return Err(UnusableKey::Bad);
        }
        let key_type = OctetKeyPairType::OctetKeyPair;
        let parameters = OctetKeyPairParameters { key_type, curve: EllipticCurve::Ed25519, x };
        let parsed = ParsedPublicKey::new(&ED25519, &bytes);
        Self::new(AlgorithmParameters::OctetKeyPair(parameters), &[Algorithm::EdDSA], parsed)
    }

    /// The algorithms that the key may verify; `alg` narrows them and must fit the kind of key.
    fn algorithms(&self, alg: Option<&str>) -> Result<Vec<Algorithm>, UnusableKey> {
        let Some(alg) = alg else { return Ok(self.algorithms.to_vec()) };
        // RFC 9864 names EdDSA on this curve `Ed25519`; the token still says `EdDSA`.
        let named = if alg == "Ed25519" { Ok(Algorithm::EdDSA) } else { Algorithm::parse(alg) };
        let named = named.map_err(|_| UnusableKey::Foreign)?;
        if self.algorithms.contains(&named) { Ok(vec![named]) } else { Err(UnusableKey::Bad) }
    }

    fn public(&self, algorithm: Algorithm) -> Result<PublicKey, UnusableKey> {
        let named = match algorithm {
            Algorithm::RS256 => jsonwebtoken::Algorithm::RS256,
            Algorithm::RS384 => jsonwebtoken::Algorithm::RS384,
            Algorithm::RS512 => jsonwebtoken::Algorithm::RS512,
            Algorithm::PS256 => jsonwebtoken::Algorithm::PS256,
            Algorithm::PS384 => jsonwebtoken::Algorithm::PS384,
            Algorithm::PS512 => jsonwebtoken::Algorithm::PS512,
            Algorithm::ES256 => jsonwebtoken::Algorithm::ES256,
            Algorithm::ES384 => jsonwebtoken::Algorithm::ES384,
            Algorithm::EdDSA => jsonwebtoken::Algorithm::EdDSA,
            Algorithm::ES512 => return Ok(PublicKey::P521(self.parsed.clone())),
        };
        let key = DecodingKey::from_jwk(&self.jwk).map_err(|_| UnusableKey::Bad)?;
        Ok(PublicKey::Jsonwebtoken(key, named))
    }

    /// RFC 7638 with SHA-256.
    fn thumbprint(&self) -> Result<[u8; 32], UnusableKey> {
        let text = self.jwk.thumbprint(ThumbprintHash::SHA256).map_err(|_| UnusableKey::Bad)?;
        decode_digest(&text).ok_or(UnusableKey::Bad)
    }
}

fn member(jwk: &Object, name: &str) -> Result<String, UnusableKey> {
    jwk.text(name)?.map(str::to_owned).ok_or(UnusableKey::Bad)
}

/// `use` and `key_ops` (RFC 7517 sections 4.2 and 4.3), where present, must be for verifying signatures.
fn check_purpose(jwk: &Object) -> Result<(), UnusableKey> {
    if jwk.text("use")?.is_some_and(|purpose| purpose != "sig") {
        return Err(UnusableKey::Foreign);
    }
    let Some(operations) = jwk.texts("key_ops")? else { return Ok(()) };
    let distinct: std::collections::BTreeSet<_> = operations.iter().collect();
    match (distinct.len() == operations.len(), operations.contains(&"verify")) {
        (false, _) => Err(UnusableKey::Bad),
        (true, false) => Err(UnusableKey::Foreign),
        (true, true) => Ok(()),
    }
}

/// When the key was certified by `x5c`: a date of the issuer's that may be older than our first sight of the key.
fn certified_at(jwk: &Object) -> Result<Option<UnixTime>, UnusableKey> {
    let first = match jwk.get("x5c") {
        None => return Ok(None),
        Some(Json::List(chain)) => chain.first().and_then(Json::as_text).ok_or(UnusableKey::Bad)?,
        Some(_) => return Err(UnusableKey::Bad),
    };
    let der = STANDARD.decode(first).map_err(|_| UnusableKey::Bad)?;
    let (_, certificate) = x509_parser::parse_x509_certificate(&der).map_err(|_| UnusableKey::Bad)?;
    let secs = certificate.validity().not_before.timestamp();
    Ok(u64::try_from(secs).ok().map(UnixTime::from_secs))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(jwk: &str) -> Result<Vec<Algorithm>, UnusableKey> {
        let jwk = Object::parse(jwk.as_bytes()).expect("an object");
        read(&jwk).map(|keys| keys.into_iter().map(|key| key.algorithm).collect())
    }

    /// RFC 7515 appendix A.3.
    const EC: &str = r#""kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0""#;
    /// RFC 7638 section 3.1.
    const RSA: &str = r#""kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB""#;

    #[test]
    fn a_key_is_bound_to_its_algorithm() {
        use Algorithm::{ES256, PS256, PS384, PS512, RS256, RS384, RS512};
        assert_eq!(check(&format!("{{{EC}}}")), Ok(vec![ES256]));
        assert_eq!(check(&format!(r#"{{{EC},"alg":"ES256","use":"sig","key_ops":["verify"]}}"#)), Ok(vec![ES256]));
        assert_eq!(check(&format!("{{{RSA}}}")), Ok(vec![RS256, RS384, RS512, PS256, PS384, PS512]));
        assert_eq!(check(&format!(r#"{{{RSA},"alg":"PS256"}}"#)), Ok(vec![PS256]));
        for (more, want) in [
            (r#""alg":"ES384""#, UnusableKey::Bad),
            (r#""alg":"ES512""#, UnusableKey::Bad),
            (r#""alg":"ES256K""#, UnusableKey::Foreign),
            (r#""alg":"RS256""#, UnusableKey::Bad),
            (r#""alg":"ECDH-ES""#, UnusableKey::Foreign),
            (r#""alg":"HS256""#, UnusableKey::Foreign),
            (r#""use":"enc""#, UnusableKey::Foreign),
            (r#""key_ops":["sign"]"#, UnusableKey::Foreign),
            (r#""key_ops":["verify","verify"]"#, UnusableKey::Bad),
            (r#""d":"AA""#, UnusableKey::Bad),
            (r#""kid":1"#, UnusableKey::Bad),
        ] {
            assert_eq!(check(&format!("{{{EC},{more}}}")), Err(want), "{more}");
        }
    }

    #[test]
    fn a_key_for_another_purpose_is_skipped_whatever_its_numbers_are() {
        let off_the_curve = EC.replace("x_FEzRu9", "x_FEzRu8");
        assert_eq!(check(&format!("{{{off_the_curve}}}")), Err(UnusableKey::Bad));
        assert_eq!(check(&format!(r#"{{{off_the_curve},"use":"enc"}}"#)), Err(UnusableKey::Foreign));
        assert_eq!(check(&format!(r#"{{{EC},"use":"enc","d":"AA"}}"#)), Err(UnusableKey::Bad), "a private key is out");
    }

    #[test]
    fn weak_foreign_and_malformed_keys_are_refused() {
        let short = "A".repeat(342).replacen('A', "0", 1);
        let cases = [
            (r#"{"kty":"oct","k":"AAAA"}"#.to_owned(), UnusableKey::Foreign),
            (r#"{"kty":"EC","crv":"secp256k1","x":"","y":""}"#.to_owned(), UnusableKey::Foreign),
            (r#"{"kty":"OKP","crv":"X25519","x":"AA"}"#.to_owned(), UnusableKey::Foreign),
            (r#"{"kty":"OKP","crv":"Ed25519","x":"AA"}"#.to_owned(), UnusableKey::Bad),
            (r#"{"crv":"P-256"}"#.to_owned(), UnusableKey::Bad),
            (format!(r#"{{"kty":"RSA","n":"{}","e":"AQAB"}}"#, &short[..171]), UnusableKey::Bad),
            (RSA_MEMBERS("AQ"), UnusableKey::Bad),
            (RSA_MEMBERS("Ag"), UnusableKey::Bad),
            (RSA_MEMBERS("AAEAAQ"), UnusableKey::Bad),
            (format!("{{{}}}", EC.replace("x_FEzRu9", "AAAAAAAA")), UnusableKey::Bad),
            (format!("{{{}}}", EC.replace("\"P-256\"", "\"P-384\"")), UnusableKey::Bad),
            (format!("{{{}}}", EC.replace("\"P-256\"", "\"P-521\"")), UnusableKey::Bad),
        ];
        for (jwk, want) in cases {
            assert_eq!(check(&jwk), Err(want), "{jwk}");
        }
    }

    #[expect(non_snake_case, reason = "stands beside the constant it varies")]
    fn RSA_MEMBERS(exponent: &str) -> String {
        format!("{{{}}}", RSA.replace("\"AQAB\"", &format!("\"{exponent}\"")))
    }

    #[test]
    fn thumbprint_of_rfc_7638() {
        let jwk = Object::parse(format!("{{{RSA},\"alg\":\"RS256\"}}").as_bytes()).expect("an object");
        let keys = read(&jwk).expect("a key");
        let want = crate::identity::token::jwt::decode_digest("NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
        assert_eq!(Some(keys[0].thumbprint), want);
    }
}

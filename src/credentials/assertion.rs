//! Client assertions: a short-lived token by which a token endpoint knows us without a shared secret (RFC 7523).

use serde_json::json;

use super::keeper::FetchFailure;
use super::settings::AssertionSettings;
use crate::bounds::ASSERTION_LIFETIME;
use crate::identity::SigningKey;
use crate::model::{Algorithm, Moment, Secret, hex};

/// Signs an assertion of `client_id` for an audience, with the private key in this PEM text.
pub(super) fn sign(
    settings: &AssertionSettings,
    client_id: &str,
    token_url: &str,
    pem: &str,
    now: Moment,
) -> Result<Secret<String>, FetchFailure> {
    let failed = |why: &str| FetchFailure::Failed(why.to_owned());
    let key_id = settings.key_id.as_deref().unwrap_or_default();
    let key = SigningKey::from_pem(settings.algorithm, key_id, pem.as_bytes())
        .map_err(|_| failed("the private key is not one of the algorithm's, in PEM"))?;
    let mut header = json!({ "alg": settings.algorithm.as_str(), "typ": "JWT" });
    if let Some(key_id) = &settings.key_id {
        header["kid"] = json!(key_id);
    }
    let issued = now.wall.as_secs();
    let claims = json!({
        "iss": client_id,
        "sub": client_id,
        "aud": settings.audience.as_deref().unwrap_or(token_url),
        "jti": random_id().ok_or_else(|| failed("this machine has no randomness"))?,
        "iat": issued,
        "exp": issued + ASSERTION_LIFETIME.as_secs(),
    });
    let signed = key.sign_raw(&header.to_string(), &claims.to_string());
    signed.map(Secret::new).map_err(|_| failed("the client assertion could not be signed"))
}

/// Checks a private key for `vendorgate check`.
///
/// # Errors
/// Why it cannot be used, without any of its content.
pub fn inspect_private_key(pem: &[u8], algorithm: Algorithm) -> Result<Option<String>, String> {
    let wrong = |_| format!("holds no private key for {}, in PEM", algorithm.as_str());
    SigningKey::from_pem(algorithm, "", pem).map(|_| None).map_err(wrong)
}

/// An id that no other assertion has: 128 random bits.
fn random_id() -> Option<String> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).ok()?;
    Some(hex(&bytes))
}

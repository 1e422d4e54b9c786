//! The example of RFC 9449 section 7.1, and proofs that are for another request.

use std::sync::LazyLock;

use http::{HeaderMap, Method};

use crate::identity::fixture::presented;
use crate::identity::{Algorithm, SigningKey};
use crate::model::UnixTime;

use super::*;

/// RFC 9449 section 7.1 (figure 12): a proof for `GET https://resource.example.org/protectedresource`.
const PROOF: &str = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA";
/// The access token of the same section, and the `jkt` of section 6.1 that it is bound to.
const TOKEN: &str = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
const THUMBPRINT: &str = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
const ISSUED: u64 = 1_562_262_618;

/// One for all tests, as there is one per process: its key gives proofs their fingerprints.
static CACHE: LazyLock<TokenCache> = LazyLock::new(|| TokenCache::new(1 << 20).expect("randomness"));

struct Case<'a> {
    proofs: Vec<&'a str>,
    scheme: AuthScheme,
    token: &'a str,
    method: Method,
    authority: &'a str,
    path: &'a str,
    thumbprint: [u8; 32],
    at: u64,
}

fn rfc() -> Case<'static> {
    Case {
        proofs: vec![PROOF],
        scheme: AuthScheme::Dpop,
        token: TOKEN,
        method: Method::GET,
        authority: "resource.example.org",
        path: "/protectedresource",
        thumbprint: decode_digest(THUMBPRINT).expect("a digest"),
        at: ISSUED,
    }
}

fn check_with(case: &Case<'_>, replays: &ReplayCache) -> Result<(), AuthError> {
    let mut headers = HeaderMap::new();
    for proof in &case.proofs {
        headers.append("dpop", proof.parse().expect("a value"));
    }
    let presented = PresentedRequest {
        method: &case.method,
        authority: case.authority,
        path: case.path,
        query: Some("a=1"),
        ..presented(&headers)
    };
    let expected = ExpectedProof {
        presented: &presented,
        credentials: Credentials { scheme: case.scheme, token: case.token.as_bytes() },
        key_thumbprint: &case.thumbprint,
        now: Moment { wall: UnixTime::from_secs(case.at), monotonic_ns: 0 },
    };
    super::check(&expected, replays, &CACHE)
}

fn check(case: &Case<'_>) -> Result<(), AuthError> {
    check_with(case, &ReplayCache::default())
}

#[test]
fn no_letter_of_a_proof_can_be_changed_inserted_or_left_out() {
    let replays = ReplayCache::default();
    for at in 0..PROOF.len() {
        for letter in ('!'..='~').filter(|letter| !PROOF[at..].starts_with(*letter)) {
            let (before, after) = PROOF.split_at(at);
            for changed in [format!("{before}{letter}{}", &after[1..]), format!("{before}{letter}{after}")] {
                let got = check_with(&Case { proofs: vec![&changed], ..rfc() }, &replays);
                assert!(got.is_err(), "{letter} at {at}");
            }
        }
        let shorter = [&PROOF[..at], &PROOF[at + 1..]].concat();
        assert!(check_with(&Case { proofs: vec![&shorter], ..rfc() }, &replays).is_err(), "without {at}");
    }
    assert_eq!(check_with(&rfc(), &replays), Ok(()), "and none of them used it up");
}

#[test]
fn the_example_of_rfc_9449_passes_once() {
    // The clock of these checks does not move, so the replay cache began at the time of the check.
    let restarted = |at: u64| check_with(&Case { at, ..rfc() }, &ReplayCache::since(0));
    assert_eq!(restarted(ISSUED + 1), Err(AuthError::ProofStale), "it may have been used before the start");
    assert_eq!(restarted(ISSUED), Ok(()));
    let replays = ReplayCache::default();
    assert_eq!(check_with(&rfc(), &replays), Ok(()));
    assert_eq!(check_with(&rfc(), &replays), Err(AuthError::ProofReplayed));
    assert_eq!(check(&Case { authority: "Resource.example.org:443", ..rfc() }), Ok(()));
    assert_eq!(check(&Case { at: ISSUED + 60, ..rfc() }), Ok(()));
}

#[test]
fn a_proof_is_for_one_key_token_method_address_and_time() {
    let other = SigningKey::generate(Algorithm::ES256, "k").expect("a key").sign("{}").expect("a token");
    let cut = &PROOF[..PROOF.len() - 1];
    let cases = [
        (Case { proofs: vec![], ..rfc() }, AuthError::ProofMissing),
        (Case { proofs: vec![PROOF, PROOF], ..rfc() }, AuthError::ProofMissing),
        (Case { scheme: AuthScheme::Bearer, ..rfc() }, AuthError::ProofMissing),
        (Case { proofs: vec![&other], ..rfc() }, AuthError::ProofMalformed),
        (Case { proofs: vec![cut], ..rfc() }, AuthError::ProofMalformed),
        (Case { proofs: vec!["a.b"], ..rfc() }, AuthError::ProofMalformed),
        (Case { thumbprint: [0; 32], ..rfc() }, AuthError::ProofWrong),
        (Case { token: "another", ..rfc() }, AuthError::ProofWrong),
        (Case { method: Method::POST, ..rfc() }, AuthError::ProofWrong),
        (Case { path: "/protectedresource/", ..rfc() }, AuthError::ProofWrong),
        (Case { authority: "resource.example.org.evil.test", ..rfc() }, AuthError::ProofWrong),
        (Case { authority: "resource.example.org:8443", ..rfc() }, AuthError::ProofWrong),
        (Case { at: ISSUED + 61, ..rfc() }, AuthError::ProofStale),
        (Case { at: ISSUED - 61, ..rfc() }, AuthError::ProofStale),
    ];
    for (case, error) in cases {
        assert_eq!(check(&case), Err(error), "{:?} {} {}", case.proofs, case.path, case.at);
    }
}

#[test]
fn a_proof_signed_by_the_right_key_must_still_have_every_claim() {
    let key = SigningKey::generate(Algorithm::ES256, "k").expect("a key");
    let jwk = key.public_jwk();
    let header = format!(r#"{{"typ":"dpop+jwt","alg":"ES256","jwk":{jwk}}}"#);
    let thumbprint = jwk::read(&Object::parse(jwk.as_bytes()).expect("json")).expect("a key")[0].thumbprint;
    let ath = r#""ath":"fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo""#;
    let base = format!(r#""htm":"GET","htu":"https://resource.example.org/protectedresource?x=1#y","iat":{ISSUED}"#);
    let judge = |header: &str, payload: &str| {
        let proof = key.sign_raw(header, payload).expect("a proof");
        check(&Case { proofs: vec![&proof], thumbprint, ..rfc() })
    };
    assert_eq!(judge(&header, &format!(r#"{{{base},{ath},"jti":"1"}}"#)), Ok(()));
    for payload in [
        format!(r#"{{{base},{ath}}}"#),
        format!(r#"{{{base},{ath},"jti":""}}"#),
        format!(r#"{{{base},{ath},"jti":7}}"#),
        format!(r#"{{{base},"jti":"1"}}"#),
        format!(r#"{{{},{ath},"jti":"1"}}"#, base.replace("\"iat\"", "\"nbf\"")),
        format!(r#"{{{},{ath},"jti":"1"}}"#, base.replace("\"htm\"", "\"x\"")),
    ] {
        assert_eq!(judge(&header, &payload), Err(AuthError::ProofMalformed), "{payload}");
    }
    let payload = format!(r#"{{{base},{ath},"jti":"1"}}"#);
    for bad in [
        header.replace("dpop+jwt", "jwt"),
        header.replace("\"x\":", "\"d\":\"AA\",\"x\":"),
        header.replace("\"jwk\"", "\"jku\""),
    ] {
        assert_eq!(judge(&bad, &payload), Err(AuthError::ProofMalformed), "{bad}");
    }
}

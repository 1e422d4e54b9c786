//! Tokens that must be refused, as data: the same table is judged alone and through a real listener.
//!
//! Knows nothing of the product: it is given closures that sign, and makes `Authorization` values and query strings.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};

mod claims;
mod structure;

/// Signs a header and a payload, both JSON text, into a compact token.
pub(crate) type Sign<'a> = &'a dyn Fn(&str, &str) -> String;

/// What an attacker has to work with, and the contract that is attacked.
///
/// The contract takes ES256 and RS256 from one issuer, client and audience, `at+jwt` only, with `max_lifetime` and
/// `max_age` of an hour and a skew of 30 s at most. The key set also holds `eddsa`, which the contract does not list.
pub(crate) struct Forge<'a> {
    pub(crate) now: u64,
    /// How many seconds ahead are beyond the skew: more where the clock goes on while the table is worked through.
    pub(crate) too_early: u64,
    pub(crate) issuer: &'a str,
    pub(crate) audience: &'a str,
    pub(crate) client: &'a str,
    pub(crate) es256_kid: &'a str,
    pub(crate) es256: Sign<'a>,
    pub(crate) rs256_kid: &'a str,
    pub(crate) rs256: Sign<'a>,
    pub(crate) eddsa_kid: &'a str,
    pub(crate) eddsa: Sign<'a>,
    /// ES256 under a key that nobody published.
    pub(crate) stranger: Sign<'a>,
    /// What the issuer publishes, as secrets for HMAC confusion.
    pub(crate) public_texts: Vec<String>,
}

/// One request that must be refused.
pub(crate) struct Attack {
    pub(crate) name: String,
    pub(crate) authorization: Vec<Vec<u8>>,
    pub(crate) query: Option<String>,
    /// The public reason.
    pub(crate) reason: &'static str,
}

const MALFORMED: &str = "token_malformed";
const INVALID: &str = "token_invalid";

impl Forge<'_> {
    /// A payload that passes.
    pub(crate) fn claims(&self) -> Value {
        json!({
            "iss": self.issuer, "aud": self.audience, "client_id": self.client, "sub": self.client,
            "iat": self.now, "exp": self.now + 600, "jti": "j-1", "scope": "orders:read"
        })
    }

    /// A header that passes.
    pub(crate) fn header(&self) -> Value {
        json!({ "alg": "ES256", "typ": "at+jwt", "kid": self.es256_kid })
    }

    /// Tokens that must pass: without them the table could be right about everything by refusing everything.
    pub(crate) fn controls(&self) -> Vec<(&'static str, String)> {
        let altered = |name: &str, value: Value| with(self.claims(), name, value).to_string();
        let plain = |payload: String| (self.es256)(&self.header().to_string(), &payload);
        vec![
            ("as it should be", plain(self.claims().to_string())),
            ("one of several audiences", plain(altered("aud", json!(["x", self.audience])))),
            ("dates with fractions", plain(altered("iat", json!(self.now as f64 + 0.5)))),
            (
                "scp as an array",
                plain(without(with(self.claims(), "scp", json!(["orders:read"])), "scope").to_string()),
            ),
            ("within the skew", plain(altered("iat", json!(self.now + 5)))),
            ("white space in JSON", plain(format!(" {} ", self.claims()))),
            (
                "azp instead of client_id",
                plain(with(without(self.claims(), "client_id"), "azp", json!(self.client)).to_string()),
            ),
            ("sub alone", plain(without(self.claims(), "client_id").to_string())),
            (
                "a long media type",
                (self.es256)(
                    &with(self.header(), "typ", json!("application/AT+JWT")).to_string(),
                    &self.claims().to_string(),
                ),
            ),
            (
                "the other algorithm",
                (self.rs256)(
                    &json!({"alg":"RS256","typ":"at+jwt","kid":self.rs256_kid}).to_string(),
                    &self.claims().to_string(),
                ),
            ),
        ]
    }

    /// Every attack.
    pub(crate) fn attacks(&self) -> Vec<Attack> {
        let mut table = Vec::new();
        self.headers(&mut table);
        self.keys(&mut table);
        self.claim_values(&mut table);
        self.claim_dates(&mut table);
        self.structure(&mut table);
        self.presentation(&mut table);
        table
    }

    fn good(&self) -> String {
        (self.es256)(&self.header().to_string(), &self.claims().to_string())
    }

    fn headers(&self, table: &mut Vec<Attack>) {
        let claims = self.claims().to_string();
        let rows: [(&str, Value, &'static str); 34] = [
            ("alg", json!("none"), INVALID),
            ("alg", json!("None"), INVALID),
            ("alg", json!("NONE"), INVALID),
            ("alg", json!("nOnE"), INVALID),
            ("alg", json!(""), INVALID),
            ("alg", json!("HS256"), INVALID),
            ("alg", json!("HS512"), INVALID),
            ("alg", json!("es256"), INVALID),
            ("alg", json!("ES256 "), INVALID),
            ("alg", json!("ES256K"), INVALID),
            ("alg", json!("ES512"), INVALID),
            ("alg", json!("RS1"), INVALID),
            ("alg", json!(null), INVALID),
            ("alg", json!(["ES256"]), INVALID),
            ("alg", json!({"a": "ES256"}), INVALID),
            ("typ", json!("JWT"), INVALID),
            ("typ", json!("dpop+jwt"), INVALID),
            ("typ", json!("logout+jwt"), INVALID),
            ("typ", json!("id+jwt"), INVALID),
            ("typ", json!("at+jwt;v=1"), INVALID),
            ("typ", json!(7), INVALID),
            ("typ", json!("application/x-at+jwt"), INVALID),
            ("crit", json!(["exp"]), INVALID),
            ("crit", json!([]), INVALID),
            ("crit", json!("b64"), INVALID),
            ("b64", json!(false), INVALID),
            ("b64", json!(true), INVALID),
            ("cty", json!("JWT"), INVALID),
            ("zip", json!("DEF"), INVALID),
            ("enc", json!("A256GCM"), INVALID),
            ("kid", json!(7), INVALID),
            ("kid", json!("x".repeat(257)), INVALID),
            ("jku", json!("https://evil.test/jwks"), INVALID),
            ("x5u", json!("https://evil.test/cert"), INVALID),
        ];
        for (name, value, reason) in rows {
            let header = with(self.header(), name, value.clone()).to_string();
            table.push(bearer(format!("header {name} = {value}"), &(self.es256)(&header, &claims), reason));
        }
        let no_type = without(self.header(), "typ").to_string();
        table.push(bearer("header without typ", &(self.es256)(&no_type, &claims), INVALID));
        let no_alg = without(self.header(), "alg").to_string();
        table.push(bearer("header without alg", &(self.es256)(&no_alg, &claims), INVALID));
        for (name, text) in [
            ("alg twice", format!(r#"{{"alg":"ES256","alg":"ES256","typ":"at+jwt","kid":"{}"}}"#, self.es256_kid)),
            (
                "alg twice, one escaped",
                format!(r#"{{"alg":"ES256","\u0061lg":"none","typ":"at+jwt","kid":"{}"}}"#, self.es256_kid),
            ),
            ("kid twice", format!(r#"{{"alg":"ES256","typ":"at+jwt","kid":"x","kid":"{}"}}"#, self.es256_kid)),
            ("a comment", format!(r#"{{"alg":"ES256",/**/"typ":"at+jwt","kid":"{}"}}"#, self.es256_kid)),
            ("a byte order mark", format!("\u{feff}{}", self.header())),
            ("an array", format!("[{}]", self.header())),
            ("something after it", format!("{}{{}}", self.header())),
            ("a trailing comma", format!(r#"{{"alg":"ES256","typ":"at+jwt","kid":"{}",}}"#, self.es256_kid)),
        ] {
            table.push(bearer(format!("header with {name}"), &(self.es256)(&text, &claims), MALFORMED));
        }
    }

    fn keys(&self, table: &mut Vec<Attack>) {
        let (claims, header) = (self.claims().to_string(), self.header());
        let stranger = |header: &Value| (self.stranger)(&header.to_string(), &claims);
        table.push(bearer("an unknown key under a known kid", &stranger(&header), INVALID));
        let foreign = with(self.claims(), "client_id", json!("other-client")).to_string();
        let forged = (self.stranger)(&header.to_string(), &foreign);
        table.push(bearer("a forged token of an unknown client", &forged, INVALID));
        table.push(bearer("an unknown kid", &stranger(&with(self.header(), "kid", json!("nobody"))), INVALID));
        table.push(bearer("an unknown key without kid", &stranger(&without(self.header(), "kid")), INVALID));
        for kid in ["../../dev/null", "' OR '1'='1", "https://evil.test/k", "\u{0}", ""] {
            table.push(bearer(
                format!("a kid of {kid:?}"),
                &stranger(&with(self.header(), "kid", json!(kid))),
                INVALID,
            ));
        }
        let embedded = json!({"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"});
        table.push(bearer("a key inside the token", &stranger(&with(self.header(), "jwk", embedded)), INVALID));
        table.push(bearer(
            "a certificate inside the token",
            &stranger(&with(self.header(), "x5c", json!(["MIIB"]))),
            INVALID,
        ));
        let eddsa = json!({"alg":"EdDSA","typ":"at+jwt","kid":self.eddsa_kid}).to_string();
        table.push(bearer("an algorithm that the contract does not list", &(self.eddsa)(&eddsa, &claims), INVALID));
        let crossed = json!({"alg":"ES256","typ":"at+jwt","kid":self.rs256_kid}).to_string();
        table.push(bearer("ES256 under the kid of an RSA key", &(self.es256)(&crossed, &claims), INVALID));
        let lying = json!({"alg":"ES256","typ":"at+jwt","kid":self.rs256_kid}).to_string();
        table.push(bearer("an RS256 signature said to be ES256", &(self.rs256)(&lying, &claims), INVALID));
        let crossed = json!({"alg":"RS256","typ":"at+jwt","kid":self.es256_kid}).to_string();
        table.push(bearer("RS256 under the kid of an EC key", &(self.rs256)(&crossed, &claims), INVALID));
        let padded = json!({"alg":"PS256","typ":"at+jwt","kid":self.rs256_kid}).to_string();
        table.push(bearer("PS256 under a key bound to RS256", &(self.rs256)(&padded, &claims), INVALID));
        for (at, secret) in self.public_texts.iter().enumerate() {
            let header = with(self.header(), "alg", json!("HS256")).to_string();
            table.push(bearer(
                format!("HS256 with public text {at}"),
                &hs256(&header, &claims, secret.as_bytes()),
                INVALID,
            ));
            let lying = self.header().to_string();
            table.push(bearer(
                format!("HMAC said to be ES256, public text {at}"),
                &hs256(&lying, &claims, secret.as_bytes()),
                INVALID,
            ));
        }
    }
}

fn bearer(name: impl Into<String>, token: &str, reason: &'static str) -> Attack {
    Attack { name: name.into(), authorization: vec![format!("Bearer {token}").into_bytes()], query: None, reason }
}

fn with(mut object: Value, name: &str, value: Value) -> Value {
    object[name] = value;
    object
}

fn without(mut object: Value, name: &str) -> Value {
    object.as_object_mut().map(|members| members.shift_remove(name));
    object
}

fn hs256(header: &str, payload: &str, secret: &[u8]) -> String {
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret).expect("any length");
    mac.update(signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

//! Tokens that must be refused, as data: the same table is judged alone and through a real listener.
//!
//! Knows nothing of the product: it is given closures that sign, and makes `Authorization` values and query strings.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};

/// Signs a header and a payload, both JSON text, into a compact token.
pub type Sign<'a> = &'a dyn Fn(&str, &str) -> String;

/// What an attacker has to work with, and the contract that is attacked.
///
/// The contract takes ES256 and RS256 from one issuer, client and audience, `at+jwt` only, with `max_lifetime` and
/// `max_age` of an hour and a skew of 30 s at most. The key set also holds `eddsa`, which the contract does not list.
pub struct Forge<'a> {
    pub now: u64,
    pub issuer: &'a str,
    pub audience: &'a str,
    pub client: &'a str,
    pub es256_kid: &'a str,
    pub es256: Sign<'a>,
    pub rs256_kid: &'a str,
    pub rs256: Sign<'a>,
    pub eddsa_kid: &'a str,
    pub eddsa: Sign<'a>,
    /// ES256 under a key that nobody published.
    pub stranger: Sign<'a>,
    /// What the issuer publishes, as secrets for HMAC confusion.
    pub public_texts: Vec<String>,
}

/// One request that must be refused.
pub struct Attack {
    pub name: String,
    pub authorization: Vec<Vec<u8>>,
    pub query: Option<String>,
    /// The public reason.
    pub reason: &'static str,
}

const MALFORMED: &str = "token_malformed";
const INVALID: &str = "token_invalid";

impl Forge<'_> {
    /// A payload that passes.
    pub fn claims(&self) -> Value {
        json!({
            "iss": self.issuer, "aud": self.audience, "client_id": self.client, "sub": self.client,
            "iat": self.now, "exp": self.now + 600, "jti": "j-1", "scope": "orders:read"
        })
    }

    /// A header that passes.
    pub fn header(&self) -> Value {
        json!({ "alg": "ES256", "typ": "at+jwt", "kid": self.es256_kid })
    }

    /// Tokens that must pass: without them the table could be right about everything by refusing everything.
    pub fn controls(&self) -> Vec<(&'static str, String)> {
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
    pub fn attacks(&self) -> Vec<Attack> {
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

    fn claim_values(&self, table: &mut Vec<Attack>) {
        let mut row = |name: &str, value: Value, reason| {
            let token = (self.es256)(&self.header().to_string(), &with(self.claims(), name, value.clone()).to_string());
            table.push(bearer(format!("claim {name} = {value}"), &token, reason));
        };
        let unknown = "vendor_unknown";
        for value in [
            json!(""),
            json!("https://evil.test"),
            json!(format!("{}/", self.issuer)),
            json!(self.issuer.to_uppercase()),
            json!(format!("{}.evil.test", self.issuer)),
            json!(&self.issuer[..self.issuer.len() - 1]),
        ] {
            row("iss", value, unknown);
        }
        for value in [json!(null), json!(1), json!([self.issuer]), json!({"iss": self.issuer})] {
            row("iss", value, INVALID);
        }
        for value in [
            json!("https://other.test"),
            json!(""),
            json!(format!("{}/", self.audience)),
            json!([]),
            json!(["x"]),
            json!(self.audience.to_uppercase()),
            json!(null),
            json!(1),
            json!({}),
            json!([self.audience, 1]),
            json!([[self.audience]]),
        ] {
            row("aud", value, INVALID);
        }
        for value in [
            json!("other-client"),
            json!(format!("{}x", self.client)),
            json!(&self.client[1..]),
            json!(format!(" {}", self.client)),
        ] {
            row("client_id", value, unknown);
        }
        for value in [json!(""), json!(null), json!(1), json!([self.client])] {
            row("client_id", value, INVALID);
        }
        row("azp", json!("other-client"), INVALID);
        row("sub", json!(1), INVALID);
        row("jti", json!(1), INVALID);
        for value in [
            json!(1),
            json!(null),
            json!({"orders:read": true}),
            json!(["orders:read", 1]),
            json!("a\u{1}b"),
            json!(["a b"]),
            json!("caf\u{e9}"),
        ] {
            row("scope", value, INVALID);
        }
        row("scp", json!("admin:all"), INVALID);
        for value in [
            json!(null),
            json!({}),
            json!([]),
            json!("x"),
            json!({"kid": "x"}),
            json!({"jwk": {}}),
            json!({"x5t#S256": 1}),
            json!({"x5t#S256": "AA"}),
            json!({"jkt": ""}),
        ] {
            row("cnf", value, INVALID);
        }
        for bond in ["x5t#S256", "jkt"] {
            row("cnf", json!({ bond: "A".repeat(43) }), "token_unbound");
        }
        for name in ["iss", "aud", "iat", "exp"] {
            let token = (self.es256)(&self.header().to_string(), &without(self.claims(), name).to_string());
            table.push(bearer(format!("no {name}"), &token, INVALID));
        }
        let nobody = without(without(self.claims(), "client_id"), "sub").to_string();
        table.push(bearer("no client at all", &(self.es256)(&self.header().to_string(), &nobody), INVALID));
    }

    fn claim_dates(&self, table: &mut Vec<Attack>) {
        let now = self.now;
        let mut row = |changes: &[(&str, Value)], reason| {
            let payload = changes.iter().fold(self.claims(), |claims, (name, value)| with(claims, name, value.clone()));
            let token = (self.es256)(&self.header().to_string(), &payload.to_string());
            table.push(bearer(format!("dates {changes:?}"), &token, reason));
        };
        row(&[("exp", json!(now - 31)), ("iat", json!(now - 600))], "token_expired");
        row(&[("exp", json!(0))], "token_expired");
        row(&[("exp", json!(1)), ("iat", json!(0))], "token_expired");
        row(&[("nbf", json!(now + 31))], "token_expired");
        row(&[("iat", json!(now + 31))], INVALID);
        row(&[("iat", json!(now - 3601)), ("exp", json!(now - 10))], "token_age");
        row(&[("exp", json!(now + 3601))], "token_lifetime");
        row(&[("exp", json!(now + 31_536_000))], "token_lifetime");
        row(&[("iat", json!(now - 31_536_000)), ("exp", json!(now + 60))], "token_lifetime");
        for name in ["exp", "iat", "nbf"] {
            for value in [json!("1"), json!(null), json!(true), json!([now]), json!({}), json!(-1), json!(1e30)] {
                row(&[(name, value)], INVALID);
            }
        }
        let payload = self.claims().to_string();
        for (name, text, reason) in [
            ("exp twice", payload.replacen('{', r#"{"exp":99999999999,"#, 1), MALFORMED),
            ("exp twice, one escaped", payload.replacen('{', r#"{"\u0065xp":99999999999,"#, 1), MALFORMED),
            ("iss twice", payload.replacen('{', r#"{"iss":"https://evil.test","#, 1), MALFORMED),
            ("a nested repeat", payload.replacen('{', r#"{"act":{"sub":"a","sub":"b"},"#, 1), MALFORMED),
            ("a number beyond doubles", payload.replacen('{', r#"{"x":1e999,"#, 1), MALFORMED),
            ("NaN", payload.replacen('{', r#"{"x":NaN,"#, 1), MALFORMED),
            ("a lone surrogate", payload.replacen('{', r#"{"x":"\ud800","#, 1), MALFORMED),
            ("a raw control character", payload.replacen('{', "{\"x\":\"\u{1}\",", 1), MALFORMED),
            ("single quotes", payload.replace('"', "'"), MALFORMED),
            (
                "forty levels",
                payload.replacen('{', &format!(r#"{{"x":{}{},"#, "[".repeat(40), "]".repeat(40)), 1),
                MALFORMED,
            ),
            (
                "three hundred members",
                payload.replacen(
                    '{',
                    &format!("{{{}", (0..300).map(|i| format!("\"m{i}\":0,")).collect::<String>()),
                    1,
                ),
                MALFORMED,
            ),
            ("nothing", String::new(), MALFORMED),
            ("a string", r#""text""#.to_owned(), MALFORMED),
        ] {
            table.push(bearer(
                format!("payload with {name}"),
                &(self.es256)(&self.header().to_string(), &text),
                reason,
            ));
        }
    }

    fn structure(&self, table: &mut Vec<Attack>) {
        let good = self.good();
        let [header, payload, signature] =
            <[&str; 3]>::try_from(good.split('.').collect::<Vec<_>>()).expect("three parts");
        let bytes = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
        let signed = |signature: &[u8]| format!("{header}.{payload}.{}", URL_SAFE_NO_PAD.encode(signature));
        let swapped: Vec<u8> = bytes[32..].iter().chain(&bytes[..32]).copied().collect();
        let evil = URL_SAFE_NO_PAD.encode(with(self.claims(), "scope", json!("admin:all")).to_string());
        for (name, token, reason) in [
            ("no signature", format!("{header}.{payload}."), MALFORMED),
            ("two parts", format!("{header}.{payload}"), MALFORMED),
            ("one part", header.to_owned(), MALFORMED),
            ("four parts", format!("{good}.{signature}"), MALFORMED),
            ("five parts, as JWE has", format!("{header}.a.b.c.{signature}"), MALFORMED),
            ("an empty first part", format!(".{good}"), MALFORMED),
            ("a dot at the end", format!("{good}."), MALFORMED),
            ("a dot at the start", format!(".{payload}.{signature}"), MALFORMED),
            ("no payload", format!("{header}..{signature}"), MALFORMED),
            ("a thousand dots", ".".repeat(1000), MALFORMED),
            ("padding", format!("{good}="), MALFORMED),
            ("padding twice", format!("{good}=="), MALFORMED),
            ("padded parts", format!("{}.{payload}.{signature}", URL_SAFE.encode(r#"{"alg":"ES256"}  "#)), MALFORMED),
            ("the other alphabet", format!("{header}.{payload}.{}", STANDARD.encode(&bytes)), MALFORMED),
            ("a letter too many", format!("{good}A"), INVALID),
            ("another payload", format!("{header}.{evil}.{signature}"), INVALID),
            ("a zero signature", signed(&[0; 64]), INVALID),
            ("a signature of ones", signed(&[0xff; 64]), INVALID),
            ("r and s swapped", signed(&swapped), INVALID),
            ("a short signature", signed(&bytes[..63]), INVALID),
            ("a long signature", signed(&[&bytes[..], &[0]].concat()), INVALID),
            ("a signature of one byte", signed(&[1]), INVALID),
            ("a DER signature", signed(&der(&bytes)), INVALID),
            (
                "the JSON serialisation",
                format!(r#"{{"payload":"{payload}","protected":"{header}","signature":"{signature}"}}"#),
                MALFORMED,
            ),
            ("nested", (self.es256)(&with(self.header(), "cty", json!("JWT")).to_string(), &good), INVALID),
            (
                "too long",
                (self.es256)(
                    &self.header().to_string(),
                    &with(self.claims(), "x", json!("y".repeat(8192))).to_string(),
                ),
                MALFORMED,
            ),
        ] {
            table.push(bearer(name, &token, reason));
        }
    }

    fn presentation(&self, table: &mut Vec<Attack>) {
        let good = self.good();
        let mut row = |name: &str, authorization: Vec<String>, query: Option<&str>, reason| {
            let authorization = authorization.into_iter().map(String::into_bytes).collect();
            table.push(Attack { name: name.to_owned(), authorization, query: query.map(str::to_owned), reason });
        };
        let bearer = format!("Bearer {good}");
        row("nothing", vec![], None, "token_missing");
        row("only in the URL", vec![], Some(&format!("access_token={good}")), "request_malformed");
        row("in the URL as well", vec![bearer.clone()], Some("access_token=x"), "request_malformed");
        row("in the URL, escaped", vec![bearer.clone()], Some("a=1&access%5Ftoken=x"), "request_malformed");
        row("two headers", vec![bearer.clone(), bearer.clone()], None, "request_malformed");
        row("two headers, one Basic", vec!["Basic eDp5".to_owned(), bearer.clone()], None, "request_malformed");
        row("two tokens in one header", vec![format!("{bearer}, {bearer}")], None, MALFORMED);
        row("another scheme", vec![format!("Token {good}")], None, "token_missing");
        row("no scheme", vec![good.clone()], None, "token_missing");
        row("no token", vec!["Bearer ".to_owned()], None, MALFORMED);
        row("a space inside", vec![format!("Bearer {} {}", &good[..10], &good[10..])], None, MALFORMED);
        row("quoted", vec![format!("Bearer \"{good}\"")], None, MALFORMED);
        row("as a parameter", vec![format!("Bearer token={good}")], None, MALFORMED);
        row("under the DPoP scheme", vec![format!("DPoP {good}")], None, "token_unbound");
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

/// The same signature as ASN.1 writes it.
fn der(fixed: &[u8]) -> Vec<u8> {
    let integer = |bytes: &[u8]| {
        let bytes = &bytes[bytes.iter().take_while(|byte| **byte == 0).count()..];
        let sign = if bytes.first().is_some_and(|byte| *byte >= 0x80) { &[0_u8][..] } else { &[] };
        [&[2, (sign.len() + bytes.len()) as u8], sign, bytes].concat()
    };
    let both = [integer(&fixed[..32]), integer(&fixed[32..])].concat();
    [&[0x30, both.len() as u8][..], &both].concat()
}

//! Tokens that are cut, stretched or re-encoded, and requests that present a good one in a wrong way.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::json;

use super::{Attack, Forge, INVALID, MALFORMED, bearer, with};

impl Forge<'_> {
    pub(super) fn structure(&self, table: &mut Vec<Attack>) {
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

    pub(super) fn presentation(&self, table: &mut Vec<Attack>) {
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

//! Payloads that must be refused: wrong values, wrong types, wrong dates, two readings.

use serde_json::{Value, json};

use super::{Attack, Forge, INVALID, MALFORMED, bearer, with, without};

impl Forge<'_> {
    pub(super) fn claim_values(&self, table: &mut Vec<Attack>) {
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

    pub(super) fn claim_dates(&self, table: &mut Vec<Attack>) {
        let now = self.now;
        let mut row = |changes: &[(&str, Value)], reason| {
            let payload = changes.iter().fold(self.claims(), |claims, (name, value)| with(claims, name, value.clone()));
            let token = (self.es256)(&self.header().to_string(), &payload.to_string());
            table.push(bearer(format!("dates {changes:?}"), &token, reason));
        };
        row(&[("exp", json!(now - 31)), ("iat", json!(now - 600))], "token_expired");
        row(&[("exp", json!(0))], "token_expired");
        row(&[("exp", json!(1)), ("iat", json!(0))], "token_expired");
        row(&[("nbf", json!(now + self.too_early))], "token_expired");
        row(&[("iat", json!(now + self.too_early))], INVALID);
        row(&[("iat", json!(now - 3601)), ("exp", json!(now - 1))], "token_age");
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
}

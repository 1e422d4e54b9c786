//! One function a parser of what a stranger sends: it must not panic, and must do the same however its input is cut.
//!
//! Shared by the fuzz targets beside it and by `tests/fuzz.rs`, which runs them in every test run.

#[path = "wire.rs"]
mod wire;

use std::sync::{Arc, OnceLock};

use http::{HeaderMap, HeaderValue};
use vendorgate::internals::identity::{
    self, SignatureEncoding, SignatureTemplate, TimestampFormat, WebhookPreset, WebhookRecipe,
};
use vendorgate::pii::internals::Revealer;
use vendorgate::pii::keys::MasterKey;
use vendorgate::pii::{
    BodyFormat, BodySettings, DetectAction, DetectRule, Detector, DigitFormat, FieldPath, MasterKeys, Plan,
    RecordBudgetSpent, RewriteError, RewriteObserver, Rule, Rules, TokenClass, Treatment, ValueLocation, VendorId,
    VendorKeys, VendorSalt,
};

/// A target: its name, what it does, and inputs to begin with.
pub type Target = (&'static str, fn(&[u8]), &'static [&'static str]);

/// All of them.
pub const ALL: [Target; 18] = [
    (
        "json",
        json,
        &[
            r#"{"email":"a\u0040b","x":[1,-2.5e3,{"email":{"y":null}}],"email":"c"}"#,
            r#"[{"h":"a","n":"1-234567"},{"h":"\u0062","n":"7654321"},{"h":1,"n":7654321}]"#,
        ],
    ),
    ("form", form, &["a=1&email=a%40b&c[email]=d&x"]),
    (
        "csv",
        csv,
        &[
            "id,email,x,y,h,n\r\n1,\"a\"\"b\",2,3,4,5\r\n2,c,,,,\r\n",
            "sep=;\n\"email\";id\na@b.example;1\n",
            "\u{feff}email,x\n,\n",
        ],
    ),
    (
        "graphql",
        graphql,
        &[
            r#"{"query":"query Q($a:[I!]=[1]){user(id:$a,s:\"\"\"x\"\"\"){...f @skip(if:true) y:z}} fragment f on U{email a:b{c}}"}"#,
            "{user{id:email}}#c\n",
        ],
    ),
    ("ndjson", ndjson, &["{\"email\":\"a\"}\n\n[{\"email\":1}]\n"]),
    ("multipart", multipart, &["--b\r\nContent-Disposition: form-data; name=\"email\"\r\n\r\nx\r\n--b--\r\n"]),
    (
        "xml",
        xml,
        &[
            "<?xml version=\"1.0\"?><a email='x'><email>y&amp;<![CDATA[z]]></email><!-- c --></a>",
            "<a b='x@y.zz'>b&#64;<![CDATA[x.org]]></a>",
        ],
    ),
    ("grpc", grpc, &["\0\0\0\0\x02ab\x01\0\0\0\0", "\0\0\0\0\x01a\x02"]),
    ("text", text, &["mail bob@x.example or +49 151 2345678, 4111 1111 1111 1111, eyJhbGciOiJub25lIn0.e30.x"]),
    ("token", token, &["tok1_dabcdab12_aaabcd", "tok1_"]),
    ("path", path, &["$.a[*][\"b\"]..c[3].*"]),
    (
        "requests",
        requests,
        &[
            "GET /a HTTP/1.1\r\nHost: a\r\n\r\nPOST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET /c HTTP/1.1\r\n\r\n",
            "POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x\r\nhello\r\n0\r\nX: y\r\n\r\nGET /c HTTP/1.1\r\nUpgrade: x\r\n\r\n",
            "\r\nGET /a?b=%20 HTTP/1.0\r\nContent-Length: 0\r\nX : y\r\n z\r\n\r\n",
        ],
    ),
    ("websocket", websocket, &["\x01\x05{\"a\":\u{9}\x01x\x00\x001}\u{8}\x02\x03\x10", "\x01\x02{}\x02\x01x"]),
    (
        "answers",
        answers,
        &[
            "\0HTTP/1.1 103 Hints\r\nLink: <a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            "\0HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n",
            "\x02HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\nbytes",
            "\x01HTTP/1.0 404\r\nContent-Length: 9\r\n\r\n",
        ],
    ),
    ("jwt", jwt, &["eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCJ9.eyJpc3MiOiJ4In0.AAAA"]),
    ("proof", proof, &[PROOF]),
    (
        "webhook",
        webhook,
        &["m1\n1614265330\nv1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE= v2,AA", "\n1\nt=2021-02-25T15:02:10Z,v1=00"],
    ),
    (
        "jwks",
        jwks,
        &[r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"k","x":"AA","y":"AA"},{"kty":"RSA","n":"AQ","e":"AQAB"}]}"#],
    ),
];

/// The proof of RFC 9449 section 7.1.
const PROOF: &str = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA";

/// JSON documents: whatever comes out whole is JSON, under rules that reach all of it and under such as reach little.
pub fn json(data: &[u8]) {
    static FEW: OnceLock<Plan> = OnceLock::new();
    let few =
        || Rules { treat: vec![rule("$.a.email", Treatment::Hash), rule("$.h", Treatment::Drop)], ..Rules::default() };
    let few = FEW.get_or_init(|| plan(&few()));
    for out in [body("application/json", data), pushed(few, "application/json", data)].into_iter().flatten() {
        serde_json::from_slice::<serde::de::IgnoredAny>(&out).expect("treated JSON is JSON");
    }
}

/// Forms.
pub fn form(data: &[u8]) {
    body("application/x-www-form-urlencoded", data);
}

/// Tables: whose header has the columns of all rules, or of which some may be missing, with names in them or given.
pub fn csv(data: &[u8]) {
    static LAX: OnceLock<Plan> = OnceLock::new();
    static GIVEN: OnceLock<Plan> = OnceLock::new();
    let reading = |reading| plan(&Rules { body_settings: reading, ..rules() });
    body("text/csv", data);
    let lax =
        || reading(BodySettings { optional_rules: (0..5).collect(), delimiter: Some(b';'), ..BodySettings::default() });
    pushed(LAX.get_or_init(lax), "text/csv", data);
    let names = ["id", "email", "x", "y", "h", "n"].map(Box::from);
    let given = || reading(BodySettings { columns: Some(names.into()), ..BodySettings::default() });
    pushed(GIVEN.get_or_init(given), "text/csv", data);
}

/// Queries, in JSON and bare: what is let through leaves as it came.
pub fn graphql(data: &[u8]) {
    static PLAN: OnceLock<Plan> = OnceLock::new();
    let judged = || plan(&Rules { graphql: Some(Box::new(rules())), ..Rules::default() });
    for media in ["application/json", "application/graphql"] {
        if let Some(out) = pushed(PLAN.get_or_init(judged), media, data) {
            assert_eq!(out, data);
        }
    }
}

/// Sequences of JSON documents, and events that hold them.
pub fn ndjson(data: &[u8]) {
    body("application/x-ndjson", data);
    body("application/json-seq", data);
    body("text/event-stream", data);
}

/// Forms in parts.
pub fn multipart(data: &[u8]) {
    body("multipart/form-data; boundary=b", data);
}

/// XML, by its paths and for the detectors.
pub fn xml(data: &[u8]) {
    body("application/xml", data);
    detected("application/xml", data);
}

/// Messages of gRPC, which are counted.
pub fn grpc(data: &[u8]) {
    static PLAN: OnceLock<Plan> = OnceLock::new();
    let format = Some(BodyFormat::GrpcMessages);
    let body_settings = BodySettings { format, ..BodySettings::default() };
    let rules = || Rules { records: FieldPath::parse("$").ok(), body_settings, ..Rules::default() };
    if let Some(out) = pushed(PLAN.get_or_init(|| plan(&rules())), "application/grpc", data) {
        assert_eq!(out, data, "messages pass as they are");
    }
}

/// Text, for the detectors.
pub fn text(data: &[u8]) {
    detected("text/plain", data);
}

fn detected(media: &str, data: &[u8]) {
    static PLAN: OnceLock<Plan> = OnceLock::new();
    let guard = || DetectRule::new(Detector::default(), DetectAction::Mask);
    let rules = || Rules { detect: Some(guard()), ..Rules::default() };
    pushed(PLAN.get_or_init(|| plan(&rules())), media, data);
}

/// Tokens: none that we did not make opens, alone or inside a text, and each that we made opens to what it was made of.
pub fn token(data: &[u8]) {
    let (keys, mut out) = (keys(), Vec::new());
    assert!(keys.open(data, &mut out).is_err() && out.is_empty(), "a token that nobody made opens");
    let revealer = Revealer::new(Arc::clone(&keys), Arc::default());
    assert!(!revealer.reveal(data, &mut out) && out == data, "a text without a token of ours is left as it is");
    let mut token = Vec::new();
    keys.tokenize(&TokenClass::from_name("email"), data, &mut token).expect("the class has a key");
    out.clear();
    assert!(revealer.reveal(&token, &mut out) && out == data, "a token reveals what it was made of");
}

/// Paths of fields: what is read is written as it reads.
pub fn path(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(path) = FieldPath::parse(text) {
        assert_eq!(FieldPath::parse(&path.to_string()).as_ref(), Ok(&path), "{path}");
    }
}

/// A caller's bytes, before they are parsed.
pub fn requests(data: &[u8]) {
    wire::requests(data);
}

/// An upstream's bytes, before they are parsed.
pub fn answers(data: &[u8]) {
    wire::answers(data);
}

/// The frames of a WebSocket, from either side.
pub fn websocket(data: &[u8]) {
    wire::websocket(data);
}

/// Signed tokens.
pub fn jwt(data: &[u8]) {
    std::str::from_utf8(data).map(identity::inspect_token).ok();
}

/// Proofs of possession.
pub fn proof(data: &[u8]) {
    std::str::from_utf8(data).map(identity::inspect_proof).ok();
}

/// The headers of signed webhooks: id, time and signature, one a line.
pub fn webhook(data: &[u8]) {
    let mut headers = HeaderMap::new();
    for (name, value) in
        ["webhook-id", "webhook-timestamp", "webhook-signature"].into_iter().zip(data.split(|&byte| byte == b'\n'))
    {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(name, value);
        }
    }
    let part = |prefix: &str| identity::HeaderPart::part("webhook-signature", ',', prefix);
    let listed = WebhookRecipe::hmac(
        part("v1="),
        SignatureEncoding::HexOrBase64,
        SignatureTemplate::parse("{timestamp}.{body}").expect("good"),
    );
    let listed = WebhookRecipe { timestamp: Some((part("t="), TimestampFormat::Iso8601)), ..listed };
    for recipe in [WebhookPreset::StandardWebhooks.recipe().0, listed] {
        identity::inspect_signature(&recipe, &headers);
    }
    if let Ok(text) = std::str::from_utf8(data) {
        SignatureTemplate::parse(text).ok();
    }
}

/// Key sets.
pub fn jwks(data: &[u8]) {
    identity::inspect_keys(data).ok();
}

fn body(media: &str, data: &[u8]) -> Option<Vec<u8>> {
    static PLAN: OnceLock<Plan> = OnceLock::new();
    pushed(PLAN.get_or_init(|| plan(&rules())), media, data)
}

/// Whole and cut must come to the same; what came out, when all was well.
fn pushed(plan: &Plan, media: &str, data: &[u8]) -> Option<Vec<u8>> {
    let whole = run(plan, media, [data]);
    let (left, right) = data.split_at(data.len() / 2);
    agree(media, &run(plan, media, [left, right]), &whole, "cut in the middle");
    agree(media, &run(plan, media, data.chunks(1)), &whole, "byte by byte");
    whole.1.is_ok().then_some(whole.0)
}

/// How much of a text has left when it turns out to be none depends on how much was looked at together; what, does not.
fn agree(
    media: &str,
    cut: &(Vec<u8>, Result<(), RewriteError>),
    whole: &(Vec<u8>, Result<(), RewriteError>),
    how: &str,
) {
    assert_eq!(cut.1, whole.1, "{how}");
    if media == "text/plain" && whole.1.is_err() {
        assert!(cut.0.starts_with(&whole.0) || whole.0.starts_with(&cut.0), "{how}");
    } else {
        assert_eq!(cut.0, whole.0, "{how}");
    }
}

fn run<'a>(
    plan: &Plan,
    media: &str,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<u8>, Result<(), RewriteError>) {
    let mut engine = plan.body_rewriter(Some(media), None).expect("a known type");
    let mut out = Vec::new();
    for piece in pieces {
        if let Err(stop) = engine.feed(piece, &mut Deaf, &mut out) {
            return (out, Err(stop));
        }
    }
    let ended = engine.finish(&mut Deaf, &mut out);
    (out, ended)
}

fn rule(path: &str, treatment: Treatment) -> Rule {
    let place = ValueLocation::Field(FieldPath::parse(path).expect("a path"));
    Rule { location: place, treatment, class: TokenClass::from_name("email"), only_type: None, category: None }
}

fn rules() -> Rules {
    let treat = vec![
        rule("$..email", Treatment::Tokenize),
        rule("$..x", Treatment::Drop),
        rule("$.y[*]", Treatment::Redact),
        rule("$..h", Treatment::Hash),
        rule("$..n", Treatment::EncryptFormat(DigitFormat::Digits)),
    ];
    let records = FieldPath::parse("$.x[*]").ok();
    Rules { treat, records, ..Rules::default() }
}

fn plan(rules: &Rules) -> Plan {
    Plan::compile(rules, keys()).expect("rules")
}

fn keys() -> Arc<VendorKeys> {
    static KEYS: OnceLock<Arc<VendorKeys>> = OnceLock::new();
    let make = || {
        let ring = MasterKeys::from_key(MasterKey::from_bytes([42; 32]));
        let vendor = VendorId::parse("acme").expect("an id");
        Arc::new(ring.vendor_keys(&vendor, &VendorSalt::from_bytes([1; 32]), [TokenClass::from_name("email")]))
    };
    Arc::clone(KEYS.get_or_init(make))
}

struct Deaf;

impl RewriteObserver for Deaf {
    fn on_record(&mut self) -> Result<(), RecordBudgetSpent> {
        Ok(())
    }

    fn on_treated(&mut self, _rule: usize) {}

    fn on_subject(&mut self, _value: &[u8]) {}
}

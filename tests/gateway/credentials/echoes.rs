//! A vendor that repeats what it was sent shows our services no credential, in whichever form it repeats it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::{BASIC, SECRET, TokenServer, call, gateway, get};
use crate::support::upstream::{ReceivedRequest, Upstream};

/// Asks for trailers.
const TRAILERS: &str = "TE: trailers\r\n";

/// Answers with each of these fields as the script makes it of the request, with a harmless one, and with a trailer.
fn repeating(field: impl Fn(&ReceivedRequest) -> String + Send + Sync + 'static) -> Upstream {
    Upstream::start(move |seen, asker| {
        let own = field(seen);
        let encoded = utf8_percent_encode(&own, NON_ALPHANUMERIC).to_string();
        let again = utf8_percent_encode(&encoded, NON_ALPHANUMERIC).to_string();
        let head = format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: server-timing, grpc-message\r\nX-Debug: you sent {own}\r\n\
             Set-Cookie: s={own}; Path=/\r\nLocation: /login?next={encoded}&a=b\r\nX-Twice: {again}\r\n\
             X-Lower: {}\r\nX-Fine: yes\r\n\r\n",
            encoded.replace("%2B", "%2b").replace("%2F", "%2f")
        );
        let trailers = format!("Grpc-Message: no such key {own}\r\nServer-Timing: fine\r\n");
        asker.write(format!("{head}2\r\nok\r\n0\r\n{trailers}\r\n")).is_ok()
    })
}

fn field_of(seen: &ReceivedRequest, name: &str) -> String {
    seen.field(name).unwrap_or_else(|| panic!("no {name}: {}", seen.head)).to_owned()
}

#[test]
fn a_response_that_repeats_the_credential_loses_that_field() {
    let bearer = |seen: &ReceivedRequest| field_of(seen, "authorization").replace("Bearer ", "");
    let basic = |seen: &ReceivedRequest| field_of(seen, "authorization").replace("Basic ", "");
    let query = |seen: &ReceivedRequest| seen.line().split("api_key=").nth(1).expect("a key").replace(" HTTP/1.1", "");
    let signature = |seen: &ReceivedRequest| field_of(seen, "authorization").split("Signature=").nth(1).unwrap().into();
    type Field = Box<dyn Fn(&ReceivedRequest) -> String + Send + Sync>;
    let own = "secret: { file: ../own }";
    let aws = format!(
        "{{ aws_sigv4: {{ access_key_id: AKIDEXAMPLE, {own}, session_token: {{ file: ../session }}, \
         region: eu-west-1, service: execute-api }} }}"
    );
    let hmac = format!("{{ hmac: {{ {own}, header: X-Signature, prefix: \"v1=\", signed: \"{{method}}\" }} }}");
    let cases: [(&str, String, Field); 8] = [
        ("a fixed token", format!("{{ bearer: {{ {own} }} }}"), Box::new(bearer)),
        ("the pair of basic", format!("{{ basic: {{ username: us, {own} }} }}"), Box::new(basic)),
        ("the password of basic", format!("{{ basic: {{ username: us, {own} }} }}"), Box::new(|_| SECRET.to_owned())),
        (
            "a key in a header",
            format!("{{ api_key: {{ header: X-Key, {own} }} }}"),
            Box::new(|seen| field_of(seen, "x-key")),
        ),
        ("a key in the query", format!("{{ api_key: {{ query: api_key, {own} }} }}"), Box::new(query)),
        ("the session token of AWS", aws.clone(), Box::new(|seen| field_of(seen, "x-amz-security-token"))),
        ("the signature of AWS", aws, Box::new(signature)),
        ("a signature", hmac, Box::new(|seen| field_of(seen, "x-signature").replace("v1=", ""))),
    ];
    for (what, credentials, field) in cases {
        let vendor = repeating(field);
        let gateway = gateway(&vendor, &credentials, &[("own", SECRET), ("session", "FwoGZXIvYXdzEBYaDE/+=Session")]);
        assert_unrepeated(what, &call(&gateway, "GET /acme/v2/things", TRAILERS, ""));
    }
}

fn assert_unrepeated(what: &str, answer: &crate::support::client::Answer) {
    assert_eq!((answer.status, answer.field("x-fine")), (200, Some("yes")), "{what}");
    for name in ["x-debug", "set-cookie", "location", "x-twice", "x-lower"] {
        assert_eq!(answer.field(name), None, "{what}");
    }
    let raw = String::from_utf8_lossy(&answer.raw).to_ascii_lowercase();
    assert!(raw.contains("server-timing: fine") && !raw.contains("grpc-message:"), "{what}: its trailers: {raw}");
}

#[test]
fn an_answer_that_repeats_a_fetched_token_loses_that_field() {
    let token = |seen: &ReceivedRequest| field_of(seen, "authorization").replace("Bearer ", "");
    for grant in ["", ", grant: token_exchange"] {
        let (vendor, tokens) = (repeating(token), TokenServer::plain());
        let gateway = gateway(&vendor, &tokens.credentials(&format!("{BASIC}{grant}")), &[("client", SECRET)]);
        assert_unrepeated(
            grant,
            &call(&gateway, "GET /acme/v2/things", &format!("{TRAILERS}Authorization: Bearer ann\r\n"), ""),
        );
    }
}

#[test]
fn what_only_looks_like_a_part_of_the_credential_stays() {
    let pair = STANDARD.encode(format!("us:{SECRET}"));
    let part = pair[..12].to_owned();
    let vendor = Upstream::saying(super::status(200, &format!("X-Part: {part}\r\nX-Odd: 100%\r\n"), "ok"));
    let gateway = gateway(&vendor, "{ basic: { username: us, secret: { file: ../own } } }", &[("own", SECRET)]);
    let answer = get(&gateway);
    assert_eq!((answer.field("x-part"), answer.field("x-odd")), (Some(part.as_str()), Some("100%")));
}

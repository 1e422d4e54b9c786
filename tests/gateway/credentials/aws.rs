//! AWS signatures as a server checks them: from the bytes that arrived, and from nothing that the gateway says.

use hmac::{Hmac, KeyInit as _, Mac as _};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest as _, Sha256};

use super::{SECRET, call, gateway, status};
use crate::support::upstream::{ReceivedRequest, Upstream, ok};

/// What a path keeps as it is when it is encoded for the signature.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');
const SESSION: &str = "FwoGZXIvYXdzEBYaDE/+=Session";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let (_, rest) = text.split_once(from).unwrap_or_else(|| panic!("{from}: {text}"));
    rest.split(to).next().expect("one")
}

/// Whether the signature of a request is that of these keys (AWS Signature Version 4, for a service other than S3).
fn is_signed(seen: &ReceivedRequest, access_key: &str, secret: &str) -> bool {
    let Some(field) = seen.field("authorization") else { return false };
    let scope = between(field, &format!("Credential={access_key}/"), ",");
    let names = between(field, "SignedHeaders=", ",");
    let (method, target) = seen.line().trim_end_matches(" HTTP/1.1").split_once(' ').expect("a target");
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let encoded = utf8_percent_encode(path, PATH);
    let mut pairs: Vec<String> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| if pair.contains('=') { pair.into() } else { format!("{pair}=") })
        .collect();
    pairs.sort();
    let fields: String = names.split(';').map(|name| format!("{name}:{}\n", seen.field(name).expect(name))).collect();
    let canonical =
        format!("{method}\n{encoded}\n{}\n{fields}\n{names}\n{}", pairs.join("&"), hex(&Sha256::digest(&seen.body)));
    let time = seen.field("x-amz-date").expect("a time");
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex(&Sha256::digest(canonical.as_bytes())));
    let key = scope.split('/').fold(format!("AWS4{secret}").into_bytes(), |key, part| mac(&key, part));
    ["host", "x-amz-date", "x-amz-security-token"].iter().all(|name| names.split(';').any(|known| known == *name))
        && field.ends_with(&format!("Signature={}", hex(&mac(&key, &text))))
}

#[test]
fn a_server_that_checks_the_signature_of_aws_takes_ours_and_no_changed_one() {
    let vendor = Upstream::start(|seen, asker| {
        let is_good = is_signed(seen, "AKIDEXAMPLE", SECRET);
        asker
            .write(if is_good { ok("application/json", "{}") } else { status(403, "", "SignatureDoesNotMatch") })
            .is_ok()
    });
    let credentials = "{ aws_sigv4: { access_key_id: AKIDEXAMPLE, secret: { file: ../own }, \
        session_token: { file: ../session }, region: eu-west-1, service: execute-api } }";
    let gateway = gateway(&vendor, credentials, &[("own", SECRET), ("session", SESSION)]);
    let forged =
        "X-Amz-Date: 20200101T000000Z\r\nX-Amz-Security-Token: theirs\r\nAuthorization: AWS4-HMAC-SHA256 x\r\n";
    for (line, fields, body) in [
        ("GET /acme/v2/things", "", ""),
        ("GET /acme/v2/things?b=2&a=x%20y&a=1&flag=", forged, ""),
        ("POST /acme/v2/things?z=%2F", forged, r#"{"email":"ann@example.com","n":1}"#),
    ] {
        let answer = call(&gateway, line, fields, body);
        assert_eq!((answer.status, answer.text().as_str()), (200, "{}"), "{line}: {}", vendor.last().head);
        let seen = vendor.last();
        assert_eq!(seen.field("x-amz-security-token"), Some(SESSION));
        let scope = between(seen.field("authorization").expect("one"), "AKIDEXAMPLE/", ",").to_owned();
        assert_eq!(
            scope,
            format!("{}/eu-west-1/execute-api/aws4_request", &seen.field("x-amz-date").expect("one")[..8])
        );
        // The double is no yes-man.
        let mut changed = seen.clone();
        changed.body.push(b' ');
        assert!(!is_signed(&changed, "AKIDEXAMPLE", SECRET));
        let mut changed = seen;
        changed.head = changed.head.replacen("/things", "/thing", 1);
        assert!(!is_signed(&changed, "AKIDEXAMPLE", SECRET));
    }
}

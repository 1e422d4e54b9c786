//! `vendorgate pii test`: what the rules make of each kind of body, and what they refuse, before there is any traffic.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

const CONTRACT: &str = r#"vendor: acme
owner: o@example.com
security_contact: s@example.com
starts: 2020-01-01
ends: 2099-12-31
egress:
  upstream: { url: "https://api.acme.example" }
  routes:
    - route: POST /v2/events
      records: "$.events[*]"
      request: { pii: [ { field: "$..email", as: tokenize }, { field: "$..ssn", as: redact } ] }
      response: { reveal: ["$..email"] }
    - route: POST /v2/texts
      request: { detect: { as: mask } }
"#;

fn pii_test(arguments: &[&str], body: &str) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    let contract = folder.path().join("acme.yaml");
    std::fs::write(&contract, CONTRACT).expect("written");
    let mut child = Command::new(env!("CARGO_BIN_EXE_vendorgate"))
        .args(["pii", "test", "--contract"])
        .arg(&contract)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    // A body that is refused by its type is not read.
    let _ = child.stdin.take().expect("piped").write_all(body.as_bytes());
    child.wait_with_output().expect("it ends")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

#[test]
fn pii_test_treats_every_content_type_as_the_gateway_does() {
    for (media, body) in [
        ("application/json", r#"{"events":[{"email":"zq7kv9@x.example","ssn":"zq7kv9"}]}"#),
        ("application/x-www-form-urlencoded", "email=zq7kv9%40x.example&ssn=zq7kv9"),
        ("application/x-ndjson", "{\"email\":\"zq7kv9@x.example\",\"ssn\":\"zq7kv9\"}\n"),
        ("application/json-seq", "\u{1e}{\"email\":\"zq7kv9@x.example\",\"ssn\":\"zq7kv9\"}\n"),
        ("text/event-stream", "data: {\"email\":\"zq7kv9@x.example\",\"ssn\":\"zq7kv9\"}\n\n"),
        ("text/csv", "email,ssn\r\nzq7kv9@x.example,zq7kv9\r\n"),
        ("text/tab-separated-values", "email\tssn\nzq7kv9@x.example\tzq7kv9\n"),
        ("application/xml", "<events><e><email>zq7kv9@x.example</email><ssn>zq7kv9</ssn></e></events>"),
        (
            "multipart/form-data; boundary=bb",
            "--bb\r\nContent-Disposition: form-data; name=\"email\"\r\n\r\nzq7kv9@x.example\r\n--bb\r\n\
             Content-Disposition: form-data; name=\"ssn\"\r\n\r\nzq7kv9\r\n--bb--\r\n",
        ),
    ] {
        let output = pii_test(&["--route", "POST /v2/events", "--content-type", media], body);
        let (out, told) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(0), "{media}: {told}");
        assert!(out.contains("tok1_") && out.contains("redacted") && !out.contains("zq7kv9"), "{media}: {out}");
        assert!(told.contains("1  tokenize  $..email") && told.contains("1  redact  $..ssn"), "{media}: {told}");
        assert!(!told.contains("zq7kv9"), "{told}");
    }
    let output = pii_test(&["--route", "POST /v2/texts", "--content-type", "text/plain"], "to zq7kv9@x.example!");
    assert_eq!(text(&output.stdout), format!("to {}!", "*".repeat(16)));
    assert!(text(&output.stderr).contains("1  mask  detect"));
}

#[test]
fn pii_test_exits_1_when_the_gateway_would_refuse() {
    for (media, body) in [
        ("application/octet-stream", "x"),
        ("text/plain", "x"),
        ("application/json; charset=utf-16", "{}"),
        ("application/json", "{'email':1}"),
        ("application/json", r#"{"email":"cut"#),
        ("text/csv", "email\n\"open"),
        ("application/xml", "<!DOCTYPE x [<!ENTITY e \"y\">]><x>&e;</x>"),
    ] {
        let output = pii_test(&["--route", "POST /v2/events", "--content-type", media], body);
        assert_eq!(output.status.code(), Some(1), "{media}: {}", text(&output.stderr));
        assert!(text(&output.stderr).contains("the body was refused"), "{media}");
    }
    let output = pii_test(&["--route", "GET /nowhere"], "{}");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("it has POST /v2/events, POST /v2/texts"), "{}", text(&output.stderr));
}

#[test]
fn pii_test_explains_itself_and_reveals_nothing_without_keys() {
    let help = Command::new(env!("CARGO_BIN_EXE_vendorgate")).args(["pii", "test", "--help"]).output().expect("help");
    for word in ["--contract", "--route", "--content-type", "--master", "--state", "Example:", "Exits 1"] {
        assert!(text(&help.stdout).contains(word), "{word}");
    }
    let token = r#"{"email":"tok1_dbvaalzab_aabk9x7D2tuxFJQFi0ddym"}"#;
    let output = pii_test(&["--route", "POST /v2/events", "--body", "response"], token);
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(0), token));
    assert!(text(&output.stderr).contains("1  tokens left: malformed"), "{}", text(&output.stderr));
}

/// A contract whose one route treats answers by these rules.
fn tried(side: &str, arguments: &[&str], body: &str) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let contract = folder.path().join("acme.yaml");
    let text =
        CONTRACT.replace(r#"{ pii: [ { field: "$..email", as: tokenize }, { field: "$..ssn", as: redact } ] }"#, side);
    assert_ne!(text, CONTRACT);
    // A body without a rule passes byte for byte, also where its records are not counted.
    let text = if side == "{}" { text.replace("      records: \"$.events[*]\"\n", "") } else { text };
    std::fs::write(&contract, text).expect("written");
    let path = contract.to_str().expect("text");
    let mut all = vec!["pii", "test", "--contract", path, "--route", "POST /v2/events"];
    all.extend(arguments);
    let mut child = Command::new(env!("CARGO_BIN_EXE_vendorgate"))
        .args(all)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    child.stdin.take().expect("piped").write_all(body.as_bytes()).expect("read");
    let output = child.wait_with_output().expect("it ends");
    (output.status.code(), self::text(&output.stderr))
}

#[test]
fn strict_needs_every_field_in_clear_to_be_listed() {
    let body = r#"{"events":[{"id":1,"email":"a@b.example","shipTo":{"city":"Oslo","zip":"1"}},{"id":2,"shipTo":{"city":"Rome"}}]}"#;
    let pii = r#"pii: [ { field: "$..email", as: tokenize } ]"#;
    let only = r#"only: ["$.events[*].id", "$.events[*].shipTo"]"#;
    for (side, strict, unlisted) in [
        (format!("{{ {pii} }}"), 1, vec!["$.events[*].id", "$.events[*].shipTo.city", "$.events[*].shipTo.zip"]),
        (
            format!("{{ {pii}, clear: [\"$.events[*].id\"] }}"),
            1,
            vec!["$.events[*].shipTo.city", "$.events[*].shipTo.zip"],
        ),
        (format!("{{ {pii}, clear: [\"$.events[*].id\", \"$.events[*].shipTo\"] }}"), 0, vec![]),
        (format!("{{ {only} }}"), 1, vec!["$.events[*].id", "$.events[*].shipTo.city", "$.events[*].shipTo.zip"]),
        (format!("{{ {only}, clear: [\"$.events[*].id\", \"$.events[*].shipTo.*\"] }}"), 0, vec![]),
        ("{ clear: [\"$.events\"] }".to_owned(), 0, vec![]),
        (
            "{ clear: [\"$.events[*].id\", \"$.events[*].email\"] }".to_owned(),
            1,
            vec!["$.events[*].shipTo.city", "$.events[*].shipTo.zip"],
        ),
        (format!("{{ {pii}, detect: {{ as: report }}, clear: [\"$..shipTo\", \"$..id\"] }}"), 0, vec![]),
    ] {
        let (code, told) = tried(&side, &["--strict"], body);
        assert_eq!(code, Some(strict), "{side}: {told}");
        let named: Vec<_> = told.lines().filter(|line| line.contains("NOT LISTED")).collect();
        assert_eq!(named.len(), unlisted.len(), "{told}");
        assert!(unlisted.iter().all(|path| named.iter().any(|line| line.contains(&format!("  {path}  ")))), "{told}");
        assert_eq!(tried(&side, &[], body).0, Some(0), "without --strict it only says so");
    }
    let (_, told) = tried(&format!("{{ {pii} }}"), &[], body);
    assert!(told.contains("       2  in clear  $.events[*].shipTo.city  NOT LISTED"), "{told}");
    let (code, told) = tried("{}", &["--strict", "--content-type", "image/png"], "png");
    assert!(code == Some(1) && told.contains("in clear  $  NOT LISTED"), "{told}");
}

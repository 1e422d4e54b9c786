//! `vendorgate contract diff`: what a review reads, and the exit code that a pipeline reads.

use std::path::Path;
use std::process::{Command, Output};

const CONTRACT: &str = r#"vendor: acme
owner: o@example.com
security_contact: s@example.com
starts: 2026-01-01
ends: 2099-12-31
scopes: [orders:read]
egress:
  upstream: { url: "https://api.acme.example" }
  routes:
    - route: POST /v2/events
      request: { pii: [ { field: "$.email", as: tokenize } ] }
"#;

fn diff(old: &Path, new: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vendorgate"));
    command.args(["contract", "diff"]).arg(old).arg(new).args(more).output().expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

#[test]
fn a_diff_exits_0_1_or_2_and_prints_text_json_or_markdown() {
    let folder = tempfile::tempdir().expect("a folder");
    let (old, new) = (folder.path().join("old"), folder.path().join("new"));
    for (place, contract) in
        [(&old, CONTRACT.to_owned()), (&new, CONTRACT.replace("as: tokenize", "as: mask, keep_first: 2"))]
    {
        std::fs::create_dir(place).expect("a folder");
        std::fs::write(place.join("acme.yaml"), contract).expect("written");
    }
    let same = diff(&old, &old, &[]);
    assert_eq!((same.status.code(), text(&same.stdout)), (Some(0), "nothing is let out that was not before\n".into()));
    assert_eq!(diff(&new, &old, &[]).status.code(), Some(0), "what narrows exits 0");
    let wider = diff(&old, &new, &[]);
    assert_eq!(wider.status.code(), Some(1));
    let said = "acme\n  egress POST /v2/events: request.pii $.email: tokenize -> mask, keeps 2 first and 0 last\n";
    assert_eq!(text(&wider.stdout), said);
    let file = diff(&old.join("acme.yaml"), &new.join("acme.yaml"), &["--json"]);
    assert_eq!(file.status.code(), Some(1));
    let json: serde_json::Value = serde_json::from_slice(&file.stdout).expect("JSON");
    assert_eq!((&json["widens"], &json["changes"][0]["key"]), (&true.into(), &"request.pii $.email".into()), "{json}");
    let page = text(&diff(&old, &new, &["--md"]).stdout);
    assert!(page.contains("| `acme` | `egress POST /v2/events` | `request.pii $.email` | `tokenize` |"), "{page}");
    std::fs::write(new.join("bad.yaml"), "vendor: [").expect("written");
    let bad = diff(&old, &new, &[]);
    assert_eq!((bad.status.code(), text(&bad.stdout)), (Some(2), String::new()));
    assert!(text(&bad.stderr).contains("bad.yaml"), "{}", text(&bad.stderr));
    assert_eq!(diff(&old, &folder.path().join("nowhere"), &[]).status.code(), Some(2));
}

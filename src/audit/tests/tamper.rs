//! Changes to a trail by hand, all of which verification finds.

use super::*;

#[test]
fn a_line_has_the_documented_fields() {
    let (_folder, settings) = sample(2);
    let second: serde_json::Value = serde_json::from_str(&lines(&settings.path)[1]).unwrap();
    let first: serde_json::Value = serde_json::from_str(&lines(&settings.path)[0]).unwrap();
    assert_eq!(second["seq"], 2);
    assert_eq!(second["time"], "2027-01-15T08:00:01.000Z");
    assert_eq!((&second["act"], &second["subject"]), (&json!("kill"), &json!("vendor-1")));
    assert_eq!(second["detail"], json!({ "severed": 1 }));
    assert_eq!(second["prev"], first["mac"]);
    let summary = verify_files(&settings.path, &key(), 1).unwrap();
    assert_eq!((summary.lines, summary.first, summary.end_proven), (2, 1, true));
    assert_eq!(summary.position.hex(), second["mac"]);
}

#[test]
fn a_lines_code_equals_the_hmac_sha_256_of_openssl() {
    let mut out = Vec::new();
    let plain = AuditRecord { detail: serde_json::Value::Null, reason: "r".to_owned(), ..entry(0) };
    let position = chain::append(&plain, ChainPosition::START, &key(), &mut out);
    let covered = out.split(|byte| *byte == b'}').next().unwrap();
    let covered = &covered[..covered.len() - r#","mac":"""#.len() - 64];
    assert!(covered.ends_with(b"0\""));
    assert_eq!(position.hex(), OPENSSL);
}

/// What OpenSSL 3.0.19 makes of the line up to its `prev`, in a file without a line feed:
/// `openssl dgst -sha256 -mac HMAC -macopt hexkey:0707…07 FILE`, with thirty-two bytes of 7.
const OPENSSL: &str = "99293340ec242df3f9d3a5b5af975eba9c1fec5054e02f581f987780f1760ba2";

#[test]
fn every_single_byte_corruption_is_found() {
    let (_folder, settings) = sample(5);
    let whole = fs::read(&settings.path).unwrap();
    let head = verify_files(&settings.path, &key(), 1).unwrap().position;
    let mut tried = 0;
    for at in 0..whole.len() {
        for flip in [0x01, 0x20, 0x80, whole[at] ^ b'\n', whole[at]] {
            if flip == 0 {
                continue;
            }
            let mut bytes = whole.clone();
            bytes[at] ^= flip;
            let broken = verify(bytes.as_slice(), &key(), None, Some(head)).unwrap_err();
            let line = 1 + whole[..at].iter().filter(|byte| **byte == b'\n').count() as u64;
            assert_eq!(broken.line, line, "byte {at} ^ {flip:#x}: {broken}");
            tried += 1;
        }
    }
    assert!(tried > 4 * whole.len());
}

#[test]
fn a_trail_cut_at_any_byte_is_found() {
    let (_folder, settings) = sample(5);
    let whole = fs::read(&settings.path).unwrap();
    let head = verify_files(&settings.path, &key(), 1).unwrap().position;
    for cut in 0..whole.len() {
        assert!(verify(&whole[..cut], &key(), None, Some(head)).is_err(), "cut at {cut}");
        assert!(cut == 0 || verify(&whole[cut..], &key(), None, Some(head)).is_err(), "begun at {cut}");
    }
}

#[test]
fn every_change_to_the_lines_of_a_trail_is_named() {
    type Change = fn(&mut Vec<String>);
    let table: [(&str, Change, u64, ChainBreak); 7] = [
        ("changed", |all| all[2] = all[2].replace("alice", "mallo"), 3, ChainBreak::Changed),
        ("one missing", |all| drop(all.remove(2)), 3, ChainBreak::Missing { from: 3, to: 3 }),
        ("two missing", |all| drop(all.drain(1..3)), 2, ChainBreak::Missing { from: 2, to: 3 }),
        ("the first missing", |all| drop(all.remove(0)), 1, ChainBreak::Missing { from: 1, to: 1 }),
        ("swapped", |all| all.swap(2, 3), 3, ChainBreak::Missing { from: 3, to: 3 }),
        ("repeated", |all| all.insert(2, all[1].clone()), 3, ChainBreak::Repeated { seq: 2, expected: 3 }),
        ("cut off", |all| all.truncate(3), 4, ChainBreak::Truncated { from: 4, to: 5 }),
    ];
    for (name, change, line, why) in table {
        let (_folder, settings) = sample(5);
        rewrite(&settings.path, change);
        let broken = verify_files(&settings.path, &key(), 1).unwrap_err();
        assert_eq!((broken.line, broken.why), (line, why), "{name}");
    }
}

#[test]
fn lines_of_another_key_or_another_trail_are_refused() {
    let (_folder, settings) = sample(3);
    let (_other, others) = sample(0);
    {
        let audit = open(&others);
        (10..13).for_each(|number| wait(audit.record(entry(number))).unwrap());
    }
    rewrite(&settings.path, |all| all[1] = lines(&others.path)[1].clone());
    assert_eq!(verify_files(&settings.path, &key(), 1).unwrap_err().why, ChainBreak::Replaced);
    let foreign = AuditKey::new([8; 32]);
    assert_eq!(verify_files(&others.path, &foreign, 1).unwrap_err().why, ChainBreak::HeadChanged);
    fs::copy(others.path.with_extension("jsonl.head"), settings.path.with_extension("jsonl.head")).unwrap();
    fs::remove_file(others.path.with_extension("jsonl.head")).unwrap();
    assert_eq!(verify_files(&others.path, &key(), 1).unwrap_err().why, ChainBreak::HeadMissing);
}

#[test]
fn long_texts_are_cut_and_a_line_stays_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    let audit = open(&settings);
    let long = AuditRecord {
        actor: "\u{0}".repeat(5_000),
        subject: "ä".repeat(5_000),
        detail: json!({ "a": "x".repeat(50_000) }),
        ..entry(0)
    };
    wait(audit.record(long)).unwrap();
    assert!(lines(&settings.path)[0].len() < crate::bounds::AUDIT_LINE_BYTES_MAX);
    assert_eq!(verify_files(&settings.path, &key(), 1).unwrap().lines, 1);
}

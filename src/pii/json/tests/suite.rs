//! The parsing files of JSONTestSuite (github.com/nst/JSONTestSuite, MIT), judged in three embeddings.
//!
//! The files are not part of this repository: `JSON_TEST_SUITE` names the folder that holds them.

use super::{
    super::{JsonEngine, MatcherSpec},
    path, run, targets, with,
};

/// Of the files whose verdict is left to the parser, those that must be refused: UTF-16, bytes that are not UTF-8, a
/// byte order mark and too deep a document. The others, lone surrogates and numbers beyond a double, pass as they are.
const REFUSED: [&str; 15] = [
    "i_string_UTF-16LE_with_BOM.json",
    "i_string_UTF-8_invalid_sequence.json",
    "i_string_UTF8_surrogate_U+D800.json",
    "i_string_invalid_utf-8.json",
    "i_string_iso_latin_1.json",
    "i_string_lone_utf8_continuation_byte.json",
    "i_string_not_in_unicode_range.json",
    "i_string_overlong_sequence_2_bytes.json",
    "i_string_overlong_sequence_6_bytes.json",
    "i_string_overlong_sequence_6_bytes_null.json",
    "i_string_truncated-utf-8.json",
    "i_string_utf16BE_no_BOM.json",
    "i_string_utf16LE_no_BOM.json",
    "i_structure_500_nested_arrays.json",
    "i_structure_UTF-8_BOM_empty_object.json",
];

const REPLACED: &str = "in a member that is replaced";

#[test]
#[ignore = "needs the files of JSONTestSuite in the folder that JSON_TEST_SUITE names"]
fn json_test_suite() {
    let folder = std::env::var_os("JSON_TEST_SUITE").expect("JSON_TEST_SUITE");
    let (mut judged, mut wrong) = (0, Vec::new());
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let file = entry.expect("an entry").path();
        let name = file.file_name().expect("a name").to_string_lossy().into_owned();
        let text = std::fs::read(&file).expect("a file");
        let passes = name.starts_with("y_") || (name.starts_with("i_") && !REFUSED.contains(&name.as_str()));
        for (embedding, verdict, leaves_json) in verdicts(&text) {
            judged += 1;
            // What is replaced whole need not be JSON, as long as what leaves is.
            let fine = verdict == passes || embedding == REPLACED && !passes;
            if !fine || verdict && !leaves_json {
                wrong.push(format!("{name} {embedding}: passes={verdict}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(judged >= 3 * 318, "only {judged} verdicts");
}

/// Whether a text passes on its own, in an array beside a count of records, and in a member that is replaced whole: by
/// every engine, whole and in pieces; and whether JSON leaves.
fn verdicts(text: &[u8]) -> [(&'static str, bool, bool); 3] {
    let records = path("$[*]");
    let much = b"[0,true,-1.5e2,\"\\n\"],".repeat(20);
    let (array, member) = ([b"[".as_slice(), &much].concat(), [b"{\"x\":1,\"ssn\":[".as_slice(), &much].concat());
    let (array_end, member_end) =
        ([b",".as_slice(), &much, b"{\"ssn\":1}]"].concat(), [b",".as_slice(), &much, b"2],\"y\":\"\"}"].concat());
    let anywhere = || targets(&["$..ssn"]);
    let specs = [
        ("alone", [&[][..], &[]], MatcherSpec { treat: anywhere(), ..MatcherSpec::default() }),
        (
            "in an array",
            [&array, &array_end],
            MatcherSpec { treat: anywhere(), records: Some(&records), ..MatcherSpec::default() },
        ),
        (REPLACED, [&member, &member_end], MatcherSpec { treat: targets(&["$.ssn"]), ..MatcherSpec::default() }),
    ];
    specs.map(|(embedding, [before, after], spec)| {
        let body = [before, text, after].concat();
        let plain = run(with(&spec, JsonEngine::BYTES), [body.as_slice()], None);
        for engine in JsonEngine::available() {
            for chunk in [1, 2, 3, 7, 64, 300, usize::MAX] {
                let outcome = run(with(&spec, engine), body.chunks(chunk), None);
                assert_eq!(outcome, plain, "{embedding} by {chunk}, {engine:?}");
            }
        }
        let leaves_json = serde_json::from_str::<serde::de::IgnoredAny>(&plain.out).is_ok();
        (embedding, plain.stop.is_none(), leaves_json)
    })
}

//! Cases by hand: for each point at which an error was made, or is likely.

use crate::model::FieldPath;
use crate::pii::{
    RewriteError, Rule, Rules, TokenClass, Treatment, ValueLocation, ValueType,
    json::{Matcher, MatcherError},
};

use super::{
    super::{JsonEngine, MatcherSpec, TreatedPath},
    Show, every_split, path, rewriter, run, targets, treated, with,
};

/// The output when the rule that drops selects this path.
fn dropped(text: &str, body: &str) -> String {
    let spec = MatcherSpec {
        treat: vec![TreatedPath { path: path(text), rule: 2, only_type: None }],
        ..MatcherSpec::default()
    };
    let outcome = every_split(&spec, body.as_bytes(), None);
    assert_eq!(outcome.stop, None, "{body}");
    outcome.out
}

fn allowed(paths: &[&str], body: &str) -> String {
    let only: Vec<FieldPath> = paths.iter().map(|text| path(text)).collect();
    let outcome = every_split(&MatcherSpec { only: Some(&only), ..MatcherSpec::default() }, body.as_bytes(), None);
    assert_eq!(outcome.stop, None, "{body}");
    outcome.out
}

#[test]
fn selected_values_are_replaced_in_their_place() {
    for (paths, body, expected) in [
        (&["$.a"][..], r#" { "a" : "x" , "b" : "y" } "#, r#" { "a" : "<0:String:x>" , "b" : "y" } "#),
        (&["$.a"], r#"{"a":1,"a":2,"A":[3]}"#, r#"{"a":"<0:Number:1>","a":"<0:Number:2>","A":"<0:Container:>"}"#),
        (&["$..a"], r#"[{"b":{"a":true}},{"a":null}]"#, r#"[{"b":{"a":"<0:Boolean:true>"}},{"a":null}]"#),
        (&["$[1]", "$[*]"], "[1,2,3]", "[\"\\\"\\\\\\n\\u0001é1\",\"<0:Number:2>\",\"\\\"\\\\\\n\\u0001é3\"]"),
        (&["$"], "12.50 ", r#""<0:Number:12.50>" "#),
        (&["$"], "12.50", r#""<0:Number:12.50>""#),
        (
            &["$.a.*"],
            r#"{"a":{"x":"\u00e9\n"},"b":{"x":"1"}}"#,
            "{\"a\":{\"x\":\"<0:String:é\\n>\"},\"b\":{\"x\":\"1\"}}",
        ),
        (&["$['a b']"], r#"{"a\u0020B":"x"}"#, r#"{"a\u0020B":"<0:String:x>"}"#),
        (&["$.tokens"], r#"{"to\u212aen\u017f":"x"}"#, r#"{"to\u212aen\u017f":"<0:String:x>"}"#),
        (&["$.a"], r#"{"b":"\ud800","\udfff":1}"#, r#"{"b":"\ud800","\udfff":1}"#),
        (&["$.a"], r#"{"a":{"a":[1,{"x":"]"}]},"c":0}"#, r#"{"a":"<0:Container:>","c":0}"#),
    ] {
        assert_eq!(treated(paths, body), expected);
    }
}

#[test]
fn a_number_may_stay_a_number() {
    let spec = MatcherSpec {
        treat: vec![TreatedPath { path: path("$.a"), rule: 3, only_type: None }],
        ..MatcherSpec::default()
    };
    assert_eq!(every_split(&spec, br#"{"a":"four","b":1}"#, None).out, r#"{"a":-4.5e3,"b":1}"#);
}

#[test]
fn a_type_narrows_a_rule_and_the_first_rule_wins() {
    let treat = vec![
        TreatedPath { path: path("$..a"), rule: 0, only_type: Some(ValueType::Number) },
        TreatedPath { path: path("$..a"), rule: 4, only_type: Some(ValueType::Object) },
        TreatedPath { path: path("$..a"), rule: 2, only_type: Some(ValueType::Boolean) },
    ];
    let spec = MatcherSpec { treat, ..MatcherSpec::default() };
    let outcome = every_split(&spec, br#"[{"a":1},{"a":{}},{"a":[]},{"a":"1"},{"a":null},{"a":true}]"#, None);
    assert_eq!(outcome.out, r#"[{"a":"<0:Number:1>"},{"a":"[redacted]"},{"a":[]},{"a":"1"},{"a":null},{}]"#);
    assert_eq!(outcome.log.treated, [0, 4, 2]);
}

#[test]
fn a_dropped_member_takes_its_comma() {
    for (body, expected) in [
        (r#"{"a":1}"#, "{}"),
        (r#"{"a":1,"b":2}"#, r#"{"b":2}"#),
        (r#"{"b":2,"a":1}"#, r#"{"b":2}"#),
        (r#"{"b":2,"a":1,"c":3}"#, r#"{"b":2,"c":3}"#),
        (r#"{"a":1,"a":2,"c":3,"a":{"a":[]},"a":null}"#, r#"{"c":3}"#),
        (r#"{ "a" : 1 , "b" : 2 }"#, r#"{  "b" : 2 }"#),
        (r#"{"\u0061":"\ud800"}"#, "{}"),
        ("{ }", "{ }"),
    ] {
        assert_eq!(dropped("$.a", body), expected, "{body}");
    }
    for (body, expected) in [("[1]", "[]"), ("[1,[2],{}]", "[]"), ("[ ]", "[ ]"), ("7", "7")] {
        assert_eq!(dropped("$[*]", body), expected, "{body}");
    }
    for (body, expected) in [("[1]", "[1]"), ("[1,2]", "[1]"), ("[1 , 2 , 3]", "[1  , 3]")] {
        assert_eq!(dropped("$[1]", body), expected, "{body}");
    }
    assert_eq!(dropped("$[0]", "[1,2]"), "[2]");
    assert_eq!(dropped("$", " {\"a\":1} "), " null ");
}

#[test]
fn an_allow_list_keeps_the_containers_around_what_it_keeps() {
    for (paths, body, expected) in [
        (&["$.a"][..], r#"{"x":1,"a":{"b":[1]},"y":[{"a":1}]}"#, r#"{"a":{"b":[1]}}"#),
        (
            &["$.c[*].id"],
            r#"{"c":[{"id":1,"e":2},{"e":3},4,{"id":{"q":5}}],"d":{"id":6}}"#,
            r#"{"c":[{"id":1},{},{"id":{"q":5}}]}"#,
        ),
        (&["$.c[*].id"], r#"{"c":{"id":1}}"#, r#"{"c":{}}"#),
        (&["$.c[*].id"], r#"{"c":{"x":{"id":1,"e":2},"y":{}}}"#, r#"{"c":{"x":{"id":1},"y":{}}}"#),
        (&["$.c.*.id"], r#"{"c":[{"id":1,"e":2}]}"#, r#"{"c":[{"id":1}]}"#),
        (&["$..id"], r#"{"a":{"b":1,"id":2},"c":[3,[{"ID":4}]]}"#, r#"{"a":{"id":2},"c":[[{"ID":4}]]}"#),
        (&["$[1]"], "[1,2,3]", "[2]"),
        (&["$.a"], "[1]", "[]"),
        (&["$.a"], "\"secret\"", "null"),
        (&[], r#"{"a":1}"#, "{}"),
        (&["$"], r#"{"a":1}"#, r#"{"a":1}"#),
    ] {
        assert_eq!(allowed(paths, body), expected, "{body}");
    }
}

/// Of a container that is dropped or replaced only the end is looked for. Text beside it that is not JSON is refused,
/// also where no path selects anything.
#[test]
fn only_a_container_that_is_dropped_or_replaced_may_be_malformed() {
    let only = [path("$.a")];
    let specs = [
        MatcherSpec { treat: targets(&["$.a", "$.b"]), ..MatcherSpec::default() },
        MatcherSpec {
            treat: vec![TreatedPath { path: path("$.b"), rule: 2, only_type: None }],
            ..MatcherSpec::default()
        },
        MatcherSpec { only: Some(&only), ..MatcherSpec::default() },
        MatcherSpec { treat: targets(&["$.a"]), ..MatcherSpec::default() },
    ];
    let strange = ["[1,,2]", "{1}", "[{]]", "[\"\u{1}\\q]\",'x',NaN/**/]", "[1/*\"*/]\"]", "[a\",b\"]", "[\\\"]"];
    for (inner, (at, spec)) in strange.iter().flat_map(|inner| specs.iter().enumerate().map(move |spec| (inner, spec)))
    {
        for rest in ["", ",", "}"] {
            let body = format!(r#"{{"b":{inner},"a":"x"{rest}}}"#);
            let outcome = every_split(spec, body.as_bytes(), None);
            assert_eq!(outcome.stop.is_none(), rest.is_empty() && at < 3, "{body}");
            assert!(
                at == 3 || !outcome.out.contains("\"b\"") || outcome.out.contains("\"b\":\""),
                "{body}: {}",
                outcome.out
            );
        }
    }
    for inner in ["[1]]", "[[1]", "[\"]", "[\\]\"]", "{]", "[é"] {
        let body = format!(r#"{{"b":{inner},"a":"x"}}"#);
        specs.iter().for_each(|spec| assert!(every_split(spec, body.as_bytes(), None).stop.is_some(), "{body}"));
    }
}

#[test]
fn a_spent_budget_ends_the_output_before_the_next_record_and_its_comma() {
    let records = path("$.c[*]");
    let spec = MatcherSpec { records: Some(&records), ..MatcherSpec::default() };
    let body = br#"{"n":[0], "c": [ {"a":1} , [2] ,3 , null ] ,"d":[5]}"#;
    assert_eq!(every_split(&spec, body, Some(4)).stop, None);
    for (budget, expected) in [
        (0, r#"{"n":[0], "c": ["#),
        (1, r#"{"n":[0], "c": [ {"a":1} "#),
        (2, r#"{"n":[0], "c": [ {"a":1} , [2] "#),
        (3, r#"{"n":[0], "c": [ {"a":1} , [2] ,3 "#),
    ] {
        let outcome = every_split(&spec, body, Some(budget));
        assert_eq!(
            (outcome.out.as_str(), outcome.stop, outcome.log.records),
            (expected, Some(RewriteError::RecordBudgetSpent), budget)
        );
    }
}

#[test]
fn a_dropped_record_is_not_counted() {
    let records = path("$[*]");
    let treat = vec![TreatedPath { path: path("$[*]"), rule: 2, only_type: Some(ValueType::Number) }];
    let outcome = every_split(
        &MatcherSpec { treat, records: Some(&records), ..MatcherSpec::default() },
        b"[1,\"a\",2,\"b\"]",
        None,
    );
    assert_eq!((outcome.out.as_str(), outcome.log.records), (r#"["a","b"]"#, 2));
}

#[test]
fn subjects_are_reported_untreated_whatever_is_done_with_them() {
    let subject = path("$[*].id");
    let spec =
        MatcherSpec { treat: targets(&["$..x", "$..y", "$[1].id"]), subject: Some(&subject), ..MatcherSpec::default() };
    let outcome = every_split(&spec, br#"[{"id":"\u0061b"},{"id":7},{"id": {"p":[1, 2]} },{"id":null}]"#, None);
    assert_eq!(outcome.out, r#"[{"id":"\u0061b"},{},{"id": {"p":[1, 2]} },{"id":null}]"#);
    assert_eq!(outcome.log.subjects, ["ab", "7", r#"{"p":[1, 2]}"#]);
}

#[test]
fn text_that_is_not_json_is_refused() {
    for body in [
        "",
        " ",
        "{",
        "[",
        "[1",
        "[1,",
        "[1,]",
        "{\"a\":1,}",
        "{\"a\"}",
        "{\"a\":}",
        "{a:1}",
        "{'a':1}",
        "[1 2]",
        "[1}",
        "{\"a\":1]",
        "1 2",
        "[]]",
        "{}{}",
        "[NaN]",
        "[Infinity]",
        "[01]",
        "[1.]",
        "[.5]",
        "[+1]",
        "[1e]",
        "tru",
        "[true false]",
        "nul",
        "\"a",
        "[\"\t\"]",
        "[\"\\x\"]",
        "[\"\\u12g4\"]",
        "[1]//c",
        "[/**/1]",
        "\u{feff}[]",
        "[1,,2]",
        "[,1]",
        ":",
        ",",
        "]",
        "[\u{a0}1]",
        "{\"a\":1 \"b\":2}",
        "{\"a\"::1}",
        "{1:2}",
        "[\"a\":1]",
        "-",
        "[-]",
        "[1]\0",
        "{\"a\":\"b\",\"c\"",
        "[trueness]",
    ] {
        let spec = MatcherSpec { treat: targets(&["$..a"]), ..MatcherSpec::default() };
        let outcome = every_split(&spec, body.as_bytes(), None);
        assert!(matches!(outcome.stop, Some(RewriteError::Malformed { .. })), "{body:?}: {outcome:?}");
        assert!(serde_json::from_str::<serde_json::Value>(body).is_err(), "{body:?}");
        // The same text in a longer one, which the fast path reads.
        let padding = "[0.5,true,\"x\\n\"],".repeat(20);
        for long in [format!("[{padding}{body},{padding}1]"), format!("[{padding}{{\"b\":{body},\"c\":[{padding}1]}}]")]
        {
            let outcome = run(rewriter(&spec), [long.as_bytes()], None);
            let plain = run(with(&spec, JsonEngine::BYTES), [long.as_bytes()], None);
            assert_eq!(outcome, plain, "{body:?}");
            let is_json = serde_json::from_str::<serde_json::Value>(&long).is_ok();
            assert_eq!(outcome.stop.is_none(), is_json, "{body:?}");
        }
    }
}

#[test]
fn bytes_that_are_not_utf8_are_refused() {
    for body in
        [&b"[\"\xff\"]"[..], b"[\"\xc3\"]", b"[\"\xed\xa0\x80\"]", b"\xff\xfe[\0]\0", b"[\"\xe2\x82", b"[\"\xc0\xaf\"]"]
    {
        let outcome = every_split(&MatcherSpec { treat: targets(&["$[*]"]), ..MatcherSpec::default() }, body, None);
        assert!(matches!(outcome.stop, Some(RewriteError::Malformed { .. })), "{body:?}: {outcome:?}");
    }
}

#[test]
fn half_of_a_surrogate_pair_in_a_selected_value_is_refused_and_nothing_of_it_leaves() {
    let outcome = every_split(
        &MatcherSpec { treat: targets(&["$.a"]), ..MatcherSpec::default() },
        br#"{"b":1,"a":"secret\ud800"}"#,
        None,
    );
    assert!(matches!(outcome.stop, Some(RewriteError::Malformed { .. })));
    assert_eq!(outcome.out, r#"{"b":1,"a":"#);
}

#[test]
fn nothing_of_a_truncated_value_leaves() {
    let spec = MatcherSpec { treat: targets(&["$..a"]), ..MatcherSpec::default() };
    for body in [r#"{"a":"secre"#, r#"{"a":123456"#, r#"{"a":{"b":"secret","c":["#, r#"{"\u0061":"s\"ecret\"#] {
        let outcome = every_split(&spec, body.as_bytes(), None);
        assert_eq!(outcome.out, body.split_inclusive(':').next().expect("a key"), "{body}");
    }
}

#[test]
fn a_rewriter_can_begin_again() {
    let mut json = rewriter(&MatcherSpec { treat: targets(&["$.a"]), ..MatcherSpec::default() });
    let (mut log, mut out) = (super::Log::default(), Vec::new());
    for _ in 0..2 {
        crate::pii::Rewriter::feed(&mut json, br#"{"a":"x"#, &mut log, &mut out).expect("good so far");
        json.reset();
    }
    crate::pii::Rewriter::feed(&mut json, br#"{"a":"y"}"#, &mut log, &mut out).expect("good");
    assert_eq!(String::from_utf8(out).expect("utf-8"), r#"{"a":{"a":{"a":"<0:String:y>"}"#);
}

#[test]
fn paths_that_cannot_be_compiled_are_named() {
    let long = path(&format!("$.{}", "n".repeat(342)));
    let compile = |treat| Matcher::compile(&MatcherSpec { treat, ..MatcherSpec::default() }, &Show).map(drop);
    assert!(matches!(
        compile(vec![TreatedPath { path: long, rule: 0, only_type: None }]),
        Err(MatcherError::NameTooLong { .. })
    ));
    let entangled: Vec<String> = (0..24).map(|n| format!("$..a{n}..b{n}")).collect();
    let entangled = entangled.iter().map(|text| TreatedPath { path: path(text), rule: 0, only_type: None }).collect();
    assert_eq!(compile(entangled), Err(MatcherError::TooEntangled));
    let many: Vec<String> = (0..300).map(|n| format!("$.customers[*].field{n}")).collect();
    let many = many.iter().map(|text| TreatedPath { path: path(text), rule: 0, only_type: None }).collect();
    assert_eq!(compile(many), Ok(()));
}

#[test]
fn the_fields_of_a_routes_rules_become_treated_paths() {
    let rule = |place| Rule {
        location: place,
        treatment: Treatment::Hash,
        class: TokenClass::from_name("x"),
        only_type: None,
        category: None,
    };
    let treat = vec![rule(ValueLocation::Query("q".into())), rule(ValueLocation::Field(path("$.a")))];
    let rules = Rules { treat, records: Some(path("$[*]")), ..Rules::default() };
    let spec = MatcherSpec::of(&rules);
    assert_eq!(spec.treat, [TreatedPath { path: path("$.a"), rule: 1, only_type: None }]);
    assert_eq!(spec.records, Some(&path("$[*]")));
}

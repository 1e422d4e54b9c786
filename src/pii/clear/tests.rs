//! The paths in clear, compared with those that a plain tree of the document gives, in every split and within every
//! bound.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::Value as Json;

use super::*;
use crate::pii::testing::{self, path};
use crate::pii::{RecordBudgetSpent, Rules};
use crate::pii::{Rule, TokenClass, Treatment, ValueLocation, ValueType};

/// Counts the paths in clear.
#[derive(Default)]
struct Ear(BTreeMap<String, u64>);

impl RewriteObserver for Ear {
    fn on_record(&mut self) -> Result<(), RecordBudgetSpent> {
        Ok(())
    }

    fn on_treated(&mut self, _rule: usize) {}

    fn on_subject(&mut self, _value: &[u8]) {}

    fn wants_clear_paths(&self) -> bool {
        true
    }

    fn on_clear_path(&mut self, path: &str) {
        *self.0.entry(path.to_owned()).or_default() += 1;
    }
}

fn counted(rules: &Rules, media: &str, body: &[u8], chunk: usize) -> (Vec<u8>, BTreeMap<String, u64>) {
    let (plan, mut ear, mut out) = (testing::plan(rules), Ear::default(), Vec::new());
    let mut engine = plan.body_rewriter(Some(media), None).unwrap();
    for piece in body.chunks(chunk.max(1)) {
        engine.feed(piece, &mut ear, &mut out).unwrap();
    }
    engine.finish(&mut ear, &mut out).unwrap();
    (out, ear.0)
}

/// A step of a path to one value.
#[derive(Debug, Clone, PartialEq)]
enum At {
    Name(String),
    Index(usize),
}

/// Whether a path selects this value (RFC 9535), written as a plain recursion.
fn selects(steps: &[PathStep], position: &[At]) -> bool {
    let Some((step, steps)) = steps.split_first() else { return position.is_empty() };
    let Some((at, rest)) = position.split_first() else { return false };
    let here = match (&step.selector, at) {
        (PathSelector::Name(name), At::Name(own)) => **name == **own,
        (PathSelector::Wildcard, At::Name(_) | At::Index(_)) => true,
        (PathSelector::Index(index), At::Index(own)) => *index as usize == *own,
        (PathSelector::Name(_), At::Index(_)) | (PathSelector::Index(_), At::Name(_)) => false,
    };
    (here && selects(steps, rest)) || (step.descends && selects_from(step, steps, rest))
}

fn selects_from(step: &PathStep, steps: &[PathStep], position: &[At]) -> bool {
    let all: Vec<PathStep> = std::iter::once(step.clone()).chain(steps.iter().cloned()).collect();
    selects(&all, position)
}

fn has_type(only: Option<ValueType>, value: &Json) -> bool {
    match only {
        None => true,
        Some(ValueType::String) => value.is_string(),
        Some(ValueType::Number) => value.is_number(),
        Some(ValueType::Boolean) => value.is_boolean(),
        Some(ValueType::Object) => value.is_object(),
        Some(ValueType::Array) => value.is_array(),
    }
}

/// The reference: walks the document as a tree.
fn walk(rules: &Rules, value: &Json, position: &mut Vec<At>, kept: bool, expected: &mut BTreeMap<String, u64>) {
    let kept = kept || rules.only.iter().flatten().any(|path| selects(path.steps(), position));
    let rule = |rule: &&Rule| {
        matches!(&rule.location, ValueLocation::Field(path) if selects(path.steps(), position))
            && has_type(rule.only_type, value)
    };
    if rules.treat.iter().any(|one| rule(&one)) {
        return;
    }
    match value {
        Json::Object(members) => members.iter().for_each(|(name, value)| {
            position.push(At::Name(name.clone()));
            walk(rules, value, position, kept, expected);
            position.pop();
        }),
        Json::Array(elements) => elements.iter().enumerate().for_each(|(index, value)| {
            position.push(At::Index(index));
            walk(rules, value, position, kept, expected);
            position.pop();
        }),
        Json::Null => {}
        Json::String(_) | Json::Number(_) | Json::Bool(_) => {
            if kept {
                let mut path = "$".to_owned();
                for at in position.iter() {
                    match at {
                        At::Name(name) => push_name(&mut path, name),
                        At::Index(_) => path.push_str(ELEMENTS),
                    }
                }
                *expected.entry(path).or_default() += 1;
            }
        }
    }
}

fn json() -> impl Strategy<Value = Json> {
    let scalar = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::Bool),
        any::<i32>().prop_map(Json::from),
        "[a-z\u{e9}\"\\\\]{0,6}".prop_map(Json::String),
    ];
    scalar.prop_recursive(4, 40, 5, |inner| {
        let name =
            prop_oneof!["[abc]", Just("x y".to_owned()), Just("jane@x.example".to_owned()), "[0-9]{5}", "\u{e9}"];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::Array),
            prop::collection::btree_map(name, inner, 0..4).prop_map(|map| Json::Object(map.into_iter().collect())),
        ]
    })
}

fn a_path() -> impl Strategy<Value = FieldPath> {
    let step = prop_oneof![
        3 => "\\.[abc]",
        1 => Just("[*]".to_owned()),
        1 => Just(".*".to_owned()),
        1 => "\\[[01]\\]",
        1 => "\\.\\.[abc]",
        1 => Just("..*".to_owned()),
        1 => Just("[\"x y\"]".to_owned()),
    ];
    prop::collection::vec(step, 1..4).prop_map(|steps| path(&format!("${}", steps.concat())))
}

fn rules() -> impl Strategy<Value = Rules> {
    let of = prop_oneof![
        3 => Just(None),
        1 => Just(Some(ValueType::String)),
        1 => Just(Some(ValueType::Number)),
        1 => Just(Some(ValueType::Object)),
    ];
    let treatment = prop_oneof![Just(Treatment::Redact), Just(Treatment::Drop), Just(Treatment::Hash)];
    let rule = (a_path(), treatment, of).prop_map(|(path, treatment, only_type)| Rule {
        location: ValueLocation::Field(path),
        treatment,
        class: TokenClass::from_name("email"),
        only_type,
        category: None,
    });
    let only = prop::option::weighted(0.4, prop::collection::vec(a_path(), 1..3));
    (prop::collection::vec(rule, 0..3), only).prop_map(|(treat, only)| Rules { treat, only, ..Rules::default() })
}

proptest! {
    #[test]
    fn the_paths_in_clear_are_those_that_a_tree_gives(document in json(), rules in rules(), chunk in 1_usize..40) {
        prop_assume!(rules.reads_body());
        let mut expected = BTreeMap::new();
        walk(&rules, &document, &mut Vec::new(), rules.only.is_none(), &mut expected);
        let body = document.to_string();
        let whole = counted(&rules, "application/json", body.as_bytes(), usize::MAX);
        prop_assert_eq!(&whole.1, &expected, "{} under {:?}", body, rules);
        prop_assert_eq!(&counted(&rules, "application/json", body.as_bytes(), chunk), &whole);
        // The same bytes leave whether paths are reported or not.
        let plan = testing::plan(&rules);
        let (out, _, end) = testing::feed_chunks(&mut *plan.body_rewriter(Some("application/json"), None).unwrap(), testing::RecordingObserver::default(), [body.as_bytes()]);
        prop_assert_eq!((out, end), (whole.0, Ok(())));
    }

    #[test]
    fn paths_are_bounded_and_no_value_is_lost(names in prop::collection::vec(("[a-d]{1,2}", "[a-z]", any::<bool>()), 0..200), bound in 1_usize..12, room in 0_usize..60) {
        let mut paths = ClearPathCounts::new(bound, room);
        for (outer, inner, listed) in &names {
            paths.add(&if *listed { format!("$.{outer}[*].{inner}") } else { format!("$.{outer}.{inner}") }, 1);
        }
        let list = paths.list();
        prop_assert_eq!(list.iter().map(|(_, values)| values).sum::<u64>() + paths.others(), names.len() as u64);
        prop_assert!(list.len() <= room.max(1));
        let mut again = ClearPathCounts::new(bound, room);
        list.iter().for_each(|(path, values)| again.add(path, *values));
        again.add_others(paths.others());
        prop_assert_eq!(again.list(), list, "what is listed reads as it was");
        let outer: std::collections::BTreeSet<_> = again.list().iter().filter_map(|(path, _)| ClearPathSteps(&path[1..]).next().map(str::to_owned)).collect();
        prop_assert!(outer.len() <= bound + 1);
    }
}

#[test]
fn a_map_by_id_is_one_path() {
    let mut paths = ClearPathCounts::new(3, 100);
    for name in ["ann", "bob", "cy", "dan", "eve"] {
        paths.add(&format!("$.byName.{name}.city"), 1);
        paths.add(&format!("$.byName.{name}.tags[*]"), 2);
    }
    paths.add("$.id", 5);
    let expected: Vec<_> = paths.list();
    assert_eq!(
        expected,
        [("$.byName.*.city".to_owned(), 5), ("$.byName.*.tags[*]".to_owned(), 10), ("$.id".to_owned(), 5)]
    );
}

#[test]
fn a_name_that_looks_like_data_is_not_reported() {
    for (name, expected) in [
        ("shipTo", "$.shipTo"),
        ("line2", "$.line2"),
        ("größe", "$.größe"),
        ("@id", "$[\"@id\"]"),
        ("first name", "$[\"first name\"]"),
        ("a.b", "$[\"a.b\"]"),
        ("jane@x.example", "$.*"),
        ("4111111111111111", "$.*"),
        ("3f2504e0-4f89-41d3-9a0c-0305e82c3301", "$.*"),
        ("7", "$.*"),
        ("", "$.*"),
        ("a\"]b", "$.*"),
        ("a\u{1b}[2J", "$.*"),
    ] {
        let mut path = "$".to_owned();
        push_name(&mut path, name);
        assert_eq!(path, expected, "{name}");
    }
}

#[test]
fn a_listed_path_allows_itself_and_all_below() {
    for (listed, expected, is) in [
        ("$.id", "$.id", true),
        ("$.id", "$.ID", false),
        ("$.orders[*].shipTo", "$.orders[*].shipTo", true),
        ("$.orders[*].shipTo", "$.orders[*].shipTo.city", true),
        ("$.orders[*].shipTo", "$.orders[*].shipToName", false),
        ("$.orders[*].shipTo.*", "$.orders[*].shipTo.city.name", true),
        ("$.orders[*].shipTo.*", "$.orders[*].shipTo", false),
        ("$.orders[0].shipTo", "$.orders[*].shipTo", false),
        ("$..city", "$.a[*].b.city", true),
        ("$..city", "$.a[*].b.cityName", false),
        ("$.map.*.x", "$.map.*.x", true),
        ("$.map.*.x", "$.map[*].x", true),
        ("$.map.ann.x", "$.map.*.x", false),
        ("$", "$.anything", true),
        ("$[*].id", "$.id", false),
        ("$.id", "$[*].id", true),
        ("$.rows[*].a.b", "$[*].a.b", true),
        ("$.others[*].a.b", "$[*].a.b", false),
        ("$.customers[*].id", "$[*].id", true),
        ("$.customers[*].id", "$.id", false),
        ("$.r.a", "$.r[\"@a\"]", true),
        ("$[\"x y\"]", "$[\"x y\"].z", true),
    ] {
        let rules = Rules { clear: vec![path(listed)], records: Some(path("$.rows[*]")), ..Rules::default() };
        assert_eq!(ClearList::of(&rules).allows(expected), is, "{listed} {expected}");
    }
}

#[test]
fn treated_fields_are_not_in_clear_in_any_format() {
    let rules = Rules { records: None, ..testing::rules(&["$..email"]) };
    let form = "multipart/form-data; boundary=x";
    for (media, body, expected) in [
        ("application/json", r#"{"email":"a@b.c","n":null,"at":[1,2]}"#, [("$.at[*]", 2)]),
        ("application/x-ndjson", "{\"email\":\"a\",\"at\":1}\n{\"at\":2}\n", [("$[*].at", 2)]),
        ("text/csv", "email,at\na@b.c,1\nd@e.f,2\n", [("$[*].at", 2)]),
        ("application/x-www-form-urlencoded", "email=a%40b.c&at=1&at=2", [("$.at", 2)]),
        ("application/xml", "<r><email>a@b.c</email><at>1</at><at>2</at></r>", [("$.r.at", 2)]),
        ("text/event-stream", "data: {\"email\":\"a\",\"at\":1}\n\ndata: {\"at\":2}\n\n", [("$[*].at", 2)]),
        (
            form,
            "--x\r\nContent-Disposition: form-data; name=\"email\"\r\n\r\na\r\n--x\r\nContent-Disposition: form-data; name=\"at\"\r\n\r\n1\r\n--x\r\nContent-Disposition: form-data; name=\"at\"\r\n\r\n2\r\n--x--\r\n",
            [("$.at", 2)],
        ),
    ] {
        let expected: BTreeMap<_, _> = expected.map(|(path, values)| (path.to_owned(), values)).into();
        for chunk in [1, 3, 1000] {
            assert_eq!(counted(&rules, media, body.as_bytes(), chunk).1, expected, "{media}");
        }
    }
}

#[test]
fn a_value_is_in_clear_unless_a_detector_masked_something_in_it() {
    use crate::pii::{DetectAction, DetectRule, Detector};
    let body = r#"{"note":"write to ann@x.example","name":"Ann"}"#;
    for (action, expected) in [(DetectAction::Report, vec!["$.name", "$.note"]), (DetectAction::Mask, vec!["$.name"])] {
        let rules = Rules { detect: Some(DetectRule::new(Detector::default(), action)), ..Rules::default() };
        let (_, counted) = counted(&rules, "application/json", body.as_bytes(), 5);
        assert_eq!(counted.keys().map(String::as_str).collect::<Vec<_>>(), expected, "{action:?}");
    }
}

//! Queries that go around rules, and the honest ones beside them, as tables; and the laws of the parser.

use super::*;
use crate::pii::testing;
use crate::pii::{Plan, RewriteResult, Rules};
use proptest::prelude::*;

fn checker(answer: &Rules) -> QueryChecker {
    QueryChecker::new(answer, &Rules::default())
}

/// What is wrong with the query under these rules, if anything is.
fn fault_of(answer: &Rules, query: &str) -> Option<&'static str> {
    match checker(answer).check(query) {
        Ok(()) => None,
        Err(RewriteError::GraphqlQuery { what, .. }) => Some(what),
        Err(stop) => panic!("{stop}"),
    }
}

const AROUND: &str = "calls a field by a name that the answer's rules do not know it by";

#[test]
fn an_alias_does_not_go_around_an_allow_list() {
    let only = testing::allow_list(&["$.data.user.id", "$.data.users[*].id", "$.data.order"]);
    for query in [
        "{user{id:email}}",
        "{ user { id : email } }",
        "query Q { user { id: email } }",
        "query($x: ID!, $y: [Int!]! = [1, 2]) { user(id: $x) { id: email } }",
        "subscription { user { id: email } }",
        "{user{...f}} fragment f on User{id:email}",
        "fragment f on User{...g} fragment g on User{id:email} {user{...f}}",
        "{user{...{id:email}}}",
        "{user{...on User{id:email}}}",
        "{user{...on User @include(if: true){id:email}}}",
        "{user{id @skip(if: $x)} ...{user{id:email @skip(if: false)}}}",
        "{user:order{id:total} order:customer{email}}",
        "{users(first: 2){id:email}}",
        "{order:users{email}}",
        "{user{id:profile{email}}}",
        "#{\n{user{#\"\"\"\nid:email}}",
        "\u{feff}{user\u{feff}{id\u{feff}:email}}",
        "{user,{,id,,:,email,}}",
        "{user(s:\"}\\\"{\"){id:email}}",
        "{user(s:\"\"\"\"}\\\"\"\"\"\"\"){id:email}}",
        "{ok:__typename user{id:email}}",
        "query A{user{id}} query B{user{id:email}}",
        "{user{id:id2}}",
        "{user{id:ID}}",
    ] {
        assert_eq!(fault_of(&only, query), Some(AROUND), "{query}");
    }
    for query in [
        "{user{id}}",
        "{user{id email}}",
        "{user{mail:email}}",
        "{user{id:id}}",
        "{me:user{id}}",
        "{u:user{id email}}",
        "{users{id} order{a{b:c}}}",
        "{order{x:y ...on Z{email:mail}}}",
        "query Q($a:Int=1){user(id:$a,f:{a:[1,2],b:null,c:ENUM}){id @include(if:true)}}",
        "mutation{user(x:-1.5e3){id}}",
        "{__schema{types{name}}}",
    ] {
        assert_eq!(fault_of(&only, query), None, "{query}");
    }
}

#[test]
fn a_treated_field_keeps_its_name_and_its_place() {
    let deep = testing::rules(&["$..email"]);
    let placed = testing::rules(&["$.data.customers[*].card.number", "$.data.viewer.*.phone"]);
    for (rules, query) in [
        (&deep, "{user{contact:email}}"),
        (&deep, "{user{contact:Email}}"),
        (&deep, "{a:email{x}}"),
        (&placed, "{customers{card{n:number}}}"),
        (&placed, "{customers{c:card{number}}}"),
        (&placed, "{c:customers{card{number}}}"),
        (&placed, "{v:viewer{home{phone}}}"),
        (&placed, "{viewer{home{p:phone}}}"),
    ] {
        assert_eq!(fault_of(rules, query), Some(AROUND), "{query}");
    }
    for (rules, query) in [
        (&deep, "{u:user{email}}"),
        (&deep, "{user{email:email}}"),
        (&deep, "{user{EMAIL:email}}"),
        (&deep, "{user{email:nick}}"),
        (&placed, "{viewer{h:home{phone}}}"),
        (&placed, "{other:card{n:number}}"),
        (&placed, "{customers{card{number last:suffix}}}"),
    ] {
        assert_eq!(fault_of(rules, query), None, "{query}");
    }
    let two = testing::rules(&["$..email", "$..ssn"]);
    assert_eq!(fault_of(&two, "{email:ssn}"), Some(AROUND), "one rule's treatment is not another's");
    let counted = Rules {
        records: Some(testing::path("$.data.customers[*]")),
        subject: Some(testing::path("$.data.customers[*].id")),
        ..Rules::default()
    };
    assert_eq!(fault_of(&counted, "{c:customers{id}}"), Some(AROUND));
    assert_eq!(fault_of(&counted, "{customers{x:id}}"), Some(AROUND));
    assert_eq!(fault_of(&counted, "{customers{id n:name}}"), None);
}

#[test]
fn a_query_that_cannot_be_checked_is_refused() {
    let rules = testing::rules(&["$..email"]);
    for query in [
        "",
        "   # nothing\n",
        "{",
        "{}",
        "{a}}",
        "{a:}",
        "{:a}",
        "{a b:c:d}",
        "{a(x:)}",
        "{a(x:1}",
        "{a(x:\"b)}",
        "{a(x:\"b\n\")}",
        "{a(x:\"\"\"b\")}",
        "{a(x:1.)}",
        "{a(x:01b)}",
        "{a(x:-)}",
        "{a @defer}",
        "{...@defer{a}}",
        "{a @stream(initialCount:1)}",
        "{a @rename(to:\"b\")}",
        "query @live {a}",
        "{...missing}",
        "{...f} fragment f on A{...f}",
        "{a} fragment f on A{b} fragment f on A{c}",
        "{a} fragment on on A{b}",
        "{a} fragment f{b}",
        "{a} type A{b:C}",
        "{a} extend type A{b:C}",
        "fragment f on A{b}",
        "{a\u{e9}}",
        "{a;b}",
        "{'a'}",
        "{a #\r b:email}",
        "{a\rb}",
        "query($a){b}",
        "{a.b}",
        "{a}..",
    ] {
        assert!(fault_of(&rules, query).is_some(), "{query:?}");
    }
    let deep = |depth: usize| format!("{}{}", "{a".repeat(depth), "}".repeat(depth));
    assert_eq!(fault_of(&rules, &deep(100)), None);
    assert!(fault_of(&rules, &deep(200)).is_some_and(|what| what.contains("deeper")));
    let wide = format!("{{a(x:{}{})}}", "[".repeat(200), "]".repeat(200));
    assert!(fault_of(&rules, &wide).is_some_and(|what| what.contains("deeper")));
    let doubling: String = (0..40).map(|n| format!("fragment f{n} on A{{...f{0} ...f{0}}} ", n + 1)).collect();
    let doubling = format!("{{...f0}} {doubling} fragment f40 on A{{a}}");
    assert!(fault_of(&rules, &doubling).is_some_and(|what| what.contains("longer")));
    let long = format!("{{{}}}", "a ".repeat(30_000));
    assert!(fault_of(&rules, &long).is_some_and(|what| what.contains("longer")));
}

#[test]
fn a_literal_argument_that_a_rule_of_the_request_names_is_refused() {
    let check = |request: &Rules, query: &str| QueryChecker::new(&Rules::default(), request).check(query).is_ok();
    let rules = testing::rules(&["$.variables.input.email", "$..ssn"]);
    for query in [
        "{f(email:\"a@x\")}",
        "{f(Email:\"\"\"a@x\"\"\")}",
        "mutation{f(input:{email:\"a@x\"})}",
        "mutation{f(input:[{a:1,email:[\"a@x\"]}])}",
        "query($email:String=\"a@x\"){f(e:$email)}",
        "{f(ssn:123)}",
        "{f(ssn:{a:[\"1\"]})}",
        "{f @include(if:true, email:\"a@x\")}",
    ] {
        assert!(!check(&rules, query), "{query}");
    }
    for query in
        ["{f(email:$e)}", "query($email:String){f(email:$email, first:10, q:\"x\")}", "{f(email:null, ssn:NONE)}"]
    {
        assert!(check(&rules, query), "{query}");
    }
    let only = testing::allow_list(&["$.query", "$.variables.id"]);
    assert!(!check(&only, "{f(q:\"a@x\")}") && check(&only, "{f(q:$id)}"));
}

fn plan(answer: Rules) -> Plan {
    testing::plan(&Rules { graphql: Some(Box::new(answer)), ..Rules::default() })
}

fn sent(plan: &Plan, content_type: &str, body: &str) -> RewriteResult<String> {
    let (out, _, end) = testing::feed_at_every_split(
        || plan.body_rewriter(Some(content_type), None).expect(content_type),
        body.as_bytes(),
    );
    assert!(end.is_ok() || out.is_empty(), "nothing of a refused request leaves: {body}");
    end.map(|()| String::from_utf8(out).unwrap())
}

#[test]
fn a_query_is_found_wherever_a_server_looks_for_it() {
    let placed = plan(testing::allow_list(&["$.data.user.id"]));
    for (content_type, body) in [
        (
            "application/json",
            r#"{"query":"{user{id}}","variables":{"query":1},"operationName":null,"extensions":{"a":1}}"#,
        ),
        ("application/graphql+json; charset=utf8", " {\"query\":\"{user{id}}\"}\n"),
        ("application/json", "\u{feff}{\"query\":\"{user{id}}\"}"),
        ("application/json", r#"[{"query":"{user{id}}"}]"#),
        ("application/json", r#"[{"query":"{user{id}}"},{"query":"{user{id}}"}]"#),
        ("application/graphql", "{user{id}}"),
    ] {
        assert_eq!(sent(&placed, content_type, body).as_deref(), Ok(body));
    }
    for (content_type, body) in [
        ("application/json", r#"{"query":"{user{id:email}}"}"#),
        ("application/json", r#"{"query":"{user{i\u0064\u003aemail}}"}"#),
        ("application/json", r#"{"\u0071uery":"{user{id:email}}"}"#),
        ("application/json", r#"[{"query":"{user{id}}"},{"query":"{user{id:email}}"}]"#),
        ("application/json", r#"{"query":"{user{id}}","query":"{user{id:email}}"}"#),
        ("application/json", r#"{"query":"{user{id}}","Query":"{user{id:email}}"}"#),
        ("application/json", r#"{"query":"{user{id}}","id":"123"}"#),
        ("application/json", r#"{"query":"{user{id}}","extensions":{"persistedQuery":{"sha256Hash":"00"}}}"#),
        ("application/json", r#"{"extensions":{"persistedQuery":{"sha256Hash":"00"}}}"#),
        ("application/json", r#"{"documentId":"123"}"#),
        ("application/json", r#"{"query":null}"#),
        ("application/json", r#"{"query":["{user{id}}"]}"#),
        ("application/json", "[]"),
        ("application/json", "{user{id}}"),
        ("application/json", ""),
        ("application/json", "{\"query\":\"{user{id}}\"} x"),
        ("application/graphql", "{user{id:email}}"),
        ("application/graphql", r#"{"query":"{user{id}}"}"#),
    ] {
        assert!(matches!(sent(&placed, content_type, body), Err(RewriteError::GraphqlQuery { .. })), "{body}");
    }
    for content_type in
        ["application/x-www-form-urlencoded", "multipart/form-data; boundary=b", "text/plain", "text/json"]
    {
        assert!(
            matches!(placed.body_rewriter(Some(content_type), None), Err(RewriteError::GraphqlQuery { .. })),
            "{content_type}"
        );
    }
    assert!(
        placed.body_rewriter(None, None).is_err()
            && placed.body_rewriter(Some("application/json; charset=utf-16"), None).is_err()
    );
    let treated = plan(testing::rules(&["$.data.user.email"]));
    assert!(sent(&treated, "application/json", r#"[{"query":"{user{id}}"},{"query":"{user{id}}"}]"#).is_err());
    let anywhere = plan(testing::rules(&["$..email"]));
    assert!(sent(&anywhere, "application/json", r#"[{"query":"{user{id}}"},{"query":"{user{id}}"}]"#).is_ok());
    let long = format!(r#"{{"query":"{{a}}","variables":"{}"}}"#, "x".repeat(crate::bounds::GRAPHQL_BYTES_MAX));
    let mut engine = placed.body_rewriter(Some("application/json"), None).unwrap();
    let (_, _, end) =
        testing::feed_chunks(&mut *engine, testing::RecordingObserver::default(), long.as_bytes().chunks(65_536));
    assert!(matches!(end, Err(RewriteError::Bound { .. })));
}

#[test]
fn a_query_in_the_url_is_checked_too() {
    let plan = plan(testing::allow_list(&["$.data.user.id"]));
    for (query, has_body, good) in [
        (Some("query={user{id}}"), false, true),
        (Some("query=%7Buser%7Bid%7D%7D&variables=%7B%7D&operationName=a&api-version=1"), false, true),
        (Some("query=%7Buser%7Bid%3Aemail%7D%7D"), false, false),
        (Some("query=%7Buser%7Bid%3Aemail%7D%7D"), true, false),
        (Some("qu%65ry={user{id:email}}"), false, false),
        (Some("query={user{id}}&query={user{id:email}}"), false, false),
        (Some("query={user{id}}&query[]={user{id:email}}"), false, false),
        (Some("Query={user{id:email}}"), true, false),
        (Some("query={user{id}}&extensions=%7B%7D"), false, false),
        (Some("documentId=1"), true, false),
        (Some("x=1"), false, false),
        (Some("x=1"), true, true),
        (None, false, false),
        (None, true, true),
    ] {
        assert_eq!(plan.check_graphql_query(query, has_body).is_ok(), good, "{query:?}");
    }
    assert_eq!(testing::plan(&Rules::default()).check_graphql_query(Some("query={"), false), Ok(()));
}

#[test]
fn a_request_is_checked_before_it_is_treated() {
    let rules = Rules {
        graphql: Some(Box::new(testing::allow_list(&["$.data.user.id"]))),
        ..testing::rules(&["$.variables.email"])
    };
    let plan = testing::plan(&rules);
    let body = r#"{"query":"query($email:String){user(email:$email){id}}","variables":{"email":"b@x"}}"#;
    let out = sent(&plan, "application/json", body).unwrap();
    assert!(out.contains("user(email:$email)") && !out.contains("b@x"), "{out}");
    assert!(sent(&plan, "application/json", r#"{"query":"{user(email:\"b@x\"){id}}"}"#).is_err());
}

proptest! {
    /// An answer made after a query, with values named by the schema, never shows one that the list does not
    /// have.
    #[test]
    fn what_passes_shows_only_what_the_list_has(tree in selections(3)) {
        let (query, answer) = tree;
        let only = testing::allow_list(&["$.data.a.b", "$.data.b", "$.data.c.a"]);
        if fault_of(&only, &query).is_none() {
            let plan = testing::plan(&only);
            let (out, _, end) = testing::feed_chunks(&mut *plan.body_rewriter(Some("application/json"), None).unwrap(), testing::RecordingObserver::default(), [answer.as_bytes()]);
            prop_assert_eq!(end, Ok(()));
            let out = String::from_utf8(out).unwrap();
            for shown in out.split('"').filter(|text| text.starts_with('/')) {
                let listed = ["/a/b", "/b", "/c/a"].iter().any(|path| shown == *path || shown.starts_with(&format!("{path}/")));
                prop_assert!(listed, "{} shows {} in {}", query, shown, out);
            }
        }
    }

    #[test]
    fn random_text_never_panics(query in "([{}()\\[\\]:!$@=|&.,\"# a-c0-9-]|\\.\\.\\.|on |query |fragment |\"\"\"|\\\\|\n){0,60}") {
        let _ = fault_of(&testing::rules(&["$..a"]), &query);
    }
}

/// A selection set, and the members of the object that answers it: each leaf's value is its path by the schema's names.
fn selections(depth: u32) -> impl Strategy<Value = (String, String)> {
    let field =
        || (prop::sample::select(vec!["a", "b", "c"]), prop::option::of(prop::sample::select(vec!["a", "b", "c"])));
    let node = field().prop_map(|(name, alias)| Node { name, alias, below: Vec::new() });
    let node = node.prop_recursive(depth, 12, 3, move |inner| {
        (field(), prop::collection::vec(inner, 0..3)).prop_map(|((name, alias), below)| Node { name, alias, below })
    });
    prop::collection::vec(node, 1..3)
        .prop_map(|nodes| (query_of(&nodes), format!("{{\"data\":{}}}", answer_of(&nodes, ""))))
}

#[derive(Debug, Clone)]
struct Node {
    name: &'static str,
    alias: Option<&'static str>,
    below: Vec<Node>,
}

fn query_of(nodes: &[Node]) -> String {
    let field = |node: &Node| {
        let alias = node.alias.map(|alias| format!("{alias}:")).unwrap_or_default();
        let below = if node.below.is_empty() { String::new() } else { query_of(&node.below) };
        format!("{alias}{}{below}", node.name)
    };
    format!("{{{}}}", nodes.iter().map(field).collect::<Vec<_>>().join(" "))
}

fn answer_of(nodes: &[Node], path: &str) -> String {
    let member = |node: &Node| {
        let path = format!("{path}/{}", node.name);
        let value = if node.below.is_empty() { format!("\"{path}\"") } else { answer_of(&node.below, &path) };
        format!("\"{}\":{value}", node.alias.unwrap_or(node.name))
    };
    format!("{{{}}}", nodes.iter().map(member).collect::<Vec<_>>().join(","))
}

#[test]
fn errors_say_what_is_wrong_with_the_query() {
    let stop = checker(&testing::rules(&["$..email"])).check("{user{x:email}}").unwrap_err();
    let expected =
        "a GraphQL query calls a field by a name that the answer's rules do not know it by (at byte 6 of it)";
    assert_eq!(stop.to_string(), expected);
}

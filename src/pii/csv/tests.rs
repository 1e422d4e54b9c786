//! Tables in and tables out, as lists of cases; and what holds for every rewriter, as property tests.

use super::*;
use crate::bounds::{ROW_BYTES_MAX, VALUE_BYTES_MAX};
use crate::pii::testing::{self, MarkingTransform, RecordingObserver, marked};
use proptest::prelude::*;

const COMMA: CsvDialect<'_> = CsvDialect { delimiter: b',', columns: None, headed: false };

fn csv(rules: &crate::pii::Rules, transform: Arc<dyn Transform>) -> impl Fn() -> CsvRewriter + use<> {
    let fields = Arc::new(FieldRules::flat(rules));
    move || CsvRewriter::new(COMMA, Arc::clone(&fields), Arc::clone(&transform)).expect("a table")
}

fn email() -> impl Fn() -> CsvRewriter + use<> {
    csv(&testing::rules(&["$[*].email"]), MarkingTransform::shared())
}

fn seal(text: &str) -> String {
    marked(0, text.as_bytes())
}

#[test]
fn columns_are_treated_by_the_rule_for_their_name() {
    for (body, expected) in [
        ("id,email\n1,b@x\n", format!("id,email\n1,{}\n", seal("b@x"))),
        ("\"E\"\"mail\",email\r\n1,b@x\r\n", format!("\"E\"\"mail\",email\r\n1,{}\r\n", seal("b@x"))),
        ("Email ,x\r\n\"b,\r\n\"\"x\",\"y\"\r\n", format!("Email ,x\r\n\"{}\",\"y\"\r\n", seal("b,\r\n\"x"))),
        ("\u{feff}email,x\na,b", format!("\u{feff}email,x\n{},b", seal("a"))),
        ("x,email,email\n,,\n", format!("x,email,email\n,{0},{0}\n", seal(""))),
        ("email\n\n\r\na\n", format!("email\n\n\r\n{}\n", seal("a"))),
        ("id,email", "id,email".to_owned()),
        ("id,email\n", "id,email\n".to_owned()),
        ("x,email\n1,", format!("x,email\n1,{}", seal(""))),
        ("", String::new()),
    ] {
        assert_eq!(testing::output_text(email(), body), expected);
    }
    let tab = Arc::new(FieldRules::flat(&testing::rules(&["$.email"])));
    let dialect = CsvDialect { delimiter: b'\t', ..COMMA };
    let tab = || CsvRewriter::new(dialect, Arc::clone(&tab), MarkingTransform::shared()).expect("a table");
    assert_eq!(testing::output_text(tab, "id\temail\n1,2\tb@x\n"), format!("id\temail\n1,2\t{}\n", seal("b@x")));
}

#[test]
fn a_replacement_is_quoted_where_csv_needs_quotes() {
    for (tail, plain, quoted) in
        [("", "~", "\"~\""), (",", "\"~,\"", "\"~,\""), ("\"", "\"~\"\"\"", "\"~\"\"\""), ("\n", "\"~\n\"", "\"~\n\"")]
    {
        let make = csv(&testing::rules(&["$.email"]), MarkingTransform::ending(tail));
        let expected = format!("email\n{plain}\n{quoted}\n").replace('~', &seal("a"));
        assert_eq!(testing::output_text(make, "email\na\n\"a\"\n"), expected);
    }
}

#[test]
fn dropped_columns_are_left_out_of_the_header_and_the_rows() {
    let drop = || csv(&testing::rules(&["$.email"]), MarkingTransform::dropping(0));
    assert_eq!(testing::output_text(drop(), "id,email,x\n1,b,2\n"), "id,x\n1,2\n");
    assert_eq!(testing::output_text(drop(), "email,id\nb,1\n\"b\",2"), "id\n1\n2");
    assert_eq!(testing::feed_at_every_split(drop(), b"email,id\nb,1\n").1.treated, [0]);
    let only = csv(&testing::allow_list(&["$[*].id", "$..zip"]), MarkingTransform::shared());
    assert_eq!(testing::output_text(only, "x,id,ID,zip\n1,2,3,\"4\"\n"), "id,zip\n2,\"4\"\n");
}

#[test]
fn what_two_dialects_read_in_two_ways_is_refused() {
    for body in [
        "id,email\n1\n",
        "id,email\n1,2,3\n",
        "id,email\n1",
        "id,email\n\"1\"\n",
        "id,email\na\"b,c\n",
        "id,email\n\"a\"b,c\n",
        "id,email\n\"a\\\"b\",c\n",
        "id,email\n1,\"b",
        "id,email\r1,2\r",
        "id,email\n1,2\r",
        "id;email\n1;2\n",
        "id\temail\n1\t2\n",
        "id|email\n",
        "\nid,email\n",
        "id,email\n1,\0\n",
    ] {
        assert!(matches!(testing::error_of(email(), body.as_bytes()), RewriteError::Malformed { .. }), "{body}");
    }
    for body in [&b"id,email\n1,\xff\n"[..], b"id,email\n1,\xc3", b"\xff\xfei\0d\0"] {
        assert!(matches!(testing::error_of(email(), body), RewriteError::Malformed { .. }));
    }
}

#[test]
fn a_row_without_all_its_fields_is_not_put_out() {
    let (out, _, end) = testing::feed_at_every_split(email(), b"id,email,x\n1,2,3\nb@x,4\n");
    assert!(end.is_err());
    assert_eq!(String::from_utf8(out).unwrap(), format!("id,email,x\n1,{},3\n", seal("2")));
}

#[test]
fn data_rows_are_counted_as_records_and_subjects_are_reported() {
    let rules = crate::pii::Rules {
        records: Some(testing::path("$[*]")),
        subject: Some(testing::path("$[*].id")),
        ..testing::rules(&["$[*].email"])
    };
    let make = csv(&rules, MarkingTransform::shared());
    let (_, seen, _) = testing::feed_at_every_split(&make, b"id,email\n\"1\",a\n\n2,b");
    assert_eq!((seen.records, seen.treated, seen.subjects), (2, vec![0, 0], vec!["1".to_owned(), "2".to_owned()]));
    let seen = RecordingObserver { budget: Some(1), ..RecordingObserver::default() };
    let (out, _, end) = testing::feed_chunks(&mut make(), seen, [&b"id,email\n1,a\n2,b\n"[..]]);
    assert_eq!(
        (String::from_utf8(out).unwrap(), end),
        (format!("id,email\n1,{}\n", seal("a")), Err(RewriteError::RecordBudgetSpent))
    );
}

#[test]
fn a_row_and_a_value_over_their_bounds_are_refused() {
    let long = |len: usize| [b"x,email\n".as_slice(), &vec![b'a'; len], b",b\n"].concat();
    assert_eq!(testing::feed_at_every_split(email(), &long(ROW_BYTES_MAX - 100)).2, Ok(()));
    assert!(matches!(testing::error_of(email(), &long(ROW_BYTES_MAX)), RewriteError::Bound { .. }));
    let value = [b"x,email\n1,".as_slice(), &vec![b'a'; VALUE_BYTES_MAX + 1], b"\n"].concat();
    assert!(matches!(testing::error_of(email(), &value), RewriteError::Bound { .. }));
}

#[test]
fn no_piece_of_a_selected_value_leaves_a_truncated_table() {
    let body = b"id,email,x\n1,canary-0123456789,2\n2,\"canary-0123456789\",\"\"\"\"\n3,canary-0123456789\n";
    testing::assert_no_leak(email(), body, "canary-0123456789");
}

fn spell(cell: &str) -> String {
    if cell.contains([',', '"', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell.to_owned() }
}

proptest! {
    /// A table of random cells leaves as the same table with one column sealed.
    #[test]
    fn the_meaning_is_that_of_a_whole_buffer_reference(
        rows in prop::collection::vec(prop::array::uniform3("[a,\"\n\r \u{e9}]{0,6}"), 0..5),
    ) {
        let table = |seals: bool| {
            let mut text = String::from("x,email,y\n");
            for [x, email, y] in &rows {
                let cell = if seals { seal(email) } else { email.clone() };
                // A cell that came in quotes leaves in quotes.
                let cell = if seals && spell(email) != *email { format!("\"{cell}\"") } else { spell(&cell) };
                text.push_str(&format!("{},{cell},{}\n", spell(x), spell(y)));
            }
            text
        };
        prop_assert_eq!(testing::output_text(email(), &table(false)), table(true));
    }

    #[test]
    fn random_bytes_never_panic_and_splits_never_matter(body in "(email,x\n)?[a,\"\n\r\t;\u{e9}]{0,30}", tail in prop::collection::vec(any::<u8>(), 0..4)) {
        let (out, seen, end) = testing::feed_at_every_split(email(), &[body.as_bytes(), &tail].concat());
        prop_assert!(end.is_err() || seen.treated.is_empty() || out.contains(&b'~'));
    }
}

/// Tables whose first row does not have the name of the rule's column.
const NO_HEADERS: [&str; 16] = [
    "Customers,\nid,email\n1,canary@x.example\n",
    "Customers\nid,email\n1,canary@x.example\n",
    "sep=,\nid,email\n1,canary@x.example\n",
    "\"sep=,\"\nid\n",
    "1,canary@x.example\n2,canary@x.example\n",
    "1,canary@x.example",
    "canary@x.example\n",
    "id,E-Mail-Adresse\n1,canary@x.example\n",
    "id,courriel\n1,canary@x.example\n",
    "# export of today\nid,email\n1,canary@x.example\n",
    "id,email_address\n1,canary@x.example\n",
    "\"id,email\"\n\"1,canary@x.example\"\n",
    "\"id;email\"\n\"1;canary@x.example\"\n",
    "id,\"email\t\"\n1,canary@x.example\n",
    "id,email\u{a0}\n1,canary@x.example\n",
    ",\nid,email\n1,canary@x.example\n",
];

#[test]
fn a_table_without_the_column_of_a_rule_is_refused() {
    for body in NO_HEADERS {
        let (out, _, end) = testing::feed_at_every_split(email(), body.as_bytes());
        assert_eq!((out, end), (Vec::new(), Err(RewriteError::MissingColumn { name: "email".into() })), "{body}");
    }
    let said = RewriteError::MissingColumn { name: "email".into() }.to_string();
    assert!(said.contains("'email'") && said.contains("optional"), "{said}");
}

#[test]
fn a_title_above_the_names_and_a_second_header_hide_nothing() {
    for (body, expected) in [
        ("id,email\nid,email\n1,b@x\n", format!("id,email\nid,{}\n1,{}\n", seal("email"), seal("b@x"))),
        ("\"id\",\" Email \"\n1,b@x\n", format!("\"id\",\" Email \"\n1,{}\n", seal("b@x"))),
    ] {
        assert_eq!(testing::output_text(email(), body), expected);
    }
    // A first row that has the rule's name and beside it personal data is data.
    let what = "a table whose first row has personal data in the place of names";
    for body in ["email,canary@x.example\n", "1,email,+1 555 234 5678,canary@x.example\n"] {
        assert!(
            matches!(testing::error_of(email(), body.as_bytes()), RewriteError::Malformed { what: said, .. } if said == what)
        );
    }
}

#[test]
fn an_optional_rule_needs_no_column_and_a_subject_does() {
    let two = testing::rules(&["$[*].email", "$[*].ssn"]);
    assert_eq!(
        testing::error_of(csv(&two, MarkingTransform::shared()), b"id,email\n1,a\n"),
        RewriteError::MissingColumn { name: "ssn".into() }
    );
    let reading = crate::pii::BodySettings { optional_rules: vec![1], ..crate::pii::BodySettings::default() };
    let optional = crate::pii::Rules { body_settings: reading, ..two };
    assert_eq!(
        testing::output_text(csv(&optional, MarkingTransform::shared()), "id,email\n1,a\n"),
        format!("id,email\n1,{}\n", seal("a"))
    );
    let subject = crate::pii::Rules { subject: Some(testing::path("$[*].id")), ..crate::pii::Rules::default() };
    assert_eq!(
        testing::error_of(csv(&subject, MarkingTransform::shared()), b"nr,email\n1,a\n"),
        RewriteError::MissingColumn { name: "id".into() }
    );
}

#[test]
fn a_contract_may_name_the_columns_of_a_table_without_a_header() {
    let rules = crate::pii::Rules { records: Some(testing::path("$[*]")), ..testing::rules(&["$[*].email"]) };
    let fields = Arc::new(FieldRules::flat(&rules));
    let names: [Box<str>; 2] = ["id".into(), "email".into()];
    let table = |delimiter| {
        let (fields, names) = (Arc::clone(&fields), names.clone());
        move || {
            let dialect = CsvDialect { delimiter, columns: Some(&names), headed: false };
            CsvRewriter::new(dialect, Arc::clone(&fields), MarkingTransform::shared()).expect("a table")
        }
    };
    for (delimiter, body) in [(b',', "1,b@x\n2,\"b@x\"\n"), (b';', "\r\n1;b@x\n2;b@x"), (b'\t', "1\tb@x\n2\tb@x\n")] {
        let (out, seen, end) = testing::feed_at_every_split(table(delimiter), body.as_bytes());
        assert_eq!((String::from_utf8(out).unwrap(), end), (body.replace("b@x", &seal("b@x")), Ok(())));
        assert_eq!((seen.records, seen.treated), (2, vec![0, 0]), "the first row is a record");
    }
    for body in ["email,id\n", "1\n", "1,2,3\n"] {
        assert!(matches!(testing::error_of(table(b','), body.as_bytes()), RewriteError::Malformed { .. }), "{body}");
    }
    let short = CsvDialect { columns: Some(&names[..1]), ..COMMA };
    assert_eq!(
        CsvRewriter::new(short, fields, MarkingTransform::shared()).err(),
        Some(RewriteError::MissingColumn { name: "email".into() })
    );
}

#[test]
fn a_first_row_that_may_be_data_is_a_record() {
    let rules = crate::pii::Rules { records: Some(testing::path("$[*]")), ..crate::pii::Rules::default() };
    for (body, headed, records) in [
        ("id,email\n1,a\n", false, 1),
        ("1,email\n1,a\n", false, 2),
        ("a@x.example,b\n", false, 1),
        ("x,x\n", false, 1),
        (",x\n", false, 1),
        ("1,x\n2,y\n", true, 1),
    ] {
        let fields = Arc::new(FieldRules::flat(&rules));
        let make = || {
            CsvRewriter::new(CsvDialect { headed, ..COMMA }, Arc::clone(&fields), MarkingTransform::shared())
                .expect("a table")
        };
        let (_, seen, end) = testing::feed_at_every_split(make, body.as_bytes());
        assert_eq!((seen.records, end), (records, Ok(())), "{body}");
        let broke = testing::feed_chunks(
            &mut make(),
            RecordingObserver { budget: Some(0), ..RecordingObserver::default() },
            [body.as_bytes()],
        );
        assert_eq!(broke.2, Err(RewriteError::RecordBudgetSpent));
    }
    // Where a rule selects every field, nothing proves that the first row has names and not data.
    let all = csv(&testing::rules(&["$[*]"]), MarkingTransform::shared());
    assert_eq!(testing::output_text(&all, "id,x\n1,a\n"), format!("id,x\n{},{}\n", seal("1"), seal("a")));
    assert!(matches!(testing::error_of(&all, b"1,Jane Doe\n"), RewriteError::Malformed { .. }));
}

//! What tables must do, as data; and the laws of every engine.

use super::*;
use crate::pii::trial::{self, Sealed, Seen, sealed};
use proptest::prelude::*;

fn csv(rules: &crate::pii::Rules, treat: Arc<dyn Treat>) -> impl Fn() -> Csv + use<> {
    let fields = Arc::new(Fields::flat(rules));
    move || Csv::comma(Arc::clone(&fields), Arc::clone(&treat))
}

fn email() -> impl Fn() -> Csv + use<> {
    csv(&trial::rules(&["$[*].email"]), Sealed::shared())
}

fn seal(text: &str) -> String {
    sealed(0, text.as_bytes())
}

#[test]
fn columns_are_treated_under_their_header() {
    for (body, expected) in [
        ("id,email\n1,b@x\n", format!("id,email\n1,{}\n", seal("b@x"))),
        ("id,\"E\"\"mail\"\r\n1,b@x\r\n", "id,\"E\"\"mail\"\r\n1,b@x\r\n".to_owned()),
        ("Email ,x\r\n\"b,\r\n\"\"x\",\"y\"\r\n", format!("Email ,x\r\n\"{}\",\"y\"\r\n", seal("b,\r\n\"x"))),
        ("\u{feff}email,x\na,b", format!("\u{feff}email,x\n{},b", seal("a"))),
        ("x,email,email\n,,\n", format!("x,email,email\n,{0},{0}\n", seal(""))),
        ("email\n\n\r\na\n", format!("email\n\n\r\n{}\n", seal("a"))),
        ("id,email", "id,email".to_owned()),
        ("id,email\n", "id,email\n".to_owned()),
        ("x,email\n1,", format!("x,email\n1,{}", seal(""))),
        ("", String::new()),
    ] {
        assert_eq!(trial::text(email(), body), expected);
    }
    let tab = Arc::new(Fields::flat(&trial::rules(&["$.email"])));
    let tab = || Csv::tab(Arc::clone(&tab), Sealed::shared());
    assert_eq!(trial::text(tab, "id\temail\n1,2\tb@x\n"), format!("id\temail\n1,2\t{}\n", seal("b@x")));
}

#[test]
fn what_leaves_is_quoted_where_it_must_be() {
    for (tail, plain, quoted) in
        [("", "~", "\"~\""), (",", "\"~,\"", "\"~,\""), ("\"", "\"~\"\"\"", "\"~\"\"\""), ("\n", "\"~\n\"", "\"~\n\"")]
    {
        let make = csv(&trial::rules(&["$.email"]), Sealed::ending(tail));
        let expected = format!("email\n{plain}\n{quoted}\n").replace('~', &seal("a"));
        assert_eq!(trial::text(make, "email\na\n\"a\"\n"), expected);
    }
}

#[test]
fn dropped_columns_leave_header_and_rows() {
    let drop = || csv(&trial::rules(&["$.email"]), Sealed::dropping(0));
    assert_eq!(trial::text(drop(), "id,email,x\n1,b,2\n"), "id,x\n1,2\n");
    assert_eq!(trial::text(drop(), "email,id\nb,1\n\"b\",2"), "id\n1\n2");
    assert_eq!(trial::run(drop(), b"email,id\nb,1\n").1.treated, [0]);
    let only = csv(&trial::only(&["$[*].id", "$..zip"]), Sealed::shared());
    assert_eq!(trial::text(only, "x,id,ID,zip\n1,2,3,\"4\"\n"), "id,zip\n2,\"4\"\n");
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
        assert!(matches!(trial::stop(email(), body.as_bytes()), Stop::Malformed { .. }), "{body}");
    }
    for body in [&b"id,email\n1,\xff\n"[..], b"id,email\n1,\xc3", b"\xff\xfei\0d\0"] {
        assert!(matches!(trial::stop(email(), body), Stop::Malformed { .. }));
    }
}

#[test]
fn a_row_that_is_not_whole_does_not_leave() {
    let (out, _, end) = trial::run(email(), b"id,email,x\n1,2,3\nb@x,4\n");
    assert!(end.is_err());
    assert_eq!(String::from_utf8(out).unwrap(), format!("id,email,x\n1,{},3\n", seal("2")));
}

#[test]
fn data_rows_are_records_and_subjects_are_told() {
    let rules = crate::pii::Rules {
        records: Some(trial::path("$[*]")),
        subject: Some(trial::path("$[*].id")),
        ..trial::rules(&["$[*].email"])
    };
    let make = csv(&rules, Sealed::shared());
    let (_, seen, _) = trial::run(&make, b"id,email\n\"1\",a\n\n2,b");
    assert_eq!((seen.records, seen.treated, seen.subjects), (2, vec![0, 0], vec!["1".to_owned(), "2".to_owned()]));
    let seen = Seen { budget: Some(1), ..Seen::default() };
    let (out, _, end) = trial::push(&mut make(), seen, [&b"id,email\n1,a\n2,b\n"[..]]);
    assert_eq!((String::from_utf8(out).unwrap(), end), (format!("id,email\n1,{}\n", seal("a")), Err(Stop::Cut)));
}

#[test]
fn bounds_hold() {
    let long = |len: usize| [b"x,email\n".as_slice(), &vec![b'a'; len], b",b\n"].concat();
    assert_eq!(trial::run(email(), &long(ROW_BYTES_MAX - 100)).2, Ok(()));
    assert!(matches!(trial::stop(email(), &long(ROW_BYTES_MAX)), Stop::Bound { .. }));
    let value = [b"x,email\n1,".as_slice(), &vec![b'a'; VALUE_BYTES_MAX + 1], b"\n"].concat();
    assert!(matches!(trial::stop(email(), &value), Stop::Bound { .. }));
}

#[test]
fn no_piece_of_a_selected_value_leaves_a_truncated_table() {
    let body = b"id,email,x\n1,canary-0123456789,2\n2,\"canary-0123456789\",\"\"\"\"\n3,canary-0123456789\n";
    trial::leaks_nothing(email(), body, "canary-0123456789");
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
        prop_assert_eq!(trial::text(email(), &table(false)), table(true));
    }

    #[test]
    fn noise_never_panics_and_splits_never_matter(body in "(email,x\n)?[a,\"\n\r\t;\u{e9}]{0,30}", tail in prop::collection::vec(any::<u8>(), 0..4)) {
        let (out, seen, end) = trial::run(email(), &[body.as_bytes(), &tail].concat());
        prop_assert!(end.is_err() || seen.treated.is_empty() || out.contains(&b'~'));
    }
}

//! What XML must do, as data; and the laws of every engine.

use super::*;
use crate::bounds::{DOCUMENT_DEPTH_MAX, VALUE_BYTES_MAX};
use crate::pii::testing::{self, MarkingTransform, marked};
use crate::pii::{DetectAction, DetectRule, Detector, Rule, Rules, TokenClass, Treatment, ValueLocation};
use proptest::prelude::*;

fn xml(rules: &Rules, transform: Arc<dyn Transform>) -> impl Fn() -> XmlRewriter + use<> {
    let paths = Arc::new(XmlPaths::new(rules));
    move || XmlRewriter::new(Arc::clone(&paths), Arc::clone(&transform))
}

fn email() -> impl Fn() -> XmlRewriter + use<> {
    xml(&testing::rules(&["$..email"]), MarkingTransform::shared())
}

#[test]
fn elements_and_attributes_are_treated() {
    for (body, value) in [
        ("<c><email>VALUE</email></c>", "b@x"),
        ("<?xml version=\"1.0\" encoding='UTF-8'?>\r\n<c>\n <a:email >VALUE</a:email >\n</c>\n<!-- x -->", "b@x"),
        ("<email>VALUE</email>", ""),
        ("<c email='VALUE' x=\"1 &lt; 2\"/>", "b@x"),
        ("<c>\u{e9} &amp; <![CDATA[<email>b@x</email>]]> ] ]] > <?p i?><email/></c>", ""),
        ("<c a=\">\">&#xe9;<!-- <email> - --></c>", ""),
    ] {
        let expected = body.replace("VALUE", &marked(0, value.as_bytes()));
        assert_eq!(testing::output_text(email(), &body.replace("VALUE", value)), expected);
    }
}

#[test]
fn values_are_decoded_however_they_are_written() {
    let expected = format!("<email>{}</email>", marked(0, b"a&b<c]]>"));
    for inner in [
        "a&amp;b&lt;c]]&gt;",
        "&#97;&#38;b&#x3C;c]]&gt;",
        "<![CDATA[a&b<c]]>]]&gt;",
        "a<!-- not this -->&amp;<?nor this?>b<![CDATA[<c]]]]><![CDATA[>]]>",
    ] {
        assert_eq!(testing::output_text(email(), &format!("<email>{inner}</email>")), expected, "{inner}");
    }
    assert_eq!(
        testing::output_text(email(), "<c email=\"a&amp;b&#60;c]]&gt;\"/>"),
        format!("<c email=\"{}\"/>", marked(0, b"a&b<c]]>"))
    );
    let escaped = "&amp;&lt;&gt;&quot;&#39;&#10;";
    let tail = xml(&testing::rules(&["$..email"]), MarkingTransform::ending("&<>\"'\n"));
    let seal = marked(0, b"x");
    let body = "<c email='x'><email>x</email></c>";
    assert_eq!(
        testing::output_text(tail, body),
        format!("<c email='{seal}{escaped}'><email>{seal}{escaped}</email></c>")
    );
    let bad = xml(&testing::rules(&["$..email"]), MarkingTransform::ending("\u{1}"));
    assert!(matches!(testing::error_of(&bad, body.as_bytes()), RewriteError::Untreatable { .. }));
}

#[test]
fn a_selected_element_with_elements_within_is_replaced_as_a_whole() {
    let body =
        "<c><email kind=\"h\" xml:lang=\"en\">b@x<a href=\"b@x\">b@x</a><!-- b@x --><email>b@x</email>b@x</email>y</c>";
    let kind = marked(0, b"h");
    assert_eq!(
        testing::output_text(email(), body),
        format!("<c><email kind=\"{kind}\" xml:lang=\"en\">[redacted]</email>y</c>")
    );
}

#[test]
fn dropped_elements_and_attributes_are_left_out_with_their_markup() {
    let drop = || xml(&testing::rules(&["$..email"]), MarkingTransform::dropping(0));
    let body = "<c email=\"b@x\" a='1'>1<email x=\"2\">b@x<i/><!-- b@x --></email>2<email/>3</c>";
    assert_eq!(testing::output_text(drop(), body), "<c a='1'>123</c>");
    assert!(matches!(testing::error_of(drop(), b"<email>x</email>"), RewriteError::Untreatable { .. }));
}

#[test]
fn under_an_allow_list_only_listed_elements_and_attributes_pass() {
    let only = || {
        xml(&testing::allow_list(&["$.list.item.id", "$.list.keep", "$.list.item[\"@n\"]"]), MarkingTransform::shared())
    };
    let body = "<?xml version=\"1.0\"?><!-- a --><list xmlns='u' v='1'> a&amp;\n<item n='1' m='2'>b<id x='3'>7<!-- c --></id>\
                <id2/><![CDATA[d]]></item><keep><any>e</any></keep><?p i?><ID>f</ID></list><!-- g -->";
    let expected = "<?xml version=\"1.0\"?><list xmlns='u'> \n<item n='1'><id x='3'>7<!-- c --></id></item><keep><any>e</any></keep></list>";
    assert_eq!(testing::output_text(only(), body), expected);
    assert_eq!(testing::output_text(only(), "<other a='1'>x</other>"), "<other></other>");
}

#[test]
fn a_document_without_the_list_of_its_records_is_reported() {
    let is_reported = |records: &str, body: &str| {
        let rules = Rules { records: Some(testing::path(records)), ..testing::rules(&["$..email"]) };
        let (_, seen, end) = testing::feed_at_every_split(xml(&rules, MarkingTransform::shared()), body.as_bytes());
        assert_eq!(end, Ok(()), "{body}");
        seen.unexpected_shapes
    };
    for (records, body, misshapen) in [
        ("$.list[*]", "<list><a/></list>", 0),
        ("$.list[*]", "<list/>", 0),
        ("$.list[*]", "<data><list><a/></list></data>", 1),
        ("$.list[*]", "<email>a</email>", 1),
        ("$.pages.page[*]", "<pages><page/></pages>", 0),
        ("$.pages[*].rows[*]", "<pages/>", 0),
        ("$..list[*]", "<data><list/></data>", 0),
        ("$..list[*]", "<data/>", 1),
        ("$[*]", "<any/>", 0),
        ("$", "<any/>", 0),
    ] {
        assert_eq!(is_reported(records, body), misshapen, "{records} {body}");
    }
}

#[test]
fn records_are_counted_and_subjects_are_reported() {
    let rules = Rules {
        records: Some(testing::path("$.list[*]")),
        subject: Some(testing::path("$.list[*].id")),
        ..testing::rules(&["$.list[*].email"])
    };
    let make = xml(&rules, MarkingTransform::shared());
    let (_, seen, _) = testing::feed_at_every_split(
        &make,
        b"<list><c><id>a&amp;<![CDATA[b]]></id><email>x</email></c><c id='2'/></list>",
    );
    assert_eq!((seen.records, seen.treated, seen.subjects), (2, vec![0], vec!["a&b".to_owned(), "2".to_owned()]));
    let rules = Rules { subject: Some(testing::path("$.c")), ..testing::rules(&["$..email"]) };
    let (_, seen, _) =
        testing::feed_at_every_split(xml(&rules, MarkingTransform::shared()), b"<c>a<email>x</email>b</c>");
    assert_eq!(seen.subjects, ["ab"], "its own text, without that of elements within");
    let seen = testing::RecordingObserver { budget: Some(1), ..testing::RecordingObserver::default() };
    let (out, _, end) = testing::feed_chunks(&mut make(), seen, [&b"<list><c>1</c> <c>2</c></list>"[..]]);
    assert_eq!((out.as_slice(), end), (&b"<list><c>1</c> "[..], Err(RewriteError::RecordBudgetSpent)));
}

/// Under detectors that do this about what they find; `$..listed` is hashed, and numbered before them.
fn detecting(action: DetectAction) -> impl Fn() -> Box<dyn Rewriter> {
    let guard = Some(DetectRule::new(Detector::default(), action));
    let listed = Rule {
        class: TokenClass::from_name("email"),
        treatment: Treatment::Redact,
        ..testing::rule(field("$..listed"))
    };
    let plan = testing::plan(&Rules { treat: vec![listed], detect: guard, ..Rules::default() });
    move || plan.body_rewriter(Some("application/xml"), None).expect("a known type")
}

fn field(path: &str) -> ValueLocation {
    ValueLocation::Field(testing::path(path))
}

#[test]
fn detectors_read_what_no_path_selects() {
    for (body, masked, redacted) in [
        ("<c>to b@x.org</c>", "<c>to *******</c>", "<c>to [redacted]</c>"),
        ("<c>b&#64;x.org &amp; co&#x2E;</c>", "<c>******* &amp; co.</c>", "<c>[redacted] &amp; co.</c>"),
        ("<c><![CDATA[<b@x.org>]]></c>", "<c>&lt;*******&gt;</c>", "<c>&lt;[redacted]&gt;</c>"),
        ("<c>b@<!-- not here -->x.<![CDATA[or]]>g</c>", "<c>*******</c>", "<c>[redacted]</c>"),
        ("<c>b@x.<?p i?>org\r\n &quot;'</c>", "<c>*******\r\n \"'</c>", "<c>[redacted]\r\n \"'</c>"),
        (
            "<c>b@<i/>x.org<i>b@x.org</i>b@x.org</c>",
            "<c>b@<i/>x.org<i>*******</i>*******</c>",
            "<c>b@<i/>x.org<i>[redacted]</i>[redacted]</c>",
        ),
        (
            "<c a='b@x.org' b=\"1 &lt; b&#x40;x.org\"/>",
            "<c a='*******' b=\"1 &lt; *******\"/>",
            "<c a='[redacted]' b=\"1 &lt; [redacted]\"/>",
        ),
        (
            "<c xmlns='urn:b@x.org' xml:lang='b@x.org'/>",
            "<c xmlns='urn:*******' xml:lang='*******'/>",
            "<c xmlns='urn:[redacted]' xml:lang='[redacted]'/>",
        ),
        (
            "<!--b@x.org--><c><!-- b@x.org --></c><?p b@x.org?>",
            "<!--*******--><c><!-- ******* --></c><?p *******?>",
            "<!--[redacted]--><c><!-- [redacted] --></c><?p [redacted]?>",
        ),
        (
            "<c><listed a='b@x.org'>b@x.org</listed>b@x.org</c>",
            "<c><listed a='[redacted]'>[redacted]</listed>*******</c>",
            "<c><listed a='[redacted]'>[redacted]</listed>[redacted]</c>",
        ),
    ] {
        assert_eq!(testing::output_text(detecting(DetectAction::Mask), body), masked);
        assert_eq!(testing::output_text(detecting(DetectAction::Redact), body), redacted);
        let (out, seen, end) = testing::feed_at_every_split(detecting(DetectAction::Report), body.as_bytes());
        let reported = if body.contains("listed") { masked.replace("*******", "b@x.org") } else { body.to_owned() };
        assert_eq!((String::from_utf8(out), end), (Ok(reported), Ok(())));
        assert!(seen.treated.contains(&1), "{body}");
    }
}

#[test]
fn text_in_which_detectors_find_nothing_passes_as_it_came() {
    for body in [
        "<?xml version=\"1.0\" standalone='yes'?>\r\n<c x='a &#64; b'>\n &#x41;<![CDATA[ ]] ]]><!-- a -->\t]] &amp;</c>\n<!-- b --><?p i?> ",
        "<c><a>1</a> <a/>  2019-04-01T10:00:00Z <b y=\"\"></b></c>",
    ] {
        for action in [DetectAction::Mask, DetectAction::Redact, DetectAction::Report] {
            let (out, seen, end) = testing::feed_at_every_split(detecting(action), body.as_bytes());
            assert_eq!((String::from_utf8(out).as_deref(), end, seen.treated), (Ok(body), Ok(()), vec![]));
        }
    }
}

#[test]
fn under_detectors_a_text_has_a_bound_and_no_piece_leaves_before_its_end() {
    let long = "x".repeat(VALUE_BYTES_MAX + 1);
    for body in
        [format!("<c>{long}"), format!("<c><!--{long}"), format!("<?p {long}"), format!("<c>x<!-- -->{}", &long[8..])]
    {
        assert!(matches!(
            testing::error_of(detecting(DetectAction::Mask), body.as_bytes()),
            RewriteError::Bound { .. }
        ));
    }
    let fits = format!("<c>{}<a/>{}</c>", &long[1..], &long[1..]);
    assert_eq!(testing::output_text(detecting(DetectAction::Mask), &fits), fits);
    let body = "<!--canary-0123456789@x.org--><c a='canary-0123456789&#64;x.org' xmlns:a='canary-0123456789@x.org'>canary-0123456789<!-- \
                canary-0123456789@x.org -->@x<![CDATA[.org]]><b><![CDATA[canary-0123456789@x.org]]></b></c><?p canary-0123456789@x.org?>";
    testing::assert_no_leak(detecting(DetectAction::Mask), body.as_bytes(), "canary-0123456789");
    let body = "<?xml version='1.0' standalone='canary-0123456789@x.org'?><c/>";
    testing::assert_no_leak(detecting(DetectAction::Mask), body.as_bytes(), "canary-0123456789");
}

#[test]
fn under_detectors_an_allow_list_lets_nothing_more_pass() {
    let guard = Some(DetectRule::new(Detector::default(), DetectAction::Mask));
    let plan = testing::plan(&Rules { detect: guard, ..testing::allow_list(&["$.c.id"]) });
    let make = || plan.body_rewriter(Some("text/xml"), None).expect("a known type");
    let body = "<!-- b@x.org --><c a='b@x.org'>b@x.org<id k='b@x.org'>7 b@x.org<!-- b@x.org --></id><b>b@x.org</b></c>";
    assert_eq!(testing::output_text(make, body), "<c><id k='*******'>7 *******</id></c>");
}

#[test]
fn what_a_laxer_reader_would_see_otherwise_is_refused() {
    for body in [
        "",
        " ",
        "<c>",
        "<c></d>",
        "</c>",
        "<c/><d/>",
        "<c/>x",
        "x<c/>",
        "<c/>&amp;",
        "<![CDATA[]]><c/>",
        "<!DOCTYPE c><c/>",
        "<c><!ELEMENT c ANY></c>",
        "<!doctype c><c/>",
        "<c>&nbsp;</c>",
        "<c>&email;</c>",
        "<c>& </c>",
        "<c>&#0;</c>",
        "<c x='&e;'/>",
        "<c>]]></c>",
        "<c>\u{1}</c>",
        "<c x='\u{1}'/>",
        "<c><!-- -- --></c>",
        "<c><!-- x --->",
        "<c x=1/>",
        "<c x='1' x='2'/>",
        "<c x='<'/>",
        "<c <d/>",
        "< c/>",
        "<c/ >",
        " <?xml version='1.0'?><c/>",
        "<?XML version='1.0'?><c/>",
        "<?xml version='1.1'?><c/>",
        "<?xml encoding='utf-8'?><c/>",
        "<?xml version='1.0' standalone='maybe'?><c/>",
        "<c/><?xml version='1.0'?>",
        "<?",
        "<? x?><c/>",
        "\u{feff}<c/>",
        "<c>\0</c>",
    ] {
        assert!(matches!(testing::error_of(email(), body.as_bytes()), RewriteError::Malformed { .. }), "{body}");
    }
    assert!(matches!(testing::error_of(email(), b"<c>\xff</c>"), RewriteError::Malformed { .. }));
    for charset in ["utf-16", "iso-8859-1", ""] {
        let body = format!("<?xml version='1.0' encoding='{charset}'?><c/>");
        assert!(matches!(testing::error_of(email(), body.as_bytes()), RewriteError::Opaque { .. }));
    }
}

#[test]
fn a_tag_a_value_and_a_depth_over_their_bounds_are_refused() {
    let bound = |body: String| matches!(testing::error_of(email(), body.as_bytes()), RewriteError::Bound { .. });
    assert!(bound("<a>".repeat(DOCUMENT_DEPTH_MAX + 1)));
    assert!(bound(format!("<email>{}", "x".repeat(VALUE_BYTES_MAX + 1))));
    assert!(bound(format!("<c x='{}", "x".repeat(XML_TAG_BYTES_MAX))));
    let long = format!("<c>{}</c>", "x".repeat(2 * VALUE_BYTES_MAX));
    assert_eq!(testing::output_text(email(), &long), long);
}

#[test]
fn no_piece_of_a_selected_value_leaves_a_truncated_document() {
    let body = "<c email='canary-0123456789'><email>canary-0123456789</email><email k='canary-0123456789'><a b='canary-0123456789'>\
                canary-0123456789</a><!--canary-0123456789--></email><email><![CDATA[canary-0123456789]]></email></c>";
    testing::assert_no_leak(email(), body.as_bytes(), "canary-0123456789");
}

/// A random element, and the same with its `email` elements sealed: a reference that knows no stream.
fn element() -> impl Strategy<Value = (String, String)> {
    let text = "[a-z\u{e9} ]{0,6}".prop_map(|text| (text.clone(), text));
    let leaf = ("(email|a|b)", "[a-z\u{e9}]{0,6}").prop_map(|(name, text)| {
        let value = if name == "email" { marked(0, text.as_bytes()) } else { text.clone() };
        (format!("<{name}>{text}</{name}>"), format!("<{name}>{value}</{name}>"))
    });
    prop_oneof![text, leaf].prop_recursive(3, 12, 4, |inner| {
        ("(c|d|email)", prop::collection::vec(inner, 1..4)).prop_map(|(name, parts)| {
            let (body, treated): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
            let (body, treated) = (body.concat(), treated.concat());
            let treated = match name.as_str() {
                "email" if body.contains('<') => "[redacted]".to_owned(),
                "email" => marked(0, body.as_bytes()),
                _ => treated,
            };
            (format!("<{name}>{body}</{name}>"), format!("<{name}>{treated}</{name}>"))
        })
    })
}

proptest! {
    #[test]
    fn the_meaning_is_that_of_a_whole_buffer_reference((body, treated) in element()) {
        prop_assert_eq!(testing::output_text(email(), &format!("<r>{body}</r>")), format!("<r>{treated}</r>"));
    }

    #[test]
    fn random_bytes_never_panic_and_splits_never_matter(
        body in "(<c>|</c>|<email>|</email>|<c email='1'>|<!--|-->|<!\\[CDATA\\[|\\]\\]>|<\\?p|\\?>|&amp;|&#|[<>&;'\"=/ \u{e9}a\\]-]){0,25}",
        tail in prop::collection::vec(any::<u8>(), 0..3),
    ) {
        let (out, _, end) = testing::feed_at_every_split(detecting(DetectAction::Mask), &[b"<c>", body.as_bytes(), &tail].concat());
        prop_assert!(end.is_err() || !out.is_empty());
        for (start, rules) in [("", testing::rules(&["$..email"])), ("<c>", testing::allow_list(&["$.c.email", "$.c.a"]))] {
            let make = xml(&rules, MarkingTransform::shared());
            let (out, _, end) = testing::feed_at_every_split(make, &[start.as_bytes(), body.as_bytes(), &tail].concat());
            prop_assert!(end.is_err() || !out.is_empty());
        }
    }
}

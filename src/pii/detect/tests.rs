//! What detectors find and what not, as tables; and what holds for every text.

use super::*;
use proptest::prelude::*;

/// The text with each find in brackets, after the word for its kind.
fn marked(text: &str) -> String {
    let (mut out, mut copied) = (String::new(), 0);
    Detector::default().scan(text.as_bytes(), |span| {
        out.push_str(&text[copied..span.start]);
        out.push_str(&format!("{}<{}>", span.kind.as_str(), &text[span.start..span.end]));
        copied = span.end;
    });
    out + &text[copied..]
}

/// Exactly the texts in `<…>` must be found, as the kinds that the words before them name.
fn check(expected: &str) {
    let words = PiiKind::ALL.map(PiiKind::as_str);
    let mut plain = expected.to_owned();
    for word in words {
        plain = plain.replace(&format!("{word}<"), "<");
    }
    assert_eq!(marked(&plain.replace(['<', '>'], "")), expected);
}

#[test]
fn email_addresses_are_found_by_their_at_sign() {
    for text in [
        "email<bob@example.com>",
        "write to email<bob.o'hara+tag@mail.example.co.uk>.",
        "(email<b@x.io>),email<c@x.io>;email<d@x.io>",
        "mailto:email<bob@example.com>?subject=x",
        "user=email<bob@example.com>&x",
        "email<jos\u{e9}@b\u{fc}cher.example>",
        "email<a@xn--bcher-kva.xn--p1ai>",
        "email<a@b.com>.1",
        "a@b",
        "a@b.c",
        "a@b.c1",
        "@handle and bob@ and @",
        "a@-b.com",
        "a@b..com",
        "a@localhost",
        "x @example.com",
    ] {
        check(text);
    }
    let long = "a".repeat(100);
    assert_eq!(marked(&format!("{long}@x.org")), format!("{}email<{}@x.org>", "a".repeat(36), "a".repeat(64)));
}

#[test]
fn numbers_are_found_by_their_check_digits() {
    for text in [
        // Test numbers that the card networks publish.
        "card<4111111111111111>",
        "card<4111 1111 1111 1111>, card<5555-5555-5555-4444>",
        "card<378282246310005> card<6011111111111117> card<3530111333300000> card<30569309025904>",
        "order 12345 card<4111 1111 1111 1111> 12",
        "no card<4222222222222>.",
        "4111111111111112",
        "41111111111111111111111",
        "0.4111111111111111",
        "1111111111111117",
        // Examples in the IBAN registry.
        "iban<DE89370400440532013000>, iban<GB29 NWBK 6016 1331 9268 19>",
        "iban<FR1420041010050500013M02606> iban<NO9386011117947> iban<MT84MALT011000012345MTLCAST001S>",
        "iban<nl91abna0417164300>",
        "DE89370400440532013001",
        "XDE89370400440532013000",
        "DE893704004405320130001",
        "ZZ89370400440532013000",
        "ssn<123-45-6789> ssn<123 45 6789>",
        "000-45-6789, 666-45-6789, 900-45-6789, 123-00-6789, 123-45-0000",
        "123-45 6789 123-45-67890 1123-45-6789 123-45-6789-1 2-123-45-6789",
    ] {
        check(text);
    }
}

/// The prefilter reads a text in windows. A number may begin at any position of one, or cross its edge.
#[test]
fn numbers_are_found_at_every_offset_of_a_text() {
    for number in [
        "phone<+49301234>, +4930123",
        "phone<+49 30 123456>",
        "phone<1 (415) 555-2671>",
        "phone<06 12 34 56 78>",
        "phone<030/1234567>",
        "ssn<123-45-6789>",
        "card<4111 1111 1111 1111>",
        "iban<NO9386011117947>",
        "iban<GB29 NWBK 6016 1331 9268 19>",
    ] {
        for before in 0..140 {
            for (pad, after) in [("a", ""), ("1 ", " b"), ("ab 2024-01-15 ", ", 2026-02-03T10:30 and so on, 12 of 30")]
            {
                let pad: String = pad.chars().cycle().take(before).chain("; ".chars()).collect();
                check(&format!("{pad}{number}{after}"));
            }
        }
    }
}

#[test]
fn phones_are_found_by_their_shape() {
    for text in [
        "phone<+49 30 123456>",
        "phone<+14155552671>, phone<+1 (415) 555-2671>",
        "phone<+44 20 7946 0958>.",
        "tel:phone<+33-1-70-18-99-00>",
        "phone<1 (415) 555-2671> phone<1-(415)555-2671> 11 phone<(415) 555-2671>",
        "phone<(415) 555-2671> phone<415-555-2671> phone<415.555.2671> phone<1-415-555-2671>",
        "phone<020 7946 0958> phone<030/1234567> phone<06 12 34 56 78>, phone<0049 30 123456>",
        "+1234567 +12345678901234567 a+14155552671 1 + 12345678",
        "2024-01-15 10:30, 15.01.2024, 192.168.100.200, 10.0.255.255",
        "0.1234567890 1234567890 00 2024-01-15T10:30:00.000+01:00",
        "115-555-2671 415-155-2671 v415-555-2671 415-555-2671-1 3.415.555.2671",
        "01-02-2024 007 12",
    ] {
        check(text);
    }
}

#[test]
fn secrets_are_found_by_their_prefixes() {
    let token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJib2IifQ.c2lnbmF0dXJl";
    let word = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8";
    for text in [
        format!("Bearer jwt<{token}>"),
        "jwt<eyJhbGciOiJub25lIn0.e30.>".to_owned(),
        format!("xeyJhbGciOiJIUzI1NiJ9.jwt<{}>", &token[21..]),
        "eyJhbGci eyJhbGciOiJIUzI1NiJ9 eyJhbGciOiJIUzI1NiJ9.".to_owned(),
        format!("jwt<eyJ{}>", "a".repeat(400)),
        format!("eyJ{}", "a".repeat(300)),
        "key<AKIAIOSFODNN7EXAMPLE> key<ASIAIOSFODNN7EXAMPLE>".to_owned(),
        "AKIAIOSFODNN7EXAMPL XAKIAIOSFODNN7EXAMPLE AKIAiosfodnn7example".to_owned(),
        format!("key<sk_live_{word}> key<rk_test_{word}> key<ghp_{word}> key<github_pat_{word}> key<ghs_{word}>"),
        format!("pk_live_{word} sk_live_short ask_live_{word} ghp_short _"),
        "key<xoxb-123456789012-abcdef> xoxz-123456789012".to_owned(),
        "key<-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----> tail".to_owned(),
        "key<-----BEGIN OPENSSH PRIVATE KEY-----\nb3B---ENDlbnNz ----END -----\nmore without an end".to_owned() + ">",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----".to_owned(),
        "-----BEGIN private PRIVATE KEY-----".to_owned(),
    ] {
        check(&text);
    }
}

#[test]
fn only_the_kinds_of_the_detector_are_found() {
    let mut found = Vec::new();
    let text = b"bob@x.org 123-45-6789 +14155552671 AKIAIOSFODNN7EXAMPLE";
    Detector::new([PiiKind::Ssn, PiiKind::Key]).scan(text, |span| found.push(span.kind));
    assert_eq!(found, [PiiKind::Ssn, PiiKind::Key]);
    Detector::new([]).scan(text, |span| panic!("{span:?}"));
}

#[test]
fn the_worst_texts_are_searched_in_linear_time() {
    for unit in ["a@", "1 ", "eyJ", "4111 ", "_", "-----BEGIN ", "+1", "DE89", "a.", "AKIA", "0-0"] {
        let text = unit.repeat(400_000 / unit.len());
        Detector::default().scan(text.as_bytes(), |_| {});
    }
    // Many finds of one family: the others must not search the rest again for each.
    let text = "bob@example.com ".repeat(60_000);
    let mut found = 0;
    Detector::default().scan(text.as_bytes(), |_| found += 1);
    assert_eq!(found, 60_000);
}

proptest! {
    #[test]
    fn finds_in_any_bytes_are_in_order_and_do_not_overlap(text in prop::collection::vec(any::<u8>(), 0..200), shaped in "[0-9+() .@a-zA-Z_-]{0,200}") {
        for text in [text.as_slice(), shaped.as_bytes()] {
            let mut last = 0;
            Detector::default().scan(text, |span| {
                assert!(last <= span.start && span.start < span.end && span.end <= text.len());
                last = span.end;
            });
        }
    }

    #[test]
    fn the_search_for_marker_bytes_changes_no_find(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "bob@x.org", "@", "123-45-6789", "+14155552671", "+12345678", "020 7946 0958", "4111 1111 1111 1111", "NO9386011117947",
                "nl91abna0417164300", "AKIAIOSFODNN7EXAMPLE", "ASIAIOSFODNN7EXAMPLE", "sk_live_a1B2c3D4e5F6g7H8i9J0k1L2",
                "xoxb-123456789012-abcdef", "eyJhbGciOiJub25lIn0.e30.", "-----BEGIN PRIVATE KEY-----", " ", "-", "a", "1", "12", "é",
            ]),
            0..6,
        ),
        cut in 0_usize..8,
    ) {
        let text = parts.concat();
        let text = text.as_bytes().get(cut..).unwrap_or_default();
        let detector = Detector::default();
        let (mut all, mut found) = (Vec::new(), Vec::new());
        detector.report(DetectSearch::of_families(&detector, 0, u8::MAX), text, |span| all.push(span));
        detector.scan(text, |span| found.push(span));
        prop_assert_eq!(found, all);
    }
}

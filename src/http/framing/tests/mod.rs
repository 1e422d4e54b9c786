//! The screen by table, by law, and beside hyper.

mod laws;
mod reference;

use super::*;

fn judged(side: Side, asked: Option<&Asked>, bytes: &str) -> Result<usize, Flaw> {
    let mut framing = Framing::of(side);
    let judged = framing.judge(bytes.as_bytes(), asked);
    judged.flaw.map_or(Ok(judged.pass), Err)
}

#[test]
fn requests_with_two_readings_are_refused_each_by_its_name() {
    let head = |fields: &str| format!("POST /a HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    for (flaw, bytes) in [
        (Flaw::BareLf, "GET /a HTTP/1.1\n".to_owned()),
        (Flaw::BareLf, head("X: y\n")),
        (Flaw::BareLf, "GET /a HTTP/1.1\r\nHost: a\r\n\n".to_owned()),
        (Flaw::BareLf, "\nGET /a HTTP/1.1\r\n\r\n".to_owned()),
        (Flaw::BareCr, head("X: y\rZ: 1\r\n")),
        (Flaw::BareCr, "GET /a HTTP/1.1\rHost".to_owned()),
        (Flaw::Control, head("X: y\0\r\n")),
        (Flaw::Control, head("X: \x7f\r\n")),
        (Flaw::Control, head("X\x01: y\r\n")),
        (Flaw::Control, "\x16\x03\x01".to_owned()),
        (Flaw::RequestLine, "GET  /a HTTP/1.1\r\n".to_owned()),
        (Flaw::RequestLine, "GET /a b HTTP/1.1\r\n".to_owned()),
        (Flaw::RequestLine, "GET\t/a HTTP/1.1\r\n".to_owned()),
        (Flaw::RequestLine, "GET /a\r\n".to_owned()),
        (Flaw::RequestLine, "G(T /a HTTP/1.1\r\n".to_owned()),
        (Flaw::RequestLine, " GET /a HTTP/1.1\r\n".to_owned()),
        (Flaw::RequestLine, "\r\n\r\nGET /a HTTP/1.1\r\n".to_owned()),
        (Flaw::TargetBytes, "GET /\u{e9} HTTP/1.1\r\n".to_owned()),
        (Flaw::TargetBytes, "GET /a#b HTTP/1.1\r\n".to_owned()),
        (Flaw::TargetBytes, "GET /a<b HTTP/1.1\r\n".to_owned()),
        (Flaw::TargetForm, "GET ?a HTTP/1.1\r\n".to_owned()),
        (Flaw::TargetForm, "GET a/b HTTP/1.1\r\n".to_owned()),
        (Flaw::Version, "GET /a HTTP/1.2\r\n".to_owned()),
        (Flaw::Version, "GET /a HTTP/2.0\r\n".to_owned()),
        (Flaw::Version, "GET /a http/1.1\r\n".to_owned()),
        (Flaw::Version, "GET /a HTTP/1.10\r\n".to_owned()),
        (Flaw::Fold, head("X: y\r\n z\r\n")),
        (Flaw::Fold, "GET /a HTTP/1.1\r\n Host: a\r\n".to_owned()),
        (Flaw::FieldName, head("X\r\n")),
        (Flaw::FieldName, head(": x\r\n")),
        (Flaw::FieldName, head("X y: z\r\n")),
        (Flaw::FieldName, head("X(: z\r\n")),
        (Flaw::SpacedName, head("Content-Length : 4\r\n")),
        (Flaw::SpacedName, head("X\t: 4\r\n")),
        (Flaw::ManyFields, head(&"X: y\r\n".repeat(100))),
        (Flaw::LongHead, head(&format!("X: {}\r\n", "y".repeat(bounds::HEAD_BYTES_MAX)))),
        (Flaw::LengthAndCoding, head("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n")),
        (Flaw::LengthAndCoding, head("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n")),
        (Flaw::RepeatedLength, head("Content-Length: 4\r\ncontent-length: 4\r\n")),
        (Flaw::RepeatedLength, head("Content-Length: 4\r\nContent-Length: 5\r\n")),
        (Flaw::Length, head("Content-Length: 4, 4\r\n")),
        (Flaw::Length, head("Content-Length: +4\r\n")),
        (Flaw::Length, head("Content-Length: -4\r\n")),
        (Flaw::Length, head("Content-Length: 4 4\r\n")),
        (Flaw::Length, head("Content-Length: 0x4\r\n")),
        (Flaw::Length, head("Content-Length: 04\r\n")),
        (Flaw::Length, head("Content-Length: 4.0\r\n")),
        (Flaw::Length, head("Content-Length: \r\n")),
        (Flaw::Length, head("Content-Length: 9999999999999999999\r\n")),
        (Flaw::Coding, head("Transfer-Encoding: gzip, chunked\r\n")),
        (Flaw::Coding, head("Transfer-Encoding: chunked, identity\r\n")),
        (Flaw::Coding, head("Transfer-Encoding: chunked,\r\n")),
        (Flaw::Coding, head("Transfer-Encoding: \"chunked\"\r\n")),
        (Flaw::Coding, head("Transfer-Encoding: chunked;q=1\r\n")),
        (Flaw::Coding, head("Transfer-Encoding: \r\n")),
        (Flaw::Coding, head("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")),
        (Flaw::CodingUnexpected, "POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned()),
    ] {
        assert_eq!(judged(Side::Requests, None, &bytes), Err(flaw), "{bytes:?}");
    }
    let chunked = head("Transfer-Encoding: chunked\r\n");
    for body in ["-1\r\n", "g\r\n", "\r\n", "1 \r\n", "0x1\r\n", "1000000000000000\r\n", "1,\r\n", "1\r\nab\r\n"] {
        assert_eq!(judged(Side::Requests, None, &format!("{chunked}{body}")), Err(Flaw::Chunk), "{body:?}");
    }
    for (flaw, body) in [
        (Flaw::BareLf, "1\na\r\n"),
        (Flaw::BareLf, "1;x=\ny\r\n"),
        (Flaw::Control, "1;\0\r\n"),
        (Flaw::Chunk, "1\r\na\n"),
        (Flaw::BareLf, "0\r\n\n"),
        (Flaw::Fold, "0\r\nX: y\r\n z\r\n"),
        (Flaw::SpacedName, "0\r\nX : y\r\n\r\n"),
        (Flaw::FieldName, "0\r\nGET / HTTP/1.1\r\n\r\n"),
        (Flaw::Control, "0\r\nX: \0\r\n\r\n"),
    ] {
        assert_eq!(judged(Side::Requests, None, &format!("{chunked}{body}")), Err(flaw), "{body:?}");
    }
}

#[test]
fn what_has_one_reading_passes() {
    for bytes in [
        "GET /a HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\nGET /a HTTP/1.0\r\n\r\n",
        "GET /a HTTP/1.1\r\nX:\r\nY: \t z \t\r\nZ: \u{e9}\r\n\r\n",
        "POST /a HTTP/1.1\r\nContent-Length:  4 \r\n\r\nabcdGET /b HTTP/1.1\r\n\r\n",
        "POST /a HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n4;x=\"y\"\r\na\n\0b\r\n0\r\nX: y\r\n\r\nGET /b HTTP/1.1\r\n\r\n",
    ] {
        assert_eq!(judged(Side::Requests, None, bytes), Ok(bytes.len()), "{bytes:?}");
    }
    // A head passes whole or not at all.
    assert_eq!(judged(Side::Requests, None, "GET /a HTTP/1.1\r\nHost: a\r\n"), Ok(0));
    // What follows a request to leave HTTP is whose it turns out to be.
    let upgrade = "GET /a HTTP/1.1\r\nUpgrade: websocket\r\n\r\n";
    assert_eq!(judged(Side::Requests, None, &format!("{upgrade}\0\n")), Ok(upgrade.len()));
}

#[test]
fn answers_to_the_letter() {
    use Expected::{Answer, AnswerToHead, Nothing, Upgrade};
    let surplus = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    for (expected, bytes, verdict) in [
        (Answer, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab", None),
        (Answer, "HTTP/1.0 200\r\n\r\nto the end\0", None),
        (Answer, "HTTP/1.1 404 \r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", None),
        (Answer, "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", None),
        (Answer, "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", None),
        (AnswerToHead, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", None),
        (AnswerToHead, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", None),
        (
            Answer,
            "HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 x\r\n\r\n",
            None,
        ),
        (Upgrade, "HTTP/1.1 101 x\r\nUpgrade: websocket\r\n\r\n\0\n\r", None),
        (Answer, "HTTP/1.1 101 x\r\nUpgrade: websocket\r\n\r\n", Some(Flaw::Switch)),
        (Nothing, surplus, Some(Flaw::Surplus)),
        (Nothing, "\r\n", Some(Flaw::Surplus)),
        (Answer, "HTTP/1.1 204 x\r\n\r\nHTTP/1.1 200 OK\r\n", Some(Flaw::Surplus)),
        (Answer, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab", Some(Flaw::Surplus)),
        (Answer, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n\r\n", Some(Flaw::Surplus)),
        (AnswerToHead, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", Some(Flaw::Surplus)),
        (Answer, "HTTP/1.1 100 x\r\n\r\nHTTP/1.1 100 x\r\n\r\n", Some(Flaw::Interim)),
        (Answer, "HTTP/1.1 100 x\r\nContent-Length: 0\r\n\r\n", Some(Flaw::LengthUnexpected)),
        (Answer, "HTTP/1.1 204 x\r\nContent-Length: 1\r\n\r\n", Some(Flaw::LengthUnexpected)),
        (Answer, "HTTP/1.1 204 x\r\nTransfer-Encoding: chunked\r\n\r\n", Some(Flaw::CodingUnexpected)),
        (Answer, "HTTP/1.0 200 x\r\nTransfer-Encoding: chunked\r\n\r\n", Some(Flaw::CodingUnexpected)),
        (Answer, "HTTP/1.1 200 x\r\nTransfer-Encoding: gzip\r\n\r\n", Some(Flaw::Coding)),
        (Answer, "HTTP/1.1 200 x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", Some(Flaw::RepeatedLength)),
        (
            Answer,
            "HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
            Some(Flaw::LengthAndCoding),
        ),
        (Answer, "HTTP/1.1 2000 OK\r\n", Some(Flaw::StatusLine)),
        (Answer, "HTTP/1.1 20 OK\r\n", Some(Flaw::StatusLine)),
        (Answer, "HTTP/1.1 099 OK\r\n", Some(Flaw::StatusLine)),
        (Answer, "HTTP/1.1 600 OK\r\n", Some(Flaw::StatusLine)),
        (Answer, "HTTP/1.1  200 OK\r\n", Some(Flaw::StatusLine)),
        (Answer, "HTTP/1.1\t200 OK\r\n", Some(Flaw::StatusLine)),
        (Answer, "HTTP/1.1 200\tOK\r\n", Some(Flaw::StatusLine)),
        (Answer, "HTTP/2.0 200 OK\r\n", Some(Flaw::StatusLine)),
        (Answer, "HTTP/1.2 200 OK\r\n", Some(Flaw::StatusLine)),
        (Answer, "\r\nHTTP/1.1 200 OK\r\n", Some(Flaw::StatusLine)),
        (Answer, "hello\r\n", Some(Flaw::StatusLine)),
        (Answer, "ICY 200 OK\r\n", Some(Flaw::StatusLine)),
        (Answer, "HTTP/1.1 200 OK\n", Some(Flaw::BareLf)),
        (Answer, "HTTP/1.1 200 O\0K\r\n", Some(Flaw::Control)),
        (Answer, "HTTP/1.1 200 OK\r\nX: y\r\n z\r\n", Some(Flaw::Fold)),
        (Answer, "HTTP/1.1 200 OK\r\nbad name: x\r\n", Some(Flaw::FieldName)),
        (Answer, "HTTP/1.1 200 OK\r\nX : y\r\n", Some(Flaw::SpacedName)),
    ] {
        let asked = Asked::default();
        asked.expect(expected);
        let found = judged(Side::Answers, Some(&asked), bytes);
        assert_eq!(found, verdict.map_or(Ok(bytes.len()), Err), "{expected:?} {bytes:?}");
    }
    let asked = Asked::default();
    asked.expect(Answer);
    let hints = "HTTP/1.1 103 x\r\n\r\n".repeat(bounds::INTERIM_ANSWERS_MAX + 1);
    assert_eq!(judged(Side::Answers, Some(&asked), &hints), Err(Flaw::Interim));
}

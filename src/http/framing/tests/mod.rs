//! The framing validator by table, by property, and beside hyper.

mod laws;
mod reference;

use super::*;

fn validate(side: MessageSide, pending: Option<&PendingResponse>, bytes: &str) -> Result<usize, FramingError> {
    let mut framing = FramingValidator::new(side);
    let verdict = framing.validate(bytes.as_bytes(), pending);
    verdict.error.map_or(Ok(verdict.pass), Err)
}

#[test]
fn each_request_with_two_readings_is_refused_with_its_own_error() {
    let head = |fields: &str| format!("POST /a HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    for (error, bytes) in [
        (FramingError::BareLf, "GET /a HTTP/1.1\n".to_owned()),
        (FramingError::BareLf, head("X: y\n")),
        (FramingError::BareLf, "GET /a HTTP/1.1\r\nHost: a\r\n\n".to_owned()),
        (FramingError::BareLf, "\nGET /a HTTP/1.1\r\n\r\n".to_owned()),
        (FramingError::BareCr, head("X: y\rZ: 1\r\n")),
        (FramingError::BareCr, "GET /a HTTP/1.1\rHost".to_owned()),
        (FramingError::Control, head("X: y\0\r\n")),
        (FramingError::Control, head("X: \x7f\r\n")),
        (FramingError::Control, head("X\x01: y\r\n")),
        (FramingError::Control, "\x16\x03\x01".to_owned()),
        (FramingError::RequestLine, "GET  /a HTTP/1.1\r\n".to_owned()),
        (FramingError::RequestLine, "GET /a b HTTP/1.1\r\n".to_owned()),
        (FramingError::RequestLine, "GET\t/a HTTP/1.1\r\n".to_owned()),
        (FramingError::RequestLine, "GET /a\r\n".to_owned()),
        (FramingError::RequestLine, "G(T /a HTTP/1.1\r\n".to_owned()),
        (FramingError::RequestLine, " GET /a HTTP/1.1\r\n".to_owned()),
        (FramingError::RequestLine, "\r\n\r\nGET /a HTTP/1.1\r\n".to_owned()),
        (FramingError::TargetBytes, "GET /\u{e9} HTTP/1.1\r\n".to_owned()),
        (FramingError::TargetBytes, "GET /a#b HTTP/1.1\r\n".to_owned()),
        (FramingError::TargetBytes, "GET /a<b HTTP/1.1\r\n".to_owned()),
        (FramingError::TargetForm, "GET ?a HTTP/1.1\r\n".to_owned()),
        (FramingError::TargetForm, "GET a/b HTTP/1.1\r\n".to_owned()),
        (FramingError::Version, "GET /a HTTP/1.2\r\n".to_owned()),
        (FramingError::Version, "GET /a HTTP/2.0\r\n".to_owned()),
        (FramingError::Version, "GET /a http/1.1\r\n".to_owned()),
        (FramingError::Version, "GET /a HTTP/1.10\r\n".to_owned()),
        (FramingError::Fold, head("X: y\r\n z\r\n")),
        (FramingError::Fold, "GET /a HTTP/1.1\r\n Host: a\r\n".to_owned()),
        (FramingError::FieldName, head("X\r\n")),
        (FramingError::FieldName, head(": x\r\n")),
        (FramingError::FieldName, head("X y: z\r\n")),
        (FramingError::FieldName, head("X(: z\r\n")),
        (FramingError::SpacedName, head("Content-Length : 4\r\n")),
        (FramingError::SpacedName, head("X\t: 4\r\n")),
        (FramingError::ManyFields, head(&"X: y\r\n".repeat(100))),
        (FramingError::LongHead, head(&format!("X: {}\r\n", "y".repeat(bounds::HEAD_BYTES_MAX)))),
        (FramingError::LengthAndCoding, head("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n")),
        (FramingError::LengthAndCoding, head("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n")),
        (FramingError::RepeatedLength, head("Content-Length: 4\r\ncontent-length: 4\r\n")),
        (FramingError::RepeatedLength, head("Content-Length: 4\r\nContent-Length: 5\r\n")),
        (FramingError::Length, head("Content-Length: 4, 4\r\n")),
        (FramingError::Length, head("Content-Length: +4\r\n")),
        (FramingError::Length, head("Content-Length: -4\r\n")),
        (FramingError::Length, head("Content-Length: 4 4\r\n")),
        (FramingError::Length, head("Content-Length: 0x4\r\n")),
        (FramingError::Length, head("Content-Length: 04\r\n")),
        (FramingError::Length, head("Content-Length: 4.0\r\n")),
        (FramingError::Length, head("Content-Length: \r\n")),
        (FramingError::Length, head("Content-Length: 9999999999999999999\r\n")),
        (FramingError::Coding, head("Transfer-Encoding: gzip, chunked\r\n")),
        (FramingError::Coding, head("Transfer-Encoding: chunked, identity\r\n")),
        (FramingError::Coding, head("Transfer-Encoding: chunked,\r\n")),
        (FramingError::Coding, head("Transfer-Encoding: \"chunked\"\r\n")),
        (FramingError::Coding, head("Transfer-Encoding: chunked;q=1\r\n")),
        (FramingError::Coding, head("Transfer-Encoding: \r\n")),
        (FramingError::Coding, head("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")),
        (FramingError::CodingUnexpected, "POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned()),
    ] {
        assert_eq!(validate(MessageSide::Request, None, &bytes), Err(error), "{bytes:?}");
    }
    let chunked = head("Transfer-Encoding: chunked\r\n");
    for body in ["-1\r\n", "g\r\n", "\r\n", "1 \r\n", "0x1\r\n", "1000000000000000\r\n", "1,\r\n", "1\r\nab\r\n"] {
        assert_eq!(
            validate(MessageSide::Request, None, &format!("{chunked}{body}")),
            Err(FramingError::Chunk),
            "{body:?}"
        );
    }
    for (error, body) in [
        (FramingError::BareLf, "1\na\r\n"),
        (FramingError::BareLf, "1;x=\ny\r\n"),
        (FramingError::Control, "1;\0\r\n"),
        (FramingError::Chunk, "1\r\na\n"),
        (FramingError::BareLf, "0\r\n\n"),
        (FramingError::Fold, "0\r\nX: y\r\n z\r\n"),
        (FramingError::SpacedName, "0\r\nX : y\r\n\r\n"),
        (FramingError::FieldName, "0\r\nGET / HTTP/1.1\r\n\r\n"),
        (FramingError::Control, "0\r\nX: \0\r\n\r\n"),
    ] {
        assert_eq!(validate(MessageSide::Request, None, &format!("{chunked}{body}")), Err(error), "{body:?}");
    }
}

#[test]
fn a_request_with_one_reading_passes() {
    for bytes in [
        "GET /a HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\nGET /a HTTP/1.0\r\n\r\n",
        "GET /a HTTP/1.1\r\nX:\r\nY: \t z \t\r\nZ: \u{e9}\r\n\r\n",
        "POST /a HTTP/1.1\r\nContent-Length:  4 \r\n\r\nabcdGET /b HTTP/1.1\r\n\r\n",
        "POST /a HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n4;x=\"y\"\r\na\n\0b\r\n0\r\nX: y\r\n\r\nGET /b HTTP/1.1\r\n\r\n",
    ] {
        assert_eq!(validate(MessageSide::Request, None, bytes), Ok(bytes.len()), "{bytes:?}");
    }
    // A head passes as a whole or not at all.
    assert_eq!(validate(MessageSide::Request, None, "GET /a HTTP/1.1\r\nHost: a\r\n"), Ok(0));
    // Bytes after a request for an upgrade belong to the new protocol or to the next request: the answer decides.
    let upgrade = "GET /a HTTP/1.1\r\nUpgrade: websocket\r\n\r\n";
    assert_eq!(validate(MessageSide::Request, None, &format!("{upgrade}\0\n")), Ok(upgrade.len()));
}

#[test]
fn responses_are_framed_as_rfc_9112_says() {
    use ExpectedResponse::{HeadResponse, Nothing, Response, Upgrade};
    let surplus = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    for (expected, bytes, verdict) in [
        (Response, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab", None),
        (Response, "HTTP/1.0 200\r\n\r\nto the end\0", None),
        (Response, "HTTP/1.1 404 \r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", None),
        (Response, "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", None),
        (Response, "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", None),
        (HeadResponse, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", None),
        (HeadResponse, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", None),
        (
            Response,
            "HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 x\r\n\r\n",
            None,
        ),
        (Upgrade, "HTTP/1.1 101 x\r\nUpgrade: websocket\r\n\r\n\0\n\r", None),
        (Response, "HTTP/1.1 101 x\r\nUpgrade: websocket\r\n\r\n", Some(FramingError::Switch)),
        (Nothing, surplus, Some(FramingError::Surplus)),
        (Nothing, "\r\n", Some(FramingError::Surplus)),
        (Response, "HTTP/1.1 204 x\r\n\r\nHTTP/1.1 200 OK\r\n", Some(FramingError::Surplus)),
        (Response, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab", Some(FramingError::Surplus)),
        (Response, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n\r\n", Some(FramingError::Surplus)),
        (HeadResponse, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", Some(FramingError::Surplus)),
        (Response, "HTTP/1.1 100 x\r\n\r\nHTTP/1.1 100 x\r\n\r\n", Some(FramingError::Interim)),
        (Response, "HTTP/1.1 100 x\r\nContent-Length: 0\r\n\r\n", Some(FramingError::LengthUnexpected)),
        (Response, "HTTP/1.1 204 x\r\nContent-Length: 1\r\n\r\n", Some(FramingError::LengthUnexpected)),
        (Response, "HTTP/1.1 204 x\r\nTransfer-Encoding: chunked\r\n\r\n", Some(FramingError::CodingUnexpected)),
        (Response, "HTTP/1.0 200 x\r\nTransfer-Encoding: chunked\r\n\r\n", Some(FramingError::CodingUnexpected)),
        (Response, "HTTP/1.1 200 x\r\nTransfer-Encoding: gzip\r\n\r\n", Some(FramingError::Coding)),
        (
            Response,
            "HTTP/1.1 200 x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
            Some(FramingError::RepeatedLength),
        ),
        (
            Response,
            "HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
            Some(FramingError::LengthAndCoding),
        ),
        (Response, "HTTP/1.1 2000 OK\r\n", Some(FramingError::StatusLine)),
        (Response, "HTTP/1.1 20 OK\r\n", Some(FramingError::StatusLine)),
        (Response, "HTTP/1.1 099 OK\r\n", Some(FramingError::StatusLine)),
        (Response, "HTTP/1.1 600 OK\r\n", Some(FramingError::StatusLine)),
        (Response, "HTTP/1.1  200 OK\r\n", Some(FramingError::StatusLine)),
        (Response, "HTTP/1.1\t200 OK\r\n", Some(FramingError::StatusLine)),
        (Response, "HTTP/1.1 200\tOK\r\n", Some(FramingError::StatusLine)),
        (Response, "HTTP/2.0 200 OK\r\n", Some(FramingError::StatusLine)),
        (Response, "HTTP/1.2 200 OK\r\n", Some(FramingError::StatusLine)),
        (Response, "\r\nHTTP/1.1 200 OK\r\n", Some(FramingError::StatusLine)),
        (Response, "hello\r\n", Some(FramingError::StatusLine)),
        (Response, "ICY 200 OK\r\n", Some(FramingError::StatusLine)),
        (Response, "HTTP/1.1 200 OK\n", Some(FramingError::BareLf)),
        (Response, "HTTP/1.1 200 O\0K\r\n", Some(FramingError::Control)),
        (Response, "HTTP/1.1 200 OK\r\nX: y\r\n z\r\n", Some(FramingError::Fold)),
        (Response, "HTTP/1.1 200 OK\r\nbad name: x\r\n", Some(FramingError::FieldName)),
        (Response, "HTTP/1.1 200 OK\r\nX : y\r\n", Some(FramingError::SpacedName)),
    ] {
        let pending = PendingResponse::default();
        pending.expect(expected);
        let found = validate(MessageSide::Response, Some(&pending), bytes);
        assert_eq!(found, verdict.map_or(Ok(bytes.len()), Err), "{expected:?} {bytes:?}");
    }
    let pending = PendingResponse::default();
    pending.expect(Response);
    let hints = "HTTP/1.1 103 x\r\n\r\n".repeat(bounds::INTERIM_ANSWERS_MAX + 1);
    assert_eq!(validate(MessageSide::Response, Some(&pending), &hints), Err(FramingError::Interim));
}

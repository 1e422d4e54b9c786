//! What may be sent, what may not, and that no split of the bytes changes what is read.

use proptest::prelude::*;

use super::*;

/// Whole messages, control frames, and why the reading ended.
type AllRead = (Vec<Vec<u8>>, Vec<(u8, Vec<u8>)>, Option<FrameError>);

/// Reads all, cut into pieces of these sizes in turn: the messages, the control frames, and the error.
fn read(side: WebSocketSide, bytes: &[u8], cuts: &[usize]) -> AllRead {
    let (mut reader, mut messages, mut controls, mut open) =
        (FrameReader::new(side), Vec::new(), Vec::new(), Vec::new());
    let (mut rest, mut cuts) = (bytes, cuts.iter().cycle());
    while !rest.is_empty() {
        let (mut piece, after) = rest.split_at((*cuts.next().unwrap_or(&usize::MAX)).clamp(1, rest.len()));
        rest = after;
        loop {
            match reader.read(&mut piece) {
                Ok(None) => break,
                Ok(Some(FramePart::Control(frame))) => controls.push((frame.opcode, frame.payload.to_vec())),
                Ok(Some(FramePart::Data { bytes, is_first, is_last, .. })) => {
                    assert!(open.is_empty() || !is_first, "a message begins once");
                    open.extend_from_slice(bytes);
                    if is_last {
                        messages.push(std::mem::take(&mut open));
                    }
                }
                Err(error) => return (messages, controls, Some(error)),
            }
        }
    }
    (messages, controls, None)
}

fn refused(side: WebSocketSide, bytes: &[u8]) -> Option<FrameError> {
    read(side, bytes, &[]).2
}

/// The example frames of section 5.7.
#[test]
fn the_examples_of_the_rfc() {
    let hello = |bytes: &[u8], side| assert_eq!(read(side, bytes, &[1]).0, [b"Hello"]);
    hello(b"\x81\x05Hello", WebSocketSide::Server);
    hello(b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", WebSocketSide::Client);
    hello(b"\x01\x03Hel\x80\x02lo", WebSocketSide::Server);
    let (messages, controls, error) = read(WebSocketSide::Server, b"\x01\x03Hel\x89\x05Hello\x80\x02lo", &[2]);
    assert_eq!((messages, controls, error), (vec![b"Hello".to_vec()], vec![(PING, b"Hello".to_vec())], None));
    for size in [256_u64, 65_536] {
        let mut bytes = if size == 256 { vec![0x82, 0x7e, 1, 0] } else { vec![0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0] };
        bytes.resize(bytes.len() + size as usize, 7);
        assert_eq!(read(WebSocketSide::Server, &bytes, &[999]).0[0].len() as u64, size);
    }
}

#[test]
fn what_the_rfc_forbids_is_refused() {
    for (what, bytes) in [
        ("a reserved bit", &b"\xc1\x00"[..]),
        ("an opcode of data", b"\x83\x00"),
        ("an opcode of control", b"\x8b\x00"),
        ("a continuation of nothing", b"\x80\x00"),
        ("a message within a message", b"\x01\x01a\x81\x01b"),
        ("a fragment of a ping", b"\x09\x00"),
        ("a long ping", b"\x89\x7e\x00\x80"),
        ("a mask", b"\x81\x80abcd"),
        ("126 in two bytes too many", b"\x81\x7e\x00\x7d"),
        ("65,535 in six bytes too many", b"\x81\x7f\x00\x00\x00\x00\x00\x00\xff\xff"),
        ("the highest bit of a length", b"\x81\x7f\x80\x00\x00\x00\x00\x00\x00\x00"),
        ("a close of one byte", b"\x88\x01\x03"),
        ("no status received", b"\x88\x02\x03\xed"),
        ("an abnormal closure", b"\x88\x02\x03\xee"),
        ("a code of nobody", b"\x88\x02\x00\x00"),
    ] {
        let error = refused(WebSocketSide::Server, bytes);
        assert!(matches!(error, Some(FrameError::Protocol(_))), "{what}: {error:?}");
    }
    assert!(matches!(refused(WebSocketSide::Client, b"\x81\x01a"), Some(FrameError::Protocol(_))));
    assert_eq!(refused(WebSocketSide::Server, b"\x88\x03\x03\xe8\xff"), Some(FrameError::NotUtf8));
    assert_eq!(refused(WebSocketSide::Server, b"\x82\x7f\x00\x00\x00\x00\x7f\xff\xff\xff"), Some(FrameError::TooLong));
    assert_eq!(refused(WebSocketSide::Server, b"\x88\x02\x03\xe8\xff\xff\xff"), None, "nothing follows a close");
}

proptest! {
    #[test]
    fn no_split_changes_what_is_read(
        frames in prop::collection::vec((0_u8..6, any::<bool>(), prop::collection::vec(any::<u8>(), 0..300)), 0..12),
        cuts in prop::collection::vec(1_usize..40, 1..8),
        is_client in any::<bool>(),
    ) {
        let side = if is_client { WebSocketSide::Client } else { WebSocketSide::Server };
        let mut bytes = Vec::new();
        for (kind, is_final, payload) in &frames {
            let opcode = [CONTINUATION, TEXT, BINARY, PING, PONG, CONTINUATION][usize::from(*kind)];
            FrameWriter::new(side).frame(opcode, *is_final, payload, &mut bytes);
        }
        prop_assert_eq!(read(side, &bytes, &cuts), read(side, &bytes, &[]));
    }

    #[test]
    fn what_is_written_is_read_back(
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..70_000), 1..4),
        is_client in any::<bool>(),
    ) {
        let side = if is_client { WebSocketSide::Client } else { WebSocketSide::Server };
        let mut bytes = Vec::new();
        for (i, piece) in pieces.iter().enumerate() {
            FrameWriter::new(side).text(piece, i == 0, i + 1 == pieces.len(), &mut bytes);
        }
        FrameWriter::new(side).close(1000, &mut bytes);
        let (messages, controls, error) = read(side, &bytes, &[7000]);
        prop_assert_eq!((messages, controls, error), (vec![pieces.concat()], vec![(CLOSE, vec![3, 232])], None));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), cuts in prop::collection::vec(1_usize..9, 1..4)) {
        prop_assert_eq!(read(WebSocketSide::Server, &bytes, &cuts), read(WebSocketSide::Server, &bytes, &[]));
    }
}

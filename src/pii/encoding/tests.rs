//! Each coding against an encoder that is not ours, and what must be refused.

use super::*;
use crate::pii::testing::{self, RecordingObserver, feed_chunks};
use proptest::prelude::*;
use std::io::Write;

const ALL: [ContentCoding; 4] =
    [ContentCoding::Gzip, ContentCoding::Deflate, ContentCoding::Brotli, ContentCoding::Zstd];

/// 40 lines of [`LINE`], as the reference tools `brotli` 1.1 and `zstd` 1.5 compress them.
const BROTLI: &str = "1b5f04888dc43816f14671226a0511b13dad03f4d6a707a1a496caa44f4a900b08563a79bbff29";
const ZSTD: &str = "28b52ffd0458250100e07b22656d61696c223a22626f62406578616d706c652e636f6d227d0a010004f1ff74027e6ea163";
const LINE: &str = "{\"email\":\"bob@example.com\"}\n";
/// 4 MiB of zeros, by `brotli` 1.1.
const BROTLI_BOMB: &str = "9bffff3f002400e2b14072ef7f00";

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn coded(coding: ContentCoding, body: &[u8]) -> Vec<u8> {
    match coding {
        ContentCoding::Gzip => {
            let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            to.write_all(body).and_then(|()| to.finish()).unwrap()
        }
        ContentCoding::Deflate => {
            let mut to = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
            to.write_all(body).and_then(|()| to.finish()).unwrap()
        }
        ContentCoding::Brotli => unhex(BROTLI),
        ContentCoding::Zstd => ruzstd::encoding::compress_to_vec(body, ruzstd::encoding::CompressionLevel::Fastest),
    }
}

/// Lets everything pass.
struct Through;

impl Rewriter for Through {
    fn feed(&mut self, input: &[u8], _: &mut dyn RewriteObserver, out: &mut Vec<u8>) -> RewriteResult {
        out.extend_from_slice(input);
        Ok(())
    }

    fn finish(&mut self, _: &mut dyn RewriteObserver, _: &mut Vec<u8>) -> RewriteResult {
        Ok(())
    }
}

fn decode(coding: ContentCoding, chunks: &[&[u8]]) -> (Vec<u8>, RewriteResult) {
    let (out, _, end) =
        feed_chunks(&mut DecodingRewriter::new(coding, Through), RecordingObserver::default(), chunks.iter().copied());
    (out, end)
}

#[test]
fn every_coding_is_decoded_at_every_split() {
    let text = LINE.repeat(40);
    for coding in ALL {
        assert_eq!(testing::output_text(|| DecodingRewriter::new(coding, Through), ""), "", "an empty body stays one");
        let (out, _, end) =
            testing::feed_at_every_split(|| DecodingRewriter::new(coding, Through), &coded(coding, text.as_bytes()));
        assert_eq!((String::from_utf8(out).unwrap(), end), (text.clone(), Ok(())), "{coding:?}");
    }
    let (out, end) = decode(ContentCoding::Zstd, &[&unhex(ZSTD)]);
    assert_eq!((out, end), (text.clone().into_bytes(), Ok(())), "as the reference tool compresses");
}

#[test]
fn a_body_may_have_several_members_or_frames() {
    for coding in [ContentCoding::Gzip, ContentCoding::Zstd] {
        let twice = [coded(coding, b"one,"), coded(coding, b"two")].concat();
        let (out, _, end) = testing::feed_at_every_split(|| DecodingRewriter::new(coding, Through), &twice);
        assert_eq!((out.as_slice(), end), (&b"one,two"[..], Ok(())), "{coding:?}");
    }
}

#[test]
fn a_body_that_is_truncated_or_has_bytes_after_its_end_is_refused() {
    for coding in ALL {
        let body = coded(coding, LINE.repeat(40).as_bytes());
        for end in 1..body.len() {
            assert!(decode(coding, &[&body[..end]]).1.is_err(), "{coding:?} cut at {end}");
        }
        let late = [&body[..], b"x"].concat();
        assert!(decode(coding, &[&late]).1.is_err(), "{coding:?} with a byte behind");
        assert!(decode(coding, &[LINE.as_bytes()]).1.is_err(), "{coding:?}: text is no coded body");
    }
    let raw_deflate = &coded(ContentCoding::Deflate, b"text")[2..];
    assert!(decode(ContentCoding::Deflate, &[raw_deflate]).1.is_err(), "without its zlib header");
}

#[test]
fn a_zip_bomb_is_refused_at_the_bound_on_the_ratio() {
    let zeros = vec![0; 8 << 20];
    let block = [[2, 0, 16].as_slice(), &[0]].concat();
    let zstd = [&[0x28, 0xb5, 0x2f, 0xfd, 0, 0x58][..], &block.repeat(2000)].concat();
    for (coding, body) in [
        (ContentCoding::Gzip, coded(ContentCoding::Gzip, &zeros)),
        (ContentCoding::Deflate, coded(ContentCoding::Deflate, &zeros)),
        (ContentCoding::Brotli, unhex(BROTLI_BOMB)),
        (ContentCoding::Zstd, zstd),
    ] {
        for chunks in [body.chunks(body.len()).collect::<Vec<_>>(), body.chunks(100).collect()] {
            let (out, end) = decode(coding, &chunks);
            assert_eq!(
                end,
                Err(RewriteError::Bound { bound: "a body's compression", limit: DECODED_RATIO_MAX }),
                "{coding:?}"
            );
            assert!(out.len() as u64 <= DECODED_BYTES_FREE + DECODED_RATIO_MAX * body.len() as u64);
        }
    }
}

#[test]
fn a_zstd_window_and_dictionary_are_refused_before_memory_is_taken() {
    for (head, what) in [
        (&[0x00, 0x70][..], "a zstd body with too large a window"),
        (&[0x00, 0xf8][..], "a zstd body with too large a window"),
        (&[0xe0, 0, 0, 0, 0, 1, 0, 0, 0][..], "a zstd body with too large a window"),
        (&[0x01, 0x58, 7][..], "a zstd body with a dictionary"),
    ] {
        let body = [&[0x28, 0xb5, 0x2f, 0xfd], head, &[0; 8]].concat();
        assert!(
            matches!(decode(ContentCoding::Zstd, &[&body]).1, Err(RewriteError::Malformed { what: said, .. }) if said == what)
        );
    }
    let skippable = [0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 0];
    assert!(decode(ContentCoding::Zstd, &[&skippable]).1.is_err());
}

#[test]
fn a_zstd_body_with_a_wrong_checksum_is_refused() {
    let good = unhex(ZSTD);
    assert_eq!(good[4] & 4, 4, "the example has a checksum");
    let mut bad = good.clone();
    bad[good.len() - 1] ^= 1;
    for size in [1, 7, good.len()] {
        assert_eq!(decode(ContentCoding::Zstd, &good.chunks(size).collect::<Vec<_>>()).1, Ok(()));
        let ended = decode(ContentCoding::Zstd, &bad.chunks(size).collect::<Vec<_>>()).1;
        assert!(matches!(ended, Err(RewriteError::Malformed { what, .. }) if what.contains("checksum")), "{ended:?}");
    }
}

#[test]
fn only_one_known_coding_is_read() {
    for (value, coding) in [
        ("gzip", Some(ContentCoding::Gzip)),
        (" X-GZIP", Some(ContentCoding::Gzip)),
        ("deflate", Some(ContentCoding::Deflate)),
        ("br", Some(ContentCoding::Brotli)),
        ("zstd", Some(ContentCoding::Zstd)),
        ("identity", None),
        ("", None),
    ] {
        assert_eq!(ContentCoding::parse(value), Ok(coding), "{value}");
    }
    for value in ["gzip, gzip", "gzip,", "compress", "aes128gcm", "gzip;q=1"] {
        assert!(matches!(ContentCoding::parse(value), Err(RewriteError::Opaque { .. })), "{value}");
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(coding in 0..4_usize, body in prop::collection::vec(any::<u8>(), 0..200), at in 0..60_usize, bits in any::<u8>()) {
        let (_, noise) = decode(ALL[coding], &[&body]);
        prop_assert!(noise.is_ok() || !body.is_empty());
        let mut body = coded(ALL[coding], LINE.repeat(40).as_bytes());
        let at = at % body.len();
        body[at] ^= bits;
        let (whole, end) = decode(ALL[coding], &[&body]);
        let (split, split_end) = decode(ALL[coding], &[&body[..at], &body[at..]]);
        prop_assert_eq!(end.is_ok(), split_end.is_ok());
        prop_assert!(whole.starts_with(&split) || split.starts_with(&whole));
    }
}

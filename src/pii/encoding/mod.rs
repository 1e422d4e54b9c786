//! Content codings (RFC 9110, section 8.4.1): a compressed body is decoded before an engine reads it.
//!
//! The treated body leaves without a coding. Only one coding may be applied; the decoded length is bounded, and so is
//! its ratio to the length that was received. Never holds more than a decoder's window and one buffer, and never
//! takes a truncated body for a complete one.

mod decoder;
mod zstd;

use super::{RewriteError, RewriteObserver, RewriteResult, Rewriter};
use crate::bounds::{DECODED_BYTES_FREE, DECODED_BYTES_MAX, DECODED_RATIO_MAX};
use decoder::PushDecoder;

/// Bytes that are decoded at a time, before the inner rewriter reads them.
const BUFFER_BYTES: usize = 16 * 1024;

/// A content coding that can be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ContentCoding {
    /// RFC 1952; one or more members.
    Gzip,
    /// RFC 1950, the zlib format; an RFC 1951 stream without the zlib header is refused.
    Deflate,
    /// RFC 7932, without the large-window extension.
    Brotli,
    /// RFC 8878, within the window of RFC 9659 and without a dictionary.
    Zstd,
}

impl ContentCoding {
    /// Reads a `Content-Encoding`; `None` is identity.
    ///
    /// # Errors
    /// [`RewriteError::Opaque`] for a coding that is not known, and for more than one.
    pub fn parse(value: &str) -> RewriteResult<Option<Self>> {
        let known = [
            ("gzip", Some(Self::Gzip)),
            ("x-gzip", Some(Self::Gzip)),
            ("deflate", Some(Self::Deflate)),
            ("br", Some(Self::Brotli)),
            ("zstd", Some(Self::Zstd)),
            ("identity", None),
            ("", None),
        ];
        let same = |&(name, _): &(&str, _)| value.trim_matches([' ', '\t']).eq_ignore_ascii_case(name);
        known
            .into_iter()
            .find(same)
            .map(|(_, coding)| coding)
            .ok_or(RewriteError::Opaque { what: "the content coding" })
    }
}

/// Decodes a body, and hands it to the inner rewriter.
pub struct DecodingRewriter<R> {
    decoder: Box<dyn PushDecoder>,
    inner: R,
    buffer: Box<[u8]>,
    taken: u64,
    given: u64,
}

impl<R: Rewriter> DecodingRewriter<R> {
    /// A rewriter for one body of this coding.
    pub fn new(coding: ContentCoding, inner: R) -> Self {
        Self {
            decoder: decoder::of(coding),
            inner,
            buffer: vec![0; BUFFER_BYTES].into_boxed_slice(),
            taken: 0,
            given: 0,
        }
    }

    fn check_bounds(&self) -> RewriteResult {
        if self.given > DECODED_BYTES_MAX {
            return Err(RewriteError::Bound { bound: "a decoded body", limit: DECODED_BYTES_MAX });
        }
        if self.given > DECODED_BYTES_FREE && self.given / DECODED_RATIO_MAX > self.taken {
            return Err(RewriteError::Bound { bound: "a body's compression", limit: DECODED_RATIO_MAX });
        }
        Ok(())
    }
}

impl<R> std::fmt::Debug for DecodingRewriter<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoding").field("taken", &self.taken).field("given", &self.given).finish_non_exhaustive()
    }
}

impl<R: Rewriter> Rewriter for DecodingRewriter<R> {
    fn feed(&mut self, mut input: &[u8], observer: &mut dyn RewriteObserver, out: &mut Vec<u8>) -> RewriteResult {
        if input.is_empty() {
            return Ok(());
        }
        loop {
            let before = input.len();
            let given = self.decoder.step(&mut input, &mut self.buffer);
            let given = given.map_err(|what| RewriteError::Malformed { what, at: self.taken })?;
            let taken = before - input.len();
            self.taken += taken as u64;
            self.given += given as u64;
            self.check_bounds()?;
            if given > 0 {
                self.inner.feed(&self.buffer[..given], observer, out)?;
            }
            if given == 0 && taken == 0 {
                return match input {
                    [] => Ok(()),
                    _ => Err(RewriteError::Malformed { what: "bytes that no decoder takes", at: self.taken }),
                };
            }
        }
    }

    fn finish(&mut self, observer: &mut dyn RewriteObserver, out: &mut Vec<u8>) -> RewriteResult {
        if self.taken > 0 && !self.decoder.is_done() {
            return Err(RewriteError::Malformed { what: "a compressed body that ends early", at: self.taken });
        }
        self.inner.finish(observer, out)
    }
}

#[cfg(test)]
mod tests;

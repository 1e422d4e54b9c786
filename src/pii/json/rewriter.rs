//! The streaming treatment of one JSON document.

use std::sync::Arc;

use crate::pii::{DeferredBatch, RewriteError, RewriteObserver, RewriteResult, Rewriter, Transform};

use super::{
    exact::{ExactReader, JsonContext, JsonState, Utf8Carry},
    fast::{self, JsonEngine},
    matcher::Matcher,
};

/// Bytes that are checked to be UTF-8 at a time: few enough to be still in the nearest cache when they are read again.
const UTF8_CHECK_BYTES: usize = 24 * 1024;

const NOT_UTF8: &str = "expected UTF-8";

/// Treats one JSON document, or with [`JsonRewriter::reset`] one after the other.
///
/// Takes about two kilobytes, besides the value, key and space that are open.
pub struct JsonRewriter {
    matcher: Arc<Matcher>,
    transform: Arc<dyn Transform>,
    engine: JsonEngine,
    state: JsonState,
    carry: Utf8Carry,
    batch: DeferredBatch,
}

impl std::fmt::Debug for JsonRewriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "JsonRewriter(at byte {})", self.state.offset())
    }
}

impl JsonRewriter {
    /// A rewriter before the first byte. `transform` must drop the same rules as the one that the matcher was compiled
    /// with.
    pub fn new(matcher: Arc<Matcher>, transform: Arc<dyn Transform>) -> Self {
        Self::with_engine(matcher, transform, JsonEngine::fastest())
    }

    /// As [`Self::new`], with a given engine.
    pub fn with_engine(matcher: Arc<Matcher>, transform: Arc<dyn Transform>, engine: JsonEngine) -> Self {
        let state = JsonState::new(matcher.start);
        Self { matcher, transform, engine, state, carry: Utf8Carry::default(), batch: DeferredBatch::default() }
    }

    /// Goes back to before the first byte, for the next document of a sequence. Buffers are kept.
    pub fn reset(&mut self) {
        self.state.reset(self.matcher.start);
        self.carry = Utf8Carry::default();
    }

    /// Lets `act` work with `out`. Deferred values are completed before this returns, also when `act` fails.
    fn with_context(
        &mut self,
        observer: &mut dyn RewriteObserver,
        out: &mut Vec<u8>,
        act: impl FnOnce(&mut JsonState, &mut Utf8Carry, &mut JsonContext<'_>) -> RewriteResult,
    ) -> RewriteResult {
        let mut context = JsonContext {
            engine: self.engine,
            matcher: &self.matcher,
            transform: &*self.transform,
            observer,
            out: &mut *out,
            batch: &mut self.batch,
        };
        let done = act(&mut self.state, &mut self.carry, &mut context);
        self.transform.complete_deferred(&mut self.batch, out);
        done
    }
}

impl Rewriter for JsonRewriter {
    fn feed(&mut self, input: &[u8], observer: &mut dyn RewriteObserver, out: &mut Vec<u8>) -> RewriteResult {
        self.with_context(observer, out, |state, carry, context| {
            input.chunks(UTF8_CHECK_BYTES).try_for_each(|bytes| read_bytes(state, carry, context, bytes))
        })
    }

    fn finish(&mut self, observer: &mut dyn RewriteObserver, out: &mut Vec<u8>) -> RewriteResult {
        self.with_context(observer, out, |state, carry, context| {
            if carry.is_open() {
                return Err(not_utf8(state));
            }
            ExactReader::new(state, context, &[]).end_document()
        })
    }
}

/// Reads the whole characters among these bytes, and carries the start of one that is cut.
fn read_bytes(
    state: &mut JsonState,
    carry: &mut Utf8Carry,
    context: &mut JsonContext<'_>,
    bytes: &[u8],
) -> RewriteResult {
    let (character, taken) = carry.complete(bytes);
    match character {
        Some(Ok(character)) => read_chunk(state, context, character.as_slice())?,
        Some(Err(())) => return Err(not_utf8(state)),
        None => {}
    }
    if carry.is_open() {
        return Ok(());
    }
    let rest = &bytes[taken..];
    let checked = carry.check(rest);
    read_chunk(state, context, &rest[..checked.good])?;
    if checked.bad { Err(not_utf8(state)) } else { Ok(()) }
}

/// Reads a chunk of whole characters: by the fast path, unless every key must be read.
fn read_chunk(state: &mut JsonState, context: &mut JsonContext<'_>, chunk: &[u8]) -> RewriteResult {
    let is_exact = context.engine == JsonEngine::BYTES;
    let mut reader = ExactReader::new(state, context, chunk);
    let read = if is_exact || reader.needs_every_key() {
        reader.read_to(chunk.len())
    } else {
        fast::read_to(&mut reader, chunk.len())
    };
    reader.end_chunk().and(read)
}

fn not_utf8(state: &JsonState) -> RewriteError {
    RewriteError::Malformed { what: NOT_UTF8, at: state.offset() }
}

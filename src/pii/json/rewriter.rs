//! The streaming treatment of one JSON document.

use std::sync::Arc;

use crate::pii::{DeferredBatch, RewriteError, RewriteObserver, Rewriter, Transform};

use super::{
    engine::{ExactReader, JsonContext},
    machine::JsonState,
    matcher::Matcher,
    simd::JsonEngine,
    utf8::Utf8Carry,
};

/// Treats one JSON document, or with [`JsonRewriter::reset`] one after the other.
///
/// Takes about two kilobytes, besides the value, key and space that are open.
pub struct JsonRewriter {
    matcher: Arc<Matcher>,
    treat: Arc<dyn Transform>,
    engine: JsonEngine,
    machine: JsonState,
    carry: Utf8Carry,
    batch: DeferredBatch,
}

impl std::fmt::Debug for JsonRewriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "JsonRewriter(at byte {})", self.machine.at)
    }
}

impl JsonRewriter {
    /// A rewriter before the first byte. `treat` must be the one, or agree with the one, that the matcher was compiled with.
    pub fn new(matcher: Arc<Matcher>, treat: Arc<dyn Transform>) -> Self {
        Self::with_engine(matcher, treat, JsonEngine::fastest())
    }

    /// The same, with the engine of one's choice.
    pub fn with_engine(matcher: Arc<Matcher>, treat: Arc<dyn Transform>, engine: JsonEngine) -> Self {
        let machine = JsonState::new(matcher.start);
        Self { matcher, treat, engine, machine, carry: Utf8Carry::default(), batch: DeferredBatch::default() }
    }

    /// Back to before the first byte, for the next document of a sequence. Buffers are kept.
    pub fn reset(&mut self) {
        self.machine.reset(self.matcher.start);
        self.carry = Utf8Carry::default();
    }

    /// Lets `act` work at a desk over `out`. What it leaves there to be done is settled before this returns, also when it stops.
    fn with_context(
        &mut self,
        observer: &mut dyn RewriteObserver,
        out: &mut Vec<u8>,
        act: impl FnOnce(&mut JsonState, &mut Utf8Carry, &mut JsonContext<'_>) -> Result<(), RewriteError>,
    ) -> Result<(), RewriteError> {
        let mut desk = JsonContext {
            engine: self.engine,
            matcher: &self.matcher,
            treat: &*self.treat,
            observer,
            out: &mut *out,
            batch: &mut self.batch,
        };
        let done = act(&mut self.machine, &mut self.carry, &mut desk);
        self.treat.complete_deferred(&mut self.batch, out);
        done
    }
}

impl Rewriter for JsonRewriter {
    fn feed(
        &mut self,
        input: &[u8],
        observer: &mut dyn RewriteObserver,
        out: &mut Vec<u8>,
    ) -> Result<(), RewriteError> {
        self.with_context(observer, out, |machine, carry, desk| {
            for input in input.chunks(PIECE) {
                let (character, taken) = carry.complete(input);
                let at = machine.at;
                match character {
                    Some(Ok(character)) => ExactReader::feed(machine, desk, character.as_slice())?,
                    Some(Err(())) => return Err(RewriteError::Malformed { what: NOT_UTF8, at }),
                    None => {}
                }
                if carry.is_open() {
                    continue;
                }
                let rest = &input[taken..];
                let checked = carry.check(rest);
                ExactReader::feed(machine, desk, &rest[..checked.good])?;
                if checked.bad {
                    return Err(RewriteError::Malformed { what: NOT_UTF8, at: machine.at });
                }
            }
            Ok(())
        })
    }

    fn finish(&mut self, observer: &mut dyn RewriteObserver, out: &mut Vec<u8>) -> Result<(), RewriteError> {
        self.with_context(observer, out, |machine, carry, desk| {
            if carry.is_open() {
                return Err(RewriteError::Malformed { what: NOT_UTF8, at: machine.at });
            }
            ExactReader::finish(machine, desk)
        })
    }
}

/// Bytes found to be UTF-8 at a time, so that they are still in the nearest cache when they are read again.
const PIECE: usize = 24 * 1024;

const NOT_UTF8: &str = "expected UTF-8";

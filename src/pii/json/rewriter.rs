//! The streaming treatment of one JSON document.

use std::sync::Arc;

use crate::pii::{Batch, Rewriter, Stop, Treat, Watch};

use super::{
    engine::{Desk, Run},
    machine::Machine,
    matcher::Matcher,
    simd::Engine,
    utf8::Carry,
};

/// Treats one JSON document, or with [`JsonRewriter::reset`] one after the other.
///
/// Takes about two kilobytes, besides the value, key and space that are open.
pub struct JsonRewriter {
    matcher: Arc<Matcher>,
    treat: Arc<dyn Treat>,
    engine: Engine,
    machine: Machine,
    carry: Carry,
    batch: Batch,
}

impl std::fmt::Debug for JsonRewriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "JsonRewriter(at byte {})", self.machine.at)
    }
}

impl JsonRewriter {
    /// A rewriter before the first byte. `treat` must be the one, or agree with the one, that the matcher was compiled with.
    pub fn new(matcher: Arc<Matcher>, treat: Arc<dyn Treat>) -> Self {
        Self::with_engine(matcher, treat, Engine::fastest())
    }

    /// The same, with the engine of one's choice.
    pub fn with_engine(matcher: Arc<Matcher>, treat: Arc<dyn Treat>, engine: Engine) -> Self {
        let machine = Machine::new(matcher.start);
        Self { matcher, treat, engine, machine, carry: Carry::default(), batch: Batch::default() }
    }

    /// Back to before the first byte, for the next document of a sequence. Buffers are kept.
    pub fn reset(&mut self) {
        self.machine.reset(self.matcher.start);
        self.carry = Carry::default();
    }

    /// Lets `act` work at a desk over `out`. What it leaves there to be done is settled before this returns, also when it stops.
    fn at_desk(
        &mut self,
        watch: &mut dyn Watch,
        out: &mut Vec<u8>,
        act: impl FnOnce(&mut Machine, &mut Carry, &mut Desk<'_>) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        let mut desk = Desk {
            engine: self.engine,
            matcher: &self.matcher,
            treat: &*self.treat,
            watch,
            out: &mut *out,
            batch: &mut self.batch,
        };
        let done = act(&mut self.machine, &mut self.carry, &mut desk);
        self.treat.settle(&mut self.batch, out);
        done
    }
}

impl Rewriter for JsonRewriter {
    fn feed(&mut self, input: &[u8], watch: &mut dyn Watch, out: &mut Vec<u8>) -> Result<(), Stop> {
        self.at_desk(watch, out, |machine, carry, desk| {
            for input in input.chunks(PIECE) {
                let (character, taken) = carry.complete(input);
                let at = machine.at;
                match character {
                    Some(Ok(character)) => Run::feed(machine, desk, character.as_slice())?,
                    Some(Err(())) => return Err(Stop::Malformed { what: NOT_UTF8, at }),
                    None => {}
                }
                if carry.is_open() {
                    continue;
                }
                let rest = &input[taken..];
                let checked = carry.check(rest);
                Run::feed(machine, desk, &rest[..checked.good])?;
                if checked.bad {
                    return Err(Stop::Malformed { what: NOT_UTF8, at: machine.at });
                }
            }
            Ok(())
        })
    }

    fn finish(&mut self, watch: &mut dyn Watch, out: &mut Vec<u8>) -> Result<(), Stop> {
        self.at_desk(watch, out, |machine, carry, desk| {
            if carry.is_open() {
                return Err(Stop::Malformed { what: NOT_UTF8, at: machine.at });
            }
            Run::finish(machine, desk)
        })
    }
}

/// Bytes found to be UTF-8 at a time, so that they are still in the nearest cache when they are read again.
const PIECE: usize = 24 * 1024;

const NOT_UTF8: &str = "expected UTF-8";

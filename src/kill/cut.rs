//! Severing without a kill: what is in flight ends, what is new is judged by other rules.
//!
//! For a budget whose contract says `over: sever`. Leaves nothing behind: not on the line, not in the store.

use std::sync::Arc;

use super::latch::Latch;
use super::{Evidence, GATEWAY, Kill, Line, Origin, Reach};

impl Line {
    /// Severs all that the vendor has in flight, in both directions; returns how many had not been severed before.
    ///
    /// Never waits, so the hot path may call it.
    pub fn cut(&self, evidence: Evidence) -> u64 {
        let kill = Kill {
            generation: 0,
            reach: Reach::default(),
            everything: false,
            at: evidence.at,
            by: GATEWAY.to_owned(),
            reason: evidence.kind.clone(),
            origin: Origin::Trip,
            evidence: vec![evidence],
            more_evidence: 0,
        };
        self.sever(&Arc::new(kill), &Latch::new())
    }
}

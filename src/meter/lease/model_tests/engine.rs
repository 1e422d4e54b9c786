//! The engine of the model: what `fleet/leases.lua` does, in plain steps, with every fault that an engine can have.

use std::collections::{BTreeMap, HashMap};

use crate::bounds;
use crate::meter::lease::messages::{LeaseAsk, ToldUse};
use crate::meter::lease::terms::millis;
use crate::meter::lease::{FleetTime, LeaseCall, LeaseGrant, LeaseReply};

/// How long an engine may hear nobody before it takes its memory, or its clock, for lost.
const SILENCE_MS: u64 = 5_000;
const MEMBER_MS: u64 = 12_000;
const KEPT_MS: u64 = 15_000;

/// What is lost or restored as a whole.
#[derive(Debug, Clone, Default)]
pub(super) struct EngineMemory {
    run: u64,
    epoch: String,
    since_ms: u64,
    last_ms: u64,
    offset_ms: i64,
    needed: u64,
    /// Whether every gateway that was needed has told all.
    is_whole: bool,
    members: HashMap<String, Member>,
    limits: HashMap<String, Limit>,
}

#[derive(Debug, Clone, Default)]
struct Member {
    told: String,
    is_old: bool,
    seen_ms: u64,
}

#[derive(Debug, Clone, Default)]
struct Limit {
    used: BTreeMap<u64, i64>,
    own: HashMap<(String, u64), (u64, u64)>,
    /// The latest that gateways knew of all others before the memory was lost.
    told: Option<ToldUse>,
}

#[derive(Debug, Default)]
pub(super) struct ModelEngine {
    /// Another one in each process.
    pub(super) run: u64,
    pub(super) memory: EngineMemory,
    /// How far the machine's clock is from the true time.
    pub(super) clock_ms: i64,
}

impl ModelEngine {
    pub(super) fn call(&mut self, call: &LeaseCall, true_ms: u64) -> LeaseReply {
        let now_ms = self.begin(call, u64::try_from(i64::try_from(true_ms).unwrap() + self.clock_ms).unwrap());
        let memory = &mut self.memory;
        let member = memory.members.entry(call.gateway.to_string()).or_default();
        if member.told != memory.epoch {
            member.is_old = call.nodes > 0;
            memory.needed = memory.needed.max(call.nodes);
        }
        if call.told == memory.epoch {
            member.told.clone_from(&memory.epoch);
        }
        member.seen_ms = now_ms;
        let told = memory.members.values().filter(|m| m.told == memory.epoch && m.is_old).count() as u64;
        let nodes = memory.members.values().filter(|m| m.seen_ms + MEMBER_MS > now_ms).count() as u64;
        let age_ms = now_ms - memory.since_ms;
        let is_early = age_ms < millis(bounds::LEASE_RECOVERY_MIN);
        memory.is_whole |= !is_early && told >= memory.needed;
        let is_whole = memory.is_whole;
        let is_recovering = |patience_ms: u64| !is_whole && (is_early || age_ms < patience_ms);
        let gateway = call.gateway.to_string();
        let grants = call.asks.iter().map(|ask| {
            let limit = memory.limits.entry(ask.name.to_string()).or_default();
            limit.grant(ask, &gateway, now_ms, is_recovering(ask.patience_ms))
        });
        let grants = grants.collect();
        let time = FleetTime { epoch: memory.epoch.clone(), now_ms, nodes, is_recovering: is_recovering(0) };
        LeaseReply { time, grants }
    }

    /// Begins a call: the fleet's time, and another epoch where memory may be lost.
    fn begin(&mut self, call: &LeaseCall, clock_ms: u64) -> u64 {
        let memory = &mut self.memory;
        let mut now_ms = clock_ms.saturating_add_signed(memory.offset_ms);
        let is_lost = memory.run != self.run || now_ms > memory.last_ms + SILENCE_MS;
        let expects_ms = if is_lost { call.expects_ms } else { 0 };
        let wanted_ms = if expects_ms > 0 { expects_ms } else { now_ms }.max(memory.last_ms);
        memory.offset_ms += i64::try_from(wanted_ms).unwrap() - i64::try_from(now_ms).unwrap();
        now_ms = wanted_ms;
        if is_lost {
            (memory.run, memory.since_ms, memory.needed, memory.is_whole) = (self.run, now_ms, 0, false);
            memory.epoch = format!("{}:{now_ms}", self.run);
        }
        memory.last_ms = now_ms;
        now_ms
    }
}

impl Limit {
    fn grant(&mut self, ask: &LeaseAsk, gateway: &str, now_ms: u64, is_recovering: bool) -> LeaseGrant {
        for figure in &ask.figures {
            let own = self.own.entry((gateway.to_owned(), figure.slot)).or_default();
            let known = *own;
            *own = (known.0.max(figure.granted), known.1.max(figure.returned));
            *self.used.entry(figure.slot).or_default() += signed(own.0 - known.0) - signed(own.1 - known.1);
        }
        let kept_from = now_ms.saturating_sub(ask.span_ms + KEPT_MS.min(ask.span_ms));
        self.used.retain(|slot, _| *slot >= kept_from);
        self.own.retain(|(_, slot), _| *slot >= kept_from);
        if is_recovering {
            self.told = [self.told, ask.told].into_iter().flatten().max_by_key(|told| told.at_ms);
        } else if let Some(told) = self.told.take() {
            // What nobody has told anew was used by gateways that are gone.
            let known = self.used_at(told.at_ms, ask.span_ms);
            *self.used.entry(told.at_ms - told.at_ms % ask.slot_ms).or_default() += (signed(told.used) - known).max(0);
        }
        let counted = self.used.iter().filter(|(slot, _)| *slot + ask.span_ms >= now_ms).map(|(_, used)| used);
        let used = u64::try_from(counted.sum::<i64>().max(0)).unwrap();
        let left = ask.cap.saturating_sub(used);
        let granted = if is_recovering { 0 } else { ask.ask.min(left) };
        let slot = now_ms - now_ms % ask.slot_ms;
        let own = self.own.entry((gateway.to_owned(), slot)).or_default();
        own.0 += granted;
        *self.used.entry(slot).or_default() += signed(granted);
        let counts = self.used.iter().find(|(slot, used)| *slot + ask.span_ms >= now_ms && **used > 0);
        let retry_ms = counts.map_or(0, |(slot, _)| slot + ask.span_ms + 1 - now_ms);
        let known = ToldUse { used: used + granted, at_ms: now_ms };
        let known = if is_recovering { self.told.unwrap_or(ToldUse { used: 0, at_ms: 0 }) } else { known };
        let (own, used, used_at_ms) = (own.0, known.used, known.at_ms);
        LeaseGrant { granted, slot, own, used, used_at_ms, retry_ms, is_recovering }
    }

    /// What counted as used at a time, by what is known now.
    fn used_at(&self, at_ms: u64, span_ms: u64) -> i64 {
        let counted = self.used.iter().filter(|(slot, _)| **slot <= at_ms && *slot + span_ms >= at_ms);
        counted.map(|(_, used)| used).sum()
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap()
}

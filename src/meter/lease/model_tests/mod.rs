//! A fleet in a model: gateways with the shipped code, an engine with every fault, random time.
//!
//! What passed on all gateways together is compared with the budget in every span of a window.

mod engine;
mod rates;

use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use proptest::prelude::*;

use self::engine::{EngineMemory, ModelEngine};
use super::{KnownFleet, LeaseBook, LeaseCall, LeasePool, LeaseReply, OnLoss};
use crate::bounds;
use crate::meter::SlidingWindow;
use crate::model::{Moment, UnixTime};

const CAP: u64 = 20_000;
const WINDOW: Duration = Duration::from_secs(60);
const WINDOW_MS: u64 = 60_000;
/// The true time at which a model begins.
const BEGIN_MS: u64 = 10_000_000;
const STEP_MS: u64 = 5;
const TIMEOUT_MS: u64 = 500;
const DUMP_MS: u64 = 500;

/// A random number that a seed decides: splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}

/// A call on its way.
struct Under {
    pools: Vec<Arc<LeasePool>>,
    sent_ms: u64,
}

struct ModelGateway {
    window: Arc<SlidingWindow>,
    book: Arc<LeaseBook>,
    under: Option<Under>,
    last_call_ms: u64,
    /// The true time at which this run's clock was zero, and how fast the clock is, in parts of a thousand.
    born_ms: u64,
    pace: u64,
    is_cut_off: bool,
    /// How many records it wants to pass in each step.
    demand: u64,
}

impl ModelGateway {
    fn new(number: u64, run: u64, on_loss: OnLoss, known: KnownFleet, born_ms: u64, pace: u64) -> Self {
        let window = Arc::new(SlidingWindow::new(NonZeroU64::new(CAP).unwrap(), WINDOW));
        let book = LeaseBook::new(format!("gw-{number}#{run}").into(), on_loss, known, 0);
        Self { window, book, under: None, last_call_ms: 0, born_ms, pace, is_cut_off: false, demand: 0 }
    }

    /// This gateway's own clock: the wall is an hour off, and the other runs fast or slow.
    fn now(&self, true_ms: u64) -> Moment {
        let ms = (true_ms - self.born_ms) * self.pace / 1_000;
        Moment { wall: UnixTime::from_millis(3_600_000 + true_ms), monotonic_ns: ms * 1_000_000 }
    }

    fn join(&self, true_ms: u64) {
        self.window.join_fleet(|terms| self.book.pool("acme:ingress:records", terms), self.now(true_ms));
        self.book.started();
    }

    fn pass(&self, true_ms: u64) -> u64 {
        let now = self.now(true_ms);
        (0..self.demand).take_while(|_| self.window.take(1, now).is_ok()).count() as u64
    }

    /// The next call, where one is needed.
    fn call(&mut self, true_ms: u64) -> Option<LeaseCall> {
        if self.under.is_some() {
            return None;
        }
        let now_ns = self.now(true_ms).monotonic_ns;
        let mut pools = match self.book.poll_hungry(&Context::from_waker(Waker::noop())) {
            Poll::Ready(pools) => pools,
            Poll::Pending => Vec::new(),
        };
        if pools.is_empty() && true_ms < self.last_call_ms + 250 {
            return None;
        }
        if pools.is_empty() {
            pools = self.book.due(now_ns);
        }
        if pools.is_empty() && true_ms < self.last_call_ms + 1_000 {
            return None;
        }
        self.last_call_ms = true_ms;
        let call = self.book.call(&pools, now_ns);
        self.under = Some(Under { pools, sent_ms: true_ms });
        Some(call)
    }

    fn answered(&mut self, reply: &LeaseReply, true_ms: u64) {
        if let Some(under) = self.under.take() {
            self.book.answered(&under.pools, reply, self.now(true_ms).monotonic_ns);
        }
    }

    fn time_out(&mut self, true_ms: u64) {
        if self.under.as_ref().is_some_and(|under| true_ms >= under.sent_ms + TIMEOUT_MS) {
            let under = self.under.take().unwrap();
            self.book.unanswered(&under.pools, self.now(true_ms).monotonic_ns);
        }
    }
}

/// What is on its way between a gateway and the engine.
enum Message {
    Call(LeaseCall),
    Reply(LeaseReply),
}

struct ModelFleet {
    random: Random,
    now_ms: u64,
    on_loss: OnLoss,
    gateways: Vec<ModelGateway>,
    engine: ModelEngine,
    /// The memory some time ago, which is what a failover or a dump brings back.
    dumps: VecDeque<EngineMemory>,
    /// Whether an answer is lost now and then.
    loses_answers: bool,
    /// Until when the engine answers nothing.
    down_until_ms: u64,
    /// The gateway, the run of it that sent, when the message arrives, and the message.
    messages: Vec<(usize, String, u64, Message)>,
    passed: VecDeque<(u64, u64)>,
    in_window: u64,
    /// The most that passed in any window.
    most: u64,
    total: u64,
    runs: u64,
}

impl ModelFleet {
    fn new(seed: u64, gateways: u64, on_loss: OnLoss) -> Self {
        let mut random = Random(seed);
        let gateways = (0..gateways).map(|number| {
            let gateway =
                ModelGateway::new(number, 0, on_loss, KnownFleet::default(), BEGIN_MS, 990 + random.below(21));
            gateway.join(BEGIN_MS);
            gateway
        });
        let gateways = gateways.collect();
        let engine = ModelEngine { run: 1, ..ModelEngine::default() };
        Self {
            random,
            now_ms: BEGIN_MS,
            on_loss,
            gateways,
            engine,
            dumps: VecDeque::new(),
            loses_answers: false,
            down_until_ms: 0,
            messages: Vec::new(),
            passed: VecDeque::new(),
            in_window: 0,
            most: 0,
            total: 0,
            runs: 0,
        }
    }

    fn step(&mut self) {
        self.now_ms += STEP_MS;
        let now_ms = self.now_ms;
        if now_ms.is_multiple_of(DUMP_MS) {
            self.dumps.push_front(self.engine.memory.clone());
            self.dumps.truncate(120);
        }
        self.deliver();
        let mut passed = 0;
        for at in 0..self.gateways.len() {
            let gateway = &mut self.gateways[at];
            gateway.time_out(now_ms);
            passed += gateway.pass(now_ms);
            if let Some(call) = gateway.call(now_ms) {
                self.send(at, Message::Call(call));
            }
        }
        self.count(passed);
    }

    fn run(&mut self, span_ms: u64) {
        (0..span_ms / STEP_MS).for_each(|_| self.step());
    }

    /// Delivers what arrives now. While the engine is paused a call waits, and is carried out when nobody waits for it.
    fn deliver(&mut self) {
        let (due, later) = std::mem::take(&mut self.messages).into_iter().partition(|(_, _, at, _)| *at <= self.now_ms);
        self.messages = later;
        let due: Vec<(usize, String, u64, Message)> = due;
        for (at, run, _, message) in due {
            let is_cut_off = self.gateways[at].is_cut_off;
            match message {
                _ if is_cut_off => {}
                Message::Call(call) if self.now_ms < self.down_until_ms => {
                    self.messages.push((at, run, self.down_until_ms, Message::Call(call)));
                }
                Message::Call(call) => {
                    let reply = self.engine.call(&call, self.now_ms);
                    if !(self.loses_answers && self.random.once_in(50)) {
                        self.send(at, Message::Reply(reply));
                    }
                }
                Message::Reply(reply) if *run == *self.run_of(at) => self.gateways[at].answered(&reply, self.now_ms),
                Message::Reply(_) => {}
            }
        }
    }

    fn run_of(&self, at: usize) -> String {
        format!("{}", self.gateways[at].born_ms)
    }

    fn send(&mut self, at: usize, message: Message) {
        let arrives = self.now_ms + self.random.below(10);
        self.messages.push((at, self.run_of(at), arrives, message));
    }

    fn count(&mut self, passed: u64) {
        self.total += passed;
        self.in_window += passed;
        self.passed.push_back((self.now_ms, passed));
        while self.passed.front().is_some_and(|(at, _)| *at + WINDOW_MS <= self.now_ms) {
            self.in_window -= self.passed.pop_front().unwrap().1;
        }
        self.most = self.most.max(self.in_window);
    }

    fn demand(&mut self, each: impl Fn(u64, &mut Random) -> u64) {
        for (gateway, number) in self.gateways.iter_mut().zip(0..) {
            gateway.demand = each(number, &mut self.random);
        }
    }

    /// A gateway starts again; after a crash it does not know what it spent in the last second.
    fn restart(&mut self, at: usize) {
        self.runs += 1;
        let old = &self.gateways[at];
        let kept = old.window.snapshot(old.now(self.now_ms));
        let known = old.book.known().unwrap_or_default();
        let pace = 990 + self.random.below(21);
        let new = ModelGateway::new(at as u64, self.runs, self.on_loss, known, self.now_ms, pace);
        new.window.restore(&kept, Moment { wall: UnixTime::from_millis(kept.taken_ms), ..new.now(self.now_ms) });
        new.join(self.now_ms);
        self.gateways[at] = new;
    }

    /// Another process takes over with the memory of so many milliseconds ago; `None` is an empty one.
    fn fail_over(&mut self, lost_ms: Option<u64>, down_ms: u64, clock_ms: i64) {
        let memory = lost_ms.and_then(|lost| self.dumps.get(usize::try_from(lost / DUMP_MS).unwrap()).cloned());
        let run = self.engine.run + 1;
        self.engine = ModelEngine { run, memory: memory.unwrap_or_default(), clock_ms };
        self.messages.retain(|(_, _, _, message)| matches!(message, Message::Reply(_)));
        self.down_until_ms = self.now_ms + down_ms;
    }
}

/// What is not answered while every gateway lives.
fn fault(fleet: &mut ModelFleet) {
    let lost_ms = fleet.random.below(1_500);
    let down_ms = fleet.random.below(4_000);
    match fleet.random.below(6) {
        0 => fleet.fail_over(Some(lost_ms), down_ms, 0),
        1 => fleet.fail_over(None, down_ms, 0),
        2 => fleet.fail_over(Some(lost_ms + 50_000), down_ms, 0),
        3 => fleet.fail_over(Some(lost_ms), down_ms, 3_600_000),
        4 => fleet.fail_over(Some(lost_ms), down_ms, -3_600_000),
        _ => fleet.down_until_ms = fleet.now_ms + down_ms,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// Failovers that lose the last writes, wipes, old dumps, pauses, clocks an hour off, restarts of gateways and
    /// partitions: under `deny` the budget is a hard ceiling through all of them.
    #[test]
    fn the_budget_is_a_hard_ceiling_over_the_whole_fleet(seed: u64, gateways in 1..6u64) {
        let mut fleet = ModelFleet::new(seed, gateways, OnLoss::Deny);
        fleet.loses_answers = true;
        fleet.run(3_000);
        for _ in 0..20 {
            fleet.demand(|_, random| if random.once_in(3) { 0 } else { random.below(12) });
            let span = 1_000 + fleet.random.below(9_000);
            fleet.run(span);
            match fleet.random.below(4) {
                0 => fault(&mut fleet),
                1 => {
                    let at = usize::try_from(fleet.random.below(gateways)).unwrap();
                    // One that is cut off, or starts again, while the engine is whole.
                    if fleet.now_ms >= fleet.down_until_ms + 10_000 {
                        fleet.restart(at);
                    }
                }
                2 => {
                    let at = usize::try_from(fleet.random.below(gateways)).unwrap();
                    fleet.gateways[at].is_cut_off ^= true;
                }
                _ => {}
            }
        }
        prop_assert!(fleet.most <= CAP, "{} passed", fleet.most);
        prop_assert!(fleet.total > 0);
    }

    /// While nothing fails, demand above the budget gets at least 95 % of it in each window, however it is spread.
    #[test]
    fn a_fleet_delivers_its_budget(seed: u64, gateways in 1..9u64, mix in 0..4u64) {
        let mut fleet = ModelFleet::new(seed, gateways, OnLoss::Share);
        fleet.run(3_000);
        let start = fleet.total;
        let windows = 5;
        for turn in 0..windows * 12 {
            fleet.demand(|number, random| match mix {
                0 => 10,
                1 => if number == 0 { 30 } else { 0 },
                2 => if number == turn % gateways { 30 } else { random.below(2) },
                _ => random.below(12),
            });
            fleet.run(5_000);
        }
        let delivered = fleet.total - start;
        prop_assert!(fleet.most <= CAP, "{} passed", fleet.most);
        prop_assert!(delivered * 100 >= CAP * windows * 95, "{delivered} of {}", CAP * windows);
    }

    /// Under `share` a loss of the engine costs no more than what the others were granted since a gateway was last told
    /// what is left. After a window each has its share of the budget.
    #[test]
    fn without_its_engine_a_fleet_keeps_to_its_shares(seed: u64, gateways in 2..6u64) {
        let mut fleet = ModelFleet::new(seed, gateways, OnLoss::Share);
        fleet.demand(|_, random| random.below(4));
        let span = 5_000 + fleet.random.below(60_000);
        fleet.run(span);
        prop_assert!(fleet.most <= CAP);
        let told_ms = u64::try_from(bounds::LEASE_BEAT_AT_REST.as_millis()).unwrap() + 500;
        let untold: u64 = fleet.passed.iter().filter(|(at, _)| *at + told_ms > fleet.now_ms).map(|(_, n)| n).sum();
        fleet.down_until_ms = u64::MAX;
        fleet.demand(|_, _| 20);
        fleet.run(70_000);
        prop_assert!(fleet.most <= CAP + untold, "{} passed, {untold} of them untold", fleet.most);
        let before = fleet.total;
        fleet.run(120_000);
        let passed = fleet.total - before;
        prop_assert!(passed <= 3 * CAP && passed * 100 >= 190 * CAP, "{passed} in two windows");
    }
}

//! What the kill switch costs a request, and how long it takes to sever.
//!
//! `cargo bench --bench kill`. The first group is the price every request pays: enter, ask, leave; alone, with a
//! second thread doing the same on the same vendor, and while another client is killed; in CPU time of the thread where
//! the system reports it (Linux), since other programs share the machine. The second is the
//! time from an order to the moment when the last of so many streams, each a task waiting on one of two threads, has
//! left; the disk is not part of it.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use criterion::{Criterion, SamplingMode, criterion_group, criterion_main};
use tokio::runtime::{Builder, Runtime};
use vendorgate::internals::kill::{
    InFlight, KillOrder, KillOrigin, KillSelector, KillSwitch, KillTarget, RouteTag, VendorGate,
};
use vendorgate::internals::model::{ClientId, Clock, Direction, VendorId};
use vendorgate::internals::store::Store;

const WORKERS: usize = 2;

fn request(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("kill/request");
    // The system counts CPU time in steps of some milliseconds: few and long samples.
    group.sampling_mode(SamplingMode::Flat).sample_size(10);
    group.bench_function("alone", |bench| {
        let (_switch, line) = switch();
        let client = ClientId::new("acme-batch");
        bench.iter_custom(|rounds| cpu_time(|| (0..rounds).for_each(|_| pass(&line, &client))));
    });
    group.bench_function("beside another thread", |bench| {
        let (_switch, line) = switch();
        let client = ClientId::new("acme-batch");
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    pass(&line, &client);
                }
            });
            bench.iter_custom(|rounds| cpu_time(|| (0..rounds).for_each(|_| pass(&line, &client))));
            stop.store(true, Ordering::Relaxed);
        });
    });
    group.bench_function("while another client is killed", |bench| {
        let (switch, line) = switch();
        let client = ClientId::new("acme-batch");
        let reach = KillSelector { client: Some(ClientId::new("acme-other")), ..KillSelector::default() };
        drop(switch.kill(order(&switch, "acme", reach)).expect("acme has a line"));
        bench.iter_custom(|rounds| cpu_time(|| (0..rounds).for_each(|_| pass(&line, &client))));
    });
    group.finish();
}

fn sever(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("kill/sever");
    group.sample_size(10).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(3));
    for streams in [100, 1_000, 10_000] {
        group.bench_function(streams.to_string(), |bench| {
            let mut round = 0;
            bench.iter_custom(|rounds| {
                (0..rounds)
                    .map(|_| {
                        round += 1;
                        sever_once(streams, round)
                    })
                    .sum()
            });
        });
    }
    group.finish();
}

fn pass(line: &VendorGate, client: &ClientId) {
    let in_flight = line.register(Direction::Ingress, black_box(RouteTag::NONE), Some(client));
    assert!(in_flight.check().is_ok());
    drop(black_box(in_flight));
}

/// The CPU time that this thread spends on some work.
fn cpu_time(work: impl FnOnce()) -> Duration {
    let clock = Clock::system();
    let spent = || {
        let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
        told.and_then(|told| told.split(' ').next()?.parse().ok()).unwrap_or_else(|| clock.now().monotonic_ns)
    };
    let start = spent();
    work();
    Duration::from_nanos(spent() - start)
}

fn sever_once(streams: usize, round: u64) -> Duration {
    let (switch, line) = switch();
    let waiting = Barrier::new(WORKERS + 1);
    let answer = thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| runtime().block_on(hold_streams(&line, streams / WORKERS, &waiting)));
        }
        waiting.wait();
        let order = order(&switch, "acme", KillSelector::default());
        runtime().block_on(switch.kill(order).expect("acme has a line").finish())
    });
    assert_eq!((answer.severed, answer.lingering), (streams as u64, 0), "round {round}");
    Duration::from_micros(answer.sever_micros)
}

/// One worker: so many tasks, each asleep until its stream is severed.
async fn hold_streams(line: &VendorGate, streams: usize, waiting: &Barrier) {
    let tasks: Vec<_> = (0..streams)
        .map(|_| {
            let mut in_flight: InFlight = line.register(Direction::Ingress, RouteTag::NONE, None);
            tokio::spawn(async move { in_flight.severed().await })
        })
        .collect();
    for _ in 0..streams {
        tokio::task::yield_now().await;
    }
    waiting.wait();
    for task in tasks {
        task.await.expect("a stream ends in order");
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// A switch in memory and its clock, which orders are dated by.
struct Timed(KillSwitch, Clock);

impl std::ops::Deref for Timed {
    type Target = KillSwitch;

    fn deref(&self) -> &KillSwitch {
        &self.0
    }
}

fn switch() -> (Timed, Arc<VendorGate>) {
    let clock = Clock::system();
    let store = Store::in_memory().expect("a store in memory");
    let switch = KillSwitch::load(store, clock.clone(), Arc::new(|_| {})).expect("an empty store");
    let line = switch.gate(&VendorId::parse("acme").expect("an id"));
    (Timed(switch, clock), line)
}

fn clock_of(switch: &Timed) -> vendorgate::internals::model::Moment {
    switch.1.now()
}

fn order(switch: &Timed, vendor: &str, reach: KillSelector) -> KillOrder {
    KillOrder {
        target: KillTarget::Vendor(VendorId::parse(vendor).expect("an id")),
        selector: reach,
        origin: KillOrigin::Operator,
        by: "alice".to_owned(),
        reason: "bench".to_owned(),
        evidence: None,
        id: None,
        gateway: None,
        at: clock_of(switch),
    }
}

criterion_group!(benches, request, sever);
criterion_main!(benches);

//! Which look a request is judged by, and how many looks strangers cause.

use super::super::SigningKey;
use super::super::marks::Forgetful;
use super::*;

fn ring(clock: &Clock) -> Arc<KeyRing> {
    let source = KeySource::Url { url: "https://id.example.com/jwks".into(), refresh: Duration::from_secs(300) };
    let id = RingId { issuer: "https://id.example.com".into(), source, fetch: FetchSettings::default() };
    let ledger = MarkLedger::load(Arc::new(Forgetful)).expect("nothing to read");
    Arc::new(KeyRing::new(id, clock.clone(), Arc::new(ledger)))
}

fn keys() -> Keys {
    let jwk = SigningKey::generate(Algorithm::EdDSA, "k").expect("a key").public_jwk();
    Keys::parse(format!(r#"{{"keys":[{jwk}]}}"#).as_bytes()).expect("a set")
}

#[test]
fn keys_live_until_the_hard_age_and_failures_do_not_shorten_or_lengthen_it() {
    let clock = Clock::manual(UnixTime::from_secs(1_000_000));
    let ring = ring(&clock);
    assert_eq!(ring.usable(clock.now()).err(), Some(Flaw::NoKeys), "a cold start fails closed");
    ring.install(keys());
    let (first, generation) = (ring.usable(clock.now()).expect("keys"), ring.generation());
    let key = first.iter().next().map(Arc::clone).expect("one");
    clock.advance(Duration::from_secs(24 * 3600 - 1));
    ring.finish(RefreshOutcome::Failed, Some("down".into()));
    assert_eq!(ring.still_holds(&key, generation, clock.now()), Ok(generation));
    clock.advance(Duration::from_secs(1));
    assert_eq!(ring.still_holds(&key, generation, clock.now()), Err(Flaw::NoKeys));
    ring.finish(RefreshOutcome::Unchanged, None);
    assert_eq!(ring.still_holds(&key, generation, clock.now()), Ok(generation));
    ring.install(keys());
    assert_eq!(
        ring.still_holds(&key, generation, clock.now()),
        Err(Flaw::KeyUnknown),
        "a withdrawn key ends what it signed"
    );
    assert_eq!(ring.status().outcomes, [2, 1, 1, 0]);
}

fn header(kid: &str) -> Header {
    let token = SigningKey::generate(Algorithm::EdDSA, kid).and_then(|key| key.sign("{}")).expect("a token");
    crate::identity::jwt::read(&token).expect("readable").signed.header
}

/// Polls once: what a wait does before anything happens.
fn poll(wait: &mut std::pin::Pin<Box<impl Future>>) -> bool {
    wait.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())).is_ready()
}

#[test]
fn a_request_is_judged_by_keys_that_were_looked_up_after_it_came() {
    let clock = Clock::manual(UnixTime::from_secs(1_000_000));
    let (ring, sought) = (ring(&clock), header("k"));
    let pause = Duration::from_secs(5);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let _entered = runtime.enter();
    let want = || Box::pin(ring.want(&sought, ring.generation(), clock.now()).expect("a place").settled(pause));
    ring.begin();
    let mut early = want();
    assert!(!poll(&mut early), "a look is under way");
    ring.finish(RefreshOutcome::Failed, None);
    assert!(!poll(&mut early) && ring.due_in() == Some(Duration::ZERO), "which began too early, so another is due");
    ring.begin();
    let mut late = want();
    assert!(!poll(&mut early) && !poll(&mut late) && ring.due_in().is_none());
    ring.install(keys());
    assert!(poll(&mut early) && poll(&mut late), "the key is there");
    assert_eq!(ring.due_in(), None, "and nobody needs another look");
    let stale = 0;
    ring.begin();
    ring.finish(RefreshOutcome::Unchanged, None);
    while ring.want(&header("x"), ring.generation(), clock.now()).is_some() {
        ring.with_looks(|looks| looks.next_for(looks.begun(), clock.now().monotonic_ns, pause));
        ring.begin();
        ring.finish(RefreshOutcome::Unchanged, None);
    }
    let between = ring.want(&sought, stale, clock.now()).expect("keys that came after it was judged");
    assert!(poll(&mut Box::pin(between.settled(pause))), "are looked at without a wait, cool-down or not");
}

#[test]
fn of_those_who_come_at_once_all_may_wait() {
    let clock = Clock::manual(UnixTime::from_secs(1_000_000));
    let (ring, sought) = (ring(&clock), header("k"));
    ring.begin();
    ring.install(keys());
    for _ in 0..200 {
        clock.advance(Duration::from_secs(30));
        let all = std::sync::Barrier::new(9);
        std::thread::scope(|scope| {
            let comers = (0..8).map(|_| {
                scope.spawn(|| {
                    let judged = ring.generation();
                    all.wait();
                    let wait = ring.want(&sought, judged, clock.now());
                    wait.as_ref().map(KeyWait::next).is_some()
                })
            });
            let comers: Vec<_> = comers.collect();
            all.wait();
            ring.begin();
            ring.install(keys());
            assert!(comers.into_iter().all(|comer| comer.join().expect("no panic")));
        });
    }
}

#[test]
fn strangers_cause_a_few_looks_and_then_one_in_a_cool_down_whatever_the_set_holds() {
    let clock = Clock::manual(UnixTime::from_secs(1_000_000));
    let (ring, sought) = (ring(&clock), header("nobody"));
    let flood = || (0..5000).filter_map(|_| ring.want(&sought, ring.generation(), clock.now()));
    let waits: Vec<_> = flood().collect();
    assert_eq!(waits.len(), ISSUER_WAITERS_MAX, "waiting costs bounded memory");
    drop(waits);
    let mut looks = Vec::new();
    for second in 0..100 {
        while flood().filter_map(|wait| wait.next()).count() > 0 || ring.due_in() == Some(Duration::ZERO) {
            looks.push(second);
            ring.begin();
            ring.finish(if second % 2 == 0 { RefreshOutcome::Failed } else { RefreshOutcome::Unchanged }, None);
        }
        clock.advance(Duration::from_secs(1));
    }
    // The first look is our own; near the end of a cool-down it is worth waiting for it.
    assert_eq!(looks, [0, 0, 0, 0, 0, 29, 59, 89]);
}

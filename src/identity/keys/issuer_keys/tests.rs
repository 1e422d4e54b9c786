//! Which refresh a request waits for, and how many refreshes strangers cause.

use crate::identity::keys::signing::SigningKey;
use crate::identity::token::history::NullIdentityStore;

use super::*;

fn ring(clock: &Clock) -> Arc<IssuerKeys> {
    let source = KeySource::Url { url: "https://id.example.com/jwks".into(), refresh: Duration::from_secs(300) };
    let id = IssuerKeysId { issuer: "https://id.example.com".into(), source, fetch: FetchSettings::default() };
    let ledger = RotationHistory::load(Arc::new(NullIdentityStore)).expect("nothing to read");
    Arc::new(IssuerKeys::new(id, clock.clone(), Arc::new(ledger)))
}

fn keys() -> KeySet {
    let jwk = SigningKey::generate(Algorithm::EdDSA, "k").expect("a key").public_jwk();
    KeySet::parse(format!(r#"{{"keys":[{jwk}]}}"#).as_bytes()).expect("a set")
}

#[test]
fn keys_live_until_the_hard_age_and_failures_do_not_shorten_or_lengthen_it() {
    let clock = Clock::manual(UnixTime::from_secs(1_000_000));
    let ring = ring(&clock);
    assert_eq!(ring.usable(clock.now()).err(), Some(AuthError::NoKeys), "a cold start fails closed");
    ring.install(keys());
    let (first, generation) = (ring.usable(clock.now()).expect("keys"), ring.generation());
    let key = first.iter().next().map(Arc::clone).expect("one");
    clock.advance(Duration::from_secs(24 * 3600 - 1));
    ring.finish_refresh(RefreshOutcome::Failed, Some("down".into()));
    assert_eq!(ring.check_in_force(&key, generation, clock.now()), Ok(generation));
    clock.advance(Duration::from_secs(1));
    assert_eq!(ring.check_in_force(&key, generation, clock.now()), Err(AuthError::NoKeys));
    ring.finish_refresh(RefreshOutcome::Unchanged, None);
    assert_eq!(ring.check_in_force(&key, generation, clock.now()), Ok(generation));
    ring.install(keys());
    assert_eq!(
        ring.check_in_force(&key, generation, clock.now()),
        Err(AuthError::KeyUnknown),
        "a withdrawn key ends what it signed"
    );
    assert_eq!(ring.status().outcomes, [2, 1, 1, 0]);
}

fn header(kid: &str) -> TokenHeader {
    let token = SigningKey::generate(Algorithm::EdDSA, kid).and_then(|key| key.sign("{}")).expect("a token");
    crate::identity::token::jwt::read(&token).expect("readable").signed.header
}

/// Polls once: what a wait does before anything happens.
fn poll(wait: &mut std::pin::Pin<Box<impl Future>>) -> bool {
    wait.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())).is_ready()
}

#[test]
fn a_request_is_decided_by_keys_that_were_fetched_after_it_came() {
    let clock = Clock::manual(UnixTime::from_secs(1_000_000));
    let (ring, sought) = (ring(&clock), header("k"));
    let pause = Duration::from_secs(5);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let _entered = runtime.enter();
    let want = || Box::pin(ring.wait_for_key(&sought, ring.generation(), clock.now()).expect("a place").settled(pause));
    ring.begin_refresh();
    let mut early = want();
    assert!(!poll(&mut early), "a look is under way");
    ring.finish_refresh(RefreshOutcome::Failed, None);
    assert!(!poll(&mut early) && ring.due_in() == Some(Duration::ZERO), "which began too early, so another is due");
    ring.begin_refresh();
    let mut late = want();
    assert!(!poll(&mut early) && !poll(&mut late) && ring.due_in().is_none());
    ring.install(keys());
    assert!(poll(&mut early) && poll(&mut late), "the key is there");
    assert_eq!(ring.due_in(), None, "and no other refresh is due");
    let stale = 0;
    ring.begin_refresh();
    ring.finish_refresh(RefreshOutcome::Unchanged, None);
    while ring.wait_for_key(&header("x"), ring.generation(), clock.now()).is_some() {
        ring.with_schedule(|looks| looks.next_for(looks.begun(), clock.now().monotonic_ns, pause));
        ring.begin_refresh();
        ring.finish_refresh(RefreshOutcome::Unchanged, None);
    }
    let between = ring.wait_for_key(&sought, stale, clock.now()).expect("keys that came after it was judged");
    assert!(poll(&mut Box::pin(between.settled(pause))), "are looked at without a wait, cool-down or not");
}

#[test]
fn all_requests_that_come_at_once_may_wait() {
    let clock = Clock::manual(UnixTime::from_secs(1_000_000));
    let (ring, sought) = (ring(&clock), header("k"));
    ring.begin_refresh();
    ring.install(keys());
    for _ in 0..200 {
        clock.advance(Duration::from_secs(30));
        let all = std::sync::Barrier::new(9);
        std::thread::scope(|scope| {
            let comers = (0..8).map(|_| {
                scope.spawn(|| {
                    let judged = ring.generation();
                    all.wait();
                    let wait = ring.wait_for_key(&sought, judged, clock.now());
                    wait.as_ref().map(KeyWait::next).is_some()
                })
            });
            let comers: Vec<_> = comers.collect();
            all.wait();
            ring.begin_refresh();
            ring.install(keys());
            assert!(comers.into_iter().all(|comer| comer.join().expect("no panic")));
        });
    }
}

#[test]
fn strangers_cause_a_few_refreshes_and_then_one_per_cool_down_whatever_the_set_holds() {
    let clock = Clock::manual(UnixTime::from_secs(1_000_000));
    let (ring, sought) = (ring(&clock), header("nobody"));
    let flood = || (0..5000).filter_map(|_| ring.wait_for_key(&sought, ring.generation(), clock.now()));
    let waits: Vec<_> = flood().collect();
    assert_eq!(waits.len(), ISSUER_WAITERS_MAX, "waiting costs bounded memory");
    drop(waits);
    let mut looks = Vec::new();
    for second in 0..100 {
        while flood().filter_map(|wait| wait.next()).count() > 0 || ring.due_in() == Some(Duration::ZERO) {
            looks.push(second);
            ring.begin_refresh();
            ring.finish_refresh(if second % 2 == 0 { RefreshOutcome::Failed } else { RefreshOutcome::Unchanged }, None);
        }
        clock.advance(Duration::from_secs(1));
    }
    // The first refresh is due from the start; near the end of a cool-down it is worth waiting for the next.
    assert_eq!(looks, [0, 0, 0, 0, 0, 29, 59, 89]);
}

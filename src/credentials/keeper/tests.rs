//! Renewal ahead of the end, single flight, failures that cost nothing, and refusals that are remembered.

use std::sync::atomic::AtomicU64;

use super::*;
use crate::model::UnixTime;

/// The answer to the question of this number.
type ScriptedAnswer = dyn Fn(u64) -> Result<FetchedValue<u64>, FetchFailure> + Send;

/// A server that answers as it is told, and counts the questions.
struct ScriptedServer {
    asked: AtomicU64,
    generation: AtomicU64,
    answer: Mutex<Box<ScriptedAnswer>>,
    delay: Duration,
}

impl ValueFetcher<u64> for ScriptedServer {
    fn fetch(&self) -> Pin<Box<dyn Future<Output = Result<FetchedValue<u64>, FetchFailure>> + Send + '_>> {
        Box::pin(async {
            let number = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
            tokio::time::sleep(self.delay).await;
            self.answer.locked()(number)
        })
    }

    fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }
}

fn token(number: u64) -> Result<FetchedValue<u64>, FetchFailure> {
    let (usable_for, renew_after) = (Some(Duration::from_secs(100)), Duration::from_secs(80));
    Ok(FetchedValue { value: number, usable_for, renew_after })
}

fn keeper(
    answer: impl Fn(u64) -> Result<FetchedValue<u64>, FetchFailure> + Send + 'static,
) -> (Arc<ValueKeeper<u64>>, Arc<ScriptedServer>, Clock) {
    let clock = Clock::manual(UnixTime::from_secs(1_000));
    let keeper = ValueKeeper::new("acme", "access token", clock.clone(), Duration::from_secs(2));
    let server = Arc::new(ScriptedServer {
        asked: AtomicU64::new(0),
        generation: AtomicU64::new(1),
        answer: Mutex::new(Box::new(answer)),
        delay: Duration::from_millis(5),
    });
    keeper.start(&tokio::runtime::Handle::current(), Arc::clone(&server) as _);
    (keeper, server, clock)
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..2_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("{what} did not come");
}

fn asked(server: &ScriptedServer) -> u64 {
    server.asked.load(Ordering::SeqCst)
}

#[tokio::test]
async fn many_requests_at_once_cause_one_question() {
    let (keeper, server, _) = keeper(token);
    let all: Vec<_> = (0..50)
        .map(|_| {
            let keeper = Arc::clone(&keeper);
            tokio::spawn(async move { keeper.obtain().await.map(|kept| kept.value) })
        })
        .collect();
    for one in all {
        assert_eq!(one.await.expect("no panic"), Ok(1));
    }
    assert_eq!(asked(&server), 1);
}

#[tokio::test]
async fn a_renewal_that_fails_leaves_the_value_in_use_until_its_end() {
    let (keeper, server, clock) =
        keeper(|number| if number == 1 { token(1) } else { Err(FetchFailure::Failed("away".into())) });
    assert_eq!(keeper.obtain().await.expect("a value").value, 1);
    clock.advance(Duration::from_secs(85));
    keeper.asked.notify_one();
    until("the renewal", || asked(&server) == 2).await;
    until("its failure", || keeper.status().1.is_some()).await;
    assert_eq!(keeper.obtain().await.expect("the old one").value, 1);
    clock.advance(Duration::from_secs(20));
    let error = keeper.obtain().await.expect_err("past its end");
    assert!(error.to_string().contains("away"), "{error}");
    assert_eq!(keeper.status().0.succeeded, 1);
}

#[tokio::test]
async fn failures_are_followed_by_longer_and_longer_pauses_and_requests_do_not_wait_for_them() {
    let (keeper, server, clock) = keeper(|_| Err(FetchFailure::Failed("away".into())));
    until("the first", || asked(&server) == 1 && keeper.status().1.is_some()).await;
    for (wait, questions) in [(0, 1), (1_000, 2), (1_000, 2), (1_000, 3), (3_000, 3), (1_000, 4)] {
        clock.advance(Duration::from_millis(wait));
        keeper.asked.notify_one();
        for _ in 0..30 {
            let refused = keeper.obtain().await;
            assert!(refused.is_err());
        }
        until("the questions", || asked(&server) == questions).await;
        until("the end of the last", || !keeper.progress().is_under_way).await;
    }
}

#[tokio::test]
async fn a_refused_credential_is_not_shown_again_until_it_has_changed() {
    let (keeper, server, clock) =
        keeper(|number| if number < 3 { Err(FetchFailure::Refused("invalid_client".into())) } else { token(number) });
    until("the first", || asked(&server) == 1 && keeper.status().1.is_some()).await;
    for _ in 0..100 {
        clock.advance(Duration::from_secs(2));
        assert!(keeper.obtain().await.is_err());
        keeper.asked.notify_one();
        tokio::task::yield_now().await;
    }
    assert_eq!((asked(&server), keeper.status().0.refused), (1, 1), "200 seconds of requests");
    server.generation.store(2, Ordering::SeqCst);
    keeper.asked.notify_one();
    until("a question with the new one", || asked(&server) == 2).await;
    until("its end", || !keeper.progress().is_under_way).await;
    server.generation.store(3, Ordering::SeqCst);
    keeper.asked.notify_one();
    until("the token", || asked(&server) == 3).await;
    assert_eq!(keeper.obtain().await.expect("a value").value, 3);
}

#[tokio::test]
async fn a_value_that_the_vendor_refused_is_replaced_and_not_without_end() {
    let (keeper, server, clock) = keeper(token);
    let mut kept = keeper.obtain().await.expect("a value");
    for _ in 0..3 {
        let (one, other) = tokio::join!(keeper.newer_than(kept.number), keeper.newer_than(kept.number));
        let (one, other) = (one.expect("a newer one"), other.expect("the same"));
        assert_eq!(one.number, other.number);
        kept = one;
    }
    let before = asked(&server);
    assert!(before <= 4, "{before} questions");
    for _ in 0..100 {
        if let Some(newer) = keeper.newer_than(kept.number).await {
            kept = newer;
        }
    }
    assert!(asked(&server) <= before + 2, "a vendor that always says 401 cannot flood its token endpoint");
    clock.advance(Duration::from_secs(11));
    assert!(keeper.newer_than(kept.number).await.is_some(), "one more in each span");
    assert!(keeper.usable(clock.now()).is_some(), "and the last one stays in use");
}

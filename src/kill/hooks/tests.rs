//! Hooks against others that are slow, dead or come back, and against a restart.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU16, Ordering};

use super::*;
use crate::model::{UnixTime, VendorId};

/// The other side: what it got, and what it answers. 0 is no answer at all.
#[derive(Default)]
struct Other {
    answers: AtomicU16,
    got: Mutex<Vec<OutgoingWebhook>>,
}

impl SendWebhook for Other {
    fn deliver(
        &self,
        delivery: OutgoingWebhook,
    ) -> Pin<Box<dyn Future<Output = Result<u16, WebhookSendError>> + Send + '_>> {
        Box::pin(async move {
            let answer = self.answers.load(Ordering::SeqCst);
            if delivery.url.contains("dead") {
                std::future::pending::<()>().await;
            }
            self.got.lock().unwrap().push(delivery);
            if answer == 0 { Err(WebhookSendError("connection refused".to_owned())) } else { Ok(answer) }
        })
    }
}

struct Bench {
    hooks: Arc<HookDispatcher>,
    other: Arc<Other>,
    clock: Clock,
    store: Store,
    outcomes: Arc<Mutex<Vec<String>>>,
}

impl Bench {
    fn new(answers: u16) -> Self {
        Self::on(Store::in_memory().unwrap(), answers)
    }

    fn on(store: Store, answers: u16) -> Self {
        let other = Arc::new(Other { answers: answers.into(), ..Other::default() });
        let clock = Clock::manual(UnixTime::from_secs(1_800_000_000));
        let outcomes: Arc<Mutex<Vec<String>>> = Arc::default();
        let heard = Arc::clone(&outcomes);
        let listener: EventListener = Arc::new(move |event| {
            heard.lock().unwrap().extend(event.outcome.as_ref().and_then(|it| Some(it.as_str()?.to_owned())))
        });
        let deliver: Arc<dyn SendWebhook> = Arc::clone(&other) as Arc<dyn SendWebhook>;
        let hooks = Arc::new(HookDispatcher::load(store.clone(), deliver, clock.clone(), listener).unwrap());
        Self { hooks, other, clock, store, outcomes }
    }

    /// Works until nothing is on its way.
    async fn settle(&self) {
        self.hooks.begin_due();
        while self.hooks.state().progress.values().any(|lane| lane.busy) {
            tokio::time::sleep(Duration::from_millis(1)).await;
            self.hooks.begin_due();
        }
    }

    fn got(&self) -> Vec<String> {
        let got = self.other.got.lock().unwrap();
        got.iter()
            .map(|delivery| delivery.headers.iter().find(|(name, _)| *name == "webhook-id").unwrap().1.clone())
            .collect()
    }

    fn outcomes(&self) -> Vec<String> {
        self.outcomes.lock().unwrap().clone()
    }
}

fn webhook(name: &str, url: &str) -> KillHook {
    let action = HookChannel::Webhook { url: url.to_owned(), secret: Secret::new(b"key".to_vec()) };
    KillHook {
        name: name.to_owned(),
        on_kill: true,
        on_restore: true,
        channel: action,
        deadline: Duration::from_millis(200),
    }
}

fn command(name: &str, program: &str, arguments: &[&str]) -> KillHook {
    let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    let action = HookChannel::Command { program: program.to_owned(), arguments };
    KillHook { deadline: Duration::from_secs(5), channel: action, ..webhook(name, "") }
}

fn killed(generation: u64) -> KillEvent {
    let target = KillTarget::Vendor(VendorId::parse("acme").unwrap());
    let event =
        KillEvent::of(AuditAct::Kill, &target, "alice", "breach", UnixTime::from_secs(1_800_000_000), generation);
    KillEvent { severed: 3, ..event }
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

#[test]
fn a_webhook_gets_each_event_once_and_in_order_and_the_queue_is_emptied() {
    run(async {
        let bench = Bench::new(204);
        bench.hooks.configure(vec![webhook("pager", "https://pager.example/x")]);
        let ear = bench.hooks.listener();
        (1..4).for_each(|generation| ear(&killed(generation)));
        bench.settle().await;
        assert_eq!(bench.got(), ["1-pager", "2-pager", "3-pager"]);
        assert_eq!(bench.hooks.queued(), 0);
        assert_eq!(bench.outcomes()[0], "pager: answered 204 at attempt 1");
        let body: KillEvent = serde_json::from_slice(&bench.other.got.lock().unwrap()[0].body).unwrap();
        assert_eq!(body, killed(1));
        assert!(Bench::on(bench.store.clone(), 200).hooks.queued() == 0);
    });
}

#[test]
fn a_hook_that_fails_is_tried_again_after_ever_longer_pauses() {
    run(async {
        let bench = Bench::new(0);
        bench.hooks.configure(vec![webhook("pager", "https://pager.example")]);
        (bench.hooks.listener())(&killed(1));
        for attempts in 1..4_u32 {
            bench.settle().await;
            assert_eq!(bench.got().len(), attempts as usize);
            bench.clock.advance(pause_after(attempts) - Duration::from_millis(1));
            bench.settle().await;
            assert_eq!(bench.got().len(), attempts as usize, "not before its time");
            bench.clock.advance(Duration::from_millis(1));
        }
        bench.other.answers.store(503, Ordering::SeqCst);
        bench.settle().await;
        bench.other.answers.store(200, Ordering::SeqCst);
        bench.clock.advance(HOOK_PAUSE_MAX);
        bench.settle().await;
        let expected = ["pager: connection refused; trying again", "pager: answered 200 at attempt 5"];
        assert_eq!(bench.outcomes(), expected);
    });
}

#[test]
fn a_hook_is_given_up_on_after_a_day() {
    run(async {
        let bench = Bench::new(500);
        bench.hooks.configure(vec![webhook("pager", "https://pager.example")]);
        (bench.hooks.listener())(&killed(1));
        bench.settle().await;
        bench.clock.advance(HOOK_LIFETIME);
        bench.settle().await;
        assert_eq!(bench.outcomes()[1], "pager: given up after 2 attempts: answered 500");
        assert_eq!(bench.hooks.queued(), 0);
    });
}

#[test]
fn a_wall_clock_that_jumps_ahead_does_not_end_the_attempts() {
    run(async {
        let bench = Bench::new(500);
        bench.hooks.configure(vec![webhook("pager", "https://pager.example")]);
        (bench.hooks.listener())(&killed(1));
        bench.settle().await;
        let right = bench.clock.now().wall;
        bench.clock.set_wall(right.plus(HOOK_LIFETIME * 365));
        bench.clock.advance(HOOK_PAUSE_MAX);
        bench.settle().await;
        assert_eq!((bench.got().len(), bench.hooks.queued()), (2, 1), "tried again, and kept");
        bench.clock.set_wall(right);
        bench.other.answers.store(200, Ordering::SeqCst);
        bench.clock.advance(HOOK_PAUSE_MAX);
        bench.settle().await;
        assert_eq!(bench.outcomes().last().map(String::as_str), Some("pager: answered 200 at attempt 3"));
    });
}

#[test]
fn a_dead_hook_does_not_delay_the_others() {
    run(async {
        let bench = Bench::new(200);
        bench.hooks.configure(vec![webhook("dead", "https://dead.example"), webhook("pager", "https://pager.example")]);
        (bench.hooks.listener())(&killed(1));
        bench.hooks.begin_due();
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(bench.got(), ["1-pager"]);
        bench.settle().await;
        assert_eq!(bench.outcomes()[1], "dead: no answer in 200ms; trying again");
    });
}

#[test]
fn after_a_restart_a_queued_event_goes_to_the_hooks_that_did_not_get_it() {
    run(async {
        let store = Store::in_memory().unwrap();
        let mut batch = WriteBatch::new();
        let row = QueuedEvent { event: killed(4), done: vec!["deaf".to_owned()] };
        batch.put(&4_u64.to_be_bytes(), &row).unwrap();
        store.write_blocking(batch).unwrap();
        let bench = Bench::on(store, 200);
        bench.hooks.configure(vec![webhook("deaf", "https://deaf.example"), webhook("pager", "https://pager.example")]);
        bench.settle().await;
        assert_eq!(bench.got(), ["4-pager"]);
    });
}

#[test]
fn the_dispatcher_notifies_of_each_event_while_it_runs() {
    run(async {
        let bench = Bench::new(200);
        bench.hooks.configure(vec![webhook("pager", "https://pager.example")]);
        let runner = tokio::spawn(Arc::clone(&bench.hooks).run());
        let ear = bench.hooks.listener();
        for generation in 1..4 {
            ear(&killed(generation));
            while bench.got().len() < generation as usize {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        assert!(!runner.is_finished());
        runner.abort();
    });
}

#[test]
fn a_hook_gets_only_the_events_that_it_is_configured_for() {
    run(async {
        let bench = Bench::new(200);
        let only_restores = KillHook { on_kill: false, ..webhook("pager", "https://pager.example") };
        bench.hooks.configure(vec![only_restores]);
        let ear = bench.hooks.listener();
        ear(&killed(1));
        ear(&KillEvent { act: AuditAct::Restore, ..killed(2) });
        ear(&KillEvent { act: AuditAct::KillAgain, ..killed(3) });
        bench.settle().await;
        assert_eq!(bench.got(), ["2-pager"]);
    });
}

#[test]
fn a_command_gets_the_event_and_no_shell() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let bench = Bench::new(200);
        bench.hooks.configure(vec![
            command("input", "cp", &["/dev/stdin", &path("input")]),
            command("filled", "touch", &[&path("{act}-{vendor}-{generation};$HOME")]),
            command("fails", "false", &[]),
            command("absent", "/no/such/program", &[]),
            KillHook { deadline: Duration::from_millis(50), ..command("slow", "sleep", &["60"]) },
        ]);
        (bench.hooks.listener())(&killed(7));
        bench.settle().await;
        let input: KillEvent = serde_json::from_slice(&std::fs::read(path("input")).unwrap()).unwrap();
        assert_eq!(input, killed(7));
        assert!(std::fs::exists(path("kill-acme-7;$HOME")).unwrap());
        let mut outcomes = bench.outcomes();
        outcomes.sort_unstable();
        assert!(outcomes[0].starts_with("absent: cannot be started"), "{outcomes:?}");
        assert_eq!(
            outcomes[1..],
            [
                "fails: exit status: 1; trying again",
                "filled: done at attempt 1",
                "input: done at attempt 1",
                "slow: no answer in 50ms; trying again",
            ]
        );
    });
}

//! Notifies people and machines outside of a kill or a restore, by webhooks and local commands.
//!
//! An event is queued in the same write as the change that it is about, so a crash loses none. Each hook is notified of
//! the events in order, again and again until it has taken one or a day is over, and a hook that is slow or dead does
//! not delay the others. The outcome is audited. Never delays a kill, and never runs a shell. A hook may be notified of
//! an event twice, where a crash came between its answer and the write that records it: the delivery's id is the same
//! then.

mod command;
mod sign;
mod webhook;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

use super::event::{EventListener, KillEvent};
use super::order::KillTarget;
use super::switch::{GATEWAY_ACTOR, QueuedEvent};
use crate::audit::AuditAct;
use crate::bounds::{CLOCK_CONFIRMATION, HOOK_LIFETIME, HOOK_PAUSE_FIRST, HOOK_PAUSE_MAX};
use crate::model::{Clock, Lock as _, Moment, Secret, debug_fields};
use crate::store::{Store, StoreError, StoreRow, WriteBatch};

pub use webhook::{OutgoingWebhook, SendWebhook, WebhookSendError};

/// A hook of the config: what it is notified of, and how.
#[derive(Debug, Clone)]
pub struct KillHook {
    /// Names it in the audit trail and in the queue: unique, and the same after a reload.
    pub name: String,
    /// Whether it is notified of kills.
    pub on_kill: bool,
    /// Whether it is notified of restores.
    pub on_restore: bool,
    /// A webhook or a command.
    pub channel: HookChannel,
    /// How long one attempt may take.
    pub deadline: Duration,
}

/// How a hook is notified.
#[derive(Debug, Clone)]
pub enum HookChannel {
    /// The event as JSON by POST, signed as [Standard Webhooks](https://www.standardwebhooks.com) has it.
    Webhook {
        /// The address that is posted to.
        url: String,
        /// The key of the signature.
        secret: Secret<Vec<u8>>,
    },
    /// A program with the event as JSON on its standard input. There is no shell, no environment but `PATH`, and
    /// `{vendor}`, `{act}` and `{generation}` in the arguments are filled in.
    Command {
        /// The program, by path or by name in `PATH`.
        program: String,
        /// Its arguments, with placeholders.
        arguments: Vec<String>,
    },
}

/// The hooks and their queue. Shared behind one `Arc`; [`HookDispatcher::run`] does the work.
pub struct HookDispatcher {
    state: Mutex<DispatchState>,
    store: Store,
    deliver: Arc<dyn SendWebhook>,
    clock: Clock,
    listener: EventListener,
    changed: Notify,
}

#[derive(Default)]
struct DispatchState {
    hooks: Vec<Arc<KillHook>>,
    events: BTreeMap<u64, QueuedEvent>,
    progress: BTreeMap<String, HookProgress>,
}

/// How far a hook is with the event that it is notified of next.
#[derive(Default)]
struct HookProgress {
    busy: bool,
    attempts: u32,
    /// When the first of them began, on the monotonic clock.
    began_ns: u64,
    /// Not before this, on the monotonic clock.
    next_ns: u64,
}

/// An event on its way to a hook.
struct HookAttempt {
    hook: Arc<KillHook>,
    event: KillEvent,
    number: u32,
}

impl HookDispatcher {
    /// The hooks, with what was queued when the process last ended. `listener` gets the outcome of each event.
    ///
    /// # Errors
    /// [`StoreError`] when the queue cannot be read.
    pub fn load(
        store: Store,
        deliver: Arc<dyn SendWebhook>,
        clock: Clock,
        listener: EventListener,
    ) -> Result<Self, StoreError> {
        let rows = store.range::<QueuedEvent>(b"", None, usize::MAX)?;
        let events = rows.into_iter().map(|(_, row)| (row.event.generation, row)).collect();
        let state = Mutex::new(DispatchState { events, ..DispatchState::default() });
        Ok(Self { state, store, deliver, clock, listener, changed: Notify::new() })
    }

    /// Takes the hooks of a config, at the start and at a reload. What waits for a hook that is gone is forgotten.
    pub fn configure(&self, hooks: Vec<KillHook>) {
        let mut state = self.state();
        state.hooks = hooks.into_iter().map(Arc::new).collect();
        let names: BTreeSet<_> = state.hooks.iter().map(|hook| hook.name.clone()).collect();
        state.progress.retain(|name, lane| names.contains(name) || lane.busy);
        let queued: Vec<u64> = state.events.keys().copied().collect();
        queued.into_iter().for_each(|generation| self.save(&mut state, generation));
        drop(state);
        self.changed.notify_one();
    }

    /// Listens to the switch for the hooks: list it among the switch's listeners, and turn on its
    /// [`queue_for_hooks`](super::KillSwitch::queue_for_hooks).
    pub fn listener(self: &Arc<Self>) -> EventListener {
        let hooks = Arc::clone(self);
        Arc::new(move |event: &KillEvent| {
            if event.is_for_hooks() {
                hooks.on_event(event);
            }
        })
    }

    /// How many events at least one hook has not been notified of yet.
    #[cfg(test)]
    pub(super) fn queued(&self) -> usize {
        self.state().events.len()
    }

    /// Notifies the hooks, for as long as it is polled. Runs on a tokio runtime with time and processes enabled.
    pub async fn run(self: Arc<Self>) {
        loop {
            let pause = self.begin_due();
            // Either something changed, or an attempt is due.
            let _ = timeout(pause, self.changed.notified()).await;
        }
    }

    fn on_event(&self, event: &KillEvent) {
        let mut state = self.state();
        if state.hooks.is_empty() {
            return;
        }
        state.events.insert(event.generation, QueuedEvent { event: event.clone(), done: Vec::new() });
        drop(state);
        self.changed.notify_one();
    }

    /// Starts every attempt that is due; returns how long it is until the next.
    fn begin_due(self: &Arc<Self>) -> Duration {
        let now = self.clock.now();
        let (attempts, pause) = self.state().due(now);
        for attempt in attempts {
            tokio::spawn(Arc::clone(self).attempt(attempt));
        }
        pause
    }

    async fn attempt(self: Arc<Self>, attempt: HookAttempt) {
        let HookAttempt { hook, event, number } = attempt;
        let work = async {
            match &hook.channel {
                HookChannel::Webhook { url, secret } => {
                    webhook::send(&*self.deliver, url, secret, &hook.name, &event, self.clock.now().wall).await
                }
                HookChannel::Command { program, arguments } => command::run(program, arguments, &event).await,
            }
        };
        let outcome =
            timeout(hook.deadline, work).await.unwrap_or_else(|_| Err(format!("no answer in {:?}", hook.deadline)));
        self.record_outcome(&hook, &event, number, outcome);
        self.changed.notify_one();
    }

    /// What comes of an attempt: done, again later, or given up.
    fn record_outcome(&self, hook: &KillHook, event: &KillEvent, number: u32, outcome: Result<String, String>) {
        let now = self.clock.now();
        let mut state = self.state();
        let lane = state.progress.entry(hook.name.clone()).or_default();
        if number == 1 {
            lane.began_ns = now.monotonic_ns;
        }
        // An event that is given up is gone, so no single reading of the wall clock decides on it.
        let tried = Duration::from_nanos(now.monotonic_ns.saturating_sub(lane.began_ns));
        let is_late = now.wall.since(event.at) >= HOOK_LIFETIME && tried >= CLOCK_CONFIRMATION;
        let words = match &outcome {
            Ok(words) => Some(format!("{}: {words} at attempt {number}", hook.name)),
            Err(words) if is_late => Some(format!("{}: given up after {number} attempts: {words}", hook.name)),
            // Once is enough to know that it is not well.
            Err(words) if number == 1 => Some(format!("{}: {words}; trying again", hook.name)),
            Err(_) => None,
        };
        lane.busy = false;
        if outcome.is_ok() || is_late {
            lane.attempts = 0;
            lane.next_ns = 0;
            state.done(event.generation, &hook.name);
            self.save(&mut state, event.generation);
        } else {
            lane.next_ns = now.monotonic_ns.saturating_add(pause_after(number).as_nanos() as u64);
        }
        drop(state);
        if let Some(words) = words {
            let target = KillTarget::parse(&event.vendor).unwrap_or(KillTarget::Everything);
            let told =
                KillEvent::of(AuditAct::Hook, &target, GATEWAY_ACTOR, event.act.as_str(), now.wall, event.generation);
            (self.listener)(&KillEvent { outcome: Some(words.into()), ..told });
        }
    }

    /// Writes how far an event has come, or forgets it when all have heard.
    fn save(&self, state: &mut DispatchState, generation: u64) {
        let Some(row) = state.events.get(&generation) else { return };
        let mut batch = WriteBatch::new();
        if state.hooks.iter().all(|hook| !hook.wants(row)) {
            batch.delete(QueuedEvent::TABLE, &generation.to_be_bytes());
            state.events.remove(&generation);
        } else if batch.put(&generation.to_be_bytes(), row).is_err() {
            return;
        }
        // If the disk loses this write, the hooks are notified once more after a restart.
        drop(self.store.write(batch));
    }

    fn state(&self) -> MutexGuard<'_, DispatchState> {
        self.state.locked()
    }
}

impl DispatchState {
    /// For each hook that is not busy, the oldest event that it has not been notified of, where its time has come.
    fn due(&mut self, now: Moment) -> (Vec<HookAttempt>, Duration) {
        let mut attempts = Vec::new();
        let mut pause = HOOK_PAUSE_MAX;
        for hook in &self.hooks {
            let lane = self.progress.entry(hook.name.clone()).or_default();
            let Some(row) = self.events.values().find(|row| hook.wants(row)).filter(|_| !lane.busy) else { continue };
            if lane.next_ns > now.monotonic_ns {
                pause = pause.min(Duration::from_nanos(lane.next_ns - now.monotonic_ns));
                continue;
            }
            lane.busy = true;
            lane.attempts += 1;
            attempts.push(HookAttempt { hook: Arc::clone(hook), event: row.event.clone(), number: lane.attempts });
        }
        (attempts, pause)
    }

    fn done(&mut self, generation: u64, hook: &str) {
        if let Some(row) = self.events.get_mut(&generation) {
            row.done.push(hook.to_owned());
        }
    }
}

impl KillHook {
    fn wants(&self, row: &QueuedEvent) -> bool {
        let concerned = match row.event.act == AuditAct::Kill {
            true => self.on_kill,
            false => row.event.act == AuditAct::Restore && self.on_restore,
        };
        concerned && !row.done.contains(&self.name)
    }
}

debug_fields!(HookDispatcher: clock);

/// Twice as long after each attempt, up to a bound.
fn pause_after(attempts: u32) -> Duration {
    HOOK_PAUSE_FIRST.saturating_mul(1 << attempts.saturating_sub(1).min(16)).min(HOOK_PAUSE_MAX)
}

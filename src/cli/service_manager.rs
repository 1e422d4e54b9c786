//! What systemd is told of the gateway: it serves, it reloads, it ends, it is alive.
//!
//! Does nothing where no service manager has asked to be told. A message that cannot be sent is logged and changes
//! nothing for traffic.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// It serves.
pub(super) fn ready() {
    tell(&[NotifyState::Ready, NotifyState::Status("serving")]);
}

/// It loads its config again; [`reloaded`] follows.
pub(super) fn reloading() {
    // The time lets systemd tell this reload from an earlier one.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "the service manager is not told of the reload"),
    }
}

/// The reload is over.
pub(super) fn reloaded(is_in_force: bool) {
    let status = if is_in_force { "serving" } else { "serving; the new config has faults, the one before is in force" };
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// It ends.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("draining")]);
}

/// It is alive.
pub(super) fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// When to say that it is alive: twice within the span after which the service manager takes it for dead. `None` where
/// there is no watchdog.
pub(super) fn watchdog() -> Option<Interval> {
    let span = sd_notify::watchdog_enabled().filter(|span| !span.is_zero())?;
    let mut interval = interval((span / 2).max(Duration::from_millis(1)));
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    Some(interval)
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager cannot be told");
    }
}

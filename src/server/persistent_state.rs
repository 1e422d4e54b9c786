//! What lasts longer than the process: the store, the audit trail, the kill switch, the hooks, what identity remembers.

use std::sync::{Arc, OnceLock};

use super::audit_trail;
use super::identity_store::IdentityStore;
use super::start::StartError;
use super::webhook_sender::{self, WebhookSender};
use crate::audit::AuditTrail;
use crate::config::GatewaySettings;
use crate::identity::IdentityState;
use crate::kill::{EventListener, HookDispatcher, KillEvent, KillSwitch, audit_listener, notify_all};
use crate::model::Clock;
use crate::store::Store;

/// What lasts longer than the process.
pub(super) struct PersistentState {
    pub(super) store: Store,
    pub(super) switch: Arc<KillSwitch>,
    pub(super) audit: Arc<AuditTrail>,
    pub(super) hooks: Arc<HookDispatcher>,
}

/// The store, the trail and the switch. State that is there and cannot be read kills every vendor until a person
/// decides.
pub(super) fn open_state(config: &GatewaySettings, clock: &Clock) -> Result<PersistentState, StartError> {
    let path = &config.state.path;
    let failed = |source| StartError::State { path: path.clone(), source };
    let opened = match Store::open(path) {
        // The folder is another process's, and so is the trail in it.
        Err(error) if !error.is_unreadable() => return Err(failed(error)),
        opened => opened,
    };
    let audit = Arc::new(audit_trail::open(&config.audit, clock)?);
    let hook_listener: Arc<OnceLock<EventListener>> = Arc::default();
    let listeners = vec![Arc::new(log) as EventListener, audit_listener(Arc::clone(&audit)), deferred(&hook_listener)];
    let switch = KillSwitch::start(opened, clock.clone(), notify_all(listeners)).map_err(failed)?;
    if switch.is_undecided() {
        tracing::error!(path = %path.display(), "state cannot be read: every vendor is killed until a person restores it");
    }
    let store = switch.store().clone();
    let postman = Arc::new(WebhookSender::new().map_err(StartError::Webhooks)?);
    let hooks = HookDispatcher::load(store.clone(), postman, clock.clone(), audit_listener(Arc::clone(&audit)))
        .map_err(failed)?;
    let hooks = Arc::new(hooks);
    let _ = hook_listener.set(hooks.listener());
    hooks.configure(webhook_sender::hooks(&config.hooks)?);
    switch.queue_for_hooks(!config.hooks.is_empty());
    Ok(PersistentState { store, switch: Arc::new(switch), audit, hooks })
}

/// Says every kill and restore in the log.
fn log(event: &KillEvent) {
    tracing::warn!(
        act = event.act.as_str(), vendor = %event.vendor, by = %event.by, reason = %event.reason,
        generation = event.generation, severed = event.severed, "kill switch"
    );
}

/// A listener that is set only after the switch is made: the hooks are kept in the store that the switch has chosen.
fn deferred(listener: &Arc<OnceLock<EventListener>>) -> EventListener {
    let listener = Arc::clone(listener);
    Arc::new(move |event| {
        if let Some(listener) = listener.get() {
            listener(event);
        }
    })
}

/// Identity with its memory; without one where every vendor is killed anyway.
pub(super) fn open_authority(store: &Store, clock: &Clock, switch: &KillSwitch) -> Result<IdentityState, StartError> {
    let opened = if switch.is_undecided() {
        IdentityState::in_memory(clock.clone())
    } else {
        let durable = Arc::new(IdentityStore(store.clone()));
        IdentityState::open(clock.clone(), Arc::clone(&durable) as _, durable)
    };
    opened.map_err(StartError::Identity)
}

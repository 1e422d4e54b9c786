//! Reads the state folder for commands that only ask: kills, revocations, newest tokens, first sights of keys.
//!
//! Writes nothing. Where a running gateway holds the folder nothing is read, and the caller is told why.

use std::io;
use std::sync::Arc;

use super::identity_store::IdentityStore;
use super::start::StartError;
use crate::config::GatewaySettings;
use crate::identity::{IdentityState, Revocation, RevocationStore, RotationRecord, RotationStore};
use crate::kill::{EventListener, KillEvent, KillSwitch};
use crate::model::Clock;
use crate::store::{Store, StoreError};

/// What was found.
#[derive(Debug)]
pub struct StoredState {
    /// Issuers' keys, revocations and marks.
    pub authority: IdentityState,
    /// The kills in force and to come.
    pub switch: KillSwitch,
    /// Why nothing was read, where that is so.
    pub unread_reason: Option<&'static str>,
}

impl StoredState {
    /// Looks into a config's state folder.
    ///
    /// # Errors
    /// [`StartError`] where what a gateway would need to start cannot be had.
    pub fn read(config: &GatewaySettings, clock: &Clock) -> Result<Self, StartError> {
        let path = &config.state.path;
        let state_error = |source| StartError::State { path: path.clone(), source };
        let opened = if Store::is_in(path) { Store::open(path) } else { Store::in_memory() };
        let (opened, unread) = match opened {
            Err(StoreError::InUse { .. }) => {
                let why =
                    "a running gateway holds the state: kills, revocations and superseded tokens were not looked at";
                (Store::in_memory(), Some(why))
            }
            opened => (opened, None),
        };
        let switch = KillSwitch::start(opened, clock.clone(), silent()).map_err(state_error)?;
        let memory = Arc::new(ReadOnlyStore(IdentityStore(switch.store().clone())));
        let authority =
            IdentityState::open(clock.clone(), Arc::clone(&memory) as _, memory).map_err(StartError::Identity)?;
        Ok(Self { authority, switch, unread_reason: unread })
    }
}

/// No listener: reading changes nothing, so there are no events.
fn silent() -> EventListener {
    Arc::new(|_: &KillEvent| {})
}

/// Reads and never writes.
#[derive(Debug)]
struct ReadOnlyStore(IdentityStore);

impl RotationStore for ReadOnlyStore {
    fn load(&self) -> io::Result<Vec<RotationRecord>> {
        RotationStore::load(&self.0)
    }

    fn save(&self, _: RotationRecord) {}

    fn forget_key(&self, _: [u8; 32]) {}
}

impl RevocationStore for ReadOnlyStore {
    fn load(&self) -> io::Result<Vec<Revocation>> {
        RevocationStore::load(&self.0)
    }

    fn save(&self, _: &Revocation) -> io::Result<()> {
        Ok(())
    }

    fn lift(&self, _: &Revocation) -> io::Result<()> {
        Ok(())
    }

    fn forget(&self, _: &Revocation) {}
}

//! What the state folder remembers, for those who only ask: kills, revocations, newest tokens, first sights of keys.
//!
//! Writes nothing. Where a running gateway holds the folder nothing is read, and whoever asked is told so.

use std::io;
use std::sync::Arc;

use super::durable::Durable;
use super::start::StartError;
use crate::config::Config;
use crate::identity::{Authority, MarkRecord, Marks, Revocation, RevocationStore};
use crate::kill::{Event, Switch, Witness};
use crate::model::Clock;
use crate::store::{Store, StoreError};

/// What was found.
#[derive(Debug)]
pub struct Remembered {
    /// Issuers' keys, revocations and marks.
    pub authority: Authority,
    /// The kills.
    pub switch: Switch,
    /// Why nothing was read, where that is so.
    pub unread: Option<&'static str>,
}

impl Remembered {
    /// Looks into a config's state folder.
    ///
    /// # Errors
    /// [`StartError`] where what a gateway would need to start cannot be had.
    pub fn look(config: &Config, clock: &Clock) -> Result<Self, StartError> {
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
        let switch = Switch::start(opened, clock.clone(), silent()).map_err(state_error)?;
        let memory = Arc::new(Reader(Durable(switch.store().clone())));
        let authority =
            Authority::open(clock.clone(), Arc::clone(&memory) as _, memory).map_err(StartError::Identity)?;
        Ok(Self { authority, switch, unread })
    }
}

/// Nobody is told: nothing happens.
fn silent() -> Witness {
    Arc::new(|_: &Event| {})
}

/// Reads and never writes.
#[derive(Debug)]
struct Reader(Durable);

impl Marks for Reader {
    fn load(&self) -> io::Result<Vec<MarkRecord>> {
        Marks::load(&self.0)
    }

    fn save(&self, _: MarkRecord) {}

    fn forget_key(&self, _: [u8; 32]) {}
}

impl RevocationStore for Reader {
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

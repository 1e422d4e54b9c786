//! Changes that are not known to be on disk: writes that are no longer waited for, and changes that the disk refused.
//!
//! Never gives up: a refused change is written again until it is on disk, since the vendor is killed all the same.

use std::collections::BTreeSet;
use std::sync::Mutex;

use super::order::KillTarget;
use super::switch::KillSwitch;
use crate::model::Lock as _;
use crate::store::WriteAck;

#[derive(Debug, Default)]
pub(super) struct UnconfirmedWrites(Mutex<WriteLists>);

#[derive(Debug, Default)]
struct WriteLists {
    pending: Vec<(KillTarget, WriteAck)>,
    refused: BTreeSet<KillTarget>,
}

impl UnconfirmedWrites {
    /// Adds a write that is not waited for any more.
    pub(super) fn pending(&self, target: KillTarget, ack: WriteAck) {
        self.with(|lists| lists.pending.push((target, ack)));
    }

    /// A change that the disk refused.
    pub(super) fn failed(&self, target: KillTarget) {
        self.with(|lists| lists.refused.insert(target));
    }

    /// Whether a change of a vendor's state may not be on disk, of it alone or of all.
    pub(super) fn holds(&self, target: &KillTarget) -> bool {
        let concerns = |other: &KillTarget| other == target || *other == KillTarget::Everything;
        self.with(|lists| {
            lists.refused.iter().any(concerns) || lists.pending.iter().any(|(pending, _)| concerns(pending))
        })
    }

    fn with<T>(&self, work: impl FnOnce(&mut WriteLists) -> T) -> T {
        work(&mut self.0.locked())
    }
}

impl KillSwitch {
    /// Writes every refused change again. Returns whether all are on disk; call it every second or so.
    pub async fn retry_unconfirmed(&self) -> bool {
        let pending = self.unconfirmed.with(|lists| std::mem::take(&mut lists.pending));
        for (target, ack) in pending {
            if ack.await.is_err() {
                self.unconfirmed.failed(target);
            }
        }
        let refused = self.unconfirmed.with(|lists| std::mem::take(&mut lists.refused));
        let mut kept = true;
        for target in refused {
            let written = self.write(&self.table(), &target, None);
            let is_kept = match written {
                Ok(ack) => ack.await.is_ok(),
                Err(_) => false,
            };
            if !is_kept {
                self.unconfirmed.failed(target);
                kept = false;
            }
        }
        kept
    }
}

//! The ids of orders in the table of kills: which kill stands by which orders of the fleet.

use std::sync::Arc;

use super::order::{Kill, KillTarget};
use super::table::KillTable;

impl KillTable {
    /// The kills that are for the whole fleet and have no id yet, each once.
    pub(super) fn unnumbered(&self) -> Vec<(KillTarget, u64)> {
        let of_vendor = |kill: &&Arc<Kill>| kill.is_unnumbered() && !self.everything_holds(kill.generation);
        let own = self.vendors().flat_map(|vendor| {
            let target = KillTarget::Vendor(vendor.clone());
            let kills: Vec<u64> =
                self.entry(&target).kills.iter().filter(of_vendor).map(|kill| kill.generation).collect();
            kills.into_iter().map(move |generation| (target.clone(), generation))
        });
        let all = self.entry(&KillTarget::Everything).kills.iter().filter(|kill| kill.is_unnumbered());
        let all = all.map(|kill| (KillTarget::Everything, kill.generation));
        all.chain(own).collect()
    }

    fn everything_holds(&self, generation: u64) -> bool {
        self.entry(&KillTarget::Everything).kills.iter().any(|kill| kill.generation == generation)
    }

    /// Adds an order to a kill of this target, and to the copies that vendors have of it. Returns the kill, and the
    /// oldest orders where it has more than it needs.
    pub(super) fn add_order(
        &mut self,
        target: &KillTarget,
        generation: u64,
        id: Arc<str>,
    ) -> (Option<Arc<Kill>>, Vec<Arc<str>>) {
        let mut found = (None, Vec::new());
        self.each_kill(target, |kill| {
            if kill.generation == generation {
                found.1 = Arc::make_mut(kill).add_order(Arc::clone(&id));
                found.0 = Some(Arc::clone(kill));
            }
        });
        found
    }

    /// Removes orders from the kills of this target; returns the kills that stand by no order any more.
    pub(super) fn take_back(&mut self, target: &KillTarget, ids: &[Arc<str>]) -> Vec<u64> {
        let mut ended = Vec::new();
        self.each_kill(target, |kill| {
            if kill.orders.iter().any(|id| ids.contains(id)) {
                Arc::make_mut(kill).orders.retain(|id| !ids.contains(id));
                if kill.orders.is_empty() && !ended.contains(&kill.generation) {
                    ended.push(kill.generation);
                }
            }
        });
        ended
    }

    fn each_kill(&mut self, target: &KillTarget, mut change: impl FnMut(&mut Arc<Kill>)) {
        self.each(target, |entry| entry.kills.iter_mut().for_each(&mut change));
    }
}

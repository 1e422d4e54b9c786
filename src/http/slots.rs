//! A bounded number of slots for what strangers can make the gateway hold: connections, and bodies that are spooled.
//!
//! A newcomer always gets a slot. When all slots are taken, or too many by one group, another holder loses its slot:
//! first the oldest that has not authenticated, then the one that has been idle longest. So a crowd can only push out
//! itself. A holder that has authenticated and is busy is never disturbed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use rustix::io::Errno;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::model::Lock as _;

/// The network that a peer belongs to: its IPv4 address, or the /64 of its IPv6 address, because one machine can own a
/// whole /64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PeerNetwork {
    /// An IPv4 address.
    V4([u8; 4]),
    /// The first 64 bits of an IPv6 address.
    V6([u8; 8]),
}

impl PeerNetwork {
    /// The network of an address. An IPv4 address that is written as IPv6 counts as IPv4.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.octets()),
            IpAddr::V6(address) => {
                let [a, b, c, d, e, f, g, h, ..] = address.octets();
                Self::V6([a, b, c, d, e, f, g, h])
            }
        }
    }
}

/// Whether an accept failed because the process, or the machine, has no file descriptor left.
pub fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE))
}

/// Holders that share a bound of their own, beside the common one, until they authenticate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SlotGroup {
    /// All holders of one network.
    Sender(PeerNetwork),
    /// All holders that claim to be one vendor, named by its place in the config.
    Vendor(u32),
}

/// How many slots there are, how many are taken, and how often a holder lost its slot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SlotPoolCounts {
    /// Slots that are taken.
    pub taken: usize,
    /// All slots.
    pub capacity: usize,
    /// Holders that lost their slot because all were taken.
    pub shed_full: u64,
    /// Holders that lost their slot because their group had too many.
    pub shed_group: u64,
    /// Holders that gave up their slot because their request was late: see [`SlotHolder::count_late`].
    pub late: u64,
}

/// A bounded number of slots.
#[derive(Debug)]
pub struct SlotPool {
    free: Arc<Semaphore>,
    /// A second bound that several pools share: each slot takes one permit of it too.
    shared: Option<Arc<Semaphore>>,
    capacity: usize,
    table: Mutex<SlotTable>,
    shed_full: AtomicU64,
    shed_group: AtomicU64,
    late: AtomicU64,
}

#[derive(Debug, Default)]
struct SlotTable {
    next: u64,
    /// Holders that have not authenticated, by age.
    unproven: BTreeMap<u64, (Arc<SlotHolder>, Vec<SlotGroup>)>,
    proven: BTreeMap<u64, Arc<SlotHolder>>,
    /// The members of each group that have not authenticated.
    groups: HashMap<SlotGroup, BTreeSet<u64>>,
}

/// A slot that is taken. Dropping it gives the slot back.
#[derive(Debug)]
pub struct PooledSlot {
    seat: Arc<SlotHolder>,
    slots: Arc<SlotPool>,
    _taken: [Option<OwnedSemaphorePermit>; 2],
}

/// The holder of a slot, with what decides whether it loses its slot.
#[derive(Debug, Default)]
pub struct SlotHolder {
    id: u64,
    slots: Option<Arc<SlotPool>>,
    proven: AtomicBool,
    /// How many requests are under way.
    busy: AtomicUsize,
    /// How many requests have ended. Together with `busy` this shows whether anything has changed.
    completed: AtomicU64,
    /// When the last request ended, in nanoseconds of the monotonic clock.
    idle_since_ns: AtomicU64,
    shed: Notify,
}

impl SlotPool {
    /// A pool of this many slots, at least one.
    pub fn new(most: usize) -> Arc<Self> {
        Self::with_shared(most, None)
    }

    /// A pool of this many slots, each of which also takes a permit that is shared with other pools.
    pub fn with_shared(most: usize, shared: Option<Arc<Semaphore>>) -> Arc<Self> {
        let most = most.clamp(1, Semaphore::MAX_PERMITS);
        Arc::new(Self {
            free: Arc::new(Semaphore::new(most)),
            shared,
            capacity: most,
            table: Mutex::default(),
            shed_full: AtomicU64::new(0),
            shed_group: AtomicU64::new(0),
            late: AtomicU64::new(0),
        })
    }

    /// Takes a slot for a holder that belongs to these groups, each with its bound. Where a bound is reached, another
    /// holder loses its slot, and this waits until that holder has gone. Where every holder is authenticated and busy,
    /// it waits for the first that ends.
    pub async fn acquire(self: &Arc<Self>, groups: &[(SlotGroup, usize)]) -> PooledSlot {
        for &(group, bound) in groups {
            self.shed_in_group(group, bound);
        }
        let slot = self.acquire_from(&self.free).await;
        let shared = match &self.shared {
            Some(shared) => self.acquire_from(shared).await,
            None => None,
        };
        self.register(groups, [slot, shared])
    }

    /// Takes a permit. Where none is free, another holder loses its slot, and this waits for the permit.
    async fn acquire_from(&self, free: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
        if let Ok(taken) = Arc::clone(free).try_acquire_owned() {
            return Some(taken);
        }
        self.shed_one();
        // `None` is impossible: the semaphore is never closed.
        Arc::clone(free).acquire_owned().await.ok()
    }

    /// The counts of this moment.
    pub fn counts(&self) -> SlotPoolCounts {
        SlotPoolCounts {
            taken: self.capacity - self.free.available_permits().min(self.capacity),
            capacity: self.capacity,
            shed_full: self.shed_full.load(Ordering::Relaxed),
            shed_group: self.shed_group.load(Ordering::Relaxed),
            late: self.late.load(Ordering::Relaxed),
        }
    }

    /// Waits until no slot is taken.
    pub async fn wait_until_empty(&self) {
        let most = u32::try_from(self.capacity).unwrap_or(u32::MAX);
        drop(self.free.acquire_many(most).await);
    }

    fn register(
        self: &Arc<Self>,
        groups: &[(SlotGroup, usize)],
        taken: [Option<OwnedSemaphorePermit>; 2],
    ) -> PooledSlot {
        let mut table = self.table();
        table.next += 1;
        let id = table.next;
        let seat = Arc::new(SlotHolder { id, slots: Some(Arc::clone(self)), ..SlotHolder::default() });
        let groups: Vec<SlotGroup> = groups.iter().map(|(group, _)| *group).collect();
        for group in &groups {
            table.groups.entry(*group).or_default().insert(id);
        }
        table.unproven.insert(id, (Arc::clone(&seat), groups));
        PooledSlot { seat, slots: Arc::clone(self), _taken: taken }
    }

    fn shed_in_group(&self, group: SlotGroup, bound: usize) {
        let mut table = self.table();
        while let Some(members) = table.groups.get(&group)
            && members.len() >= bound.max(1)
            && let Some(oldest) = members.first().copied()
        {
            if let Some(seat) = table.remove_unproven(oldest) {
                seat.shed.notify_one();
                self.shed_group.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Takes the slot from one holder, if any can lose it: for want of a slot, or of what a slot holds, such as a file
    /// descriptor.
    pub fn shed_one(&self) {
        let mut table = self.table();
        let oldest = table.unproven.first_key_value().map(|(id, _)| *id);
        let seat = match oldest {
            Some(oldest) => table.remove_unproven(oldest),
            None => table.longest_idle().and_then(|id| table.proven.remove(&id)),
        };
        if let Some(seat) = seat {
            seat.shed.notify_one();
            self.shed_full.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn table(&self) -> MutexGuard<'_, SlotTable> {
        self.table.locked()
    }
}

impl SlotTable {
    fn remove_unproven(&mut self, id: u64) -> Option<Arc<SlotHolder>> {
        let (seat, groups) = self.unproven.remove(&id)?;
        for group in groups {
            if let Some(members) = self.groups.get_mut(&group) {
                members.remove(&id);
                if members.is_empty() {
                    self.groups.remove(&group);
                }
            }
        }
        Some(seat)
    }

    fn longest_idle(&self) -> Option<u64> {
        let resting = self.proven.iter().filter(|(_, seat)| seat.busy.load(Ordering::Relaxed) == 0);
        resting.min_by_key(|(_, seat)| seat.idle_since_ns.load(Ordering::Relaxed)).map(|(id, _)| *id)
    }
}

impl PooledSlot {
    /// The holder of this slot.
    pub const fn holder(&self) -> &Arc<SlotHolder> {
        &self.seat
    }
}

impl Drop for PooledSlot {
    fn drop(&mut self) {
        let mut table = self.slots.table();
        if table.remove_unproven(self.seat.id).is_none() {
            table.proven.remove(&self.seat.id);
        }
    }
}

impl SlotHolder {
    /// Notes that the holder has authenticated. From now on it can lose its slot only while it is idle, and only after
    /// all that have not authenticated.
    pub fn mark_proven(&self) {
        if self.proven.load(Ordering::Relaxed) || self.proven.swap(true, Ordering::Relaxed) {
            return;
        }
        let Some(slots) = &self.slots else { return };
        let mut table = slots.table();
        if let Some(seat) = table.remove_unproven(self.id) {
            table.proven.insert(self.id, seat);
        }
    }

    /// Whether the holder has authenticated.
    pub fn is_proven(&self) -> bool {
        self.proven.load(Ordering::Relaxed)
    }

    /// Notes that a request begins.
    pub fn begin_work(&self) {
        self.busy.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that a request has ended, at this time of the monotonic clock.
    pub fn end_work(&self, now_ns: u64) {
        self.idle_since_ns.store(now_ns, Ordering::Relaxed);
        self.completed.fetch_add(1, Ordering::Relaxed);
        self.busy.fetch_sub(1, Ordering::Relaxed);
    }

    /// How many requests are under way.
    pub fn busy(&self) -> usize {
        self.busy.load(Ordering::Relaxed)
    }

    /// How many requests have ended.
    pub fn completed(&self) -> u64 {
        self.completed.load(Ordering::Relaxed)
    }

    /// Counts that the holder's request came too late.
    pub fn count_late(&self) {
        if let Some(slots) = &self.slots {
            slots.late.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns when the holder is to give up its slot. For one waiter.
    pub async fn shed_requested(&self) {
        self.shed.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn sender(last: u8) -> [(SlotGroup, usize); 1] {
        [(SlotGroup::Sender(PeerNetwork::V4([10, 0, 0, last])), 2)]
    }

    async fn is_shed(slot: &PooledSlot) -> bool {
        tokio::time::timeout(Duration::from_millis(1), slot.holder().shed_requested()).await.is_ok()
    }

    #[tokio::test]
    async fn the_oldest_holder_of_a_crowded_network_loses_its_slot() {
        let slots = SlotPool::new(10);
        let (first, second) = (slots.acquire(&sender(1)).await, slots.acquire(&sender(1)).await);
        let other = slots.acquire(&sender(2)).await;
        let third = slots.acquire(&sender(1)).await;
        assert!(is_shed(&first).await);
        for stays in [&second, &other, &third] {
            assert!(!is_shed(stays).await);
        }
        second.holder().mark_proven();
        let _fourth = slots.acquire(&sender(1)).await;
        assert!(!is_shed(&third).await, "who has proven something no longer counts");
        assert_eq!((slots.counts().taken, slots.counts().shed_group), (5, 1));
    }

    #[tokio::test]
    async fn holders_that_have_not_authenticated_lose_their_slot_first_and_busy_ones_never() {
        let slots = SlotPool::new(3);
        let (busy, resting, stranger) =
            (slots.acquire(&sender(1)).await, slots.acquire(&sender(2)).await, slots.acquire(&sender(3)).await);
        busy.holder().mark_proven();
        busy.holder().begin_work();
        resting.holder().mark_proven();
        let newcomer = tokio::spawn({
            let slots = Arc::clone(&slots);
            async move { slots.acquire(&sender(4)).await }
        });
        stranger.holder().shed_requested().await;
        assert!(!newcomer.is_finished(), "it waits until the other has gone");
        drop(stranger);
        let newcomer = newcomer.await.unwrap();
        newcomer.holder().mark_proven();
        newcomer.holder().begin_work();
        let next = tokio::spawn({
            let slots = Arc::clone(&slots);
            async move { slots.acquire(&sender(5)).await }
        });
        resting.holder().shed_requested().await;
        drop(resting);
        let _next = next.await.unwrap();
        assert!(!is_shed(&busy).await && !is_shed(&newcomer).await);
        assert_eq!(slots.counts().shed_full, 2);
    }

    #[tokio::test]
    async fn an_empty_pool_keeps_no_entry() {
        let slots = SlotPool::new(4);
        for round in 0..100 {
            let slot = slots.acquire(&sender(round % 3)).await;
            if round % 2 == 0 {
                slot.holder().mark_proven();
            }
        }
        slots.wait_until_empty().await;
        let table = slots.table();
        assert!(table.unproven.is_empty() && table.proven.is_empty() && table.groups.is_empty());
    }

    #[test]
    fn all_addresses_of_one_64_count_as_one_network() {
        let of = |text: &str| PeerNetwork::of(text.parse().expect("an address"));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8:0:1::1"), of("2001:db8::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
    }
}

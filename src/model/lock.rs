//! Locks that stay usable after a panic.
//!
//! A thread that panics while it holds a standard lock poisons it. The gateway catches the panic of one request and
//! serves the others, so a poisoned lock is taken as it is: code that changes a value under a lock does so in one step,
//! or in steps of which each leaves the value usable.

use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// A mutex that is taken whether it is poisoned or not.
pub trait Lock<T: ?Sized> {
    /// Waits for the mutex and takes it.
    fn locked(&self) -> MutexGuard<'_, T>;
}

/// A readers-writer lock that is taken whether it is poisoned or not.
pub trait ReadWriteLock<T: ?Sized> {
    /// Waits until no thread writes, and takes the lock for reading.
    fn read_locked(&self) -> RwLockReadGuard<'_, T>;

    /// Waits until no thread reads or writes, and takes the lock for writing.
    fn write_locked(&self) -> RwLockWriteGuard<'_, T>;
}

impl<T: ?Sized> Lock<T> for Mutex<T> {
    fn locked(&self) -> MutexGuard<'_, T> {
        self.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: ?Sized> ReadWriteLock<T> for RwLock<T> {
    fn read_locked(&self) -> RwLockReadGuard<'_, T> {
        self.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_locked(&self) -> RwLockWriteGuard<'_, T> {
        self.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn a_lock_can_be_taken_after_its_holder_panicked() {
        let (mutex, shared) = (Arc::new(Mutex::new(1)), Arc::new(RwLock::new(1)));
        let (held, written) = (Arc::clone(&mutex), Arc::clone(&shared));
        let panicked = std::thread::spawn(move || {
            let (mut one, mut other) = (held.locked(), written.write_locked());
            (*one, *other) = (2, 2);
            panic!("while both locks are held");
        });
        assert!(panicked.join().is_err() && mutex.is_poisoned() && shared.is_poisoned());
        assert_eq!((*mutex.locked(), *shared.read_locked()), (2, 2));
    }
}

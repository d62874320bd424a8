//! Locks, and waiting for what they guard to change.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{LockResult, PoisonError, TryLockError};

use super::{Here, address};

/// A value that one thread at a time may use.
#[derive(Debug, Default)]
pub struct Mutex<T>(std::sync::Mutex<T>);

/// A value while its lock is held.
pub struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    /// Nothing only while it is being dropped.
    guard: Option<std::sync::MutexGuard<'a, T>>,
}

impl<T> Mutex<T> {
    /// A value behind a lock.
    pub const fn new(value: T) -> Self {
        Self(std::sync::Mutex::new(value))
    }

    /// The value.
    pub fn into_inner(self) -> LockResult<T> {
        self.0.into_inner()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, T> {
        let Some(here) = Here::current() else { return self.0.lock().unwrap_or_else(PoisonError::into_inner) };
        here.pass();
        loop {
            match self.0.try_lock() {
                Ok(guard) => return guard,
                Err(TryLockError::Poisoned(error)) => return error.into_inner(),
                Err(TryLockError::WouldBlock) => here.wait_for(address(self)),
            }
        }
    }
}

/// Locks. Who panicked has left what he locked as it is: nothing here is changed in more than one step.
#[inline]
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    MutexGuard { mutex, guard: Some(mutex.lock()) }
}

impl<T> Drop for MutexGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.guard = None;
        if let Some(here) = Here::current() {
            here.wake(address(self.mutex));
        }
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        self.guard.as_ref().expect("held until dropped")
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        self.guard.as_mut().expect("held until dropped")
    }
}

impl<T: fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// Tells threads that wait that something has changed.
#[derive(Debug, Default)]
pub struct Condvar(std::sync::Condvar);

impl Condvar {
    /// Nobody waits yet.
    pub const fn new() -> Self {
        Self(std::sync::Condvar::new())
    }

    /// Waits for as long as the value is like that.
    pub fn wait_while<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
        mut is_so: impl FnMut(&mut T) -> bool,
    ) -> MutexGuard<'a, T> {
        while is_so(&mut guard) {
            let mutex = guard.mutex;
            match Here::current() {
                Some(here) => {
                    drop(guard);
                    here.wait_for(address(self));
                    guard = locked(mutex);
                }
                None => {
                    let held = guard.guard.take().expect("held until dropped");
                    guard.guard = Some(self.0.wait(held).unwrap_or_else(PoisonError::into_inner));
                }
            }
        }
        guard
    }

    /// Wakes all that wait.
    pub fn notify_all(&self) {
        self.0.notify_all();
        if let Some(here) = Here::current() {
            here.wake(address(self));
        }
    }
}

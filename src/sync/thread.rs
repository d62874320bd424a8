//! Threads, and pauses.

use std::cell::RefCell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use super::{Here, Seat};

/// A thread that was started.
#[derive(Debug)]
pub struct JoinHandle<T> {
    thread: std::thread::JoinHandle<T>,
    seat: Option<Seat>,
}

impl<T> JoinHandle<T> {
    /// Waits for its end; an error if it panicked.
    pub fn join(self) -> std::thread::Result<T> {
        if let (Some(here), Some(seat)) = (Here::current(), self.seat) {
            here.join(seat);
        }
        self.thread.join()
    }
}

fn builder(name: &str) -> std::thread::Builder {
    std::thread::Builder::new().name(name.to_owned())
}

/// Starts a thread. Fails if the system has no room for one.
pub fn spawn<T: Send + 'static>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> io::Result<JoinHandle<T>> {
    let Some(here) = Here::current() else {
        return Ok(JoinHandle { thread: builder(name).spawn(work)?, seat: None });
    };
    let seat = here.fork(name)?;
    let thread = builder(name).spawn(seat.hold(&here, work))?;
    here.point();
    Ok(JoinHandle { thread, seat: Some(seat) })
}

/// Threads that may borrow what lives longer than all of them.
#[derive(Debug)]
pub struct Scope<'scope, 'env> {
    threads: &'scope std::thread::Scope<'scope, 'env>,
    seats: RefCell<Vec<Seat>>,
}

/// A thread of a scope.
#[derive(Debug)]
pub struct ScopedJoinHandle<'scope, T> {
    thread: std::thread::ScopedJoinHandle<'scope, T>,
    seat: Option<Seat>,
}

impl<T> ScopedJoinHandle<'_, T> {
    /// Waits for its end; an error if it panicked.
    pub fn join(self) -> std::thread::Result<T> {
        if let (Some(here), Some(seat)) = (Here::current(), self.seat) {
            here.join(seat);
        }
        self.thread.join()
    }
}

impl<'scope> Scope<'scope, '_> {
    /// Starts a thread. Fails if the system has no room for one.
    pub fn spawn<T: Send + 'scope>(
        &self,
        name: &str,
        work: impl FnOnce() -> T + Send + 'scope,
    ) -> io::Result<ScopedJoinHandle<'scope, T>> {
        let Some(here) = Here::current() else {
            return Ok(ScopedJoinHandle { thread: builder(name).spawn_scoped(self.threads, work)?, seat: None });
        };
        let seat = here.fork(name)?;
        let thread = builder(name).spawn_scoped(self.threads, seat.hold(&here, work))?;
        self.seats.borrow_mut().push(seat);
        here.point();
        Ok(ScopedJoinHandle { thread, seat: Some(seat) })
    }
}

/// Waits at its end for all threads that were started in it; panics if one of them did that nobody has joined.
pub fn scope<'env, T>(work: impl for<'scope> FnOnce(&Scope<'scope, 'env>) -> T) -> T {
    std::thread::scope(|threads| {
        let scope = Scope { threads, seats: RefCell::default() };
        let Some(here) = Here::current() else { return work(&scope) };
        let done = catch_unwind(AssertUnwindSafe(|| work(&scope)));
        scope.seats.take().into_iter().for_each(|seat| here.join(seat));
        done.unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// Does nothing for a time.
pub fn sleep(time: Duration) {
    match Here::current() {
        Some(here) => here.sleep(time),
        None => std::thread::sleep(time),
    }
}

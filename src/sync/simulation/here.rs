//! The place of a thread in a simulation.

use std::cell::RefCell;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::Breakage;
use super::scheduler::{Scheduler, Wish};

thread_local! {
    static HERE: RefCell<Option<Here>> = const { RefCell::new(None) };
}

/// The place of this thread in a simulation.
#[derive(Clone)]
pub(in crate::sync) struct Here {
    scheduler: Arc<Scheduler>,
    thread: usize,
}

/// The place of a thread that begins.
#[derive(Debug, Clone, Copy)]
pub(in crate::sync) struct Seat(usize);

impl Here {
    /// The place of this thread, if it is in a simulation.
    pub(in crate::sync) fn current() -> Option<Self> {
        // A thread that has ended so far that this is gone is in no simulation any more.
        HERE.try_with(|here| here.borrow().clone()).ok().flatten()
    }

    /// The place of the first thread of a simulation.
    pub(super) fn first(scheduler: Arc<Scheduler>) -> (Self, Seat) {
        let thread = scheduler.add("first");
        (Self { scheduler, thread }, Seat(thread))
    }

    pub(super) fn now(&self) -> Duration {
        self.scheduler.now()
    }

    pub(super) fn break_threads(&self, breakage: Breakage) {
        self.scheduler.break_threads(breakage);
    }

    pub(super) fn calm(&self, is_calm: bool) {
        self.scheduler.calm(is_calm);
    }

    /// Lets others go on, or breaks.
    pub(in crate::sync) fn point(&self) {
        self.scheduler.pass_turn(self.thread, Wish::GoOn);
        if !std::thread::panicking() && self.scheduler.breaks(self.thread) {
            std::panic::panic_any(super::INJECTED);
        }
    }

    /// Lets others go on.
    pub(in crate::sync) fn pass(&self) {
        self.scheduler.pass_turn(self.thread, Wish::GoOn);
    }

    /// Waits until somebody wakes those that wait for this.
    pub(in crate::sync) fn wait_for(&self, address: usize) {
        self.scheduler.pass_turn(self.thread, Wish::WaitFor(address));
    }

    pub(in crate::sync) fn wake(&self, address: usize) {
        self.scheduler.wake(address);
    }

    pub(in crate::sync) fn sleep(&self, time: Duration) {
        self.scheduler.pass_turn(self.thread, Wish::Sleep(time));
    }

    /// A place for a thread that this one starts.
    pub(in crate::sync) fn fork(&self, name: &str) -> io::Result<Seat> {
        if self.scheduler.makes_room() {
            return Ok(Seat(self.scheduler.add(name)));
        }
        Err(io::Error::new(io::ErrorKind::WouldBlock, "the system has no room for another thread"))
    }

    pub(in crate::sync) fn join(&self, seat: Seat) {
        self.scheduler.pass_turn(self.thread, Wish::Join(seat.0));
    }
}

impl Seat {
    /// What the new thread runs: it waits for its turn, and passes it on when it ends.
    pub(in crate::sync) fn hold<T, W: FnOnce() -> T>(self, here: &Here, work: W) -> impl FnOnce() -> T + use<T, W> {
        let here = Here { scheduler: Arc::clone(&here.scheduler), thread: self.0 };
        move || {
            here.scheduler.wait_for_turn(here.thread);
            HERE.set(Some(here.clone()));
            let _end = End(here);
            work()
        }
    }
}

/// Ends the part of a thread in its simulation, also where it panics.
struct End(Here);

impl Drop for End {
    fn drop(&mut self) {
        HERE.set(None);
        self.0.scheduler.end(self.0.thread);
    }
}

/// Notes what threads of simulations say when they panic, in place of printing it.
pub(super) fn note_panics() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| match Here::current() {
        Some(here) => here.scheduler.note_panic(here.thread, &panic.to_string(), panic.payload()),
        None => print(panic),
    }));
}

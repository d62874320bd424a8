//! Threads whose order is decided by a schedule, and whose time is a number: equal schedules give equal runs.
//!
//! The threads are real ones, but one runs at a time. At each send, receive, lock, pause, start and join the schedule
//! says who goes on; a pause lasts no longer than the scheduler takes to look at it. So the code under test is that which
//! everybody runs, and a failure is a number that can be run again. docs/decisions/0020 says why.

mod here;
mod schedule;
mod scheduler;
mod search;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Once};
use std::time::Duration;

pub(super) use here::{Here, Seat};
pub use schedule::{Candidates, Dice, RandomSchedule, Schedule};
use scheduler::Scheduler;
pub use search::Search;

/// What a simulated thread that is broken on purpose panics with.
pub const INJECTED: &str = "this thread is broken on purpose";

/// What is to go wrong with threads themselves.
#[derive(Debug, Clone, Default)]
pub struct Breakage {
    /// The thread whose name begins like this panics at its so-manieth step.
    pub panics: Option<(String, u64)>,
    /// So many more threads start, and then none: the system is short of memory.
    pub starts: Option<usize>,
}

/// How a simulation went.
#[derive(Debug)]
pub struct Outcome<T> {
    /// What its first thread gave; nothing if that panicked.
    pub value: Option<T>,
    /// What threads said when they panicked, in their order.
    pub panics: Vec<String>,
    /// How often somebody was chosen to go on.
    pub steps: u64,
    /// Who was chosen, as one number.
    pub trace: u64,
    /// How long it was by its own time.
    pub elapsed: Duration,
}

/// Runs `work` in the first thread of a simulation, and the threads that it starts, until all have ended. Fails, with
/// the names of threads, if they wait for each other for ever.
pub fn simulate<T: Send + 'static>(
    schedule: Box<dyn Schedule>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<Outcome<T>, String> {
    static QUIET: Once = Once::new();
    QUIET.call_once(here::note_panics);
    let scheduler = Arc::new(Scheduler::new(schedule));
    let (here, seat) = Here::first(Arc::clone(&scheduler));
    let thread = std::thread::Builder::new().name("first".to_owned()).spawn(seat.hold(&here, work));
    let thread = thread.map_err(|error| error.to_string())?;
    scheduler.wait_for_end()?;
    let value = thread.join().ok();
    Ok(scheduler.outcome(value))
}

/// The time since the simulation of this thread began; nothing outside of one.
pub fn now() -> Option<Duration> {
    Here::current().map(|here| here.now())
}

/// Says what is to go wrong with threads from now on, in the simulation of this thread.
pub fn break_threads(breakage: Breakage) {
    if let Some(here) = Here::current() {
        here.break_threads(breakage);
    }
}

/// Says whether the schedule is left alone from now on: then whoever runs goes on for as long as it can.
pub fn calm(is_calm: bool) {
    if let Some(here) = Here::current() {
        here.calm(is_calm);
    }
}

/// A place where another thread may go on, and this one may break.
pub fn point() {
    if let Some(here) = Here::current() {
        here.point();
    }
}

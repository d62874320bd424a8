//! Who runs: one thread at a time.

use std::any::Any;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::schedule::{Candidates, Schedule};
use super::{Breakage, INJECTED, Outcome};

/// More steps than any simulation takes that ends.
const MOST_STEPS: u64 = 5_000_000;

/// Without a step for so long, a thread waits for something that no schedule knows of.
const STILL: Duration = Duration::from_secs(120);

/// What a thread wants that passes its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    GoOn,
    WaitFor(usize),
    Join(usize),
    Sleep(Duration),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Ready,
    Waiting(usize),
    Joining(usize),
    Sleeping(Duration),
    Ended,
}

struct Thread {
    name: String,
    status: Status,
    /// Told when it is its turn.
    turn: Arc<Condvar>,
    points: u64,
}

/// Decides who runs.
pub(super) struct Scheduler {
    state: Mutex<State>,
    /// Told when all have ended, or nobody can go on.
    over: Condvar,
}

struct State {
    threads: Vec<Thread>,
    running: usize,
    now: Duration,
    schedule: Box<dyn Schedule>,
    /// The schedule is not asked.
    is_calm: bool,
    breakage: Breakage,
    steps: u64,
    trace: u64,
    panics: Vec<String>,
    /// How it ended.
    over: Option<Result<(), String>>,
}

impl Scheduler {
    pub(super) fn new(schedule: Box<dyn Schedule>) -> Self {
        let state = State {
            threads: Vec::new(),
            running: 0,
            now: Duration::ZERO,
            schedule,
            is_calm: false,
            breakage: Breakage::default(),
            steps: 0,
            trace: 0xcbf2_9ce4_8422_2325,
            panics: Vec::new(),
            over: None,
        };
        Self { state: Mutex::new(state), over: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> Duration {
        self.state().now
    }

    /// Adds a thread that can go on once it is its turn.
    pub(super) fn add(&self, name: &str) -> usize {
        let mut state = self.state();
        let thread = Thread { name: name.to_owned(), status: Status::Ready, turn: Arc::default(), points: 0 };
        state.threads.push(thread);
        state.threads.len() - 1
    }

    pub(super) fn calm(&self, is_calm: bool) {
        self.state().is_calm = is_calm;
    }

    /// True if the system has room for one more thread, which then starts.
    pub(super) fn makes_room(&self) -> bool {
        let mut state = self.state();
        let Some(left) = &mut state.breakage.starts else { return true };
        let has_room = *left > 0;
        *left = left.saturating_sub(1);
        has_room
    }

    pub(super) fn break_threads(&self, breakage: Breakage) {
        self.state().breakage = breakage;
    }

    /// True if this thread is to panic now.
    pub(super) fn breaks(&self, thread: usize) -> bool {
        let mut state = self.state();
        state.threads[thread].points += 1;
        let of = &state.threads[thread];
        let breaks = state.breakage.panics.as_ref();
        let breaks = breaks.is_some_and(|(name, at)| of.points == *at && of.name.starts_with(&**name));
        if breaks {
            // One thread of that name is enough.
            state.breakage.panics = None;
        }
        breaks
    }

    pub(super) fn note_panic(&self, thread: usize, text: &str, payload: &(dyn Any + Send)) {
        let mut state = self.state();
        let text = if payload.downcast_ref() == Some(&INJECTED) { INJECTED } else { text };
        let text = format!("{}: {text}", state.threads[thread].name);
        state.panics.push(text);
    }

    /// Lets the schedule choose who goes on, and waits for the next turn of this thread.
    pub(super) fn pass_turn(&self, thread: usize, wish: Wish) {
        let mut state = self.state();
        state.threads[thread].status = match wish {
            Wish::GoOn => Status::Ready,
            Wish::WaitFor(address) => Status::Waiting(address),
            Wish::Join(other) if state.threads[other].status == Status::Ended => Status::Ready,
            Wish::Join(other) => Status::Joining(other),
            Wish::Sleep(time) => Status::Sleeping(state.now.saturating_add(time)),
        };
        self.choose(&mut state, thread);
        Self::wait(state, thread);
    }

    /// Waits for the first turn of a thread.
    pub(super) fn wait_for_turn(&self, thread: usize) {
        Self::wait(self.state(), thread);
    }

    fn wait(mut state: MutexGuard<'_, State>, thread: usize) {
        let turn = Arc::clone(&state.threads[thread].turn);
        // A simulation that has failed leaves its threads where they are: their stacks borrow from each other.
        while state.running != thread || state.over.is_some() {
            state = turn.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(super) fn end(&self, thread: usize) {
        let mut state = self.state();
        state.threads[thread].status = Status::Ended;
        state.wake(Status::Joining(thread));
        self.choose(&mut state, thread);
    }

    pub(super) fn wake(&self, address: usize) {
        self.state().wake(Status::Waiting(address));
    }

    /// Chooses who goes on.
    fn choose(&self, state: &mut State, from: usize) {
        match state.choose(from) {
            Ok(Some(next)) => {
                state.running = next;
                if next != from {
                    state.threads[next].turn.notify_one();
                }
                return;
            }
            Ok(None) => state.over = Some(Ok(())),
            Err(why) => state.over = Some(Err(why)),
        }
        self.over.notify_all();
    }

    /// Waits for the end of all threads.
    pub(super) fn wait_for_end(&self) -> Result<(), String> {
        let mut state = self.state();
        loop {
            if let Some(over) = state.over.clone() {
                return over;
            }
            let steps = state.steps;
            let (woken, waited) = self.over.wait_timeout(state, STILL).unwrap_or_else(PoisonError::into_inner);
            state = woken;
            if waited.timed_out() && state.steps == steps && state.over.is_none() {
                let name = &state.threads[state.running].name;
                return Err(format!("`{name}` waits for something that is not of `crate::sync`"));
            }
        }
    }

    pub(super) fn outcome<T>(&self, value: Option<T>) -> Outcome<T> {
        let mut state = self.state();
        let panics = std::mem::take(&mut state.panics);
        Outcome { value, panics, steps: state.steps, trace: state.trace, elapsed: state.now }
    }
}

impl State {
    fn wake(&mut self, waiting: Status) {
        for thread in self.threads.iter_mut().filter(|thread| thread.status == waiting) {
            thread.status = Status::Ready;
        }
    }

    /// Who goes on; nobody if all have ended.
    fn choose(&mut self, from: usize) -> Result<Option<usize>, String> {
        // Whoever has the turn comes first, then those after it: without deviations everybody gets on.
        let count = self.threads.len();
        let from_here = (0..count).map(|step| (from + step) % count);
        let ready: Vec<usize> = from_here.filter(|&at| self.threads[at].status == Status::Ready).collect();
        let sleeper = self.first_sleeper();
        if ready.is_empty() && sleeper.is_none() {
            let left = self.describe();
            return if left.is_empty() { Ok(None) } else { Err(format!("nobody can go on: {left}")) };
        }
        self.steps += 1;
        if self.steps > MOST_STEPS {
            return Err(format!("it does not end: {}", self.describe()));
        }
        let sleeping = sleeper.map(|(thread, _)| thread);
        let plain = if self.is_calm { ready.first().copied().or(sleeping) } else { None };
        let next = match plain {
            Some(next) => next,
            None => self.schedule.choose(&Candidates { ready, sleeping, from })?,
        };
        if let Some((thread, until)) = sleeper.filter(|(thread, _)| *thread == next) {
            self.threads[thread].status = Status::Ready;
            self.now = self.now.max(until);
        }
        self.trace = (self.trace ^ next as u64).wrapping_mul(0x0100_0000_01b3);
        Ok(Some(next))
    }

    /// Who is to wake first, and when.
    fn first_sleeper(&self) -> Option<(usize, Duration)> {
        let until = |(at, thread): (usize, &Thread)| match thread.status {
            Status::Sleeping(until) => Some((at, until)),
            _ => None,
        };
        self.threads.iter().enumerate().filter_map(until).min_by_key(|(_, until)| *until)
    }

    /// Those that have not ended, and what they wait for.
    fn describe(&self) -> String {
        let left = self.threads.iter().filter(|thread| thread.status != Status::Ended);
        let named = left.map(|thread| match thread.status {
            Status::Joining(other) => format!("`{}` joins `{}`", thread.name, self.threads[other].name),
            Status::Waiting(address) => format!("`{}` waits for {address:x}", thread.name),
            status => format!("`{}` is {status:?}", thread.name),
        });
        named.collect::<Vec<_>>().join(", ")
    }
}

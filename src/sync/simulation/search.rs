//! Who goes on, in every way in which few threads are held up.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::schedule::{Candidates, Delayed, Schedule};

/// Goes through schedules: first the plain one, in which whoever runs goes on for as long as it can; then each in which a
/// thread is held up at one place, at two, and so on up to a bound (Emmi et al., "Delay-bounded scheduling").
#[derive(Debug)]
pub struct Search {
    delays: usize,
    trail: Arc<Mutex<Trail>>,
    has_begun: bool,
}

/// The choices of a run: how many candidates were held up, of how many.
#[derive(Debug, Default)]
struct Trail {
    choices: Vec<(usize, usize)>,
    at: usize,
}

fn lock(trail: &Mutex<Trail>) -> MutexGuard<'_, Trail> {
    trail.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Search {
    /// All schedules with at most so many delays; `usize::MAX` for all there are.
    pub fn new(delays: usize) -> Self {
        Self { delays, trail: Arc::default(), has_begun: false }
    }

    /// True if there is another schedule. The last one must have been run.
    fn go_on(&mut self) -> bool {
        let mut trail = lock(&self.trail);
        trail.at = 0;
        if !std::mem::replace(&mut self.has_begun, true) {
            return true;
        }
        let mut spent: usize = trail.choices.iter().map(|(delays, _)| delays).sum();
        while let Some((delays, of)) = trail.choices.pop() {
            if delays + 1 < of && spent < self.delays {
                trail.choices.push((delays + 1, of));
                return true;
            }
            spent -= delays;
        }
        false
    }
}

impl Iterator for Search {
    type Item = Box<dyn Schedule>;

    fn next(&mut self) -> Option<Box<dyn Schedule>> {
        self.go_on().then(|| Box::new(Repeat { trail: Arc::clone(&self.trail), delayed: Delayed::default() }) as _)
    }
}

/// One schedule of a search.
struct Repeat {
    trail: Arc<Mutex<Trail>>,
    delayed: Delayed,
}

impl Schedule for Repeat {
    fn choose(&mut self, candidates: &Candidates) -> Result<usize, String> {
        let ranked = self.delayed.rank(candidates);
        let mut trail = lock(&self.trail);
        let at = trail.at;
        if at == trail.choices.len() {
            trail.choices.push((0, ranked.len()));
        }
        let (delays, of) = trail.choices[at];
        if of != ranked.len() {
            return Err("it cannot be repeated: something is not decided by its schedule".to_owned());
        }
        trail.at += 1;
        Ok(self.delayed.delay(&ranked, delays))
    }
}

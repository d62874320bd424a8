//! What is due, what runs, and when to look again. It asks no clock and starts nothing: so a year can be tried at once.

use crate::env::UnixNanos;
use crate::schedule::{Schedule, nanos};

/// Something that is done again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Work {
    /// A snapshot of the target with this number, and its retention.
    Target(usize),
    /// Checking a part.
    Check,
    /// Collecting garbage.
    Prune,
    /// A restore for practice.
    Drill,
}

impl Work {
    /// True for a target's run, false for upkeep.
    pub fn is_target(self) -> bool {
        matches!(self, Self::Target(_))
    }
}

/// One entry.
#[derive(Debug, Clone)]
struct Entry {
    work: Work,
    schedule: Schedule,
    last: Option<UnixNanos>,
    due: UnixNanos,
    failures: u32,
    runs: bool,
    /// True once it has ended since the beginning.
    has_ended: bool,
}

/// All entries.
#[derive(Debug, Clone)]
pub struct Agenda {
    entries: Vec<Entry>,
    parallel: usize,
    seen: UnixNanos,
}

/// A clock that goes back by less than this is only set right.
const JUMP: i64 = 1_000_000_000;

impl Agenda {
    /// An agenda for these; `last` says when something was begun last, `random` is anything. At most `parallel` targets
    /// run at once, and one work of upkeep beside them.
    pub fn new(
        work: impl IntoIterator<Item = (Work, Schedule)>,
        last: impl Fn(Work) -> Option<UnixNanos>,
        parallel: usize,
        now: UnixNanos,
        mut random: impl FnMut() -> u64,
    ) -> Self {
        let entry = |(work, schedule): (Work, Schedule)| {
            let last = last(work);
            let due = schedule.next(last, now).saturating_add(schedule.delay(random()));
            Entry { work, schedule, last, due, failures: 0, runs: false, has_ended: false }
        };
        Self { entries: work.into_iter().map(entry).collect(), parallel: parallel.max(1), seen: now }
    }

    /// What is to be started now, in the order in which it was due. Whoever asks starts it.
    pub fn start(&mut self, now: UnixNanos) -> Vec<Work> {
        self.notice_jump(now);
        let mut due: Vec<usize> = (0..self.entries.len()).filter(|&place| self.may_start(place, now)).collect();
        due.sort_by_key(|&place| (self.entries[place].due, self.entries[place].work));
        let mut started = Vec::new();
        for place in due {
            let work = self.entries[place].work;
            if !self.has_room(work) || self.must_wait(work, now) {
                continue;
            }
            let entry = &mut self.entries[place];
            (entry.runs, entry.last) = (true, Some(now));
            started.push(entry.work);
        }
        started
    }

    fn may_start(&self, place: usize, now: UnixNanos) -> bool {
        let entry = &self.entries[place];
        !entry.runs && entry.due <= now
    }

    /// True while a target is due or runs that has not ended yet: whoever starts anew takes snapshots first.
    fn has_first_run(&self, now: UnixNanos) -> bool {
        let is_first = |entry: &Entry| entry.work.is_target() && !entry.has_ended && (entry.runs || entry.due <= now);
        self.entries.iter().any(is_first)
    }

    /// True for what something else comes before: what is there is checked before anything is removed of it.
    fn must_wait(&self, work: Work, now: UnixNanos) -> bool {
        let check = |entry: &Entry| entry.work == Work::Check && (entry.runs || entry.due <= now);
        match work {
            Work::Target(_) => false,
            Work::Prune => self.has_first_run(now) || self.entries.iter().any(check),
            Work::Check | Work::Drill => self.has_first_run(now),
        }
    }

    fn has_room(&self, work: Work) -> bool {
        let running =
            self.entries.iter().filter(|entry| entry.runs && entry.work.is_target() == work.is_target()).count();
        running < if work.is_target() { self.parallel } else { 1 }
    }

    /// After a jump back, nothing waits for a moment that is far away now.
    fn notice_jump(&mut self, now: UnixNanos) {
        if now.saturating_add(JUMP) < self.seen {
            for entry in self.entries.iter_mut().filter(|entry| !entry.runs) {
                let latest = entry.schedule.next(entry.last, now).saturating_add(nanos(entry.schedule.jitter));
                entry.due = entry.due.min(latest.max(now));
            }
        }
        self.seen = now;
    }

    /// What runs by another agenda runs by this one, and is not started beside itself; `same` says what it is called
    /// here, if there is still such a thing.
    pub fn take_over(&mut self, other: &Self, same: impl Fn(Work) -> Option<Work>) {
        for old in &other.entries {
            let Some(work) = same(old.work) else { continue };
            let Some(entry) = self.entries.iter_mut().find(|entry| entry.work == work) else { continue };
            (entry.runs, entry.has_ended, entry.failures) = (old.runs, old.has_ended, old.failures);
            if old.runs {
                entry.last = old.last;
            }
        }
    }

    /// Something has ended.
    pub fn ended(&mut self, work: Work, went_well: bool, now: UnixNanos, random: u64) {
        let Some(entry) = self.entries.iter_mut().find(|entry| entry.work == work) else { return };
        (entry.runs, entry.has_ended) = (false, true);
        let last = entry.last.unwrap_or(now);
        entry.failures = if went_well { 0 } else { entry.failures.saturating_add(1) };
        entry.due = if went_well {
            entry.schedule.next(Some(last), now).saturating_add(entry.schedule.delay(random))
        } else {
            entry.schedule.retry(last, now, entry.failures)
        };
    }

    /// When there is something to start, if nothing ends before: never at once, if everything was started that can be.
    pub fn wake(&self, now: UnixNanos) -> Option<UnixNanos> {
        let may_start = |entry: &&Entry| !entry.runs && self.has_room(entry.work) && !self.must_wait(entry.work, now);
        self.entries.iter().filter(may_start).map(|entry| entry.due).min()
    }

    /// When something is due; nothing while it runs.
    pub fn due(&self, work: Work) -> Option<UnixNanos> {
        self.entries.iter().find(|entry| entry.work == work && !entry.runs).map(|entry| entry.due)
    }

    /// How many failures in a row something has.
    pub fn failures(&self, work: Work) -> u32 {
        self.entries.iter().find(|entry| entry.work == work).map_or(0, |entry| entry.failures)
    }

    /// How many things run.
    pub fn running(&self) -> usize {
        self.entries.iter().filter(|entry| entry.runs).count()
    }

    /// How many things are due and wait for room.
    pub fn waiting(&self, now: UnixNanos) -> usize {
        self.entries.iter().filter(|entry| !entry.runs && entry.due <= now).count()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const MINUTE: i64 = 60_000_000_000;

    fn agenda(targets: usize, parallel: usize) -> Agenda {
        let every = |minutes: u64| Schedule::every(Duration::from_secs(60 * minutes));
        let work = (0..targets).map(|number| (Work::Target(number), every(15)));
        Agenda::new(work.chain([(Work::Prune, every(1440)), (Work::Check, every(1440))]), |_| None, parallel, 0, || 0)
    }

    #[test]
    fn targets_run_side_by_side_within_bounds_and_never_twice() {
        let mut agenda = agenda(3, 2);
        assert_eq!(agenda.start(0), [Work::Target(0), Work::Target(1)]);
        assert_eq!(agenda.start(0), []);
        assert_eq!((agenda.running(), agenda.waiting(0), agenda.wake(0)), (2, 3, None));
        agenda.ended(Work::Target(0), true, MINUTE, 0);
        assert_eq!(agenda.start(MINUTE), [Work::Target(2)]);
        agenda.ended(Work::Target(1), true, MINUTE, 0);
        assert_eq!(agenda.start(MINUTE), [], "the third has not ended yet");
        agenda.ended(Work::Target(2), true, MINUTE, 0);
        assert_eq!(agenda.start(MINUTE), [Work::Check], "one work of upkeep at a time");
        agenda.ended(Work::Check, true, MINUTE, 0);
        assert_eq!(agenda.start(MINUTE), [Work::Prune]);
        // A run that takes longer than its interval: the next begins when it has ended, and only one.
        assert_eq!(agenda.start(16 * MINUTE), [Work::Target(0), Work::Target(1)]);
        agenda.ended(Work::Target(0), true, 50 * MINUTE, 0);
        let started = agenda.start(50 * MINUTE);
        assert!(!started.contains(&Work::Target(1)) && started.len() == 1, "{started:?}");
    }

    #[test]
    fn a_check_that_is_due_comes_before_pruning_whichever_was_due_first() {
        let every = |minutes: u64| Schedule::every(Duration::from_secs(60 * minutes));
        let work = [(Work::Prune, every(10)), (Work::Check, every(11))];
        let mut agenda = Agenda::new(work, |_| Some(0), 1, 0, || 0);
        assert_eq!(agenda.wake(0), Some(10 * MINUTE));
        assert_eq!(agenda.start(12 * MINUTE), [Work::Check]);
        agenda.ended(Work::Check, false, 12 * MINUTE, 0);
        assert_eq!(agenda.start(12 * MINUTE), [Work::Prune]);
    }

    #[test]
    fn failures_come_back_soon_and_success_at_its_time() {
        let mut agenda = agenda(1, 1);
        agenda.start(0);
        agenda.ended(Work::Target(0), false, 0, 0);
        assert_eq!((agenda.due(Work::Target(0)), agenda.failures(Work::Target(0))), (Some(MINUTE), 1));
        agenda.start(MINUTE);
        agenda.ended(Work::Target(0), true, MINUTE, 0);
        assert_eq!((agenda.due(Work::Target(0)), agenda.failures(Work::Target(0))), (Some(16 * MINUTE), 0));
    }

    #[test]
    fn what_runs_goes_on_by_a_new_agenda_under_its_new_name() {
        let mut old = agenda(2, 2);
        old.start(0);
        let mut new = agenda(3, 2);
        // The first was taken out of the file, the second is the third now.
        new.take_over(&old, |work| (work == Work::Target(1)).then_some(Work::Target(2)));
        assert_eq!(new.running(), 1);
        assert_eq!(new.start(MINUTE), [Work::Target(0)], "the third runs, and there is room for one more");
        new.ended(Work::Target(2), true, 2 * MINUTE, 0);
        assert_eq!(new.due(Work::Target(2)), Some(15 * MINUTE), "since it was begun");
    }

    #[test]
    fn a_clock_that_jumps_stops_nothing() {
        let mut agenda = agenda(1, 1);
        let year = 365 * 1440 * MINUTE;
        agenda.start(year);
        agenda.ended(Work::Target(0), true, year, 0);
        agenda.start(0);
        assert!(agenda.due(Work::Target(0)).is_some_and(|due| due <= 15 * MINUTE), "{agenda:?}");
        // Ahead: once, not for every run that was missed.
        assert!(agenda.start(2 * year).contains(&Work::Target(0)));
        agenda.ended(Work::Target(0), true, 2 * year, 0);
        assert_eq!(agenda.due(Work::Target(0)), Some(2 * year + 15 * MINUTE));
    }
}

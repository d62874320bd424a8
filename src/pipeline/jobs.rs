//! Sources waiting for their turn, and what became of them.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::PoisonError;

use super::lanes::Lanes;
use crate::env::Cancel;
use crate::sync::{Mutex, locked};

pub(super) type Source<'a, T, E> = Box<dyn FnOnce(&mut Lanes) -> Result<T, E> + Send + 'a>;

/// Sources with their lanes, run by any number of threads.
pub(super) struct Work<'a, T, E> {
    waiting: Mutex<Waiting<'a, T, E>>,
    verdicts: Mutex<Vec<Option<T>>>,
    failed: Mutex<Option<(usize, E)>>,
    pub(super) cancel: Cancel,
}

type Waiting<'a, T, E> = std::iter::Enumerate<std::vec::IntoIter<(Source<'a, T, E>, Lanes)>>;

/// Why a source has given no verdict although nothing failed.
fn no_verdict() -> io::Error {
    io::Error::other("the source ended without a verdict; this is a defect of sfarc")
}

impl<'a, T: Send, E: From<io::Error> + Send> Work<'a, T, E> {
    pub(super) fn new(jobs: Vec<(Source<'a, T, E>, Lanes)>, cancel: Cancel) -> Self {
        let verdicts = Mutex::new(jobs.iter().map(|_| None).collect());
        Self { waiting: Mutex::new(jobs.into_iter().enumerate()), verdicts, failed: Mutex::default(), cancel }
    }

    /// Runs one source after the other until none is left or one has failed.
    pub(super) fn run(&self) {
        while !self.cancel.is_cancelled() {
            let Some((job, (source, lanes))) = locked(&self.waiting).next() else { return };
            // Whoever is lost with its source would be taken for one that has nothing more to say.
            let taken = catch_unwind(AssertUnwindSafe(|| take(source, lanes)));
            match taken.unwrap_or_else(|_| Err(no_verdict().into())) {
                Ok(verdict) => locked(&self.verdicts)[job] = Some(verdict),
                Err(error) => self.fail(job, error),
            }
        }
        // The channel closes when nobody holds an end of it any more.
        while locked(&self.waiting).next().is_some() {}
    }

    /// Takes note of the first failure; those that follow from it say nothing new.
    fn fail(&self, job: usize, error: E) {
        locked(&self.failed).get_or_insert((job, error));
        self.cancel.cancel();
    }

    /// What all sources said, in their order, or the first failure.
    pub(super) fn verdicts(self) -> Result<Vec<T>, (usize, E)> {
        if let Some(failed) = self.failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(failed);
        }
        let verdicts = self.verdicts.into_inner().unwrap_or_else(PoisonError::into_inner);
        let said = |(job, verdict): (usize, Option<T>)| verdict.ok_or_else(|| (job, no_verdict().into()));
        verdicts.into_iter().enumerate().map(said).collect()
    }
}

/// Runs a source to its end, which it has only reached when its streams have.
fn take<T, E: From<io::Error>>(source: Source<'_, T, E>, mut lanes: Lanes) -> Result<T, E> {
    let verdict = source(&mut lanes)?;
    lanes.finish()?;
    Ok(verdict)
}

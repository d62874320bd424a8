//! Moving objects from one store to another, a few at a time.
//!
//! Whatever is put has been read and proven first, and what is there is only replaced if it was read and is not whole.

use std::sync::{Mutex, PoisonError};

use super::proof::{Proof, Prover};
use super::{failed, there};
use crate::backend::{Backend, BackendError, Key};
use crate::env::Env;
use crate::error::Error;
use crate::event::{Event, Task};
use crate::limits;
use crate::repo::RepoError;

/// An object that the mirror is to have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) key: Key,
    /// Its length in bytes in the repository.
    pub(super) len: u64,
    /// True if the mirror has an object of this name, which is read before it is believed.
    pub(super) is_there: bool,
}

/// What became of objects.
#[derive(Debug, Default)]
pub(super) struct Moved {
    /// Objects that were copied.
    pub(super) objects: u64,
    /// Their bytes.
    pub(super) bytes: u64,
    /// Those of them that stand in the place of one that was not whole.
    pub(super) healed: u64,
    /// Objects that were read in the mirror and are whole.
    pub(super) present: u64,
    /// True if some were gone.
    pub(super) vanished: bool,
    /// Those that are not whole in the repository.
    pub(super) damaged: Vec<Key>,
    /// Those that are not whole in the mirror and stay so.
    pub(super) spoilt: Vec<Key>,
}

impl Moved {
    fn copied(bytes: u64, is_healed: bool) -> Self {
        Self { objects: 1, bytes, healed: u64::from(is_healed), ..Self::default() }
    }

    fn present() -> Self {
        Self { present: 1, ..Self::default() }
    }

    fn add(&mut self, other: Self) {
        self.objects += other.objects;
        self.bytes += other.bytes;
        self.healed += other.healed;
        self.present += other.present;
        self.vanished |= other.vanished;
        self.damaged.extend(other.damaged);
        self.spoilt.extend(other.spoilt);
    }
}

/// What the mirror has under a name.
enum Known {
    Nothing,
    /// It is what its name says, and so long.
    Whole(u64),
    /// It is not, or nobody can tell.
    Doubtful(Vec<u8>),
}

/// From where to where.
pub(super) struct Transfer<'a> {
    pub(super) from: &'a dyn Backend,
    pub(super) to: &'a dyn Backend,
    pub(super) env: &'a Env,
    pub(super) prover: Prover<'a>,
    /// Reads what is there, and changes nothing.
    pub(super) dry_run: bool,
}

impl Transfer<'_> {
    /// Copies objects in order, but several at a time: none of one call needs another of it.
    pub(super) fn run(&self, objects: Vec<Wanted>) -> Result<Moved, Error> {
        let queue = Mutex::new(objects.into_iter());
        let stop = self.env.cancel.child();
        let work = || -> Result<Moved, Error> {
            let mut moved = Moved::default();
            loop {
                let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some(wanted) = next else { return Ok(moved) };
                if stop.is_cancelled() {
                    return Err(Error::Repo(RepoError::Cancelled));
                }
                moved.add(self.copy(wanted).inspect_err(|_| stop.cancel())?);
                self.env.tell(&Event::Advance(Task::ONLY, wanted.len));
            }
        };
        let ended: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..limits::MIRROR_AHEAD).map(|_| scope.spawn(work)).collect();
            threads.into_iter().map(|thread| thread.join().expect("copying does not panic")).collect()
        });
        let mut all = Moved::default();
        // Those that were only told to stop come after the one that failed.
        let is_cancelled = |error: &Error| matches!(error, Error::Repo(RepoError::Cancelled));
        let mut failure: Option<Error> = None;
        for one in ended {
            match one {
                Ok(moved) => all.add(moved),
                Err(error) if failure.as_ref().is_none_or(is_cancelled) => failure = Some(error),
                Err(_) => {}
            }
        }
        failure.map_or(Ok(all), Err)
    }

    fn look(&self, key: &Key) -> Result<Known, BackendError> {
        match self.to.get(key, None) {
            Ok(bytes) if self.prover.prove(key, &bytes) == Proof::Whole => Ok(Known::Whole(bytes.len() as u64)),
            Ok(bytes) => Ok(Known::Doubtful(bytes)),
            Err(error) if error.is_not_found() => Ok(Known::Nothing),
            Err(error) if error.is_damage() => Ok(Known::Doubtful(Vec::new())),
            Err(error) => Err(error),
        }
    }

    fn copy(&self, wanted: Wanted) -> Result<Moved, Error> {
        let Wanted { key, len, is_there } = wanted;
        let damaged = |spoilt: Vec<Key>| Ok(Moved { damaged: vec![key], spoilt, ..Moved::default() });
        let known = if is_there { self.look(&key).map_err(there)? } else { Known::Nothing };
        match known {
            Known::Whole(whole) if whole == len => return Ok(Moved::present()),
            // What the repository has under this name cannot be what the name says.
            Known::Whole(_) => return damaged(Vec::new()),
            Known::Nothing if self.dry_run => return Ok(Moved::copied(len, false)),
            Known::Nothing | Known::Doubtful(_) => {}
        }
        let spoilt = if matches!(known, Known::Doubtful(_)) { vec![key] } else { Vec::new() };
        let bytes = match self.from.get(&key, None) {
            Ok(bytes) => bytes,
            Err(error) if error.is_not_found() => return Ok(Moved { vanished: true, ..Moved::default() }),
            Err(error) if error.is_damage() => return damaged(spoilt),
            Err(error) => return Err(failed(error)),
        };
        match (self.prover.prove(&key, &bytes), &known) {
            (Proof::Wrong, _) => return damaged(spoilt),
            (Proof::Unknown, Known::Doubtful(there)) if *there == bytes => return Ok(Moved::present()),
            // Nobody can tell which of the two is right.
            (Proof::Unknown, Known::Doubtful(_)) => return damaged(spoilt),
            _ => {}
        }
        let moved = Moved::copied(bytes.len() as u64, !spoilt.is_empty());
        if self.dry_run {
            return Ok(moved);
        }
        let put = if spoilt.is_empty() { self.to.put(&key, &bytes) } else { self.to.replace(&key, &bytes) };
        match put {
            Ok(()) => Ok(moved),
            // Somebody else mirrors, too; or the store lets nothing be replaced.
            Err(error) if error.is_exists() => Ok(Moved { spoilt, ..Moved::default() }),
            Err(error) => Err(there(error)),
        }
    }
}

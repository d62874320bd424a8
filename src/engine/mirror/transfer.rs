//! Moving objects from one store to another, a few at a time.

use std::sync::{Mutex, PoisonError};

use super::{failed, there};
use crate::backend::{Backend, Key};
use crate::env::Env;
use crate::error::Error;
use crate::event::{Event, Task};
use crate::format::manifest::FenceRecord;
use crate::limits;
use crate::repo::RepoError;
use crate::repo::objects::check_name;

/// What became of objects.
#[derive(Debug, Default)]
pub(super) struct Moved {
    /// Objects that were copied.
    pub(super) objects: u64,
    /// Their bytes.
    pub(super) bytes: u64,
    /// True if some were gone.
    pub(super) vanished: bool,
    /// Those that are not what their names say.
    pub(super) damaged: Vec<Key>,
}

impl Moved {
    fn add(&mut self, other: Self) {
        self.objects += other.objects;
        self.bytes += other.bytes;
        self.vanished |= other.vanished;
        self.damaged.extend(other.damaged);
    }
}

/// Copies objects in order, but several at a time: none of one call needs another of it.
pub(super) fn transfer(
    from: &dyn Backend,
    to: &dyn Backend,
    env: &Env,
    objects: Vec<(Key, u64)>,
) -> Result<Moved, Error> {
    let queue = Mutex::new(objects.into_iter());
    let stop = env.cancel.child();
    let work = || -> Result<Moved, Error> {
        let mut moved = Moved::default();
        loop {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((key, len)) = next else { return Ok(moved) };
            if stop.is_cancelled() {
                return Err(Error::Repo(RepoError::Cancelled));
            }
            moved.add(copy(from, to, &key, len).inspect_err(|_| stop.cancel())?);
            env.tell(&Event::Advance(Task::ONLY, len));
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

fn copy(from: &dyn Backend, to: &dyn Backend, key: &Key, len: u64) -> Result<Moved, Error> {
    let bytes = match from.get(key, None) {
        Ok(bytes) => bytes,
        Err(error) if error.is_not_found() => return Ok(Moved { vanished: true, ..Moved::default() }),
        Err(error) => return Err(failed(error)),
    };
    // A fence stands in the place of a snapshot that was never committed, under its name.
    let is_fence = matches!(key, Key::Snapshot(_)) && len == FenceRecord::STORED_LEN;
    if !is_fence && check_name(key, &bytes).is_err() {
        return Ok(Moved { damaged: vec![*key], ..Moved::default() });
    }
    match to.put(key, &bytes) {
        Ok(()) => Ok(Moved { objects: 1, bytes: bytes.len() as u64, ..Moved::default() }),
        // Somebody else mirrors, too.
        Err(error) if error.is_exists() => Ok(Moved::default()),
        Err(error) => Err(there(error)),
    }
}

//! Which sessions are alive. A bucket knows nothing of processes: a live session makes itself heard from time to time,
//! and one that is silent for long is taken for dead. The times are those that the store gives to objects; they are
//! compared with each other only. A wrong guess loses nothing: the writer notices, and begins anew.
//!
//! Signals and clocks are put over each other. Where a store does not let that happen, they have numbers.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::path::Path;
use object_store::{Error, ObjectMeta, ObjectStoreExt, PutPayload};
use tokio::runtime::Runtime;
use tokio::task::AbortHandle;

use super::remove::is_refusal;
use super::{Bucket, Outcome, layout, nanos};
use crate::backend::{Hold, Kind};
use crate::ids::SessionId;

/// How long a live session may be silent.
pub(super) const SESSION_LIMIT: Duration = Duration::from_secs(6 * 3600);
/// How often it makes itself heard.
const BEAT: Duration = Duration::from_secs(3600);
/// How the names of signals go on behind that of their session.
const SIGNAL: &str = ".alive";
/// What is put to learn the time.
const CLOCK: &str = "clock";

/// A session that makes itself heard until it is dropped.
pub(super) struct Alive {
    beating: AbortHandle,
    /// Requests go on for as long as somebody holds a session.
    _runtime: Arc<Runtime>,
}

impl std::fmt::Debug for Alive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Alive")
    }
}

impl Hold for Alive {}

impl Alive {
    pub(super) fn begin(bucket: &Bucket, runtime: Arc<Runtime>, session: &SessionId) -> Self {
        let (bucket, session) = (bucket.clone(), *session);
        let beat = async move {
            for number in 1_u64.. {
                tokio::time::sleep(BEAT).await;
                // With each time that this fails the limit has an hour less; it has room.
                let _ = beat(&bucket, &session, number).await;
            }
        };
        Self { beating: runtime.spawn(beat).abort_handle(), _runtime: runtime }
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.beating.abort();
    }
}

/// No object's name: readers pass over it, and whoever removes the session removes it.
pub(super) fn signal(bucket: &Bucket, session: &SessionId) -> Path {
    in_folder(bucket, &format!("{session}{SIGNAL}"))
}

fn in_folder(bucket: &Bucket, name: &str) -> Path {
    bucket.below(&format!("{}/{name}", layout::folder(Kind::Sessions)))
}

/// Makes a session heard: over the last signal, or beside it.
async fn beat(bucket: &Bucket, session: &SessionId, number: u64) -> Outcome<()> {
    match bucket.store.put(&signal(bucket, session), PutPayload::new()).await {
        Err(error) if is_refusal(&error) => {
            let beside = in_folder(bucket, &format!("{session}{SIGNAL}-{number}"));
            bucket.create(&beside, &Bytes::new(), None).await
        }
        put => put.map(drop),
    }
}

/// True if anything of this session was put within the limit.
pub(super) fn is_held(bucket: &Bucket, session: &SessionId, limit: Duration) -> Outcome<bool> {
    let name = session.to_string();
    let folder = bucket.below(layout::folder(Kind::Sessions));
    let begins = |found: &ObjectMeta| found.location.filename().is_some_and(|file| file.starts_with(&name));
    let before = folder.clone().join(&name[..name.len() - 1]);
    bucket.run(|| async {
        let found = bucket.store.list_with_offset(Some(&folder), &before);
        let mut found = found.try_skip_while(|found| std::future::ready(Ok(!begins(found))));
        let mut latest = None;
        while let Some(found) = found.try_next().await? {
            if !begins(&found) {
                break;
            }
            latest = latest.max(Some(nanos(&found)));
        }
        let Some(latest) = latest else { return Ok(false) };
        let is_within = |now: i64| u128::try_from(now.saturating_sub(latest)).unwrap_or(0) < limit.as_nanos();
        // What was silent for too long a while ago still is.
        if bucket.moment.get().is_some_and(|earlier| !is_within(earlier)) {
            return Ok(false);
        }
        Ok(is_within(store_time(bucket).await?))
    })
}

/// The last moment by the store's own clock that somebody has asked for.
#[derive(Debug, Default)]
pub(super) struct Moment(Mutex<Option<i64>>);

impl Moment {
    fn locked(&self) -> MutexGuard<'_, Option<i64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self) -> Option<i64> {
        *self.locked()
    }

    pub(super) fn forget(&self) {
        *self.locked() = None;
    }
}

/// The moment by the store's own clock: the time of an object that was just put. Where each such object stays, the last
/// moment has to do: it takes sessions for alive that were so a moment ago.
async fn store_time(bucket: &Bucket) -> Outcome<i64> {
    let mut path = in_folder(bucket, CLOCK);
    match bucket.store.put(&path, PutPayload::new()).await {
        Err(error) if is_refusal(&error) => match bucket.moment.get() {
            Some(moment) => return Ok(moment),
            None => path = another_clock(bucket).await?,
        },
        put => put.map(drop)?,
    }
    let now = nanos(&bucket.store.head(&path).await?);
    *bucket.moment.locked() = Some(now);
    Ok(now)
}

/// Puts a clock under a number that is free.
async fn another_clock(bucket: &Bucket) -> Outcome<Path> {
    let folder = bucket.below(layout::folder(Kind::Sessions));
    let number = |found: &ObjectMeta| clock_number(found.location.filename()?);
    let mut found = bucket.store.list_with_offset(Some(&folder), &in_folder(bucket, CLOCK));
    let mut last = 0;
    while let Some(number) = found.try_next().await?.as_ref().and_then(number) {
        last = number;
    }
    loop {
        last += 1;
        // As many digits for each, so that they are listed in their order.
        let path = in_folder(bucket, &format!("{CLOCK}-{last:016}"));
        match bucket.create(&path, &Bytes::new(), None).await {
            // Another collector was quicker.
            Err(Error::AlreadyExists { .. }) => {}
            created => return created.map(|()| path),
        }
    }
}

fn clock_number(name: &str) -> Option<u64> {
    name.strip_prefix(CLOCK)?.strip_prefix('-')?.parse().ok()
}

/// Removes signals of sessions that have ended, and clocks with numbers; says how many there were that could be removed.
pub(super) fn sweep(bucket: &Bucket) -> Outcome<usize> {
    let folder = bucket.below(layout::folder(Kind::Sessions));
    let found: Vec<Path> =
        bucket.run(|| async { bucket.store.list(Some(&folder)).map_ok(|found| found.location).try_collect().await })?;
    let sessions: HashSet<&str> = found.iter().filter_map(Path::filename).collect();
    let is_stray = |path: &&Path| {
        let name = path.filename().unwrap_or_default();
        let of = name.split_once(SIGNAL).map(|(session, _)| session);
        of.is_some_and(|session| !sessions.contains(session)) || clock_number(name).is_some()
    };
    let stray: Vec<Path> = found.iter().filter(is_stray).cloned().collect();
    if stray.is_empty() {
        return Ok(0);
    }
    Ok(stray.len() - bucket.delete(&stray)?.len())
}

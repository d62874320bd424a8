//! Which sessions are alive. A bucket knows nothing of processes: a live session makes itself heard from time to time,
//! and one that is silent for long is taken for dead. The times are those that the store gives to objects; they are
//! compared with each other only. A wrong guess loses nothing: the writer notices, and begins anew.

use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt, PutPayload};
use tokio::runtime::Runtime;
use tokio::task::AbortHandle;

use super::{Bucket, Outcome, layout, nanos};
use crate::backend::{Hold, Kind};
use crate::ids::SessionId;

/// How long a live session may be silent.
pub(super) const SESSION_LIMIT: Duration = Duration::from_secs(6 * 3600);
/// How often it makes itself heard.
const BEAT: Duration = Duration::from_secs(3600);

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
        let (bucket, path) = (bucket.clone(), signal(bucket, session));
        let beat = async move {
            loop {
                tokio::time::sleep(BEAT).await;
                // A credential that may only create gets an hour less with each time that this fails; the limit has room.
                let _ = bucket.store.put(&path, PutPayload::new()).await;
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
    bucket.below(&format!("{}/{session}.alive", layout::folder(Kind::Sessions)))
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
        let age = store_time(bucket).await?.saturating_sub(latest);
        Ok(u128::try_from(age).unwrap_or(0) < limit.as_nanos())
    })
}

/// The moment by the store's own clock: the time of an object that was just put.
async fn store_time(bucket: &Bucket) -> Outcome<i64> {
    let path = bucket.below(&format!("{}/clock", layout::folder(Kind::Sessions)));
    bucket.store.put(&path, PutPayload::new()).await?;
    Ok(nanos(&bucket.store.head(&path).await?))
}

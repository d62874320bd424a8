//! Storing objects: where none may be, and in the place of one.

use bytes::Bytes;
use object_store::path::Path;
use object_store::{Error, ObjectStore, PutMode, PutOptions, PutPayload};

use super::lock::{Locks, is_locked};
use super::remove::is_refusal;
use super::retry::{is_final, is_invalid};
use super::{Bucket, Outcome, failed};
use crate::backend::{BackendError, Cause, Key};

fn failed_put(action: &'static str, key: &Key, locks: Option<&Locks>, error: Error) -> BackendError {
    if locks.is_some() && is_invalid(&error) {
        return BackendError::new(action, key, Cause::Unlockable(Box::new(error)));
    }
    failed(action, key, error)
}

impl Bucket {
    pub(super) async fn create(&self, path: &Path, bytes: &Bytes, locks: Option<&Locks>) -> Outcome<()> {
        let extensions = locks.map(|locks| locks.on_put(bytes)).unwrap_or_default();
        let options = PutOptions { mode: PutMode::Create, extensions, ..PutOptions::default() };
        self.store.put_opts(path, PutPayload::from_bytes(bytes.clone()), options).await.map(drop)
    }

    /// Creates an object; if an answer was lost, by looking at what is there.
    pub(super) async fn create_surely(&self, path: &Path, bytes: &Bytes, locks: Option<&Locks>) -> Outcome<()> {
        let mut waits = self.retry.waits();
        let mut is_unsure = false;
        loop {
            let error = match self.create(path, bytes, locks).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            if matches!(error, Error::AlreadyExists { .. }) && is_unsure {
                let there = self.retry.run(|| self.read(path, None)).await?;
                return if there.as_ref() == Some(bytes) { Ok(()) } else { Err(error) };
            }
            let Some(wait) = waits.next().filter(|_| !is_final(&error)) else { return Err(error) };
            is_unsure = true;
            tokio::time::sleep(wait).await;
        }
    }

    pub(super) fn put(&self, key: &Key, bytes: &Bytes) -> Result<(), BackendError> {
        let locks = self.locks_of(key);
        let put = self.handle.block_on(self.create_surely(&self.path(key), bytes, locks));
        put.map_err(|error| failed_put("write", key, locks, error))
    }

    /// Puts an object, whatever is there: a put that is sent again changes nothing.
    pub(super) fn replace(&self, key: &Key, bytes: &Bytes) -> Result<(), BackendError> {
        let (locks, path) = (self.locks_of(key), self.path(key));
        let put = self.run(|| async {
            let extensions = locks.map(|locks| locks.on_put(bytes)).unwrap_or_default();
            let options = PutOptions { mode: PutMode::Overwrite, extensions, ..PutOptions::default() };
            self.store.put_opts(&path, PutPayload::from_bytes(bytes.clone()), options).await
        });
        put.map(drop).map_err(|error| {
            if is_refusal(&error) {
                return BackendError::new("replace", key, Cause::Exists);
            }
            failed_put("replace", key, locks, error)
        })
    }

    /// How an object is locked, if it is.
    fn locks_of(&self, key: &Key) -> Option<&Locks> {
        self.locks.as_ref().filter(|_| is_locked(key.kind()))
    }
}

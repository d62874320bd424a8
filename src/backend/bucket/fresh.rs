//! What a bucket must be before a repository is made in it.

use bytes::Bytes;
use futures_util::TryStreamExt;

use super::{BucketBackend, failed, layout};
use crate::backend::{BackendError, Cause, Kind};

impl BucketBackend {
    /// True if nothing is there, of sfarc or of others.
    pub fn is_empty(&self) -> Result<bool, BackendError> {
        let bucket = &self.bucket;
        let first = || async { bucket.store.list(Some(&bucket.prefix)).try_next().await };
        let found = bucket.run(first).map_err(|error| failed("list", &bucket.prefix, error))?;
        Ok(found.is_none())
    }

    /// Fails unless the store keeps a put that may not replace from replacing: two collectors, or a writer and a
    /// collector, could not be told apart.
    pub fn try_conditions(&self) -> Result<(), BackendError> {
        let path = self.bucket.below(&format!("{}/condition", layout::folder(Kind::Sessions)));
        let failed = |error| failed("try puts that may not replace with", &path, error);
        let paths = [path.clone()];
        self.bucket.delete(&paths).map_err(failed)?;
        let bytes = Bytes::from_static(b"sfarc");
        match self.bucket.handle.block_on(self.bucket.create_surely(&path, &bytes, None)) {
            // A store that keeps what was put there before has refused to replace it.
            Err(object_store::Error::AlreadyExists { .. }) => return Ok(()),
            put => put.map_err(failed)?,
        }
        let again = self.bucket.run(|| self.bucket.create(&path, &bytes, None));
        self.bucket.delete(&paths).map_err(failed)?;
        match again {
            Err(object_store::Error::AlreadyExists { .. }) => Ok(()),
            Err(error) => Err(failed(error)),
            Ok(()) => {
                let why = "this store replaces an object when it is told not to (`If-None-Match: *`), so that what one \
                           writer has stored another could overwrite; use a store that has conditional writes";
                Err(BackendError::new("use", &self.bucket.prefix, Cause::Store(why.into())))
            }
        }
    }
}

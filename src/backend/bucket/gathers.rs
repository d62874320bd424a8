//! Gathers in a bucket: names, and bytes that are what their name says.

use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::GetRange;
use object_store::path::Path;

use super::{BucketBackend, failed};
use crate::backend::{BackendError, Cause};
use crate::ids::ObjectId;

/// Their folder.
const FOLDER: &str = "gathers";

impl BucketBackend {
    fn gather(&self, id: &ObjectId) -> Path {
        self.bucket.below(&format!("{FOLDER}/{id}"))
    }

    /// All gathers with their lengths in bytes.
    pub(in crate::backend) fn gathers(&self) -> Result<Vec<(ObjectId, u64)>, BackendError> {
        let folder = self.bucket.below(FOLDER);
        let found = self.bucket.run(|| async { self.bucket.store.list(Some(&folder)).try_collect::<Vec<_>>().await });
        let found = found.map_err(|error| failed("list", &folder, error))?;
        Ok(found.iter().filter_map(|found| Some((found.location.filename()?.parse().ok()?, found.size))).collect())
    }

    /// The first bytes of a gather, which nothing proves.
    pub(in crate::backend) fn begin_of_gather(&self, id: &ObjectId, bytes: u64) -> Result<Vec<u8>, BackendError> {
        self.read_gather(id, Some(GetRange::Bounded(0..bytes)))
    }

    /// A whole gather. Fails if it is not what its name says.
    pub(in crate::backend) fn whole_gather(&self, id: &ObjectId) -> Result<Vec<u8>, BackendError> {
        let bytes = self.read_gather(id, None)?;
        if ObjectId::of(&bytes) == *id {
            return Ok(bytes);
        }
        let why = std::io::Error::other("its bytes do not hash to its name");
        Err(BackendError::new("read", self.gather(id), Cause::Io(why)))
    }

    fn read_gather(&self, id: &ObjectId, range: Option<GetRange>) -> Result<Vec<u8>, BackendError> {
        let path = self.gather(id);
        let read = self.bucket.run(|| self.bucket.read(&path, range.clone()));
        let read = read.map_err(|error| failed("read", &path, error))?;
        read.map(Vec::from).ok_or_else(|| BackendError::new("read", &path, Cause::TooLong))
    }

    /// Stores a gather under the name of its bytes.
    pub(in crate::backend) fn put_gather(&self, bytes: Vec<u8>) -> Result<(), BackendError> {
        let path = self.gather(&ObjectId::of(&bytes));
        match self.bucket.handle.block_on(self.bucket.create_surely(&path, &Bytes::from(bytes), None)) {
            // The very same, by another collector.
            Err(object_store::Error::AlreadyExists { .. }) => Ok(()),
            put => put.map_err(|error| failed("write", &path, error)),
        }
    }

    /// Removes gathers.
    pub(in crate::backend) fn delete_gathers(&self, ids: &[ObjectId]) -> Result<(), BackendError> {
        let paths: Vec<Path> = ids.iter().map(|id| self.gather(id)).collect();
        // Those that must stay are found and tried again by the next collector.
        self.bucket.delete(&paths).map(drop).map_err(|error| failed("remove", FOLDER, error))
    }
}

//! The copies of a shelf by themselves: when the bucket's own object is damaged, one of them may be whole.

use std::path::Path;

use super::files::Files;
use super::gather;
use crate::backend::bucket::BucketBackend;
use crate::backend::read_only::{Objects, ReadOnly};
use crate::backend::{BackendError, Cause, Key, Kind, Listed};

/// Copies on this machine, and what is gathered in the bucket. Neither is looked through for what has changed meanwhile:
/// whoever reads an object here proves it.
#[derive(Debug)]
pub struct Copies {
    files: Option<Files>,
    bucket: BucketBackend,
}

impl Copies {
    /// Those of the repository at `place`, in a folder of its own below `root`.
    pub fn open(bucket: BucketBackend, root: Option<&Path>, place: &str) -> ReadOnly<Self> {
        let folder = root.map(|root| super::folder_of(root, place)).filter(|folder| folder.is_dir());
        ReadOnly(Self { files: folder.map(Files::of), bucket })
    }

    fn gathered(&self, key: &Key) -> Result<Option<Vec<u8>>, BackendError> {
        if !gather::holds(key) {
            return Ok(None);
        }
        for (id, _) in self.bucket.gathers()? {
            let Ok(bytes) = self.bucket.whole_gather(&id) else { continue };
            let objects = gather::decode(&bytes).unwrap_or_default();
            if let Some((_, bytes)) = objects.into_iter().find(|(of, _)| of == key) {
                return Ok(Some(bytes.to_vec()));
            }
        }
        Ok(None)
    }
}

impl Objects for Copies {
    fn read(&self, key: &Key) -> Result<Vec<u8>, BackendError> {
        let copy = self.files.as_ref().and_then(|files| files.read(key, None)).map(|copy| copy.bytes);
        let copy = copy.map_or_else(|| self.gathered(key), |copy| Ok(Some(copy)))?;
        copy.ok_or_else(|| BackendError::new("read", key, Cause::NotFound))
    }

    fn list(&self, _: Kind) -> Result<Vec<Listed>, BackendError> {
        // What was removed may have copies still, so that they name nothing.
        Ok(Vec::new())
    }
}

//! Where a repository is, as people write it: a path, or a URL.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use object_store::ObjectStore;
use object_store::memory::InMemory;
use object_store::path::Path;

use super::bucket::BucketBackend;
use super::bucket::connect::{Cloud, Line, connect_and_lock};
use super::folder::FolderBackend;
use super::loose::LooseFiles;
use super::shelf::{Copies, Shelf, ShelfError};
use super::{Backend, BackendError, Cause};

/// Where a repository is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In a folder of this machine.
    Folder(PathBuf),
    /// In a bucket.
    Bucket {
        /// Whose.
        cloud: Cloud,
        /// The bucket, or the container.
        bucket: String,
        /// What the names of all objects begin with; may be empty.
        prefix: String,
    },
    /// In the memory of this process: for tests.
    Memory,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => write!(f, "{}", path.display()),
            Self::Bucket { cloud, bucket, prefix } if prefix.is_empty() => write!(f, "{}://{bucket}", cloud.scheme()),
            Self::Bucket { cloud, bucket, prefix } => write!(f, "{}://{bucket}/{prefix}", cloud.scheme()),
            Self::Memory => f.write_str("memory:"),
        }
    }
}

/// How a repository in a bucket is used.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// How the bucket is reached, where the environment does not say it.
    pub line: Line,
    /// The folder for copies of what is asked for often, and how many bytes they may take for one repository.
    pub shelf: Option<(PathBuf, u64)>,
}

impl Place {
    /// Reads what `--repo` names. Whatever is no URL is a path.
    pub fn parse(text: PathBuf) -> Result<Self, String> {
        if text.as_os_str() == "memory:" {
            return Ok(Self::Memory);
        }
        let Some((scheme, rest)) = text.to_str().and_then(|text| text.split_once("://")) else {
            return Ok(Self::Folder(text));
        };
        if scheme == "file" {
            return match rest.starts_with('/') {
                true => Ok(Self::Folder(PathBuf::from(rest))),
                false => Err(format!("`{}` names a machine: write file:///PATH", text.display())),
            };
        }
        let Some(cloud) = Cloud::ALL.into_iter().find(|cloud| cloud.scheme() == scheme) else {
            return Err(format!(
                "`{scheme}://` is no place for a repository: there are paths, s3://BUCKET/PREFIX, gs://, az:// and file:///"
            ));
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.trim_matches('/');
        if bucket.is_empty() {
            return Err(format!("`{}` names no bucket", text.display()));
        }
        Path::parse(prefix).map_err(|error| format!("`{prefix}` is no prefix: {error}"))?;
        Ok(Self::Bucket { cloud, bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }

    /// The store, whether there is a repository in it or not. If copies cannot be kept, `warn` is told why.
    pub fn open(&self, access: &Access, warn: impl FnOnce(&str)) -> Result<Arc<dyn Backend>, BackendError> {
        self.refuse_locks(&access.line)?;
        if let Self::Folder(path) = self {
            return Ok(Arc::new(FolderBackend::open(path)));
        }
        let bucket = self.bucket(&access.line)?;
        let Some((folder, limit)) = &access.shelf else { return Ok(Arc::new(bucket)) };
        match Shelf::open(bucket, folder, &self.to_string(), *limit) {
            Ok(shelf) => Ok(Arc::new(shelf)),
            Err(ShelfError::Bucket(error)) => Err(error),
            Err(ShelfError::Folder { folder, error, bucket }) => {
                warn(&format!(
                    "nothing is cached, so more is asked of the bucket: {} cannot be used: {error}",
                    folder.display()
                ));
                Ok(Arc::new(*bucket))
            }
        }
    }

    /// The store that whole objects are taken from: a repository, or a mirror or copy of one, or a folder of any files.
    pub fn open_source(&self, access: &Access) -> Result<Arc<dyn Backend>, BackendError> {
        match self {
            Self::Folder(path) if !path.join("config").is_file() => Ok(Arc::new(LooseFiles::open(path)?)),
            _ => self.open(&Access { shelf: None, ..access.clone() }, |_| {}),
        }
    }

    /// Copies that are kept of what is in the bucket, if it is one.
    pub fn copies(&self, access: &Access) -> Result<Option<Arc<dyn Backend>>, BackendError> {
        let Self::Bucket { .. } = self else { return Ok(None) };
        let root = access.shelf.as_ref().map(|(folder, _)| folder.as_path());
        Ok(Some(Arc::new(Copies::open(self.bucket(&access.line)?, root, &self.to_string()))))
    }

    /// The store for a new repository. Fails if there is anything in it.
    pub fn create(&self, access: &Access) -> Result<Arc<dyn Backend>, BackendError> {
        self.refuse_locks(&access.line)?;
        if let Self::Folder(path) = self {
            return Ok(Arc::new(FolderBackend::create(path)?));
        }
        let bucket = self.bucket(&access.line)?;
        if !bucket.is_empty()? {
            let why = std::io::Error::other("there are objects already; name another prefix");
            return Err(self.failed(Cause::Io(why)));
        }
        bucket.try_conditions()?;
        Ok(Arc::new(bucket))
    }

    /// Whoever asks for locks must not go without any.
    fn refuse_locks(&self, line: &Line) -> Result<(), BackendError> {
        if line.lock.is_none() || matches!(self, Self::Bucket { cloud: Cloud::S3, .. }) {
            return Ok(());
        }
        let why = "only in S3 can a request lock an object: leave out `--lock-for`, and give this place a retention \
                   policy of its own if it can have one";
        Err(self.failed(Cause::Store(why.into())))
    }

    fn failed(&self, cause: Cause) -> BackendError {
        BackendError::new("use the repository at", self, cause)
    }

    fn bucket(&self, line: &Line) -> Result<BucketBackend, BackendError> {
        let (connected, prefix) = match self {
            Self::Bucket { cloud, bucket, prefix } => (connect_and_lock(*cloud, bucket, line), prefix.as_str()),
            _ => (Ok((memory(), None)), ""),
        };
        let failed = |error| self.failed(Cause::Store(Box::new(error)));
        let prefix = Path::parse(prefix).map_err(|error| failed(error.into()))?;
        let (store, locks) = connected.map_err(failed)?;
        let backend = BucketBackend::new(store, prefix).map_err(|error| self.failed(Cause::Io(error)))?;
        Ok(backend.with_locks(locks))
    }
}

/// The one store of this process.
fn memory() -> Arc<dyn ObjectStore> {
    static MEMORY: OnceLock<Arc<InMemory>> = OnceLock::new();
    Arc::clone(MEMORY.get_or_init(Arc::default)) as _
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_as_they_are_written() {
        for text in
            ["/srv/backup", "relative/folder", "s3://bucket", "s3://bucket/a/b", "gs://b/p", "az://c/p", "memory:"]
        {
            let place = Place::parse(PathBuf::from(text)).expect(text);
            assert_eq!(place.to_string(), text);
        }
        assert_eq!(Place::parse("file:///srv".into()), Ok(Place::Folder("/srv".into())));
        for text in ["ftp://x", "s3://", "s3:///x", "file://machine/x", "s3://b/a//b"] {
            assert!(Place::parse(text.into()).is_err(), "{text}");
        }
    }
}

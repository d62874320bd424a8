//! Where whole objects may be: a mirror, a copy of the folder, another bucket, a folder of files, copies in a cache.

use std::sync::Arc;

use crate::backend::{Backend, BackendError, Key, Kind, Listed};
use crate::error::Error;
use crate::repo::objects::check_name;

/// A place that whole objects are taken from. It is only read.
#[derive(Debug, Clone)]
pub struct Place {
    name: String,
    store: Arc<dyn Backend>,
    /// True for copies of this very repository that need not say so.
    is_cache: bool,
}

impl Place {
    /// A place that people call so.
    pub fn new(name: impl Into<String>, store: Arc<dyn Backend>) -> Self {
        Self { name: name.into(), store, is_cache: false }
    }

    /// Copies that this machine has kept of the repository.
    pub fn cache(name: impl Into<String>, store: Arc<dyn Backend>) -> Self {
        Self { name: name.into(), store, is_cache: true }
    }

    /// True if it may have a configuration.
    pub fn may_open(&self) -> bool {
        matches!(self.read(&Key::Config), Ok(Some(_)))
    }

    /// True if it is a mirror or a copy of the repository with this configuration.
    pub(super) fn is_of(&self, config: &[u8]) -> Result<bool, Error> {
        Ok(self.is_cache || self.read(&Key::Config)?.is_some_and(|there| there == config))
    }

    /// Why it may not be the place that was meant, if there is a reason.
    pub(super) fn doubt(&self, config: &[u8]) -> Result<Option<&'static str>, Error> {
        if self.is_cache || self.is_of(config)? {
            return Ok(None);
        }
        if self.read(&Key::Config)?.is_some() {
            return Ok(Some("it has another configuration, so it is another repository, or one of the two is damaged"));
        }
        for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Config) {
            if !self.list(kind)?.is_empty() {
                return Ok(None);
            }
        }
        Ok(Some("it has no object of a repository"))
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn store(&self) -> &Arc<dyn Backend> {
        &self.store
    }

    fn failed(&self, error: BackendError) -> Error {
        Error::Place { place: self.name.clone(), source: error.into() }
    }

    /// The bytes of an object; nothing if it is not there, or if they do not hash to its name.
    pub(super) fn read(&self, key: &Key) -> Result<Option<Vec<u8>>, Error> {
        match self.store.get(key, None) {
            Ok(bytes) => Ok(Some(bytes).filter(|bytes| check_name(key, bytes).is_ok())),
            Err(error) if error.is_not_found() || error.is_damage() => Ok(None),
            Err(error) => Err(self.failed(error)),
        }
    }

    pub(super) fn list(&self, kind: Kind) -> Result<Vec<Listed>, Error> {
        let mut listed = self.store.list(kind).map_err(|error| self.failed(error))?;
        listed.sort_by_key(|listed| listed.key);
        Ok(listed)
    }
}

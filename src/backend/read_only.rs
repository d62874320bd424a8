//! Places that are only read: what `repair` takes whole objects from.

use std::io;
use std::ops::Range;

use super::{Backend, BackendError, Cause, Hold, Key, Kind, Listed};
use crate::ids::SessionId;

/// Objects that can be read whole, and listed.
pub trait Objects: Send + Sync + std::fmt::Debug {
    /// The bytes of an object.
    fn read(&self, key: &Key) -> Result<Vec<u8>, BackendError>;

    /// All objects of a kind, in no order.
    fn list(&self, kind: Kind) -> Result<Vec<Listed>, BackendError>;
}

/// A store that refuses every change.
#[derive(Debug)]
pub struct ReadOnly<T>(pub T);

fn refused<T>(action: &'static str, object: impl ToString) -> Result<T, BackendError> {
    let why = io::Error::new(io::ErrorKind::PermissionDenied, "this place is only read");
    Err(BackendError::new(action, object, Cause::Io(why)))
}

impl<T: Objects> Backend for ReadOnly<T> {
    fn put(&self, key: &Key, _: &[u8]) -> Result<(), BackendError> {
        refused("write", key)
    }

    fn replace(&self, key: &Key, _: &[u8]) -> Result<(), BackendError> {
        refused("replace", key)
    }

    fn get(&self, key: &Key, range: Option<Range<u64>>) -> Result<Vec<u8>, BackendError> {
        let bytes = self.0.read(key)?;
        let Some(range) = range else { return Ok(bytes) };
        let part = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
        let part = part.and_then(|(start, end)| bytes.get(start..end)).map(<[u8]>::to_vec);
        part.ok_or_else(|| BackendError::new("read", key, Cause::TooShort))
    }

    fn get_parts(&self, key: &Key, ranges: &[Range<u64>]) -> Result<Vec<Vec<u8>>, BackendError> {
        let bytes = self.0.read(key)?;
        let part = |range: &Range<u64>| {
            let (start, end) = (usize::try_from(range.start).ok()?, usize::try_from(range.end).ok()?);
            bytes.get(start..end).map(<[u8]>::to_vec)
        };
        let parts: Option<Vec<Vec<u8>>> = ranges.iter().map(part).collect();
        parts.ok_or_else(|| BackendError::new("read", key, Cause::TooShort))
    }

    fn len(&self, key: &Key) -> Result<u64, BackendError> {
        Ok(self.0.read(key)?.len() as u64)
    }

    fn list(&self, kind: Kind) -> Result<Vec<Listed>, BackendError> {
        self.0.list(kind)
    }

    fn delete(&self, key: &Key) -> Result<(), BackendError> {
        refused("remove", key)
    }

    fn announce(&self, session: &SessionId, _: &[u8]) -> Result<Box<dyn Hold>, BackendError> {
        refused("write", Key::Session(*session))
    }

    fn is_held(&self, _: &SessionId) -> Result<bool, BackendError> {
        Ok(true)
    }

    fn sweep(&self) -> Result<usize, BackendError> {
        Ok(0)
    }
}

//! Sealed records as objects: sessions, snapshots, gc records, the sealed part of the configuration.

use wincode::{SchemaRead, SchemaWrite};

use super::{RepoError, Repository};
use crate::backend::Key;
use crate::crypto::CryptoError;
use crate::crypto::keys::KeyRing;
use crate::crypto::seal::Opener;
use crate::format::FormatError;
use crate::format::record::{self, Reading, Record, Writing};
use crate::format::sealed::{SealedKind, Section};
use crate::ids::ObjectId;

pub(super) fn format_error(object: impl ToString) -> impl FnOnce(FormatError) -> RepoError {
    move |source| match source {
        FormatError::TooNew { .. } => RepoError::TooNew { object: object.to_string(), source },
        _ => RepoError::Format { object: object.to_string(), source },
    }
}

pub(super) fn crypto_error(object: impl ToString) -> impl FnOnce(CryptoError) -> RepoError {
    move |source| match source {
        CryptoError::NotForRole(_) | CryptoError::CannotDo(_) => RepoError::Role(source),
        source => RepoError::Crypto { object: object.to_string(), source },
    }
}

/// Opens the header at the front of an object.
pub fn open_header(keys: &KeyRing, kind: SealedKind, key: &Key, object: &[u8]) -> Result<Opener, RepoError> {
    let opener = keys.opener(kind, object).map_err(|source| match source {
        // The configuration says which format the repository has, and it was read before.
        FormatError::TooNew { .. } => RepoError::Damaged { object: key.to_string(), why: source.to_string() },
        source => format_error(key)(source),
    })?;
    opener.map_err(crypto_error(key))
}

/// Opens an object whose only section is a record.
pub fn open_record<T>(keys: &KeyRing, kind: SealedKind, key: &Key, object: &[u8]) -> Result<T, RepoError>
where
    T: Record + for<'de> SchemaRead<'de, Reading, Dst = T>,
{
    let opener = open_header(keys, kind, key, object)?;
    let sealed = object.get(keys.wrapping(kind).header_len()..).unwrap_or_default().to_vec();
    let plain = opener.open_vec(Section::Record, 0, sealed).map_err(crypto_error(key))?;
    record::decode(&plain).map_err(format_error(key))
}

/// Fails if a content-addressed object is not what its name says.
pub fn check_name(key: &Key, object: &[u8]) -> Result<(), RepoError> {
    match key.content_id() {
        Some(id) if ObjectId::of(object) != *id => {
            Err(RepoError::Damaged { object: key.to_string(), why: "its bytes do not hash to its name".to_owned() })
        }
        _ => Ok(()),
    }
}

impl Repository {
    /// The plaintext of a record in an object of this kind.
    pub(super) fn encode<T>(&self, kind: SealedKind, record: &T) -> Vec<u8>
    where
        T: Record + SchemaWrite<Writing, Src = T>,
    {
        if self.pads_records(kind) { record::encode_padded(record) } else { record::encode(record) }
    }

    /// The stored bytes of an object whose only section is a record.
    pub fn seal_record<T>(&self, kind: SealedKind, record: &T) -> Result<Vec<u8>, RepoError>
    where
        T: Record + SchemaWrite<Writing, Src = T>,
    {
        let sealer = self.keys.sealer(kind, &*self.env.entropy)?;
        Ok(sealer.seal_record(&self.encode(kind, record)))
    }

    /// Reads an object whose only section is a record, and checks that it is what its name says.
    pub fn read_record<T>(&self, kind: SealedKind, key: &Key) -> Result<T, RepoError>
    where
        T: Record + for<'de> SchemaRead<'de, Reading, Dst = T>,
    {
        let object = self.backend.get(key, None)?;
        check_name(key, &object)?;
        open_record(&self.keys, kind, key, &object)
    }
}

//! Encoding of records: bincode 1 bytes (fixed-width little-endian integers, 64-bit lengths), a version first.

use wincode::config::{Configuration, PREALLOCATION_SIZE_LIMIT_DISABLED};
use wincode::{SchemaRead, SchemaWrite};

use super::sealed::{HEADER_LEN, TAG_LEN};
use super::{FormatError, padding};
use crate::limits;

/// The bit of a version that says that the fields have their length before them and zeros behind them.
pub const PADDED: u16 = 1 << 15;

/// How records are written: the bytes of bincode 1. Only the reader needs to bound what it allocates.
pub type Writing = Configuration<true, PREALLOCATION_SIZE_LIMIT_DISABLED>;

/// How records are read: the same bytes; a list that claims to need more memory than this is refused.
pub type Reading = Configuration<true, { limits::RECORD_LIST_BYTES }>;

/// A record that the repository stores.
pub trait Record: Sized {
    /// What errors call it.
    const WHAT: &'static str;
    /// The version that this program writes, and the newest that it reads.
    const VERSION: u16;
    /// True if zeros may follow its fields: its length would say something.
    const MAY_BE_PADDED: bool = false;

    /// Fails if the fields do not agree with each other or with the limits of the format.
    fn check(&self) -> Result<(), FormatError> {
        Ok(())
    }

    /// Reads the fields of an older version; nothing if there was none with other fields.
    fn decode_old(_version: u16, _fields: &[u8]) -> Option<Result<Self, FormatError>> {
        None
    }
}

/// The stored bytes of a record: its version, then its fields.
pub fn encode<T>(record: &T) -> Vec<u8>
where
    T: Record + SchemaWrite<Writing, Src = T>,
{
    let mut bytes = T::VERSION.to_le_bytes().to_vec();
    bytes.extend(
        wincode::config::serialize(record, Writing::new()).expect("records hold nothing that cannot be encoded"),
    );
    bytes
}

/// The same with as many zeros behind it as the stored length of a sealed object needs to be a class of
/// [`padding::padme`].
pub fn encode_padded<T>(record: &T) -> Vec<u8>
where
    T: Record + SchemaWrite<Writing, Src = T>,
{
    const AROUND: usize = HEADER_LEN + TAG_LEN + 2;
    let plain = encode(record);
    let fields = &plain[2..];
    let padded = padding::wrap(fields, padding::padme(AROUND + padding::PREFIX + fields.len()) - AROUND);
    [&(T::VERSION | PADDED).to_le_bytes()[..], &padded].concat()
}

/// Reads a record, padded or not, and refuses what follows its end.
pub fn decode<T>(bytes: &[u8]) -> Result<T, FormatError>
where
    T: Record + for<'de> SchemaRead<'de, Reading, Dst = T>,
{
    if bytes.len() > limits::RECORD_MAX_BYTES {
        return Err(FormatError::malformed(T::WHAT, "it is too large"));
    }
    let (version, fields) = bytes.split_first_chunk().ok_or(FormatError::Truncated { what: T::WHAT })?;
    let version = u16::from_le_bytes(*version);
    let is_padded = version & PADDED != 0;
    let version = version & !PADDED;
    if version > T::VERSION {
        return Err(FormatError::TooNew { what: T::WHAT, found: version.into(), known: T::VERSION.into() });
    }
    if version == 0 {
        return Err(FormatError::malformed(T::WHAT, "version 0 does not exist"));
    }
    if is_padded && !T::MAY_BE_PADDED {
        return Err(FormatError::malformed(T::WHAT, "it is padded, and such records never are"));
    }
    let fields = if is_padded { padding::unwrap(T::WHAT, fields)? } else { fields };
    let record = T::decode_old(version, fields).unwrap_or_else(|| self::fields(T::WHAT, fields))?;
    record.check()?;
    Ok(record)
}

/// Fails if a list of a record has more elements than the format allows.
pub(super) fn check_elements(what: &'static str, elements: usize) -> Result<(), FormatError> {
    if elements > limits::LIST_ELEMENTS {
        return Err(FormatError::malformed(what, "a list has too many elements"));
    }
    Ok(())
}

/// Reads the fields of a record of the kind `what`.
pub(super) fn fields<T>(what: &'static str, bytes: &[u8]) -> Result<T, FormatError>
where
    T: for<'de> SchemaRead<'de, Reading, Dst = T>,
{
    wincode::config::deserialize_exact(bytes, Reading::new())
        .map_err(|_| FormatError::malformed(what, "its fields do not decode"))
}

//! The catalog of a tar stream: one record an entry, in the order of the stream, so that single files are found
//! without reading it.
//!
//! Lengths are relative to the entry before, so that an entry's record stays the same when others come or go.

use wincode::{SchemaRead, SchemaWrite};

use super::FormatError;
use super::record::{self, Record};

/// Longest record of an entry, in bytes (format limit).
pub const ENTRY_MAX_BYTES: usize = 256 << 10;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub enum CatalogKind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Symlink,
    /// Another name of an earlier file.
    Hardlink,
    /// A named pipe.
    Fifo,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
}

/// One entry of a tar stream.
#[derive(Debug, Clone, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct CatalogEntry {
    /// Its path below the folder, as bytes; `.` is the folder itself.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: CatalogKind,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u64,
    /// Group.
    pub gid: u64,
    /// When it was modified: seconds since 1970.
    pub mtime_secs: i64,
    /// When it was modified: nanoseconds of the second.
    pub mtime_nanos: u32,
    /// Length of the file in bytes, holes included.
    pub size: u64,
    /// Bytes of the stream from the end of the entry before (padding included) to the entry's data.
    pub header_len: u64,
    /// Bytes of data in the stream, without padding to the next multiple of 512.
    pub stored_len: u64,
    /// Target of a link.
    pub link: Vec<u8>,
    /// BLAKE3 of the data in the stream.
    pub hash: [u8; 32],
    /// True if it changed while it was read.
    pub changed: bool,
}

impl Record for CatalogEntry {
    const WHAT: &'static str = "catalog entry";
    const VERSION: u16 = 1;
}

/// The stored bytes of an entry: the length of its record in four bytes, then the record.
pub fn encode(entry: &CatalogEntry) -> Vec<u8> {
    let record = record::encode(entry);
    let mut bytes = (record.len() as u32).to_le_bytes().to_vec();
    bytes.extend(record);
    bytes
}

/// Decodes entries from bytes that arrive in pieces.
#[derive(Debug, Default)]
pub struct CatalogDecoder {
    bytes: Vec<u8>,
}

impl CatalogDecoder {
    /// Takes the next bytes and gives the entries that they complete.
    pub fn push(&mut self, bytes: &[u8], mut entry: impl FnMut(CatalogEntry)) -> Result<(), FormatError> {
        self.bytes.extend_from_slice(bytes);
        let mut start = 0;
        while let Some((len, rest)) = self.bytes[start..].split_first_chunk::<4>() {
            let len = u32::from_le_bytes(*len) as usize;
            if len > ENTRY_MAX_BYTES {
                return Err(FormatError::malformed(CatalogEntry::WHAT, "it is too long"));
            }
            let Some(record) = rest.get(..len) else { break };
            entry(record::decode(record)?);
            start += 4 + len;
        }
        self.bytes.drain(..start);
        Ok(())
    }

    /// Fails if the bytes ended within an entry.
    pub fn finish(self) -> Result<(), FormatError> {
        let complete = self.bytes.is_empty();
        if complete { Ok(()) } else { Err(FormatError::Truncated { what: CatalogEntry::WHAT }) }
    }
}

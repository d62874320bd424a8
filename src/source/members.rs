//! Entries of a folder stream: each into the tar stream in the first lane, and into its catalog in the second.

use std::io::{self, Read};

use crate::format::catalog::{self, CatalogEntry, CatalogKind};
use crate::pipeline::lanes::Lanes;
use crate::tar::{Entry, EntryKind, TarWriter, WriteError};

/// Lane of the tar stream.
pub(super) const CONTENT: usize = 0;

/// Lane of the catalog.
pub(super) const CATALOG: usize = 1;

/// The first lane as a writer.
struct Content<'a>(&'a mut Lanes);

impl io::Write for Content<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(CONTENT, bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes entries with their data.
pub(super) struct Members<'a> {
    tar: TarWriter<Content<'a>>,
    buffer: Vec<u8>,
}

impl<'a> Members<'a> {
    pub(super) fn new(lanes: &'a mut Lanes) -> Self {
        Self { tar: TarWriter::new(Content(lanes)), buffer: vec![0; 256 << 10] }
    }

    /// Writes an entry, and as much data from a reader as the entry says.
    pub(super) fn append(&mut self, entry: &Entry, data: &mut impl Read) -> Result<(), WriteError> {
        let header_len = self.tar.append(entry)?;
        let (mut hash, mut left) = (blake3::Hasher::new(), entry.stored);
        while left > 0 {
            let most = self.buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let read = data.read(&mut self.buffer[..most])?;
            if read == 0 {
                return Err(WriteError::Length);
            }
            hash.update(&self.buffer[..read]);
            self.tar.write_data(&self.buffer[..read])?;
            left -= read as u64;
        }
        let record = catalog::encode(&catalog_entry(entry, header_len, *hash.finalize().as_bytes(), false));
        self.tar.get_mut().0.write(CATALOG, &record)?;
        Ok(())
    }

    pub(super) fn finish(self) -> Result<(), WriteError> {
        self.tar.finish().map(drop)
    }
}

/// What the catalog says of an entry.
pub(super) fn catalog_entry(entry: &Entry, header_len: u64, hash: [u8; 32], changed: bool) -> CatalogEntry {
    CatalogEntry {
        path: entry.path.clone(),
        kind: match entry.kind {
            EntryKind::File => CatalogKind::File,
            EntryKind::Dir => CatalogKind::Folder,
            EntryKind::Symlink => CatalogKind::Symlink,
            EntryKind::Hardlink => CatalogKind::Hardlink,
            EntryKind::Fifo => CatalogKind::Fifo,
            EntryKind::CharDevice => CatalogKind::CharDevice,
            EntryKind::BlockDevice => CatalogKind::BlockDevice,
        },
        mode: entry.mode,
        uid: entry.uid,
        gid: entry.gid,
        mtime_secs: entry.mtime.secs,
        mtime_nanos: entry.mtime.nanos,
        size: entry.size,
        header_len,
        stored_len: entry.stored,
        link: entry.link.clone(),
        hash,
        changed,
    }
}

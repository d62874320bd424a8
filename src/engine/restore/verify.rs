//! The hashes of files, compared while parts of a folder stream pass by.

use std::collections::VecDeque;
use std::ops::Range;

use crate::engine::folder::Located;
use crate::format::catalog::CatalogKind;

/// A file of a folder stream: where its data lie, and what they hash to.
struct Expected {
    data: Range<u64>,
    hash: [u8; 32],
}

/// Files that are still to pass, in the order of the stream.
#[derive(Default)]
pub(super) struct FileHashes {
    files: VecDeque<Expected>,
    /// Boxed: it is two kilobytes.
    hasher: Box<blake3::Hasher>,
}

impl FileHashes {
    /// Expects the data of an entry, if it is a file. Only the place is kept of it: there may be very many.
    pub(super) fn expect(&mut self, Located { entry, data, .. }: &Located) {
        if entry.kind == CatalogKind::File {
            self.files.push_back(Expected { data: *data..data.saturating_add(entry.stored_len), hash: entry.hash });
        }
    }

    /// Takes the bytes of the stream from offset `at` on. Stops at a file that is not what was expected.
    pub(super) fn pass(&mut self, at: u64, bytes: &[u8]) {
        let end = at + bytes.len() as u64;
        while let Some(file) = self.files.front() {
            let inside = file.data.start.max(at)..file.data.end.min(end);
            if inside.start < inside.end {
                self.hasher.update(&bytes[(inside.start - at) as usize..(inside.end - at) as usize]);
            }
            if file.data.end > end || *self.hasher.finalize().as_bytes() != file.hash {
                return;
            }
            self.hasher.reset();
            self.files.pop_front();
        }
    }

    /// The offset of the first file whose data did not pass as expected.
    pub(super) fn wrong(&self) -> Option<u64> {
        self.files.front().map(|file| file.data.start)
    }
}

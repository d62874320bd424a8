//! Copying one stream: its chunks in their order, those that are there already by name alone.

use std::collections::VecDeque;

use super::names::{Names, Twin};
use crate::format::list::ListRow;
use crate::format::manifest::Content;
use crate::format::pack::BlockKind;
use crate::ids::ChunkId;
use crate::limits;
use crate::pipeline::egress::{Egress, EgressError, Taker};
use crate::repo::list::{ListBuilder, ends_early};
use crate::repo::loader::{ChunkLoader, LoaderCache};
use crate::repo::store::ChunkStore;
use crate::repo::{RepoError, Repository};

/// How many chunks of a twin are known ahead of the stream that is copied: data that moved is found this far away.
const AHEAD: usize = limits::NAMES / 2;

/// Copies the streams of one snapshot.
pub(super) struct Copying<'a> {
    to: &'a Repository,
    store: &'a mut ChunkStore,
    names: &'a mut Names,
    cache: LoaderCache,
    new_bytes: u64,
}

impl<'a> Copying<'a> {
    pub(super) fn new(to: &'a Repository, store: &'a mut ChunkStore, names: &'a mut Names) -> Self {
        Self { to, store, names, cache: LoaderCache::default(), new_bytes: 0 }
    }

    /// Bytes of chunks that were new.
    pub(super) fn new_bytes(&self) -> u64 {
        self.new_bytes
    }

    /// Copies a stream, and says what it is there. It must be as long as its snapshot says, and hash to what that says
    /// wherever all of it was read: what does not restore here must not be taken for saved there.
    pub(super) fn copy(
        &mut self,
        egress: &mut Egress<'_>,
        content: &Content,
        twin: Option<Twin>,
    ) -> Result<Content, EgressError<RepoError>> {
        let (list, known) = <_>::default();
        let hash = Some(blake3::Hasher::new());
        let mut stream = Stream { copying: self, twin, asked: 0, known, list, len: 0, hash };
        egress.walk(content, 0..content.len, &mut stream)?;
        let Stream { list, copying, len, hash, .. } = stream;
        if len != content.len {
            return Err(EgressError::Repo { offset: len, source: ends_early() });
        }
        if hash.is_some_and(|hash| *hash.finalize().as_bytes() != content.hash) {
            return Err(EgressError::WrongHash);
        }
        let root = list.finish(&mut (copying.to, &mut *copying.store)).map_err(EgressError::Sink)?;
        Ok(Content { root, ..content.clone() })
    }
}

struct Stream<'a, 'b> {
    copying: &'a mut Copying<'b>,
    twin: Option<Twin>,
    /// Chunks that were asked about.
    asked: usize,
    /// The names of those whose turn has not come, where they are known.
    known: VecDeque<Option<ChunkId>>,
    list: ListBuilder,
    /// Bytes that were taken.
    len: u64,
    /// Of all bytes up to now; nothing once some went by name.
    hash: Option<blake3::Hasher>,
}

impl Stream<'_, '_> {
    fn learn(&mut self, reader: &mut Egress<'_>) -> Result<(), RepoError> {
        let Copying { to, store, names, cache, .. } = &mut *self.copying;
        if let Some(twin) = &mut self.twin {
            let mut there = ChunkLoader::new(to, &mut store.index, cache);
            if !twin.learn(self.asked + AHEAD, names, reader, &mut there)? {
                self.twin = None;
            }
        }
        Ok(())
    }
}

impl Taker for Stream<'_, '_> {
    type Error = RepoError;

    fn needs(&mut self, reader: &mut Egress<'_>, row: &ListRow) -> Result<bool, RepoError> {
        self.asked += 1;
        self.learn(reader)?;
        let copying = &mut *self.copying;
        let known = match copying.names.find(row) {
            Some(there) if copying.store.has(&there)? => Some(there),
            _ => None,
        };
        self.known.push_back(known);
        Ok(known.is_none())
    }

    fn take(&mut self, _: u64, row: &ListRow, bytes: Option<&[u8]>) -> Result<(), RepoError> {
        let copying = &mut *self.copying;
        let known = self.known.pop_front().flatten();
        self.len += row.len;
        self.hash = self.hash.take().zip(bytes).map(|(mut hash, bytes)| {
            hash.update(bytes);
            hash
        });
        let id = match (known, bytes) {
            (Some(id), _) => id,
            (None, bytes) => {
                let bytes = bytes.expect("it was asked for");
                let id = copying.to.keys.chunk_hasher().map_err(RepoError::from)?.id(bytes);
                if copying.store.store(BlockKind::Data, id, bytes)? {
                    copying.new_bytes += row.len;
                }
                copying.names.insert(row, id);
                id
            }
        };
        self.list.push(id, row.len, &mut (copying.to, &mut *copying.store))
    }
}

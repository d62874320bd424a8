//! One stored index run, opened for look-ups: its footer is in memory, its pages are read when asked for.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use crate::backend::{Backend, Key};
use crate::crypto::keys::KeyRing;
use crate::crypto::seal::Opener;
use crate::format::index::{
    FILTER_BLOCK, IndexFooter, IndexRow, PackEntry, filter_bits, filter_block, id_prefix, lower_bound,
};
use crate::format::sealed::{HEADER_LEN, SealedKind, Section, Trailer};
use crate::ids::{ChunkId, IdHasher, ObjectId};
use crate::limits;
use crate::repo::RepoError;
use crate::repo::objects::{crypto_error, format_error, open_header};

/// Packs that rows of opened runs point to, each kept once.
///
/// The rows of a run are those of chunks of any age, so that each run of a large index names nearly all packs.
#[derive(Debug, Default)]
pub struct PackTable(HashSet<Arc<PackEntry>, BuildHasherDefault<IdHasher>>);

impl PackTable {
    fn share(&mut self, pack: PackEntry) -> Arc<PackEntry> {
        if let Some(known) = self.0.get(&pack) {
            return Arc::clone(known);
        }
        let new = Arc::new(pack);
        self.0.insert(Arc::clone(&new));
        new
    }

    /// Forgets packs that no opened run points to any more.
    pub fn tidy(&mut self) {
        self.0.retain(|pack| Arc::strong_count(pack) > 1);
    }

    /// The packs, each once.
    pub fn iter(&self) -> impl Iterator<Item = &PackEntry> {
        self.0.iter().map(|pack| &**pack)
    }
}

/// An opened run.
#[derive(Debug)]
pub struct Run {
    /// Its name.
    pub id: ObjectId,
    /// Its footer, but for its packs.
    pub footer: IndexFooter,
    packs: Vec<Arc<PackEntry>>,
    /// Its stored length in bytes.
    pub stored_len: u64,
    opener: Opener,
    filter: Option<Vec<u8>>,
}

impl Run {
    /// Opens a run of this stored length. Its packs are kept in `table`.
    pub fn open(
        backend: &dyn Backend,
        keys: &KeyRing,
        id: ObjectId,
        stored_len: u64,
        table: &mut PackTable,
    ) -> Result<Self, RepoError> {
        let key = Key::Index(id);
        let damaged = |why: &str| RepoError::Damaged { object: key.to_string(), why: why.to_owned() };
        if stored_len > limits::OBJECT_MAX_BYTES {
            return Err(damaged("it is too long"));
        }
        let trailer_at = stored_len.checked_sub(Trailer::LEN as u64).ok_or_else(|| damaged("it is too short"))?;
        let opener = open_header(keys, SealedKind::Index, &key, &backend.get(&key, Some(0..HEADER_LEN as u64))?)?;
        let trailer = backend.get(&key, Some(trailer_at..stored_len))?;
        let trailer = Trailer::decode(&trailer, stored_len).map_err(format_error(key))?;
        if trailer.len as usize > limits::FOOTER_MAX_BYTES {
            return Err(damaged("its footer is too large"));
        }
        let sealed = backend.get(&key, Some(trailer.offset..trailer_at))?;
        let plain = opener.open_vec(Section::Footer, 0, sealed).map_err(crypto_error(key))?;
        let mut footer = IndexFooter::decode(&plain).map_err(format_error(key))?;
        if !footer.may_lie_at(trailer.offset) {
            return Err(damaged("its pages do not end where its footer begins"));
        }
        let packs = std::mem::take(&mut footer.packs);
        let packs = packs.iter().map(|&pack| table.share(pack)).collect();
        footer.page_starts.shrink_to_fit();
        Ok(Self { id, footer, packs, stored_len, opener, filter: None })
    }

    /// The packs that its rows point to.
    pub fn packs(&self) -> impl Iterator<Item = &PackEntry> {
        self.packs.iter().map(|pack| &**pack)
    }

    /// The pack that a row points to; nothing if the row is damaged.
    pub fn pack_of(&self, row: &IndexRow) -> Option<&PackEntry> {
        self.packs.get(row.pack as usize).map(|pack| &**pack)
    }

    /// Bytes that the filter takes in memory; 0 if the run has none.
    pub fn filter_len(&self) -> usize {
        usize::try_from(self.footer.filter_blocks).map_or(usize::MAX, |blocks| blocks.saturating_mul(FILTER_BLOCK))
    }

    /// Reads the filter into memory, unless it is there.
    pub fn load_filter(&mut self, backend: &dyn Backend) -> Result<(), RepoError> {
        if self.filter.is_some() {
            return Ok(());
        }
        let key = Key::Index(self.id);
        let mut filter = Vec::with_capacity(self.filter_len());
        let mut page = 0;
        while let Some((offset, len)) = self.footer.filter_span(page) {
            let sealed = backend.get(&key, Some(offset..offset + len as u64))?;
            filter.extend(self.opener.open_vec(Section::Filter, page, sealed).map_err(crypto_error(key))?);
            page += 1;
        }
        self.filter = Some(filter);
        Ok(())
    }

    /// The beginning of its first id.
    pub fn first_prefix(&self) -> Option<u64> {
        self.footer.page_starts.first().copied()
    }

    /// False if the run certainly has no row for this id.
    pub fn may_hold(&self, id: &ChunkId) -> bool {
        let Some(filter) = &self.filter else {
            return true;
        };
        let block = filter_block(id, self.footer.filter_blocks) as usize * FILTER_BLOCK;
        let Some(block) = filter.get(block..block + FILTER_BLOCK) else {
            return true;
        };
        filter_bits(id).iter().all(|bit| block[usize::from(bit / 8)] >> (bit % 8) & 1 == 1)
    }

    /// The first page that may hold this id.
    fn first_page(&self, id: &ChunkId) -> u64 {
        let prefix = id_prefix(id);
        (self.footer.page_starts.partition_point(|&start| start < prefix) as u64).saturating_sub(1)
    }

    /// The decrypted rows of a page.
    pub fn read_page(&self, backend: &dyn Backend, page: u64) -> Result<Vec<u8>, RepoError> {
        let key = Key::Index(self.id);
        let missing = || RepoError::Damaged { object: key.to_string(), why: "a page is missing".to_owned() };
        let (offset, len) = self.footer.page_span(page).ok_or_else(missing)?;
        let sealed = backend.get(&key, Some(offset..offset + len as u64))?;
        self.opener.open_vec(Section::Page, page, sealed).map_err(crypto_error(key))
    }

    /// All rows for this id, with their places in the run.
    pub fn find(
        &self,
        backend: &dyn Backend,
        cache: &mut PageCache,
        number: u32,
        id: &ChunkId,
        mut found: impl FnMut(u64, IndexRow),
    ) -> Result<(), RepoError> {
        let mut page = self.first_page(id);
        while page < self.footer.page_starts.len() as u64 {
            let rows = cache.get((number, page), || self.read_page(backend, page))?;
            let mut place = lower_bound(rows, id);
            while let Some(row) = IndexRow::at(rows, place) {
                if row.id != *id {
                    return Ok(());
                }
                found(page * crate::format::index::PAGE_ROWS as u64 + place as u64, row);
                place += 1;
            }
            page += 1;
            if self.footer.page_starts.get(page as usize).is_none_or(|&start| start > id_prefix(id)) {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// Decrypted pages of all runs, the oldest dropped first.
#[derive(Debug, Default)]
pub struct PageCache {
    pages: HashMap<(u32, u64), Vec<u8>>,
    order: VecDeque<(u32, u64)>,
}

impl PageCache {
    fn get(&mut self, key: (u32, u64), read: impl FnOnce() -> Result<Vec<u8>, RepoError>) -> Result<&[u8], RepoError> {
        if !self.pages.contains_key(&key) {
            let page = read()?;
            if self.order.len() >= limits::PAGE_CACHE_PAGES
                && let Some(oldest) = self.order.pop_front()
            {
                self.pages.remove(&oldest);
            }
            self.order.push_back(key);
            self.pages.insert(key, page);
        }
        Ok(&self.pages[&key])
    }
}

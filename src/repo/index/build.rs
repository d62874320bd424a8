//! Writing index runs from sorted rows, a bounded number of rows at a time.

use std::collections::HashMap;

use crate::backend::Key;
use crate::crypto::seal::Sealer;
use crate::format::index::{
    FILTER_BLOCK, FILTER_BLOCK_ROWS, FILTER_MIN_ROWS, FILTER_PAGE_BLOCKS, IndexFooter, IndexRow, PAGE_LEN, PAGE_ROWS,
    PackEntry, filter_bits, filter_block, id_prefix,
};
use crate::format::padding::padme;
use crate::format::sealed::{SealedKind, Section, TAG_LEN, Trailer};
use crate::ids::{ChunkId, ObjectId};
use crate::limits;
use crate::repo::{RepoError, Repository};

/// A row whose pack is named by itself and not by a number in some run's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FreeRow {
    /// The chunk.
    pub id: ChunkId,
    /// Its pack.
    pub pack: PackEntry,
    /// Its place among the chunks of the pack.
    pub ordinal: u16,
}

/// Writes the rows of one group: as many runs as the limit on their size asks for.
pub struct GroupWriter<'a> {
    repository: &'a Repository,
    group: [u8; 16],
    level: u8,
    rows: Vec<IndexRow>,
    packs: Vec<PackEntry>,
    numbers: HashMap<ObjectId, u32>,
    written: Vec<(ObjectId, u64)>,
    last: Option<FreeRow>,
}

impl<'a> GroupWriter<'a> {
    /// Begins a group.
    pub fn new(repository: &'a Repository, level: u8) -> Self {
        Self {
            repository,
            group: repository.env.random(),
            level,
            rows: Vec::new(),
            packs: Vec::new(),
            numbers: HashMap::new(),
            written: Vec::new(),
            last: None,
        }
    }

    /// A new group of one run: rows sorted by id, no id twice, each naming its pack by its place in `packs`. At most
    /// [`limits::RUN_MAX_ROWS`].
    pub fn of_sorted(repository: &'a Repository, rows: Vec<IndexRow>, packs: Vec<PackEntry>) -> Self {
        debug_assert!(rows.len() <= limits::RUN_MAX_ROWS && rows.is_sorted_by(|a, b| a.id < b.id));
        Self { rows, packs, ..Self::new(repository, 0) }
    }

    /// Adds a row; rows come sorted by id. A row that repeats the last one is passed over.
    pub fn push(&mut self, row: FreeRow) -> Result<(), RepoError> {
        if self.last.replace(row) == Some(row) {
            return Ok(());
        }
        let next = self.packs.len() as u32;
        let pack = *self.numbers.entry(row.pack.id).or_insert(next);
        if pack == next {
            self.packs.push(row.pack);
        }
        self.rows.push(IndexRow { id: row.id, pack, ordinal: row.ordinal });
        if self.rows.len() >= limits::RUN_MAX_ROWS { self.flush() } else { Ok(()) }
    }

    /// Writes what is left and names the runs of the group with their stored lengths.
    pub fn finish(mut self) -> Result<Vec<(ObjectId, u64)>, RepoError> {
        self.flush()?;
        Ok(self.written)
    }

    /// Writes the rows since the last run as a run; the group goes on.
    pub fn flush(&mut self) -> Result<(), RepoError> {
        if self.rows.is_empty() {
            return Ok(());
        }
        self.repository.check_cancel()?;
        let sealer = self.repository.keys.sealer(SealedKind::Index, &*self.repository.env.entropy)?;
        let footer = IndexFooter {
            rows: self.rows.len() as u64,
            filter_blocks: filter_blocks(self.rows.len() as u64),
            packs: std::mem::take(&mut self.packs),
            page_starts: self.rows.chunks(PAGE_ROWS).map(|page| id_prefix(&page[0].id)).collect(),
            group: self.group,
            level: self.level,
            padded: self.repository.pads(),
        };
        let object = encode_run(&sealer, &self.rows, &footer);
        self.rows.clear();
        self.numbers.clear();
        let id = ObjectId::of(&object);
        self.repository.backend.put(&Key::Index(id), &object)?;
        self.written.push((id, object.len() as u64));
        Ok(())
    }
}

fn filter_blocks(rows: u64) -> u64 {
    if rows < FILTER_MIN_ROWS { 0 } else { rows.div_ceil(FILTER_BLOCK_ROWS) }
}

/// The stored bytes of a run.
fn encode_run(sealer: &Sealer, rows: &[IndexRow], footer: &IndexFooter) -> Vec<u8> {
    let mut object = sealer.header().to_vec();
    for (number, page) in rows.chunks(PAGE_ROWS).enumerate() {
        let from = object.len();
        page.iter().for_each(|row| object.extend(row.encode()));
        if page.len() == PAGE_ROWS {
            // Full pages have one size, so that their places need no table.
            object.resize(from + PAGE_LEN - TAG_LEN, 0);
        }
        sealer.seal(Section::Page, number as u64, &mut object, from);
    }
    for (number, page) in build_filter(rows, footer.filter_blocks).chunks(FILTER_PAGE_BLOCKS * FILTER_BLOCK).enumerate()
    {
        let from = object.len();
        object.extend_from_slice(page);
        sealer.seal(Section::Filter, number as u64, &mut object, from);
    }
    if footer.padded {
        let from = object.len();
        object.resize(padme(from + TAG_LEN) - TAG_LEN, 0);
        sealer.seal(Section::Filler, 0, &mut object, from);
    }
    let offset = object.len();
    object.extend(footer.encode());
    if footer.padded {
        object.resize(offset + padme(object.len() - offset + TAG_LEN) - TAG_LEN, 0);
    }
    sealer.seal(Section::Footer, 0, &mut object, offset);
    let trailer = Trailer { offset: offset as u64, len: (object.len() - offset) as u32 };
    object.extend(trailer.encode());
    object
}

fn build_filter(rows: &[IndexRow], blocks: u64) -> Vec<u8> {
    let mut filter = vec![0; blocks as usize * FILTER_BLOCK];
    if blocks > 0 {
        for row in rows {
            let block = filter_block(&row.id, blocks) as usize * FILTER_BLOCK;
            for bit in filter_bits(&row.id) {
                filter[block + usize::from(bit / 8)] |= 1 << (bit % 8);
            }
        }
    }
    filter
}

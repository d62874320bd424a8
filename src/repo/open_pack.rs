//! A pack in memory: its blocks sealed one after the other, its directory behind them.

use super::Repository;
use super::hiding::{Waiting, pad_directory};
use super::packer::{ClosedBlock, MovedBlock};
use crate::crypto::seal::Sealer;
use crate::env::Entropy;
use crate::format::pack::{BlockRow, Directory};
use crate::format::sealed::{SealedKind, Section, TAG_LEN, Trailer};
use crate::ids::{ChunkId, ObjectId};
use crate::limits;

/// A pack as it is put.
pub(super) struct SealedPack {
    pub(super) id: ObjectId,
    pub(super) bytes: Vec<u8>,
    pub(super) chunks: Vec<ChunkId>,
}

/// A pack that is being filled.
pub(super) struct OpenPack {
    sealer: Sealer,
    bytes: Vec<u8>,
    directory: Directory,
    /// Where blocks are shuffled: those that are not sealed yet.
    waiting: Option<Waiting>,
}

impl OpenPack {
    /// An empty pack in this empty buffer.
    pub(super) fn new(repository: &Repository, mut bytes: Vec<u8>) -> Self {
        let sealer = repository.keys.sealer(SealedKind::Pack, &*repository.env.entropy);
        let sealer = sealer.expect("whoever stores chunks has shown before that it may");
        let waiting = repository.pads().then(Waiting::default);
        if waiting.is_none() {
            bytes.reserve(limits::PACK_TARGET_BYTES + (2 << 20));
        }
        bytes.extend(sealer.header());
        Self { sealer, bytes, directory: Directory::default(), waiting }
    }

    pub(super) fn has_room_for(&self, chunks: usize) -> bool {
        let waiting = self.waiting.as_ref();
        let bytes = self.bytes.len() + waiting.map_or(0, |waiting| waiting.bytes);
        let held = self.directory.chunks().len() + waiting.map_or(0, |waiting| waiting.chunks);
        bytes < limits::PACK_TARGET_BYTES && held + chunks <= limits::PACK_MAX_CHUNKS
    }

    pub(super) fn has_room_for_moved(&self, block: &MovedBlock) -> bool {
        let foreign = self.directory.foreign();
        let has_key = foreign.len() < limits::FOREIGN_ENVELOPES || foreign.contains(&block.envelope);
        has_key && self.has_room_for(block.chunks.len())
    }

    pub(super) fn push(&mut self, block: ClosedBlock) {
        match &mut self.waiting {
            Some(waiting) => waiting.push(block),
            None => self.seal(block),
        }
    }

    fn seal(&mut self, block: ClosedBlock) {
        let from = self.bytes.len();
        self.bytes.extend_from_slice(&block.bytes);
        let ordinal = self.directory.blocks().len() as u64;
        self.sealer.seal(Section::Block(block.kind), ordinal, &mut self.bytes, from);
        let row = BlockRow {
            kind: block.kind,
            codec: block.codec,
            chunks: block.chunks.len() as u16,
            stored_len: (block.bytes.len() + TAG_LEN) as u32,
            plain_len: block.plain_len as u32,
        };
        self.directory.push(row, block.chunks);
    }

    pub(super) fn push_moved(&mut self, block: MovedBlock) {
        let MovedBlock { row, chunks, bytes, envelope, ordinal } = block;
        self.bytes.extend_from_slice(&bytes);
        self.directory.push_moved(row, chunks, &envelope, ordinal).expect("there was room for its key");
    }

    pub(super) fn close(mut self, entropy: &dyn Entropy) -> SealedPack {
        if let Some(waiting) = self.waiting.take() {
            self.bytes.reserve(waiting.bytes + (2 << 20));
            waiting.shuffled(self.bytes.len(), entropy).into_iter().for_each(|block| self.seal(block));
        }
        let offset = self.bytes.len();
        self.bytes.extend(self.directory.encode());
        pad_directory(&self.directory, &mut self.bytes, offset);
        self.sealer.seal(Section::Footer, 0, &mut self.bytes, offset);
        let trailer = Trailer { offset: offset as u64, len: (self.bytes.len() - offset) as u32 };
        self.bytes.extend(trailer.encode());
        let chunks = self.directory.chunks().iter().map(|chunk| chunk.id).collect();
        SealedPack { id: ObjectId::of(&self.bytes), chunks, bytes: self.bytes }
    }
}

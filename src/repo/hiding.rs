//! What a repository that hides sizes does otherwise: how it cuts streams, pads what it stores, and orders blocks.
//!
//! docs/decisions/0017 says against whom that helps, and what it costs.

use super::packer::ClosedBlock;
use super::{RepoError, Repository};
use crate::chunk::Chunker;
use crate::env::Entropy;
use crate::format::manifest::ChunkSizes;
use crate::format::pack::Directory;
use crate::format::padding::{PREFIX, padme, wrap};
use crate::format::sealed::{SealedKind, TAG_LEN};

impl Repository {
    /// True if what is stored is padded, and the order of blocks in a pack drawn.
    pub fn pads(&self) -> bool {
        self.features.has_padding()
    }

    /// True if records of this kind are padded. Fences, configurations and writers all have one length, or nearly.
    pub(super) fn pads_records(&self, kind: SealedKind) -> bool {
        self.pads() && !matches!(kind, SealedKind::Config | SealedKind::Fence | SealedKind::Writer)
    }

    /// What cuts streams into chunks of these sizes. Fails if the format does not allow them.
    pub fn chunker(&self, sizes: ChunkSizes) -> Result<Chunker, RepoError> {
        let keys = &self.keys;
        let chunker = if self.features.has_prf_chunker() {
            Chunker::by_prf(sizes, keys.gear()?, keys.prf()?)
        } else {
            Chunker::by_gear(sizes, keys.gear()?)
        };
        chunker.map_err(|source| RepoError::Format { object: "the chunk sizes".to_owned(), source })
    }
}

/// Blocks of a pack that wait until all of them are there.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    blocks: Vec<ClosedBlock>,
    /// Stored bytes of these blocks.
    pub(super) bytes: usize,
    /// Chunks of these blocks.
    pub(super) chunks: usize,
}

impl Waiting {
    pub(super) fn push(&mut self, block: ClosedBlock) {
        self.bytes += block.bytes.len() + TAG_LEN;
        self.chunks += block.chunks.len();
        self.blocks.push(block);
    }

    /// The blocks in an order that says nothing of that in which they came, the last one longer: the pack has `before`
    /// bytes before its blocks, and they end at a length that says little.
    pub(super) fn shuffled(mut self, before: usize, entropy: &dyn Entropy) -> Vec<ClosedBlock> {
        shuffle(&mut self.blocks, entropy);
        let end = before + self.bytes;
        if let Some(last) = self.blocks.last_mut() {
            last.bytes.resize(last.bytes.len() + padme(end) - end, 0);
        }
        self.blocks
    }
}

/// A block's stored bytes with padding, so that their sealed length is a class of [`padme`].
pub(super) fn pad_block(stored: &[u8]) -> Vec<u8> {
    wrap(stored, padme(PREFIX + stored.len() + TAG_LEN) - TAG_LEN)
}

/// Adds zeros to the directory at the end of a pack, which begins at `offset`, if its blocks are padded.
pub(super) fn pad_directory(directory: &Directory, pack: &mut Vec<u8>, offset: usize) {
    if directory.is_padded() {
        pack.resize(offset + padme(pack.len() - offset + TAG_LEN) - TAG_LEN, 0);
    }
}

/// Every order equally likely, but for 2^-52 (Fisher and Yates, as Durstenfeld has it).
fn shuffle<T>(items: &mut [T], entropy: &dyn Entropy) {
    for last in (1..items.len()).rev() {
        let mut drawn = [0; 8];
        entropy.fill(&mut drawn);
        let place = (u128::from(u64::from_le_bytes(drawn)) * (last as u128 + 1)) >> 64;
        items.swap(last, place as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// BLAKE3 of 1, 2, 3 and so on.
    #[derive(Default)]
    struct Counting(AtomicU64);

    impl Entropy for Counting {
        fn fill(&self, bytes: &mut [u8]) {
            let number = self.0.fetch_add(1, Ordering::Relaxed).to_le_bytes();
            blake3::Hasher::new().update(&number).finalize_xof().fill(bytes);
        }
    }

    #[test]
    fn every_order_comes_up_about_as_often() {
        let entropy = Counting::default();
        let mut counts = std::collections::BTreeMap::new();
        for _ in 0..6000 {
            let mut items = [0, 1, 2];
            shuffle(&mut items, &entropy);
            *counts.entry(items).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 6);
        assert!(counts.values().all(|count| (850..1150).contains(count)), "{counts:?}");
    }
}

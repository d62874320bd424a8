//! A stream on its way out in large pieces, hashed by workers beside the writing.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::crypto::stream_hash::{SegmentHash, StreamHash, segment_hash};
use crate::limits::SEGMENT_BYTES;
use crate::repo::pool::{Pool, Ticket};

/// Collects chunks into segments; each is written as a whole and hashed by a worker.
pub(super) struct HashedPieces {
    pool: Arc<Pool>,
    open: Vec<u8>,
    number: u64,
    hash: StreamHash,
    hashing: VecDeque<Ticket<(SegmentHash, Vec<u8>)>>,
    /// True if the hash of a segment was lost with the worker that computed it.
    is_lost: bool,
}

/// Segments whose hashes are being computed.
const HASHING: usize = 4;

impl HashedPieces {
    pub(super) fn new(pool: Arc<Pool>) -> Self {
        let open = Vec::with_capacity(SEGMENT_BYTES);
        Self { pool, open, number: 0, hash: StreamHash::default(), hashing: VecDeque::new(), is_lost: false }
    }

    pub(super) fn push<E>(&mut self, mut bytes: &[u8], sink: &mut impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(SEGMENT_BYTES - self.open.len()));
            self.open.extend_from_slice(now);
            bytes = later;
            if self.open.len() == SEGMENT_BYTES {
                self.send(sink)?;
            }
        }
        Ok(())
    }

    fn send<E>(&mut self, sink: &mut impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        sink(&self.open)?;
        let spare = if self.hashing.len() < HASHING { None } else { self.hashing.pop_front() };
        let spare = spare.map_or_else(|| Vec::with_capacity(SEGMENT_BYTES), |ticket| self.take(ticket));
        let (bytes, number) = (std::mem::replace(&mut self.open, spare), self.number);
        self.number += 1;
        self.hashing.push_back(self.pool.submit(move || (segment_hash(number, &bytes), bytes)));
        Ok(())
    }

    /// Takes the hash of the oldest segment, and its buffer for the next.
    fn take(&mut self, ticket: Ticket<(SegmentHash, Vec<u8>)>) -> Vec<u8> {
        let Ok((hash, mut bytes)) = ticket.wait() else {
            self.is_lost = true;
            return Vec::with_capacity(SEGMENT_BYTES);
        };
        self.hash.push(hash, &bytes);
        bytes.clear();
        bytes
    }

    /// Writes what is left; the hash of the whole, or nothing if a worker was lost.
    pub(super) fn finish<E>(mut self, sink: &mut impl FnMut(&[u8]) -> Result<(), E>) -> Result<Option<[u8; 32]>, E> {
        if !self.open.is_empty() {
            self.send(sink)?;
        }
        while let Some(ticket) = self.hashing.pop_front() {
            self.take(ticket);
        }
        Ok((!self.is_lost).then(|| self.hash.finish()))
    }
}

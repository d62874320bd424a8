//! What a command writes, on its way to whoever takes it: without the trailer, which is compared at the end.

use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};

use super::spill::Spill;
use super::trailer::{End, Nonce, Tail, TrailerError};
use crate::source::SourceError;

/// What a command writes, as it arrives: whether it is whole is not known before [`run`](super::run) has ended.
pub struct Arriving<'a> {
    spill: &'a Spill,
    nonce: &'a Nonce,
    /// True if the command runs without the wrapper: there is no trailer. Settled before its first byte.
    plain: &'a AtomicBool,
    tail: Option<Tail>,
    /// What [`Read`] has not given yet, from `given` on.
    ready: Vec<u8>,
    given: usize,
    /// How the stream ended; nothing if it has no trailer.
    pub(super) end: Option<Result<End, TrailerError>>,
}

impl<'a> Arriving<'a> {
    pub(super) fn new(spill: &'a Spill, nonce: &'a Nonce, plain: &'a AtomicBool) -> Self {
        Self { spill, nonce, plain, tail: Some(Tail::new()), ready: Vec::new(), given: 0, end: None }
    }

    /// Gives on everything, to the end.
    pub fn copy_to(&mut self, mut give: impl FnMut(&[u8]) -> Result<(), SourceError>) -> Result<(), SourceError> {
        while self.step(&mut give)? {}
        Ok(())
    }

    /// Reads what nobody has read, to the end.
    pub(super) fn drain(&mut self) -> Result<(), SourceError> {
        self.copy_to(|_| Ok(()))
    }

    /// Gives on the next piece; false if there is none.
    fn step(&mut self, give: &mut impl FnMut(&[u8]) -> Result<(), SourceError>) -> Result<bool, SourceError> {
        let Some(tail) = &mut self.tail else { return Ok(false) };
        match self.spill.read()? {
            Some(piece) if self.plain.load(Ordering::Acquire) => give(&piece)?,
            Some(piece) => tail.push(&piece, give)?,
            None => {
                let tail = self.tail.take();
                if let Some(tail) = tail.filter(|_| !self.plain.load(Ordering::Acquire)) {
                    self.finish(tail, give)?;
                }
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Compares the trailer, and gives on what preceded it.
    fn finish(
        &mut self,
        tail: Tail,
        give: &mut impl FnMut(&[u8]) -> Result<(), SourceError>,
    ) -> Result<(), SourceError> {
        let (rest, end) = tail.finish(self.nonce);
        self.end = Some(end);
        give(&rest)
    }
}

impl Read for Arriving<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.ready.len() {
            let mut ready = std::mem::take(&mut self.ready);
            ready.clear();
            self.given = 0;
            let more = self.step(&mut |part| {
                ready.extend_from_slice(part);
                Ok(())
            });
            self.ready = ready;
            if !more.map_err(io::Error::other)? && self.ready.is_empty() {
                return Ok(0);
            }
        }
        let count = buffer.len().min(self.ready.len() - self.given);
        buffer[..count].copy_from_slice(&self.ready[self.given..self.given + count]);
        self.given += count;
        Ok(count)
    }
}

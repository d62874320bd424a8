//! The way from sources to the pipeline: bytes in, full segments out, through one bounded channel.
//!
//! A source may feed several streams at once (a folder: its tar stream and its catalog); each has a lane.

use std::io::{self, Read};
use std::ops::Range;

use crate::chunk::segment::Segment;
use crate::env::Cancel;
use crate::limits::SEGMENT_BYTES;
use crate::sync::{Receiver, Sender};

/// What travels from sources to the pipeline.
#[derive(Debug)]
pub enum Piece {
    /// The next segment of the stream with this number.
    Segment(usize, Segment),
    /// What came of these streams is worth nothing: they begin again.
    Restart(Range<usize>),
    /// The stream with this number has ended, after so many segments.
    End(usize, u64),
}

/// Collects the bytes of a source's streams into segments.
#[derive(Debug)]
pub struct Lanes {
    open: Vec<OpenLane>,
    /// Number of the first stream among those of all sources.
    first: usize,
    pieces: Sender<Piece>,
    /// Buffers that the pipeline is done with: fresh ones would cost a page fault for each 4 KiB.
    spares: Receiver<Vec<u8>>,
    cancel: Cancel,
}

#[derive(Debug, Default)]
struct OpenLane {
    number: u64,
    bytes: Vec<u8>,
}

fn stopped() -> io::Error {
    io::Error::other("interrupted")
}

impl Lanes {
    /// Lanes for the streams with these numbers.
    pub fn new(streams: Range<usize>, pieces: Sender<Piece>, spares: Receiver<Vec<u8>>, cancel: Cancel) -> Self {
        Self { first: streams.start, open: streams.map(|_| OpenLane::default()).collect(), pieces, spares, cancel }
    }

    /// Says when the source is to stop.
    pub fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    /// Adds bytes to a stream.
    pub fn write(&mut self, lane: usize, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let open = self.reserve(lane);
            let (now, later) = bytes.split_at(bytes.len().min(SEGMENT_BYTES - open.len()));
            open.extend_from_slice(now);
            bytes = later;
            self.send_if_full(lane)?;
        }
        Ok(())
    }

    /// Adds everything that a reader gives, read into place.
    pub fn read_from(&mut self, lane: usize, reader: &mut impl Read) -> io::Result<()> {
        loop {
            let open = self.reserve(lane);
            let room = (SEGMENT_BYTES - open.len()) as u64;
            // `read_to_end` on a limited reader fills the spare capacity without zeroing or copying.
            let read = reader.by_ref().take(room).read_to_end(open)?;
            self.send_if_full(lane)?;
            if (read as u64) < room {
                return Ok(());
            }
        }
    }

    /// Forgets what was written up to now: the source tries again from the beginning.
    pub fn restart(&mut self) -> io::Result<()> {
        for open in &mut self.open {
            open.number = 0;
            open.bytes.clear();
        }
        self.pieces.send(Piece::Restart(self.first..self.first + self.open.len())).map_err(|_| stopped())
    }

    fn reserve(&mut self, lane: usize) -> &mut Vec<u8> {
        let open = &mut self.open[lane].bytes;
        if open.capacity() == 0 {
            *open = self.spares.try_recv().unwrap_or_else(|_| Vec::with_capacity(SEGMENT_BYTES));
        }
        open
    }

    fn send_if_full(&mut self, lane: usize) -> io::Result<()> {
        if self.open[lane].bytes.len() == SEGMENT_BYTES { self.send(lane) } else { Ok(()) }
    }

    fn send(&mut self, lane: usize) -> io::Result<()> {
        if self.cancel.is_cancelled() {
            return Err(stopped());
        }
        let open = &mut self.open[lane];
        let segment = Segment { number: open.number, bytes: std::mem::take(&mut open.bytes) };
        open.number += 1;
        self.pieces.send(Piece::Segment(self.first + lane, segment)).map_err(|_| stopped())
    }

    /// Sends what is left of every stream, and how many segments it has: without that no stream is whole. Only a source
    /// that succeeded calls this.
    pub fn finish(mut self) -> io::Result<()> {
        for lane in 0..self.open.len() {
            if !self.open[lane].bytes.is_empty() {
                self.send(lane)?;
            }
            let end = Piece::End(self.first + lane, self.open[lane].number);
            self.pieces.send(end).map_err(|_| stopped())?;
        }
        Ok(())
    }
}

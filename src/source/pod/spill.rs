//! The way from a connection to the pipeline, with room for a repository that is slower than the source.
//!
//! Pieces wait in memory. A source that has to wait a little is fine; one that has to wait for long is not (a database
//! server gives up a client that takes nothing for a minute), so then they go into a temporary file: sealed under a key
//! that only this process has, without a name, gone with the process.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;

use crate::crypto::aead::{AeadKey, preferred_cipher};
use crate::source::SourceError;

/// Bytes that wait in memory.
const MEMORY: usize = 4 << 20;

/// Bytes that are worth waking a reader for; what is less waits for more, but not for long.
const WAKE: usize = 256 << 10;
const DOZE: Duration = Duration::from_millis(10);

/// Length and tag of a piece in the file.
const OVERHEAD: u64 = 4 + 16;

/// One end of the way writes, the other reads.
pub(super) struct Spill {
    state: Mutex<State>,
    /// Told when there is something to read, or nothing will come any more.
    filled: Condvar,
    /// Told when there is room again.
    drained: Notify,
    limit: u64,
}

struct State {
    memory: VecDeque<Bytes>,
    in_memory: usize,
    file: Option<SealedFile>,
    key: AeadKey,
    /// Nothing will be written any more.
    ended: bool,
    /// Nothing will be read any more.
    closed: bool,
}

impl Spill {
    /// A way with `limit` bytes of temporary file. The key must be new and random.
    pub(super) fn new(limit: u64, key: &[u8; 32]) -> Arc<Self> {
        let key = AeadKey::new(preferred_cipher(), key);
        let state = State { memory: VecDeque::new(), in_memory: 0, file: None, key, ended: false, closed: false };
        Arc::new(Self { state: Mutex::new(state), filled: Condvar::new(), drained: Notify::new(), limit })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a piece if there is room, in memory or, unless the writer is still `patient`, in the file; false if there is none.
    pub(super) fn write(&self, piece: &Bytes, patient: bool) -> Result<bool, SourceError> {
        let mut state = self.state();
        if state.closed {
            return Err(SourceError::Unwanted);
        }
        let spilled = state.file.as_ref().is_some_and(|file| !file.is_empty());
        // A piece that is longer than all the memory is taken alone: it would wait for ever.
        if !spilled && (state.in_memory == 0 || state.in_memory + piece.len() <= MEMORY) {
            state.in_memory += piece.len();
            state.memory.push_back(piece.clone());
        } else if (patient && !spilled) || !state.write_to_file(piece, self.limit)? {
            return Ok(false);
        }
        if state.in_memory >= WAKE {
            self.filled.notify_one();
        }
        Ok(true)
    }

    /// Waits until there may be room.
    pub(super) async fn room(&self) {
        self.drained.notified().await;
    }

    /// The next piece; nothing after the last one.
    pub(super) fn read(&self) -> io::Result<Option<Bytes>> {
        let mut state = self.state();
        loop {
            if let Some(piece) = state.next()? {
                // A writer that waits has something to do when it is woken.
                if state.in_memory <= MEMORY / 2 {
                    self.drained.notify_one();
                }
                return Ok(Some(piece));
            }
            if state.ended {
                return Ok(None);
            }
            state = self.filled.wait_timeout(state, DOZE).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Nothing will be written any more.
    fn end(&self) {
        self.state().ended = true;
        self.filled.notify_one();
    }

    /// Nothing will be read any more.
    fn close(&self) {
        self.state().closed = true;
        self.drained.notify_one();
    }

    /// Nothing will be written any more when this is dropped, by a panic too: a reader would wait for ever.
    pub(super) fn ended_by_drop(&self) -> OnDrop<'_> {
        OnDrop { spill: self, then: Self::end }
    }

    /// Nothing will be read any more when this is dropped, by a panic too: a writer would wait for ever.
    pub(super) fn closed_by_drop(&self) -> OnDrop<'_> {
        OnDrop { spill: self, then: Self::close }
    }
}

/// Whoever holds one end; tells the other when it is dropped.
pub(super) struct OnDrop<'a> {
    spill: &'a Spill,
    then: fn(&Spill),
}

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        (self.then)(self.spill);
    }
}

impl State {
    fn write_to_file(&mut self, piece: &Bytes, limit: u64) -> io::Result<bool> {
        if self.file.is_none() {
            self.file = Some(SealedFile::new()?);
        }
        let Self { file: Some(file), key, .. } = self else { return Ok(false) };
        file.write(piece, key, limit)
    }

    /// What was written first: memory is filled before the file, and not again until the file is empty.
    fn next(&mut self) -> io::Result<Option<Bytes>> {
        if let Some(piece) = self.memory.pop_front() {
            self.in_memory -= piece.len();
            return Ok(Some(piece));
        }
        match &mut self.file {
            Some(file) if !file.is_empty() => file.read(&self.key).map(Some),
            _ => Ok(None),
        }
    }
}

/// Sealed pieces, one after the other. It begins again at the front whenever everything was read.
struct SealedFile {
    file: File,
    written: u64,
    read: u64,
    /// Numbers of pieces, in all passes through the file: no nonce comes twice.
    sealed: u64,
    opened: u64,
}

impl SealedFile {
    fn new() -> io::Result<Self> {
        Ok(Self { file: tempfile::tempfile()?, written: 0, read: 0, sealed: 0, opened: 0 })
    }

    fn is_empty(&self) -> bool {
        self.read == self.written
    }

    fn write(&mut self, piece: &Bytes, key: &AeadKey, limit: u64) -> io::Result<bool> {
        let len = OVERHEAD + piece.len() as u64;
        if self.written + len > limit {
            return Ok(false);
        }
        let mut record = (piece.len() as u32).to_le_bytes().to_vec();
        record.extend_from_slice(piece);
        key.seal(nonce(self.sealed), &[], &mut record, 4);
        self.file.write_all_at(&record, self.written)?;
        self.written += len;
        self.sealed += 1;
        Ok(true)
    }

    fn read(&mut self, key: &AeadKey) -> io::Result<Bytes> {
        let mut len = [0; 4];
        self.file.read_exact_at(&mut len, self.read)?;
        let len = u32::from_le_bytes(len);
        if OVERHEAD + u64::from(len) > self.written - self.read {
            return Err(broken());
        }
        let mut sealed = vec![0; len as usize + 16];
        self.file.read_exact_at(&mut sealed, self.read + 4)?;
        key.open(nonce(self.opened), &[], &mut sealed).map_err(|_| broken())?;
        sealed.truncate(len as usize);
        self.read += OVERHEAD + u64::from(len);
        self.opened += 1;
        if self.is_empty() {
            self.file.set_len(0)?;
            (self.read, self.written) = (0, 0);
        }
        Ok(sealed.into())
    }
}

fn nonce(number: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[..8].copy_from_slice(&number.to_le_bytes());
    nonce
}

fn broken() -> io::Error {
    io::Error::other("the temporary file was changed by somebody else")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(number: usize) -> Bytes {
        let len = number * 7919 % 40_000;
        (0..len).map(|at| (at * 31 + number) as u8).collect::<Vec<_>>().into()
    }

    #[test]
    fn pieces_come_out_as_they_went_in() {
        let spill = Spill::new(64 << 20, &[1; 32]);
        let (mut written, mut read) = (0, 0);
        for (write, take) in [(10, 5), (700, 300), (0, 405), (400, 100), (600, 900)] {
            (0..write).for_each(|_| {
                assert!(spill.write(&piece(written), false).expect("written"));
                written += 1;
            });
            (0..take).for_each(|_| {
                assert_eq!(spill.read().expect("read"), Some(piece(read)), "piece {read}");
                read += 1;
            });
        }
        spill.end();
        assert_eq!((read, spill.read().expect("the end")), (written, None));
    }

    #[test]
    fn what_is_full_says_so_and_has_room_again() {
        let spill = Spill::new(1 << 20, &[1; 32]);
        let one = Bytes::from(vec![7; 32 << 10]);
        let taken = (0..1000).take_while(|_| spill.write(&one, false).expect("written")).count();
        assert_eq!(taken, (MEMORY + (1 << 20)) / one.len() - 1);
        (0..taken).for_each(|_| assert_eq!(spill.read().expect("read").as_ref(), Some(&one)));
        assert!(spill.write(&one, true).expect("written"));
    }

    #[test]
    fn nothing_is_written_in_the_clear_and_changes_are_noticed() {
        let key = AeadKey::new(preferred_cipher(), &[3; 32]);
        let mut file = SealedFile::new().expect("a file");
        let secret = Bytes::from_static(b"not a real secret, but treated as one");
        assert!(file.write(&secret, &key, 1 << 20).expect("written"));
        let mut stored = vec![0; usize::try_from(file.written).expect("short")];
        file.file.read_exact_at(&mut stored, 0).expect("read");
        assert!(!stored.windows(6).any(|window| window == b"secret"));
        file.file.write_all_at(&[stored[9] ^ 1], 9).expect("changed");
        assert!(file.read(&key).is_err());
    }

    #[test]
    fn a_reader_that_is_gone_stops_the_writer() {
        let spill = Spill::new(0, &[1; 32]);
        spill.close();
        assert!(spill.write(&Bytes::from_static(b"x"), true).is_err());
    }
}

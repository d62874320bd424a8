//! The stream below the entries: whole blocks, data of a known length, and where we are.

use super::header::{BLOCK, Block, padding};
use super::reader::TarError;
use std::io::{self, ErrorKind, Read};

/// Counts what is read, and knows how much of the current entry is left.
#[derive(Debug)]
pub(super) struct Payload<R> {
    inner: R,
    position: u64,
    /// Data bytes left in the current entry, and the padding that follows them.
    left: u64,
    padding: usize,
}

impl<R: Read> Payload<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, position: 0, left: 0, padding: 0 }
    }

    /// Bytes read so far.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    pub(super) fn into_inner(self) -> R {
        self.inner
    }

    /// Announces `len` bytes of data, followed by their padding.
    pub(super) fn begin(&mut self, len: u64) {
        self.left = len;
        self.padding = padding(len);
    }

    /// The next block; `None` if the stream ends right here.
    pub(super) fn block(&mut self) -> Result<Option<Block>, TarError> {
        let mut block = [0; BLOCK];
        match self.fill(&mut block)? {
            0 => Ok(None),
            BLOCK => Ok(Some(block)),
            _ => Err(self.truncated()),
        }
    }

    /// The next block, where the stream must not end.
    pub(super) fn expect_block(&mut self) -> Result<Block, TarError> {
        self.block()?.ok_or_else(|| self.truncated())
    }

    /// All of the announced data. The caller has checked that it may be that much.
    pub(super) fn read_all(&mut self) -> Result<Vec<u8>, TarError> {
        let mut data = vec![0; usize::try_from(self.left).map_err(|_| TarError::TooLarge { what: "extended header" })?];
        if self.fill(&mut data)? < data.len() {
            return Err(self.truncated());
        }
        self.left = 0;
        self.skip_padding(false)?;
        Ok(data)
    }

    /// Reads past what is left of the current entry. With `may_end`, the padding may be missing at the end of the
    /// stream.
    pub(super) fn skip(&mut self, may_end: bool) -> Result<(), TarError> {
        if self.left > 0 {
            self.skip_data()?;
        }
        self.skip_padding(may_end)
    }

    fn skip_data(&mut self) -> Result<(), TarError> {
        let mut scratch = vec![0; 64 << 10];
        while self.left > 0 {
            self.read_data(&mut scratch)?;
        }
        Ok(())
    }

    /// Some of the data left in the current entry; 0 only when none is left (or `buf` is empty).
    pub(super) fn read_data(&mut self, buf: &mut [u8]) -> Result<usize, TarError> {
        let len = usize::try_from(self.left).map_or(buf.len(), |left| left.min(buf.len()));
        if len == 0 {
            return Ok(0);
        }
        let read = self.read_some(&mut buf[..len])?;
        if read == 0 {
            return Err(self.truncated());
        }
        self.left -= read as u64;
        Ok(read)
    }

    /// The stream ended too early, here.
    pub(super) fn truncated(&self) -> TarError {
        TarError::Truncated { at: self.position }
    }

    fn skip_padding(&mut self, may_end: bool) -> Result<(), TarError> {
        let mut scratch = [0; BLOCK];
        let padding = std::mem::take(&mut self.padding);
        let complete = self.fill(&mut scratch[..padding])? == padding;
        if complete || may_end { Ok(()) } else { Err(self.truncated()) }
    }

    /// Fills `buf` as far as the stream goes.
    fn fill(&mut self, buf: &mut [u8]) -> Result<usize, TarError> {
        let mut filled = 0;
        while filled < buf.len() {
            match self.read_some(&mut buf[filled..])? {
                0 => break,
                read => filled += read,
            }
        }
        Ok(filled)
    }

    fn read_some(&mut self, buf: &mut [u8]) -> Result<usize, TarError> {
        loop {
            match self.inner.read(buf) {
                Ok(read) => {
                    self.position += read as u64;
                    return Ok(read);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(TarError::Io(error)),
            }
        }
    }
}

impl From<TarError> for io::Error {
    /// Keeps an I/O error as it is; everything else becomes the source of one that says what kind it is.
    fn from(error: TarError) -> Self {
        match error {
            TarError::Io(error) => error,
            TarError::Truncated { .. } => io::Error::new(ErrorKind::UnexpectedEof, error),
            _ => io::Error::new(ErrorKind::InvalidData, error),
        }
    }
}

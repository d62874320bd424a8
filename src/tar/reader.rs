//! Bytes to entries, for streams nobody vouches for.
//!
//! Understands version 7, ustar, pax (`x` and `g` headers), GNU (long names, base-256 numbers) and sparse files in the
//! formats old GNU, pax 0.0, 0.1 and 1.0. Every length is bounded before anything is allocated for it.

use super::header::{self, Block, Header};
use super::member::{self, Before, Member};
use super::pax::Pax;
use super::payload::Payload;
use super::{Entry, MAX_NAME, MAX_PAX};
use std::io::{self, Read};

/// A stream is not a sound tar archive. After any of these the reader refuses to go on.
#[derive(Debug, thiserror::Error)]
pub enum TarError {
    /// The source failed.
    #[error("cannot read the tar stream")]
    Io(#[source] io::Error),
    /// The stream ended inside an entry, or without the end-of-archive mark.
    #[error("the tar stream ends too early, after {at} bytes")]
    Truncated {
        /// Length of what there was, in bytes.
        at: u64,
    },
    /// A header block is none: its checksum or one of its fields is wrong.
    #[error("the tar header at byte {at} is damaged: bad {what}")]
    Header {
        /// Which part of it.
        what: &'static str,
        /// Position of the block in the stream, in bytes.
        at: u64,
    },
    /// An extended header, or the map of a sparse file, is malformed or contradicts the entry.
    #[error("the tar entry at byte {at} has a bad {what}")]
    Extension {
        /// What kind of extension.
        what: &'static str,
        /// Position of the entry in the stream, in bytes.
        at: u64,
    },
    /// Something is larger than any sound archive needs.
    #[error("the {what} of a tar entry is too large")]
    TooLarge {
        /// What it is.
        what: &'static str,
    },
    /// An entry is of a kind that sfarc does not know (a multi-volume continuation, for example).
    #[error("unknown type {flag:?} of the tar entry at byte {at}")]
    UnknownType {
        /// The type flag.
        flag: char,
        /// Position of the entry in the stream, in bytes.
        at: u64,
    },
    /// An earlier call failed; nothing after that point can be trusted.
    #[error("the tar stream was given up after an error")]
    GivenUp,
}

/// Where the reader stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Reading,
    Ended,
    Failed,
}

/// Reads a tar stream, one entry after the other. Its [`Read`] gives the current entry's data: [`Entry::stored`] bytes,
/// without padding.
///
/// Reads in blocks of 512 bytes, so give it a buffered source.
#[derive(Debug)]
pub struct TarReader<R> {
    payload: Payload<R>,
    /// The stream is a piece of an archive: it may end after any entry.
    is_part: bool,
    state: State,
    /// What global headers said so far.
    global: Pax,
}

impl<R: Read> TarReader<R> {
    /// Reads a whole archive, which must have its end mark.
    pub fn new(source: R) -> Self {
        Self { payload: Payload::new(source), is_part: false, state: State::Reading, global: Pax::default() }
    }

    /// Reads a piece of an archive: complete entries, the last one possibly without padding, with or without an end
    /// mark.
    pub fn new_part(source: R) -> Self {
        Self { is_part: true, ..Self::new(source) }
    }

    /// The next entry and the length of everything between the (padded) data before it and its own data, in bytes.
    ///
    /// `None` at the end of the archive; what follows the end mark is left unread. Data of the current entry that was
    /// not read is skipped.
    pub fn next_entry(&mut self) -> Result<Option<(Entry, u64)>, TarError> {
        match self.state {
            State::Reading => {}
            State::Ended => return Ok(None),
            State::Failed => return Err(TarError::GivenUp),
        }
        let result = self.advance();
        match &result {
            Ok(Some(_)) => {}
            Ok(None) => self.state = State::Ended,
            Err(_) => self.state = State::Failed,
        }
        result
    }

    /// Bytes of the stream read so far.
    pub fn position(&self) -> u64 {
        self.payload.position()
    }

    /// The source, wherever reading has come to.
    pub fn into_inner(self) -> R {
        self.payload.into_inner()
    }

    fn advance(&mut self) -> Result<Option<(Entry, u64)>, TarError> {
        self.payload.skip(self.is_part)?;
        let start = self.position();
        let mut before = Before::default();
        while let Some(block) = self.header_block(before.is_pending)? {
            let header = self.decode(&block)?;
            if !self.take_extension(&header, &mut before)? {
                let member = Member { at: self.header_at(), block, header, before };
                let entry = member.read(&mut self.payload, &self.global)?;
                self.payload.begin(entry.stored);
                return Ok(Some((entry, self.position() - start)));
            }
        }
        Ok(None)
    }

    /// The next header; `None` at the end of the archive, which must not come between an extension and its entry.
    fn header_block(&mut self, is_pending: bool) -> Result<Option<Block>, TarError> {
        let block = self.payload.block()?;
        let at_end = block.is_none_or(|block| header::is_zero(&block));
        let end_is_sound = !is_pending && (self.is_part || block.is_some());
        match block {
            _ if at_end && !end_is_sound => Err(self.payload.truncated()),
            _ if at_end => Ok(None),
            block => Ok(block),
        }
    }

    fn decode(&self, block: &Block) -> Result<Header, TarError> {
        let at = self.header_at();
        Header::decode(block).map_err(|fault| match fault {
            header::Fault::Checksum => TarError::Header { what: "checksum", at },
            header::Fault::Number(what) => TarError::Header { what, at },
        })
    }

    /// Position of the header block that was just read.
    fn header_at(&self) -> u64 {
        self.position().saturating_sub(header::BLOCK as u64)
    }

    /// Takes a header that says something about the entries after it. `false` if it is an entry itself.
    fn take_extension(&mut self, header: &Header, before: &mut Before) -> Result<bool, TarError> {
        match header.typeflag {
            b'x' | b'X' => self.take_pax(header, before)?,
            b'g' => {
                let mut pax = self.global.clone();
                self.read_pax(header, &mut pax)?;
                self.global = pax.as_global();
            }
            b'L' => before.gnu_name = Some(self.read_long_name(header)?),
            b'K' => before.gnu_link = Some(self.read_long_name(header)?),
            b'V' => member::skip_data(&mut self.payload, header.size)?,
            _ => return Ok(false),
        }
        before.is_pending |= matches!(header.typeflag, b'x' | b'X' | b'L' | b'K');
        Ok(true)
    }

    fn take_pax(&mut self, header: &Header, before: &mut Before) -> Result<(), TarError> {
        before.pax_len = before.pax_len.saturating_add(header.size);
        if before.pax_len > MAX_PAX as u64 {
            return Err(TarError::TooLarge { what: "extended header" });
        }
        self.read_pax(header, &mut before.pax)
    }

    fn read_pax(&mut self, header: &Header, pax: &mut Pax) -> Result<(), TarError> {
        let at = self.header_at();
        let text = self.read_bounded(header, MAX_PAX, "extended header")?;
        pax.apply(&text).ok_or(TarError::Extension { what: "extended header", at })
    }

    /// The name in a GNU `L` or `K` header, which ends with a NUL.
    fn read_long_name(&mut self, header: &Header) -> Result<Vec<u8>, TarError> {
        let mut name = self.read_bounded(header, MAX_NAME + 1, "name")?;
        name.truncate(name.iter().position(|&b| b == 0).unwrap_or(name.len()));
        Ok(name)
    }

    fn read_bounded(&mut self, header: &Header, limit: usize, what: &'static str) -> Result<Vec<u8>, TarError> {
        if header.size > limit as u64 {
            return Err(TarError::TooLarge { what });
        }
        self.payload.begin(header.size);
        self.payload.read_all()
    }
}

impl<R: Read> Read for TarReader<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.state == State::Failed {
            return Err(TarError::GivenUp.into());
        }
        self.payload.read_data(buf).map_err(|error| {
            self.state = State::Failed;
            error.into()
        })
    }
}

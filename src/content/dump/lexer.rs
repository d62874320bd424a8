//! The lexical side: what is a string, a name, a comment.

use super::opening::Opening;
use super::rows::{Stop, StringEnd, skip_string};
use super::statement::{Statements, Token};
use super::{Fault, NAME_BYTES, Open};

/// As much of a comment line as is looked at, in bytes.
const LINE: usize = 160;

/// The line that ends a block in which statements end with another delimiter.
const BLOCK_END: &[u8] = b"DELIMITER ;";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Code,
    /// After `-`.
    Dash,
    /// After `--`, which begins a comment only if a space or control character follows.
    DashDash,
    /// In a comment that ends with its line.
    Line,
    /// After `/`.
    Slash,
    /// After `/*`.
    CommentStart,
    /// After `/*M`.
    CommentM,
    Comment,
    /// After `*` in a comment.
    CommentStar,
    /// After `*` in a conditional comment.
    ConditionalStar,
    /// In a string with this quote.
    String(u8),
    /// After a backslash in such a string.
    Escape(u8),
    /// In a name with this quote.
    Name(u8),
    /// After that quote in such a name: its end, or a doubled one.
    NameQuote(u8),
    /// In the line that sets the delimiter.
    Delimiter,
    /// In a block with another delimiter, after so many bytes of a line like [`BLOCK_END`].
    Block(Option<usize>),
    /// After the last line.
    End,
}

/// Cuts a dump into tokens. It needs no look-ahead, so the pieces that a dump comes in do not matter.
#[derive(Debug, Default)]
pub(super) struct Lexer {
    state: State,
    conditional: bool,
    word: Vec<u8>,
    line: Vec<u8>,
    opening: Opening,
    pub(super) server: Option<String>,
    pub(super) statements: Statements,
}

impl Lexer {
    /// Takes the next bytes. An error has the place of what is wrong.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), (usize, Fault)> {
        let mut at = 0;
        while at < bytes.len() {
            at += self.advance(&bytes[at..]).map_err(|(place, fault)| (at + place, fault))?;
        }
        Ok(())
    }

    /// The bytes have ended.
    pub(super) fn finish(&mut self) -> Result<(), Fault> {
        if self.state == State::Line {
            self.end_line()?;
        }
        if self.state == State::End { Ok(()) } else { Err(Fault::Unfinished) }
    }

    /// What is open.
    pub(super) fn open(&self) -> Open {
        let in_rows = self.statements.in_rows();
        match self.state {
            State::String(_) | State::Escape(_) if in_rows => Open::Value { table: self.statements.table() },
            State::String(_) | State::Escape(_) => Open::Text,
            State::Name(_) => Open::Name,
            State::Delimiter | State::Block(_) => Open::Routine,
            _ if in_rows => Open::Rows { table: self.statements.table() },
            _ if !self.statements.is_between() || !self.word.is_empty() => Open::Statement,
            State::CommentStart | State::CommentM | State::Comment | State::CommentStar => Open::Comment,
            _ if self.conditional => Open::Comment,
            _ => Open::Nothing,
        }
    }

    /// Takes some of the bytes and says how many: none where only the state has changed.
    fn advance(&mut self, bytes: &[u8]) -> Result<usize, (usize, Fault)> {
        let taken = match self.state {
            State::Code if self.statements.in_rows() && !self.conditional => return self.rows(bytes),
            State::String(quote) => self.string(bytes, quote),
            State::Comment => match memchr::memchr(b'*', bytes) {
                Some(star) => self.go(State::CommentStar, star + 1),
                None => bytes.len(),
            },
            State::Line => return self.line(bytes),
            State::Block(matched) => return Ok(self.block(bytes, matched)),
            State::Code if self.is_between() => match self.opening.of(bytes) {
                Some(len) => {
                    self.statements.repeat();
                    len
                }
                None => return self.slowly(bytes[0]),
            },
            _ => return self.slowly(bytes[0]),
        };
        Ok(taken)
    }

    /// True if the next byte begins a statement, if it begins anything.
    fn is_between(&self) -> bool {
        self.statements.is_between() && self.word.is_empty() && !self.conditional
    }

    fn slowly(&mut self, byte: u8) -> Result<usize, (usize, Fault)> {
        match self.state {
            State::Code if self.is_between() && !byte.is_ascii_whitespace() => self.opening.begin(),
            State::Code | State::Name(_) | State::NameQuote(_) => {}
            _ => self.opening.forget(),
        }
        let taken = self.step(byte).map_err(|fault| (0, fault))?;
        if taken > 0 {
            self.opening.push(byte);
        } else if self.statements.in_rows() {
            self.opening.end();
        }
        Ok(taken)
    }

    fn go(&mut self, state: State, taken: usize) -> usize {
        self.state = state;
        taken
    }

    fn rows(&mut self, bytes: &[u8]) -> Result<usize, (usize, Fault)> {
        let (taken, stop) = self.statements.rows.scan(bytes)?;
        match stop {
            Stop::End => {}
            Stop::String => self.state = State::String(b'\''),
            Stop::Escape => self.state = State::Escape(b'\''),
            Stop::Tail => self.statements.end_rows().map_err(|fault| (taken, fault))?,
            Stop::Lexer => return Ok(taken + self.step(bytes[taken]).map_err(|fault| (taken, fault))?),
        }
        Ok(taken)
    }

    fn string(&mut self, bytes: &[u8], quote: u8) -> usize {
        match skip_string(bytes, quote) {
            StringEnd::Closed(len) => self.go(State::Code, len),
            StringEnd::Open => bytes.len(),
            StringEnd::Escape => self.go(State::Escape(quote), bytes.len()),
        }
    }

    fn line(&mut self, bytes: &[u8]) -> Result<usize, (usize, Fault)> {
        let end = memchr::memchr(b'\n', bytes);
        let text = &bytes[..end.unwrap_or(bytes.len())];
        let room = LINE.saturating_sub(self.line.len());
        self.line.extend_from_slice(&text[..text.len().min(room)]);
        if end.is_some() {
            self.state = State::Code;
            self.end_line().map_err(|fault| (text.len(), fault))?;
        }
        Ok(text.len() + usize::from(end.is_some()))
    }

    /// A comment line is over.
    fn end_line(&mut self) -> Result<(), Fault> {
        let line = String::from_utf8_lossy(self.line.trim_ascii());
        if line.starts_with("Dump completed") {
            self.state = State::Code;
            if self.conditional || !self.statements.is_between() {
                return Err(Fault::Unfinished);
            }
            self.state = State::End;
        } else if let Some(version) = line.strip_prefix("Server version")
            && self.server.is_none()
            && !self.statements.has_begun()
        {
            self.server = Some(version.trim().to_owned());
        }
        Ok(())
    }

    /// Passes over a block line by line. The statements in it are not read: their quotes depend on the SQL mode that a
    /// routine was made in, and some that mysqldump writes itself do not even pair.
    fn block(&mut self, bytes: &[u8], matched: Option<usize>) -> usize {
        let Some(matched) = matched else {
            let line = memchr::memchr(b'\n', bytes);
            self.state = State::Block(line.map(|_| 0));
            return line.map_or(bytes.len(), |end| end + 1);
        };
        let byte = bytes[0];
        self.state = match BLOCK_END.get(matched) {
            Some(expected) if byte == *expected => State::Block(Some(matched + 1)),
            None if byte == b'\n' => State::Code,
            None if byte.is_ascii_whitespace() => State::Block(Some(matched)),
            _ if byte == b'\n' => State::Block(Some(0)),
            _ => State::Block(None),
        };
        1
    }

    /// Takes one byte, or none if it is to be seen again in the new state.
    fn step(&mut self, byte: u8) -> Result<usize, Fault> {
        self.state = match (self.state, byte) {
            (State::Code, _) => return self.code(byte),
            (State::Dash, b'-') => State::DashDash,
            (State::Dash, _) => return self.symbols(b"-"),
            (State::DashDash, 0..=b' ') => {
                self.line.clear();
                return Ok(self.go(State::Line, usize::from(byte != b'\n')));
            }
            (State::DashDash, _) => return self.symbols(b"--"),
            (State::Slash, b'*') => State::CommentStart,
            (State::Slash, _) => return self.symbols(b"/"),
            (State::CommentStart, b'M') => State::CommentM,
            (State::CommentStart | State::CommentM, b'!') => {
                self.conditional = true;
                State::Code
            }
            (State::CommentStart | State::CommentM | State::Comment, b'*') => State::CommentStar,
            (State::CommentStar, b'*') => State::CommentStar,
            (State::CommentStar, b'/') => State::Code,
            (State::CommentStart | State::CommentM | State::Comment | State::CommentStar, _) => State::Comment,
            (State::ConditionalStar, b'/') => {
                self.conditional = false;
                State::Code
            }
            (State::ConditionalStar, _) => return self.symbols(b"*"),
            (State::Escape(quote), _) => State::String(quote),
            (State::Name(quote), _) if byte == quote => State::NameQuote(quote),
            (State::Name(quote), _) => {
                self.letter(byte)?;
                State::Name(quote)
            }
            (State::NameQuote(quote), _) if byte == quote => {
                self.letter(byte)?;
                State::Name(quote)
            }
            (State::NameQuote(_), _) => {
                self.state = State::Code;
                return self.end_name().map(|()| 0);
            }
            (State::Delimiter, b'\n') => self.end_delimiter(),
            (State::Delimiter, _) => {
                self.letter(byte)?;
                State::Delimiter
            }
            (State::End, b' ' | b'\t' | b'\r' | b'\n') => State::End,
            (State::End, _) => return Err(Fault::Trailing),
            (state @ (State::String(_) | State::Line | State::Block(_)), _) => state,
        };
        Ok(1)
    }

    fn code(&mut self, byte: u8) -> Result<usize, Fault> {
        if byte.is_ascii_alphanumeric() || byte >= 0x80 || matches!(byte, b'_' | b'$' | b'@') {
            return self.letter(byte).map(|()| 1);
        }
        if !self.word.is_empty() {
            self.end_word()?;
            // The word may have been VALUES, after which the byte is read otherwise.
            return Ok(0);
        }
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' => {
                if self.statements.at_delimiter() {
                    self.state = if byte == b'\n' { self.end_delimiter() } else { State::Delimiter };
                }
            }
            0..=0x1f | 0x7f => return Err(Fault::Malformed),
            // As dumps in ANSI mode write names, which are all that is quoted where a name may stand.
            b'"' if self.statements.listens() && !self.conditional => self.state = State::Name(byte),
            b'\'' | b'"' => {
                self.token(Token::Text)?;
                self.state = State::String(byte);
            }
            b'`' => self.state = State::Name(byte),
            b'-' => self.state = State::Dash,
            b'/' => self.state = State::Slash,
            b'*' if self.conditional => self.state = State::ConditionalStar,
            b'#' => {
                // Not a comment of the tools: what it says does not count.
                self.line.clear();
                self.line.push(byte);
                self.state = State::Line;
            }
            _ => self.token(Token::Symbol(byte))?,
        }
        Ok(1)
    }

    /// What looked like the beginning of something longer was not; the byte after it is still to be seen.
    fn symbols(&mut self, symbols: &[u8]) -> Result<usize, Fault> {
        self.state = State::Code;
        for &symbol in symbols {
            self.token(Token::Symbol(symbol))?;
        }
        Ok(0)
    }

    fn token(&mut self, token: Token<'_>) -> Result<(), Fault> {
        if self.conditional { Ok(()) } else { self.statements.take(token) }
    }

    fn letter(&mut self, byte: u8) -> Result<(), Fault> {
        if self.conditional || !self.statements.listens() {
            return Ok(());
        }
        if self.word.len() == NAME_BYTES {
            return Err(Fault::LongName);
        }
        self.word.push(byte);
        Ok(())
    }

    fn end_word(&mut self) -> Result<(), Fault> {
        let taken = self.statements.take(Token::Word(&self.word));
        self.word.clear();
        taken
    }

    fn end_name(&mut self) -> Result<(), Fault> {
        let taken = if self.conditional { Ok(()) } else { self.statements.take(Token::Name(&self.word)) };
        self.word.clear();
        taken
    }

    /// The line that sets the delimiter is over.
    fn end_delimiter(&mut self) -> State {
        let usual = self.word.trim_ascii() == b";";
        self.word.clear();
        self.statements.end_delimiter();
        if usual { State::Code } else { State::Block(Some(0)) }
    }
}

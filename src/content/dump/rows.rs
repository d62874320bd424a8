//! Lists of rows: `(1,'x',NULL),(2,'it\'s',0x00FF)`.
//!
//! Nearly every byte of a dump is here. Strings are passed over from quote to quote; what stands between them is looked
//! at byte by byte, and little may stand there: a dump that lost or gained bytes is soon seen to be wrong.

use super::Fault;
use super::statement::Token;

/// Deepest parentheses in a value.
const DEPTH: u32 = 64;

/// A byte of 1 in each place.
const ONES: u64 = 0x0101_0101_0101_0101;

/// How many words are near.
const NEAR: usize = 4;

/// What a byte outside of strings means in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Part of a number, a keyword or a prefix.
    Plain,
    Space,
    Quote,
    Comma,
    Open,
    Close,
    /// It may begin a comment or another string: that is the lexer's.
    Lexer,
    Wrong,
}

const CLASSES: [Class; 256] = classes();

const fn classes() -> [Class; 256] {
    let mut classes = [Class::Wrong; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'_' | b'.' | b'+' => Class::Plain,
            b' ' | b'\t' | b'\n' | b'\r' => Class::Space,
            b'\'' => Class::Quote,
            b',' => Class::Comma,
            b'(' => Class::Open,
            b')' => Class::Close,
            b'-' | b'/' | b'#' | b'"' | b'*' => Class::Lexer,
            _ => Class::Wrong,
        };
        byte += 1;
    }
    classes
}

/// Where in the list the next byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Place {
    /// Before a row.
    #[default]
    Before,
    /// In a row.
    Row,
    /// In a row, after the end of a string.
    AfterString,
    /// After a row.
    After,
}

/// Why the scan of a list stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// At the end of the bytes.
    End,
    /// At the end of the bytes, in a string.
    String,
    /// At the end of the bytes, after a backslash in a string.
    Escape,
    /// Before a byte that is the lexer's.
    Lexer,
    /// Before the first byte of what follows the list.
    Tail,
}

/// Counts the rows of one statement, and holds each to the number of values of the first.
#[derive(Debug, Default)]
pub(super) struct Rows {
    place: Place,
    depth: u32,
    values: u64,
    width: Option<u64>,
    rows: u64,
}

/// How a string went on.
pub(super) enum StringEnd {
    /// It ended before this byte.
    Closed(usize),
    /// The bytes ended first.
    Open,
    /// The bytes ended after a backslash.
    Escape,
}

/// Finds the end of a string. A doubled quote looks like an end and a beginning, which comes to the same.
pub(super) fn skip_string(bytes: &[u8], quote: u8) -> StringEnd {
    let mut at = 0;
    let mut found = memchr::memchr2(quote, b'\\', bytes);
    while let Some(len) = found {
        at += len + 1;
        if bytes[at - 1] == quote {
            return StringEnd::Closed(at);
        }
        if at == bytes.len() {
            return StringEnd::Escape;
        }
        at += 1;
        found = find_near(&bytes[at..], quote);
    }
    StringEnd::Open
}

/// The first quote or backslash. Escapes come in crowds: after one, the next is near, and a vector search is slow to
/// begin.
fn find_near(bytes: &[u8], quote: u8) -> Option<usize> {
    let words = bytes.as_chunks::<8>().0;
    for (place, word) in words.iter().take(NEAR).enumerate() {
        let word = u64::from_le_bytes(*word);
        let found = zeros(word ^ (u64::from(quote) * ONES)) | zeros(word ^ (u64::from(b'\\') * ONES));
        if found != 0 {
            return Some(8 * place + found.trailing_zeros() as usize / 8);
        }
    }
    let start = 8 * words.len().min(NEAR);
    memchr::memchr2(quote, b'\\', &bytes[start..]).map(|found| start + found)
}

/// Marks the bytes that are 0 with their top bit; the lowest mark is always right.
fn zeros(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & (ONES << 7)
}

impl Rows {
    /// Reads on, and says how many bytes it has taken and why it stopped. An error has the place of what is wrong.
    pub(super) fn scan(&mut self, bytes: &[u8]) -> Result<(usize, Stop), (usize, Fault)> {
        let mut at = 0;
        while at < bytes.len() {
            let class = CLASSES[usize::from(bytes[at])];
            match (self.place, class) {
                (Place::Row, Class::Plain | Class::Space) => {
                    at += run(&bytes[at..]);
                    continue;
                }
                (_, Class::Space) => {}
                (Place::Row | Place::AfterString, Class::Quote) => {
                    self.place = Place::AfterString;
                    match skip_string(&bytes[at + 1..], b'\'') {
                        StringEnd::Closed(len) => at += len,
                        StringEnd::Open => return Ok((bytes.len(), Stop::String)),
                        StringEnd::Escape => return Ok((bytes.len(), Stop::Escape)),
                    }
                }
                (Place::Row | Place::AfterString, Class::Comma) => {
                    self.place = Place::Row;
                    self.values += u64::from(self.depth == 1);
                }
                (Place::Row | Place::AfterString, Class::Close) => self.close().map_err(|fault| (at, fault))?,
                (Place::Row, Class::Open) if self.depth < DEPTH => self.depth += 1,
                (Place::Before, Class::Open) => {
                    (self.place, self.depth, self.values) = (Place::Row, 1, 0);
                }
                (Place::After, Class::Comma) => self.place = Place::Before,
                (Place::After, Class::Plain) => return Ok((at, Stop::Tail)),
                (Place::After, _) if bytes[at] == b';' => return Ok((at, Stop::Lexer)),
                (_, Class::Lexer) => return Ok((at, Stop::Lexer)),
                _ => return Err((at, Fault::Malformed)),
            }
            at += 1;
        }
        Ok((at, Stop::End))
    }

    /// What the lexer made of a byte that was left to it.
    pub(super) fn take_token(&mut self, token: Token<'_>) -> Result<(), Fault> {
        match token {
            Token::Text if matches!(self.place, Place::Row | Place::AfterString) => self.place = Place::AfterString,
            // The sign of a number.
            Token::Symbol(b'-') if self.place == Place::Row => {}
            _ => return Err(Fault::Malformed),
        }
        Ok(())
    }

    /// The rows of the list, which ends here.
    pub(super) fn take(&mut self) -> Result<u64, Fault> {
        if self.place != Place::After {
            return Err(Fault::Malformed);
        }
        Ok(self.rows)
    }

    fn close(&mut self) -> Result<(), Fault> {
        self.place = Place::Row;
        self.depth -= 1;
        if self.depth > 0 {
            return Ok(());
        }
        if *self.width.get_or_insert(self.values) != self.values {
            return Err(Fault::Malformed);
        }
        self.rows += 1;
        self.place = Place::After;
        Ok(())
    }
}

/// The number of bytes before the next one that is more than part of a number or word.
fn run(bytes: &[u8]) -> usize {
    let plain = |byte: &u8| matches!(CLASSES[usize::from(*byte)], Class::Plain | Class::Space);
    bytes.iter().position(|byte| !plain(byte)).unwrap_or(bytes.len())
}

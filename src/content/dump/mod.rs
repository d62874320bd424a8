//! Logical dumps of MariaDB and MySQL: whether one is whole, and how many rows each of its tables has.
//!
//! The text of `mariadb-dump` and `mysqldump` is read once, in pieces of any size:
//!
//! ```text
//! head.rs    the first lines: sandbox mode, the client's version
//! lexer.rs   strings, names, comments, conditional comments, DELIMITER blocks
//! statement.rs  INSERT, REPLACE, CREATE TABLE, USE; all else is passed over
//! opening.rs  statements that begin as the one before
//! rows.rs    the lists of values: nearly all of a dump, so this part is fast
//! tables.rs  the counts
//! gate.rs    whether it may be loaded: strings, names and comments as clients and servers read them
//! statements.rs  which statements may be loaded
//! ```

mod gate;
mod head;
mod lexer;
mod opening;
mod rows;
mod statement;
mod statements;
mod tables;

use std::collections::BTreeMap;
use std::fmt;

pub use gate::{Gate, Refused};
use head::Head;
use lexer::Lexer;

/// Most tables of a dump that is read.
pub const TABLES: usize = 100_000;

/// Longest name of a table or database, in characters, as the servers have it.
pub const NAME_CHARS: usize = 64;

/// Longest name in bytes: a character has four at most.
const NAME_BYTES: usize = 4 * NAME_CHARS;

/// Checks a dump as it streams by. Its memory is bounded by the names of the tables.
#[derive(Debug, Default)]
pub struct DumpCheck {
    head: Head,
    lexer: Lexer,
    seen: u64,
    failed: Option<DumpError>,
}

/// What a whole dump says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DumpFacts {
    /// The rows in the `INSERT` and `REPLACE` statements of each table; 0 of one that is only created. The tables of
    /// one database have their plain names, those of several `database.table`, where a name with a dot or a backquote
    /// in it is quoted. A name that is not UTF-8 has replacement characters.
    pub tables: BTreeMap<String, u64>,
    /// True if the first line switches a client to its sandbox mode: older clients cannot read that line.
    pub sandbox: bool,
    /// The version of the client that wrote the dump, such as `10.11.18-MariaDB`.
    pub client: Option<String>,
    /// The version of the server that it was written from.
    pub server: Option<String>,
}

/// Why bytes are not a whole dump. None of this quotes the data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DumpError {
    /// The first line is not the one that the tools write, which they leave out under `--skip-comments`.
    #[error("it does not begin as mariadb-dump and mysqldump begin")]
    NotADump,
    /// The end is missing.
    #[error("it breaks off after {after_bytes} bytes, {last}")]
    Cut {
        /// The bytes before the end.
        after_bytes: u64,
        /// What was open there.
        last: Open,
    },
    /// Something stands where it cannot: bytes were lost, added or changed.
    #[error("byte {at} cannot stand where it does, {within}")]
    Malformed {
        /// The byte, counted from 0.
        at: u64,
        /// What was open there.
        within: Open,
    },
    /// A name that no server takes.
    #[error("the name that ends or breaks off at byte {at} is longer than 64 characters")]
    LongName {
        /// The byte, counted from 0.
        at: u64,
    },
    /// More tables than are counted.
    #[error("more than 100000 tables, the last at byte {at}")]
    TooManyTables {
        /// The byte, counted from 0.
        at: u64,
    },
    /// The dump is whole, but it is not all.
    #[error("the dump ends before byte {at}, but something follows")]
    Trailing {
        /// The byte, counted from 0.
        at: u64,
    },
}

/// What a place in a dump is part of.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Open {
    /// Between statements: only the last line is missing.
    Nothing,
    /// A statement.
    Statement,
    /// The values of a table's rows.
    Rows {
        /// The table.
        table: String,
    },
    /// A string in the values of a table's rows.
    Value {
        /// The table.
        table: String,
    },
    /// Another string.
    Text,
    /// A quoted name.
    Name,
    /// A comment.
    Comment,
    /// The definition of a routine, a trigger or an event.
    Routine,
}

impl fmt::Display for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("between two statements"),
            Self::Statement => f.write_str("within a statement"),
            Self::Rows { table } => write!(f, "within the rows of {table:?}"),
            Self::Value { table } => write!(f, "within a string in the rows of {table:?}"),
            Self::Text => f.write_str("within a string"),
            Self::Name => f.write_str("within a quoted name"),
            Self::Comment => f.write_str("within a comment"),
            Self::Routine => f.write_str("within a routine, trigger or event"),
        }
    }
}

/// What is wrong at a byte; where it is, the caller knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Head,
    Malformed,
    Unfinished,
    LongName,
    TooManyTables,
    Trailing,
}

impl DumpCheck {
    /// Takes the next bytes. After bytes that no dump has, it takes no more notice.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.failed.is_none()
            && let Err((place, fault)) = self.read(bytes)
        {
            self.failed = Some(self.error(self.seen + place as u64, fault));
        }
        self.seen += bytes.len() as u64;
    }

    /// The verdict, after the last byte.
    pub fn finish(mut self) -> Result<DumpFacts, DumpError> {
        if self.failed.is_none()
            && let Err(fault) = self.read_end()
        {
            self.failed = Some(self.error(self.seen, fault));
        }
        match self.failed {
            Some(error) => Err(error),
            None => Ok(DumpFacts {
                sandbox: self.head.sandbox,
                client: self.head.client,
                server: self.lexer.server,
                tables: self.lexer.statements.tables.counts(),
            }),
        }
    }

    fn read(&mut self, bytes: &[u8]) -> Result<(), (usize, Fault)> {
        let start = self.head.push(bytes).map_err(|fault| (0, fault))?;
        self.lexer.push(&bytes[start..]).map_err(|(place, fault)| (start + place, fault))
    }

    fn read_end(&mut self) -> Result<(), Fault> {
        self.head.finish()?;
        self.lexer.finish()
    }

    fn error(&self, at: u64, fault: Fault) -> DumpError {
        match fault {
            Fault::Head => DumpError::NotADump,
            Fault::Malformed => DumpError::Malformed { at, within: self.lexer.open() },
            Fault::Unfinished => DumpError::Cut { after_bytes: at, last: self.lexer.open() },
            Fault::LongName => DumpError::LongName { at },
            Fault::TooManyTables => DumpError::TooManyTables { at },
            Fault::Trailing => DumpError::Trailing { at },
        }
    }
}

#[cfg(test)]
mod tests;

//! What streams say about themselves: proofs of their content, without the system that they came from.
//!
//! | module | what it proves |
//! |---|---|
//! | [`dump`] | that a database dump is whole, and how many rows its tables have |
//! | [`json`] | that a stream is one JSON value |
//! | [`sought`] | that a stream holds a text |
//! | [`zuul_keys`] | that an export of Zuul's keys is whole, and opens with its password |
//!
//! Nothing here does input or output, and no error quotes the data.

pub mod dump;
pub mod json;
pub mod sought;
pub mod zuul_keys;

use dump::{DumpCheck, DumpError, DumpFacts};
use json::{JsonCheck, JsonError};

/// What a stream should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// A dump of MariaDB or MySQL.
    Dump,
    /// One JSON value.
    Json,
}

impl Expected {
    /// The names of all of them.
    pub const NAMES: [&str; 2] = ["mariadb-dump", "json"];

    /// The one with this name, if there is one.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "mariadb-dump" => Some(Self::Dump),
            "json" => Some(Self::Json),
            _ => None,
        }
    }

    /// A check for one stream.
    pub fn check(self) -> Check {
        match self {
            Self::Dump => Check::Dump(Box::default()),
            Self::Json => Check::Json(Box::default()),
        }
    }
}

/// A check that a stream passes through.
#[derive(Debug)]
pub enum Check {
    /// Of a dump.
    Dump(Box<DumpCheck>),
    /// Of a JSON value.
    Json(Box<JsonCheck>),
}

/// What a check found in a stream that is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Facts {
    /// What a dump holds.
    Dump(DumpFacts),
    /// It is one JSON value.
    Json,
}

/// Why a stream is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ContentError {
    /// It is no whole dump.
    #[error(transparent)]
    Dump(#[from] DumpError),
    /// It is not one JSON value.
    #[error(transparent)]
    Json(#[from] JsonError),
}

impl Check {
    /// Takes the next bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        match self {
            Self::Dump(check) => check.push(bytes),
            Self::Json(check) => check.push(bytes),
        }
    }

    /// The verdict, after the last byte.
    pub fn finish(self) -> Result<Facts, ContentError> {
        Ok(match self {
            Self::Dump(check) => Facts::Dump(check.finish()?),
            Self::Json(check) => {
                check.finish()?;
                Facts::Json
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(name: &str, bytes: &[u8]) -> Result<Facts, ContentError> {
        let mut check = Expected::named(name).expect("a known name").check();
        check.push(bytes);
        check.finish()
    }

    #[test]
    fn every_name_is_a_check() {
        for name in Expected::NAMES {
            assert!(Expected::named(name).is_some(), "{name}");
        }
        assert!(Expected::named("xml").is_none());
        assert_eq!(verdict("json", b"[1]"), Ok(Facts::Json));
        assert_eq!(verdict("json", b"[1"), Err(JsonError::Cut { after_bytes: 2 }.into()));
        assert_eq!(verdict("mariadb-dump", b"[1"), Err(DumpError::NotADump.into()));
        let dump = verdict("mariadb-dump", b"-- MySQL dump 10.13\n-- Dump completed\n");
        assert!(matches!(dump, Ok(Facts::Dump(_))), "{dump:?}");
    }
}

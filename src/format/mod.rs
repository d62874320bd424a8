//! Bytes to values and back: pure, total and bounded. format-spec.md is the truth that this folder implements.
//!
//! Nothing here does input or output, reads a clock or holds a key; no input makes it panic.

pub mod catalog;
pub mod codec;
pub mod config;
pub mod divided;
pub mod frame;
pub mod index;
pub mod keyslot;
pub mod list;
pub mod manifest;
pub mod pack;
pub mod padding;
pub mod record;
pub mod rolekey;
pub mod sealed;
pub mod signature;

/// Version of the repository format that this program writes and reads.
pub const FORMAT_VERSION: u8 = 1;

/// Stored bytes that do not mean anything in this format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// The bytes end before the value does.
    #[error("{what} ends too early")]
    Truncated {
        /// The structure that was read.
        what: &'static str,
    },
    /// A value that the format does not allow.
    #[error("{what} is malformed: {why}")]
    Malformed {
        /// The structure that was read.
        what: &'static str,
        /// The rule that it breaks.
        why: &'static str,
    },
    /// Written by a newer program.
    #[error("{what} has version {found}, but this program knows versions up to {known} only; use a newer sfarc")]
    TooNew {
        /// The structure that was read.
        what: &'static str,
        /// The version found.
        found: u32,
        /// The newest version known.
        known: u32,
    },
}

impl FormatError {
    pub(crate) const fn malformed(what: &'static str, why: &'static str) -> Self {
        Self::Malformed { what, why }
    }
}

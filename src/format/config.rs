//! The repository's configuration: a plain head that says whether this program may open it, and a sealed record.

use wincode::{SchemaRead, SchemaWrite};

use super::codec::Fields;
use super::record::Record;
use super::{FORMAT_VERSION, FormatError};
use crate::ids::RepoId;

const WHAT: &str = "repository config";
const MAGIC: [u8; 8] = *b"SFARCREP";

/// Features that a repository uses, one bit each, in three classes.
///
/// An unknown bit forbids just what its class names. All that are known are chosen when a repository is made: the
/// configuration has them, and no gc record ever switches them on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Features {
    /// Needed to read.
    pub read: u64,
    /// Needed to add snapshots.
    pub write: u64,
    /// Needed to collect garbage.
    pub collect: u64,
}

impl Features {
    /// Needed to read: packs and snapshots are divided, and what is decided is signed.
    pub const READ_ROLES: u64 = 1;

    /// Needed to read: what is sealed has zeros behind it.
    pub const READ_PADDING: u64 = 1 << 1;

    /// Needed to add snapshots: a pseudo-random function decides where chunks end.
    pub const WRITE_PRF_CHUNKER: u64 = 1;

    /// Features of a repository whose objects say little by their sizes.
    pub const HIDDEN_SIZES: Self = Self { read: Self::READ_PADDING, write: Self::WRITE_PRF_CHUNKER, collect: 0 };

    /// Those that are chosen when a repository is made.
    #[must_use]
    pub const fn chosen(roles: bool, hidden_sizes: bool) -> Self {
        let features = if hidden_sizes { Self::HIDDEN_SIZES } else { Self { read: 0, write: 0, collect: 0 } };
        Self { read: features.read | if roles { Self::READ_ROLES } else { 0 }, ..features }
    }

    /// As the head of a configuration has them, and what authenticates them.
    pub fn to_bytes(self) -> [u8; 24] {
        let mut bytes = [0; 24];
        bytes[..8].copy_from_slice(&self.read.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.write.to_le_bytes());
        bytes[16..].copy_from_slice(&self.collect.to_le_bytes());
        bytes
    }

    /// True if keys of roles may be given away.
    pub const fn has_roles(&self) -> bool {
        self.read & Self::READ_ROLES != 0
    }

    /// True if what is stored is padded, and its order in packs drawn.
    pub const fn has_padding(&self) -> bool {
        self.read & Self::READ_PADDING != 0
    }

    /// True if a pseudo-random function decides where chunks end.
    pub const fn has_prf_chunker(&self) -> bool {
        self.write & Self::WRITE_PRF_CHUNKER != 0
    }

    /// Those of a configuration that this program does not know.
    #[must_use]
    pub const fn unknown(&self) -> Self {
        Self {
            read: self.read & !(Self::READ_PADDING | Self::READ_ROLES),
            write: self.write & !Self::WRITE_PRF_CHUNKER,
            collect: self.collect,
        }
    }

    /// True if a program that knows none of these may read.
    pub const fn can_read(&self) -> bool {
        self.read == 0
    }

    /// True if a program that knows none of these may add snapshots.
    pub const fn can_write(&self) -> bool {
        self.can_read() && self.write == 0
    }

    /// True if a program that knows none of these may collect garbage.
    pub const fn can_collect(&self) -> bool {
        self.can_write() && self.collect == 0
    }
}

/// The plain head of the `config` object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConfigHead {
    /// Features in use.
    pub features: Features,
    /// The repository's name and salt.
    pub repo: RepoId,
}

impl ConfigHead {
    /// Length in bytes.
    pub const LEN: usize = 56;

    /// The stored bytes: magic number, format, three bytes of zero, features, id, four bytes of zero.
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8] = FORMAT_VERSION;
        bytes[12..36].copy_from_slice(&self.features.to_bytes());
        bytes[36..52].copy_from_slice(self.repo.as_bytes());
        bytes
    }

    /// Reads the head; a newer format is refused here, features are judged by who uses them.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut fields = Fields::new(WHAT, bytes);
        if fields.array()? != MAGIC {
            return Err(FormatError::malformed(WHAT, "it does not begin with `SFARCREP`"));
        }
        let version = u32::from(fields.u8()?);
        let known = u32::from(FORMAT_VERSION);
        if version > known {
            return Err(FormatError::TooNew { what: WHAT, found: version, known });
        }
        if version == 0 || fields.array::<3>()? != [0; 3] {
            return Err(FormatError::malformed(WHAT, "its version or reserved bytes are wrong"));
        }
        let features = Features { read: fields.u64()?, write: fields.u64()?, collect: fields.u64()? };
        let repo = RepoId::new(fields.array()?);
        if fields.u32()? != 0 {
            return Err(FormatError::malformed(WHAT, "its reserved bytes are not zero"));
        }
        Ok(Self { features, repo })
    }
}

/// The sealed record of the `config` object. It repeats the head, so that nobody without the key can change it.
#[derive(Debug, Clone, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct ConfigRecord {
    /// Features in use, as in the head.
    pub features: Features,
    /// The repository's name, as in the head.
    pub repo: [u8; 16],
    /// When the repository was made, in nanoseconds since 1970.
    pub created: i64,
    /// The program that made it.
    pub program: String,
}

impl Record for ConfigRecord {
    const WHAT: &'static str = WHAT;
    const VERSION: u16 = 1;
}

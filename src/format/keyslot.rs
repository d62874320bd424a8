//! A key slot: the root key, sealed under a key that comes from a passphrase, a key file, or a file of `age`.

use wincode::{SchemaRead, SchemaWrite};

use super::FormatError;
use super::config::ConfigHead;
use super::record::{self, Record};

/// How the key that opens a slot is made.
#[derive(Debug, Clone, PartialEq, Eq, Hash, SchemaRead, SchemaWrite)]
pub enum SlotKind {
    /// Argon2id over a passphrase, with the repository's id as salt.
    Passphrase(PassphraseCost),
    /// A BLAKE3 derivation from the 32 random bytes of a key file.
    KeyFile,
    /// A file of `age` that holds the key of the slot, for whoever has the identity.
    Recovery(Vec<u8>),
}

/// What Argon2id costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, SchemaRead, SchemaWrite)]
pub struct PassphraseCost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl PassphraseCost {
    /// The second recommended option of RFC 9106, section 4: 64 MiB, 3 passes, 4 lanes.
    pub const RECOMMENDED: Self = Self { memory_kib: 64 << 10, passes: 3, lanes: 4 };

    /// What a run takes, as far as costs can be compared: memory times passes.
    pub const fn work(&self) -> u64 {
        self.memory_kib as u64 * self.passes as u64
    }

    /// Refuses costs with which a hostile slot could stall or exhaust the reader.
    pub fn check(&self) -> Result<(), FormatError> {
        let sane = (8..=1 << 20).contains(&self.memory_kib)
            && (1..=16).contains(&self.passes)
            && (1..=64).contains(&self.lanes)
            && self.memory_kib >= 8 * self.lanes;
        if sane { Ok(()) } else { Err(FormatError::malformed(KeySlot::WHAT, "its passphrase cost is out of range")) }
    }
}

/// A key slot as stored.
#[derive(Debug, Clone, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct KeySlot {
    /// How its key is made.
    pub kind: SlotKind,
    /// Cipher of both seals (see `Cipher`).
    pub cipher: u8,
    /// Nonce of the sealed root key.
    pub nonce: [u8; 12],
    /// The root key, sealed, with the tag.
    pub sealed_root: [u8; 48],
    /// Commits to the key that opens the slot.
    pub commitment: [u8; 32],
    /// Nonce of the sealed description.
    pub info_nonce: [u8; 12],
    /// A `SlotInfo`, sealed under a key derived from the root key, with the tag.
    pub sealed_info: Vec<u8>,
}

impl Record for KeySlot {
    const WHAT: &'static str = "key slot";
    const VERSION: u16 = 2;
}

/// What the seal of a slot's root key authenticates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binding {
    /// The repository: slots of version 1. Whoever can seal a configuration can then take features out of it.
    Repository,
    /// The repository and its features: with others the slot does not open.
    Features,
}

impl Binding {
    /// The associated data of the sealed root key.
    pub fn associated(self, head: &ConfigHead) -> Vec<u8> {
        match self {
            Self::Repository => [&b"sfarc key slot root"[..], head.repo.as_bytes()].concat(),
            Self::Features => [&b"sfarc key slot root 2"[..], head.repo.as_bytes(), &head.features.to_bytes()].concat(),
        }
    }
}

impl KeySlot {
    /// Length in bytes of the shortest one: of a key file, without a label.
    pub const MIN_BYTES: u64 = 153;

    /// Length in bytes of the longest one (format limit).
    pub const MAX_BYTES: u64 = 1 << 16;

    /// Reads a stored slot. Its version says what its seal authenticates.
    pub fn decode(object: &[u8]) -> Result<(Self, Binding), FormatError> {
        let binding = match object.first_chunk().map(|version| u16::from_le_bytes(*version)) {
            Some(1) => Binding::Repository,
            Some(version) if version & record::PADDED != 0 => {
                return Err(FormatError::malformed(Self::WHAT, "it is padded, and key slots are not"));
            }
            _ => Binding::Features,
        };
        let slot: Self = record::decode(object)?;
        if let SlotKind::Passphrase(cost) = &slot.kind {
            cost.check()?;
        }
        Ok((slot, binding))
    }
}

/// What people want to know of a key slot; readable only with the repository's key.
#[derive(Debug, Clone, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct SlotInfo {
    /// A name that its maker gave it.
    pub label: String,
    /// When it was made, in nanoseconds since 1970.
    pub created: i64,
}

impl Record for SlotInfo {
    const WHAT: &'static str = "key slot description";
    const VERSION: u16 = 1;
}

//! The header that every sealed object begins with, and the numbering of its sealed sections.

use super::codec::Fields;
use super::pack::BlockKind;
use super::{FORMAT_VERSION, FormatError};

/// Length in bytes of the header of an object that is not divided.
pub const HEADER_LEN: usize = 112;

/// Length of the part of the header that every seal of the object authenticates.
pub const PREFIX_LEN: usize = 16;

/// Length of an AEAD tag in bytes.
pub const TAG_LEN: usize = 16;

const MAGIC: [u8; 6] = *b"SFARC\0";
pub(super) const WHAT: &str = "object header";

/// What a sealed object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SealedKind {
    /// The sealed part of the repository's configuration.
    Config = 1,
    /// Blocks of chunks and a directory.
    Pack = 2,
    /// Rows that say which pack holds a chunk.
    Index = 3,
    /// The manifest of one moment.
    Snapshot = 4,
    /// A writer at work.
    Session = 5,
    /// What a collector condemned or a user forgot.
    Gc = 6,
    /// In the place of a snapshot that its dead writer never committed.
    Fence = 7,
    /// A writer whose signatures count.
    Writer = 8,
}

impl SealedKind {
    /// All kinds.
    pub const ALL: [Self; 8] =
        [Self::Config, Self::Pack, Self::Index, Self::Snapshot, Self::Session, Self::Gc, Self::Fence, Self::Writer];
}

/// The cipher of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Cipher {
    /// AES-256-GCM.
    Aes256Gcm = 1,
    /// ChaCha20-Poly1305 (RFC 8439).
    ChaCha20Poly1305 = 2,
}

/// How the keys of an object are wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Wrapping {
    /// One object key, under a key that is derived from the root key.
    Whole = 1,
    /// A key for each compartment, each in an envelope of its own ([`super::divided`]).
    Divided = 2,
}

impl Wrapping {
    /// Length in bytes of the header of an object.
    pub const fn header_len(self) -> usize {
        match self {
            Self::Whole => HEADER_LEN,
            Self::Divided => super::divided::HEADER_LEN,
        }
    }
}

/// Who may open a section of a divided object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Compartment {
    /// Ids and lengths: directories of packs, signatures of snapshots.
    Names = 1,
    /// What leads from a snapshot to its chunks.
    Lists = 2,
    /// What was stored.
    Data = 3,
}

impl Compartment {
    /// All of them, in the order of their envelopes.
    pub const ALL: [Self; 3] = [Self::Names, Self::Lists, Self::Data];
}

/// What a sealed section holds. Its number and its ordinal together are the nonce of the section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// The record of a config, snapshot, session or gc record.
    Record,
    /// A block of a pack.
    Block(BlockKind),
    /// The directory of a pack or the footer of an index run.
    Footer,
    /// A page of index rows.
    Page,
    /// A page of an index filter.
    Filter,
    /// Zeros between the pages and the footer of a padded index run.
    Filler,
    /// Where the chunk lists of a snapshot begin.
    Roots,
    /// Who made the object.
    Signature,
}

impl Section {
    const fn number(self) -> u32 {
        match self {
            Self::Record => 1,
            Self::Block(_) => 2,
            Self::Footer => 3,
            Self::Page => 4,
            Self::Filter => 5,
            Self::Filler => 6,
            Self::Roots => 7,
            Self::Signature => 8,
        }
    }

    /// The compartment of a divided object that it belongs to.
    pub const fn compartment(self) -> Compartment {
        match self {
            Self::Footer | Self::Page | Self::Filter | Self::Filler | Self::Signature => Compartment::Names,
            Self::Roots => Compartment::Lists,
            Self::Record => Compartment::Data,
            Self::Block(kind) => kind.compartment(),
        }
    }
}

/// The header of a sealed object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// What the object is.
    pub kind: SealedKind,
    /// The cipher of the key wrapping and of all sections.
    pub cipher: Cipher,
    /// Nonce of the key wrapping.
    pub wrap_nonce: [u8; 12],
    /// The object's random key, sealed.
    pub wrapped_key: [u8; 32 + TAG_LEN],
    /// Commits to the object key, so that a ciphertext opens under one key only.
    pub commitment: [u8; 32],
}

/// The first bytes of the header: what all seals of the object authenticate.
pub fn prefix(kind: SealedKind, wrapping: Wrapping, cipher: Cipher) -> [u8; PREFIX_LEN] {
    let mut bytes = [0; PREFIX_LEN];
    bytes[..6].copy_from_slice(&MAGIC);
    bytes[6] = kind as u8;
    bytes[7] = FORMAT_VERSION;
    bytes[8] = wrapping as u8;
    bytes[9] = cipher as u8;
    bytes[12..].copy_from_slice(&(wrapping.header_len() as u32).to_le_bytes());
    bytes
}

/// Reads the first bytes of a header that must announce an object of this kind, wrapped like that.
pub(super) fn decode_prefix(
    fields: &mut Fields<'_>,
    kind: SealedKind,
    wrapping: Wrapping,
) -> Result<Cipher, FormatError> {
    if fields.array::<6>()? != MAGIC {
        return Err(FormatError::malformed(WHAT, "it does not begin with `SFARC`"));
    }
    if fields.u8()? != kind as u8 {
        return Err(FormatError::malformed(WHAT, "it announces another kind of object"));
    }
    check_version(fields.u8()?)?;
    if fields.u8()? != wrapping as u8 {
        return Err(FormatError::malformed(WHAT, "it wraps its key in another way than objects of this repository do"));
    }
    let cipher = match fields.u8()? {
        1 => Cipher::Aes256Gcm,
        2 => Cipher::ChaCha20Poly1305,
        _ => return Err(FormatError::malformed(WHAT, "it names an unknown cipher")),
    };
    if fields.u16()? != 0 || fields.u32()? != wrapping.header_len() as u32 {
        return Err(FormatError::malformed(WHAT, "its length or reserved bytes are wrong"));
    }
    Ok(cipher)
}

impl Header {
    /// The stored bytes of the header.
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[..16].copy_from_slice(&prefix(self.kind, Wrapping::Whole, self.cipher));
        bytes[16..28].copy_from_slice(&self.wrap_nonce);
        bytes[28..76].copy_from_slice(&self.wrapped_key);
        bytes[80..].copy_from_slice(&self.commitment);
        bytes
    }

    /// Reads a header that must announce an object of the given kind.
    pub fn decode(bytes: &[u8], expected: SealedKind) -> Result<Self, FormatError> {
        let mut fields = Fields::new(WHAT, bytes);
        let cipher = decode_prefix(&mut fields, expected, Wrapping::Whole)?;
        let (wrap_nonce, wrapped_key) = (fields.array()?, fields.array()?);
        if fields.u32()? != 0 {
            return Err(FormatError::malformed(WHAT, "its reserved bytes are not zero"));
        }
        Ok(Self { kind: expected, cipher, wrap_nonce, wrapped_key, commitment: fields.array()? })
    }
}

fn check_version(found: u8) -> Result<(), FormatError> {
    match found {
        FORMAT_VERSION => Ok(()),
        0 => Err(FormatError::malformed(WHAT, "format 0 does not exist")),
        _ => Err(FormatError::TooNew { what: WHAT, found: u32::from(found), known: u32::from(FORMAT_VERSION) }),
    }
}

/// The nonce of a section: its number and its ordinal, unique under the object's own key.
pub fn section_nonce(section: Section, ordinal: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[..4].copy_from_slice(&section.number().to_le_bytes());
    nonce[4..].copy_from_slice(&ordinal.to_le_bytes());
    nonce
}

/// The trailer that ends a pack or an index run: where its footer lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trailer {
    /// Offset of the sealed footer in bytes from the start of the object.
    pub offset: u64,
    /// Length of the sealed footer in bytes.
    pub len: u32,
}

impl Trailer {
    /// Length of a trailer in bytes.
    pub const LEN: usize = 16;
    const MAGIC: [u8; 4] = *b"SFEN";

    /// The stored bytes.
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..8].copy_from_slice(&self.offset.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.len.to_le_bytes());
        bytes[12..].copy_from_slice(&Self::MAGIC);
        bytes
    }

    /// Reads the trailer of an object of `object_len` bytes: the footer must end where the trailer begins.
    pub fn decode(bytes: &[u8], object_len: u64) -> Result<Self, FormatError> {
        const WHAT: &str = "object trailer";
        let mut fields = Fields::new(WHAT, bytes);
        let trailer = Self { offset: fields.u64()?, len: fields.u32()? };
        if fields.array()? != Self::MAGIC {
            return Err(FormatError::malformed(WHAT, "its magic number is wrong"));
        }
        fields.end()?;
        let end = trailer.offset.checked_add(u64::from(trailer.len));
        let fits = trailer.offset >= HEADER_LEN as u64
            && trailer.len as usize >= TAG_LEN
            && end.is_some()
            && end == object_len.checked_sub(Self::LEN as u64);
        if fits { Ok(trailer) } else { Err(FormatError::malformed(WHAT, "its footer is not inside the object")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Found by fuzzing: two sums that overflow are not equal.
    #[test]
    fn a_footer_beyond_the_end_of_numbers_is_refused() {
        let trailer = Trailer { offset: u64::MAX - 5, len: 40 };
        for object_len in [0, 15, 16, 34, 1 << 20, u64::MAX] {
            assert!(Trailer::decode(&trailer.encode(), object_len).is_err(), "{object_len}");
        }
    }
}

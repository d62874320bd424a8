//! What a snapshot of a repository with roles holds beside its manifest: where its lists begin, and who made it.

use wincode::{SchemaRead, SchemaWrite};

use super::codec::Fields;
use super::manifest::{ListRoot, Manifest};
use super::record::Record;
use super::sealed::TAG_LEN;
use super::{FormatError, divided};
use crate::limits;

/// A stream or catalog, as far as a collector needs to know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Root {
    /// Length in bytes.
    pub len: u64,
    /// The chunk list; nothing where the length is 0.
    pub root: Option<ListRoot>,
}

/// What a snapshot needs.
#[derive(Debug, Clone, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Roots {
    /// The session that wrote it.
    pub session: [u8; 16],
    /// All its streams and catalogs, in the order of the manifest.
    pub roots: Vec<Root>,
}

impl From<&Manifest> for Roots {
    fn from(manifest: &Manifest) -> Self {
        let contents =
            manifest.streams.iter().flat_map(|stream| std::iter::once(&stream.content).chain(&stream.catalog));
        let roots = contents.map(|content| Root { len: content.len, root: content.root }).collect();
        Self { session: manifest.session, roots }
    }
}

impl Record for Roots {
    const WHAT: &'static str = "roots of a snapshot";
    const VERSION: u16 = 1;
    const MAY_BE_PADDED: bool = true;

    fn check(&self) -> Result<(), FormatError> {
        // A stream and its catalog each.
        if self.roots.len() > 2 * limits::STREAMS {
            return Err(FormatError::malformed(Self::WHAT, "it has too many streams"));
        }
        Ok(())
    }
}

/// Who made a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct SnapshotSignature {
    /// The public key.
    pub signer: [u8; 32],
    /// The snapshot that the same process made before; zeros if there is none.
    pub previous: [u8; 32],
    /// Over the public key, the snapshot before, and the BLAKE3 of all bytes of the object before this section.
    pub signature: [u8; 64],
}

impl SnapshotSignature {
    /// Length of the sealed section in bytes.
    pub const SEALED_LEN: usize = 2 + 128 + TAG_LEN;
}

impl Record for SnapshotSignature {
    const WHAT: &'static str = "signature of a snapshot";
    const VERSION: u16 = 1;
}

/// The signature of a gc record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct LogSignature {
    /// Over the BLAKE3 of all bytes of the object before this section.
    pub signature: [u8; 64],
}

impl LogSignature {
    /// Length of the sealed section in bytes.
    pub const SEALED_LEN: usize = 2 + 64 + TAG_LEN;
}

impl Record for LogSignature {
    const WHAT: &'static str = "signature of a gc record";
    const VERSION: u16 = 1;
}

/// The sections of a divided snapshot.
#[derive(Debug, Clone, Copy)]
pub struct SnapshotParts<'a> {
    /// The manifest, sealed.
    pub record: &'a [u8],
    /// The roots, sealed.
    pub roots: &'a [u8],
    /// All before the signature.
    pub signed: &'a [u8],
    /// The signature, sealed.
    pub signature: &'a [u8],
}

/// Length of what stands between the header and the sections: the lengths of the first two.
pub const LENS: usize = 8;

impl<'a> SnapshotParts<'a> {
    /// Finds the sections. Fails if their lengths are not that of the object.
    pub fn of(object: &'a [u8]) -> Result<Self, FormatError> {
        let wrong = FormatError::malformed("snapshot", "its sections are not as long as it is");
        let mut fields = Fields::new("snapshot", object);
        fields.bytes(divided::HEADER_LEN)?;
        let (record, roots) = (fields.u32()? as usize, fields.u32()? as usize);
        let (record, roots) = (fields.bytes(record)?, fields.bytes(roots)?);
        if fields.remaining() != SnapshotSignature::SEALED_LEN {
            return Err(wrong);
        }
        let (signed, signature) = object.split_at(object.len() - SnapshotSignature::SEALED_LEN);
        Ok(Self { record, roots, signed, signature })
    }
}

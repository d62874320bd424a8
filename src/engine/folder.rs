//! Looking into folder streams by their catalogs.

use crate::error::Error;
use crate::format::FormatError;
use crate::format::catalog::{CatalogDecoder, CatalogEntry};
use crate::format::manifest::StreamEntry;
use crate::pipeline::egress::{Egress, EgressError};
use crate::repo::snapshots::Snapshot;

/// Length of a tar block in bytes; data are padded to a multiple of it.
const TAR_BLOCK: u64 = 512;

/// Zeros that end an archive.
const END_OF_ARCHIVE: u64 = 2 * TAR_BLOCK;

/// An entry with its place in the tar stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// The entry.
    pub entry: CatalogEntry,
    /// Offset of its first header in the stream, in bytes.
    pub start: u64,
    /// Offset of its data.
    pub data: u64,
    /// Offset of what follows its padded data.
    pub end: u64,
}

/// Calls `each` with the entries of a folder stream in their order.
pub fn for_each_entry(
    egress: &mut Egress<'_>,
    snapshot: &Snapshot,
    stream: &StreamEntry,
    mut each: impl FnMut(Located),
) -> Result<(), Error> {
    let name = super::name_of(stream);
    let Some(catalog) = &stream.catalog else {
        return Err(Error::Usage(format!("stream `{name}` is not a folder: there is nothing inside")));
    };
    let (mut decoder, mut position, mut overflow) = (CatalogDecoder::default(), 0u64, false);
    let decoded = egress.write_all(catalog, |bytes| {
        decoder.push(bytes, |entry| match locate(&entry, position) {
            Some((data, end)) => {
                each(Located { entry, start: position, data, end });
                position = end;
            }
            None => overflow = true,
        })
    });
    // Its bytes are those that were stored: if they are no catalog, whoever stored them was wrong.
    let malformed = |source: FormatError| Error::Restore {
        doing: "restore",
        snapshot: snapshot.id.short(),
        stream: format!("{name} (catalog)"),
        source: Box::new(source),
        damaged: true,
    };
    decoded.map_err(|error| match error {
        EgressError::Sink(source) => malformed(source),
        error => Error::restore(snapshot.id.short(), format!("{name} (catalog)"), error),
    })?;
    let wrong = |why| FormatError::Malformed { what: "catalog", why };
    decoder.finish().map_err(malformed)?;
    if overflow {
        return Err(malformed(wrong("its lengths overflow")));
    }
    if position.checked_add(END_OF_ARCHIVE) == Some(stream.content.len) {
        Ok(())
    } else {
        Err(malformed(wrong("its entries do not end where the folder does")))
    }
}

fn locate(entry: &CatalogEntry, start: u64) -> Option<(u64, u64)> {
    let data = start.checked_add(entry.header_len)?;
    let end = data.checked_add(entry.stored_len)?.checked_next_multiple_of(TAR_BLOCK)?;
    Some((data, end))
}

/// True if `path` is `wanted` or lies below it; an empty `wanted` is the folder itself.
pub fn is_below(path: &[u8], wanted: &[u8]) -> bool {
    let wanted = wanted.strip_suffix(b"/").unwrap_or(wanted);
    match path.strip_prefix(wanted) {
        Some(rest) => wanted.is_empty() || rest.is_empty() || rest[0] == b'/',
        None => false,
    }
}

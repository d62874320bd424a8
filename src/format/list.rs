//! Chunk lists: a stream's chunks as a tree whose nodes are cut by content.
//!
//! A node is a run of rows; its level is known from the row that names it. Level 1 names data chunks
//! (19 bytes a row: id, length), higher levels name nodes (22 bytes a row: id, bytes below it).

use super::FormatError;
use super::codec::{Fields, get_u48, put_u24, put_u48};
use crate::ids::ChunkId;
use crate::limits;

const WHAT: &str = "list node";

/// One row of a list node, or the root of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListRow {
    /// The data chunk (below level 1) or list node (below higher levels) that it names.
    pub id: ChunkId,
    /// Bytes of the stream below it.
    pub len: u64,
}

/// True if a node of `rows` rows ends with this id.
///
/// Ids are pseudo-random, so a node has about nine rows on average, and an unchanged stretch of a stream is cut
/// the same way whatever comes before it.
pub fn ends_node(id: &ChunkId, rows: usize) -> bool {
    rows >= limits::NODE_MAX_ROWS || (rows >= 2 && id.as_bytes()[15].is_multiple_of(8))
}

/// Length in bytes of a row in a node of this level.
pub const fn row_len(level: u8) -> usize {
    if level == 1 { ChunkId::LEN + 3 } else { ChunkId::LEN + 6 }
}

/// Appends a row to a node of this level.
pub fn push_row(node: &mut Vec<u8>, level: u8, row: ListRow) {
    node.extend(row.id.as_bytes());
    if level == 1 {
        node.extend(put_u24(row.len as u32));
    } else {
        node.extend(put_u48(row.len));
    }
}

/// Reads the rows of a node of this level.
pub fn decode_node(bytes: &[u8], level: u8) -> Result<Vec<ListRow>, FormatError> {
    let size = row_len(level);
    let rows = bytes.len() / size;
    if rows == 0 || rows > limits::NODE_MAX_ROWS || !bytes.len().is_multiple_of(size) {
        return Err(FormatError::malformed(WHAT, "its length fits no number of rows"));
    }
    let mut fields = Fields::new(WHAT, bytes);
    (0..rows).map(|_| decode_row(&mut fields, level)).collect()
}

fn decode_row(fields: &mut Fields<'_>, level: u8) -> Result<ListRow, FormatError> {
    let id = ChunkId::new(fields.array()?);
    let len = if level == 1 { u64::from(fields.u24()?) } else { get_u48(fields.array()?) };
    let impossible = len == 0 || (level == 1 && len > limits::CHUNK_MAX_BYTES as u64);
    if impossible {
        return Err(FormatError::malformed(WHAT, "a row has an impossible length"));
    }
    Ok(ListRow { id, len })
}

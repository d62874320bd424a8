//! Building and walking chunk lists.

use super::RepoError;
use crate::format::list::{self, ListRow};
use crate::format::manifest::ListRoot;
use crate::ids::ChunkId;
use crate::limits;

/// Builds the list of a stream from its chunks in order.
#[derive(Debug)]
pub struct ListBuilder {
    /// The open node of each level, from level 1 up.
    levels: Vec<OpenNode>,
    /// Bytes that may still come.
    room: u64,
    max_depth: u8,
}

impl Default for ListBuilder {
    fn default() -> Self {
        Self::bounded(limits::STREAM_MAX_BYTES, limits::LIST_MAX_DEPTH)
    }
}

#[derive(Debug, Default)]
struct OpenNode {
    bytes: Vec<u8>,
    rows: usize,
    len: u64,
    last: Option<ListRow>,
}

/// Stores a finished node and names it.
pub trait NodeStore {
    /// Stores the bytes of a node.
    fn store_node(&mut self, bytes: &[u8]) -> Result<ChunkId, RepoError>;
}

impl ListBuilder {
    /// Builds the list of a stream of at most `max_len` bytes, at most `max_depth` deep.
    pub fn bounded(max_len: u64, max_depth: u8) -> Self {
        Self { levels: Vec::new(), room: max_len, max_depth }
    }

    /// Adds the next chunk of the stream.
    pub fn push(&mut self, id: ChunkId, len: u64, store: &mut impl NodeStore) -> Result<(), RepoError> {
        self.room = self.room.checked_sub(len).ok_or(RepoError::StreamTooLarge)?;
        self.push_at(0, ListRow { id, len }, store)
    }

    fn push_at(&mut self, mut above: usize, mut row: ListRow, store: &mut impl NodeStore) -> Result<(), RepoError> {
        loop {
            if above > usize::from(self.max_depth) {
                return Err(RepoError::StreamTooLarge);
            }
            if above == self.levels.len() {
                self.levels.push(OpenNode::default());
            }
            let node = &mut self.levels[above];
            list::push_row(&mut node.bytes, level(above), row);
            node.rows += 1;
            node.len += row.len;
            node.last = Some(row);
            if !list::ends_node(&row.id, node.rows) {
                return Ok(());
            }
            row = node.close(store)?;
            above += 1;
        }
    }

    /// Ends the list. Nothing if the stream is empty.
    pub fn finish(mut self, store: &mut impl NodeStore) -> Result<Option<ListRoot>, RepoError> {
        let mut above = 0;
        while above < self.levels.len() {
            let top = above + 1 == self.levels.len();
            let node = &mut self.levels[above];
            match (top, node.rows) {
                // The only row of the topmost node is the root itself.
                (true, 1) => {
                    let id = node.last.map(|row| *row.id.as_bytes());
                    return Ok(id.map(|id| ListRoot { id, depth: above as u8 }));
                }
                (_, 0) => {}
                _ => {
                    let row = node.close(store)?;
                    self.push_at(above + 1, row, store)?;
                }
            }
            above += 1;
        }
        Ok(None)
    }
}

fn level(above: usize) -> u8 {
    u8::try_from(above + 1).unwrap_or(u8::MAX)
}

impl OpenNode {
    fn close(&mut self, store: &mut impl NodeStore) -> Result<ListRow, RepoError> {
        let id = store.store_node(&self.bytes)?;
        let row = ListRow { id, len: self.len };
        *self = Self { bytes: std::mem::take(&mut self.bytes), ..Self::default() };
        self.bytes.clear();
        Ok(row)
    }
}

/// Loads a node by its name.
pub trait NodeSource {
    /// The bytes of a node, proven by its name.
    fn load_node(&mut self, id: &ChunkId) -> Result<Vec<u8>, RepoError>;
}

/// Walks the data chunks of a list in order.
#[derive(Debug)]
pub struct ListWalker {
    /// Rows still to come, of each level from the root down; the next one last.
    stack: Vec<(u8, Vec<ListRow>)>,
    offset: u64,
}

fn malformed(why: &'static str) -> RepoError {
    let source = crate::format::FormatError::Malformed { what: "chunk list", why };
    RepoError::Format { object: "the chunk list of the stream".to_owned(), source }
}

/// What is wrong with a list that ends before its stream does.
pub fn ends_early() -> RepoError {
    malformed("it ends before its stream does")
}

impl ListWalker {
    /// Walks the whole list of a stream of `len` bytes.
    pub fn new(root: Option<ListRoot>, len: u64) -> Result<Self, RepoError> {
        let Some(root) = root else {
            return if len == 0 { Ok(Self { stack: Vec::new(), offset: 0 }) } else { Err(malformed("it has no root")) };
        };
        if root.depth > limits::LIST_MAX_DEPTH || len == 0 || len > limits::STREAM_MAX_BYTES {
            return Err(malformed("it is too deep or too long"));
        }
        let row = ListRow { id: ChunkId::new(root.id), len };
        Ok(Self { stack: vec![(root.depth, vec![row])], offset: 0 })
    }

    /// Offset in the stream of the next row, in bytes.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The next data chunk, or nothing at the end.
    pub fn next(&mut self, source: &mut impl NodeSource) -> Result<Option<ListRow>, RepoError> {
        while let Some(item) = self.next_item() {
            match item {
                (0, row) => {
                    self.offset += row.len;
                    return Ok(Some(row));
                }
                (depth, row) => self.descend(depth, row, source)?,
            }
        }
        Ok(None)
    }

    /// The next data chunks, as far as one node names them; none at the end.
    pub fn next_leaf(&mut self, source: &mut impl NodeSource) -> Result<Vec<ListRow>, RepoError> {
        let Some(first) = self.next(source)? else { return Ok(Vec::new()) };
        let mut leaf = vec![first];
        if let Some((0, rows)) = self.stack.last_mut() {
            leaf.extend(rows.drain(..).rev());
        }
        self.offset += leaf[1..].iter().map(|row| row.len).sum::<u64>();
        Ok(leaf)
    }

    /// Passes over what lies before `offset` without loading it; the next chunk is the one that holds it.
    pub fn seek(&mut self, offset: u64, source: &mut impl NodeSource) -> Result<(), RepoError> {
        while let Some((depth, row)) = self.next_item() {
            if self.offset + row.len <= offset {
                self.offset += row.len;
            } else if depth == 0 {
                self.stack.push((0, vec![row]));
                return Ok(());
            } else {
                self.descend(depth, row, source)?;
            }
        }
        Ok(())
    }

    /// The nodes that are known and still to be walked, in their order: where in the stream each begins, its level, and
    /// its name.
    pub fn nodes_to_come(&self) -> impl Iterator<Item = (u64, u8, &ChunkId)> {
        let rows = self.stack.iter().rev().flat_map(|(depth, rows)| rows.iter().rev().map(move |row| (*depth, row)));
        let placed = rows.scan(self.offset, |end, (depth, row)| {
            let begin = *end;
            *end += row.len;
            Some((begin, depth, row))
        });
        placed.filter(|(_, depth, _)| *depth > 0).map(|(begin, depth, row)| (begin, depth, &row.id))
    }

    /// The next row of any level: its depth (0 for data) and itself. Its children are not walked unless asked for.
    pub fn next_item(&mut self) -> Option<(u8, ListRow)> {
        loop {
            let (depth, rows) = self.stack.last_mut()?;
            match rows.pop() {
                Some(row) => return Some((*depth, row)),
                None => {
                    self.stack.pop();
                }
            }
        }
    }

    /// Goes into the node that `row` names.
    pub fn descend(&mut self, depth: u8, row: ListRow, source: &mut impl NodeSource) -> Result<(), RepoError> {
        let node = source.load_node(&row.id)?;
        let mut rows = list::decode_node(&node, depth)
            .map_err(|source| RepoError::Format { object: format!("list node {}", row.id), source })?;
        let mut sum = 0u64;
        for child in &rows {
            sum = sum.checked_add(child.len).ok_or_else(|| malformed("a node is too long"))?;
        }
        if sum != row.len {
            return Err(malformed("a node is not as long as the row above it says"));
        }
        rows.reverse();
        self.stack.push((depth - 1, rows));
        Ok(())
    }
}

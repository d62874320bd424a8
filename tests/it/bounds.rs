//! What is longer or deeper than the format allows is not written.

use sfarc::ids::ChunkId;
use sfarc::limits;
use sfarc::repo::RepoError;
use sfarc::repo::list::{ListBuilder, NodeStore};

/// Names nodes so that each ends after two rows: the deepest list there can be.
#[derive(Default)]
struct Nodes(u64);

impl Nodes {
    fn name(&mut self) -> ChunkId {
        self.0 += 1;
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.0.to_le_bytes());
        ChunkId::new(id)
    }
}

impl NodeStore for Nodes {
    fn store_node(&mut self, _: &[u8]) -> Result<ChunkId, RepoError> {
        Ok(self.name())
    }
}

/// The depth of a list of so many chunks of a hundred bytes.
fn build(mut list: ListBuilder, chunks: u64) -> Result<u8, RepoError> {
    let mut nodes = Nodes::default();
    for _ in 0..chunks {
        let id = nodes.name();
        list.push(id, 100, &mut nodes)?;
    }
    Ok(list.finish(&mut nodes)?.expect("it is not empty").depth)
}

#[test]
fn a_list_deeper_than_a_reader_follows_is_refused() {
    let deep = |chunks| build(ListBuilder::bounded(limits::STREAM_MAX_BYTES, 3), chunks);
    for chunks in [1, 2, 5, 8] {
        assert!(deep(chunks).expect("within the bound") <= 3, "{chunks} chunks");
    }
    assert_eq!(deep(8).expect("within the bound"), 3);
    for chunks in [9, 16, 40] {
        assert!(matches!(deep(chunks), Err(RepoError::StreamTooLarge)), "{chunks} chunks");
    }
}

#[test]
fn a_stream_longer_than_the_format_allows_is_refused() {
    let long = |chunks| build(ListBuilder::bounded(1000, limits::LIST_MAX_DEPTH), chunks);
    assert!(long(10).is_ok());
    let error = long(11).expect_err("refused");
    assert!(matches!(error, RepoError::StreamTooLarge), "{error}");
}

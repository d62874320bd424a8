//! Objects that somebody made who has the key and means harm, or a program with a bug: sealed well, and wrong inside.

use sfarc::backend::Key;
use sfarc::engine::restore::cat;
use sfarc::engine::{check, collect, folder};
use sfarc::format::catalog::{self, CatalogEntry, CatalogKind};
use sfarc::format::index::PackEntry;
use sfarc::format::list::{ListRow, push_row};
use sfarc::format::manifest::{ChunkSizes, Content, ListRoot, Manifest, Origin, Proof, StreamEntry};
use sfarc::format::pack::{BlockKind, BlockRow, ChunkRow, Codec, Directory};
use sfarc::format::padding::wrap;
use sfarc::format::sealed::{SealedKind, Section, TAG_LEN, Trailer};
use sfarc::ids::{ChunkId, ObjectId};
use sfarc::pipeline::egress::Egress;
use sfarc::repo::Repository;
use sfarc::repo::index::build::{FreeRow, GroupWriter};
use sfarc::repo::snapshots::Snapshot;
use sfarc::testing::world::{World, read_stream};

use crate::common::noise;

/// A block as it is to be stored, whatever it says of itself.
struct ForgedBlock {
    kind: BlockKind,
    codec: Codec,
    stored: Vec<u8>,
    plain_len: u32,
    chunks: Vec<ChunkRow>,
}

impl ForgedBlock {
    /// An honest block of one chunk, and its name.
    fn raw(repository: &Repository, kind: BlockKind, bytes: &[u8]) -> (ChunkId, Self) {
        let hasher = match kind {
            BlockKind::Data => repository.keys.chunk_hasher().expect("the key ring is whole"),
            BlockKind::List => repository.keys.list_hasher().expect("the key ring is whole"),
        };
        let (id, len) = (hasher.id(bytes), bytes.len() as u32);
        let chunks = vec![ChunkRow { id, len }];
        (id, Self { kind, codec: Codec::Raw, stored: bytes.to_vec(), plain_len: len, chunks })
    }
}

/// Stores a pack of these blocks, with a directory that `bend` may make worse, and a run with its rows.
fn store_pack(repository: &Repository, blocks: Vec<ForgedBlock>, bend: impl FnOnce(&mut Vec<u8>)) {
    let sealer = repository.keys.sealer(SealedKind::Pack, &*repository.env.entropy).expect("the key ring is whole");
    let mut object = sealer.header().to_vec();
    let mut directory = Directory::default();
    for (number, block) in blocks.into_iter().enumerate() {
        let from = object.len();
        object.extend(&block.stored);
        sealer.seal(Section::Block(block.kind), number as u64, &mut object, from);
        let row = BlockRow {
            kind: block.kind,
            codec: block.codec,
            chunks: block.chunks.len() as u16,
            stored_len: (block.stored.len() + TAG_LEN) as u32,
            plain_len: block.plain_len,
        };
        directory.push(row, block.chunks);
    }
    let offset = object.len();
    let mut plain = directory.encode();
    bend(&mut plain);
    object.extend(plain);
    sealer.seal(Section::Footer, 0, &mut object, offset);
    object.extend(Trailer { offset: offset as u64, len: (object.len() - offset) as u32 }.encode());
    let entry = PackEntry { id: ObjectId::of(&object), len: object.len() as u32 };
    repository.backend.put(&Key::Pack(entry.id), &object).expect("stored");
    store_rows(repository, entry, directory.chunks());
}

fn store_rows(repository: &Repository, pack: PackEntry, chunks: &[ChunkRow]) {
    let mut rows: Vec<FreeRow> =
        chunks.iter().zip(0u16..).map(|(chunk, ordinal)| FreeRow { id: chunk.id, pack, ordinal }).collect();
    rows.sort_by_key(|row| row.id);
    let mut group = GroupWriter::new(repository, 0);
    rows.into_iter().try_for_each(|row| group.push(row)).expect("rows");
    group.finish().expect("a run");
}

const SIZES: ChunkSizes = ChunkSizes { min: 1 << 10, avg: 4 << 10, max: 32 << 10 };

fn content(root: Option<(ChunkId, u8)>, len: u64) -> Content {
    let root = root.map(|(id, depth)| ListRoot { id: *id.as_bytes(), depth });
    Content { len, hash: [0; 32], sizes: SIZES, root }
}

fn store_snapshot(repository: &Repository, content: Content, catalog: Option<Content>) -> Snapshot {
    repository.read_snapshot(put_snapshot(repository, content, catalog)).expect("readable")
}

fn put_snapshot(repository: &Repository, content: Content, catalog: Option<Content>) -> ObjectId {
    let stream = StreamEntry {
        name: b"db".to_vec(),
        origin: if catalog.is_some() { Origin::Folder(b"/srv".to_vec()) } else { Origin::Stdin },
        content,
        catalog,
        proof: Proof::P0,
        new_bytes: 0,
        problems: Vec::new(),
        facts: Vec::new(),
    };
    let manifest = Manifest {
        time: 0,
        duration: 0,
        host: String::new(),
        tags: Vec::new(),
        labels: Vec::new(),
        program: String::new(),
        session: [0; 16],
        added: 0,
        complete: true,
        streams: vec![stream],
        findings: Vec::new(),
    };
    let object = repository.seal_record(SealedKind::Snapshot, &manifest).expect("sealed");
    let id = ObjectId::of(&object);
    repository.backend.put(&Key::Snapshot(id), &object).expect("stored");
    id
}

fn world() -> (World, Repository) {
    let world = World::new(13);
    let repository = world.init().expect("init");
    (world, repository)
}

/// The stream is refused as damaged, and the check says something about it.
fn assert_refused(repository: &Repository, snapshot: &Snapshot) {
    let read = read_stream(repository, snapshot, "db");
    let error = read.expect_err("a forged stream is refused");
    assert_eq!(error.category(), sfarc::Category::Damaged, "{}", sfarc::error::chain(&error));
    let report = check::check(repository, &check::ReadData::All).expect("the check ends");
    assert!(!report.problems.is_empty() || !report.hits.is_empty(), "the check finds nothing");
    // It may refuse or not, but it ends.
    let _ = collect::collect(repository, collect::Options { dry_run: true, ..Default::default() });
}

fn zstd_frame_of_zeros(len: usize) -> Vec<u8> {
    zstd::bulk::compress(&vec![0; len], 19).expect("compressed")
}

#[test]
fn a_block_that_decompresses_to_more_than_it_says() {
    let (_world, repository) = world();
    let small = [0; 5000];
    let (id, honest) = ForgedBlock::raw(&repository, BlockKind::Data, &small);
    let bomb = ForgedBlock { codec: Codec::Zstd, stored: zstd_frame_of_zeros(64 << 20), ..honest };
    store_pack(&repository, vec![bomb], |_| {});
    assert_refused(&repository, &store_snapshot(&repository, content(Some((id, 0)), 5000), None));
}

#[test]
fn a_frame_that_announces_an_exabyte() {
    let (_world, repository) = world();
    let (id, honest) = ForgedBlock::raw(&repository, BlockKind::Data, &[0; 5000]);
    // Magic number; a single segment with a content size of eight bytes; the size; an empty last block.
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0xe0];
    frame.extend((1u64 << 60).to_le_bytes());
    frame.extend([1, 0, 0]);
    let bomb = ForgedBlock { codec: Codec::Zstd, stored: frame, ..honest };
    store_pack(&repository, vec![bomb], |_| {});
    assert_refused(&repository, &store_snapshot(&repository, content(Some((id, 0)), 5000), None));
}

#[test]
fn a_block_that_decompresses_to_less_or_to_something_else() {
    for len in [1, 4999] {
        let (_world, repository) = world();
        let (id, honest) = ForgedBlock::raw(&repository, BlockKind::Data, &[0; 5000]);
        let short = ForgedBlock { codec: Codec::Zstd, stored: zstd_frame_of_zeros(len), ..honest };
        store_pack(&repository, vec![short], |_| {});
        assert_refused(&repository, &store_snapshot(&repository, content(Some((id, 0)), 5000), None));
    }
    let (_world, repository) = world();
    let (id, honest) = ForgedBlock::raw(&repository, BlockKind::Data, &[0; 5000]);
    let other = ForgedBlock { stored: noise(1, 5000), ..honest };
    store_pack(&repository, vec![other], |_| {});
    assert_refused(&repository, &store_snapshot(&repository, content(Some((id, 0)), 5000), None));
}

/// A frame with a window of 2^31 bytes: its header says so, and then has blocks of raw bytes.
fn frame_with_a_large_window(bytes: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 21 << 3];
    let header = (bytes.len() as u32) << 3 | 1;
    frame.extend(&header.to_le_bytes()[..3]);
    frame.extend(bytes);
    frame
}

#[test]
fn a_frame_whose_output_is_not_its_chunk_gives_nothing_out() {
    let bytes = noise(9, 5000);
    let other = noise(10, 5000);
    let compressed = |bytes: &[u8]| zstd::bulk::compress(bytes, 3).expect("compressed");
    let frames = [
        compressed(&other),
        compressed(&[&bytes[..4999], b"!"].concat()),
        compressed(&[&bytes[..], &bytes].concat()),
        compressed(&bytes[..4999]),
        frame_with_a_large_window(&other),
        [compressed(&bytes), compressed(&bytes)].concat(),
    ];
    for (number, stored) in frames.into_iter().enumerate() {
        let (_world, repository) = world();
        let (id, honest) = ForgedBlock::raw(&repository, BlockKind::Data, &bytes);
        let bomb = ForgedBlock { codec: Codec::Zstd, stored, ..honest };
        store_pack(&repository, vec![bomb], |_| {});
        let mut content = content(Some((id, 0)), 5000);
        content.hash = *blake3::hash(&bytes).as_bytes();
        let snapshot = store_snapshot(&repository, content, None);
        let mut given = Vec::new();
        let read = cat(&repository, &snapshot, &snapshot.manifest.streams[0], b"", |part| {
            given.extend_from_slice(part);
            Ok(())
        });
        assert!(given.is_empty() && read.is_err(), "frame {number} gives {} bytes", given.len());
        assert_refused(&repository, &snapshot);
    }
}

/// A stream of this one chunk is read if all is sound, and refused otherwise.
fn assert_read_if(sound: bool, repository: &Repository, bytes: &[u8], context: &str) {
    let id = repository.keys.chunk_hasher().expect("the key ring is whole").id(bytes);
    let content = Content { hash: *blake3::hash(bytes).as_bytes(), ..content(Some((id, 0)), bytes.len() as u64) };
    let snapshot = store_snapshot(repository, content, None);
    match sound {
        true => assert!(read_stream(repository, &snapshot, "db").expect(context) == bytes, "{context}"),
        false => assert_refused(repository, &snapshot),
    }
}

#[test]
fn blocks_whose_padding_is_something_else() {
    let bytes = noise(5, 5000);
    for (stored, sound) in [
        (wrap(&bytes, 5100), true),
        ([wrap(&bytes, 5100), vec![1]].concat(), false),
        (wrap(&bytes[..4999], 5100), false),
        (wrap(&bytes, 0)[..4000].to_vec(), false),
        (vec![0xff; 3], false),
    ] {
        let (_world, repository) = world();
        let (_, honest) = ForgedBlock::raw(&repository, BlockKind::Data, &bytes);
        store_pack(&repository, vec![ForgedBlock { codec: Codec::PaddedRaw, stored, ..honest }], |_| {});
        assert_read_if(sound, &repository, &bytes, "a block");
    }
}

#[test]
fn directories_whose_padding_is_something_else() {
    use Codec::{PaddedRaw, Raw};
    let bytes = noise(6, 5000);
    for (codecs, behind, sound) in [
        ([PaddedRaw, PaddedRaw], &[0; 50][..], true),
        ([PaddedRaw, PaddedRaw], &[0, 0, 1], false),
        ([PaddedRaw, Raw], &[], false),
        ([Raw, PaddedRaw], &[], false),
        ([Raw, Raw], &[0], false),
    ] {
        let (_world, repository) = world();
        let forged = |codec: Codec, bytes: &[u8]| {
            let (_, honest) = ForgedBlock::raw(&repository, BlockKind::Data, bytes);
            let stored = if codec.is_padded() { wrap(&honest.stored, 0) } else { honest.stored };
            ForgedBlock { codec, stored, ..honest }
        };
        let blocks = vec![forged(codecs[0], &bytes), forged(codecs[1], &noise(7, 5000))];
        store_pack(&repository, blocks, |plain| plain.extend(behind));
        assert_read_if(sound, &repository, &bytes, "a directory");
    }
}

#[test]
fn directories_with_wrong_numbers() {
    /// Offset and new bytes of a field: counts of blocks and chunks, and the fields of the only block.
    const BENT: &[(usize, &[u8])] = &[
        (0, &[0xff; 4]),
        (0, &[2, 0, 0, 0]),
        (0, &[0; 4]),
        (4, &[0xff; 4]),
        (4, &[0, 0, 1, 0]),
        (4, &[0; 4]),
        (8, &[9]),
        (9, &[9]),
        (10, &[0; 2]),
        (10, &[0xff; 2]),
        (12, &[0xff; 4]),
        (12, &[0; 4]),
        (12, &[17, 0, 0, 0]),
        (16, &[0xff; 4]),
        (16, &[0; 4]),
        (20, &[0xaa; 16]),
        (36, &[0xff; 3]),
        (36, &[0; 3]),
    ];
    for &(offset, bytes) in BENT {
        let (_world, repository) = world();
        let (id, honest) = ForgedBlock::raw(&repository, BlockKind::Data, &noise(2, 5000));
        store_pack(&repository, vec![honest], |plain| plain[offset..offset + bytes.len()].copy_from_slice(bytes));
        assert_refused(&repository, &store_snapshot(&repository, content(Some((id, 0)), 5000), None));
    }
}

#[test]
fn a_directory_cut_short_or_too_long() {
    for len in [0, 1, 8, 20, 38, 40, 100] {
        let (_world, repository) = world();
        let (id, honest) = ForgedBlock::raw(&repository, BlockKind::Data, &noise(2, 5000));
        store_pack(&repository, vec![honest], |plain| plain.resize(len, 0));
        assert_refused(&repository, &store_snapshot(&repository, content(Some((id, 0)), 5000), None));
    }
}

#[test]
fn index_rows_that_point_elsewhere() {
    for ordinal in [1, 7, u16::MAX] {
        let (_world, repository) = world();
        let (id, block) = ForgedBlock::raw(&repository, BlockKind::Data, &noise(3, 5000));
        let (_, second) = ForgedBlock::raw(&repository, BlockKind::Data, &noise(4, 5000));
        store_pack(&repository, vec![block, second], |_| {});
        let (key, len) = {
            let listed = repository.list(sfarc::backend::Kind::Packs).expect("a listing")[0];
            (listed.key, listed.len as u32)
        };
        for listed in repository.list(sfarc::backend::Kind::Indexes).expect("a listing") {
            repository.backend.delete(&listed.key).expect("removed");
        }
        let Key::Pack(pack) = key else { panic!("a pack") };
        let mut group = GroupWriter::new(&repository, 0);
        group.push(FreeRow { id, pack: PackEntry { id: pack, len }, ordinal }).expect("a row");
        group.finish().expect("a run");
        assert_refused(&repository, &store_snapshot(&repository, content(Some((id, 0)), 5000), None));
    }
}

fn node(level: u8, rows: &[(ChunkId, u64)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    rows.iter().for_each(|&(id, len)| push_row(&mut bytes, level, ListRow { id, len }));
    bytes
}

/// A stream whose only node has these rows.
fn assert_node_refused(rows: impl Fn(ChunkId) -> Vec<u8>, depth: u8, len: u64) {
    let (_world, repository) = world();
    let (data, chunk) = ForgedBlock::raw(&repository, BlockKind::Data, &noise(5, 5000));
    let (root, list) = ForgedBlock::raw(&repository, BlockKind::List, &rows(data));
    store_pack(&repository, vec![chunk, list], |_| {});
    assert_refused(&repository, &store_snapshot(&repository, content(Some((root, depth)), len), None));
}

#[test]
fn list_nodes_with_wrong_lengths() {
    assert_node_refused(|data| node(1, &[(data, 5000), (data, 5000)]), 1, 9999);
    assert_node_refused(|data| node(1, &[(data, 5000), (data, 5000)]), 1, (1 << 48) - 1);
    assert_node_refused(|data| node(1, &[(data, 5000), (data, 0)]), 1, 5000);
    assert_node_refused(|data| node(1, &[(data, 5000)])[..18].to_vec(), 1, 5000);
    assert_node_refused(|data| node(1, &vec![(data, 5000); 65]), 1, 65 * 5000);
    assert_node_refused(|data| node(2, &vec![(data, (1 << 48) - 1); 64]), 2, (1 << 48) - 1);
    assert_node_refused(|_| node(2, &[(ChunkId::new([9; 16]), 10), (ChunkId::new([9; 16]), 20)]), 2, 30);
}

#[test]
fn list_nodes_that_are_data_and_data_that_are_nodes() {
    let (_world, repository) = world();
    let bytes = node(1, &[(ChunkId::new([1; 16]), 100), (ChunkId::new([2; 16]), 100)]);
    let (as_data, block) = ForgedBlock::raw(&repository, BlockKind::Data, &bytes);
    store_pack(&repository, vec![block], |_| {});
    assert_refused(&repository, &store_snapshot(&repository, content(Some((as_data, 1)), 200), None));
}

#[test]
fn chunks_that_are_not_as_long_as_their_list_says() {
    for wrong in [1, 4000, 6000] {
        let (_world, repository) = world();
        let (data, chunk) = ForgedBlock::raw(&repository, BlockKind::Data, &noise(6, 5000));
        let (root, list) = ForgedBlock::raw(&repository, BlockKind::List, &node(1, &[(data, 5000), (data, wrong)]));
        store_pack(&repository, vec![chunk, list], |_| {});
        let snapshot = store_snapshot(&repository, content(Some((root, 1)), 5000 + wrong), None);
        let error = read_stream(&repository, &snapshot, "db").expect_err("refused");
        assert_eq!(error.category(), sfarc::Category::Damaged);
    }
}

#[test]
fn manifests_with_impossible_lengths_and_depths() {
    let id = ChunkId::new([1; 16]);
    let forged = [
        content(Some((id, 0)), 0),
        content(None, 5000),
        content(None, u64::MAX),
        content(Some((id, 0)), u64::MAX),
        content(Some((id, 25)), 5000),
        content(Some((id, 255)), u64::MAX),
    ];
    for content in forged {
        let (_world, repository) = world();
        let snapshot = put_snapshot(&repository, content.clone(), None);
        assert!(repository.read_snapshot(snapshot).expect_err("refused").is_damage());
        assert_eq!(repository.snapshots().expect("a listing").unreadable.len(), 1);
        let report = check::check(&repository, &check::ReadData::All).expect("the check ends");
        assert!(!report.problems.is_empty(), "the check finds nothing");
        let mut egress = Egress::open(&repository).expect("opened");
        for (start, len) in [(0, u64::MAX), (u64::MAX, u64::MAX), (1 << 50, 1)] {
            let _ = egress.write_range(&content, start, len, |_| Ok::<(), std::io::Error>(()));
        }
    }
}

#[test]
fn records_that_announce_more_than_they_hold() {
    for len in [u64::MAX, 1 << 40, 1 << 27, 300] {
        let (_world, repository) = world();
        // Version, time, duration; then the host's length.
        let mut record = vec![1, 0];
        record.extend([0; 16]);
        record.extend(len.to_le_bytes());
        record.extend([b'x'; 100]);
        let object = repository
            .keys
            .sealer(SealedKind::Snapshot, &*repository.env.entropy)
            .expect("the key ring is whole")
            .seal_record(&record);
        let id = ObjectId::of(&object);
        repository.backend.put(&Key::Snapshot(id), &object).expect("stored");
        let error = repository.read_snapshot(id).expect_err("refused");
        assert!(error.is_damage(), "{error}");
        assert_eq!(repository.snapshots().expect("a listing").unreadable.len(), 1);
    }
}

fn entry(header_len: u64, stored_len: u64) -> CatalogEntry {
    CatalogEntry {
        path: b"file".to_vec(),
        kind: CatalogKind::File,
        mode: 0o644,
        uid: 0,
        gid: 0,
        mtime_secs: 0,
        mtime_nanos: 0,
        size: stored_len,
        header_len,
        stored_len,
        link: Vec::new(),
        hash: [0; 32],
        changed: false,
    }
}

/// A folder stream with these catalog bytes, whose hash is right.
fn with_catalog(repository: &Repository, bytes: &[u8]) -> Snapshot {
    let (id, block) = ForgedBlock::raw(repository, BlockKind::Data, bytes);
    store_pack(repository, vec![block], |_| {});
    let hash = *blake3::hash(bytes).as_bytes();
    let catalog = Content { hash, ..content(Some((id, 0)), bytes.len() as u64) };
    store_snapshot(repository, content(None, 0), Some(catalog))
}

fn walk(repository: &Repository, snapshot: &Snapshot) -> Result<(), sfarc::Error> {
    let mut egress = Egress::open(repository).expect("opened");
    folder::for_each_entry(&mut egress, snapshot, &snapshot.manifest.streams[0], |_| {})
}

#[test]
fn catalogs_whose_lengths_overflow() {
    for lens in [(u64::MAX, 0), (0, u64::MAX), (512, u64::MAX - 600), (u64::MAX / 2 + 1, u64::MAX / 2 + 1)] {
        let (_world, repository) = world();
        let bytes = [catalog::encode(&entry(512, 100)), catalog::encode(&entry(lens.0, lens.1))].concat();
        let snapshot = with_catalog(&repository, &bytes);
        let error = walk(&repository, &snapshot).expect_err("it is no catalog");
        assert_eq!(error.category(), sfarc::Category::Damaged, "{lens:?}: {error}");
    }
}

#[test]
fn catalogs_with_broken_records() {
    let honest = catalog::encode(&entry(512, 100));
    let mut long = (1u32 << 30).to_le_bytes().to_vec();
    long.extend([0; 100]);
    let mut greedy = honest.clone();
    greedy[6..14].fill(0xff);
    for bytes in [&long[..], &greedy, &honest[..honest.len() - 1], &honest[..3], &[honest.clone(), vec![0]].concat()] {
        let (_world, repository) = world();
        let snapshot = with_catalog(&repository, bytes);
        let error = walk(&repository, &snapshot).expect_err("it is no catalog");
        assert_eq!(error.category(), sfarc::Category::Damaged, "{} bytes: {error}", bytes.len());
    }
}

#[test]
fn a_file_that_the_catalog_places_outside_the_stream() {
    let (_world, repository) = world();
    let snapshot = with_catalog(&repository, &catalog::encode(&entry(1 << 40, 100)));
    let stream = &snapshot.manifest.streams[0];
    let given = sfarc::engine::restore::cat(&repository, &snapshot, stream, b"file", |_| Ok(()));
    assert!(given.is_err());
}

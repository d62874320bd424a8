//! Every decoder of the format: no input makes it panic or allocate much, and what decodes encodes to the same bytes,
//! or from an older version to the same value.
#![no_main]

use std::fmt::{Debug, Display};
use std::str::FromStr;

use libfuzzer_sys::fuzz_target;
use sfarc::backend::{Kind, layout};
use sfarc::format::catalog::{self, CatalogDecoder, CatalogEntry, CatalogKind};
use sfarc::format::config::{ConfigHead, ConfigRecord, Features};
use sfarc::format::divided::DividedHeader;
use sfarc::format::frame;
use sfarc::format::index::{IndexFooter, IndexRow, PAGE_LEN, PackEntry, ROW_LEN, lower_bound};
use sfarc::format::keyslot::{KeySlot, PassphraseCost, SlotInfo, SlotKind};
use sfarc::format::list::{self, ListRow};
use sfarc::format::manifest::{
    ChunkSizes, Content, FenceRecord, GcRecord, ListRoot, Manifest, Origin, Proof, SessionRecord, StreamEntry,
};
use sfarc::format::pack::{BlockKind, BlockRow, ChunkRow, Codec, Directory};
use sfarc::format::padding;
use sfarc::format::record::{self, Reading, Record, Writing};
use sfarc::format::rolekey::{RoleKey, WriterRecord};
use sfarc::format::sealed::{Cipher, Header, SealedKind, Trailer, Wrapping};
use sfarc::format::signature::{LogSignature, Roots, SnapshotParts, SnapshotSignature};
use sfarc::ids::{ChunkId, ObjectId, RepoId, SessionId};
use sfarc::limits;
use sfarc::repo::roles::{parse_role_key, role_key_text};
use sfarc_fuzz::{Choices, Counting, peak_of, sow};
use wincode::{SchemaRead, SchemaWrite};

#[global_allocator]
static COUNTING: Counting = Counting;

type Decoder = fn(&[u8]);

/// What decoders that are not of records may allocate.
const LITTLE: usize = 64 << 10;
/// Lists of a record are allocated before it shows whether it holds them: up to this limit, and lists in lists again.
const LISTS: usize = 3 * limits::RECORD_MAX_BYTES;

/// Each with what it may allocate beside a multiple of its input.
const DECODERS: [(Decoder, usize); 27] = [
    (header, LITTLE),
    (trailer, LITTLE),
    (directory, LITTLE),
    (footer, LITTLE),
    (page, LITTLE),
    (node, LITTLE),
    (config_head, LITTLE),
    (record_of::<ConfigRecord>, LISTS),
    (record_of::<Manifest>, LISTS),
    (record_of::<SessionRecord>, LISTS),
    (record_of::<GcRecord>, LISTS),
    (record_of::<CatalogEntry>, LISTS),
    (record_of::<SlotInfo>, LISTS),
    (record_of::<KeySlot>, LISTS),
    (cost, LITTLE),
    (entries, LISTS),
    (names, LITTLE),
    (record_of::<FenceRecord>, LITTLE),
    (divided_header, LITTLE),
    (snapshot_parts, LITTLE),
    (role_key, LISTS),
    (record_of::<RoleKey>, LISTS),
    (record_of::<WriterRecord>, LISTS),
    (record_of::<Roots>, LISTS),
    (record_of::<SnapshotSignature>, LITTLE),
    (record_of::<LogSignature>, LITTLE),
    (one_frame, LITTLE),
];

const KINDS: [SealedKind; 6] = [
    SealedKind::Config,
    SealedKind::Pack,
    SealedKind::Index,
    SealedKind::Snapshot,
    SealedKind::Session,
    SealedKind::Gc,
];

fuzz_target!(init: sow(seeds()), |input: &[u8]| {
    let Some((&which, input)) = input.split_first() else { return };
    let (decoder, bound) = DECODERS[usize::from(which) % DECODERS.len()];
    let peak = peak_of(|| decoder(input));
    assert!(peak <= bound + 64 * input.len(), "{} bytes made it allocate {peak}", input.len());
});

fn header(input: &[u8]) {
    for kind in KINDS {
        if let Ok(header) = Header::decode(input, kind) {
            assert_eq!(header.kind, kind);
            assert_eq!(header.encode()[..], input[..header.encode().len()]);
        }
    }
}

fn trailer(input: &[u8]) {
    let mut choices = Choices(input);
    let object_len = u64::from_le_bytes(std::array::from_fn(|_| choices.byte()));
    if let Ok(trailer) = Trailer::decode(choices.0, object_len) {
        assert_eq!(trailer.encode()[..], *choices.0);
        assert_eq!(trailer.offset + u64::from(trailer.len) + Trailer::LEN as u64, object_len);
    }
}

/// What was read is what is written, with zeros behind it where padding is allowed.
fn assert_padded(written: &[u8], read: &[u8], padded: bool) {
    let (front, zeros) = read.split_at(written.len());
    assert_eq!(front, written);
    assert!(zeros.iter().all(|&byte| byte == 0) && (padded || zeros.is_empty()));
}

fn directory(input: &[u8]) {
    for wrapping in [Wrapping::Whole, Wrapping::Divided] {
        let Ok(directory) = Directory::decode(input, wrapping) else { continue };
        assert_padded(&directory.encode(), input, directory.is_padded());
        let mut chunks = 0;
        for span in directory.spans(wrapping) {
            assert_eq!(span.first_chunk, chunks);
            chunks += directory.chunks_of(&span).len();
            if let Ok(payload) = span.row.codec.payload(input) {
                assert!(payload.len() <= input.len());
            }
            if let Some(moved) = span.moved {
                let foreign = &directory.foreign()[usize::from(moved.envelope)];
                assert_eq!(foreign.envelope.compartment, span.row.kind.compartment());
            }
        }
        assert_eq!(chunks, directory.chunks().len());
    }
}

fn divided_header(input: &[u8]) {
    for kind in [SealedKind::Pack, SealedKind::Snapshot] {
        if let Ok(header) = DividedHeader::decode(input, kind) {
            assert_eq!(header.kind, kind);
            assert_eq!(header.encode()[..], input[..header.encode().len()]);
        }
    }
}

fn snapshot_parts(input: &[u8]) {
    let Ok(parts) = SnapshotParts::of(input) else { return };
    assert_eq!(parts.signed.len() + parts.signature.len(), input.len());
    assert!(parts.record.len() + parts.roots.len() < parts.signed.len());
}

fn role_key(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Some(key) = parse_role_key(text) {
        assert_eq!(parse_role_key(&role_key_text(&key)), Some(key));
    }
}

fn footer(input: &[u8]) {
    let Ok(footer) = IndexFooter::decode(input) else { return };
    assert_padded(&footer.encode(), input, footer.padded);
    for page in [0, 1, 2, footer.pages().wrapping_sub(1), footer.pages(), footer.filter_blocks / 63, u64::MAX] {
        let row_page = footer.page_span(page);
        assert_eq!(row_page.is_some(), page < footer.pages());
        assert!(row_page.is_none_or(|(_, len)| len <= PAGE_LEN));
        assert!(footer.filter_span(page).is_none_or(|(_, len)| len <= PAGE_LEN));
    }
}

fn page(input: &[u8]) {
    let (id, page) = input.split_at(input.len().min(ChunkId::LEN));
    let id = ChunkId::new(std::array::from_fn(|at| id.get(at).copied().unwrap_or_default()));
    let rows: Vec<IndexRow> = (0..).map_while(|place| IndexRow::at(page, place)).collect();
    assert_eq!(rows.len(), page.len() / ROW_LEN);
    for (row, bytes) in rows.iter().zip(page.chunks(ROW_LEN)) {
        assert_eq!(row.encode()[..], *bytes);
    }
    let found = lower_bound(page, &id);
    assert!(found <= rows.len());
    if rows.is_sorted_by_key(|row| row.id) {
        assert_eq!(found, rows.partition_point(|row| row.id < id));
    }
    assert_eq!(IndexRow::at(page, usize::MAX), None);
}

fn node(input: &[u8]) {
    let Some((&level, node)) = input.split_first() else { return };
    let level = level.max(1);
    if let Ok(rows) = list::decode_node(node, level) {
        let mut encoded = Vec::new();
        rows.iter().for_each(|&row| list::push_row(&mut encoded, level, row));
        assert_eq!(encoded, node);
    }
}

fn one_frame(input: &[u8]) {
    if frame::check(input).is_ok() {
        assert!(frame::check(&input[..input.len() - 1]).is_err(), "a frame has one end");
    }
}

fn config_head(input: &[u8]) {
    if let Ok(head) = ConfigHead::decode(input) {
        assert_eq!(head.encode()[..], input[..ConfigHead::LEN]);
    }
}

fn record_of<T>(input: &[u8])
where
    T: Record + PartialEq + Debug + SchemaWrite<Writing, Src = T> + for<'de> SchemaRead<'de, Reading, Dst = T>,
{
    if let Ok(record) = record::decode::<T>(input) {
        let encoded = record::encode(&record);
        if input[..2] == T::VERSION.to_le_bytes() {
            assert_eq!(encoded, input, "{record:?}");
        } else if input[..2] == (T::VERSION | record::PADDED).to_le_bytes() {
            let padded = [&input[..2], &padding::wrap(&encoded[2..], input.len() - 2)].concat();
            assert_eq!(padded, input, "{record:?}");
            assert_eq!(record::decode::<T>(&record::encode_padded(&record)).ok(), Some(record));
        } else {
            // What an older version said is written as today's.
            assert_eq!(record::decode::<T>(&encoded).ok(), Some(record));
        }
    }
}

fn cost(input: &[u8]) {
    let mut choices = Choices(input);
    let mut number = || u32::from_le_bytes(std::array::from_fn(|_| choices.byte()));
    let cost = PassphraseCost { memory_kib: number(), passes: number(), lanes: number() };
    if cost.check().is_ok() {
        assert!(cost.memory_kib >= 8 * cost.lanes && cost.memory_kib <= 2 << 20);
        assert!(u64::from(cost.memory_kib) * u64::from(cost.passes) <= 128 << 20);
    }
}

fn entries(input: &[u8]) {
    let Some((&piece, bytes)) = input.split_first() else { return };
    let gather = |piece: usize| {
        let (mut decoder, mut entries) = (CatalogDecoder::default(), Vec::new());
        let pushed = bytes.chunks(piece).try_for_each(|part| decoder.push(part, |entry| entries.push(entry)));
        (pushed.and_then(|()| decoder.finish()), entries)
    };
    let (outcome, found) = gather(usize::from(piece).max(1));
    let (at_once, found_at_once) = gather(bytes.len().max(1));
    assert_eq!((outcome.is_ok(), &found), (at_once.is_ok(), &found_at_once));
    let encoded: Vec<u8> = found.iter().flat_map(catalog::encode).collect();
    assert!(bytes.starts_with(&encoded));
    assert_eq!(outcome.is_ok(), bytes.len() == encoded.len());
}

fn names(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    fn name<T: FromStr + Display>(text: &str) {
        if let Ok(id) = text.parse::<T>() {
            assert_eq!(id.to_string(), text);
        }
    }
    name::<ChunkId>(text);
    name::<ObjectId>(text);
    name::<SessionId>(text);
    name::<RepoId>(text);
    for kind in Kind::ALL {
        if let Some(key) = layout::parse(kind, text) {
            let path = layout::path(&key);
            assert_eq!((key.kind(), path.rsplit('/').next()), (kind, Some(text)));
        }
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let header = Header {
        kind: SealedKind::Pack,
        cipher: Cipher::Aes256Gcm,
        wrap_nonce: [1; 12],
        wrapped_key: [2; 48],
        commitment: [3; 32],
    };
    let chunk = |byte, len| ChunkRow { id: ChunkId::new([byte; 16]), len };
    let block = |kind, codec, chunks, plain_len| BlockRow { kind, codec, chunks, stored_len: 300, plain_len };
    let mut directory = Directory::default();
    directory.push(block(BlockKind::Data, Codec::Zstd, 2, 3000), [chunk(1, 1000), chunk(2, 2000)]);
    directory.push(block(BlockKind::List, Codec::Raw, 1, 44), [chunk(3, 44)]);
    let footer = IndexFooter {
        rows: 400,
        filter_blocks: 8,
        packs: vec![PackEntry { id: ObjectId::new([4; 32]), len: 1 << 20 }],
        page_starts: vec![1, 2, 3],
        group: [5; 16],
        level: 1,
        padded: false,
    };
    let mut padded = Directory::default();
    padded.push(block(BlockKind::Data, Codec::PaddedZstd, 1, 1000), [chunk(1, 1000)]);
    padded.push(block(BlockKind::List, Codec::PaddedRaw, 1, 44), [chunk(3, 44)]);
    let and_zeros = |bytes: Vec<u8>| [bytes, vec![0; 7]].concat();
    let mut page = vec![2; 16];
    for byte in 0..5 {
        page.extend(IndexRow { id: ChunkId::new([byte; 16]), pack: 0, ordinal: byte.into() }.encode());
    }
    let list_node = |level| {
        let mut node = vec![level];
        (1..4).for_each(|byte| list::push_row(&mut node, level, ListRow { id: ChunkId::new([byte; 16]), len: 9 }));
        node
    };
    let features = Features { read: 0, write: 1, collect: 2 };
    let content = Content {
        len: 12,
        hash: [1; 32],
        sizes: ChunkSizes { min: 1024, avg: 4096, max: 32768 },
        root: Some(ListRoot { id: [2; 16], depth: 1 }),
    };
    let stream = |origin, proof| StreamEntry {
        name: b"db".to_vec(),
        origin,
        content: content.clone(),
        catalog: Some(Content { root: None, ..content.clone() }),
        proof,
        new_bytes: 3,
        problems: vec!["a problem".to_owned()],
        facts: vec![("rows".to_owned(), "1".to_owned())],
    };
    let manifest = Manifest {
        time: 1,
        duration: 2,
        host: "host".to_owned(),
        tags: vec!["tag".to_owned()],
        labels: vec![("key".to_owned(), "value".to_owned())],
        program: "sfarc".to_owned(),
        session: [6; 16],
        added: 4,
        complete: true,
        streams: vec![
            stream(Origin::Stdin, Proof::P0),
            stream(Origin::File(b"f".to_vec()), Proof::P1),
            stream(Origin::Folder(b"d".to_vec()), Proof::P2),
            stream(Origin::Command("dump".to_owned()), Proof::P3),
            stream(Origin::Objects { namespace: "sf".to_owned() }, Proof::P3),
        ],
        findings: vec!["a finding".to_owned()],
    };
    let entry = CatalogEntry {
        path: b"a/b".to_vec(),
        kind: CatalogKind::Hardlink,
        mode: 0o644,
        uid: 1,
        gid: 2,
        mtime_secs: -1,
        mtime_nanos: 5,
        size: 0,
        header_len: 512,
        stored_len: 0,
        link: b"a/c".to_vec(),
        hash: [7; 32],
        changed: false,
    };
    let slot = |kind| KeySlot {
        kind,
        cipher: 1,
        nonce: [1; 12],
        sealed_root: [2; 48],
        commitment: [3; 32],
        info_nonce: [4; 12],
        sealed_info: vec![5; 40],
    };
    let session = SessionRecord { id: [4; 16], epoch: 1, host: "host".to_owned(), pid: 2, started: 3 };
    let mut trailer = (112 + 40 + 16u64).to_le_bytes().to_vec();
    trailer.extend(Trailer { offset: 112, len: 40 }.encode());
    let mut catalog = vec![7];
    catalog.extend(catalog::encode(&entry));
    catalog.extend(catalog::encode(&CatalogEntry { kind: CatalogKind::File, ..entry.clone() }));
    let cost = |cost: PassphraseCost| [cost.memory_kib, cost.passes, cost.lanes].map(u32::to_le_bytes).concat();
    let repo = [8; 16];
    let config = ConfigRecord { features, repo, created: 9, program: "sfarc".to_owned() };
    let seeds = [
        (0, header.encode().to_vec()),
        (1, trailer),
        (2, directory.encode()),
        (2, and_zeros(padded.encode())),
        (3, footer.encode()),
        (3, and_zeros(IndexFooter { padded: true, ..footer }.encode())),
        (4, page),
        (5, list_node(1)),
        (5, list_node(2)),
        (6, ConfigHead { features, repo: RepoId::new(repo) }.encode().to_vec()),
        (7, record::encode(&config)),
        (8, record::encode(&manifest)),
        (8, record::encode_padded(&manifest)),
        (9, record::encode(&session)),
        (
            10,
            record::encode(&GcRecord {
                epoch: 7,
                features: Features::default(),
                condemned: vec![[1; 16]],
                dead: vec![[2; 16], [3; 16]],
            }),
        ),
        (11, record::encode(&entry)),
        (12, record::encode(&SlotInfo { label: "laptop".to_owned(), created: 1 })),
        (13, record::encode(&slot(SlotKind::KeyFile))),
        (13, record::encode(&slot(SlotKind::Passphrase(PassphraseCost::RECOMMENDED)))),
        (14, cost(PassphraseCost::RECOMMENDED)),
        (15, catalog),
        (17, record::encode(&FenceRecord { snapshot: [1; 32] })),
        (26, vec![0x28, 0xb5, 0x2f, 0xfd, 0x20, 1, 9, 0, 0, 7]),
        (16, ObjectId::new([0xa5; 32]).to_string().into_bytes()),
        (16, format!("{}.pending", SessionId::new([0xa5; 16])).into_bytes()),
        (16, b"00000000000000ff".to_vec()),
    ];
    seeds.into_iter().map(|(which, bytes)| [vec![which], bytes].concat()).collect()
}

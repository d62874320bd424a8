//! The test vectors of format-spec.md (tests/vectors/format.json), made by another implementation, against this one: in both directions.

use std::collections::HashMap;
use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

use sfarc::backend::folder::FolderBackend;
use sfarc::backend::{Backend, Key};
use sfarc::chunk::{Chunker, Cut};
use sfarc::crypto::keys::{KeyRing, commitment, key_file_key, slot_commitment};
use sfarc::crypto::passphrase;
use sfarc::engine::snapshot::{BULK_SIZES, DUMP_SIZES};
use sfarc::env::{Entropy, Env};
use sfarc::format::catalog::CatalogEntry;
use sfarc::format::config::{ConfigHead, ConfigRecord};
use sfarc::format::index::{IndexFooter, IndexRow, PackEntry, filter_bits, filter_block};
use sfarc::format::keyslot::{Binding, KeySlot, PassphraseCost, SlotInfo};
use sfarc::format::list::{self, ListRow};
use sfarc::format::manifest::{ChunkSizes, FenceRecord, GcRecord, Manifest, SessionRecord};
use sfarc::format::pack::{BlockKind, BlockRow, ChunkRow, Codec, Directory};
use sfarc::format::padding::{padme, wrap};
use sfarc::format::record::{self, Reading, Record, Writing};
use sfarc::format::sealed::{Cipher, HEADER_LEN, Header, SealedKind, Section, Trailer, Wrapping};
use sfarc::ids::{ChunkId, ObjectId, RepoId};
use sfarc::pipeline::egress::Egress;
use sfarc::repo::index::build::{FreeRow, GroupWriter};
use sfarc::repo::list::{ListBuilder, NodeStore};
use sfarc::repo::{Credential, RepoError, Repository};
use wincode::{SchemaRead, SchemaWrite};
use zeroize::Zeroizing;

/// The values of tests/vectors/format.json by their names.
pub(crate) struct Vectors(HashMap<String, Vec<u8>>);

impl Vectors {
    pub(crate) fn load() -> Self {
        let values: HashMap<String, String> =
            serde_json::from_str(include_str!("../vectors/format.json")).expect("names and values");
        Self(values.into_iter().map(|(name, hex)| (name, from_hex(&hex))).collect())
    }

    pub(crate) fn get(&self, name: &str) -> &[u8] {
        self.0.get(name).unwrap_or_else(|| panic!("there is no vector `{name}`"))
    }

    pub(crate) fn array<const N: usize>(&self, name: &str) -> [u8; N] {
        self.get(name).try_into().expect("the vector has the expected length")
    }

    fn numbers(&self, name: &str) -> Vec<usize> {
        let number = |bytes: &[u8; 4]| u32::from_le_bytes(*bytes) as usize;
        self.get(name).as_chunks::<4>().0.iter().map(number).collect()
    }

    fn keys(&self, cipher: Cipher) -> KeyRing {
        KeyRing::new(Zeroizing::new(self.array("root")), cipher)
    }
}

pub(crate) fn from_hex(hex: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).expect("a hexadecimal digit") as u8;
    hex.as_bytes().as_chunks::<2>().0.iter().map(|&[high, low]| digit(high) << 4 | digit(low)).collect()
}

/// The pseudo-random stream of the specification.
fn stream() -> Vec<u8> {
    let mut bytes = vec![0; 300_001];
    blake3::Hasher::new().update(b"sfarc test stream").finalize_xof().fill(&mut bytes);
    bytes
}

/// Bytes from 0xa0 up, whatever is asked for: object keys, nonces and group names of the vectors.
pub(crate) struct Ascending;

impl Entropy for Ascending {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.iter_mut().zip(0xa0..).for_each(|(byte, value)| *byte = value);
    }
}

#[test]
fn keys_and_names() {
    let vectors = Vectors::load();
    let keys = vectors.keys(Cipher::Aes256Gcm);
    let stream = stream();
    assert_eq!(
        keys.chunk_hasher().expect("the key ring is whole").id(&stream[..5000]).as_bytes(),
        vectors.get("id.chunk")
    );
    assert_eq!(
        keys.list_hasher().expect("the key ring is whole").id(&stream[..5000]).as_bytes(),
        vectors.get("id.list")
    );
    assert_eq!(
        keys.chunk_hasher().expect("the key ring is whole").ids(&[&stream[..5000]])[0].as_bytes(),
        vectors.get("id.chunk")
    );
    let gear: Vec<u8> =
        keys.gear().expect("the key ring is whole").iter().flat_map(|entry| entry.to_le_bytes()).collect();
    assert_eq!(gear[..8], *vectors.get("gear.first"));
    assert_eq!(blake3::hash(&gear).as_bytes(), vectors.get("gear.blake3"));
    let repo = RepoId::new(vectors.array("repo"));
    assert_eq!(key_file_key(&vectors.array("key_file.material"), &repo)[..], *vectors.get("key.key_file"));

    let cost = PassphraseCost { memory_kib: 32, passes: 1, lanes: 2 };
    let salt = RepoId::new(vectors.array("repo"));
    let key = passphrase::derive(b"correct horse", &salt, &cost).expect("Argon2 runs");
    assert_eq!(key[..], *vectors.get("key.passphrase"));
    let nonce = *vectors.array::<32>("object.key").first_chunk().expect("12 of 32 bytes");
    assert_eq!(slot_commitment(&key, &nonce)[..], *vectors.get("commitment.passphrase"));
}

fn cuts(chunker: &Chunker, mut bytes: &[u8]) -> Vec<usize> {
    let mut cuts = Vec::new();
    while !bytes.is_empty() {
        let len = match chunker.cut(bytes) {
            Cut::At(len) => len,
            Cut::Open => bytes.len(),
        };
        cuts.push(len);
        bytes = &bytes[len..];
    }
    cuts
}

#[test]
fn cut_points_of_a_pseudo_random_function() {
    let (vectors, stream) = (Vectors::load(), stream());
    let keys = vectors.keys(Cipher::Aes256Gcm);
    assert_eq!(keys.prf().expect("the key ring is whole")[..], *vectors.get("key.prf"));
    let cuts = |bytes: &[u8], sizes: ChunkSizes| {
        cuts(
            &Chunker::by_prf(
                sizes,
                keys.gear().expect("the key ring is whole"),
                keys.prf().expect("the key ring is whole"),
            )
            .expect("the sizes are legal"),
            bytes,
        )
    };
    assert_eq!(cuts(&stream, DUMP_SIZES), vectors.numbers("cuts.prf.dump"));
    assert_eq!(cuts(&stream, BULK_SIZES), vectors.numbers("cuts.prf.bulk"));
    assert_eq!(cuts(&[0; 100_001], DUMP_SIZES), vectors.numbers("cuts.prf.zeros"));
}

#[test]
fn padding() {
    let vectors = Vectors::load();
    for numbers in vectors.numbers("padme").chunks(2) {
        assert_eq!(padme(numbers[0]), numbers[1]);
    }
    assert_eq!(wrap(b"some block", 40), vectors.get("padded.block"));
    for codec in [Codec::PaddedRaw, Codec::PaddedZstd] {
        assert_eq!(codec.payload(vectors.get("padded.block")), Ok(&b"some block"[..]));
    }
    check_padded_record::<GcRecord>(&vectors, "record.gc");
    check_padded_record::<Manifest>(&vectors, "record.manifest");

    let directory = Directory::decode(vectors.get("directory.padded"), Wrapping::Whole).expect("the directory decodes");
    let codecs: Vec<Codec> = directory.blocks().iter().map(|block| block.codec).collect();
    assert_eq!(codecs, [Codec::PaddedZstd, Codec::PaddedRaw]);
    check_zeros(vectors.get("directory.padded"), &directory.encode(), |bytes| {
        Directory::decode(bytes, Wrapping::Whole).is_ok()
    });
    // Zeros behind blocks without padding, and blocks of both sorts.
    for (place, byte) in [(9, 1), (21, 0)] {
        let mut altered = vectors.get("directory.padded").to_vec();
        altered[place] = byte;
        assert!(Directory::decode(&altered, Wrapping::Whole).is_err(), "byte {place}");
    }
    let footer = IndexFooter::decode(vectors.get("index.footer.padded")).expect("the footer decodes");
    assert!(footer.padded && footer.level == 3);
    check_zeros(vectors.get("index.footer.padded"), &footer.encode(), |bytes| IndexFooter::decode(bytes).is_ok());
    let end = footer.end().expect("it has pages");
    assert!(footer.may_lie_at(end + 16) && footer.may_lie_at(end + 99) && !footer.may_lie_at(end + 15));
    let plain = IndexFooter { padded: false, ..footer };
    assert!(plain.may_lie_at(end) && !plain.may_lie_at(end + 16));
    assert!(IndexFooter::decode(&[&plain.encode()[..], &[0]].concat()).is_err());
}

/// The stored bytes are `front` and zeros, and nothing else decodes.
fn check_zeros(stored: &[u8], front: &[u8], decodes: impl Fn(&[u8]) -> bool) {
    assert_eq!(stored[..front.len()], *front);
    assert!(decodes(front) && decodes(&[stored, &[0; 5]].concat()));
    assert!(!decodes(&[stored, &[1]].concat()) && !decodes(&front[..front.len() - 1]));
    for place in front.len()..stored.len() {
        let mut altered = stored.to_vec();
        altered[place] = 1;
        assert!(!decodes(&altered), "byte {place}");
    }
}

fn check_padded_record<T>(vectors: &Vectors, name: &str)
where
    T: Record + PartialEq + Debug + SchemaWrite<Writing, Src = T> + for<'de> SchemaRead<'de, Reading, Dst = T>,
{
    let stored = vectors.get(&format!("{name}.padded"));
    let padded: T = record::decode(stored).expect("the padded record decodes");
    assert_eq!(Ok(&padded), record::decode(vectors.get(name)).as_ref());
    assert_eq!(record::encode_padded(&padded), stored);
    let len = HEADER_LEN + stored.len() + 16;
    assert_eq!(padme(len), len);
    check_zeros(stored, &stored[..vectors.get(name).len() + 4], |bytes| record::decode::<T>(bytes).is_ok());
}

#[test]
fn cut_points() {
    let (vectors, stream) = (Vectors::load(), stream());
    let keys = vectors.keys(Cipher::Aes256Gcm);
    let cuts = |bytes: &[u8], sizes: ChunkSizes| {
        cuts(&Chunker::by_gear(sizes, keys.gear().expect("the key ring is whole")).expect("the sizes are legal"), bytes)
    };
    assert_eq!(cuts(&stream, DUMP_SIZES), vectors.numbers("cuts.dump"));
    assert_eq!(cuts(&stream, BULK_SIZES), vectors.numbers("cuts.bulk"));
    assert_eq!(cuts(&[0; 100_001], DUMP_SIZES), vectors.numbers("cuts.zeros"));
    let [start, odd, whole, cut] = vectors.numbers("cuts.odd")[..] else { panic!("four numbers") };
    assert_eq!(cuts(&stream[start..start + odd], DUMP_SIZES), [whole]);
    assert_eq!(cuts(&stream[start..=start + odd], DUMP_SIZES)[0], cut);
}

#[test]
fn headers_and_seals() {
    let vectors = Vectors::load();
    for (name, kind, cipher) in [
        ("header.pack.aes", SealedKind::Pack, Cipher::Aes256Gcm),
        ("header.session.chacha", SealedKind::Session, Cipher::ChaCha20Poly1305),
    ] {
        let stored = vectors.get(name);
        let header = Header::decode(stored, kind).expect("the header decodes");
        assert_eq!(header.cipher, cipher);
        assert_eq!(header.wrap_nonce, vectors.get("object.wrap_nonce"));
        assert_eq!(header.commitment, commitment(&vectors.array("object.key")));
        assert_eq!(header.encode(), stored);
        assert_eq!(vectors.keys(cipher).sealer(kind, &Ascending).expect("it seals").header(), stored);
        vectors.keys(Cipher::Aes256Gcm).opener(kind, stored).expect("the header decodes").expect("it opens");
        for place in 0..HEADER_LEN {
            let mut altered = stored.to_vec();
            altered[place] ^= 1;
            let opened = vectors.keys(cipher).opener(kind, &altered);
            assert!(!matches!(opened, Ok(Ok(_))), "byte {place} of the header may be altered");
        }
    }
    for (name, kind, cipher, section, ordinal, plain) in [
        (
            "section.block3.aes",
            SealedKind::Pack,
            Cipher::Aes256Gcm,
            Section::Block(BlockKind::Data),
            3,
            &b"some block"[..],
        ),
        ("section.page7.chacha", SealedKind::Index, Cipher::ChaCha20Poly1305, Section::Page, 7, b"some page"),
    ] {
        let sealer = vectors.keys(cipher).sealer(kind, &Ascending).expect("it seals");
        let mut sealed = plain.to_vec();
        sealer.seal(section, ordinal, &mut sealed, 0);
        assert_eq!(sealed, vectors.get(name));
        let opener = vectors.keys(cipher).opener(kind, sealer.header()).expect("it decodes").expect("it opens");
        assert_eq!(opener.open_vec(section, ordinal, sealed.clone()).expect("the section opens"), plain);
        assert!(opener.open_vec(section, ordinal + 1, sealed).is_err());
    }
    let trailer = Trailer { offset: 112, len: 51 };
    assert_eq!(trailer.encode(), vectors.get("trailer"));
    assert_eq!(Trailer::decode(vectors.get("trailer"), 112 + 51 + 16), Ok(trailer));
}

/// The records as the crate `bincode` sees them: the same names, fields and order.
mod mirror {
    use bincode::{Decode, Encode};

    #[derive(Debug, Encode, Decode)]
    pub(super) struct Features {
        read: u64,
        write: u64,
        collect: u64,
    }
    #[derive(Debug, Encode, Decode)]
    pub(super) struct ConfigRecord {
        features: Features,
        repo: [u8; 16],
        created: i64,
        program: String,
    }
    #[derive(Debug, Encode, Decode)]
    pub(super) struct PassphraseCost {
        memory_kib: u32,
        passes: u32,
        lanes: u32,
    }
    #[derive(Debug, Encode, Decode)]
    pub(super) enum SlotKind {
        Passphrase(PassphraseCost),
        KeyFile,
    }
    #[derive(Debug, Encode, Decode)]
    pub(super) struct KeySlot {
        kind: SlotKind,
        cipher: u8,
        nonce: [u8; 12],
        sealed_root: [u8; 48],
        commitment: [u8; 32],
        info_nonce: [u8; 12],
        sealed_info: Vec<u8>,
    }
    #[derive(Debug, Encode, Decode)]
    pub(super) struct SlotInfo {
        label: String,
        created: i64,
    }
    #[derive(Debug, Encode, Decode)]
    pub(super) struct ChunkSizes {
        min: u32,
        avg: u32,
        max: u32,
    }
    #[derive(Debug, Encode, Decode)]
    pub(super) struct ListRoot {
        id: [u8; 16],
        depth: u8,
    }
    #[derive(Debug, Encode, Decode)]
    pub(super) struct Content {
        len: u64,
        hash: [u8; 32],
        sizes: ChunkSizes,
        root: Option<ListRoot>,
    }
    #[derive(Debug, Encode, Decode)]
    pub(super) enum Origin {
        Stdin,
        File(Vec<u8>),
        Folder(Vec<u8>),
        Command(String),
        Pod { namespace: String, pod: String, container: Option<String>, command: String },
        PodFolder { namespace: String, pod: String, container: Option<String>, path: String },
        Objects { namespace: String },
    }
    #[derive(Debug, Encode, Decode)]
    pub(super) enum Proof {
        P0,
        P1,
        P2,
        P3,
    }
    #[derive(Debug, Encode, Decode)]
    pub(super) struct StreamEntry {
        name: Vec<u8>,
        origin: Origin,
        content: Content,
        catalog: Option<Content>,
        proof: Proof,
        new_bytes: u64,
        problems: Vec<String>,
        facts: Vec<(String, String)>,
    }
    #[derive(Debug, Encode, Decode)]
    pub(super) struct Manifest {
        time: i64,
        duration: u64,
        host: String,
        tags: Vec<String>,
        labels: Vec<(String, String)>,
        program: String,
        session: [u8; 16],
        added: u64,
        complete: bool,
        streams: Vec<StreamEntry>,
        findings: Vec<String>,
    }
    #[derive(Debug, Encode, Decode)]
    pub(super) struct SessionRecord {
        id: [u8; 16],
        epoch: u64,
        host: String,
        pid: u32,
        started: i64,
    }
    #[derive(Debug, Encode, Decode)]
    pub(super) struct GcRecord {
        epoch: u64,
        features: Features,
        condemned: Vec<[u8; 16]>,
        dead: Vec<[u8; 16]>,
    }
    #[derive(Debug, Encode, Decode)]
    pub(super) struct FenceRecord {
        snapshot: [u8; 32],
    }
    #[derive(Debug, Encode, Decode)]
    pub(super) enum CatalogKind {
        File,
        Folder,
        Symlink,
        Hardlink,
        Fifo,
        CharDevice,
        BlockDevice,
    }
    #[derive(Debug, Encode, Decode)]
    pub(super) struct CatalogEntry {
        path: Vec<u8>,
        kind: CatalogKind,
        mode: u32,
        uid: u64,
        gid: u64,
        mtime_secs: i64,
        mtime_nanos: u32,
        size: u64,
        header_len: u64,
        stored_len: u64,
        link: Vec<u8>,
        hash: [u8; 32],
        changed: bool,
    }
}

/// Checks that a record decodes to the same value here and with `bincode`, and encodes back to its bytes with both.
fn same_as_bincode<M>(stored: &[u8], decoded: impl Debug, encoded: &[u8])
where
    M: Debug + bincode::Encode + bincode::Decode<()>,
{
    let config = bincode::config::legacy();
    let (version, fields) = stored.split_at(2);
    let (mirror, len): (M, usize) = bincode::decode_from_slice(fields, config).expect("bincode decodes it");
    assert_eq!((version, len), (&encoded[..2], fields.len()));
    assert_eq!(format!("{decoded:?}"), format!("{mirror:?}"));
    assert_eq!(encoded, stored);
    assert_eq!(bincode::encode_to_vec(&mirror, config).expect("bincode encodes it"), fields);
}

macro_rules! check_record {
    ($vectors:expr, $vector:literal, $record:ident) => {
        let stored = $vectors.get($vector);
        let decoded: $record = record::decode(stored).expect("the record decodes");
        same_as_bincode::<mirror::$record>(stored, &decoded, &record::encode(&decoded));
        for len in 0..stored.len() {
            assert!(record::decode::<$record>(&stored[..len]).is_err(), "{} of {len} bytes decodes", $vector);
        }
        assert!(record::decode::<$record>(&[stored, &[0]].concat()).is_err(), "{} with a tail decodes", $vector);
    };
}

/// Key slots of version 1 have the fields of today's.
fn check_old_slot(stored: &[u8]) {
    let (slot, binding) = KeySlot::decode(stored).expect("the slot decodes");
    assert_eq!((binding, &stored[..2]), (Binding::Repository, &[1, 0][..]));
    let fields = &record::encode(&slot)[2..];
    same_as_bincode::<mirror::KeySlot>(stored, &slot, &[&stored[..2], fields].concat());
    let newer = [&[2, 0], fields].concat();
    assert_eq!(KeySlot::decode(&newer).expect("it decodes"), (slot, Binding::Features));
    for bad in [&stored[..stored.len() - 1], &[stored, &[0]].concat(), &[&[3, 0], fields].concat()] {
        assert!(KeySlot::decode(bad).is_err());
    }
}

#[test]
fn records() {
    let vectors = Vectors::load();
    check_record!(vectors, "record.config", ConfigRecord);
    check_old_slot(vectors.get("record.slot.passphrase"));
    check_old_slot(vectors.get("record.slot.key_file"));
    check_record!(vectors, "record.slot_description", SlotInfo);
    check_record!(vectors, "record.session", SessionRecord);
    check_record!(vectors, "record.gc", GcRecord);
    check_record!(vectors, "record.fence", FenceRecord);
    check_record!(vectors, "record.catalog", CatalogEntry);
    check_record!(vectors, "record.manifest", Manifest);
    let old: Manifest = record::decode(vectors.get("record.manifest.v1")).expect("the old record decodes");
    assert_eq!(old.streams.len(), 4);
    assert!(old.findings.is_empty() && old.streams.iter().all(|stream| stream.facts.is_empty()));
}

#[test]
fn packs_and_nodes() {
    let vectors = Vectors::load();
    let id = |first: u8| ChunkId::new(std::array::from_fn(|i| first + i as u8));
    let chunk = |i: u8| ChunkRow { id: id(i), len: 1000 + u32::from(i) };
    let (kind, codec) = (BlockKind::Data, Codec::Zstd);
    let mut directory = Directory::default();
    directory.push(BlockRow { kind, codec, chunks: 2, stored_len: 516, plain_len: 2001 }, [chunk(0), chunk(1)]);
    let (kind, codec) = (BlockKind::List, Codec::Raw);
    directory.push(BlockRow { kind, codec, chunks: 1, stored_len: 1018, plain_len: 1002 }, [chunk(2)]);
    assert_eq!(directory.encode(), vectors.get("directory"));
    assert_eq!(Directory::decode(vectors.get("directory"), Wrapping::Whole), Ok(directory));

    for (name, level, shift) in [("node.level1", 1, 0), ("node.level2", 2, 30)] {
        let rows: Vec<ListRow> = (0..3).map(|i| ListRow { id: id(i), len: (1000 + u64::from(i)) << shift }).collect();
        let mut node = Vec::new();
        rows.iter().for_each(|row| list::push_row(&mut node, level, *row));
        assert_eq!(node, vectors.get(name));
        assert_eq!(list::decode_node(&node, level), Ok(rows));
    }
}

#[test]
fn index_pieces() {
    let vectors = Vectors::load();
    let ascending = |first: u8| std::array::from_fn(|i| first + i as u8);
    let row = IndexRow { id: ChunkId::new(ascending(1)), pack: 70000, ordinal: 65534 };
    assert_eq!(row.encode(), vectors.get("index.row"));
    assert_eq!(IndexRow::at(vectors.get("index.row"), 0), Some(row));
    let footer = IndexFooter {
        rows: 186,
        filter_blocks: 0,
        packs: vec![PackEntry { id: ObjectId::new(std::array::from_fn(|i| 7 + i as u8)), len: 12345 }],
        page_starts: vec![1 << 60, 1 << 63],
        group: ascending(0xa0),
        level: 3,
        padded: false,
    };
    assert_eq!(footer.encode(), vectors.get("index.footer"));
    assert_eq!(IndexFooter::decode(vectors.get("index.footer")), Ok(footer));
    let id = ChunkId::new(vectors.array("filter.id"));
    let place: Vec<u8> = filter_block(&id, 100)
        .to_le_bytes()
        .into_iter()
        .chain(filter_bits(&id).map(u16::to_le_bytes).concat())
        .collect();
    assert_eq!(place, vectors.get("filter.place"));
}

#[derive(Default)]
struct Nodes(Option<KeyRing>);

impl NodeStore for Nodes {
    fn store_node(&mut self, bytes: &[u8]) -> Result<ChunkId, RepoError> {
        Ok(self.0.as_ref().expect("there are keys").list_hasher().expect("the key ring is whole").id(bytes))
    }
}

#[test]
fn chunk_list() {
    let vectors = Vectors::load();
    let (keys, mut nodes) = (vectors.keys(Cipher::Aes256Gcm), Nodes(Some(vectors.keys(Cipher::Aes256Gcm))));
    let mut list = ListBuilder::default();
    for i in 0..40u32 {
        list.push(keys.chunk_hasher().expect("the key ring is whole").id(&i.to_le_bytes()), 4, &mut nodes)
            .expect("nothing fails");
    }
    let root = list.finish(&mut nodes).expect("nothing fails").expect("it is not empty");
    assert_eq!([&root.id[..], &[root.depth]].concat(), vectors.get("list.root"));
}

/// The snapshot that the fence of the vectors keeps out.
fn fenced() -> ObjectId {
    ObjectId::new(std::array::from_fn(|i| 0x20 + i as u8))
}

/// The repository of the vectors, in a folder.
fn repository(vectors: &Vectors, folder: &Path) -> Repository {
    let backend = FolderBackend::create(folder).expect("the folder is empty");
    let id = |name| ObjectId::of(vectors.get(name));
    for (key, name) in [
        (Key::Config, "repo.config"),
        (Key::Slot(id("repo.slot")), "repo.slot"),
        (Key::Pack(id("repo.pack")), "repo.pack"),
        (Key::Index(id("repo.index")), "repo.index"),
        (Key::Snapshot(id("repo.snapshot")), "repo.snapshot"),
        (Key::Gc(1), "repo.gc1"),
        (Key::Snapshot(fenced()), "repo.fence"),
    ] {
        backend.put(&key, vectors.get(name)).expect("the object is stored");
    }
    let credential = || Ok(Credential::Passphrase(Zeroizing::new(b"correct horse".to_vec())));
    Repository::open(Arc::new(backend), "here", credential, Env::system()).expect("the repository opens")
}

#[test]
fn a_foreign_repository_is_read() {
    let (vectors, folder) = (Vectors::load(), tempfile::tempdir().expect("there is room"));
    let repository = repository(&vectors, &folder.path().join("repo"));
    let config = vectors.get("repo.config");
    assert_eq!(ConfigHead::decode(config).expect("the head decodes").encode(), config[..ConfigHead::LEN]);
    assert_eq!(repository.slots().expect("slots can be read")[0].label, "initial");
    assert_eq!(repository.gc_log().expect("the log can be read").epoch(), 1);
    assert_eq!(vectors.get("repo.fence").len() as u64, FenceRecord::STORED_LEN);
    assert!(repository.is_fence(fenced()).expect("the fence can be read"));
    let snapshot = repository.resolve("latest").expect("there is a snapshot");
    assert_eq!(repository.snapshot_ids().expect("snapshots can be listed"), [snapshot.id]);
    let mut egress = Egress::open(&repository).expect("the index opens");
    for (stream, expected) in [(0, (0..40u32).flat_map(u32::to_le_bytes).collect()), (1, Vec::new())] {
        let mut bytes: Vec<u8> = Vec::new();
        let take = |piece: &[u8]| -> Result<(), std::convert::Infallible> {
            bytes.extend_from_slice(piece);
            Ok(())
        };
        egress.write_all(&snapshot.manifest.streams[stream].content, take).expect("the stream can be read");
        assert_eq!(bytes, expected);
    }
}

#[test]
fn an_index_run_has_the_specified_bytes() {
    let (vectors, folder) = (Vectors::load(), tempfile::tempdir().expect("there is room"));
    let mut repository = repository(&vectors, &folder.path().join("repo"));
    repository.env.entropy = Arc::new(Ascending);
    repository.keys = Arc::new(vectors.keys(Cipher::Aes256Gcm));
    let mut rows: Vec<FreeRow> = (0..5000u32)
        .map(|i| FreeRow {
            id: ChunkId::new(*ObjectId::of(&i.to_le_bytes()).as_bytes().first_chunk().expect("16 of 32 bytes")),
            pack: PackEntry { id: ObjectId::new([(i % 3 + 1) as u8; 32]), len: 1001 + i % 3 },
            ordinal: (i % 1000) as u16,
        })
        .collect();
    rows.sort_by_key(|row| row.id);
    let mut writer = GroupWriter::new(&repository, 2);
    rows.into_iter().for_each(|row| writer.push(row).expect("the row is taken"));
    let written = writer.finish().expect("the run is stored");
    let [(id, _)] = written[..] else { panic!("one run") };
    assert_eq!(id.as_bytes(), vectors.get("index5000.blake3"));
}

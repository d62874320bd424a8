//! A repository that hides sizes: everything works there, and sizes of objects are few.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use sfarc::backend::folder::FolderBackend;
use sfarc::backend::{Key, Kind};
use sfarc::engine::copy::{self, copy};
use sfarc::format::config::{ConfigHead, ConfigRecord, Features};
use sfarc::format::manifest::GcRecord;
use sfarc::format::padding::padme;
use sfarc::format::sealed::{SealedKind, Trailer};
use sfarc::ids::ObjectId;
use sfarc::repo::gc_log::GcLog;
use sfarc::repo::index::Index;
use sfarc::repo::list::ListWalker;
use sfarc::repo::loader::{ChunkLoader, LoaderCache};
use sfarc::repo::pack_reader::PackReader;
use sfarc::repo::{RepoError, Repository};
use sfarc::testing::world::{Streams, World};

use crate::common::{Expected, assert_clean, assert_restores, collect_quietly, noise, one};

/// Text in which blocks compress to different sizes.
fn text(seed: u64, len: usize) -> Vec<u8> {
    let words = noise(seed, 64 << 10);
    let mut bytes = Vec::with_capacity(len + 64);
    let mut at = 0;
    while bytes.len() < len {
        let word = &words[at % (60 << 10)..][..5 + at % 40];
        bytes.extend_from_slice(word);
        bytes.extend(std::iter::repeat_n(b' ', at % 13));
        at += 7 + bytes.len() % 97;
    }
    bytes.truncate(len);
    bytes
}

fn streams(round: u64) -> Streams {
    Streams::from([
        ("db".to_owned(), [text(1, 3 << 20), noise(round, 20 << 10), text(2, 1 << 20)].concat()),
        ("noise".to_owned(), noise(9, 700 << 10)),
        ("empty".to_owned(), Vec::new()),
    ])
}

fn taken(world: &World, repository: &Repository) -> Expected {
    let take = |streams: &Streams| world.take(repository, streams).expect("a snapshot").id.expect("an id");
    (20..23).map(streams).map(|streams| (take(&streams), streams)).collect()
}

/// What somebody without a key sees of packs, index runs, manifests and gc records: a few lengths.
fn assert_lengths_are_classes(world: &World) {
    for kind in [Kind::Packs, Kind::Indexes, Kind::Snapshots, Kind::Gc] {
        for key in world.store.keys(kind) {
            let object = world.store.bytes(&key).expect("it is there");
            let lens = match kind {
                Kind::Packs | Kind::Indexes => {
                    let trailer = object.last_chunk::<{ Trailer::LEN }>().expect("a trailer");
                    let trailer = Trailer::decode(trailer, object.len() as u64).expect("it decodes");
                    vec![trailer.offset as usize, trailer.len as usize]
                }
                _ => vec![object.len()],
            };
            lens.into_iter().for_each(|len| assert_eq!(padme(len), len, "{key}"));
        }
    }
}

#[test]
fn it_takes_restores_checks_and_collects() {
    let world = World::new(51);
    let repository = world.init_hiding().expect("init");
    let mut expected = taken(&world, &repository);
    assert_restores(&world.open().expect("opens"), &expected, "hidden");
    assert_clean(&repository, "hidden");
    assert_lengths_are_classes(&world);
    let again = world.take(&repository, &streams(20)).expect("again");
    assert_eq!(again.counts.new_chunks, 0, "what is known is not stored again");
    let (first, _) = expected.pop_first().expect("a snapshot");
    repository.forget(&[first, again.id.expect("an id")]).expect("forgotten");
    collect_quietly(&repository, "hidden");
    assert_restores(&world.open().expect("opens"), &expected, "after a collection");
    assert_clean(&repository, "after a collection");
    assert_lengths_are_classes(&world);
}

#[test]
fn blocks_that_are_read_have_few_lengths_too() {
    let world = World::new(52);
    let repository = world.init_hiding().expect("init");
    taken(&world, &repository);
    let mut blocks = 0;
    for entry in Index::open(&repository, &GcLog::default()).expect("the index opens").packs().into_values() {
        let pack = PackReader::open(&*repository.backend, &repository.keys, entry).expect("it opens");
        assert!(pack.directory.is_padded());
        let (last, others) = pack.spans().split_last().expect("it has blocks");
        // The last one ends where the blocks of the pack end at a class.
        assert_eq!(
            padme(last.offset as usize + last.row.stored_len as usize) as u64,
            last.offset + u64::from(last.row.stored_len)
        );
        others.iter().for_each(|span| assert_eq!(padme(span.row.stored_len as usize), span.row.stored_len as usize));
        blocks += others.len();
    }
    assert!(blocks > 5, "{blocks} blocks");
}

/// Where the chunks of the first stream lie, in its order: packs, and ordinals in each.
fn places(repository: &Repository) -> HashMap<ObjectId, Vec<u16>> {
    let snapshot = repository.resolve("latest").expect("a snapshot");
    let content = &snapshot.manifest.streams[0].content;
    let mut index = Index::open(repository, &GcLog::default()).expect("the index opens");
    let (mut cache, mut places) = (LoaderCache::default(), HashMap::<_, Vec<_>>::new());
    let mut walker = ListWalker::new(content.root, content.len).expect("the list is sound");
    while let Some((depth, row)) = walker.next_item() {
        if depth > 0 {
            let mut loader = ChunkLoader::new(repository, &mut index, &mut cache);
            walker.descend(depth, row, &mut loader).expect("the list is readable");
        } else {
            let found = index.find_all(repository, &row.id).expect("the index is readable");
            places.entry(found[0].pack.id).or_default().push(found[0].ordinal);
        }
    }
    places
}

#[test]
fn the_order_in_a_pack_is_not_that_of_the_stream() {
    let is_sorted = |hides: bool| {
        let world = World::new(53);
        let repository = if hides { world.init_hiding() } else { world.init() }.expect("init");
        world.take(&repository, &one("db", noise(3, 4 << 20))).expect("a snapshot");
        places(&repository).into_values().all(|ordinals| ordinals.is_sorted())
    };
    assert!(is_sorted(false) && !is_sorted(true));
}

#[test]
fn snapshots_are_copied_into_it_and_out_of_it() {
    let (plain, hiding) = (World::new(54), World::new(55));
    let (from, to) = (plain.init().expect("init"), hiding.init_hiding().expect("init"));
    let streams: Vec<Streams> = taken(&plain, &from).into_values().collect();
    let copied = |from: &Repository, to: &Repository| -> Expected {
        let options = copy::Options { read_back: true, ..Default::default() };
        let report = copy(from, to, |_| true, options).expect("copied");
        let originals = report.copied.iter().map(|copied| (copied.id.expect("an id"), copied.original));
        originals.map(|(id, _)| id).zip(streams.iter().cloned()).collect()
    };
    // Equal times keep the order in which they were taken.
    let there = copied(&from, &to);
    assert_eq!(there.len(), 3);
    assert_clean(&to, "copied into");
    assert_lengths_are_classes(&hiding);
    let third = World::new(56);
    let back = third.init().expect("init");
    assert_eq!(copied(&to, &back).len(), 3);
    assert_clean(&back, "copied out of");
}

/// The configuration of a repository with these features.
fn configured(world: &World, features: Features) {
    let repository = world.open().expect("opens");
    let head = ConfigHead { features, repo: repository.id };
    let program = "sfarc 9".to_owned();
    let record = ConfigRecord { features, repo: *repository.id.as_bytes(), created: repository.created, program };
    let sealed = repository.seal_record(SealedKind::Config, &record).expect("sealed");
    world.store.tamper(&Key::Config, &[&head.encode()[..], &sealed].concat());
}

/// A key slot of version 1 that opens with the key file of the world, whatever the features.
fn put_old_slot(world: &World, repository: &Repository) {
    use sfarc::backend::Backend;
    use sfarc::crypto::aead::{AeadKey, cipher_from};
    use sfarc::crypto::keys::{key_file_key, slot_commitment};
    use sfarc::format::keyslot::{Binding, KeySlot, SlotKind};
    let (key, nonce) = (key_file_key(&[7; 32], &repository.id), [0; 12]);
    let head = ConfigHead { features: Features::HIDDEN_SIZES, repo: repository.id };
    let mut sealed = repository.keys.root().expect("it is known").to_vec();
    let associated = Binding::Repository.associated(&head);
    AeadKey::new(cipher_from(1).expect("known"), &key).seal(nonce, &associated, &mut sealed, 0);
    let (sealed_root, sealed_info) = (sealed.try_into().expect("a tag follows"), vec![0; 34]);
    let commitment = slot_commitment(&key, &nonce);
    let kind = SlotKind::KeyFile;
    let slot = KeySlot { kind, cipher: 1, nonce, sealed_root, commitment, info_nonce: [0; 12], sealed_info };
    let mut object = sfarc::format::record::encode(&slot);
    object[0] = 1;
    world.store.put(&Key::Slot(ObjectId::of(&object)), &object).expect("put");
}

#[test]
fn who_does_not_know_the_features_is_kept_out() {
    // A program that knows none of them judges by the bits alone.
    assert!(!Features::HIDDEN_SIZES.can_read());
    assert!(!Features { read: 0, ..Features::HIDDEN_SIZES }.can_write());
    assert_eq!(Features::HIDDEN_SIZES.unknown(), Features::default());
    for (more, reads) in [
        (Features { read: 1 << 2, ..Features::default() }, false),
        (Features { write: 1 << 1, ..Features::default() }, true),
    ] {
        let world = World::new(57);
        let repository = world.init_hiding().expect("init");
        let expected = taken(&world, &repository);
        // Slots of today open nothing under other features.
        put_old_slot(&world, &repository);
        drop(repository);
        let known = Features::HIDDEN_SIZES;
        configured(&world, Features { read: known.read | more.read, write: known.write | more.write, collect: 0 });
        match world.open() {
            Ok(repository) => {
                assert!(reads);
                assert_restores(&repository, &expected, "read only");
                let error = world.take(&repository, &streams(30)).expect_err("refused");
                assert!(sfarc::error::chain(&error).contains("use a newer sfarc"), "{error}");
                assert!(matches!(repository.require_collect(), Err(RepoError::UnknownFeature { .. })));
            }
            Err(error) => assert!(!reads && matches!(error, RepoError::UnknownFeature { .. }), "{error}"),
        }
    }
}

#[test]
fn a_gc_record_never_switches_it_on() {
    for hides in [false, true] {
        let world = World::new(58);
        let repository = if hides { world.init_hiding() } else { world.init() }.expect("init");
        let record = GcRecord { epoch: 1, features: Features::HIDDEN_SIZES, ..GcRecord::default() };
        repository
            .backend
            .put(&Key::Gc(1), &repository.seal_record(SealedKind::Gc, &record).expect("sealed"))
            .expect("stored");
        let error = world.open().expect("opens").snapshots().expect_err("refused");
        assert!(matches!(error, RepoError::UnknownFeature { .. }), "{error}");
    }
}

/// The reader of tests/reader shares no code with this program: it knows what format-spec.md says.
#[test]
#[allow(clippy::print_stderr, reason = "says why it does nothing")]
fn the_independent_reader_restores_from_it() {
    let Some(python) = std::env::var_os("SFARC_READER_PYTHON") else {
        eprintln!("not run: tests/run installs what the reader needs and sets SFARC_READER_PYTHON");
        return;
    };
    let (world, folder) = (World::new(59), tempfile::tempdir().expect("there is room"));
    let place = folder.path().join("repository");
    let backend = Arc::new(FolderBackend::create(&place).expect("the folder is new"));
    let repository = Repository::init_with(backend, &World::credential(), Features::HIDDEN_SIZES, world.env());
    let expected = taken(&world, &repository.expect("init"));
    let key = folder.path().join("key");
    std::fs::write(&key, format!("sfarc-key-1 {}\n", "07".repeat(32))).expect("written");
    let reader = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reader/sfarc_reader.py");
    for (id, streams) in expected {
        for (name, bytes) in streams {
            let mut read = Command::new(&python);
            read.arg(&reader).arg(&place).arg("--key-file").arg(&key).args(["cat", &id.to_string(), &name]);
            let read = read.output().expect("the reader runs");
            assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
            assert!(read.stdout == bytes, "{name}");
        }
    }
}
